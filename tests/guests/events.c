/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest whose every monitor event is known in advance. At each checkpoint the test says which piece of code comes
 * next; the state before and after it is printed.
 */
#include "guest.h"

#define MDSCR_KDE (1UL << 13)
#define MDSCR_MDE (1UL << 15)
#define BCR_ENABLE 1UL
#define BCR_EL1 (1UL << 1)
#define BCR_EL0 (2UL << 1)
#define BCR_BYTES (0xfUL << 5)
#define WCR_LOAD (1UL << 3)
#define WCR_BYTES (0xffUL << 5)
#define PSTATE_DEBUG 0x1c5 /* EL1h, debug exceptions unmasked */
#define SP_EL0_VALUE 0x1122334455667780UL
#define TTBR1_VALUE 0x7654321000UL

/* Written by the test, in memory, while this waits. */
PATCHED volatile u64 chosen = 0;

#define PIECE(name, mode) { #name, piece_##name, at_##name, mode }

extern u8 piece_hvc[], piece_smc[], piece_brk[], piece_breakpoint[], piece_watchpoint[];
extern u8 piece_undefined[], piece_user_brk[], piece_user_breakpoint[], piece_steps[];
extern u8 at_hvc[], at_smc[], at_brk[], at_breakpoint[], at_watchpoint[], at_undefined[];
extern u8 at_user_brk[], at_user_breakpoint[], at_steps[];

struct piece {
	const char *name;
	u8 *code;
	u8 *at;
	u64 pstate;
};

static const struct piece pieces[] = {
	{ "end", NULL, NULL, 0 },
	PIECE(hvc, PSTATE_EL1H),
	PIECE(smc, PSTATE_EL1H),
	PIECE(brk, PSTATE_EL1H),
	PIECE(breakpoint, PSTATE_DEBUG),
	PIECE(watchpoint, PSTATE_DEBUG),
	PIECE(undefined, PSTATE_EL1H),
	PIECE(user_brk, PSTATE_EL0),
	PIECE(user_breakpoint, PSTATE_EL0),
	PIECE(steps, PSTATE_EL1H),
};

static u64 watched[2] __attribute__((aligned(16)));

struct system_registers {
	u64 sp_el0, ttbr0, ttbr1, tcr, vbar;
};

static struct system_registers read_system(void)
{
	return (struct system_registers){
		.sp_el0 = read_reg(sp_el0),
		.ttbr0 = read_reg(ttbr0_el1),
		.ttbr1 = read_reg(ttbr1_el1),
		.tcr = read_reg(tcr_el1),
		.vbar = read_reg(vbar_el1),
	};
}

static void write_system(const struct system_registers *r)
{
	write_reg(ttbr0_el1, r->ttbr0);
	write_reg(ttbr1_el1, r->ttbr1);
	write_reg(tcr_el1, r->tcr);
	write_reg(vbar_el1, r->vbar);
	isb();
}

static void print_word(const char *when, const char *name, u64 number)
{
	print("VALUE: %s.%s 0x%lx", when, name, number);
}

static void print_state(const char *when, const struct state *state,
			const struct system_registers *system)
{
	for (u64 i = 0; i < 31; i++)
		print("VALUE: %s.x%lu 0x%lx", when, i, state->x[i]);
	print_word(when, "sp", state->sp);
	print_word(when, "nzcv", state->nzcv);
	print_word(when, "daif", state->daif);
	print_word(when, "vector", state->vector);
	print_word(when, "pc", state->pc);
	print_word(when, "pstate", state->pstate);
	print_word(when, "esr", state->esr);
	print_word(when, "sp_el0", system->sp_el0);
	print_word(when, "ttbr0", system->ttbr0);
	print_word(when, "ttbr1", system->ttbr1);
	print_word(when, "tcr", system->tcr);
	print_word(when, "vbar", system->vbar);
}

/* Hardware breakpoints on the pieces that are meant to meet one; a watchpoint on `watched`. */
static void debug_self(void)
{
	write_reg(oslar_el1, 0UL);
	write_reg(dbgbvr0_el1, (u64)at_breakpoint);
	write_reg(dbgbcr0_el1, BCR_ENABLE | BCR_EL1 | BCR_BYTES);
	write_reg(dbgbvr1_el1, (u64)at_user_breakpoint + USER_ALIAS);
	write_reg(dbgbcr1_el1, BCR_ENABLE | BCR_EL0 | BCR_BYTES);
	write_reg(dbgwvr0_el1, (u64)watched);
	write_reg(dbgwcr0_el1, BCR_ENABLE | BCR_EL1 | WCR_LOAD | WCR_BYTES);
	write_reg(mdscr_el1, MDSCR_KDE | MDSCR_MDE);
	isb();
}

static void play(const struct piece *piece)
{
	bool user = piece->pstate == PSTATE_EL0;
	u64 offset = user ? USER_ALIAS : 0;
	struct system_registers system, after;
	struct state state;

	state_prepare(&state, (u64)watched);
	/* A call that no firmware knows. */
	if (piece->at == at_smc)
		state.x[0] = 0x8600ff01;
	write_reg(sp_el0, SP_EL0_VALUE);
	write_reg(ttbr1_el1, TTBR1_VALUE);
	system = read_system();
	print_state("before", &state, &system);
	print_word("before", "at", (u64)piece->at + offset);
	ready("piece");
	run_state(&state, (u64)piece->code + offset, piece->pstate);
	this_cpu()->state = NULL;
	after = read_system();
	write_system(&system);
	print_state("after", &state, &after);
}

void guest_main(void)
{
	mmu_on();
	debug_self();
	for (;;) {
		ready("choose");
		if (!chosen || chosen >= sizeof(pieces) / sizeof(pieces[0]))
			break;
		play(&pieces[chosen]);
	}
	finish();
}
