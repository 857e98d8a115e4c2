/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include "arch_gen.h"
#include "branch.h"
#include "event.h"
#include "guest_state.h"
#include "hold.h"
#include "inject.h"
#include "monitor.h"
#include "pointer_auth.h"
#include "region.h"
#include "shadow.h"
#include "stage2.h"
#include "sysreg.h"
#include "tracer.h"
#include "translate.h"
#include "trap.h"

#define VECTORS_SIZE 0x800UL
#define VECTOR_SIZE 0x80UL
#define MODE_EL0 0UL

static void select_view(struct vcpu *v, u32 view)
{
	if (v->view == view)
		return;
	v->view = view;
	stage2_select(view);
}

void step_select_free_view(struct vcpu *v)
{
	select_view(v, monitor_unprobed() ? SV_VIEW_OPEN : v->free_view);
}

/* The guest's debug state, as it is without us, is put aside. */
static void save_guest_debug(struct vcpu *v)
{
	struct step *step = &v->step;

	step->guest_mdscr = read_sysreg(mdscr_el1);
	step->guest_ss = (v->frame.pstate & SPSR_ELx_SS) != 0;
	step->guest_os_lock = (read_sysreg(oslsr_el1) & OSLSR_EL1_OSLK) != 0;
	step->guest_osdlr = read_sysreg(osdlr_el1) & OSDLR_EL1_DLK;
	/* Either lock would hold back our step exception. */
	if (step->guest_os_lock)
		write_sysreg(oslar_el1, 0);
	if (step->guest_osdlr)
		write_sysreg(osdlr_el1, 0);
}

static void restore_guest_debug(struct vcpu *v)
{
	write_sysreg(mdscr_el1, v->step.guest_mdscr);
	if (v->step.guest_os_lock)
		write_sysreg(oslar_el1, 1);
	if (v->step.guest_osdlr)
		write_sysreg(osdlr_el1, v->step.guest_osdlr);
	v->frame.pstate &= ~SPSR_ELx_SS;
	if (v->step.guest_ss)
		v->frame.pstate |= SPSR_ELx_SS;
}

u64 step_guest_pstate(const struct vcpu *v)
{
	u64 pstate = v->frame.pstate;

	if (v->step.mode == STEP_NONE)
		return pstate;
	pstate = hold_guest_pstate(v, pstate) & ~SPSR_ELx_SS;
	return v->step.guest_ss ? pstate | SPSR_ELx_SS : pstate;
}

void step_show_guest_pstate(struct vcpu *v)
{
	v->frame.pstate = step_guest_pstate(v);
	v->step.masked = false;
	v->step.guest_ss = false; /* An exception entry clears PSTATE.SS. */
}

/* From here the next instruction steps: SPSR_EL2.SS, or breakpoints around a whole exclusive sequence. */
static void set_going(struct vcpu *v)
{
	struct step *step = &v->step;

	step->pc = v->frame.pc;
	step->going = true;
	step->region =
		is_load_exclusive(step->word) && region_decode(step, step->pc, inject_vector(v));
	hold_interrupts(v);
	if (step->region) {
		region_plant(step);
		write_sysreg(mdscr_el1, (step->guest_mdscr & ~MDSCR_EL1_SS) | MDSCR_EL1_MDE);
		v->frame.pstate &= ~SPSR_ELx_SS;
		return;
	}
	v->frame.pstate |= SPSR_ELx_SS;
}

static void arm(struct vcpu *v, enum step_mode mode, u32 view)
{
	v->step.mode = mode;
	v->step.dirty_pages = 0;
	select_view(v, view);
	save_guest_debug(v);
	write_sysreg(mdcr_el2, mdcr_value_stepping());
	v->step.virtual_serror = read_sysreg(hcr_el2) & HCR_EL2_VSE;
	write_sysreg(hcr_el2, hcr_value_stepping());
	write_sysreg(mdscr_el1, v->step.guest_mdscr | MDSCR_EL1_SS);
	set_going(v);
}

