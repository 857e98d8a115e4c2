/* SPDX-License-Identifier: Apache-2.0 */
#include "brk.h"

#include "kick.h"
#include "monitor.h"
#include "power.h"

/* Stays set: a vCPU may have fetched a BRK right before its probe was disarmed. */
static bool wanted;

bool brk_wanted(void)
{
	return __atomic_load_n(&wanted, __ATOMIC_ACQUIRE);
}

static bool all_have_taken_it_up(void)
{
	/* A vCPU that comes up after this look sees what is wanted (pause_join). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (u64 i = 0; i < control()->vcpus; i++) {
		const struct vcpu *v = vcpu_table[i];

		if (power_is_on(v) && !__atomic_load_n(&v->debug_routed, __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

bool brk_ready(const struct sv_probe_descriptor *probes, u32 count)
{
	bool any = false;

	for (u32 i = 0; i < count; i++)
		any |= probes[i].trap != SV_TRAP_SMC;
	if (any)
		__atomic_store_n(&wanted, true, __ATOMIC_RELEASE);
	return !any || all_have_taken_it_up();
}

bool brk_route(struct vcpu *v)
{
	if (!__atomic_exchange_n(&wanted, true, __ATOMIC_ACQ_REL))
		kick_others(v);
	return all_have_taken_it_up();
}
