/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debugs itself in states that mask debug exceptions and in states that do not, and prints what it saw:
 * one line for each exception. Whoever debugs it meanwhile must not change a line.
 */
#include "guest.h"

#define MAX_CASES 64
#define MAX_STOPS 6
#define LOG_ENTRIES 32
#define BUFFER_SIZE 256
#define PSTATE_D (1UL << 9)
#define PSTATE_SS (1UL << 21)
/* DBGBCR: enabled, at EL1 and EL0, all four bytes. DBGWCR: likewise, loads and stores, eight bytes. */
#define BREAKPOINT 0x1e7UL
#define WATCHPOINT 0x1fffUL

enum { EC_SVC = 0x15, EC_BREAKPOINT = 0x30, EC_STEP = 0x32, EC_WATCHPOINT = 0x34, EC_BRK = 0x3c };
/* What the handler does about a debug exception; EC is that of "from a lower level". */
enum { MASK = 1, DISABLE = 2, STEP = 4 };
enum { WATCH_NOTHING, WATCH, WATCH_USER };
enum { CALL_END, CALL_NOTHING, CALL_REARM, CALL_LOCK, CALL_UNLOCK, CALL_MDSCR };

struct test_case {
	const char *name;
	u64 code;
	u64 pstate;
	u64 mdscr;
	u64 policy;
	u64 watch;   /* the buffer is watched: at its own address, or where EL0 has it */
	u64 vectors; /* whether there are breakpoints on the vectors, too */
	const u64 *stops;
};

struct entry {
	u64 vector, esr, pc, pstate, far;
};

struct outcome {
	u64 count;
	struct entry entries[LOG_ENTRIES];
	u64 x[3]; /* x6 to x8 at its end */
};

extern const struct test_case cases[], cases_end[];
extern u8 recover[];
void anchor(void);

static u8 buffer[BUFFER_SIZE] __attribute__((aligned(BUFFER_SIZE)));
static struct outcome outcomes[MAX_CASES];
static const struct test_case *test;
static struct outcome *outcome;

#define EACH_BREAKPOINT(X) X(0) X(1) X(2) X(3) X(4) X(5)

static void set_breakpoint(u64 number, u64 address, u64 control)
{
	switch (number) {
#define WRITE(n)                                                                                   \
	case n:                                                                                    \
		write_reg(dbgbvr##n##_el1, address);                                               \
		write_reg(dbgbcr##n##_el1, control);                                               \
		break;
		EACH_BREAKPOINT(WRITE)
	}
}

static u64 stop_count(void)
{
	return (u64)(test[1].stops - test->stops);
}

static void arm(void)
{
	u64 vbar = read_reg(vbar_el1);

	for (u64 i = 0; i < MAX_STOPS; i++)
		set_breakpoint(i, i < stop_count() ? test->stops[i] : 0,
			       i < stop_count() ? BREAKPOINT : 0);
	if (test->vectors) {
		set_breakpoint(4, vbar + VECTOR_SYNC_EL1, BREAKPOINT);
		set_breakpoint(5, vbar + VECTOR_SYNC_EL0, BREAKPOINT);
	}
	write_reg(dbgwvr0_el1, (u64)buffer + (test->watch == WATCH_USER ? USER_ALIAS : 0));
	write_reg(dbgwcr0_el1, test->watch ? WATCHPOINT : 0UL);
	isb();
}

static void disarm(void)
{
	write_reg(osdlr_el1, 0UL);
	write_reg(oslar_el1, 0UL);
	write_reg(mdscr_el1, 0UL);
	for (u64 i = 0; i < MAX_STOPS; i++)
		set_breakpoint(i, 0, 0);
	write_reg(dbgwcr0_el1, 0UL);
	isb();
}

static void end_case(struct frame *frame)
{
	for (u32 i = 0; i < 3; i++)
		outcome->x[i] = frame->x[6 + i];
	frame->x[0] = 1;
	frame->pc = (u64)recover;
	frame->pstate = PSTATE_EL1H;
}

static void serve_call(struct frame *frame, u64 number)
{
	switch (number) {
	case CALL_END:
		end_case(frame);
		break;
	case CALL_REARM:
		arm();
		break;
	case CALL_LOCK:
		write_reg(osdlr_el1, 1UL);
		break;
	case CALL_UNLOCK:
		write_reg(osdlr_el1, 0UL);
		break;
	case CALL_MDSCR:
		write_reg(mdscr_el1, frame->x[8]);
		break;
	}
	isb();
}

static void disable(const struct frame *frame, u64 class)
{
	if (class == EC_WATCHPOINT)
		write_reg(dbgwcr0_el1, 0UL);
	for (u64 i = 0; i < stop_count(); i++)
		if (class == EC_BREAKPOINT && test->stops[i] == frame->pc)
			set_breakpoint(i, 0, 0);
	isb();
}

static void serve_debug(struct frame *frame, u64 class)
{
	if (class == EC_STEP && (test->policy & STEP))
		frame->pstate |= PSTATE_SS;
	else if (test->policy & DISABLE)
		disable(frame, class);
	else if (test->policy & MASK)
		frame->pstate |= PSTATE_D;
	else
		end_case(frame);
}

static void note(u64 vector, const struct frame *frame, bool has_far)
{
	outcome->entries[outcome->count++] =
		(struct entry){ vector, frame->esr, frame->pc, frame->pstate,
				has_far ? frame->far : 0 };
}

bool on_exception(u64 vector, struct frame *frame)
{
	u64 class = EC(frame->esr);
	u64 any_level = class & ~1UL;

	if (!outcome)
		return false;
	if (outcome->count == LOG_ENTRIES) {
		end_case(frame);
		return true;
	}
	note(vector, frame, any_level == EC_WATCHPOINT);
	if (class == EC_SVC)
		serve_call(frame, frame->esr & 0xffff);
	else if (class == EC_BRK)
		frame->pc += 4;
	else if (any_level >= EC_BREAKPOINT && any_level <= EC_WATCHPOINT)
		serve_debug(frame, any_level);
	else
		end_case(frame);
	return true;
}

static void run(void)
{
	struct state state;

	state_prepare(&state, (u64)buffer);
	arm();
	write_reg(mdscr_el1, test->mdscr);
	isb();
	run_state(&state, test->code, test->pstate);
	disarm();
}

/* PC as an offset in the case's code: two cases may be the same but for their registers. */
static void print_entry(u64 number, const struct entry *entry)
{
	u64 offset = (entry->pc - test->code) & ~USER_ALIAS;

	print("CASE: %s %lu vector 0x%lx esr 0x%lx offset 0x%lx pstate 0x%lx far 0x%lx", test->name,
	      number, entry->vector, entry->esr, offset, entry->pstate, entry->far);
}

static void print_outcome(void)
{
	for (u64 i = 0; i < outcome->count; i++)
		print_entry(i, &outcome->entries[i]);
	print("CASE: %s ends x6 0x%lx x7 0x%lx x8 0x%lx", test->name, outcome->x[0], outcome->x[1],
	      outcome->x[2]);
}

void guest_main(void)
{
	mmu_on();
	gic_init();
	disarm();
	ready("start");
	anchor();
	for (test = cases; test < cases_end; test++) {
		outcome = &outcomes[test - cases];
		run();
	}
	outcome = NULL;
	ready("done");
	for (test = cases; test < cases_end; test++) {
		outcome = &outcomes[test - cases];
		print_outcome();
	}
	finish();
}
