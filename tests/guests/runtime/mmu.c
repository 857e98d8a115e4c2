/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1, 4 KiB granule, 39 bits, blocks of a gigabyte (Arm ARM, "VMSAv8-64 translation table format
 * descriptors"): devices and RAM at their own addresses for EL1, RAM again one gigabyte up, and once more
 * at USER_ALIAS for EL0.
 */
#include "guest.h"

#define BLOCK 1UL
#define ATTRIBUTES(index) ((u64)(index) << 2)
#define USER (1UL << 6)
#define INNER_SHAREABLE (3UL << 8)
#define ACCESSED (1UL << 10)
#define PXN (1UL << 53)
#define UXN (1UL << 54)

#define MAIR (0x00UL | 0xffUL << 8) /* 0: Device-nGnRnE, 1: write-back */
/* T0SZ, walks through write-back inner-shareable caches, no TTBR1, 44 bits of physical address. */
#define TCR (25UL | 1UL << 8 | 1UL << 10 | 3UL << 12 | 1UL << 23 | 4UL << 32)

#define GIGABYTE 0x40000000UL

static u64 table[512] __attribute__((aligned(4096))) = {
	[0] = 0 | BLOCK | ATTRIBUTES(0) | ACCESSED | PXN | UXN,
	[1] = GIGABYTE | BLOCK | ATTRIBUTES(1) | INNER_SHAREABLE | ACCESSED | UXN,
	[2] = GIGABYTE | BLOCK | ATTRIBUTES(1) | INNER_SHAREABLE | ACCESSED | UXN,
	[3] = GIGABYTE | BLOCK | ATTRIBUTES(1) | INNER_SHAREABLE | ACCESSED | USER | PXN,
	/* Where a stage 2 of 40 bits has nothing. */
	[5] = 1UL << 40 | BLOCK | ATTRIBUTES(0) | ACCESSED | PXN | UXN,
};

void mmu_on(void)
{
	write_reg(mair_el1, MAIR);
	write_reg(tcr_el1, TCR);
	write_reg(ttbr0_el1, (u64)table);
	dsb();
	asm volatile("tlbi vmalle1; ic iallu; dsb sy; isb" ::: "memory");
	write_reg(sctlr_el1, SCTLR_ON);
	isb();
}

void mmu_off(void)
{
	write_reg(sctlr_el1, SCTLR_OFF);
	isb();
	asm volatile("tlbi vmalle1; ic iallu; dsb sy; isb" ::: "memory");
}
