/* SPDX-License-Identifier: Apache-2.0 */
/* Several CPUs in one probed function. */
#include "guest.h"

enum scene { COUNT, UNTIL_TYPED, WRITE, OFF_AND_ON, RACE_ON, ON_IN_MONITOR };

/* Patched by the test. */
PATCHED u64 scene = COUNT;
PATCHED u64 rounds = 500;
PATCHED u64 cycles = 100;

#define PSCI_SUCCESS 0UL
#define PSCI_ALREADY_ON -4L
#define PSCI_ON_PENDING -5L
#define RACE_TARGET 2
#define AFFINITY_OFF 1UL
#define MONITOR_IMAGE (RAM_BASE + 0x200000)

u64 smp_call(u64 number);
extern u64 smp_data[];

static u64 online = 1;
static u64 started, stop;
static u64 done[MAX_CPUS], counted[MAX_CPUS];
static u64 finished;
static u64 race_results[MAX_CPUS];

static u64 affinity_of(u64 index)
{
	return (read_reg(mpidr_el1) & 0xff00ffff00UL) | index;
}

static bool keep_on(u64 round)
{
	return scene == UNTIL_TYPED ? !load_acquire(&stop) : round < rounds;
}

static void work(u64 index)
{
	u64 number = 0, round = 0;

	for (; keep_on(round); round++) {
		number = smp_call(number);
		if (scene == UNTIL_TYPED && index == 0 && typed())
			store_release(&stop, 1);
	}
	done[index] = round;
	counted[index] = number;
}

/* All CPUs but the writer work; it changes data in the page of the function. */
static void write(void)
{
	for (u64 i = 0; load_acquire(&finished) + 1 < online; i++) {
		smp_data[i % 4] = i;
		if (smp_data[i % 4] != i)
			report(false, "data: %lu instead of %lu", smp_data[i % 4], i);
	}
}

static void finish_work(void)
{
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

static void race(u64 index)
{
	race_results[index] = smp_start(RACE_TARGET);
}

void secondary_main(u64 index)
{
	if (scene == OFF_AND_ON) {
		work(index);
		finish_work();
		smc(PSCI_CPU_OFF, 0, 0, 0);
		report(false, "CPU_OFF came back");
		return;
	}
	if (scene == RACE_ON && index == RACE_TARGET)
		return;
	__atomic_add_fetch(&online, 1, __ATOMIC_RELEASE);
	while (!load_acquire(&started))
		;
	if (scene == RACE_ON)
		race(index);
	else
		work(index);
	finish_work();
}

static void start_all(void)
{
	u64 count = 1;

	while (count < MAX_CPUS && smp_start(count) == PSCI_SUCCESS)
		count++;
	while (load_acquire(&online) != count)
		;
	value("cpus", count);
}

static void wait_all(void)
{
	while (load_acquire(&finished) + 1 < online)
		;
}

static void report_counts(void)
{
	static const char *const names[] = { "calls-0", "calls-1", "calls-2", "calls-3",
					     "calls-4", "calls-5", "calls-6", "calls-7" };

	for (u64 i = 0; i < online; i++) {
		report(counted[i] == done[i], "CPU %lu: %lu calls counted %lu", i, done[i],
		       counted[i]);
		value(names[i], done[i]);
	}
}

static void together(void)
{
	start_all();
	ready("online");
	store_release(&started, 1);
	if (scene == WRITE)
		write();
	else
		work(0);
	wait_all();
	report_counts();
}

static bool is_off(u64 index)
{
	return smc(PSCI_AFFINITY_INFO, affinity_of(index), 0, 0) == AFFINITY_OFF;
}

static void off_and_on(void)
{
	u64 total = 0;

	ready("online");
	for (u64 i = 0; i < cycles; i++) {
		long status = (long)smp_start(1);

		if (status)
			report(false, "cycle %lu: CPU_ON says %lu", i, (u64)-status);
		while (load_acquire(&finished) == i)
			;
		while (!is_off(1))
			;
		total += done[1];
		if (counted[1] != done[1])
			report(false, "cycle %lu counted %lu", i, counted[1]);
	}
	report(total == cycles * rounds, "%lu calls in %lu lives", total, cycles);
	value("calls-1", total);
}

/* CPUs 0 and 1 both want the last one, which is off. */
static void race_on(void)
{
	u64 good = 0;

	smp_start(1);
	while (load_acquire(&online) != 2)
		;
	store_release(&started, 1);
	race(0);
	while (!load_acquire(&finished))
		;
	for (u64 i = 0; i < RACE_TARGET; i++) {
		long status = (long)race_results[i];

		good += status == 0;
		report(status == 0 || status == PSCI_ALREADY_ON || status == PSCI_ON_PENDING,
		       "CPU_ON answers 0x%lx", race_results[i]);
	}
	report(good == 1, "one of two CPU_ONs succeeds");
}

/* It goes round in its abort handler, at address 0, for ever. */
static void on_in_monitor(void)
{
	u64 status = smc(PSCI_CPU_ON, affinity_of(1), MONITOR_IMAGE, 0);

	report(status == PSCI_SUCCESS, "CPU_ON with an entry in the monitor: 0x%lx", status);
	status = smc(PSCI_CPU_ON, affinity_of(1), MONITOR_IMAGE, 0);
	report((long)status == PSCI_ALREADY_ON || (long)status == PSCI_ON_PENDING,
	       "CPU_ON twice: 0x%lx", status);
	status = smc(PSCI_CPU_ON, affinity_of(2), GUEST_RAM_BASE + 2, 0);
	report((long)status < 0, "CPU_ON with an odd entry: 0x%lx", status);
	ready("on");
	report(smp_call(1) == 2, "probed function next to it");
}

void guest_main(void)
{
	mmu_on();
	switch (scene) {
	case COUNT:
	case UNTIL_TYPED:
	case WRITE:
		together();
		break;
	case OFF_AND_ON:
		off_and_on();
		break;
	case RACE_ON:
		race_on();
		break;
	case ON_IN_MONITOR:
		on_in_monitor();
		break;
	}
	ready("counted");
	finish();
}
