/* SPDX-License-Identifier: Apache-2.0 */
/* What the users of run_state have in common. */
#include "guest.h"

static u8 stack[8192] __attribute__((aligned(16)));

void state_prepare(struct state *state, u64 address)
{
	*state = (struct state){ 0 };
	for (u64 i = 0; i < 31; i++)
		state->x[i] = 0xa5a5000000000000 | i << 32 | (i * 0x01010101);
	state->x[0] = address;
	state->x[1] = 0x0123456789abcdef;
	state->x[2] = address + USER_ALIAS;
	state->x[3] = ~0UL;
	state->x[4] = 0;
	state->x[5] = 1;
	state->x[30] = (u64)state_capture;
	state->sp = (u64)stack + sizeof(stack) - 256;
	asm volatile(".arch armv8-a\n\t"
		     "fmov d0, %0; fmov d1, %1; mov v1.d[1], %0; fmov d2, %1; fmov d3, %0" ::"r"(
			     0x1111222233334444UL),
		     "r"(0x5555666677778888UL));
	write_reg(par_el1, 0UL);
	write_reg(elr_el1, 0UL);
	write_reg(spsr_el1, 0UL);
	write_reg(esr_el1, 0UL);
	write_reg(far_el1, 0UL);
}

void report_equal(const char *what, const char *name, const u64 *got, const u64 *want, u64 words)
{
	for (u64 i = 0; i < words; i++)
		if (got[i] != want[i]) {
			report(false, "%s %s: word %lu is 0x%lx, not 0x%lx", what, name, i, got[i],
			       want[i]);
			return;
		}
	report(true, "%s %s", what, name);
}
