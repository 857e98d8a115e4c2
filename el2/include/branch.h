/* SPDX-License-Identifier: Apache-2.0 */
/* Where one instruction may lead: what a step is checked against. */
#ifndef SV_BRANCH_H
#define SV_BRANCH_H

#include "types.h"
#include "vcpu.h"

/* How an instruction goes on: SV_PLAN_STEP_*. */
u32 branch_plan(u32 word);

/* B and BL: the next instruction is never what comes next. */
bool branch_is_certain(u32 word);

/* The taken target of a branch with an immediate; for all others the next instruction. */
u64 branch_target(u64 pc, u32 word);

/* The register operand of a branch to register, before it runs. */
u64 branch_base(const struct vcpu *v, u32 word);

/* Whether the instruction at step->pc may continue at `pc`; exceptions apart. */
bool branch_may_lead(const struct step *step, u64 pc);

/* Whether an indirect branch may lead to this instruction in a guarded page (FEAT_BTI). */
bool is_landing_pad(u32 word);

/*
 * Whether a running core may meet this instruction in the place of another of its kind (Arm ARM, "Concurrent modification
 * and execution of instructions"): what kernels patch in for breakpoints, tracers and static branches.
 */
bool is_patch(u32 word);

bool is_eret(u32 word);

/* An SVC of that SV_INSTRUCTION_SET_*. */
bool is_svc(u32 set, u32 word);

#endif
