/* SPDX-License-Identifier: Apache-2.0 */
/* Which virtual interrupt the CPU interface would signal now: for delivering one in software between two steps. */
#include "arch_gen.h"
#include "inject.h"
#include "list_register.h"
#include "sysreg.h"
#include "vgic.h"

/* Bits below the group priority do not preempt (GICv3, "Priority grouping"). */
static u32 group_mask(u64 vmcr, u32 group)
{
	u64 point = FIELD(vmcr, ICH_VMCR_EL2_VBPR0) + 1;

	if (group && !(vmcr & ICH_VMCR_EL2_VCBPR))
		point = FIELD(vmcr, ICH_VMCR_EL2_VBPR1);
	return ~0U << point;
}

/* Priority of what the guest is handling: the lowest bit of the active priorities; 0x100 when idle. */
static u32 running_priority(void)
{
	u64 active = read_sysreg(ich_ap0r0_el2) | read_sysreg(ich_ap1r0_el2);
	u64 bits = FIELD(read_sysreg(ich_vtr_el2), ICH_VTR_EL2_PREbits) + 1;

	return active ? (u32)__builtin_ctzll(active) << (8 - bits) : 0x100;
}

bool vgic_is_handling(void)
{
	return (read_sysreg(ich_ap0r0_el2) | read_sysreg(ich_ap1r0_el2)) != 0;
}

static bool would_signal(u64 value, u64 vmcr)
{
	struct virq irq = list_register_virq(value);
	u64 enable = irq.group ? ICH_VMCR_EL2_VENG1 : ICH_VMCR_EL2_VENG0;

	return (value & LR_PENDING) && (vmcr & enable) &&
	       irq.priority < FIELD(vmcr, ICH_VMCR_EL2_VPMR) &&
	       (irq.priority & group_mask(vmcr, irq.group)) < running_priority();
}

static u64 signalled_group(const struct vcpu *v, bool *pending)
{
	u64 vmcr = read_sysreg(ich_vmcr_el2);
	u64 found = 0;

	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		*pending |= (value & LR_PENDING) != 0;
		if (would_signal(value, vmcr))
			found |= value & LR_GROUP1 ? SPSR_ELx_I : SPSR_ELx_F;
	}
	return found;
}

u64 vgic_deliverable(struct vcpu *v)
{
	u64 masks = v->frame.pstate;
	bool pending = v->vgic.queued != 0;
	u64 found;

	if (v->step.virtual_serror && !(masks & SPSR_ELx_A))
		return INJECT_SERROR;
	if (!v->vgic.unsettled)
		return 0;
	found = signalled_group(v, &pending) & ~masks;
	if (found && v->vgic.levels) {
		vgic_drop_fallen(v);
		found = signalled_group(v, &pending) & ~masks;
	}
	v->vgic.unsettled = pending;
	if (found & SPSR_ELx_F)
		return INJECT_FIQ;
	return found & SPSR_ELx_I ? INJECT_IRQ : 0;
}
