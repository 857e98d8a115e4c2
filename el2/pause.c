/* SPDX-License-Identifier: Apache-2.0 */
#include "pause.h"

#include "kick.h"
#include "mailbox.h"
#include "power.h"
#include "sysreg.h"

/* With the lock already: of two that stop, the one counted last has the later time. */
static u64 now(void)
{
	isb();
	return read_sysreg(cntpct_el0);
}

/* Of a vCPU that counts as running and has not stopped: until it stops, the offset stays as it is. */
static void set_clock(void)
{
	write_sysreg(cntvoff_el2, power_take()->offset);
	power_release();
}

static bool may_go_on(void)
{
	bool may = power_may_go_on(power_take());

	power_release();
	return may;
}

/* Ends with the pausing vCPU's wait, which the heartbeat bounds. */
static void stay(struct vcpu *v)
{
	while (power_is_pausing() || !may_go_on()) {
		mailbox_poll(v);
		asm volatile("yield" ::: "memory");
	}
}

void pause_begin(struct vcpu *v)
{
	struct power_state *state;

	if (v->pausing)
		return;
	v->pausing = true;
	state = power_take();
	power_begin_pause(state, now());
	power_release();
	kick_others(v);
}

void pause_end(struct vcpu *v)
{
	struct power_state *state;
	bool stop;

	if (!v->pausing)
		return;
	v->pausing = false;
	state = power_take();
	stop = power_end_pause(state, now());
	power_release();
	if (stop)
		stay(v); /* For another one that waits. */
	set_clock();
}

void pause_check(struct vcpu *v)
{
	struct power_state *state;
	bool stop;

	if (!power_is_pausing())
		return;
	state = power_take();
	stop = power_must_stop(state, now());
	power_release();
	if (!stop)
		return;
	stay(v);
	set_clock();
}

void pause_join(struct vcpu *v)
{
	struct power_state *state = power_take();
	bool stop = power_up(state, v->index, now());

	power_release();
	/* Whoever changes now what a vCPU looks at before it enters the guest sees that this one runs. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (stop)
		stay(v);
	set_clock();
}

void pause_leave(struct vcpu *v)
{
	struct power_state *state = power_take();

	power_down(state, v->index, now());
	power_release();
}
