/* SPDX-License-Identifier: Apache-2.0 */
#include "own_step.h"

#include "arch_gen.h"
#include "guest_state.h"
#include "sysreg.h"
#include "vcpu.h"

/* EL2h, interrupts masked, debug exceptions not. */
#define PSTATE_STEPPED (9UL | SPSR_ELx_A | SPSR_ELx_I | SPSR_ELx_F | SPSR_ELx_SS)

u64 own_step_call(u64 argument, u64 (*routine)(u64), u64 pstate);
void own_step(struct frame *frame);
extern u8 own_step_return[];

static u64 *trail;
static u64 trail_room;

/* Something with a loop, a call's worth of arithmetic and both outcomes of a branch: bits set in a number. */
static u64 __attribute__((noinline)) routine(u64 number)
{
	u64 count = 0;

	for (; number; number >>= 1)
		if (number & 1)
			count++;
	return count;
}

/* From the vector: one instruction of ours is done. */
void own_step(struct frame *frame)
{
	u64 place = trail[0];

	if (place < trail_room)
		trail[place + 1] = frame->pc;
	trail[0]++;
	if (frame->pc == (u64)own_step_return) {
		frame->pstate |= SPSR_ELx_D;
		frame->pstate &= ~SPSR_ELx_SS;
		write_sysreg(mdscr_el1, 0);
		return;
	}
	frame->pstate |= SPSR_ELx_SS;
}

u64 own_step_run(u64 argument, u64 *steps, u64 room, u64 *free)
{
	u64 mdscr = read_sysreg(mdscr_el1);
	u64 mdcr = read_sysreg(mdcr_el2);
	u64 result;

	*free = routine(argument);
	trail = steps;
	trail_room = room - 1;
	trail[0] = 0;
	write_sysreg(mdcr_el2, mdcr_value_stepping());
	write_sysreg(mdscr_el1, MDSCR_EL1_SS | MDSCR_EL1_KDE);
	isb();
	result = own_step_call(argument, routine, PSTATE_STEPPED);
	write_sysreg(mdscr_el1, mdscr);
	write_sysreg(mdcr_el2, mdcr);
	isb();
	return result;
}
