/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance.h"

#define SGI 2
#define STATE_WORDS (sizeof(struct machine_state) / 8)
#define LINE 16UL /* no implementation has shorter cache lines */

struct outcome outcomes[2];
/* Aligned to its size, as run.S wants it. */
static u64 debug_log[LOG_ENTRIES][2] __attribute__((aligned(LOG_ENTRIES * 16)));

static u64 *memory_words(void)
{
	return (u64 *)scratch;
}

static void fill_memory(u64 seed)
{
	u64 *word = memory_words();

	for (u64 i = 0; i < SCRATCH_SIZE / 8; i++) {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		word[i] = seed ^ seed >> 29;
	}
}

static void write_code(const struct test_case *test)
{
	u32 *code = code_buffer + test->offset / 4;

	for (u64 i = 0; i < test->count && i < MAX_WORDS; i++)
		*(volatile u32 *)&code[i] = test->words[i];
	for (u64 line = (u64)code & ~(LINE - 1); line < (u64)(code + test->count); line += LINE)
		asm volatile("dc cvau, %0" ::"r"(line) : "memory");
	asm volatile("dsb ish" ::: "memory");
	for (u64 line = (u64)code & ~(LINE - 1); line < (u64)(code + test->count); line += LINE)
		asm volatile("ic ivau, %0" ::"r"(line) : "memory");
	asm volatile("dsb ish; isb" ::: "memory");
}

static void set_debug(const struct test_case *test)
{
	write_reg(dbgbvr0_el1, test->breakpoint[0][0]);
	write_reg(dbgbcr0_el1, test->breakpoint[0][1]);
	write_reg(dbgbvr1_el1, test->breakpoint[1][0]);
	write_reg(dbgbcr1_el1, test->breakpoint[1][1]);
	write_reg(dbgwvr0_el1, test->watchpoint[0]);
	write_reg(dbgwcr0_el1, test->watchpoint[1]);
	write_reg(mdscr_el1, test->mdscr);
	write_reg(oslar_el1, test->flags & CASE_OS_LOCK ? 1UL : 0UL);
	write_reg(osdlr_el1, test->flags & CASE_DOUBLE_LOCK ? 1UL : 0UL);
	isb();
}

#define EACH_BREAKPOINT(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define EACH_WATCHPOINT(X) X(0) X(1) X(2) X(3)
#define CLEAR_BREAKPOINT(n)                                                                        \
	write_reg(dbgbcr##n##_el1, 0UL);                                                           \
	write_reg(dbgbvr##n##_el1, 0UL);
#define CLEAR_WATCHPOINT(n)                                                                        \
	write_reg(dbgwcr##n##_el1, 0UL);                                                           \
	write_reg(dbgwvr##n##_el1, 0UL);

/* All that a case may have written: the next run may read it. */
static void clear_debug(void)
{
	write_reg(osdlr_el1, 0UL);
	write_reg(oslar_el1, 0UL);
	write_reg(mdscr_el1, 0UL);
	EACH_BREAKPOINT(CLEAR_BREAKPOINT)
	EACH_WATCHPOINT(CLEAR_WATCHPOINT)
	isb();
}

/* What a case has left pending must not reach the next one. */
static void drain_interrupts(void)
{
	for (u32 intid = gic_acknowledge(); intid < INTID_SPURIOUS - 3; intid = gic_acknowledge())
		gic_end(intid);
}

static void set_checks(const struct test_case *test, bool running)
{
	if (test->flags & CASE_NO_TAG_CHECKS)
		check_tags(!running);
	if (test->flags & CASE_ALIGNED)
		check_alignment(running);
}

static void run_once(const struct test_case *test, struct outcome *outcome,
		     void (*run)(const struct machine_state *))
{
	bool debug = (test->flags & CASE_DEBUG) != 0;
	u64 vbar = read_reg(vbar_el1);

	fill_memory(test->seed);
	set_tags(test->seed);
	set_checks(test, true);
	if (test->flags & CASE_IRQ)
		gic_send(SGI, 0);
	if (debug)
		set_debug(test);
	outcome->state.irqs = outcome->state.irq_pc = outcome->state.irq_pstate = 0;
	outcome->state.irq_save[0] = outcome->state.irq_save[1] = 0;
	for (u64 i = 0; i < LOG_ENTRIES; i++)
		debug_log[i][0] = debug_log[i][1] = 0;
	debugger_log = (u64)debug_log;
	current_vectors = (u64)(test->flags & CASE_DEBUGGER ? debugger_vectors : case_vectors);
	this_cpu()->state = (struct state *)&outcome->state;
	run(&test->start);
	this_cpu()->state = NULL;
	write_reg(vbar_el1, vbar);
	isb();
	set_checks(test, false);
	outcome->tags = sum_tags();
	outcome->breakpoints[0] = read_reg(dbgbvr0_el1);
	outcome->breakpoints[1] = read_reg(dbgbcr0_el1);
	outcome->breakpoints[2] = read_reg(dbgbvr1_el1);
	outcome->breakpoints[3] = read_reg(dbgbcr1_el1);
	if (debug)
		clear_debug();
	if (test->flags & CASE_IRQ)
		drain_interrupts();
	for (u64 i = 0; i < SCRATCH_SIZE / 8; i++)
		outcome->memory[i] = memory_words()[i];
	for (u64 i = 0; i < LOG_ENTRIES; i++) {
		outcome->log[i][0] = debug_log[i][0];
		outcome->log[i][1] = debug_log[i][1];
	}
}

static void compare(struct result *result, const struct outcome *native,
		    const struct outcome *other)
{
	const u64 *left = (const u64 *)native, *right = (const u64 *)other;

	*result = (struct result){
		.vector = native->state.vector,
		.esr = native->state.esr,
		.pc = native->state.pc,
		.irqs = native->state.irqs,
		.irq_pstate = native->state.irq_pstate,
	};
	for (u64 i = 0; i < sizeof(struct outcome) / 8; i++) {
		if (left[i] == right[i])
			continue;
		result->difference = i + 1;
		result->native = left[i];
		result->other = right[i];
		return;
	}
}

/* By words: the runtime's memcpy goes by bytes. */
static void keep(struct outcome *to, const struct outcome *from)
{
	u64 *target = (u64 *)to;
	const u64 *source = (const u64 *)from;

	for (u64 i = 0; i < sizeof(*to) / 8; i++)
		target[i] = source[i];
}

static void run_case(const struct test_case *test, struct result *result)
{
	run_once(test, &outcomes[0], run_free);
	run_once(test, &outcomes[1], run_stepped);
	compare(result, &outcomes[0], &outcomes[1]);
}

void run_cases(const struct test_case *cases, u64 count, struct result *results,
	       struct outcome *kept)
{
	for (u64 i = 0; kept && i < count; i++)
		write_code(&cases[i]);
	for (u64 i = 0; i < count; i++) {
		store_release(&mailbox.progress, i);
		if (!kept)
			write_code(&cases[i]);
		run_case(&cases[i], &results[i]);
		if (kept)
			keep(&kept[i], &outcomes[0]);
	}
}

void run_probed(const struct test_case *cases, u64 count, struct result *results,
		const struct outcome *kept, bool stepped)
{
	for (u64 i = 0; i < count; i++) {
		store_release(&mailbox.progress, i);
		run_once(&cases[i], &outcomes[1], stepped ? run_stepped : run_free);
		compare(&results[i], &kept[i], &outcomes[1]);
	}
}
