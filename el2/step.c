/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include "aarch32.h"
#include "arch_gen.h"
#include "arrival.h"
#include "branch.h"
#include "encodings_gen.h"
#include "event.h"
#include "exclusive.h"
#include "guest_debug.h"
#include "guest_state.h"
#include "hold.h"
#include "inject.h"
#include "monitor.h"
#include "pointer_auth.h"
#include "shadow.h"
#include "stage2.h"
#include "sysreg.h"
#include "tracer.h"
#include "translate.h"
#include "trap.h"
#include "vgic.h"

static void select_view(struct vcpu *v, u32 view)
{
	if (v->view == view)
		return;
	v->view = view;
	stage2_select(view);
}

void step_select_free_view(struct vcpu *v)
{
	if (monitor_unprobed()) {
		select_view(v, SV_VIEW_OPEN);
		v->unwatched = true;
		return;
	}
	select_view(v, v->free_view);
	if (!v->unwatched)
		return;
	v->unwatched = false;
	shadow_refresh_changed(v);
}

static bool is_routine(const struct vcpu *v)
{
	const struct step *step = &v->step;

	if (step->exclusive.access.kind != EXCLUSIVE_NONE || step->mode != STEP_TRACE ||
	    step->displaced || step->masked || step->guest_ss || (step->guest_mdscr & MDSCR_EL1_SS))
		return false;
	return tracer_is_plain(v);
}

static void set_mdscr(struct step *step, u64 value)
{
	if (step->mdscr == value)
		return;
	step->mdscr = value;
	write_sysreg(mdscr_el1, value);
}

/* From here the next instruction steps. */
static void set_going(struct vcpu *v)
{
	struct step *step = &v->step;
	u64 mdscr = guest_debug_begin_instruction(v);

	step->pc = v->frame.pc;
	step->going = true;
	step->late = false;
	step->routine = false;
	step->compact = false;
	v->code_page = NO_CODE_PAGE; /* The guest may have run freely, or changed its mappings. */
	exclusive_begin(v);
	hold_interrupts(v);
	set_mdscr(step, mdscr);
	v->frame.pstate |= SPSR_ELx_SS;
	step->routine = is_routine(v);
}

static void arm(struct vcpu *v, enum step_mode mode, u32 view)
{
	v->step.mode = mode;
	v->step.dirty_pages = 0;
	select_view(v, view);
	guest_debug_save(v);
	write_sysreg(mdcr_el2, mdcr_value_stepping());
	v->step.virtual_serror = read_sysreg(hcr_el2) & HCR_EL2_VSE;
	write_sysreg(hcr_el2, hcr_value_stepping());
	set_going(v);
}

static void disarm(struct vcpu *v)
{
	hold_release(v);
	v->step.mode = STEP_NONE;
	v->step.routine = false;
	guest_debug_restore(v);
	write_sysreg(mdcr_el2, mdcr_value(v));
	write_sysreg(hcr_el2, hcr_value() | v->step.virtual_serror);
	v->step.virtual_serror = 0;
}

static void refresh_written_pages(struct vcpu *v)
{
	u32 pages = v->step.dirty_pages;

	v->step.dirty_pages = 0;
	for (u32 i = 0; i < pages; i++)
		shadow_refresh(v, v->step.dirty[i]);
	/* In the open view no second page faults. */
	if (pages && is_a64_far_reaching_store(a64_word(&v->step)))
		shadow_refresh_changed(v);
}

static void step_in_place(struct vcpu *v)
{
	if (v->step.mode == STEP_NONE) {
		arm(v, v->tracer ? STEP_TRACE : STEP_DISPLACED, SV_VIEW_PRISTINE);
		return;
	}
	/* A step found an SMC in its place: nothing has executed, and what was arranged for it is taken back. */
	hold_continue(v);
	if (v->tracer)
		v->step.mode = STEP_TRACE; /* It may have started with this hit. */
	select_view(v, SV_VIEW_PRISTINE);
	set_going(v);
}

void step_displaced(struct vcpu *v, const struct slot *slot)
{
	u32 word = slot_instruction(slot);

	v->step.word = word;
	v->step.set = instruction_set(v->frame.pstate);
	v->step.plan = slot->plan == SV_PLAN_EMULATE || word != slot->word ?
			       branch_plan(a64_word(&v->step)) :
			       slot->plan;
	v->step.unsigned_pointer = v->frame.x[30];
	v->step.modifier = read_sysreg(sp_el1);
	v->step.base = branch_base(v, word);
	v->step.displaced = true;
	v->step.place = slot->address;
	v->step.patched = slot->patched || word != slot->present;
	step_in_place(v);
}

