/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_debug.h"

#include "arch_gen.h"
#include "branch.h"
#include "event.h"
#include "hold.h"
#include "inject.h"
#include "region.h"
#include "step.h"
#include "sysreg.h"

#define MODE_EL0 0UL
#define VECTORS_SIZE 0x800UL
#define VECTOR_SIZE 0x80UL

/* The guest's debug state, as it is without us, is put aside. */
void guest_debug_save(struct vcpu *v)
{
	struct step *step = &v->step;

	step->guest_mdscr = read_sysreg(mdscr_el1);
	/* Or ours, by which guest_debug_step lets it through. */
	step->guest_ss = (v->frame.pstate & SPSR_ELx_SS) && !v->let_through;
	v->let_through = false;
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
		return v->let_through ? pstate & ~SPSR_ELx_SS : pstate;
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

/* Whether the guest's debug exceptions, routed to EL1 as it believes, are enabled where it is. */
static bool guest_debug_enabled(const struct vcpu *v)
{
	if (v->step.guest_os_lock)
		return false;
	if (FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0)
		return true;
	return (v->step.guest_mdscr & MDSCR_EL1_KDE) && !(v->frame.pstate & SPSR_ELx_D);
}

static bool guest_steps_here(const struct vcpu *v)
{
	return (v->step.guest_mdscr & MDSCR_EL1_SS) && guest_debug_enabled(v);
}

void guest_debug_begin_instruction(struct vcpu *v)
{
	v->step.guest_debug_enabled = guest_debug_enabled(v);
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
		inject_software_step(v, true, is_load_exclusive(a64_word(&v->step)));
}

bool step_guest_step_due(struct vcpu *v)
{
	if (v->step.mode != STEP_TRACE || v->step.guest_ss || !guest_steps_here(v))
		return false;
	inject_software_step(v, false, false);
	return true;
}

/* The same while we do not step, and the registers are the guest's. */
static bool enabled_without_us(const struct vcpu *v)
{
	if (read_sysreg(oslsr_el1) & OSLSR_EL1_OSLK)
		return false;
	if (FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0)
		return true;
	return (read_sysreg(mdscr_el1) & MDSCR_EL1_KDE) && !(v->frame.pstate & SPSR_ELx_D);
}

/* At the start of a vector: what was let through has taken an exception, or an interrupt came first. */
static bool has_taken_exception(const struct vcpu *v)
{
	u64 offset = v->frame.pc - read_sysreg(vbar_el1);

	return offset < VECTORS_SIZE && offset % VECTOR_SIZE == 0;
}

/*
 * Debug exceptions are routed to EL2 for BRK probes, and the guest steps user code itself. To the hardware they are
 * enabled at EL1 then, though the guest has them disabled there: from where its kernel sets MDSCR_EL1.SS to its
 * ERET, every instruction comes here and is let through. For the same reason that ERET cannot start the guest's
 * step (pseudocode DebugExceptionReturnSS): nothing has executed at its target, and SPSR_EL1 still says what
 * the guest wanted.
 */
enum trap_result guest_debug_step(struct vcpu *v, u64 esr)
{
	bool let_through = v->let_through;

	/* Our bit, by which it was let through, is in SPSR_EL1 then. */
	if (let_through && has_taken_exception(v))
		write_sysreg(spsr_el1, read_sysreg(spsr_el1) & ~SPSR_ELx_SS);
	v->let_through = !enabled_without_us(v);
	if (v->let_through) {
		v->frame.pstate |= SPSR_ELx_SS;
		return TRAP_RETRY;
	}
	if (!let_through && (esr & ISS_STEP_ISV))
		return trap_guest_debug(v, esr);
	if (read_sysreg(elr_el1) == v->frame.pc && (read_sysreg(spsr_el1) & SPSR_ELx_SS)) {
		v->frame.pstate |= SPSR_ELx_SS;
		return TRAP_RETRY;
	}
	inject_software_step(v, false, false);
	return TRAP_INJECTED;
}

/* Breakpoints, watchpoints and BRKs of the guest come here only while we step: they are its own. */
enum trap_result trap_guest_debug(struct vcpu *v, u64 esr)
{
	inject_same(v, esr);
	return TRAP_INJECTED;
}

/* Also while nothing steps, when these events are wanted: MDCR_EL2.TDE is set for them, too. */
enum trap_result guest_debug_report(struct vcpu *v, u32 event, u64 esr)
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

enum trap_result trap_guest_brk(struct vcpu *v, u64 esr)
{
	return guest_debug_report(v, SV_EVENT_SOFTWARE_BREAKPOINT, esr);
}
