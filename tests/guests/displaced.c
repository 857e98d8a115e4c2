/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs every case of displaced_cases.S without a probe, with one, and again without: the whole state after
 * it must be the same. The test arms and disarms in between.
 */
#include "guest.h"

#define BUFFER_SIZE 512
#define MAX_CASES 320
#define SGI 2
#define MDSCR_SS_KDE 0x2001UL
#define MDSCR_MDE_KDE 0xa000UL
#define PSTATE_D (1UL << 9)
#define PSTATE_SS (1UL << 21)
/* DBGBCR: enabled, at EL1, all four bytes. DBGWCR: enabled, at EL1, loads and stores, all eight bytes. */
#define BREAKPOINT_AT_EL1 0x1e3UL
#define WATCHPOINT_AT_EL1 0x1ffbUL

enum { WITHOUT_OWN_STEPS_AT_EL1 = 1 };

/* Patched by the test: leave out cases in which the guest itself steps. */
PATCHED u64 left_out = 0;

struct test_case {
	const char *name;
	u64 code;
	u64 pstate;
	u64 irq;
};

struct outcome {
	struct state state;
	u64 irqs;
	u64 irq_pc;
	u64 irq_pstate;
	u64 memory;
};

extern const struct test_case cases[], cases_end[];
extern u8 probe_guest_breakpoint[], breakpoint_behind[];

static u8 buffer[BUFFER_SIZE] __attribute__((aligned(BUFFER_SIZE)));
static struct outcome expected[MAX_CASES];
static u64 irqs, irq_pc, irq_pstate;

void on_irq(struct frame *frame)
{
	u32 intid = gic_acknowledge();

	irqs++;
	irq_pc = frame->pc;
	irq_pstate = frame->pstate;
	if (intid < INTID_SPURIOUS - 3)
		gic_end(intid);
}

static u64 checksum(void)
{
	u64 sum = 0xcbf29ce484222325;

	for (u32 i = 0; i < BUFFER_SIZE; i++)
		sum = (sum ^ buffer[i]) * 0x100000001b3;
	return sum;
}

/* For the cases with debug exceptions unmasked: what the guest has armed for itself. */
static void prepare_debug(const struct test_case *test)
{
	bool stepping = (test->pstate & PSTATE_SS) != 0;

	write_reg(dbgbvr0_el1, (u64)probe_guest_breakpoint);
	write_reg(dbgbvr1_el1, (u64)breakpoint_behind);
	write_reg(dbgwvr0_el1, (u64)buffer + BUFFER_SIZE / 2);
	if (!(test->pstate & PSTATE_D)) {
		write_reg(dbgbcr0_el1, BREAKPOINT_AT_EL1);
		write_reg(dbgbcr1_el1, BREAKPOINT_AT_EL1);
		write_reg(dbgwcr0_el1, WATCHPOINT_AT_EL1);
		write_reg(mdscr_el1, stepping ? MDSCR_SS_KDE : MDSCR_MDE_KDE);
	}
	isb();
}

static void clear_debug(void)
{
	write_reg(mdscr_el1, 0UL);
	write_reg(dbgbcr0_el1, 0UL);
	write_reg(dbgbcr1_el1, 0UL);
	write_reg(dbgwcr0_el1, 0UL);
	isb();
}

static void prepare_machine(const struct test_case *test)
{
	for (u32 i = 0; i < BUFFER_SIZE; i++)
		buffer[i] = (u8)(i * 7 + 0x83);
	irqs = irq_pc = irq_pstate = 0;
	if (test->irq)
		gic_send(SGI, 0);
	prepare_debug(test);
}

/* What a case has left pending or active must not reach the next one. */
static void drain_interrupts(void)
{
	for (u32 intid = gic_acknowledge(); intid < INTID_SPURIOUS - 3; intid = gic_acknowledge())
		gic_end(intid);
}

static bool is_left_out(const struct test_case *test)
{
	return left_out == WITHOUT_OWN_STEPS_AT_EL1 && (test->pstate & PSTATE_SS);
}

static void run(const struct test_case *test, struct outcome *outcome)
{
	if (is_left_out(test))
		return;
	state_prepare(&outcome->state, (u64)buffer + BUFFER_SIZE / 2);
	prepare_machine(test);
	run_state(&outcome->state, test->code, test->pstate);
	clear_debug();
	outcome->irqs = irqs;
	outcome->irq_pc = irq_pc;
	outcome->irq_pstate = irq_pstate;
	outcome->memory = checksum();
	this_cpu()->state = NULL;
	drain_interrupts();
}

static void compare(const char *pass, const struct test_case *test, const struct outcome *want)
{
	struct outcome got;

	if (is_left_out(test))
		return;
	run(test, &got);
	report_equal(pass, test->name, (u64 *)&got, (const u64 *)want, sizeof(got) / 8);
}

static void compare_all(const char *pass)
{
	for (const struct test_case *test = cases; test < cases_end; test++)
		compare(pass, test, &expected[test - cases]);
}

static void print_outcome(const struct test_case *test, const struct outcome *outcome)
{
	print("CASE: %s vector 0x%lx esr 0x%lx pc 0x%lx irqs %lu", test->name,
	      outcome->state.vector, outcome->state.esr, outcome->state.pc, outcome->irqs);
}

void guest_main(void)
{
	mmu_on();
	gic_init();
	write_reg(oslar_el1, 0UL);
	isb();
	for (const struct test_case *test = cases; test < cases_end; test++) {
		run(test, &expected[test - cases]);
		if (!is_left_out(test))
			print_outcome(test, &expected[test - cases]);
	}
	compare_all("repeated");
	ready("recorded");
	compare_all("probed");
	ready("probed");
	compare_all("disarmed");
	finish();
}
