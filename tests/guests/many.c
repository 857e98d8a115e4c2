/* SPDX-License-Identifier: Apache-2.0 */
/* A page full of instructions, run once at each of a few checkpoints. */
#include "guest.h"

/* Patched by the test. */
PATCHED u64 times = 3;

u64 sled(u64 number);

void guest_main(void)
{
	mmu_on();
	ready("started");
	for (u64 i = 0; i < times; i++) {
		report(sled(0) == 1022, "every instruction of the page ran");
		ready("ran");
	}
	finish();
}
