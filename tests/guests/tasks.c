/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks as Linux keeps them. SP_EL0 points to a structure whose name may lie across two pages that are no
 * neighbours in memory; and kernel code runs with an empty table in TTBR0_EL1, while the program's tables are
 * named in that structure only.
 */
#include "guest.h"

#define UPPER_HALF 0xffffff8000000000UL
#define TABLE 3UL
#define NORMAL 0x707UL /* page, write-back, inner shareable, accessed */
#define USER (1UL << 6)
#define NOT_GLOBAL (1UL << 11)
#define SCATTERED 0x100000000UL /* two pages, in the kernel's table */
#define PROGRAM 0x180000000UL	/* a page, in the program's */
#define TCR_EPD1 (1UL << 23)
/* T1SZ, walks through write-back inner-shareable caches, 4 KiB. */
#define TCR_UPPER (25UL << 16 | 1UL << 24 | 1UL << 26 | 3UL << 28 | 2UL << 30)

struct seen {
	u64 par;
	u64 ttbr0;
	u64 ttbr1;
};

void task_call(u64 task);
void apart_call(u64 address, u64 structure, u64 ttbr0, u64 ttbr1, struct seen *seen);

/* Written by the test while the payload waits. */
u64 pages[4][512] __attribute__((aligned(4096)));
PATCHED u64 task = SCATTERED; /* 0 ends the first part */
PATCHED u64 tcr_bits = 0;
PATCHED u64 tables_bits = 0; /* the ASID of the program's tables, as the structure has it */

static u64 empty_table[512] __attribute__((aligned(4096)));
static u64 level1[512] __attribute__((aligned(4096)));
static u64 level2[2][512] __attribute__((aligned(4096)));
static u64 level3[2][512] __attribute__((aligned(4096)));

/* One entry of `top` leads through tables of its own. */
static u64 *add_pages(u64 *top, u64 address, u64 n)
{
	top[address >> 30] = (u64)level2[n] | TABLE;
	level2[n][0] = (u64)level3[n] | TABLE;
	return level3[n];
}

static void map(void)
{
	u64 *kernel = (u64 *)read_reg(ttbr0_el1);
	u64 *scattered = add_pages(kernel, SCATTERED, 0);

	scattered[0] = (u64)pages[2] | NORMAL;
	scattered[1] = (u64)pages[0] | NORMAL;
	add_pages(level1, PROGRAM, 1)[0] = (u64)pages[3] | NORMAL | USER | NOT_GLOBAL;
	write_reg(ttbr1_el1, (u64)kernel);
	write_reg(tcr_el1, (read_reg(tcr_el1) & ~TCR_EPD1) | TCR_UPPER | tcr_bits);
	dsb();
	isb();
}

static void run_apart(void)
{
	u64 kernel = read_reg(ttbr1_el1);
	u64 structure = (u64)pages[1] | UPPER_HALF;
	struct seen seen;

	pages[1][2] = (u64)level1 | tables_bits;
	apart_call(PROGRAM + 16, structure, (u64)empty_table, kernel, &seen);
	value("par", seen.par);
	report(seen.ttbr0 == (u64)empty_table, "TTBR0_EL1 is as it was");
	report(seen.ttbr1 == kernel, "TTBR1_EL1 is as it was");
}

void guest_main(void)
{
	mmu_on();
	map();
	ready("names");
	while (*(volatile u64 *)&task) {
		task_call(task);
		ready("names");
	}
	run_apart();
}
