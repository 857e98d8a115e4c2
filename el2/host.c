/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include "gic.h"
#include "mailbox.h"
#include "monitor.h"
#include "pause.h"
#include "power.h"
#include "sve.h"
#include "sysreg.h"
#include "tracer.h"

/* Divisors of the tick rate, and for how long after a command the full rate is kept: 1/20 s. */
#define IDLE_DIVISOR 10
#define OTHERS_DIVISOR 50
#define ACTIVE_FRACTION 20

/* At least so often somebody looks at the heartbeat on a machine that runs: half the idle rate. */
#define LOOKS_PER_SECOND 50

/* A wait longer than a millisecond stops the guest's clock. */
#define LONG_WAIT_FRACTION 1000

/* Heartbeat last seen, the last look at it, and for how long it has stood still; by all vCPUs. */
static u64 last_beat;
static u64 last_look_ticks;
static u64 silent_ticks;
bool monitor_is_unprobed;

bool monitor_unprobed(void)
{
	return __atomic_load_n(&monitor_is_unprobed, __ATOMIC_RELAXED);
}

void monitor_set_unprobed(bool value)
{
	__atomic_store_n(&silent_ticks, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&monitor_is_unprobed, value, __ATOMIC_RELAXED);
	monitor_set_state(value ? SV_STATE_HOST_LOST : SV_STATE_RUNNING);
}

/*
 * Time that nobody looked does not count in full: a machine with too much to do runs neither the host
 * nor the vCPUs, and the host that comes too late then is not gone.
 */
static u64 time_since_last_look(void)
{
	u64 now = read_sysreg(cntpct_el0);
	u64 last = __atomic_exchange_n(&last_look_ticks, now, __ATOMIC_RELAXED);
	u64 most = control()->frequency / LOOKS_PER_SECOND;

	/* `last` is newer than `now` when another vCPU looked in between. */
	if (now < last)
		return 0;
	return now - last < most ? now - last : most;
}

static void check_heartbeat(void)
{
	u64 beat = __atomic_load_n(&control()->heartbeat, __ATOMIC_RELAXED);
	u64 limit = control()->frequency * control()->heartbeat_timeout_ms / 1000;
	u64 passed = time_since_last_look();

	if (__atomic_exchange_n(&last_beat, beat, __ATOMIC_RELAXED) != beat) {
		__atomic_store_n(&silent_ticks, 0, __ATOMIC_RELAXED);
		return;
	}
	if (__atomic_add_fetch(&silent_ticks, passed, __ATOMIC_RELAXED) > limit &&
	    !monitor_flag(SV_FLAG_NO_HEARTBEAT) && !monitor_unprobed())
		monitor_set_unprobed(true);
}

/* One vCPU looks for the others: the first that is on. */
static bool is_lookout(const struct vcpu *v)
{
	for (u64 i = 0; i < v->index; i++)
		if (power_is_on(vcpu_table[i]))
			return false;
	return true;
}

/*
 * A tick costs the guest an exit and a wake-up from WFI: a thousand a second slowed the boot by a
 * tenth. So the full rate only while commands come; then a tenth of it; and the other vCPUs look just
 * often enough to take over when the lookout goes off.
 */
static u64 tick_period(const struct vcpu *v)
{
	u64 period = control()->frequency / (control()->tick_hz ? control()->tick_hz : 1000);

	if (tracer_is_away(v))
		return period;
	if (!is_lookout(v))
		return period * OTHERS_DIVISOR;
	return mailbox_idle_ticks() > control()->frequency / ACTIVE_FRACTION ?
		       period * IDLE_DIVISOR :
		       period;
}

void host_tick_start(struct vcpu *v)
{
	gic_timer_start(tick_period(v));
}

void host_tick(struct vcpu *v)
{
	v->status->ticks++;
	sve_close(v);
	check_heartbeat();
	mailbox_poll(v);
	host_tick_start(v);
}

bool host_look(struct vcpu *v)
{
	/* The host's disarm command must get through even when every vCPU waits here. */
	mailbox_poll(v);
	check_heartbeat();
	asm volatile("yield" ::: "memory");
	return !monitor_unprobed();
}

bool host_wait(struct vcpu *v, u64 since)
{
	if (read_sysreg(cntpct_el0) - since > control()->frequency / LONG_WAIT_FRACTION)
		pause_begin(v);
	return host_look(v);
}

void host_wait_end(struct vcpu *v)
{
	pause_end(v);
}

void host_pause(struct vcpu *v)
{
	u64 start;

	if (!monitor_flag(SV_FLAG_PAUSED))
		return;
	start = read_sysreg(cntpct_el0);
	while (monitor_flag(SV_FLAG_PAUSED) && host_wait(v, start))
		;
	host_wait_end(v);
}
