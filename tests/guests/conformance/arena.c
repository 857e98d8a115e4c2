/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that cases work on, and further mappings of it that fault, or differ in a way that matters. */
#include "conformance.h"

#define TABLE 3UL
#define PAGE 3UL
#define ATTRIBUTES(index) ((u64)(index) << 2)
#define USER (1UL << 6)
#define READ_ONLY (1UL << 7)
#define INNER_SHAREABLE (3UL << 8)
#define ACCESSED (1UL << 10)
#define GUARDED (1UL << 50)
#define PXN (1UL << 53)
#define UXN (1UL << 54)
#define NORMAL (PAGE | ATTRIBUTES(1) | INNER_SHAREABLE | ACCESSED)
#define PAGE_SIZE 4096UL

#define MAIR_TAGGED (0xf0UL << 16)

#define TCR_EPD1 (1UL << 23)
/* As it is for TTBR0: 39 bits, walks through write-back inner-shareable caches, 4 KiB. */
#define TCR_TTBR1 (25UL << 16 | 1UL << 24 | 1UL << 26 | 3UL << 28 | 2UL << 30)

/* SCTLR_EL1: pointer authentication, EL0's cache maintenance, WFx, DAIF and CTR accesses. */
#define SCTLR_PAUTH (1UL << 31 | 1UL << 30 | 1UL << 27 | 1UL << 13)
#define SCTLR_EL0 (1UL << 26 | 1UL << 18 | 1UL << 16 | 1UL << 15 | 1UL << 14 | 1UL << 9)

u8 scratch[SCRATCH_SIZE] __attribute__((aligned(4096)));
/* The page behind it is for loads that reach beyond its end. */
u32 code_buffer[(CODE_PAGES + 1) * PAGE_SIZE / 4] __attribute__((aligned(8192)));

static u64 level2[512] __attribute__((aligned(4096)));
static u64 level3[512] __attribute__((aligned(4096)));
static u64 user_level2[512] __attribute__((aligned(4096)));
static u64 user_level3[512] __attribute__((aligned(4096)));

static void map_code(void)
{
	for (u64 i = 0; i < CODE_PAGES; i++) {
		u64 code = ((u64)code_buffer + i * PAGE_SIZE) | NORMAL | GUARDED | READ_ONLY;

		level3[ARENA_GUARDED + i] = code | UXN;
		level3[ARENA_USER_GUARDED + i] = code | USER | PXN;
	}
}

static void map_arena(void)
{
	u64 memory = (u64)scratch;

	level3[ARENA_READ_ONLY] = memory | NORMAL | READ_ONLY | PXN | UXN;
	level3[ARENA_USER_READ_ONLY] = memory | NORMAL | READ_ONLY | USER | PXN | UXN;
	level3[ARENA_DEVICE] = memory | PAGE | ATTRIBUTES(0) | ACCESSED | USER | PXN | UXN;
	level3[ARENA_NO_ACCESS_FLAG] = memory | (NORMAL & ~ACCESSED) | PXN | UXN;
	level3[ARENA_FAR] = RAM_BASE | NORMAL | PXN | UXN;
	level3[ARENA_FAR_CODE] = RAM_BASE | NORMAL | READ_ONLY;
	level3[ARENA_TAGGED] =
		memory | (NORMAL & ~ATTRIBUTES(7)) | ATTRIBUTES(2) | USER | PXN | UXN;
	level3[ARENA_TAGGED_HERE] = level3[ARENA_TAGGED] & ~USER;
	level3[ARENA_SCRATCH] = memory | NORMAL | PXN | UXN;
	level3[ARENA_SCRATCH_AARCH32] = memory | NORMAL | USER | PXN | UXN;
	user_level3[ARENA_SCRATCH] = memory | NORMAL | USER | PXN | UXN;
	map_code();
}

_Static_assert(ARENA_GUARDED + CODE_PAGES <= ARENA_USER_GUARDED, "one behind the other");
_Static_assert(ARENA_USER_GUARDED + CODE_PAGES < ARENA_SCRATCH, "and a page between them");

static bool has_pauth(void)
{
	return (read_reg(id_aa64isar1_el1) & 0xff000ff0UL) != 0;
}

/* Vectors as long as the CPU has them. */
static void enable_sve(void)
{
	if (!(read_reg(id_aa64pfr0_el1) >> 32 & 15))
		return;
	write_reg(cpacr_el1, read_reg(cpacr_el1) | 3UL << 16);
	isb();
	write_reg(S3_0_C1_C2_0, 0xfUL); /* ZCR_EL1 */
	isb();
}

static bool has_tags(void)
{
	return (read_reg(id_aa64pfr1_el1) >> 8 & 15) >= 2;
}

/* SCTLR_EL1: ATA, ATA0; TCF and TCF0: checked with a synchronous fault. */
#define SCTLR_TAGS (1UL << 43 | 1UL << 42 | SCTLR_TAG_CHECKS)
#define SCTLR_TAG_CHECKS (1UL << 40 | 1UL << 38)

