/* SPDX-License-Identifier: Apache-2.0 */
#include "vgic.h"

#include "arch_gen.h"
#include "gic.h"
#include "host.h"
#include "inject.h"
#include "kick.h"
#include "list_register.h"
#include "monitor.h"
#include "sysreg.h"

/* Acknowledgements per exit; a storm continues with the next exit, which follows at once. */
#define TAKE_LIMIT 8

static u32 enabled_groups;

void vgic_init(struct vcpu *v)
{
	v->vgic.queued = 0;
	v->vgic.stashed = 0;
	v->vgic.held = false;
	v->vgic.levels = 0;
	v->vgic.watching = false;
	v->vgic.seen_groups = vgic_groups();
	v->vgic.list_registers = (u32)FIELD(read_sysreg(ich_vtr_el2), ICH_VTR_EL2_ListRegs) + 1;
	for (u32 i = 0; i < v->vgic.list_registers; i++)
		list_register_write(i, 0);
	write_sysreg(ich_vmcr_el2, 0);
	write_sysreg(ich_ap0r0_el2, 0);
	write_sysreg(ich_ap1r0_el2, 0);
	write_sysreg(ich_hcr_el2, ICH_HCR_EL2_En);
}

u32 vgic_groups(void)
{
	return __atomic_load_n(&enabled_groups, __ATOMIC_RELAXED);
}

void vgic_set_groups(u32 groups)
{
	__atomic_store_n(&enabled_groups, groups, __ATOMIC_RELAXED);
}

/* The same interrupt twice in list registers is not allowed; a second SGI makes the first pending again. */
static bool merge_with_list(struct vcpu *v, struct virq irq)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if (!(value & LR_STATE_MASK) || (value & LR_VIRTUAL_MASK) != irq.intid)
			continue;
		if (value & LR_PENDING)
			return true;
		if (irq.hardware)
			return false; /* Active: waits in the queue until the guest is done with it. */
		list_register_write(i, value | LR_PENDING);
		return true;
	}
	return false;
}

static bool in_list(const struct vcpu *v, u32 intid)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) && (value & LR_VIRTUAL_MASK) == intid)
			return true;
	}
	return false;
}

static bool merge_with_queue(const struct vcpu *v, struct virq irq)
{
	for (u32 i = 0; i < v->vgic.queued; i++)
		if (v->vgic.queue[i].intid == irq.intid)
			return true;
	return false;
}

static void enqueue(struct vcpu *v, struct virq irq)
{
	u32 place = v->vgic.queued;

	/* Every interrupt is at most once in the queue, so it cannot overflow. */
	if (merge_with_queue(v, irq) || place >= VGIC_QUEUE)
		return;
	v->vgic.queue[place] = irq;
	v->vgic.queued++;
}

static void inject(struct vcpu *v, struct virq irq)
{
	if (!merge_with_list(v, irq))
		enqueue(v, irq);
}

/* The most urgent queued interrupt that the guest would take; VGIC_QUEUE for none. */
static u32 most_urgent(const struct vcpu *v)
{
	u32 best = VGIC_QUEUE;

	for (u32 i = 0; i < v->vgic.queued; i++) {
		const struct virq *irq = &v->vgic.queue[i];

		if (!(enabled_groups & 1U << irq->group) || in_list(v, irq->intid) ||
		    vgic_is_stashed(v, irq->intid))
			continue;
		if (best == VGIC_QUEUE || irq->priority < v->vgic.queue[best % VGIC_QUEUE].priority)
			best = i;
	}
	return best;
}

/* The list register whose interrupt has not been taken and is least urgent, if less than `priority`. */
static bool find_less_urgent(const struct vcpu *v, u8 priority, u32 *found)
{
	bool any = false;

	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) != LR_PENDING ||
		    list_register_virq(value).priority <= priority)
			continue;
		priority = list_register_virq(value).priority;
		*found = i;
		any = true;
	}
	return any;
}

/* All list registers are taken: makes room for a more urgent interrupt if there is one. */
static bool evict(struct vcpu *v, u32 urgent)
{
	u32 victim;

	v->status->overflows++;
	if (!find_less_urgent(v, v->vgic.queue[urgent % VGIC_QUEUE].priority, &victim))
		return vgic_stash_active(v);
	enqueue(v, vgic_unload(v, victim));
	return true;
}

struct virq vgic_dequeue(struct vcpu *v, u32 position)
{
	struct virq *place = &v->vgic.queue[position % VGIC_QUEUE];
	struct virq irq = *place;

	/* Order is kept: of two with one priority the older goes first. */
	v->vgic.queued--;
	for (; place < &v->vgic.queue[v->vgic.queued % VGIC_QUEUE]; place++)
		place[0] = place[1];
	return irq;
}

u32 vgic_free_list_register(const struct vcpu *v)
{
	u64 empty = read_sysreg(ich_elrsr_el2) & ((1UL << v->vgic.list_registers) - 1);

	return empty ? (u32)__builtin_ctzll(empty) : v->vgic.list_registers;
}

