/* SPDX-License-Identifier: Apache-2.0 */
/* The guest debugs itself: breakpoints, watchpoints and single steps on code that may be probed. */
#include "fuzz.h"

#define MDSCR_SS (1UL << 0)
#define MDSCR_KDE (1UL << 13)
#define MDSCR_MDE (1UL << 15)
/* Enabled, at EL1 and EL0: all bytes; loads and stores of eight bytes. */
#define BREAKPOINT 0x1e7UL
#define WATCHPOINT 0x1fffUL

static void debug_off(void)
{
	write_reg(mdscr_el1, 0UL);
	write_reg(dbgbcr0_el1, 0UL);
	write_reg(dbgwcr0_el1, 0UL);
	isb();
}

static void watch(u64 address)
{
	write_reg(dbgwvr0_el1, address & ~7UL);
	write_reg(dbgwcr0_el1, WATCHPOINT);
}

static void break_at(u64 address)
{
	write_reg(dbgbvr0_el1, address);
	write_reg(dbgbcr0_el1, BREAKPOINT);
}

static void debug_on(u64 mdscr)
{
	write_reg(mdscr_el1, mdscr);
	isb();
}

/* At EL1. PSTATE.D is as before again when the call has ended. */
static void debug_kernel(struct worker *w)
{
	struct site *site = plain_site(w);

	if (one_in(w, 2))
		break_at(site->address);
	else
		watch(w->regs.x[0]);
	debug_on(MDSCR_MDE | (one_in(w, 4) ? 0 : MDSCR_KDE));
	if (!one_in(w, 4))
		asm volatile("msr daifclr, #8" ::: "memory");
	visit(w, site, 0);
	asm volatile("msr daifset, #8" ::: "memory");
}

static void debug_user(struct worker *w)
{
	struct site *site = user_site(w);

	w->regs.x[0] += USER_ALIAS;
	if (!one_in(w, 8)) {
		break_at(site->address + USER_ALIAS);
		debug_on(MDSCR_MDE);
	} else {
		enter_pstate[w->index] = PSTATE_USER_MASKED | PSTATE_SS;
		debug_on(MDSCR_SS);
	}
	visit(w, site, USER_ALIAS);
}

/* What is written is read again. */
static void debug_registers(struct worker *w)
{
	u64 address = draw(w) & 0xfffffffffffcUL;

	write_reg(dbgbvr0_el1, address);
	write_reg(dbgwvr0_el1, address);
	write_reg(dbgbcr0_el1, BREAKPOINT & ~1UL);
	mix(w, read_reg(dbgbvr0_el1));
	mix(w, read_reg(dbgwvr0_el1));
	mix(w, read_reg(dbgbcr0_el1));
	write_reg(mdscr_el1, one_in(w, 2) ? MDSCR_KDE : 0);
	mix(w, read_reg(mdscr_el1));
	mix(w, read_reg(mdccsr_el0));
}

void act_debug(struct worker *w)
{
	draw_regs(w);
	w->regs.x[0] = arena_address(w, PAGE_DATA) + 64 + 8 * below(w, 64);
	enter_pstate[w->index] = PSTATE_USER_MASKED;
	switch (below(w, 3)) {
	case 0:
		debug_registers(w);
		break;
	case 1:
		debug_user(w);
		break;
	default:
		debug_kernel(w);
	}
	debug_off();
}
