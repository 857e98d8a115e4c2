/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two exits that come by the million: a probe hit whose instruction is emulated, and a step of a
 * tracer. Each has a short way through one page of code here, which does what the general way (trap.c)
 * does when nothing else is going on; whatever else is going on leaves it, before anything has changed.
 *
 * Why a page and not a style: a translation block ends at every branch, and one that leads to another page costs
 * three times one that does not. On silicon it is the same lines of the instruction cache.
 */
#ifndef SV_HOT_H
#define SV_HOT_H

#include "types.h"
#include "vcpu.h"

/* How the guest is to be entered: what of its PC and PSTATE differs from ELR_EL2 and SPSR_EL2. */
#define HOT_NOT_DONE 0 /* nothing has been done: the general way */
#define HOT_PC 1
#define HOT_PSTATE 2
#define HOT_BOTH 3

#define HOT __attribute__((section(".text.hot")))

/* From the vector, for every synchronous exception of the guest. */
u64 hot_sync(struct vcpu *v);

#endif
