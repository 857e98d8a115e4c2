/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software step of one guest instruction.
 *
 * Armed: MDCR_EL2.TDE routes the step exception to EL2, MDSCR_EL1.SS and SPSR_EL2.SS make the state
 * "active-not-pending" on the exception return (Arm ARM, "The software step state machine").
 * SPSR_EL2.SS is set once, when armed. What the next exit leaves in it decides how the step goes on:
 * set, nothing has executed yet; clear, the step exception is pending. Setting it again would run one
 * instruction too many.
 *
 * While armed, the virtual CPU interface is off (no interrupt of the guest can be signalled; physical ones
 * come to EL2 and are queued), WFI and WFE trap, and so do the guest's accesses to debug registers, which see
 * the guest's values. The guest's own stepping goes on as if we were not there: its PSTATE.SS is kept apart.
 */
#ifndef SV_STEP_H
#define SV_STEP_H

#include "addr.h"
#include "slot.h"
#include "types.h"
#include "vcpu.h"

/* Arms a step over the displaced instruction of a probe; under a tracer the step under way does it. */
void step_displaced(struct vcpu *v, const struct slot *slot);

/* The same for the load-exclusive under a guard, which is no hit. */
void step_guarded(struct vcpu *v, u32 word);

/* Arms (or widens) a step over an access to a shadowed page. */
void step_data_access(struct vcpu *v, ipa_t page, bool write);

/* Arms (or widens) a step of what is planted at the PC, in the view in which table walks meet no fault. */
void step_fetch(struct vcpu *v);

/* What was planted has been fetched and has trapped: all is as if that had been in PROBED. */
void step_end_fetch(struct vcpu *v);

/* Arms the step of the instruction at the PC, whose debug exception the guest masks. */
void step_masked(struct vcpu *v);

/* Arms the step of the instruction at the PC for a tracer, or goes on from one step to the next. */
void step_trace(struct vcpu *v);

/* Ends stepping for a tracer: the guest runs freely from here. */
void step_trace_end(struct vcpu *v);

/* Before entering the guest: goes on stepping an exclusive sequence that has begun, or lets the guest run freely. */
void step_continue_sequence(struct vcpu *v);

/* The guest's page at this address has been written on its behalf: its shadow follows when the step is done. */
void step_note_written(struct vcpu *v, ipa_t address);

/* The current instruction is done: stepped, emulated, or it took an exception. SV_OUTCOME_*. */
void step_instruction_done(struct vcpu *v, u32 outcome);

/* The view in which this vCPU runs when it does not step. */
void step_select_free_view(struct vcpu *v);

/* PSTATE as the guest has it: without what an armed step put into it. */
u64 step_guest_pstate(const struct vcpu *v);

/* Makes the saved PSTATE that, because an exception is about to store it in SPSR_EL1. */
void step_show_guest_pstate(struct vcpu *v);

/* Gives the guest its own software step exception if one is due; true if it did. */
bool step_guest_step_due(struct vcpu *v);

#endif