static void disarm(struct vcpu *v)
{
	hold_release(v);
	v->step.mode = STEP_NONE;
	restore_guest_debug(v);
	write_sysreg(mdcr_el2, mdcr_value(v));
	write_sysreg(hcr_el2, hcr_value() | v->step.virtual_serror);
}

static void refresh_written_pages(struct vcpu *v)
{
	u32 pages = v->step.dirty_pages;

	v->step.dirty_pages = 0;
	for (u32 i = 0; i < pages; i++)
		shadow_refresh(v, v->step.dirty[i]);
}

void step_displaced(struct vcpu *v, const struct slot *slot)
{
	v->step.word = slot->word;
	v->step.plan = slot->plan == SV_PLAN_EMULATE ? branch_plan(slot->word) : slot->plan;
	v->step.unsigned_pointer = v->frame.x[30];
	v->step.modifier = read_sysreg(sp_el1);
	v->step.base = branch_base(v, slot->word);
	v->step.displaced = true;
	if (v->step.mode == STEP_NONE) {
		arm(v, v->tracer ? STEP_TRACE : STEP_DISPLACED, SV_VIEW_PRISTINE);
		return;
	}
	select_view(v, SV_VIEW_PRISTINE);
	set_going(v); /* The tracer's step found an SMC; nothing has executed. */
}

static u32 word_at_pc(const struct vcpu *v)
{
	ipa_t address;
	u32 word;

	return read_guest_instruction(v->frame.pc, &word, &address) ? word : 0;
}

void step_trace(struct vcpu *v)
{
	v->step.word = word_at_pc(v);
	v->step.plan = branch_plan(v->step.word);
	v->step.base = branch_base(v, v->step.word);
	v->step.displaced = false;
	step_select_free_view(v);
	if (v->step.mode == STEP_NONE)
		arm(v, STEP_TRACE, v->view);
	else
		set_going(v);
}

void step_trace_end(struct vcpu *v)
{
	if (v->step.mode == STEP_TRACE)
		disarm(v);
}

static void note_dirty(struct vcpu *v, ipa_t page)
{
	if (v->step.dirty_pages < 2)
		v->step.dirty[v->step.dirty_pages++] = page;
}

/* An access that begins in one page may end in the next one. */
static void note_written_pages(struct vcpu *v, ipa_t page)
{
	u64 next_va = (read_sysreg(far_el2) & ~PAGE_MASK) + PAGE_SIZE;
	ipa_t next;

	note_dirty(v, page);
	if (translate_guest(next_va, &next) && shadow_exists(next))
		note_dirty(v, ipa_page(next));
}

void step_data_access(struct vcpu *v, ipa_t page, bool write)
{
	u32 view;

	v->status->data_steps++;
	if (v->step.mode == STEP_NONE)
		v->step.word = word_at_pc(v);
	/* The store that ends an exclusive sequence must not fault: that would cost the reservation. */
	write = write || is_load_exclusive(v->step.word);
	view = write ? SV_VIEW_OPEN : SV_VIEW_PRISTINE;
	if (v->step.mode == STEP_NONE) {
		v->step.displaced = false;
		arm(v, STEP_DATA, view);
	} else {
		select_view(v, view); /* The step under way goes on, its SPSR.SS untouched. */
	}
	if (write)
		note_written_pages(v, page);
}

enum arrival { ARRIVED_NEXT, ARRIVED_SYNC_VECTOR, ARRIVED_ASYNC_VECTOR, ARRIVED_ELSEWHERE };

static enum arrival arrival_of(const struct vcpu *v)
{
	u64 offset = v->frame.pc - read_sysreg(vbar_el1);
	bool vector = offset < VECTORS_SIZE && offset % VECTOR_SIZE == 0;

