/* SPDX-License-Identifier: Apache-2.0 */
/* Where one instruction may lead, as a check of where its step really ended. */
#ifndef SV_BRANCH_H
#define SV_BRANCH_H

#include "types.h"
#include "vcpu.h"

/* The register operand of a branch to register, before it runs; 0 for other instructions. */
u64 branch_base(const struct vcpu *v, u32 word);

/* Whether the instruction at step->pc may continue at `pc`; exceptions apart. */
bool branch_may_lead(const struct step *step, u64 pc);

#endif
