/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks as Linux keeps them. SP_EL0 points to a structure whose name may lie across two pages that are no
 * neighbours in memory; and kernel code runs with an empty table in TTBR0_EL1, while the program's tables are
 * named in that structure only.
 */
#include "guest.h"

#define UPPER_HALF 0xffffff8000000000UL
#define SCATTERED 0x100000000UL /* two pages, in the kernel's table */
#define PROGRAM 0x180000000UL	/* a page, in the program's */

struct seen {
	u64 par;
	u64 ttbr0;
	u64 ttbr1;
};

void task_call(u64 task);
void apart_call(u64 address, u64 structure, u64 ttbr0, u64 ttbr1, struct seen *seen);

/* Four of them. Written by the test while the payload waits. */
u8 pages[4 << 16] __attribute__((aligned(1 << 16)));
PATCHED u64 task = SCATTERED; /* 0 ends the first part */
PATCHED u64 tcr_bits = 0;
PATCHED u64 tables_bits = 0; /* the ASID of the program's tables, as the structure has it */

static u64 page(u64 n)
{
	return (u64)pages + n * page_size();
}

static void map(u64 *program)
{
	map_page(mmu_root, SCATTERED, page(2), MAP_NORMAL);
	map_page(mmu_root, SCATTERED + page_size(), page(0), MAP_NORMAL);
	map_page(program, PROGRAM, page(3), MAP_NORMAL | MAP_USER | MAP_NOT_GLOBAL);
	mmu_upper(mmu_root, tcr_bits);
}

static void run_apart(const u64 *program)
{
	u64 kernel = read_reg(ttbr1_el1), empty_table = (u64)new_table();
	u64 structure = page(1) | UPPER_HALF;
	struct seen seen;

	((volatile u64 *)page(1))[2] = (u64)program | tables_bits;
	apart_call(PROGRAM + 16, structure, empty_table, kernel, &seen);
	value("par", seen.par);
	report(seen.ttbr0 == empty_table, "TTBR0_EL1 is as it was");
	report(seen.ttbr1 == kernel, "TTBR1_EL1 is as it was");
}

void guest_main(void)
{
	u64 *program = new_table();

	mmu_on();
	map(program);
	ready("names");
	while (*(volatile u64 *)&task) {
		task_call(task);
		ready("names");
	}
	run_apart(program);
}
