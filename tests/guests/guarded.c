/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls through registers in guarded pages, where each must lead to a landing pad, under timer interrupts:
 * many of them come between a call and its landing pad. Then one call more, without interrupts.
 */
#include "guest.h"

#define GUARDED (1UL << 50)
#define ALIAS 0x40000000UL /* RAM once more, one gigabyte up */
#define ALIAS_ENTRY 2
#define LEAVES 8

/* Patched by the test. */
PATCHED u64 least_interrupts = 0;
PATCHED u64 spread = 0x3fff; /* counter ticks between two interrupts, at most, as a mask */

u64 guarded_call(u64 number);

static u64 interrupts;

void on_irq(struct frame *frame)
{
	static u64 seed = 1;
	u32 intid = gic_acknowledge();

	(void)frame;
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	if (intid == INTID_VIRTUAL_TIMER)
		timer_at(read_reg(cntvct_el0) + 2000 + (seed >> 33 & spread));
	if (intid != INTID_SPURIOUS)
		gic_end(intid);
	store_release(&interrupts, interrupts + 1);
}

static void guard_alias(void)
{
	u64 *table = (u64 *)(read_reg(ttbr0_el1) & 0xfffffffff000UL);

	table[ALIAS_ENTRY] |= GUARDED;
	dsb();
	asm volatile("tlbi vmalle1; dsb sy; isb" ::: "memory");
}

static u64 call(u64 number)
{
	return ((u64 (*)(u64))((u64)guarded_call + ALIAS))(number);
}

void guest_main(void)
{
	u64 calls = 0, number = 0;

	mmu_on();
	guard_alias();
	gic_init();
	ready("start");
	timer_at(read_reg(cntvct_el0) + 100000);
	irq_unmask();
	while (load_acquire(&interrupts) < least_interrupts) {
		number = call(number);
		calls++;
	}
	irq_mask();
	timer_off();
	report(number == LEAVES * calls, "%lu calls counted %lu", calls, number);
	ready("counted");
	report(call(0) == LEAVES, "one more");
	finish();
}
