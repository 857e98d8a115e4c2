/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upper half as kernels have it, in pages of any size: the image once more, executable and guarded, at an address that
 * the test chooses; all RAM below, in blocks and pages that nobody executes; and a page whose physical address is beyond
 * all memory, while its lower bits are those of a page of the image.
 */
#include "guest.h"

#define LINEAR_BLOCKS 0xffffff8000000000UL
#define LINEAR_PAGES 0xffffff8080000000UL
#define FAR 0xfffffff000000000UL
#define UNMAPPED 0xffffffc000000000UL

PATCHED u64 kernel_base = 0xffffffe010600000UL;
PATCHED u64 far_bits = 1UL << 40; /* what the far page's address has, and no memory's */

/* pages_call.S */
u64 pages_call(u64 address);
extern u8 hidden[];

static u64 load(u64 address, u64 unused)
{
	(void)unused;
	return *(volatile u64 *)address;
}

static u64 far_hidden(void)
{
	return FAR + ((u64)hidden & (page_size() - 1));
}

static void map(u64 *root)
{
	for (u64 offset = 0; offset < 1UL << 18; offset += page_size()) {
		u64 page = GUEST_RAM_BASE + offset;

		map_page(root, kernel_base + offset, page, MAP_NORMAL | MAP_GUARDED | MAP_UXN);
		map_page(root, LINEAR_PAGES + offset, page, MAP_NORMAL | MAP_PXN | MAP_UXN);
	}
	map_gigabyte(root, LINEAR_BLOCKS, RAM_BASE, MAP_NORMAL | MAP_PXN | MAP_UXN);
	map_page(root, FAR, far_bits | ((u64)hidden & ~(page_size() - 1)),
		 MAP_NORMAL | MAP_PXN | MAP_UXN);
}

/* What the hardware says of an address of the upper half. */
static void sample(u64 va)
{
	asm volatile("at s1e1r, %0; isb" ::"r"(va) : "memory");
	print("SAMPLE: 0x%lx 0x%lx", va, read_reg(par_el1));
}

static void samples(void)
{
	for (u64 offset = 0; offset < 1UL << 18; offset += 0x3124) {
		sample(kernel_base + offset);
		sample(LINEAR_PAGES + offset);
		sample(LINEAR_BLOCKS + offset * 1021);
	}
	sample(kernel_base - 1);
	sample(UNMAPPED);
	sample(far_hidden());
}

void guest_main(void)
{
	u64 *root = new_table();

	map(root);
	mmu_on();
	mmu_upper(root, 0);
	samples();
	report(attempt(load, far_hidden(), 0, NULL) != NULL, "nothing is there");
	ready("mapped");
	((u64 (*)(u64))((u64)pages_call - GUEST_RAM_BASE + kernel_base))(far_hidden());
	((u64 (*)(u64))((u64)pages_call - GUEST_RAM_BASE + kernel_base))(
		(u64)hidden - GUEST_RAM_BASE + LINEAR_PAGES);
	/* As page-table isolation does at EL0: here the upper half is not that of the kernel. */
	write_reg(ttbr1_el1, (u64)new_table());
	flush_tables();
	ready("isolated");
	finish();
}