	if (region_faulted(&v->step, v->frame.pc))
		return ARRIVED_SYNC_VECTOR;
	if (v->step.region && region_left(&v->step, v->frame.pc))
		return ARRIVED_NEXT;
	if (branch_may_lead(&v->step, v->frame.pc) && v->step.plan != SV_PLAN_STEP_OTHER)
		return ARRIVED_NEXT;
	if (!vector)
		return v->step.plan == SV_PLAN_STEP_OTHER ? ARRIVED_NEXT : ARRIVED_ELSEWHERE;
	/* Each group of four vectors: synchronous, IRQ, FIQ, SError. */
	return offset / VECTOR_SIZE % 4 ? ARRIVED_ASYNC_VECTOR : ARRIVED_SYNC_VECTOR;
}

static void count_arrival(struct vcpu *v, enum arrival arrival)
{
	v->status->steps++;
	if (arrival == ARRIVED_SYNC_VECTOR)
		v->status->steps_to_vector++;
	else if (arrival == ARRIVED_ASYNC_VECTOR)
		v->status->derailed++;
	else if (arrival == ARRIVED_ELSEWHERE)
		v->status->astray++;
}

/*
 * The hardware took an exception to EL1 during the step: what was PSTATE is in SPSR_EL1 now, our bits
 * included, where the guest could read them.
 */
static void clean_guest_spsr(struct vcpu *v)
{
	u64 spsr = hold_guest_pstate(v, read_sysreg(spsr_el1)) & ~SPSR_ELx_SS;

	/* An SVC counts as done before its exception is taken (pseudocode SSAdvance). */
	if (v->step.guest_ss && !is_svc(v->step.word))
		spsr |= SPSR_ELx_SS;
	write_sysreg(spsr_el1, spsr);
	v->step.masked = false;
	v->step.guest_ss = false;
}

/* The guest's ERET to where its own step is enabled starts its step (pseudocode DebugExceptionReturnSS). */
static void follow_guest_ss(struct vcpu *v)
{
	bool to_el0 = FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0;

	if (is_eret(v->step.word) && to_el0)
		v->step.guest_ss = (v->step.guest_mdscr & MDSCR_EL1_SS) &&
				   (read_sysreg(spsr_el1) & SPSR_ELx_SS);
	else
		v->step.guest_ss = false;
}

static bool guest_steps_here(const struct vcpu *v)
{
	u64 mdscr = v->step.guest_mdscr;

	if (!(mdscr & MDSCR_EL1_SS) || v->step.guest_os_lock)
		return false;
	if (FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0)
		return true;
	return (mdscr & MDSCR_EL1_KDE) && !(v->frame.pstate & SPSR_ELx_D);
}

/* After `stepped`, the guest's own step is done, too: it gets its exception at once. */
static void take_guest_step(struct vcpu *v, bool stepped)
{
	if (stepped && guest_steps_here(v))
		inject_software_step(v, true, is_load_exclusive(v->step.word));
}

bool step_guest_step_due(struct vcpu *v)
{
	if (v->step.mode != STEP_TRACE || v->step.guest_ss || !guest_steps_here(v))
		return false;
	inject_software_step(v, false, false);
	return true;
}

static void leave_region(struct vcpu *v)
{
	if (!v->step.region)
		return;
	region_remove(&v->step);
	v->status->region_steps++;
	write_sysreg(mdscr_el1, v->step.guest_mdscr | MDSCR_EL1_SS);
}

#define PACIASP 0xd503233fU

