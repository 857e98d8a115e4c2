/* SPDX-License-Identifier: Apache-2.0 */
#include "trap.h"

#include "aarch32.h"
#include "arch_gen.h"
#include "event.h"
#include "exclusive.h"
#include "host.h"
#include "inject.h"
#include "monitor.h"
#include "pause.h"
#include "selftest.h"
#include "stage2.h"
#include "step.h"
#include "sysreg.h"
#include "tracer.h"
#include "vgic.h"

#define EXCEPTION_CLASSES 64 /* ESR_ELx.EC has six bits. */

/* A class without a handler is nothing that the monitor asked for: the guest gets UNDEF, counted. */
static const trap_handler handlers[EXCEPTION_CLASSES] = {
	[EC_WFX] = trap_wfx,
	[EC_CP14_32] = trap_cp14,
	[EC_CP14_64] = trap_cp14_wide,
	[EC_HVC64] = trap_hvc,
	[EC_SMC64] = trap_smc,
	[EC_SYSREG] = trap_sysreg,
	[EC_SVE] = trap_sve,
	[EC_IABT_LOWER] = trap_instruction_abort,
	[EC_DABT_LOWER] = trap_data_abort,
	[EC_BREAKPOINT_LOWER] = trap_breakpoint,
	[EC_STEP_LOWER] = trap_step,
	[EC_WATCHPOINT_LOWER] = trap_guest_debug,
	[EC_BKPT32] = trap_bkpt,
	[EC_VECTOR32] = trap_guest_debug,
	[EC_BRK64] = trap_brk,
};

/* Those of trapped instructions that may have a condition in A32 and T32: WFI, CP14, CP15, FP. */
static bool has_condition(u64 class)
{
	return class >= EC_WFX && class <= EC_CP14_64;
}

static enum trap_result handle(struct vcpu *v, u64 esr)
{
	u64 class = FIELD(esr, ESR_ELx_EC);
	trap_handler handler = handlers[class % EXCEPTION_CLASSES];

	/* A core may trap one that is not executed: it is done. */
	if (has_condition(class) && !trapped_condition_holds(v->frame.pstate, esr))
		return TRAP_EMULATED;
	return handler ? handler(v, esr) : TRAP_UNDEFINED;
}

static void note_user_space(const struct vcpu *v)
{
	/* In AArch32 state, too: that is never EL1. */
	bool el0 = FIELD(v->frame.pstate, SPSR_ELx_M) == SPSR_ELx_M_EL0t;

	if (el0 && !control()->user_ticks)
		control()->user_ticks = read_sysreg(cntpct_el0);
}

static void enter_exit(struct vcpu *v)
{
	v->status->exits++;
	note_user_space(v);
}

/* What every exit ends with, whatever it was. */
static void leave_exit(struct vcpu *v)
{
	host_pause(v);
	pause_check(v);
	vgic_refill(v);
	event_take_up(v);
	tracer_continue(v);
	step_continue_sequence(v);
	if (v->step.mode == STEP_NONE)
		step_select_free_view(v);
}

/* The instruction is behind the guest, as if it had executed it. */
static void complete_instruction(struct vcpu *v, u64 esr)
{
	/* ESR_EL2.IL tells the size of what trapped, but not of what a breakpoint is on. */
	if (FIELD(esr, ESR_ELx_EC) == EC_BREAKPOINT_LOWER)
		skip_instruction(v);
	else
		advance_past(v, esr & ESR_ELx_IL ? INSTRUCTION_SIZE : T32_SHORT_SIZE);
	/* Of the guest's own step, too, it is the one instruction (pseudocode SSAdvance). */
	v->frame.pstate &= ~SPSR_ELx_SS;
	step_instruction_done(v, SV_OUTCOME_EMULATED);
}

static void conclude(struct vcpu *v, u64 esr, enum trap_result result)
{
	switch (result) {
	case TRAP_RETRY:
		break;
	case TRAP_EMULATED:
		complete_instruction(v, esr);
		break;
	case TRAP_UNDEFINED:
		inject_undefined(v);
		step_instruction_done(v, SV_OUTCOME_EXCEPTION);
		break;
	case TRAP_INJECTED:
		step_instruction_done(v, SV_OUTCOME_EXCEPTION);
		break;
	}
}

void trap_sync(struct vcpu *v)
{
	u64 esr = read_sysreg(esr_el2);

	enter_exit(v);
	if (v->resume_kind)
		selftest_exit(v, SELFTEST_SYNC, esr);
	if (v->step.mode == STEP_NONE)
		exclusive_note_exit(v);
	conclude(v, esr, handle(v, esr));
	leave_exit(v);
}

void trap_irq(struct vcpu *v)
{
	enter_exit(v);
	if (v->resume_kind)
		selftest_exit(v, SELFTEST_IRQ, 0);
	vgic_take_interrupts(v, 1);
	leave_exit(v);
}

void trap_fiq(struct vcpu *v)
{
	enter_exit(v);
	vgic_take_interrupts(v, 0);
	leave_exit(v);
}

/* The guest takes it as a virtual SError as soon as its PSTATE.A allows. */
void trap_serror(struct vcpu *v)
{
	u64 esr = read_sysreg(esr_el2);

	enter_exit(v);
	if (FIELD(read_sysreg(id_aa64pfr0_el1), ID_AA64PFR0_EL1_RAS))
		write_sysreg(SYS_VSESR_EL2, esr & ESR_ELx_ISS_MASK);
	if (v->step.mode == STEP_NONE)
		write_sysreg(hcr_el2, read_sysreg(hcr_el2) | HCR_EL2_VSE);
	else
		v->step.virtual_serror = HCR_EL2_VSE;
	leave_exit(v);
}
