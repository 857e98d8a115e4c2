/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes longer than a case and more than one CPU: computations, interrupts that come all the time, locks
 * that two CPUs want. Each leaves numbers that the host compares.
 */
#include "conformance.h"

#define SGI 5
#define ORDERED 8 /* the first of several */
#define ORDERED_COUNT 6
#define PSTATE_SS (1UL << 21)
#define WORDS 512
#define RESULTS 5

/* Who is stepped while it works. */
#define STEP_FIRST 1
#define STEP_SECOND 2

enum scenario {
	SCENARIO_COMPUTE = 1,
	SCENARIO_TIMER_STORM,
	SCENARIO_SGI_STORM,
	SCENARIO_SPINLOCK,
	SCENARIO_TICKET_LOCK,
	SCENARIO_COUNTER,
	SCENARIO_PAIR,
	SCENARIO_PRIORITIES,
};

struct job {
	u64 number; /* raised to start it */
	u64 done;
	u64 what;
	u64 rounds;
	u64 stepped;
};

static struct job job;
static bool second_is_on;

static u64 next_random(u64 *seed)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return *seed >> 33;
}

/* Loads, stores, multiplications, comparisons: a sort and a checksum. */
static u64 compute(u64 rounds)
{
	static u32 numbers[WORDS];
	u64 seed = rounds, sum = 0xcbf29ce484222325;

	for (u64 round = 0; round < rounds; round++) {
		for (u32 i = 0; i < 16; i++) {
			u32 value = (u32)next_random(&seed), at = i;

			for (; at && numbers[at - 1] > value; at--)
				numbers[at] = numbers[at - 1];
			numbers[at] = value;
		}
		for (u32 i = 0; i < 16; i++)
			sum = (sum ^ numbers[i]) * 0x100000001b3;
	}
	return sum;
}

static void run_compute(const u64 *arguments, u64 *results)
{
	results[0] = compute(arguments[0]);
	stepping_start();
	results[1] = compute(arguments[0]);
	stepping_stop();
}

/* Interrupts. */

static u64 timer_interrupts, sgi_interrupts, others;
static u64 ordered_interrupts;
static u64 order, right_order; /* hashes of their numbers, as they came, and as they should */
static u64 spread; /* units of 16 ns between two, at most, as a mask; 0: the next comes at once */

void on_irq(struct frame *frame)
{
	static u64 seed = 1;
	u32 intid = gic_acknowledge();

	/* What it interrupted must not look stepped. */
	if (frame->pstate & PSTATE_SS)
		others++;
	if (intid == INTID_VIRTUAL_TIMER) {
		timer_at(read_reg(cntvct_el0) + 1 + ticks_of(next_random(&seed) & spread));
		store_release(&timer_interrupts, timer_interrupts + 1);
	} else if (intid >= ORDERED && intid < ORDERED + ORDERED_COUNT) {
		order = order * 31 + intid;
		store_release(&ordered_interrupts, ordered_interrupts + 1);
	} else if (intid == SGI) {
		store_release(&sgi_interrupts, sgi_interrupts + 1);
	} else {
		store_release(&others, others + 1);
	}
	if (intid < INTID_SPURIOUS - 3)
		gic_end(intid);
}

static void clear_interrupts(void)
{
	timer_interrupts = sgi_interrupts = others = 0;
}

/* arguments: rounds of work at least, interrupts at least, mask of the distance. */
static void run_timer_storm(const u64 *arguments, u64 *results)
{
	u64 rounds = 0;

	clear_interrupts();
	spread = arguments[2];
	results[0] = compute(arguments[0]);
	stepping_start();
	timer_at(0);
	irq_unmask();
	results[1] = compute(arguments[0]);
	while (load_acquire(&timer_interrupts) < arguments[1])
		rounds++;
	irq_mask();
	timer_off();
	stepping_stop();
	results[2] = timer_interrupts;
	results[3] = others;
	results[4] = rounds;
}

/* Several SGIs at once, each with a priority of its own: in which order they come. */

static void send_shuffled(u64 *seed)
{
	u32 places[ORDERED_COUNT];

	for (u32 i = 0; i < ORDERED_COUNT; i++) {
		u32 other = (u32)next_random(seed) % (i + 1);

		places[i] = places[other];
		places[other] = i;
	}
	for (u32 i = 0; i < ORDERED_COUNT; i++) {
		gic_set_priority(ORDERED + places[i], (u8)(0x40 + 0x10 * i));
		right_order = right_order * 31 + ORDERED + places[i];
	}
	for (u32 i = 0; i < ORDERED_COUNT; i++)
		gic_send(ORDERED + i, 0);
}

static u64 take_in_order(u64 rounds)
{
	u64 seed = rounds;

	order = right_order = 0;
	for (u64 i = 0; i < rounds; i++) {
		store_release(&ordered_interrupts, 0);
		send_shuffled(&seed);
		irq_unmask();
		while (load_acquire(&ordered_interrupts) < ORDERED_COUNT)
			;
		irq_mask();
	}
	return order;
}

static void run_priorities(const u64 *arguments, u64 *results)
{
	clear_interrupts();
	for (u32 i = 0; i < ORDERED_COUNT; i++)
		gic_enable(ORDERED + i);
	others += take_in_order(arguments[0]) != right_order;
	stepping_start();
	results[1] = take_in_order(arguments[0]);
	stepping_stop();
	results[0] = right_order;
	results[3] = others;
}

/* A second CPU. */

