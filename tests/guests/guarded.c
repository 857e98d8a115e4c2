/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls through registers in guarded pages, where each must lead to a landing pad, under timer interrupts:
 * many of them come between a call and its landing pad. Then one call more without interrupts, and one at EL0.
 */
#include "guest.h"

#define ALIAS 0x140000000UL	   /* the page of the calls once more, guarded, */
#define USER_GUARDED 0x180000000UL /* and for EL0 */
#define LEAVES 8

/* Patched by the test. */
PATCHED u64 least_interrupts = 0;
PATCHED u64 spread = 0x3fff; /* counter ticks between two interrupts, at most, as a mask */

u64 guarded_call(u64 number);
extern u8 guarded_done[];

static u64 interrupts;
static u8 user_stack[256] __attribute__((aligned(16)));

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

static void guard_aliases(void)
{
	u64 page = (u64)guarded_call & ~(page_size() - 1);

	map_page(mmu_root, page + ALIAS, page, MAP_NORMAL | MAP_GUARDED | MAP_UXN);
	map_page(mmu_root, page + USER_GUARDED, page,
		 MAP_NORMAL | MAP_GUARDED | MAP_USER | MAP_READ_ONLY | MAP_PXN);
}

static u64 call(u64 number)
{
	return ((u64 (*)(u64))((u64)guarded_call + ALIAS))(number);
}

static u64 call_at_el0(void)
{
	struct state state;

	state_prepare(&state, 0);
	write_reg(sp_el0, (u64)user_stack + sizeof(user_stack) + USER_ALIAS);
	state.x[30] = (u64)guarded_done + USER_GUARDED;
	run_state(&state, (u64)guarded_call + USER_GUARDED, PSTATE_EL0);
	report(state.vector == VECTOR_SYNC_EL0 && EC(state.esr) == EC_SVC64, "ends by an SVC");
	return state.x[0];
}

void guest_main(void)
{
	u64 calls = 0, number = 0;

	mmu_on();
	guard_aliases();
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
	ready("user");
	report(call_at_el0() == LEAVES, "at EL0");
	finish();
}
