/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include "arch_gen.h"
#include "sysreg.h"

void *memcpy(void *to, const void *from, size_t size)
{
	u8 *target = to;
	const u8 *source = from;

	if ((((u64)target | (u64)source) & 7) == 0)
		for (; size >= 8; size -= 8, target += 8, source += 8)
			*(u64 *)target = *(const u64 *)source;
	while (size--)
		*target++ = *source++;
	return to;
}

void *memset(void *to, int value, size_t size)
{
	u64 pattern = (u8)value * 0x0101010101010101UL;
	u8 *target = to;

	/* The empty asm keeps the compiler from turning these loops into calls of this function. */
	for (; size >= 8 && ((u64)target & 7) == 0; size -= 8, target += 8) {
		*(u64 *)target = pattern;
		asm volatile("" ::: "memory");
	}
	while (size--) {
		*target++ = (u8)value;
		asm volatile("" ::: "memory");
	}
	return to;
}

void sync_instructions(u64 start, u64 size)
{
	u64 line = 4UL << FIELD(read_sysreg(ctr_el0), CTR_EL0_DminLine);

	for (u64 address = start & ~(line - 1); address < start + size; address += line)
		asm volatile("dc cvau, %0" ::"r"(address) : "memory");
	dsb_ish();
	/* By address would miss aliases in an instruction cache that is not physically tagged. */
	asm volatile("ic ialluis" ::: "memory");
	dsb_ish();
	isb();
}
