/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs every case of aarch32_cases.S at EL0 in AArch32 state, and says what it leaves. The test does so freely, with
 * the page of data probed, with other probes, and stepped: it must always be the same.
 */
#include "guest.h"

#define USER_A32 0x1d0 /* AArch32 User mode; A, I and F set */
#define USER_T32 0x1f0
#define AARCH32_SP 13
#define LOW(number) ((u32)(number))

struct test_case {
	const char *name;
	u64 code;
	u64 thumb;
};

extern const struct test_case cases[], cases_end[];
extern u8 data_page[], data_probe[];

static void run(const struct test_case *test)
{
	struct state state;
	const u64 *x = state.x;
	u64 word = *(const volatile u64 *)data_page;

	state_prepare(&state, (u64)data_page);
	state.x[6] = 0;
	state.x[AARCH32_SP] = state.x[2];
	this_cpu()->state = &state;
	run_state(&state, test->code + USER_ALIAS, test->thumb ? USER_T32 : USER_A32);
	*(volatile u64 *)data_page = word;
	print("CASE: %s vector 0x%lx esr 0x%lx pc 0x%lx pstate 0x%lx", test->name, state.vector,
	      state.esr, state.pc - USER_ALIAS, state.pstate);
	print("REGISTERS: %s %x %x %x %x %x %x %x %x %x %x %x %x %x %x %x", test->name, LOW(x[0]),
	      LOW(x[1]), LOW(x[2]), LOW(x[3]), LOW(x[4]), LOW(x[5]), LOW(x[6]), LOW(x[7]),
	      LOW(x[8]), LOW(x[9]), LOW(x[10]), LOW(x[11]), LOW(x[12]), LOW(x[13]), LOW(x[14]));
}

void guest_main(void)
{
	mmu_on();
	ready("arm");
	for (const struct test_case *test = cases; test < cases_end; test++)
		run(test);
	finish();
}
