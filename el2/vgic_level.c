/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A level may fall while its interrupt waits in a list register, where the guest would still get it. Its first access
 * to the interface's group registers traps then, and what has fallen is taken away: its acknowledgement returns what
 * it returns on a machine where the level falls late, 1023 or the next interrupt.
 */
#include "arch_gen.h"
#include "gic.h"
#include "list_register.h"
#include "sysreg.h"
#include "vgic.h"

#define GROUP_TRAPS (ICH_HCR_EL2_TALL1 | ICH_HCR_EL2_TALL0)

/* S3_0_C12_C8, C9 and C12: the registers of both groups; ICC_IAR0_EL1 and ICC_IAR1_EL1 among them. */
#define KEY_C12_C8 ISS_SYSREG_ICC_IAR0_EL1
#define KEY_OP2_MASK 0x0e0000U
#define KEY_C12_C9 (KEY_C12_C8 + 2)
#define KEY_C12_C12 ISS_SYSREG_ICC_IAR1_EL1

static bool is_pending(u64 value)
{
	return (value & LR_STATE_MASK) == LR_PENDING;
}

void vgic_load(struct vcpu *v, u32 target, struct virq irq)
{
	u32 bit = 1U << target;

	list_register_write(target, list_register_value(irq));
	v->vgic.levels = irq.level ? v->vgic.levels | bit : v->vgic.levels & ~bit;
}

struct virq vgic_unload(struct vcpu *v, u32 source)
{
	struct virq irq = list_register_virq(list_register_read(source));

	irq.level = (v->vgic.levels & 1U << source) != 0;
	list_register_write(source, 0);
	v->vgic.levels &= ~(1U << source);
	return irq;
}

void vgic_drop_fallen(struct vcpu *v)
{
	for (u32 left = v->vgic.levels; left; left &= left - 1) {
		u32 i = (u32)__builtin_ctz(left);
		u64 value = list_register_read(i);
		u32 intid = list_register_virq(value).intid;

		if (!is_pending(value)) {
			v->vgic.levels &= ~(1U << i);
		} else if (!gic_level_is_high(v, intid)) {
			vgic_unload(v, i);
			gic_drop(intid);
		}
	}
}

static u64 traps_wanted(struct vcpu *v)
{
	u64 traps = 0;

	for (u32 left = v->vgic.levels; left; left &= left - 1) {
		u32 i = (u32)__builtin_ctz(left);
		u64 value = list_register_read(i);

		if (!is_pending(value))
			v->vgic.levels &= ~(1U << i);
		else
			traps |= value & LR_GROUP1 ? ICH_HCR_EL2_TALL1 : ICH_HCR_EL2_TALL0;
	}
	return traps;
}

void vgic_watch_levels(struct vcpu *v)
{
	u64 hcr = read_sysreg(ich_hcr_el2);
	u64 traps = v->vgic.let_pass ? 0 : traps_wanted(v);

	v->vgic.let_pass = false;
	v->vgic.watching = traps != 0;
	if ((hcr & GROUP_TRAPS) != traps)
		write_sysreg(ich_hcr_el2, (hcr & ~GROUP_TRAPS) | traps);
}

bool vgic_look_at_levels(struct vcpu *v, u32 key)
{
	u32 base = key & ~KEY_OP2_MASK;

	if (!v->vgic.watching || (base != KEY_C12_C8 && base != KEY_C12_C9 && base != KEY_C12_C12))
		return false;
	vgic_drop_fallen(v);
	/* The access is done again, by the interface: this exit ends without the traps. */
	if (key == ISS_SYSREG_ICC_IAR0_EL1 || key == ISS_SYSREG_ICC_IAR1_EL1)
		v->vgic.levels = 0;
	else
		v->vgic.let_pass = true;
	return true;
}