void check_tags(bool on)
{
	u64 sctlr = read_reg(sctlr_el1);

	if (!has_tags())
		return;
	write_reg(sctlr_el1, on ? sctlr | SCTLR_TAG_CHECKS : sctlr & ~SCTLR_TAG_CHECKS);
	isb();
}

/* SCTLR_EL1: SA0, SA, A. */
#define SCTLR_ALIGNED (1UL << 4 | 1UL << 3 | 1UL << 1)

void check_alignment(bool on)
{
	u64 sctlr = read_reg(sctlr_el1);

	write_reg(sctlr_el1, on ? sctlr | SCTLR_ALIGNED : sctlr & ~SCTLR_ALIGNED);
	isb();
}

static void enable_tags(void)
{
	write_reg(tcr_el1, read_reg(tcr_el1) | 1UL << 37); /* TBI0 */
	write_reg(S3_0_C1_C0_6, 0UL);			   /* GCR_EL1: by the seed alone */
	isb();
}

#define GRANULE 16UL
#define SMALLEST_BLOCK 64UL

void set_tags(u64 seed)
{
	if (!has_tags())
		return;
	write_reg(S3_0_C1_C0_5, 1UL << 8); /* RGSR_EL1 */
	/* By blocks first: QEMU 7.2 keeps the tags of these in other places than those of single granules. */
	for (u64 offset = 0; offset < SCRATCH_SIZE; offset += SMALLEST_BLOCK)
		asm volatile("sys #3, c7, c4, #3, %0" /* DC GVA */
			     ::"r"(ARENA + ARENA_TAGGED_HERE * PAGE_SIZE + offset)
			     : "memory");
	for (u64 offset = 0; offset < SCRATCH_SIZE; offset += GRANULE) {
		register u64 tag asm("x0") = (seed >> offset / GRANULE % 48) % 3 << 56;
		register u64 address asm("x1") = ARENA + ARENA_TAGGED_HERE * PAGE_SIZE + offset;

		asm volatile(".inst 0xd9200820" ::"r"(tag), "r"(address)
			     : "memory"); /* STG x0, [x1] */
	}
	isb();
}

u64 sum_tags(void)
{
	u64 sum = 0;

	if (!has_tags())
		return 0;
	for (u64 offset = 0; offset < SCRATCH_SIZE; offset += GRANULE) {
		register u64 tag asm("x0") = 0;
		register u64 address asm("x1") = ARENA + ARENA_TAGGED_HERE * PAGE_SIZE + offset;

		asm volatile(".inst 0xd9600020"
			     : "+r"(tag)
			     : "r"(address)
			     : "memory"); /* LDG x0, [x1] */
		sum = sum * 31 + (tag >> 56);
	}
	return sum;
}

static void set_keys(void)
{
	write_reg(S3_0_C2_C1_0, 0x0123456789abcdefUL); /* APIAKeyLo_EL1 */
	write_reg(S3_0_C2_C1_1, 0xfedcba9876543210UL);
	write_reg(S3_0_C2_C1_2, 0x1357924680abcdefUL); /* APIBKeyLo_EL1 */
	write_reg(S3_0_C2_C1_3, 0x2468013579bdf0eaUL);
	write_reg(S3_0_C2_C2_0, 0x00112233ffeeddccUL); /* APDAKeyLo_EL1 */
	write_reg(S3_0_C2_C2_1, 0x4455667788776655UL);
	write_reg(S3_0_C2_C2_2, 0x99aabbccddeeff00UL); /* APDBKeyLo_EL1 */
	write_reg(S3_0_C2_C2_3, 0x0f1e2d3c4b5a6978UL);
	write_reg(S3_0_C2_C3_0, 0xa5a5a5a55a5a5a5aUL); /* APGAKeyLo_EL1 */
	write_reg(S3_0_C2_C3_1, 0x123443211234abcdUL);
}

void arena_init(void)
{
	u64 *level1 = (u64 *)(read_reg(ttbr0_el1) & 0xfffffffff000UL);
	u64 sctlr = read_reg(sctlr_el1) | SCTLR_EL0;

	map_arena();
	enable_sve();
	level2[0] = (u64)level3 | TABLE;
	level1[ARENA >> 30] = (u64)level2 | TABLE;
	user_level2[0] = (u64)user_level3 | TABLE;
	level1[(ARENA + USER_ALIAS) >> 30] = (u64)user_level2 | TABLE;
	write_reg(mair_el1, read_reg(mair_el1) | MAIR_TAGGED);
	/* All of it once more in the upper half, where kernels are. */
	write_reg(ttbr1_el1, read_reg(ttbr0_el1));
	write_reg(tcr_el1, (read_reg(tcr_el1) & ~TCR_EPD1) | TCR_TTBR1);
	if (has_pauth()) {
		set_keys();
		sctlr |= SCTLR_PAUTH;
	}
	if (has_tags()) {
		enable_tags();
		sctlr |= SCTLR_TAGS;
	}
	write_reg(sctlr_el1, sctlr);
	dsb();
	asm volatile("tlbi vmalle1; dsb sy; isb" ::: "memory");
}
