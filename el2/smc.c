/* SPDX-License-Identifier: Apache-2.0 */
/* SMCs of the guest: probe hits, and calls to the firmware. */
#include "arch_gen.h"
#include "monitor.h"
#include "psci.h"
#include "ring.h"
#include "slot.h"
#include "step.h"
#include "translate.h"
#include "trap.h"

static enum trap_result hit(struct vcpu *v, u32 index)
{
	const struct slot *slot = slot_at(index);

	/* Nobody listens: the vCPU leaves this exit in the open view and runs the original there. */
	if (monitor_unprobed())
		return TRAP_RETRY;
	v->status->hits++;
	ring_put_hit(v, index);
	step_displaced(v, slot);
	return TRAP_RETRY;
}

/*
 * Not at the address where its slot's probe is armed. Either an SMC of the guest's own; or a planted one: reached
 * through another mapping of the page, or fetched right before the probe was disarmed.
 */
static enum trap_result look_closer(struct vcpu *v, u32 immediate)
{
	const struct slot *slot = slot_at(immediate);
	ipa_t address;
	u32 word;

	if (!read_guest_instruction(v->frame.pc, &word, &address))
		return TRAP_RETRY;
	if (is_smc(word))
		return psci_call(v);
	if (slot_armed(slot) && slot->address.raw == address.raw)
		return hit(v, immediate);
	return TRAP_RETRY;
}

enum trap_result trap_smc(struct vcpu *v, u64 esr)
{
	u32 immediate = (u32)(esr & ISS_CALL_IMM16_MASK);
	const struct slot *slot = slot_at(immediate);

	if (!immediate)
		return psci_call(v);
	/* In the pristine view every SMC is the guest's own. */
	if (v->step.mode != STEP_NONE)
		return psci_call(v);
	if (slot_armed(slot) && slot->va == v->frame.pc)
		return hit(v, immediate);
	return look_closer(v, immediate);
}

/* EL2 offers no hypercalls: as on a machine without EL2. HVC's preferred return is past it. */
enum trap_result trap_hvc(struct vcpu *v, u64 esr)
{
	(void)esr;
	v->frame.pc -= INSTRUCTION_SIZE;
	return TRAP_UNDEFINED;
}
