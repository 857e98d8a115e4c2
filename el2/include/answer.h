/* SPDX-License-Identifier: Apache-2.0 */
/* The host's answers to synchronous events. */
#ifndef SV_ANSWER_H
#define SV_ANSWER_H

#include "types.h"
#include "vcpu.h"

/*
 * Waits for the answer to the event with this sequence number and carries it out: registers, stepping,
 * view. Without an answer in time, or without a host, the guest goes on. SV_ANSWER_ACTION_*.
 */
u32 answer_wait(struct vcpu *v, u64 sequence);

void answer_set_timeout(u64 ticks);

#endif
