/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary point register of the CPU interface gets a value; then an SGI comes and is acknowledged, and another one that
 * is more urgent. What is read back, and what was taken.
 */
#include "guest.h"

/* Patched by the test. */
PATCHED u64 group = 1;
PATCHED u64 written = 0;

#define FIRST 2
#define URGENT 3

static void raise(u32 intid, u8 priority)
{
	gic_set_priority(intid, priority);
	gic_send(intid, 0);
	for (u64 start = read_reg(cntvct_el0);
	     !(read_reg(isr_el1) & 0x80) &&
	     read_reg(cntvct_el0) - start < read_reg(cntfrq_el0) / 16;)
		;
}

static u32 acknowledge(void)
{
	u32 intid = gic_acknowledge();

	if (intid < INTID_SPURIOUS)
		gic_end(intid);
	return intid;
}

void guest_main(void)
{
	mmu_on();
	gic_init();
	if (group)
		write_reg(S3_0_C12_C12_3, written); /* ICC_BPR1_EL1 */
	else
		write_reg(S3_0_C12_C8_3, written); /* ICC_BPR0_EL1 */
	isb();
	ready("written");
	value("read", group ? read_reg(S3_0_C12_C12_3) : read_reg(S3_0_C12_C8_3));
	raise(FIRST, 0xa0);
	value("first", acknowledge());
	raise(URGENT, 0x10);
	value("urgent", acknowledge());
	finish();
}
