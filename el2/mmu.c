/* SPDX-License-Identifier: Apache-2.0 */
#include "mmu.h"

#include "addr.h"
#include "arch_gen.h"
#include "monitor.h"
#include "sysreg.h"

/* VMSAv8-64 stage 1 descriptors (Arm ARM, "VMSAv8-64 translation table format descriptors"). */
#define DESC_TABLE 3UL
#define DESC_BLOCK 1UL
#define DESC_PAGE 3UL
#define DESC_DEVICE (0UL << 2)
#define DESC_NORMAL (1UL << 2)
#define DESC_READ_ONLY (1UL << 7)
#define DESC_INNER_SHAREABLE (3UL << 8)
#define DESC_ACCESSED (1UL << 10)
#define DESC_EXECUTE_NEVER (1UL << 54)

/* Attribute 0 is Device-nGnRnE, attribute 1 is Normal write-back. */
#define MAIR_VALUE 0xff00UL

/* 39 bits of address, three levels of 4 KiB tables. */
#define VA_BITS 39UL
#define ENTRIES 512

static u64 level1[ENTRIES] __attribute__((aligned(4096)));
static u64 device_level2[ENTRIES] __attribute__((aligned(4096)));
static u64 ram_level2[ENTRIES] __attribute__((aligned(4096)));
static u64 tail_level2[ENTRIES] __attribute__((aligned(4096)));
static u64 image_level3[ENTRIES] __attribute__((aligned(4096)));

static const u64 data_attributes =
	DESC_NORMAL | DESC_INNER_SHAREABLE | DESC_ACCESSED | DESC_EXECUTE_NEVER;
static const u64 device_attributes = DESC_DEVICE | DESC_ACCESSED | DESC_EXECUTE_NEVER;

static u64 page_attributes(u64 address)
{
	if (address < (u64)text_end)
		return DESC_NORMAL | DESC_INNER_SHAREABLE | DESC_ACCESSED | DESC_READ_ONLY;
	if (address < (u64)rodata_end)
		return data_attributes | DESC_READ_ONLY;
	return data_attributes;
}

static void map_image(void)
{
	u64 start = (u64)image_start;

	for (u64 address = start; address < (u64)image_end; address += PAGE_SIZE)
		image_level3[(address - start) / PAGE_SIZE % ENTRIES] =
			address | page_attributes(address) | DESC_PAGE;
}

static void map_device(u64 address)
{
	u64 block = address & ~(BLOCK_SIZE - 1);

	device_level2[block / BLOCK_SIZE % ENTRIES] = block | device_attributes | DESC_BLOCK;
}

/* 2 MiB blocks of RAM from `start` to `end` in one level 2 table, which covers one GiB. */
static void map_blocks(u64 *table, u64 start, u64 end)
{
	for (u64 address = start; address < end; address += BLOCK_SIZE)
		table[address / BLOCK_SIZE % ENTRIES] = address | data_attributes | DESC_BLOCK;
}

/* Whole GiBs get a block each; the last, partial GiB gets a table. */
static void map_ram_above_first_gigabyte(u64 base, u64 end)
{
	u64 address = base + GIGABYTE;

	for (; address + GIGABYTE <= end; address += GIGABYTE)
		level1[address / GIGABYTE % ENTRIES] = address | data_attributes | DESC_BLOCK;
	if (address >= end)
		return;
	map_blocks(tail_level2, address, end);
	level1[address / GIGABYTE % ENTRIES] = (u64)tail_level2 | DESC_TABLE;
}

void mmu_build(void)
{
	u64 base = control()->ram_base;
	u64 end = base + control()->ram_size;
	u64 first_end = end < base + GIGABYTE ? end : base + GIGABYTE;

	map_image();
	map_blocks(ram_level2, base + BLOCK_SIZE, first_end);
	ram_level2[(u64)image_start / BLOCK_SIZE % ENTRIES] = (u64)image_level3 | DESC_TABLE;
	level1[base / GIGABYTE % ENTRIES] = (u64)ram_level2 | DESC_TABLE;
	map_ram_above_first_gigabyte(base, end);
	map_device(control()->gicd_base);
	for (u64 offset = 0; offset < SV_MAX_VCPUS * 0x40000; offset += BLOCK_SIZE)
		map_device(control()->gicr_base + offset);
	map_device(control()->gicr_base + SV_MAX_VCPUS * 0x40000);
	map_device(control()->uart_base);
	level1[control()->gicd_base / GIGABYTE % ENTRIES] = (u64)device_level2 | DESC_TABLE;
}

/* One sentence per bit. */
static u64 tcr_value(void)
{
	u64 parange = read_sysreg(id_aa64mmfr0_el1) & ID_AA64MMFR0_EL1_PARANGE_MASK;
	u64 value = 0;

	value |= (64 - VA_BITS) << TCR_EL2_T0SZ_SHIFT;
	value |= 1UL << TCR_EL2_IRGN0_SHIFT; /* Table walks are write-back cacheable, inner */
	value |= 1UL << TCR_EL2_ORGN0_SHIFT; /* and outer, */
	value |= 3UL << TCR_EL2_SH0_SHIFT;   /* and inner shareable. */
	/* The widest physical address without the 52-bit descriptor format. */
	value |= (parange > 5 ? 5 : parange) << TCR_EL2_PS_SHIFT;
	value |= 1UL << 31 | 1UL << 23; /* RES1 */
	return value;
}

static u64 sctlr_value(void)
{
	u64 value = 0x30c50830; /* RES1 */

	value |= SCTLR_EL2_M;	/* Translation is on. */
	value |= SCTLR_EL2_C;	/* Data and */
	value |= SCTLR_EL2_I;	/* instruction caches are used. */
	value |= SCTLR_EL2_SA;	/* A misaligned stack pointer is a bug. */
	value |= SCTLR_EL2_WXN; /* What can be written can never be executed. */
	return value;
}

void mmu_enable(void)
{
	write_sysreg(mair_el2, MAIR_VALUE);
	write_sysreg(tcr_el2, tcr_value());
	write_sysreg(ttbr0_el2, level1);
	dsb_ish(); /* Tables are written before a walk can start. */
	asm volatile("tlbi alle2" ::: "memory");
	asm volatile("ic iallu" ::: "memory");
	dsb_ish();
	isb();
	write_sysreg(sctlr_el2, sctlr_value());
	isb(); /* From here on translated. */
}
