/* SPDX-License-Identifier: Apache-2.0 */
/* SMC, BRK and HVC of the guest: probe hits, and what the guest itself means by them. */
#include "aarch32.h"
#include "arch_gen.h"
#include "emulate.h"
#include "encodings_gen.h"
#include "event.h"
#include "guard.h"
#include "monitor.h"
#include "program.h"
#include "psci.h"
#include "ring.h"
#include "shadow.h"
#include "slot.h"
#include "step.h"
#include "tracer.h"
#include "translate.h"
#include "trap.h"

/* Writes the record of a hit; false if the probe's program rejects it. */
static bool record_hit(struct vcpu *v, const struct slot *slot, u32 index)
{
	v->status->hits++;
	if (slot->program) {
		if (program_run(v, slot->program, index))
			return true;
		v->status->rejected++;
		return false;
	}
	if (slot->action == SV_ACTION_RECORD)
		ring_put_hit(v, index);
	return true;
}

static enum trap_result hit(struct vcpu *v, u32 index)
{
	struct slot slot;
	u64 pc = v->frame.pc;

	/* Nobody listens: the vCPU leaves this exit in the open view and runs the original there. */
	if (monitor_unprobed() || !slot_take(index, &slot))
		return TRAP_RETRY;
	if (is_private_slot(index)) {
		if (tracer_private_hit(v, index))
			return TRAP_RETRY;
	} else {
		tracer_hit(v, &slot, record_hit(v, &slot, index));
	}
	/* The answer to its first event sent the guest elsewhere. */
	if (v->frame.pc != pc)
		return TRAP_RETRY;
	/* A tracer's step is under way, or starts here: it wants to see the instruction run. */
	if (slot.plan == SV_PLAN_EMULATE && v->step.mode == STEP_NONE && !v->tracer &&
	    slot_instruction(&slot) == slot.word && emulate(v, &slot)) {
		v->status->emulated++;
		return TRAP_RETRY;
	}
	step_displaced(v, &slot);
	return TRAP_RETRY;
}

bool hit_unfetched(struct vcpu *v)
{
	ipa_t address;
	u32 index;

	if (!translate_guest(v->frame.pc, &address))
		return false;
	index = shadow_find_probe(address);
	if (!index)
		return false;
	step_end_fetch(v);
	hit(v, index);
	return true;
}

/*
 * Not at the address where its slot's probe is armed. Either an instruction of the guest's own; or a planted one:
 * reached through another mapping of the page, or fetched right before the probe was disarmed.
 */
static bool is_guests_own(u32 word, ipa_t address, u32 immediate)
{
	const struct slot *slot = slot_at(immediate);

	if (slot_armed(slot) && slot->address.raw == address.raw)
		return false;
	return is_smc(word) || is_brk(word);
}

enum whose { GUESTS_OWN, PLANTED, GUARD, STALE };

/* A guard is where a load-exclusive of the guest's own lies. */
static enum whose find_guard(const struct vcpu *v, u32 *word)
{
	ipa_t address;

	if (!read_guest_instruction(v->frame.pc, word, &address))
		return STALE;
	if (is_smc(*word) || is_brk(*word))
		return GUESTS_OWN;
	return is_a64_load_exclusive(*word) ? GUARD : STALE;
}

/* Also what the guest has in its place, but for one that is PLANTED. */
static enum whose find_owner(const struct vcpu *v, u32 immediate, u32 *word)
{
	const struct slot *slot = slot_at(immediate);
	ipa_t address;

	/* In the other views every trap is the guest's own. */
	if (!immediate || v->view != SV_VIEW_PROBED)
		return GUESTS_OWN;
	if (immediate == GUARD_SLOT)
		return find_guard(v, word);
	/*
	 * A probe belongs to the instruction in memory: another process may have code of its own at the same virtual
	 * address. That address decides only where the translation cannot be had.
	 */
	if (!read_guest_instruction(v->frame.pc, word, &address))
		return slot_armed(slot) && slot->va == v->frame.pc ? PLANTED : STALE;
	if (is_guests_own(*word, address, immediate))
		return GUESTS_OWN;
	return slot_armed(slot) && slot->address.raw == address.raw ? PLANTED : STALE;
}

static enum trap_result trap_planted(struct vcpu *v, u64 esr, trap_handler guests_own)
{
	u32 immediate = (u32)(esr & ISS_CALL_IMM16_MASK);
	u32 word;

	step_end_fetch(v);
	switch (find_owner(v, immediate, &word)) {
	case PLANTED:
		return hit(v, immediate);
	case GUARD:
		if (!monitor_unprobed())
			step_guarded(v, word);
		return TRAP_RETRY;
	case GUESTS_OWN:
		return guests_own(v, esr);
	default:
		return TRAP_RETRY;
	}
}

enum trap_result trap_smc(struct vcpu *v, u64 esr)
{
	return trap_planted(v, esr, psci_call);
}

enum trap_result trap_brk(struct vcpu *v, u64 esr)
{
	return trap_planted(v, esr, trap_guest_brk);
}

/* In AArch32 state the address alone tells whose it is. */
enum trap_result trap_bkpt(struct vcpu *v, u64 esr)
{
	u32 set = instruction_set(v->frame.pstate);
	ipa_t address;
	u32 word, index;

	step_end_fetch(v);
	if (v->view != SV_VIEW_PROBED)
		return trap_guest_brk(v, esr);
	if (!translate_guest(v->frame.pc, &address) || !read_instruction(set, v->frame.pc, &word))
		return TRAP_RETRY;
	index = shadow_find_probe(address);
	if (index)
		return hit(v, index);
	/* Or planted, and disarmed since it was fetched. */
	return is_bkpt(set, word) ? trap_guest_brk(v, esr) : TRAP_RETRY;
}

/* Nobody listens: UNDEF, as on a machine without EL2. HVC's preferred return is past it. */
enum trap_result trap_hvc(struct vcpu *v, u64 esr)
{
	u64 address = v->frame.pc - INSTRUCTION_SIZE;
	u64 btype = v->frame.pstate & SPSR_ELx_BTYPE_MASK;

	/* Past it already, so nothing is left to emulate: the step exception follows by itself. */
	v->frame.pstate &= ~SPSR_ELx_BTYPE_MASK;
	if (event_enabled(v, SV_EVENT_GUEST_REQUEST) &&
	    event_report(v, SV_EVENT_GUEST_REQUEST, address, esr) != SV_ANSWER_ACTION_DENY)
		return TRAP_RETRY;
	v->frame.pc -= INSTRUCTION_SIZE;
	v->frame.pstate |= btype;
	return TRAP_UNDEFINED;
}
