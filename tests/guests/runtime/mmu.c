/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1 with pages of 4, 16 or 64 KiB and addresses of 39 bits (Arm ARM, "VMSAv8-64 translation table format
 * descriptors"): devices and RAM at their own addresses for EL1, RAM again one gigabyte up, and once more at
 * USER_ALIAS for EL0; all of it in the largest blocks that there are.
 */
#include "guest.h"

#define ADDRESS_BITS 39
#define TABLES_SIZE (12 << 16)

#define VALID 1UL
#define TABLE_OR_PAGE 2UL
#define DEVICE (MAP_ACCESSED | MAP_PXN | MAP_UXN)
#define GIGABYTE 0x40000000UL

#define MAIR (0x00UL | 0xffUL << 8) /* 0: Device-nGnRnE, 1: write-back */
/* Walks through write-back inner-shareable caches. */
#define TCR_WALKS (1UL << 8 | 1UL << 10 | 3UL << 12)
#define TCR_EPD1 (1UL << 23)
#define TCR_IPS(size) ((size) << 32)
#define IPS_52 6

PATCHED u64 granule = 12;
PATCHED u64 physical_size = 4; /* 44 bits */

u64 *mmu_root;

static u8 tables[TABLES_SIZE] __attribute__((aligned(1 << 16)));
static u64 tables_used;

u64 page_size(void)
{
	return 1UL << granule;
}

u64 *new_table(void)
{
	u64 *table = (u64 *)(tables + tables_used);

	tables_used += page_size();
	if (tables_used > TABLES_SIZE) {
		report(false, "no room for another table");
		finish();
	}
	return table;
}

static u64 table_at(u64 entry)
{
	return entry & 0xfffffffff000UL & ~(page_size() - 1);
}

/* What maps `va` in a block or page of 2^`leaf` bytes. Tables on the way are made. */
static u64 *entry_of(u64 *table, u64 va, u64 leaf)
{
	u64 stride = granule - 3, shift = granule;

	va &= (1UL << ADDRESS_BITS) - 1;
	while (shift + stride < ADDRESS_BITS)
		shift += stride;
	for (; shift > leaf; shift -= stride) {
		u64 *entry = &table[va >> shift];

		if (!*entry)
			*entry = (u64)new_table() | TABLE_OR_PAGE | VALID;
		table = (u64 *)table_at(*entry);
		va &= (1UL << shift) - 1;
	}
	return &table[va >> shift];
}

u64 *page_entry(u64 *root, u64 va)
{
	return entry_of(root, va, granule);
}

/* With 52 bits of physical address and 64 KiB granules, bits 51:48 are in 15:12. */
static u64 address_field(u64 pa)
{
	return granule == 16 && physical_size == IPS_52 ? pa | pa >> 48 << 12 : pa;
}

void map_page(u64 *root, u64 va, u64 pa, u64 attributes)
{
	u64 field = address_field(pa) & 0x0000ffffffffffffUL;

	*(volatile u64 *)page_entry(root, va) =
		attributes ? field | attributes | TABLE_OR_PAGE | VALID : 0;
	flush_tables();
}

void flush_tables(void)
{
	dsb();
	asm volatile("tlbi vmalle1; dsb sy; ic iallu; dsb sy; isb" ::: "memory");
}

void map_gigabyte(u64 *root, u64 va, u64 pa, u64 attributes)
{
	u64 leaf = granule == 12 ? 30 : 2 * granule - 3;

	for (u64 offset = 0; offset < GIGABYTE; offset += 1UL << leaf)
		*entry_of(root, va + offset, leaf) = (pa + offset) | attributes | VALID;
}

void map_machine(u64 *root)
{
	map_gigabyte(root, 0, 0, DEVICE);
	map_gigabyte(root, GIGABYTE, GIGABYTE, MAP_NORMAL | MAP_UXN);
	map_gigabyte(root, 2 * GIGABYTE, GIGABYTE, MAP_NORMAL | MAP_UXN);
	map_gigabyte(root, GIGABYTE + USER_ALIAS, GIGABYTE, MAP_NORMAL | MAP_USER | MAP_PXN);
	/* Where a stage 2 of 40 bits has nothing. */
	map_gigabyte(root, 5 * GIGABYTE, 1UL << 40, DEVICE);
}

void mmu_prepare(void)
{
	mmu_root = new_table();
	map_machine(mmu_root);
}

/* TCR_EL1.TG0 and TG1 for 4, 16 and 64 KiB. */
static u64 lower_granule(void)
{
	static const u8 codes[] = { 0, 2, 1 };

	return (u64)codes[granule / 2 - 6] << 14;
}

static u64 upper_granule(void)
{
	static const u8 codes[] = { 2, 1, 3 };

	return (u64)codes[granule / 2 - 6] << 30;
}

void mmu_upper(u64 *root, u64 more)
{
	u64 upper = ((64 - ADDRESS_BITS) | TCR_WALKS) << 16 | upper_granule();

	write_reg(ttbr1_el1, (u64)root);
	write_reg(tcr_el1, (read_reg(tcr_el1) & ~TCR_EPD1) | upper | more);
	flush_tables();
}

void mmu_on(void)
{
	mmu_use(mmu_root);
}

void mmu_use(u64 *root)
{
	write_reg(mair_el1, MAIR);
	write_reg(tcr_el1, (64 - ADDRESS_BITS) | TCR_WALKS | lower_granule() | TCR_EPD1 |
				   TCR_IPS(physical_size));
	write_reg(ttbr0_el1, (u64)root);
	flush_tables();
	write_reg(sctlr_el1, SCTLR_ON);
	isb();
}

void mmu_off(void)
{
	write_reg(sctlr_el1, SCTLR_OFF);
	isb();
	flush_tables();
}