void step_guarded(struct vcpu *v, u32 word)
{
	v->step.word = word;
	v->step.set = SV_INSTRUCTION_SET_A64;
	v->step.plan = SV_PLAN_STEP_LINEAR;
	v->step.displaced = false;
	step_in_place(v);
}

static void note_instruction(struct vcpu *v)
{
	u32 set = instruction_set(v->frame.pstate);
	bool known = read_instruction(set, v->frame.pc, &v->step.word);

	/* Zero is an instruction of A32 and of T32, but none of A64. */
	v->step.set = known ? set : SV_INSTRUCTION_SET_A64;
	v->step.word = known ? v->step.word : 0;
}

static void decode_here(struct vcpu *v)
{
	note_instruction(v);
	v->step.plan = branch_plan(a64_word(&v->step));
	v->step.base = branch_base(v, a64_word(&v->step));
	v->step.displaced = false;
}

void step_masked(struct vcpu *v)
{
	decode_here(v);
	arm(v, STEP_MASKED, v->view);
}

static void step_here(struct vcpu *v, enum step_mode mode)
{
	decode_here(v);
	step_select_free_view(v);
	if (v->step.mode == STEP_NONE) {
		arm(v, mode, v->view);
		return;
	}
	v->step.mode = mode;
	set_going(v);
}

void step_trace(struct vcpu *v)
{
	step_here(v, STEP_TRACE);
}

/* Instructions of a sequence that are stepped, and of one that has been too long three times in a row. */
#define SEQUENCE_STEPS 256U
#define LONG_SEQUENCE_STEPS 65536U
#define PATIENCE 3U

/* It must not hold interrupts back for ever; and a sequence that is never closed is none. */
static bool sequence_is_too_long(struct vcpu *v)
{
	struct exclusive *exclusive = &v->step.exclusive;

	if (exclusive->steps++ < SEQUENCE_STEPS)
		return false;
	if (exclusive->broken_pc != exclusive->pc)
		exclusive->broken = 0;
	if (exclusive->broken >= PATIENCE && exclusive->steps < LONG_SEQUENCE_STEPS &&
	    !vgic_pending(v))
		return false;
	exclusive->broken_pc = exclusive->pc;
	exclusive->broken++;
	return true;
}

static bool sequence_goes_on(struct vcpu *v)
{
	struct exclusive *exclusive = &v->step.exclusive;

	if (monitor_unprobed())
		return false;
	if (exclusive->open)
		return !sequence_is_too_long(v);
	if (!exclusive->seeking)
		return false;
	exclusive->seeking--;
	return true;
}

/* Nobody steps any more; but in the middle of an exclusive sequence that goes on to its end. */
static void step_on_or_disarm(struct vcpu *v)
{
	if (v->step.mode != STEP_SEQUENCE)
		v->step.exclusive.steps = 0;
	if (sequence_goes_on(v)) {
		v->step.mode = STEP_SEQUENCE;
		return;
	}
	exclusive_clear(v);
	disarm(v);
}

void step_trace_end(struct vcpu *v)
{
	if (v->step.mode == STEP_TRACE)
		step_on_or_disarm(v);
}

void step_continue_sequence(struct vcpu *v)
{
	bool begins = v->step.mode == STEP_NONE && v->step.exclusive.seeking;

	if (begins && !monitor_unprobed())
		step_here(v, STEP_SEQUENCE);
	if (v->step.mode != STEP_SEQUENCE || v->step.going)
		return;
	if (!step_guest_step_due(v)) {
		step_here(v, STEP_SEQUENCE);
		return;
	}
	v->step.exclusive.seeking = 0;
	step_on_or_disarm(v);
}

/* Whether it has a shadow is asked when it has been written: it may be about to get one now. */
static void note_dirty(struct vcpu *v, ipa_t page)
{
	u32 place = v->step.dirty_pages;

	if (place >= sizeof(v->step.dirty) / sizeof(v->step.dirty[0]))
		return;
	v->step.dirty[place] = page;
	v->step.dirty_pages++;
}

void step_note_written(struct vcpu *v, ipa_t address)
{
	note_dirty(v, ipa_page(address));
}

/*
 * What faulted may be a translation table, which the walk updates: then the access itself has not been heard of. One
 * that begins in a page may end in the next one.
 */
static void note_written_pages(struct vcpu *v, ipa_t page)
{
	u64 va = read_sysreg(far_el2) & ~PAGE_MASK;
	ipa_t reached;

	note_dirty(v, page);
	if (translate_guest(va, &reached) && ipa_page(reached).raw != page.raw)
		note_dirty(v, ipa_page(reached));
	if (translate_guest(va + PAGE_SIZE, &reached))
		note_dirty(v, ipa_page(reached));
}

