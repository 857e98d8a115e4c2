/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, writes and rewrites of pages that hold probes. */
#include "guest.h"

#define MAX_CASES 160
#define DATA_WORDS 8
#define BORDER_WORDS 4
#define CODE_ALIAS UL(0x40000000) /* mmu.c: the same memory a third time, for EL1 to execute */

/* Patched by the test: exclusive sequences on data in a probed page, too. */
PATCHED u64 with_exclusives = 0;

#define ADD_2 0x91000800U /* add x0, x0, #2 */

struct test_case {
	const char *name;
	u64 code;
	u64 where;
	u64 pstate;
};

struct outcome {
	struct state state;
	u64 memory;
};

extern const struct test_case cases[], cases_end[];
extern u8 shadow_pages[], shadow_pages_end[], shadow_data[], shadow_border[], alias_function[];
extern u8 first_probe[];
extern u64 shadow_border_words[];

u64 first_function(u64 number);
u64 second_function(u64 number);
u64 third_function(u64 number);

static struct outcome expected[MAX_CASES];
static u64 original_data[DATA_WORDS], original_border[BORDER_WORDS];
static u64 calls;

static volatile u64 *data(void)
{
	return (volatile u64 *)shadow_data;
}

static volatile u64 *border(void)
{
	return (volatile u64 *)shadow_border_words;
}

static void keep_originals(void)
{
	for (u32 i = 0; i < DATA_WORDS; i++)
		original_data[i] = data()[i];
	for (u32 i = 0; i < BORDER_WORDS; i++)
		original_border[i] = border()[i];
}

static void restore_originals(void)
{
	for (u32 i = 0; i < DATA_WORDS; i++)
		if (data()[i] != original_data[i])
			data()[i] = original_data[i];
	for (u32 i = 0; i < BORDER_WORDS; i++)
		if (border()[i] != original_border[i])
			border()[i] = original_border[i];
}

static u64 mix(u64 sum, u64 word)
{
	return (sum ^ word) * 0x100000001b3;
}

/* Of all three pages, as the guest reads them. */
static u64 checksum(void)
{
	u64 sum = 0;

	for (const volatile u64 *p = (u64 *)shadow_pages; p < (u64 *)shadow_pages_end; p++)
		sum = mix(sum, *p);
	return sum;
}

/* Of what a case may write. */
static u64 data_checksum(void)
{
	u64 sum = 0;

	for (u32 i = 0; i < DATA_WORDS; i++)
		sum = mix(sum, data()[i]);
	for (u32 i = 0; i < BORDER_WORDS; i++)
		sum = mix(sum, border()[i]);
	return sum;
}

static u64 address_of(const struct test_case *test)
{
	const u8 *const places[] = { first_probe, shadow_data, shadow_border };

	return (u64)places[test->where];
}

static u64 code_of(const struct test_case *test)
{
	return test->pstate == PSTATE_EL0 ? test->code + USER_ALIAS : test->code;
}

/* A case's name begins with "exclusive" if it is one. */
static bool is_wanted(const struct test_case *test)
{
	return with_exclusives || test->name[0] != 'e' || test->name[1] != 'x';
}

static void run(const struct test_case *test, struct outcome *outcome)
{
	if (!is_wanted(test))
		return;
	restore_originals();
	state_prepare(&outcome->state, address_of(test));
	run_state(&outcome->state, code_of(test), test->pstate);
	this_cpu()->state = NULL;
	outcome->memory = data_checksum();
}

/* The probes still work after it. */
static void call_functions(const char *name)
{
	u64 sum = first_function(1) + second_function(10) + third_function(100);

	calls++;
	if (sum != 114)
		report(false, "functions after %s: 0x%lx", name, sum);
}

static void compare_all(const char *pass)
{
	for (const struct test_case *test = cases; test < cases_end; test++) {
		struct outcome got;

		if (!is_wanted(test))
			continue;
		run(test, &got);
		report_equal(pass, test->name, (u64 *)&got, (u64 *)&expected[test - cases],
			     sizeof(got) / 8);
		call_functions(test->name);
	}
}

static void store_instruction(u8 *address, u32 word)
{
	*(volatile u32 *)address = word;
	asm volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" ::"r"(address) : "memory");
}

static void rewrite(void)
{
	u32 word = *(volatile u32 *)first_probe;

	*(volatile u32 *)first_probe = word;
	*(volatile u8 *)(first_probe + 1) = (u8)(word >> 8);
	report(first_function(1) == 2, "the same bytes written");
	ready("same-bytes");
	store_instruction(first_probe, ADD_2);
	report(*(volatile u32 *)first_probe == ADD_2, "the new instruction is read back");
	report(first_function(1) == 3, "the new instruction runs");
	ready("rewritten");
	store_instruction(first_probe, word);
	report(first_function(1) == 2, "the old instruction runs again");
	ready("restored");
	report(first_function(1) == 2, "armed again");
	ready("armed-again");
}

static u64 user_call(u64 code, u64 unused)
{
	(void)unused;
	asm volatile("msr elr_el1, %0; msr spsr_el1, %1; eret" ::"r"(code), "r"(0x3c0UL)
		     : "memory");
	return 0;
}

/* Other virtual addresses of the same code. */
static void aliases(void)
{
	u64 (*function)(u64) = (u64 (*)(u64))((u64)first_function + CODE_ALIAS);
	const struct caught *caught;

	report(function(1) == 2, "called through an alias");
	ready("alias");
	caught = attempt(user_call, (u64)alias_function + USER_ALIAS, 0, NULL);
	report(caught && caught->vector == VECTOR_SYNC_EL0 && EC(caught->frame.esr) == EC_SVC64 &&
		       caught->frame.x[0] == 0x55,
	       "user code in a probed page");
	ready("user");
	caught = attempt(user_call, (u64)alias_function + USER_ALIAS, 0, NULL);
	report(caught && EC(caught->frame.esr) == EC_SVC64 && caught->frame.x[0] == 0x55,
	       "user code under a probe");
	ready("user-probed");
}

void guest_main(void)
{
	mmu_on();
	keep_originals();
	for (const struct test_case *test = cases; test < cases_end; test++)
		run(test, &expected[test - cases]);
	compare_all("repeated");
	restore_originals();
	value("checksum", checksum());
	ready("recorded");
	calls = 0;
	compare_all("shadowed");
	value("calls", calls);
	ready("shadowed");
	rewrite();
	aliases();
	restore_originals();
	value("checksum-at-end", checksum());
	finish();
}
