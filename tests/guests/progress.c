/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a probed function and says how far it is: after each burst, until the test types a byte. */
#include "guest.h"

/* Patched by the test. */
PATCHED u64 burst = 100;
PATCHED u64 pause = 0x10000; /* units of 16 ns between two bursts */
PATCHED u64 bursts = 0;	     /* 0: without end */

static u64 others_stop, others_stopped, others;
static u64 longest_gap;

u64 progress_call(u64 number);
u64 other_call(u64 number);

void secondary_main(u64 index)
{
	u64 number = 0;

	__atomic_add_fetch(&others, 1, __ATOMIC_RELEASE);
	(void)index;
	while (!load_acquire(&others_stop))
		number = other_call(number);
	__atomic_add_fetch(&others_stopped, 1, __ATOMIC_RELEASE);
}

static u64 run_burst(u64 number)
{
	u64 last = read_reg(cntvct_el0);

	for (u64 i = 0; i < burst; i++) {
		u64 now;

		number = progress_call(number);
		now = read_reg(cntvct_el0);
		if (now - last > longest_gap)
			longest_gap = now - last;
		last = now;
	}
	return number;
}

static void wait(void)
{
	u64 start = read_reg(cntvct_el0);

	while (read_reg(cntvct_el0) - start < ticks_of(pause))
		;
}

void guest_main(void)
{
	u64 number = 0, i = 0;

	mmu_on();
	for (u64 cpu = 1; cpu < MAX_CPUS && smp_start(cpu) == 0; cpu++)
		while (load_acquire(&others) != cpu)
			;
	ready("started");
	while (!(bursts ? i == bursts : typed())) {
		number = run_burst(number);
		i++;
		print("TICK: %lu", i);
		wait();
	}
	report(number == i * burst, "%lu calls counted %lu", i * burst, number);
	value("calls", number);
	value("longest-gap", longest_gap);
	ready("counted");
	progress_call(0);
	store_release(&others_stop, 1);
	while (load_acquire(&others_stopped) != others)
		;
	ready("one-more");
	finish();
}
