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

static u64 list_register_value(struct virq irq)
{
	u64 value = LR_PENDING | (u64)irq.priority << LR_PRIORITY_SHIFT | irq.intid;

	if (irq.group)
		value |= LR_GROUP1;
	if (irq.hardware)
		value |= LR_HW | (u64)irq.intid << LR_PHYSICAL_SHIFT;
	return value;
}

static struct virq virq_of(u64 value)
{
	return (struct virq){
		.intid = (u16)(value & LR_VIRTUAL_MASK),
		.priority = (u8)(value >> LR_PRIORITY_SHIFT),
		.group = (value & LR_GROUP1) != 0,
		.hardware = (value & LR_HW) != 0,
	};
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
	/* Every interrupt is at most once in the queue, so it cannot overflow. */
	if (!merge_with_queue(v, irq) && v->vgic.queued < VGIC_QUEUE)
		v->vgic.queue[v->vgic.queued++] = irq;
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

		if (!(enabled_groups & 1U << irq->group) || in_list(v, irq->intid))
			continue;
		if (best == VGIC_QUEUE || irq->priority < v->vgic.queue[best].priority)
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

		if ((value & LR_STATE_MASK) != LR_PENDING || virq_of(value).priority <= priority)
			continue;
		priority = virq_of(value).priority;
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
	if (!find_less_urgent(v, v->vgic.queue[urgent].priority, &victim))
		return false;
	enqueue(v, virq_of(list_register_read(victim)));
	list_register_write(victim, 0);
	return true;
}

static struct virq dequeue(struct vcpu *v, u32 position)
{
	struct virq irq = v->vgic.queue[position];

	/* Order is kept: of two with one priority the older goes first. */
	v->vgic.queued--;
	for (u32 i = position; i < v->vgic.queued; i++)
		v->vgic.queue[i] = v->vgic.queue[i + 1];
	return irq;
}

static bool take_bit(u32 *words, u32 intid)
{
	u32 bit = 1U << intid % 32;

	return intid < VGIC_QUEUE &&
	       (__atomic_fetch_and(&words[intid / 32], ~bit, __ATOMIC_ACQ_REL) & bit);
}

/* Whether this interrupt is to be taken back; it then is the physical GIC's again, pending or not. */
static bool take_back(struct vcpu *v, struct virq irq)
{
	if (take_bit(v->vgic.cleared, irq.intid)) {
		gic_drop(irq.intid);
		return true;
	}
	if (!take_bit(v->vgic.disabled, irq.intid))
		return false;
	gic_give_back(v, irq.intid);
	return true;
}

static void take_back_from_list(struct vcpu *v)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		/* One that is active, too, goes on being handled. */
		if ((value & LR_PENDING) && take_back(v, virq_of(value)))
			list_register_write(
				i, (value & LR_STATE_MASK) == LR_PENDING ? 0 : value & ~LR_PENDING);
	}
}

/* What was asked for is forgotten when it is not here: it has been taken, or is another vCPU's. */
static void take_back_asked(struct vcpu *v)
{
	__atomic_store_n(&v->vgic.asked, false, __ATOMIC_RELEASE);
	take_back_from_list(v);
	for (u32 i = 0; i < v->vgic.queued;)
		if (take_back(v, v->vgic.queue[i]))
			dequeue(v, i);
		else
			i++;
	for (u32 i = 0; i < VGIC_WORDS; i++) {
		__atomic_store_n(&v->vgic.cleared[i], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&v->vgic.disabled[i], 0, __ATOMIC_RELAXED);
	}
}

static void ask(struct vcpu *v, u32 word, u32 bits, bool stays_pending)
{
	u32 *words = stays_pending ? v->vgic.disabled : v->vgic.cleared;

	__atomic_fetch_or(&words[word], bits, __ATOMIC_RELAXED);
	__atomic_store_n(&v->vgic.asked, true, __ATOMIC_RELEASE);
}

void vgic_withdraw(struct vcpu *v, u32 first, u32 bits, bool stays_pending)
{
	if (first >= VGIC_QUEUE)
		return;
	if (first < FIRST_SPI) {
		ask(v, 0, bits, stays_pending);
		return;
	}
	for (u64 i = 0; i < control()->vcpus; i++)
		ask(vcpu_table[i], first / 32, bits, stays_pending);
}

static u32 free_list_register(const struct vcpu *v)
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
	u32 target = free_list_register(v);

	if (urgent == VGIC_QUEUE)
		return false;
	if (target == v->vgic.list_registers) {
		if (!evict(v, urgent))
			return false;
		target = free_list_register(v);
	}
	list_register_write(target, list_register_value(dequeue(v, urgent)));
	return true;
}

/* Back into the queue goes what the guest no longer wants of a group that it switched off. */
static void recall_disabled_groups(struct vcpu *v)
{
	v->vgic.seen_groups = vgic_groups();
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) != LR_PENDING ||
		    (v->vgic.seen_groups & 1U << virq_of(value).group))
			continue;
		enqueue(v, virq_of(value));
		list_register_write(i, 0);
	}
}

void vgic_refill(struct vcpu *v)
{
	if (v->vgic.seen_groups != vgic_groups())
		recall_disabled_groups(v);
	if (__atomic_load_n(&v->vgic.asked, __ATOMIC_ACQUIRE))
		take_back_asked(v);
	if (!v->vgic.queued)
		return;
	for (u32 i = 0; i < VGIC_QUEUE && refill_one(v); i++)
		;
	/*
	 * Tells when the guest has emptied the list registers. Not for what waits for something else
	 * (a disabled group, its own deactivation): that would fire for ever; the next exit looks again.
	 */
	set_underflow_interrupt(most_urgent(v) != VGIC_QUEUE);
}

static void hand_on(struct vcpu *v, u32 intid, u32 group)
{
	struct virq irq = { .intid = (u16)intid, .group = (u8)group };

	irq.priority = gic_priority(v, intid);
	irq.hardware = intid >= FIRST_PPI && intid < FIRST_SPECIAL;
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

static bool would_signal(u64 value, u64 vmcr)
{
	struct virq irq = virq_of(value);
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
	v->vgic.unsettled = pending;
	if (found & SPSR_ELx_F)
		return INJECT_FIQ;
	return found & SPSR_ELx_I ? INJECT_IRQ : 0;
}

void vgic_give_back(struct vcpu *v)
{
	for (u32 i = 0; i < v->vgic.list_registers; i++) {
		u64 value = list_register_read(i);

		if ((value & LR_STATE_MASK) && (value & LR_HW))
			gic_give_back(v, virq_of(value).intid);
		list_register_write(i, 0);
	}
	for (u32 i = 0; i < v->vgic.queued; i++)
		if (v->vgic.queue[i].hardware)
			gic_give_back(v, v->vgic.queue[i].intid);
	v->vgic.queued = 0;
}
