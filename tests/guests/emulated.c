/* SPDX-License-Identifier: Apache-2.0 */
#include "emulated.h"

#define BLOCK 1UL
#define TABLE 3UL
#define PAGE 3UL
#define ATTRIBUTES(index) ((u64)(index) << 2)
#define USER (1UL << 6)
#define INNER_SHAREABLE (3UL << 8)
#define ACCESSED (1UL << 10)
#define GUARDED_PAGE (1UL << 50)
#define PXN (1UL << 53)
#define UXN (1UL << 54)
#define NORMAL (RAM_BASE | ATTRIBUTES(1) | PXN | UXN)
#define SHARED (INNER_SHAREABLE | ACCESSED)

/* MAIR_EL1: 2 non-cacheable, 3 write-through, 4 tagged. */
#define MAIR_MORE (0x44UL << 16 | 0xbbUL << 24 | 0xf0UL << 32)
/* TTBR1 as TTBR0 is: 39 bits, 4 KiB, cached and shared walks. */
#define TCR_TTBR1 (25UL << 16 | 1UL << 24 | 1UL << 26 | 3UL << 28 | 2UL << 30)
#define TCR_EPD1 (1UL << 23)
#define TCR_HA (1UL << 39)
#define SCTLR_PAUTH (1UL << 31 | 1UL << 30 | 1UL << 27 | 1UL << 13)
#define LINE 16UL /* no implementation has shorter cache lines */

/* The host's: where things are, and how many cases there are; 0 ends. */
PATCHED u64 words = 0, code = 0, code_size = 0, starts = 0, outcomes = 0, count = 0;
PATCHED u64 sign_pointers = 1, manage_access_flags = 0;

static u64 upper[512] __attribute__((aligned(4096)));
static u64 level2[512] __attribute__((aligned(4096)));
static u64 level3[512] __attribute__((aligned(4096)));
static u64 page[512] __attribute__((aligned(4096))) = { 1, 2, 3 };
static u64 forgotten; /* its descriptor, without access flag */

static void map_upper_half(void)
{
	forgotten = (u64)page | ATTRIBUTES(1) | PXN | UXN | INNER_SHAREABLE | PAGE;
	level3[0] = forgotten;
	level2[0] = (u64)level3 | TABLE;
	upper[0] = NORMAL | SHARED | BLOCK;
	upper[1] = NORMAL | SHARED | USER | BLOCK;
	upper[2] = (NORMAL & ~ATTRIBUTES(7)) | ATTRIBUTES(2) | SHARED | BLOCK;
	upper[3] = (NORMAL & ~ATTRIBUTES(7)) | ATTRIBUTES(3) | SHARED | BLOCK;
	upper[4] = (NORMAL & ~ATTRIBUTES(7)) | ATTRIBUTES(0) | SHARED | BLOCK;
	upper[5] = NORMAL | ACCESSED | BLOCK; /* not shared */
	upper[6] = (NORMAL & ~ATTRIBUTES(7)) | ATTRIBUTES(4) | SHARED | BLOCK;
	upper[7] = 1UL << 40 | ATTRIBUTES(1) | SHARED | PXN | UXN | BLOCK;
	upper[8] = (u64)level2 | TABLE;
}

static bool has_pauth(void)
{
	return (read_reg(id_aa64isar1_el1) & 0xff000ff0UL) != 0;
}

static void set_keys(void)
{
	write_reg(S3_0_C2_C1_0, 0x0123456789abcdefUL); /* APIAKeyLo_EL1 */
	write_reg(S3_0_C2_C1_1, 0xfedcba9876543210UL);
	write_reg(S3_0_C2_C3_0, 0xa5a5a5a55a5a5a5aUL); /* APGAKeyLo_EL1 */
	write_reg(S3_0_C2_C3_1, 0x123443211234abcdUL);
}

static void set_up(void)
{
	u64 *lower = (u64 *)(read_reg(ttbr0_el1) & 0xfffffffff000UL);

	map_upper_half();
	lower[GUARDED >> 30] = lower[1] | GUARDED_PAGE;
	write_reg(mair_el1, read_reg(mair_el1) | MAIR_MORE);
	write_reg(ttbr1_el1, (u64)upper);
	write_reg(tcr_el1,
		  (read_reg(tcr_el1) & ~TCR_EPD1) | TCR_TTBR1 | (manage_access_flags ? TCR_HA : 0));
	if (has_pauth()) {
		set_keys();
		if (sign_pointers)
			write_reg(sctlr_el1, read_reg(sctlr_el1) | SCTLR_PAUTH);
	}
	dsb();
	asm volatile("tlbi vmalle1; dsb sy; isb" ::: "memory");
}

static void copy_code(void)
{
	for (u64 i = 0; i < code_size; i += 4)
		*(volatile u32 *)(code + i) = *(const u32 *)(words + i);
	for (u64 line = code; line < code + code_size; line += LINE)
		asm volatile("dc cvau, %0" ::"r"(line) : "memory");
	asm volatile("dsb ish" ::: "memory");
	for (u64 line = code; line < code + code_size; line += LINE)
		asm volatile("ic ivau, %0" ::"r"(line) : "memory");
	asm volatile("dsb ish; isb" ::: "memory");
}

/* The page is forgotten anew for each case that looks there. */
static void forget(void)
{
	if (*(volatile u64 *)level3 == forgotten)
		return;
	*(volatile u64 *)level3 = forgotten;
	asm volatile("dsb ish; tlbi vmalle1; dsb ish; isb" ::: "memory");
}

static void run_all(void)
{
	const struct start *start = (const struct start *)starts;
	struct outcome *outcome = (struct outcome *)outcomes;

	for (u64 i = 0; i < count; i++) {
		write_reg(par_el1, 0x1234UL);
		run_case(&start[i], &outcome[i]);
		outcome[i].accessed = *(volatile u64 *)level3;
		if (has_pauth()) {
			outcome[i].key[0] = read_reg(S3_0_C2_C3_0);
			outcome[i].key[1] = read_reg(S3_0_C2_C3_1);
		}
		forget();
	}
}

void guest_main(void)
{
	mmu_on();
	set_up();
	for (;;) {
		ready("cases");
		if (!*(volatile u64 *)&count)
			finish();
		copy_code();
		run_all();
		ready("native");
		run_all();
		ready("probed");
	}
}
