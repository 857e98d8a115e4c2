/* SPDX-License-Identifier: Apache-2.0 */
/* What an exception handler says of the instruction that caused the exception. */
#ifndef SV_TRAP_H
#define SV_TRAP_H

#include "types.h"
#include "vcpu.h"

enum trap_result {
	TRAP_RETRY, /* The guest goes on where its PC says: runs it (again), or something else. */
	TRAP_EMULATED,	/* The monitor did it: the PC moves past it. */
	TRAP_UNDEFINED, /* The guest gets an Undefined exception. */
	TRAP_INJECTED,	/* The guest got another exception. */
};

typedef enum trap_result (*trap_handler)(struct vcpu *v, u64 esr);

/* Handlers, one per exception class, in the file of their subject. */
enum trap_result trap_smc(struct vcpu *v, u64 esr);
enum trap_result trap_hvc(struct vcpu *v, u64 esr);
enum trap_result trap_sve(struct vcpu *v, u64 esr);
enum trap_result trap_wfx(struct vcpu *v, u64 esr);
enum trap_result trap_sysreg(struct vcpu *v, u64 esr);
enum trap_result trap_cp14(struct vcpu *v, u64 esr);
enum trap_result trap_cp14_wide(struct vcpu *v, u64 esr);
enum trap_result trap_instruction_abort(struct vcpu *v, u64 esr);
enum trap_result trap_data_abort(struct vcpu *v, u64 esr);
enum trap_result trap_step(struct vcpu *v, u64 esr);
enum trap_result trap_guest_debug(struct vcpu *v, u64 esr);
enum trap_result trap_breakpoint(struct vcpu *v, u64 esr);
enum trap_result trap_guest_breakpoint(struct vcpu *v, u64 esr);
enum trap_result trap_brk(struct vcpu *v, u64 esr);
enum trap_result trap_bkpt(struct vcpu *v, u64 esr);
enum trap_result trap_guest_brk(struct vcpu *v, u64 esr);

/* The instruction at the PC cannot be fetched where it is planted: whether a probe is there, which counts as hit. */
bool hit_unfetched(struct vcpu *v);

/* From the vectors. */
void trap_sync(struct vcpu *v);
void trap_irq(struct vcpu *v);
void trap_fiq(struct vcpu *v);
void trap_serror(struct vcpu *v);

#endif
