/* SPDX-License-Identifier: Apache-2.0 */
#include "kick.h"

#include "arch_gen.h"
#include "monitor.h"
#include "power.h"
#include "sysreg.h"

/* ICC_SGI1R_EL1: one target by its affinity. */
static u64 sgi_to(const struct vcpu *target)
{
	u64 mpidr = target->mpidr;

	return (u64)INTID_KICK << ICC_SGI1R_EL1_INTID_SHIFT |
	       (mpidr >> 32 & 0xff) << ICC_SGI1R_EL1_Aff3_SHIFT |
	       (mpidr >> 16 & 0xff) << ICC_SGI1R_EL1_Aff2_SHIFT |
	       (mpidr >> 8 & 0xff) << ICC_SGI1R_EL1_Aff1_SHIFT | 1UL << (mpidr & 15);
}

void kick_others(struct vcpu *v)
{
	for (u64 i = 0; i < control()->vcpus; i++) {
		struct vcpu *target = vcpu_table[i];

		if (target == v || !power_is_on(target))
			continue;
		__atomic_store_n(&target->kicked, true, __ATOMIC_RELEASE);
		write_sysreg(icc_sgi1r_el1, sgi_to(target));
	}
	isb();
}

static bool is_meant(const struct vcpu *sender, const struct vcpu *target, u64 value)
{
	u64 cluster = ICC_SGI1R_EL1_Aff3_MASK | ICC_SGI1R_EL1_Aff2_MASK | ICC_SGI1R_EL1_Aff1_MASK;

	if (value & ICC_SGI1R_EL1_IRM)
		return target != sender;
	return ((sgi_to(target) ^ value) & cluster) == 0 && (sgi_to(target) & value & 0xffff);
}

void kick_note_guest_sgi(const struct vcpu *v, u64 value)
{
	if (FIELD(value, ICC_SGI1R_EL1_INTID) != INTID_KICK)
		return;
	for (u64 i = 0; i < control()->vcpus; i++)
		if (is_meant(v, vcpu_table[i], value))
			__atomic_store_n(&vcpu_table[i]->guest_sgi, true, __ATOMIC_RELEASE);
}

bool kick_is_guests(struct vcpu *v)
{
	bool kicked = __atomic_exchange_n(&v->kicked, false, __ATOMIC_ACQ_REL);
	bool guests = __atomic_exchange_n(&v->guest_sgi, false, __ATOMIC_ACQ_REL);

	/* Neither: made pending through the redistributor. */
	return guests || !kicked;
}
