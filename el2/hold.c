/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"

#include "arch_gen.h"
#include "monitor.h"
#include "vgic.h"

#define INTERRUPT_MASKS (SPSR_ELx_A | SPSR_ELx_I | SPSR_ELx_F)

/* MRS and MSR of S3_0_C12: the CPU interface's registers, ISR_EL1. */
static bool sees_interrupts(u32 word)
{
	return (word & 0xffdff000) == 0xd518c000;
}

static void hold_by_interface(struct vcpu *v)
{
	if (v->vgic.held)
		return;
	v->vgic.held = true;
	vgic_hold();
}

static void release_interface(struct vcpu *v)
{
	if (!v->vgic.held)
		return;
	v->vgic.held = false;
	vgic_release();
}

void hold_interrupts(struct vcpu *v)
{
	v->step.masked = sees_interrupts(a64_word(&v->step)) && !monitor_flag(SV_FLAG_NO_HOLD_BACK);
	if (monitor_flag(SV_FLAG_NO_HOLD_BACK))
		return;
	if (!v->step.masked) {
		hold_by_interface(v);
		return;
	}
	release_interface(v);
	v->step.guest_masks = v->frame.pstate & INTERRUPT_MASKS;
	v->frame.pstate |= INTERRUPT_MASKS;
}

u64 hold_guest_pstate(const struct vcpu *v, u64 pstate)
{
	if (!v->step.masked)
		return pstate;
	return (pstate & ~INTERRUPT_MASKS) | v->step.guest_masks;
}

void hold_continue(struct vcpu *v)
{
	v->frame.pstate = hold_guest_pstate(v, v->frame.pstate);
	v->step.masked = false;
}

void hold_release(struct vcpu *v)
{
	hold_continue(v);
	if (vgic_pending(v))
		v->status->held++;
	release_interface(v);
}
