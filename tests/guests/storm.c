/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop of probed instructions under as many interrupts as a CPU can take and still get anywhere. Each
 * handler asks for the next interrupt at another distance, so that over the run interrupts arrive at every
 * point of the way through the monitor. Or another CPU aims: it sends right when this one goes into the
 * monitor, so that practically every step has an interrupt waiting.
 */
#include "guest.h"

#define SGI 5

/* Patched by the test. */
PATCHED u64 least_calls = 1000;
PATCHED u64 least_interrupts = 1000;
PATCHED u64 storm_cpus = 0;  /* CPUs that send SGIs; 0: the timer */
PATCHED u64 aimed = 0;	     /* whether the CPU that sends waits for the call */
PATCHED u64 spread = 0x3fff; /* units of 16 ns between two interrupts, at most, as a mask */

u64 storm_call(u64 number);

static u64 interrupts[2]; /* timer, SGI */
static u64 called;
static u64 stop;
static u64 stopped;

static u64 next_random(u64 *seed)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return *seed >> 33;
}

void on_irq(struct frame *frame)
{
	static u64 seed = 1;
	u32 intid = gic_acknowledge();

	(void)frame;
	if (intid == INTID_VIRTUAL_TIMER)
		timer_at(read_reg(cntvct_el0) + ticks_of(next_random(&seed) & spread));
	if (intid != INTID_SPURIOUS)
		gic_end(intid);
	store_release(&interrupts[intid == SGI], interrupts[intid == SGI] + 1);
}

/* Sends, waits until it has been taken, waits a little more. */
static void send_at_random(u64 *seed)
{
	u64 before = load_acquire(&interrupts[1]);
	u64 until;

	gic_send(SGI, 0);
	while (load_acquire(&interrupts[1]) == before && !load_acquire(&stop))
		;
	until = read_reg(cntvct_el0) + ticks_of(next_random(seed) & spread);
	while (read_reg(cntvct_el0) < until)
		;
}

static void send_at_call(u64 *answered)
{
	while (load_acquire(&called) == *answered && !load_acquire(&stop))
		;
	gic_send(SGI, 0);
	++*answered;
}

void secondary_main(u64 index)
{
	u64 seed = index;
	u64 answered = 0;

	while (!load_acquire(&stop))
		if (aimed)
			send_at_call(&answered);
		else
			send_at_random(&seed);
	__atomic_add_fetch(&stopped, 1, __ATOMIC_RELEASE);
	for (;;)
		asm volatile("wfi");
}

static u64 taken(void)
{
	return load_acquire(&interrupts[0]) + load_acquire(&interrupts[1]);
}

static u64 run(void)
{
	u64 calls = 0, number = 0;

	while (calls < least_calls || taken() < least_interrupts) {
		store_release(&called, called + 1);
		number = storm_call(number);
		calls++;
		while (aimed && load_acquire(&interrupts[1]) != called)
			;
	}
	report(number == calls, "%lu calls counted %lu", calls, number);
	return calls;
}

void guest_main(void)
{
	u64 calls;

	mmu_on();
	gic_init();
	ready("armed");
	for (u64 i = 1; i <= storm_cpus; i++)
		smp_start(i);
	if (!storm_cpus)
		timer_at(0);
	irq_unmask();
	calls = run();
	irq_mask();
	timer_off();
	store_release(&stop, 1);
	while (load_acquire(&stopped) != storm_cpus)
		;
	value("calls", calls);
	value("interrupts", taken());
	ready("counted");
}
