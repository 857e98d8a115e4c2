/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU goes off, and the first one brings it back. */
#include "fuzz.h"

#define OFF 1

static u64 off_wanted[MAX_CPUS];

void act_power(struct worker *w)
{
	if (!w->index)
		return;
	/* It goes on behind this action, in work. */
	timer_off();
	w->action++;
	store_release(&off_wanted[w->index], 1);
	smc(PSCI_CPU_OFF, 0, 0, 0);
	report(false, "vCPU %lu is still on", w->index);
}

void power_others(void)
{
	for (u64 cpu = 1; cpu < cpus_used; cpu++) {
		u64 target = (read_reg(mpidr_el1) & 0xff00ffff00UL) | cpu;

		if (!load_acquire(&off_wanted[cpu]) || smc(PSCI_AFFINITY_INFO, target, 0, 0) != OFF)
			continue;
		off_wanted[cpu] = 0;
		if (smp_start(cpu))
			report(false, "vCPU %lu is off and cannot be brought back", cpu);
	}
}
