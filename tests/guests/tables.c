/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation tables as weapons: where they lie, and where they lead. A gigabyte from WINDOW is mapped by pages,
 * of which each scene uses one or two.
 */
#include "guest.h"

PATCHED u64 scene = 0;
PATCHED u64 far_page = 0; /* BEYOND: where the page behind the probed one leads */

enum { BEYOND = 1, WALKS, ALIAS_SMC, ALIAS_BRK };

#define WINDOW 0x100000000UL
#define CALLS 100

#define TABLE 3UL
#define BLOCK 1UL
#define PAGE 3UL
#define ATTRIBUTES(index) ((u64)(index) << 2)
#define USER (1UL << 6)
#define READ_ONLY (1UL << 7)
#define INNER_SHAREABLE (3UL << 8)
#define ACCESSED (1UL << 10)
#define PXN (1UL << 53)
#define UXN (1UL << 54)
#define NORMAL (ATTRIBUTES(1) | INNER_SHAREABLE | ACCESSED)

#define MAIR (0x00UL | 0xffUL << 8)
/* As mmu.c's, and 48 bits of physical address. */
#define TCR (25UL | 1UL << 8 | 1UL << 10 | 3UL << 12 | 1UL << 23 | 5UL << 32)

/* tables_code.S */
extern u64 walked_table[512];
extern u8 one_page[], other_page[], elsewhere[], user_one[], user_other[];
u64 call(u64 address, u64 argument);
u64 call_user(u64 address, u64 argument);

static u64 level2[512] __attribute__((aligned(4096)));
static u64 level3[512] __attribute__((aligned(4096)));

static void flush(void)
{
	dsb();
	asm volatile("tlbi vmalle1; dsb sy; ic iallu; dsb sy; isb" ::: "memory");
}

static void map(u64 page, u64 address, u64 attributes)
{
	level3[page] = address | PAGE | NORMAL | attributes;
	flush();
}

/* The root shares its page with code. */
static void own_tables(void)
{
	walked_table[0] = 0 | BLOCK | ATTRIBUTES(0) | ACCESSED | PXN | UXN;
	walked_table[1] = RAM_BASE | BLOCK | NORMAL | UXN;
	walked_table[4] = (u64)level2 | TABLE;
	level2[0] = (u64)level3 | TABLE;
	write_reg(mair_el1, MAIR);
	write_reg(tcr_el1, TCR);
	write_reg(ttbr0_el1, (u64)walked_table);
	flush();
	write_reg(sctlr_el1, SCTLR_ON);
	isb();
}

static u64 store(u64 address, u64 number)
{
	*(volatile u32 *)address = (u32)number;
	return 0;
}

/* A store to a probed page: the monitor looks at the next virtual page, too. */
static void beyond(void)
{
	map(0, (u64)one_page, UXN);
	map(1, far_page, UXN);
	ready("arm");
	report(!attempt(store, WINDOW + 0x800, 1, NULL), "the store is done");
	report(*(volatile u32 *)(one_page + 0x800) == 1, "and seen");
	ready("done");
}

static void call_many(const char *name)
{
	u64 sum = 0;

	flush();
	for (u64 i = 0; i < CALLS; i++)
		sum += call((u64)elsewhere, i);
	report(sum == CALLS * (CALLS - 1) / 2 + CALLS, "sum of the results: 0x%lx", sum);
	ready(name);
}

static void walks(void)
{
	ready("arm");
	call_many("again");
	call_many("done");
}

/* Another page at the probe's virtual address, where an instruction of the guest's own has the probe's number. */
static void aliases(u64 (*caller)(u64, u64), u64 one, u64 other, u64 attributes)
{
	map(0, one, attributes);
	value("before", caller(WINDOW, 41));
	ready("arm");
	value("probed", caller(WINDOW, 41));
	map(0, other, attributes);
	value("other", caller(WINDOW, PSCI_VERSION));
	ready("done");
}

/* An exception ends user code: the syndrome is what there is to compare. */
static u64 from_user(u64 address, u64 argument)
{
	const struct caught *caught = attempt(call_user, address, argument, NULL);

	return caught ? caught->frame.esr << 16 | (caught->frame.x[0] & 0xffff) : 0;
}

void guest_main(void)
{
	own_tables();
	switch (scene) {
	case BEYOND:
		beyond();
		break;
	case WALKS:
		walks();
		break;
	case ALIAS_SMC:
		aliases(call, (u64)one_page, (u64)other_page, UXN);
		break;
	default:
		aliases(from_user, (u64)user_one, (u64)user_other, USER | READ_ONLY | PXN);
	}
	finish();
}
