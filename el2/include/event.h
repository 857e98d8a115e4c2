/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor events: a record with all registers and, if the host asked for it, a wait for its answer. */
#ifndef SV_EVENT_H
#define SV_EVENT_H

#include "types.h"
#include "vcpu.h"

/* Which events this vCPU reports, and which of them wait; bits 1 << SV_EVENT_*. */
void event_enable(struct vcpu *v, u32 events, u32 synchronous);

/* After a change of the wanted events: the traps that they need, on this vCPU itself. */
void event_take_up(struct vcpu *v);

bool event_enabled(const struct vcpu *v, u32 event);

/* A SINGLESTEP from the instruction at `address`, `word` of the instruction set `set`, to the present PC. */
void event_single_step(struct vcpu *v, u32 outcome, u64 address, u32 set, u32 word);

/* Another event, about the instruction at `address`; SV_ANSWER_ACTION_*. */
u32 event_report(struct vcpu *v, u32 event, u64 address, u64 esr);

#endif