/* A signature by the hardware: what the emulation of the next ones is measured against. */
static void learn_signature(const struct vcpu *v)
{
	if (v->step.displaced && v->step.word == PACIASP)
		pointer_auth_learn(v->step.unsigned_pointer, v->step.modifier, v->frame.x[30]);
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
	arrival = arrival_of(v);
	if (step->displaced)
		count_arrival(v, arrival);
	leave_region(v);
	if (outcome == SV_OUTCOME_STEPPED && arrival == ARRIVED_SYNC_VECTOR) {
		clean_guest_spsr(v);
		outcome = SV_OUTCOME_EXCEPTION;
	} else if (outcome != SV_OUTCOME_EXCEPTION) {
		learn_signature(v);
		follow_guest_ss(v);
		outcome = step->region ? SV_OUTCOME_REGION : outcome;
	}
	step->region = false;
	hold_continue(v);
	if (traced)
		tracer_stepped(v, outcome);
	take_guest_step(v, guest_stepped && outcome != SV_OUTCOME_EXCEPTION);
	if (!traced)
		disarm(v);
	refresh_written_pages(v);
}

/* A load-exclusive that decoding ahead did not find: it has been stepped, its monitor is lost. */
static bool retry_as_region(struct vcpu *v, u64 esr)
{
	struct step *step = &v->step;

	if (!(esr & ISS_STEP_EX) || step->region ||
	    !region_decode(step, step->pc, inject_vector(v)))
		return false;
	v->frame.pc = step->pc;
	step->word = word_at_pc(v);
	set_going(v);
	return step->region;
}

/*
 * Debug exceptions are routed to EL2 for BRK probes, and the guest steps user code itself. Its ERET could not
 * start that step, as debug exceptions were enabled at EL1 already (pseudocode DebugExceptionReturnSS): nothing has
 * executed, and SPSR_EL1 still says what the guest wanted.
 */
static enum trap_result step_of_guest(struct vcpu *v, u64 esr)
{
	if (!(esr & ISS_STEP_ISV) && (read_sysreg(spsr_el1) & SPSR_ELx_SS) &&
	    read_sysreg(elr_el1) == v->frame.pc) {
		v->frame.pstate |= SPSR_ELx_SS;
		return TRAP_RETRY;
	}
	return trap_guest_debug(v, esr);
}

enum trap_result trap_step(struct vcpu *v, u64 esr)
{
	if (v->step.mode == STEP_NONE)
		return step_of_guest(v, esr);
	if (!retry_as_region(v, esr))
		step_instruction_done(v, SV_OUTCOME_STEPPED);
	return TRAP_RETRY;
}

/* Breakpoints, watchpoints and BRKs of the guest come here only while we step: they are its own. */
enum trap_result trap_guest_debug(struct vcpu *v, u64 esr)
{
	inject_same(v, esr);
	return TRAP_INJECTED;
}

/* Also while nothing steps, when these events are wanted: MDCR_EL2.TDE is set for them, too. */
static enum trap_result report_or_reflect(struct vcpu *v, u32 event, u64 esr)
{
	u32 action = SV_ANSWER_ACTION_CONTINUE;
	u64 pc = v->frame.pc;

	if (event_enabled(v, event))
		action = event_report(v, event, pc, esr);
	if (action == SV_ANSWER_ACTION_DENY)
		return TRAP_UNDEFINED;
	if (v->frame.pc != pc)
		return TRAP_RETRY; /* The answer says where the guest goes on. */
	return action == SV_ANSWER_ACTION_SKIP ? TRAP_EMULATED : trap_guest_debug(v, esr);
}

enum trap_result trap_breakpoint(struct vcpu *v, u64 esr)
{
	if (v->step.region && region_left(&v->step, v->frame.pc)) {
		step_instruction_done(v, SV_OUTCOME_STEPPED);
		return TRAP_RETRY;
	}
	return report_or_reflect(v, SV_EVENT_HARDWARE_BREAKPOINT, esr);
}

enum trap_result trap_guest_brk(struct vcpu *v, u64 esr)
{
	return report_or_reflect(v, SV_EVENT_SOFTWARE_BREAKPOINT, esr);
}

enum trap_result trap_wfx(struct vcpu *v, u64 esr)
{
	(void)v;
	(void)esr;
	/* Only while stepping: waiting may end at any time, so it ends now. */
	return TRAP_EMULATED;
}
