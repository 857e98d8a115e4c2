/* SPDX-License-Identifier: Apache-2.0 */
/* Data accesses of a big-endian guest: in a probed page, to trapped GIC registers, and what a probe captures. */
#include "guest.h"

#define SGI_PRIORITIES (GICR_BASE + GICR_SGI + 0x400)

extern u8 endian_data[], user_endian_load[];
u64 load_big(u64 address, u64 size);
u64 store_big(u64 address, u64 number);
u64 captured_big(u64 address, u64 unused);
u64 enter_el0(u64 code, u64 argument);

/* The roots of both, for endian_access.S. */
u64 little_root, big_root;
static u64 big_table[512] __attribute__((aligned(4096)));

static void make_big_table(void)
{
	const u64 *table;

	little_root = read_reg(ttbr0_el1);
	big_root = (u64)big_table;
	table = (const u64 *)little_root;
	for (u32 i = 0; i < 512; i++)
		big_table[i] = __builtin_bswap64(table[i]);
	dsb();
}

static const char *const names[] = { "byte", "half", "word", "double" };

static void loads(void)
{
	for (u64 i = 0; i < 4; i++)
		value(names[i], load_big((u64)endian_data, 1UL << i));
}

static u64 user_load(u64 address, u64 unused)
{
	(void)unused;
	return enter_el0((u64)user_endian_load + USER_ALIAS, address + USER_ALIAS);
}

static void user_loads(void)
{
	const struct caught *caught;

	write_reg(sctlr_el1, SCTLR_ON | 1UL << 24); /* E0E */
	isb();
	caught = attempt(user_load, (u64)endian_data, 0, NULL);
	write_reg(sctlr_el1, SCTLR_ON);
	isb();
	value("user", caught ? caught->frame.x[0] : ~0UL);
}

void guest_main(void)
{
	mmu_on();
	make_big_table();
	gic_init();
	loads();
	ready("arm");
	loads();
	user_loads();
	value("distributor", load_big(GICD_BASE + 8, 4));
	store_big(SGI_PRIORITIES, 0x10203040);
	value("priorities", mmio_read(SGI_PRIORITIES));
	value("priorities-big", load_big(SGI_PRIORITIES, 4));
	value("captured", captured_big((u64)endian_data, 0));
	ready("done");
	finish();
}
