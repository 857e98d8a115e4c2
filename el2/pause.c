/* SPDX-License-Identifier: Apache-2.0 */
#include "pause.h"

#include "kick.h"
#include "lock.h"
#include "mailbox.h"
#include "monitor.h"
#include "sysreg.h"

static struct lock lock; /* protects the four variables below */
static u32 pausing;	 /* vCPUs that wait for the host */
static u32 stopped;	 /* vCPUs at EL2 that will stay there until none is */
static u64 stopped_at;	 /* counter when the last one stopped, 0 while one runs */
static u64 virtual_offset;

u64 pause_virtual_offset(void)
{
	return __atomic_load_n(&virtual_offset, __ATOMIC_RELAXED);
}

static bool is_pausing(void)
{
	return __atomic_load_n(&pausing, __ATOMIC_ACQUIRE) != 0;
}

static u32 online(void)
{
	u32 count = 0;

	for (u64 i = 0; i < control()->vcpus; i++)
		count += __atomic_load_n(&vcpu_table[i]->power, __ATOMIC_RELAXED) == POWER_ON;
	return count;
}

/* The guest's clock stands from when the last of its running vCPUs has stopped. */
static void stop_clock_if_last(void)
{
	if (stopped >= online() && !stopped_at)
		stopped_at = read_sysreg(cntpct_el0);
}

static void count_stopped(void)
{
	stopped++;
	stop_clock_if_last();
}

void pause_one_less(void)
{
	lock_take(&lock);
	if (pausing)
		stop_clock_if_last();
	lock_release(&lock);
}

void pause_begin(struct vcpu *v)
{
	if (v->pausing)
		return;
	v->pausing = true;
	lock_take(&lock);
	__atomic_store_n(&pausing, pausing + 1, __ATOMIC_RELEASE);
	count_stopped();
	lock_release(&lock);
	kick_others(v);
}

static void set_clock(void)
{
	write_sysreg(cntvoff_el2, pause_virtual_offset());
}

static void end_pause(void)
{
	if (stopped_at)
		__atomic_store_n(&virtual_offset,
				 virtual_offset + read_sysreg(cntpct_el0) - stopped_at,
				 __ATOMIC_RELAXED);
	stopped_at = 0;
}

void pause_end(struct vcpu *v)
{
	if (!v->pausing)
		return;
	v->pausing = false;
	lock_take(&lock);
	if (pausing == 1)
		end_pause();
	__atomic_store_n(&pausing, pausing - 1, __ATOMIC_RELEASE);
	stopped--;
	lock_release(&lock);
	pause_check(v); /* Another one may still be waiting. */
	set_clock();
}

void pause_check(struct vcpu *v)
{
	if (!is_pausing())
		return;
	lock_take(&lock);
	count_stopped();
	lock_release(&lock);
	/* Ends with the pausing vCPU's wait, which the heartbeat bounds. */
	while (is_pausing()) {
		mailbox_poll(v);
		asm volatile("yield" ::: "memory");
	}
	lock_take(&lock);
	stopped--;
	lock_release(&lock);
	set_clock();
}
