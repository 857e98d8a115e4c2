/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's own debugging while the monitor uses the debug hardware: its registers are put aside, its
 * own software step goes on in step->guest_ss, its breakpoints, watchpoints and BRKs are given back to it.
 */
#ifndef SV_GUEST_DEBUG_H
#define SV_GUEST_DEBUG_H

#include "trap.h"
#include "vcpu.h"

/* Around a step, or a run of them. */
void guest_debug_save(struct vcpu *v);
void guest_debug_restore(struct vcpu *v);

/* Whether the guest, without us, would take its breakpoints and watchpoints where it is. */
bool guest_debug_takes_breakpoints(const struct vcpu *v);

/* Before an instruction that is stepped: what MDSCR_EL1 must be for it. */
u64 guest_debug_begin_instruction(struct vcpu *v);

/* After an instruction that took an exception to EL1, and after one that did not. */
void guest_debug_clean_spsr(struct vcpu *v);
void guest_debug_follow_step(struct vcpu *v);

/* The guest's own step is done when `stepped`: it gets its exception at once. */
void guest_debug_take_step(struct vcpu *v, bool stepped);

/* A software step exception while nothing of ours is armed. */
enum trap_result guest_debug_step(struct vcpu *v, u64 esr);

#endif