static void step_in_view(struct vcpu *v, u32 view)
{
	v->status->data_steps++;
	if (v->step.mode != STEP_NONE) {
		select_view(v, view); /* The step under way goes on, its SPSR.SS untouched. */
		return;
	}
	decode_here(v);
	arm(v, STEP_DATA, view);
}

void step_data_access(struct vcpu *v, ipa_t page, bool write)
{
	step_in_view(v, write ? SV_VIEW_OPEN : SV_VIEW_PRISTINE);
	if (write)
		note_written_pages(v, page);
}

void step_fetch(struct vcpu *v)
{
	step_in_view(v, VIEW_FETCH);
}

void step_end_fetch(struct vcpu *v)
{
	if (v->view != VIEW_FETCH)
		return;
	if (v->step.mode == STEP_DATA) {
		v->step.going = false;
		disarm(v);
	}
	select_view(v, SV_VIEW_PROBED);
}

#define PACIASP 0xd503233fU

/* A signature by the hardware: what the emulation of the next ones is measured against. */
static void learn_signature(const struct vcpu *v)
{
	bool is_sp_el1 = FIELD(v->frame.pstate, SPSR_ELx_M) == SPSR_ELx_M_EL1h;

	if (v->step.displaced && v->step.word == PACIASP && is_sp_el1)
		pointer_auth_learn(v->step.unsigned_pointer, v->step.modifier, v->frame.x[30]);
}

/* The short way (hot.c) leaves this to whoever needs it; a taken branch to register is then not checked. */
static void work_out_late(struct step *step)
{
	if (!step->late)
		return;
	step->late = false;
	step->plan = branch_plan(a64_word(step));
	if (step->plan == SV_PLAN_STEP_BRANCH_REGISTER)
		step->plan = SV_PLAN_STEP_OTHER;
}

/*
 * Where the guest has put another instruction the core may have run either: the new one reaches it by the guest's
 * cache maintenance, which may still be under way.
 */
static bool may_be_either(const struct step *step)
{
	bool a64 = step->set == SV_INSTRUCTION_SET_A64;

	return step->patched || (a64 && guest_word(step->place) != step->word);
}

static void count_arrival(struct vcpu *v, enum arrival arrival)
{
	bool patched = arrival == ARRIVED_ELSEWHERE && may_be_either(&v->step);

	arrival_count(v, patched ? ARRIVED_NEXT : arrival);
}

void step_instruction_done(struct vcpu *v, u32 outcome)
{
	struct step *step = &v->step;
	bool traced = step->mode == STEP_TRACE;
	bool guest_stepped = step->guest_ss;
	enum arrival arrival;

	if (step->mode == STEP_NONE)
		return;
	step->going = false;
	if (outcome != SV_OUTCOME_EXCEPTION && !exclusive_end(v))
		outcome = SV_OUTCOME_EXCEPTION;
	work_out_late(step);
	arrival = arrival_of(v);
	if (step->displaced)
		count_arrival(v, arrival);
	if (outcome == SV_OUTCOME_STEPPED && arrival == ARRIVED_SYNC_VECTOR) {
		exclusive_clear(v);
		guest_debug_clean_spsr(v);
		outcome = SV_OUTCOME_EXCEPTION;
	} else if (outcome != SV_OUTCOME_EXCEPTION) {
		learn_signature(v);
		guest_debug_follow_step(v);
	}
	hold_continue(v);
	if (traced)
		tracer_stepped(v, outcome);
	/* After an emulated one it is due before the next, and says that it did not step, as without us. */
	guest_debug_take_step(v, guest_stepped && outcome != SV_OUTCOME_EXCEPTION &&
					 outcome != SV_OUTCOME_EMULATED);
	if (!traced)
		step_on_or_disarm(v);
	refresh_written_pages(v);
}

enum trap_result trap_step(struct vcpu *v, u64 esr)
{
	if (v->step.mode == STEP_NONE)
		return guest_debug_step(v, esr);
	/* The core tells of a load-exclusive that we do not know: its sequence will not come to an end. */
	if ((esr & ISS_STEP_EX) && !exclusive_is_load(v))
		v->status->astray++;
	step_instruction_done(v, SV_OUTCOME_STEPPED);
	return TRAP_RETRY;
}

enum trap_result trap_breakpoint(struct vcpu *v, u64 esr)
{
	return trap_guest_breakpoint(v, esr);
}

enum trap_result trap_wfx(struct vcpu *v, u64 esr)
{
	(void)v;
	(void)esr;
	/* Only while stepping: waiting may end at any time, so it ends now. */
	return TRAP_EMULATED;
}