static void start_second(void)
{
	if (!second_is_on)
		smp_start(1);
	second_is_on = true;
}

static void start_job(u64 what, u64 rounds, bool stepped)
{
	job.what = what;
	job.rounds = rounds;
	job.stepped = stepped;
	store_release(&job.number, job.number + 1);
	start_second();
}

static void join_job(void)
{
	while (load_acquire(&job.done) != job.number)
		asm volatile("yield");
}

/* Sends one, waits until it has been taken, and so on: none may be lost, none taken twice. */
static void send_all(u64 rounds)
{
	for (u64 sent = 0; sent < rounds; sent++) {
		gic_send(SGI, 0);
		while (load_acquire(&sgi_interrupts) <= sent)
			;
	}
}

static void run_sgi_storm(const u64 *arguments, u64 *results)
{
	clear_interrupts();
	results[0] = arguments[0];
	stepping_start();
	irq_unmask();
	start_job(SCENARIO_SGI_STORM, arguments[0], false);
	join_job();
	irq_mask();
	stepping_stop();
	results[1] = sgi_interrupts;
	results[2] = others;
}

/* Locks, built from exclusives, and what they protect. */

static u64 lock, owner, next_ticket, inside;
static u64 shared[2] __attribute__((aligned(16)));

static void enter_spinlock(void)
{
	u32 taken;

	asm volatile("	sevl\n"
		     "1:	wfe\n"
		     "2:	ldaxr	%w0, %1\n"
		     "	cbnz	%w0, 1b\n"
		     "	stxr	%w0, %w2, %1\n"
		     "	cbnz	%w0, 2b\n"
		     : "=&r"(taken), "+Q"(lock)
		     : "r"(1U)
		     : "memory");
}

static void leave_spinlock(void)
{
	store_release(&lock, 0);
}

static u64 take_ticket(void)
{
	u64 ticket, next, failed;

	asm volatile("1:	ldaxr	%0, %3\n"
		     "	add	%1, %0, #1\n"
		     "	stxr	%w2, %1, %3\n"
		     "	cbnz	%w2, 1b\n"
		     : "=&r"(ticket), "=&r"(next), "=&r"(failed), "+Q"(next_ticket)
		     :
		     : "memory");
	return ticket;
}

static void enter_ticket_lock(void)
{
	u64 ticket = take_ticket();

	while (load_acquire(&owner) != ticket)
		asm volatile("yield");
}

static void leave_ticket_lock(void)
{
	store_release(&owner, owner + 1);
}

/* Not atomic on purpose: right only if the lock is one. Nobody else may be inside meanwhile. */
static void work_inside(void)
{
	if (inside++)
		others++;
	shared[0]++;
	inside--;
}

static void add_to_pair(void)
{
	u64 low, high, failed;

	asm volatile("1:	ldxp	%0, %1, %3\n"
		     "	adds	%0, %0, #1\n"
		     "	adc	%1, %1, xzr\n"
		     "	stlxp	%w2, %0, %1, %3\n"
		     "	cbnz	%w2, 1b\n"
		     : "=&r"(low), "=&r"(high), "=&r"(failed), "+Q"(shared)
		     :
		     : "memory", "cc");
}

static void one_round(u64 what)
{
	switch (what) {
	case SCENARIO_SPINLOCK:
		enter_spinlock();
		work_inside();
		leave_spinlock();
		break;
	case SCENARIO_TICKET_LOCK:
		enter_ticket_lock();
		work_inside();
		leave_ticket_lock();
		break;
	case SCENARIO_COUNTER:
		__atomic_add_fetch(&shared[0], 1, __ATOMIC_ACQ_REL);
		break;
	default:
		add_to_pair();
	}
}

static void contend(u64 what, u64 rounds, bool stepped)
{
	if (stepped)
		stepping_start();
	for (u64 i = 0; i < rounds; i++)
		one_round(what);
	if (stepped)
		stepping_stop();
}

/* arguments: rounds of each CPU, who is stepped. */
static void run_contention(u64 what, const u64 *arguments, u64 *results)
{
	lock = owner = next_ticket = inside = others = 0;
	shared[0] = 0;
	shared[1] = 0;
	start_job(what, arguments[0], arguments[1] & STEP_SECOND);
	contend(what, arguments[0], arguments[1] & STEP_FIRST);
	join_job();
	results[0] = 2 * arguments[0];
	results[1] = shared[0];
	results[2] = shared[1] + others;
}

void secondary_main(u64 index)
{
	u64 seen = 0;

	(void)index;
	write_reg(oslar_el1, 0UL);
	for (;;) {
		while (load_acquire(&job.number) == seen)
			asm volatile("wfi");
		seen++;
		if (job.what == SCENARIO_SGI_STORM)
			send_all(job.rounds);
		else
			contend(job.what, job.rounds, job.stepped);
		store_release(&job.done, seen);
	}
}

void run_scenario(u64 number, const u64 *arguments, u64 *results)
{
	for (u32 i = 0; i < RESULTS; i++)
		results[i] = 0;
	switch (number) {
	case SCENARIO_COMPUTE:
		run_compute(arguments, results);
		break;
	case SCENARIO_TIMER_STORM:
		run_timer_storm(arguments, results);
		break;
	case SCENARIO_SGI_STORM:
		run_sgi_storm(arguments, results);
		break;
	case SCENARIO_PRIORITIES:
		run_priorities(arguments, results);
		break;
	default:
		run_contention(number, arguments, results);
	}
}
