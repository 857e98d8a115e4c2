/* SPDX-License-Identifier: Apache-2.0 */
/* Many calls of a probed function, whose probe is taken away in the middle of a hit; another gets its slot. */
#include "guest.h"

PATCHED u64 calls = 0;

extern u8 first_site[], second_site[];
u64 call(u64 function, u64 argument);

void guest_main(void)
{
	u64 wrong = 0;

	mmu_on();
	ready("arm");
	for (u64 i = 0; i < calls; i++)
		wrong += call((u64)first_site, i) != i + 1;
	value("wrong", wrong);
	value("second", call((u64)second_site, 1));
	ready("done");
	finish();
}
