/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding interrupts back during a step, so that none is taken between its arming and its end.
 *
 * Two ways. By the virtual CPU interface (ICH_HCR_EL2.En=0), which leaves PSTATE alone: right for every
 * instruction but those that look at the interface itself. By PSTATE.A, I and F: right for just those, as
 * none of them touches DAIF.
 */
#ifndef SV_HOLD_H
#define SV_HOLD_H

#include "types.h"
#include "vcpu.h"

/* For the instruction step->word. */
void hold_interrupts(struct vcpu *v);

/* After an instruction, when the next one is stepped, too. */
void hold_continue(struct vcpu *v);

/* After the last one. */
void hold_release(struct vcpu *v);

/* A PSTATE or SPSR value without the masks that the hold put into it. */
u64 hold_guest_pstate(const struct vcpu *v, u64 pstate);

#endif
