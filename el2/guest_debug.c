/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_debug.h"

#include "arch_gen.h"
#include "branch.h"
#include "event.h"
#include "exclusive.h"
#include "hold.h"
#include "inject.h"
#include "step.h"
#include "sysreg.h"
#include "vgic.h"

#define MODE_EL0 0UL

/* The guest's debug state, as it is without us, is put aside. */
void guest_debug_save(struct vcpu *v)
{
	struct step *step = &v->step;

	step->guest_mdscr = read_sysreg(mdscr_el1);
	step->mdscr = step->guest_mdscr;
	step->guest_ss = (v->frame.pstate & SPSR_ELx_SS) != 0;
	step->guest_os_lock = (read_sysreg(oslsr_el1) & OSLSR_EL1_OSLK) != 0;
	step->guest_osdlr = read_sysreg(osdlr_el1) & OSDLR_EL1_DLK;
	/* Either lock would hold back our step exception. */
	if (step->guest_os_lock)
		write_sysreg(oslar_el1, 0);
	if (step->guest_osdlr)
		write_sysreg(osdlr_el1, 0);
}

void guest_debug_restore(struct vcpu *v)
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

/*
 * The hardware took an exception to EL1 during the step: what was PSTATE is in SPSR_EL1 now, our bits
 * included, where the guest could read them.
 */
void guest_debug_clean_spsr(struct vcpu *v)
{
	u64 spsr = hold_guest_pstate(v, read_sysreg(spsr_el1)) & ~SPSR_ELx_SS;

	/* An SVC counts as done before its exception is taken (pseudocode SSAdvance). */
	if (v->step.guest_ss && !is_svc(v->step.set, v->step.word))
		spsr |= SPSR_ELx_SS;
	write_sysreg(spsr_el1, spsr);
	v->step.masked = false;
	v->step.guest_ss = false;
}

/* What the guest believes the register holds: put aside while we step, else in the register. */
static u64 guest_mdscr(const struct vcpu *v)
{
	return v->step.mode == STEP_NONE ? read_sysreg(mdscr_el1) : v->step.guest_mdscr;
}

static bool is_os_locked(const struct vcpu *v)
{
	return v->step.mode == STEP_NONE ? (read_sysreg(oslsr_el1) & OSLSR_EL1_OSLK) != 0 :
					   v->step.guest_os_lock;
}

/* But for a debugger outside that has set DBGPRCR_EL1.CORENPDRQ: that register is not everywhere. */
static bool is_double_locked(const struct vcpu *v)
{
	u64 lock = v->step.mode == STEP_NONE ? read_sysreg(osdlr_el1) : v->step.guest_osdlr;

	return (lock & OSDLR_EL1_DLK) != 0;
}

/*
 * Whether the guest's debug exceptions would be enabled where it is if they were routed to EL1, as it
 * believes (Arm ARM pseudocode, AArch64.GenerateDebugExceptionsFrom). Routed to EL2 nothing but the locks
 * masks them.
 */
static bool guest_debug_enabled(const struct vcpu *v)
{
	if (is_os_locked(v) || is_double_locked(v))
		return false;
	if (FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0)
		return true;
	return (guest_mdscr(v) & MDSCR_EL1_KDE) && !(v->frame.pstate & SPSR_ELx_D);
}

bool guest_debug_takes_breakpoints(const struct vcpu *v)
{
	return (guest_mdscr(v) & MDSCR_EL1_MDE) && guest_debug_enabled(v);
}

static bool guest_steps_here(const struct vcpu *v)
{
	return (guest_mdscr(v) & MDSCR_EL1_SS) && guest_debug_enabled(v);
}

u64 guest_debug_begin_instruction(struct vcpu *v)
{
	u64 mdscr = v->step.guest_mdscr | MDSCR_EL1_SS;

	v->step.guest_debug_enabled = guest_debug_enabled(v);
	return v->step.guest_debug_enabled ? mdscr : mdscr & ~MDSCR_EL1_MDE;
}

/*
 * The guest's ERET from where its debug exceptions are disabled to where they are enabled starts its own
 * step (pseudocode DebugExceptionReturnSS).
 */
void guest_debug_follow_step(struct vcpu *v)
{
	v->step.guest_ss = is_eret(a64_word(&v->step)) && !v->step.guest_debug_enabled &&
			   guest_steps_here(v) && (read_sysreg(spsr_el1) & SPSR_ELx_SS);
}

/* After `stepped`, the guest's own step is done, too: it gets its exception at once. */
void guest_debug_take_step(struct vcpu *v, bool stepped)
{
	if (stepped && guest_steps_here(v))
		inject_software_step(v, true, exclusive_is_load(v));
}

bool step_guest_step_due(struct vcpu *v)
{
	if ((step_guest_pstate(v) & SPSR_ELx_SS) || !guest_steps_here(v))
		return false;
	inject_software_step(v, false, false);
	return true;
}

/* The guest takes it: as an exception to EL1, as it is. */
static enum trap_result give_back(struct vcpu *v, u64 esr)
{
	inject_same(v, esr);
	return TRAP_INJECTED;
}

/*
 * Only with debug exceptions routed to EL2. The guest masks its own step exceptions, but has MDSCR_EL1.SS
 * set: up to where it enables them each of its instructions comes here, and runs as one of our steps, whose
 * end knows what becomes of the guest's step. An interrupt that it would take comes first: our steps hold
 * interrupts back, and one that follows another would do so for ever.
 */
enum trap_result guest_debug_step(struct vcpu *v, u64 esr)
{
	u64 interrupt;

	if (guest_steps_here(v))
		return give_back(v, esr);
	interrupt = vgic_deliverable(v);
	if (interrupt)
		inject_interrupt(v, interrupt);
	else
		step_masked(v);
	return TRAP_RETRY;
}

/* A breakpoint or watchpoint of the guest that it masks: it came here because of the routing. */
static enum trap_result go_past(struct vcpu *v)
{
	/* While we step, MDSCR_EL1.MDE is clear where the guest masks them. */
	if (v->step.mode == STEP_NONE)
		step_masked(v);
	return TRAP_RETRY;
}

enum trap_result trap_guest_debug(struct vcpu *v, u64 esr)
{
	return guest_debug_takes_breakpoints(v) ? give_back(v, esr) : go_past(v);
}

/* Also while nothing steps, when these events are wanted: MDCR_EL2.TDE is set for them, too. */
static enum trap_result report(struct vcpu *v, u32 event, u64 esr)
{
	u32 action = SV_ANSWER_ACTION_CONTINUE;
	u64 pc = v->frame.pc;

	if (event_enabled(v, event))
		action = event_report(v, event, pc, esr);
	if (action == SV_ANSWER_ACTION_DENY)
		return TRAP_UNDEFINED;
	if (v->frame.pc != pc)
		return TRAP_RETRY; /* The answer says where the guest goes on. */
	return action == SV_ANSWER_ACTION_SKIP ? TRAP_EMULATED : give_back(v, esr);
}

enum trap_result trap_guest_breakpoint(struct vcpu *v, u64 esr)
{
	return guest_debug_takes_breakpoints(v) ? report(v, SV_EVENT_HARDWARE_BREAKPOINT, esr) :
						  go_past(v);
}

/* Nothing masks a BRK. */
enum trap_result trap_guest_brk(struct vcpu *v, u64 esr)
{
	return report(v, SV_EVENT_SOFTWARE_BREAKPOINT, esr);
}
