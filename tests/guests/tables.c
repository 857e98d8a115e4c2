/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation tables as weapons: where they lie, and where they lead. A gigabyte from WINDOW is mapped by pages,
 * of which each scene uses one or two.
 */
#include "guest.h"

PATCHED u64 scene = 0;
PATCHED u64 far_page = 0; /* BEYOND: where the page behind the probed one leads */

enum { BEYOND = 1, WALKS, ALIAS_SMC, ALIAS_BRK, NOT_REACHED, FLAGS };

#define TCR_HA (1UL << 39)

#define BREAKPOINT_AT_EL1 0x1e3UL /* DBGBCR<n>_EL1: any byte, EL1, enabled */
#define MDSCR_MDE_KDE 0xa000UL
#define DAIF_D 0x200UL

#define WINDOW 0x100000000UL
#define CALLS 100
#define FEW_CALLS 5

/* tables_code.S */
extern u64 walked_table[];
extern u8 one_page[], other_page[], elsewhere[], user_one[], user_other[];
u64 call(u64 address, u64 argument);
u64 call_user(u64 address, u64 argument);

static void map(u64 page, u64 address, u64 attributes)
{
	map_page(walked_table, WINDOW + page * page_size(), address, MAP_NORMAL | attributes);
}

/* The root shares its page with code. */
static void own_tables(void)
{
	physical_size = 5; /* 48 bits */
	map_gigabyte(walked_table, 0, 0, MAP_ACCESSED | MAP_PXN | MAP_UXN);
	map_gigabyte(walked_table, RAM_BASE, RAM_BASE, MAP_NORMAL | MAP_UXN);
	mmu_use(walked_table);
}

static u64 store(u64 address, u64 number)
{
	*(volatile u32 *)address = (u32)number;
	return 0;
}

/* A store to a probed page: the monitor looks at the next virtual page, too. */
static void beyond(void)
{
	map(0, (u64)one_page, MAP_UXN);
	map(1, far_page, MAP_UXN);
	ready("arm");
	report(!attempt(store, WINDOW + 0x800, 1, NULL), "the store is done");
	report(*(volatile u32 *)(one_page + 0x800) == 1, "and seen");
	ready("done");
}

static void call_many(const char *name)
{
	u64 sum = 0;

	flush_tables();
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

static u64 class_of(u64 address)
{
	const struct caught *caught;

	flush_tables();
	caught = attempt(call, address, 1, NULL);
	return caught ? caught->frame.esr >> 26 : 0;
}

/* What comes before the instruction keeps a probe on it from being hit; and without it the probe is. */
static void not_reached(void)
{
	u64 daif = read_reg(daif);

	map(0, (u64)elsewhere, MAP_UXN);
	map(1, (u64)elsewhere, MAP_UXN | MAP_PXN);
	ready("arm");
	for (u64 i = 0; i < FEW_CALLS; i++)
		value("never executable", class_of(WINDOW + page_size()));
	ready("forbidden");
	write_reg(oslar_el1, 0UL);
	write_reg(dbgbvr0_el1, WINDOW);
	write_reg(dbgbcr0_el1, BREAKPOINT_AT_EL1);
	write_reg(mdscr_el1, MDSCR_MDE_KDE);
	write_reg(daif, daif & ~DAIF_D);
	value("breakpoint", class_of(WINDOW));
	write_reg(daif, daif);
	write_reg(mdscr_el1, 0UL);
	write_reg(dbgbcr0_el1, 0UL);
	ready("broken");
	value("executable", class_of(WINDOW));
	ready("done");
}

/* The hardware sets the access flag, in a table that shares its page with a probe. */
static void flags(void)
{
	u64 sum = 0;

	write_reg(tcr_el1, read_reg(tcr_el1) | TCR_HA);
	ready("arm");
	for (u64 i = 0; i < FEW_CALLS; i++) {
		for (u64 page = 0; page < 2; page++)
			map_page(walked_table, WINDOW + page * page_size(),
				 (u64)(page ? one_page : elsewhere),
				 (MAP_NORMAL & ~MAP_ACCESSED) | MAP_UXN);
		flush_tables();
		sum += call(WINDOW, i) + call(WINDOW + page_size(), i);
	}
	value("sum", sum);
	ready("done");
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
	case FLAGS:
		flags();
		break;
	case NOT_REACHED:
		not_reached();
		break;
	case ALIAS_SMC:
		aliases(call, (u64)one_page, (u64)other_page, MAP_UXN);
		break;
	default:
		aliases(from_user, (u64)user_one, (u64)user_other,
			MAP_USER | MAP_READ_ONLY | MAP_PXN);
	}
	finish();
}
