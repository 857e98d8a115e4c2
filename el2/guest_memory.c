/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_memory.h"

#include "memory.h"
#include "monitor.h"
#include "translate.h"
#include "user_tables.h"

static bool find(u64 va, ipa_t *address)
{
	return translate_normal(va, address) || user_tables_translate(va, address);
}

u64 guest_memory_read(u64 va, void *to, u64 size)
{
	u64 done = 0;

	while (done < size) {
		u64 here = PAGE_SIZE - ((va + done) & PAGE_MASK);
		ipa_t address;

		if (here > size - done)
			here = size - done;
		if (!find(va + done, &address) || !guest_ram_holds(address.raw, here))
			break;
		memcpy((u8 *)to + done, pa_to_pointer(ipa_identity(address)), here);
		done += here;
	}
	return done;
}
