/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions that the monitor gives to the guest, as the architecture would have taken them to EL1. */
#ifndef SV_INJECT_H
#define SV_INJECT_H

#include "types.h"
#include "vcpu.h"

/* The instruction at the guest's PC is undefined. */
void inject_undefined(struct vcpu *v);

/* A synchronous external abort of the access that `esr` (of EL2) and FAR_EL2 describe. */
void inject_external_abort(struct vcpu *v, u64 esr);

/* A store to `address` faults in the guest's own translation, with this fault status code. */
void inject_store_abort(struct vcpu *v, u64 status_code, u64 address);

/* The exception that came to EL2 with this syndrome goes to EL1 as it is; FAR_EL1 if it has one. */
void inject_same(struct vcpu *v, u64 esr);

/* An interrupt that the guest would take now: INJECT_IRQ, INJECT_FIQ or INJECT_SERROR. */
#define INJECT_IRQ 0x80UL
#define INJECT_FIQ 0x100UL
#define INJECT_SERROR 0x180UL
void inject_interrupt(struct vcpu *v, u64 kind);

/* The guest's own software step: after the instruction it steps, or before one it must not run. */
void inject_software_step(struct vcpu *v, bool stepped, bool exclusive);

#endif
