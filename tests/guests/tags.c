/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads through pointers with and without the right allocation tag (FEAT_MTE2), while tag checks are off, and while one
 * that fails is an exception. The values must be those of the bare machine.
 */
#include "guest.h"

#define BLOCK 1UL
#define TAGGED (2UL << 2) /* attribute 2 */
#define SHARED_ACCESSED (3UL << 8 | 1UL << 10)
#define NEVER_EXECUTED (3UL << 53)
#define MAIR_TAGGED (0xf0UL << 16)
/* TTBR1: 39 bits, 4 KiB, cached and shared walks, the top byte ignored. */
#define TCR_UPPER (25UL << 16 | 1UL << 24 | 1UL << 26 | 3UL << 28 | 2UL << 30 | 1UL << 38)
#define TCR_EPD1 (1UL << 23)
#define SCTLR_ATA (1UL << 43)
#define SCTLR_TCF_EXCEPTION (1UL << 40)
#define TAG_CHECKS_ON 0UL /* PSTATE.TCO */
#define UPPER_BASE 0xffffff8000000000UL
#define TAG(n) ((u64)(n) << 56)

u64 tagged_load(u64 address, u64 unused);
void set_tag(u64 pointer);

static u64 upper[512] __attribute__((aligned(4096)));
static u64 data[2] __attribute__((aligned(16))) = { 0x1122334455667788, 0 };

static void tagged_half(void)
{
	upper[1] = RAM_BASE | TAGGED | SHARED_ACCESSED | NEVER_EXECUTED | BLOCK;
	write_reg(mair_el1, read_reg(mair_el1) | MAIR_TAGGED);
	write_reg(ttbr1_el1, (u64)upper);
	write_reg(tcr_el1, (read_reg(tcr_el1) & ~TCR_EPD1) | TCR_UPPER);
	write_reg(S3_3_C4_C2_7, TAG_CHECKS_ON);
	dsb();
	asm volatile("tlbi vmalle1; dsb sy; isb" ::: "memory");
}

static void check_tags(u64 bits)
{
	write_reg(sctlr_el1, SCTLR_ON | SCTLR_ATA | bits);
	isb();
}

static u64 pointer(u64 tag)
{
	u64 address = UPPER_BASE + (u64)data;

	return (address & ~TAG(15)) | TAG(tag);
}

/* What was loaded; for an exception its syndrome, with bit 63. */
static u64 outcome(u64 tag)
{
	const struct caught *caught = attempt(tagged_load, pointer(tag), 0, NULL);

	return caught ? caught->frame.esr | 1UL << 63 : tagged_load(pointer(tag), 0);
}

void guest_main(void)
{
	mmu_on();
	tagged_half();
	check_tags(0);
	set_tag(pointer(5));
	ready("arm");
	value("off-right", outcome(5));
	value("off-wrong", outcome(3));
	ready("checked");
	check_tags(SCTLR_TCF_EXCEPTION);
	value("on-right", outcome(5));
	value("on-wrong", outcome(3));
	check_tags(0);
	ready("done");
	finish();
}
