/* SPDX-License-Identifier: Apache-2.0 */
/* Taking back interrupts that the guest disabled, or whose pending state it cleared, before it took them. */
#include "gic.h"
#include "list_register.h"
#include "monitor.h"
#include "vgic.h"

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
		if ((value & LR_PENDING) && take_back(v, list_register_virq(value)))
			list_register_write(
				i, (value & LR_STATE_MASK) == LR_PENDING ? 0 : value & ~LR_PENDING);
	}
}

/* What was asked for is forgotten when it is not here: it has been taken, or is another vCPU's. */
void vgic_take_back_asked(struct vcpu *v)
{
	__atomic_store_n(&v->vgic.asked, false, __ATOMIC_RELEASE);
	take_back_from_list(v);
	for (u32 i = 0; i < v->vgic.queued;)
		if (take_back(v, v->vgic.queue[i]))
			vgic_dequeue(v, i);
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

	__atomic_fetch_or(&words[word % VGIC_WORDS], bits, __ATOMIC_RELAXED);
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
