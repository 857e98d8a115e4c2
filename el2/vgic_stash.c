/* SPDX-License-Identifier: Apache-2.0 */
#include "arch_gen.h"
#include "gic.h"
#include "list_register.h"
#include "sysreg.h"
#include "vgic.h"

#define STASH_TRAPS (ICH_HCR_EL2_LRENPIE | ICH_HCR_EL2_TDIR)

bool vgic_is_stashed(const struct vcpu *v, u32 intid)
{
	for (u32 i = 0; i < v->vgic.stashed; i++)
		if (v->vgic.stash[i].intid == intid)
			return true;
	return false;
}

/* The list register of the least urgent interrupt that is active and nothing else. */
static bool find_active(const struct vcpu *v, u32 *found)
{
	u32 worst = 0;
	bool any = false;

	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) != LR_ACTIVE)
			continue;
		if (!any || list_register_virq(value).priority > worst)
			*found = i;
		worst = list_register_virq(list_register_read(*found)).priority;
		any = true;
	}
	return any;
}

bool vgic_stash_active(struct vcpu *v)
{
	u32 place = v->vgic.stashed;
	u32 victim;

	if (place >= VGIC_NESTING || !find_active(v, &victim))
		return false;
	v->vgic.stash[place] = list_register_virq(list_register_read(victim));
	v->vgic.stashed++;
	list_register_write(victim, 0);
	return true;
}

/* The most urgent one; of equals, the one stashed last. */
static u32 most_urgent(const struct vcpu *v)
{
	u32 best = 0;

	for (u32 i = 1; i < v->vgic.stashed; i++)
		if (v->vgic.stash[i].priority <= v->vgic.stash[best % VGIC_NESTING].priority)
			best = i;
	return best;
}

static struct virq take_out(struct vcpu *v, u32 position)
{
	struct virq *place = &v->vgic.stash[position % VGIC_NESTING];
	struct virq irq = *place;

	v->vgic.stashed--;
	for (; place < &v->vgic.stash[v->vgic.stashed % VGIC_NESTING]; place++)
		place[0] = place[1];
	return irq;
}

static void end(struct virq irq)
{
	if (irq.hardware)
		gic_drop(irq.intid);
}

/* Ends that the interface counted because it had no list register for them. */
static void end_counted(struct vcpu *v)
{
	u64 hcr = read_sysreg(ich_hcr_el2);

	for (u64 n = FIELD(hcr, ICH_HCR_EL2_EOIcount); n && v->vgic.stashed; n--)
		end(take_out(v, most_urgent(v)));
	if (hcr & ICH_HCR_EL2_EOIcount_MASK)
		write_sysreg(ich_hcr_el2, hcr & ~ICH_HCR_EL2_EOIcount_MASK);
}

static void move_back(struct vcpu *v)
{
	u32 target = vgic_free_list_register(v);

	while (v->vgic.stashed && target < v->vgic.list_registers) {
		u64 value = list_register_value(take_out(v, most_urgent(v)));

		list_register_write(target, (value & ~LR_STATE_MASK) | LR_ACTIVE);
		target = vgic_free_list_register(v);
	}
}

void vgic_settle_stash(struct vcpu *v)
{
	u64 hcr, value;

	end_counted(v);
	move_back(v);
	hcr = read_sysreg(ich_hcr_el2);
	value = v->vgic.stashed ? hcr | STASH_TRAPS : hcr & ~STASH_TRAPS;
	if (value != hcr)
		write_sysreg(ich_hcr_el2, value);
}

static bool deactivate_in_list(struct vcpu *v, u32 intid)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if (!(value & LR_ACTIVE) || (value & LR_VIRTUAL_MASK) != intid)
			continue;
		list_register_write(i, value & LR_PENDING ? value & ~LR_ACTIVE : 0);
		end(list_register_virq(value));
		return true;
	}
	return false;
}

void vgic_deactivate(struct vcpu *v, u32 intid)
{
	if (deactivate_in_list(v, intid))
		return;
	for (u32 i = 0; i < v->vgic.stashed; i++)
		if (v->vgic.stash[i].intid == intid) {
			end(take_out(v, i));
			return;
		}
}
