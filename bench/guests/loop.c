/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs what the host asks for, as often as it asks, and says how long that took. The host writes `job` and
 * then its `number`; every vCPU runs it at once and answers in its own element of `results`. Memory alone, no
 * console: while a vCPU is stepped, a device access would be part of what is measured.
 */
#include "guest.h"

#define SCTLR_ENIA (1UL << 31) /* PACIASP signs */

#define STEP_ON() asm volatile("smc #2" ::: "memory")
#define STEP_OFF() asm volatile("smc #3" ::: "memory")

struct job {
	u64 number; /* 0: none yet */
	u64 routine;
	u64 count;	 /* its argument */
	u64 floor_steps; /* between SMC #2 and #3: the floor's stepping */
};

struct result {
	u64 number; /* of the last job done */
	u64 nanoseconds;
	u64 padding[6]; /* one cache line each */
};

/* Initialised: the host may write before .bss has been cleared. A page each: the host maps them. */
PATCHED struct job job __attribute__((aligned(4096))) = { 0 };
PATCHED struct result results[MAX_CPUS] __attribute__((aligned(4096))) = { 0 };

static u64 nanoseconds(u64 ticks)
{
	u64 frequency = read_reg(cntfrq_el0);

	return ticks / frequency * 1000000000 + ticks % frequency * 1000000000 / frequency;
}

static u64 run(const struct job *asked)
{
	u64 (*routine)(u64) = (u64 (*)(u64))asked->routine;
	u64 start;

	if (asked->floor_steps)
		STEP_ON();
	isb();
	start = read_reg(cntpct_el0);
	routine(asked->count);
	isb();
	start = read_reg(cntpct_el0) - start;
	if (asked->floor_steps)
		STEP_OFF();
	return nanoseconds(start);
}

static void serve(u64 cpu)
{
	for (u64 done = 0;;) {
		u64 number = load_acquire(&job.number);

		if (number == done)
			continue;
		results[cpu].nanoseconds = run(&job);
		done = number;
		store_release(&results[cpu].number, number);
	}
}

void secondary_main(u64 index)
{
	serve(index);
}

void guest_main(void)
{
	mmu_on();
	write_reg(sctlr_el1, SCTLR_ON | SCTLR_ENIA);
	isb();
	for (u64 cpu = 1; cpu < MAX_CPUS && smp_start(cpu) == 0; cpu++)
		;
	serve(0);
}
