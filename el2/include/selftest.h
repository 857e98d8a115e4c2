/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves, before the guest's first instruction, what everything else is built on: SMCs trap, software
 * steps come to EL2, stage 2 aborts, the EL2 timer interrupts. Runs a page of the monitor's own
 * code at EL1 under a stage 2 that maps nothing else.
 */
#ifndef SV_SELFTEST_H
#define SV_SELFTEST_H

#include "types.h"
#include "vcpu.h"

#define SELFTEST_SYNC 1UL
#define SELFTEST_IRQ 2UL

/* Runs it; does not return when a check fails. */
void selftest_run(struct vcpu *v);

/* From the trap entries while v->resume_kind is set: hands the exit to selftest_run. */
void selftest_exit(struct vcpu *v, u64 kind, u64 esr) __attribute__((noreturn));

#endif
