/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of a vCPU's own, which are waited for or not, and those that it sends to others. */
#include "fuzz.h"

#define SGI_OWN 3
#define SGI_MAIL 9
#define SECONDS_TO_WAIT 20

static u64 mail[MAX_CPUS][MAX_CPUS]; /* by receiver and sender */
static u64 sent[MAX_CPUS], received[MAX_CPUS];

static void take_mail(struct worker *w)
{
	for (u64 from = 0; from < cpus_used; from++)
		if (__atomic_exchange_n(&mail[w->index][from], 0, __ATOMIC_ACQ_REL))
			store_release(&received[w->index], received[w->index] + 1);
}

void on_irq(struct frame *frame)
{
	struct worker *w = this_worker();
	u32 intid = gic_acknowledge();

	(void)frame;
	if (intid == INTID_SPURIOUS)
		return;
	if (intid == INTID_VIRTUAL_TIMER) {
		timer_off();
		w->timers++;
	} else if (intid == SGI_OWN) {
		w->own_sgis++;
	} else if (intid == SGI_MAIL) {
		take_mail(w);
	}
	gic_end(intid);
}

/* What one waits for comes, or the guest says that it did not. */
static void await(const u64 *count, u64 before, const char *what)
{
	u64 end = read_reg(cntvct_el0) + SECONDS_TO_WAIT * read_reg(cntfrq_el0);

	while (load_acquire(count) == before)
		if (read_reg(cntvct_el0) > end) {
			report(false, "%s does not come", what);
			finish();
		}
}

static void send_to_self(struct worker *w)
{
	u64 before = w->own_sgis;

	irq_mask();
	gic_send(SGI_OWN, (u32)w->index);
	mix(w, w->own_sgis - before);
	irq_unmask();
	await(&w->own_sgis, before, "an SGI");
	mix(w, w->own_sgis - before);
}

static void send_mail(struct worker *w)
{
	u64 to = below(w, cpus_used);

	if (!__atomic_exchange_n(&mail[to][w->index], 1, __ATOMIC_ACQ_REL))
		sent[w->index]++;
	gic_send(SGI_MAIL, (u32)to);
}

void act_sgi(struct worker *w)
{
	if (one_in(w, 2))
		send_to_self(w);
	else
		send_mail(w);
}

/* Soon: in the middle of one of the next actions, or of this one. */
void act_timer(struct worker *w)
{
	u64 before = w->timers, units = below(w, 4096);

	timer_at(read_reg(cntvct_el0) + ticks_of(units));
	if (one_in(w, 4)) {
		irq_unmask();
		await(&w->timers, before, "the timer");
		mix(w, w->timers > before);
	}
}

/* By then nobody sends any more. */
void check_mail(void)
{
	u64 end = read_reg(cntvct_el0) + SECONDS_TO_WAIT * read_reg(cntfrq_el0);
	u64 all_sent = 0, all_received;

	for (u64 cpu = 0; cpu < cpus_used; cpu++)
		all_sent += sent[cpu];
	do {
		all_received = 0;
		for (u64 cpu = 0; cpu < cpus_used; cpu++)
			all_received += load_acquire(&received[cpu]);
	} while (all_received != all_sent && read_reg(cntvct_el0) < end);
	report(all_received == all_sent, "mail: 0x%lx sent, 0x%lx received", all_sent,
	       all_received);
}
