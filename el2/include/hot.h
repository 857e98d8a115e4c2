/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two exits that come by the million: a probe hit whose instruction is emulated, and a step of a
 * tracer. Each has a short way through one page of code, which does what the general way (trap.c)
 * does when nothing else is going on; whatever else is going on leaves it, before anything has changed.
 *
 * Why a page and not a style: a translation block ends at every branch, and one that leads to another page costs
 * three times one that does not. On silicon it is the same lines of the instruction cache.
 */
#ifndef SV_HOT_H
#define SV_HOT_H

#include "types.h"
#include "vcpu.h"

#define HOT __attribute__((section(".text.hot")))

/* How it goes on after a short way. */
enum hot {
	HOT_GENERAL,  /* nothing has been done: the general way */
	HOT_PC,	      /* to the guest, at `value` */
	HOT_LANDED,   /* the same, and PSTATE.BTYPE is cleared */
	HOT_PSTATE,   /* to the guest, with the PSTATE `value` */
	HOT_WITH_ALL, /* hot_*_with_all, once the rest of the frame is saved */
	HOT_FRAME,    /* to the guest, as the frame says */
};

/* Returned in two registers. */
struct hot_way {
	u64 how; /* enum hot */
	u64 value;
};

/* The frame holds this general register before callee-saved ones are stored. */
static inline bool hot_is_scratch(u32 n)
{
	return n <= 18 || n == 30;
}

/* For an SMC, with the scratch registers in the frame: HOT_GENERAL, HOT_PC, HOT_LANDED, HOT_WITH_ALL. */
struct hot_way hot_hit(struct vcpu *v, u64 pc, u64 pstate, u64 esr);

/* The second half of what needs all of the frame: HOT_GENERAL, HOT_PC, HOT_FRAME. */
struct hot_way hot_hit_with_all(struct vcpu *v);

/* For a software step, with all of the frame saved: HOT_GENERAL, HOT_PSTATE, HOT_WITH_ALL. */
struct hot_way hot_step(struct vcpu *v, u64 pc, u64 pstate, u64 esr);

/* The second half of what is less frequent: HOT_GENERAL, HOT_PSTATE. */
struct hot_way hot_step_with_all(struct vcpu *v);

#endif