static void set_underflow_interrupt(bool on)
{
	u64 hcr = read_sysreg(ich_hcr_el2);
	u64 value = on ? hcr | ICH_HCR_EL2_UIE : hcr & ~ICH_HCR_EL2_UIE;

	if (value != hcr)
		write_sysreg(ich_hcr_el2, value);
}

/* One queued interrupt into a list register; false when nothing more can be moved. */
static bool refill_one(struct vcpu *v)
{
	u32 urgent = most_urgent(v);
	u32 target = vgic_free_list_register(v);

	if (urgent == VGIC_QUEUE)
		return false;
	if (target == v->vgic.list_registers) {
		if (!evict(v, urgent))
			return false;
		target = vgic_free_list_register(v);
	}
	vgic_load(v, target, vgic_dequeue(v, urgent));
	return true;
}

/* Back into the queue goes what the guest no longer wants of a group that it switched off. */
static void recall_disabled_groups(struct vcpu *v)
{
	v->vgic.seen_groups = vgic_groups();
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) != LR_PENDING ||
		    (v->vgic.seen_groups & 1U << list_register_virq(value).group))
			continue;
		enqueue(v, vgic_unload(v, i));
	}
}

static void refill(struct vcpu *v)
{
	if (v->vgic.seen_groups != vgic_groups())
		recall_disabled_groups(v);
	if (__atomic_load_n(&v->vgic.asked, __ATOMIC_ACQUIRE))
		vgic_take_back_asked(v);
	if (!v->vgic.queued && !v->vgic.stashed)
		return;
	for (u32 i = 0; i < VGIC_QUEUE && refill_one(v); i++)
		;
	vgic_settle_stash(v);
	/*
	 * Tells when the guest has emptied the list registers. Not for what waits for something else
	 * (a disabled group, its own deactivation): that would fire for ever; the next exit looks again.
	 */
	set_underflow_interrupt(most_urgent(v) != VGIC_QUEUE);
}

void vgic_refill(struct vcpu *v)
{
	refill(v);
	if (v->vgic.levels || v->vgic.watching)
		vgic_watch_levels(v);
}

static void hand_on(struct vcpu *v, u32 intid, u32 group)
{
	struct virq irq = { .intid = (u16)intid, .group = (u8)group };

	irq.priority = gic_priority(v, intid);
	irq.hardware = intid >= FIRST_PPI && intid < FIRST_SPECIAL;
	irq.level = irq.hardware && gic_level_is_high(v, intid);
	v->status->interrupts++;
	v->vgic.unsettled = true;
	inject(v, irq);
}

static void end_interrupt(u32 intid, u32 group)
{
	if (group)
		write_sysreg(icc_eoir1_el1, intid);
	else
		write_sysreg(icc_eoir0_el1, intid);
}

static void take(struct vcpu *v, u32 intid, u32 group)
{
	end_interrupt(intid, group);
	if (intid < FIRST_PPI || intid == INTID_EL2_TIMER || intid == INTID_MAINTENANCE)
		write_sysreg(icc_dir_el1, intid);
	if (intid == INTID_EL2_TIMER) {
		host_tick(v);
	} else if (intid != INTID_MAINTENANCE && (intid != INTID_KICK || kick_is_guests(v))) {
		hand_on(v, intid, group);
	}
}

void vgic_take_interrupts(struct vcpu *v, u32 group)
{
	for (u32 i = 0; i < TAKE_LIMIT; i++) {
		u32 intid = (u32)(group ? read_sysreg(icc_iar1_el1) : read_sysreg(icc_iar0_el1));

		intid &= (u32)ICC_IAR1_EL1_INTID_MASK;
		if (intid >= FIRST_SPECIAL && intid < FIRST_LPI)
			return;
		take(v, intid, group);
	}
}

void vgic_hold(void)
{
	write_sysreg(ich_hcr_el2, read_sysreg(ich_hcr_el2) & ~ICH_HCR_EL2_En);
}

void vgic_release(void)
{
	write_sysreg(ich_hcr_el2, read_sysreg(ich_hcr_el2) | ICH_HCR_EL2_En);
}

bool vgic_pending(const struct vcpu *v)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++)
		if (list_register_read(i) & LR_PENDING)
			return true;
	return v->vgic.queued != 0;
}

void vgic_give_back(struct vcpu *v)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) && (value & LR_HW))
			gic_give_back(v, list_register_virq(value).intid);
		list_register_write(i, 0);
	}
	for (u32 i = 0; i < v->vgic.queued; i++)
		if (v->vgic.queue[i].hardware)
			gic_give_back(v, v->vgic.queue[i].intid);
	for (u32 i = 0; i < v->vgic.stashed; i++)
		if (v->vgic.stash[i].hardware)
			gic_drop(v->vgic.stash[i].intid);
	v->vgic.queued = 0;
	v->vgic.stashed = 0;
}
