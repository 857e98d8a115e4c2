/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local exclusive monitor of a guest that is stepped, in software.
 *
 * An exception return clears the real one, so a store-exclusive that is stepped always fails. What a stepped
 * load-exclusive would have reserved is kept here instead: address, size and what was loaded. A store-exclusive
 * is stepped, too, by which the core makes all checks that come before the store; it fails, and if the
 * reservation is there, the monitor then does what it was to do: compares and stores, by exclusives of its own.
 */
#ifndef SV_EXCLUSIVE_H
#define SV_EXCLUSIVE_H

#include "types.h"
#include "vcpu.h"

/* The instruction step->word is about to be stepped. */
void exclusive_begin(struct vcpu *v);

/*
 * It has been stepped. False if the guest has got an exception instead: its store faults, and the step, which failed
 * for want of a reservation, did not tell.
 */
bool exclusive_end(struct vcpu *v);

/*
 * An exit while nothing is stepped. A sequence that an exit breaks up every time, by an access to a probed page or a trapped
 * register, would never end: after some passes it is stepped, too.
 */
void exclusive_note_exit(struct vcpu *v);

/* Exception entry and return, CLREX, and whatever else loses a reservation. */
void exclusive_clear(struct vcpu *v);

/* Whether an interrupt waits until the sequence is over: for a bounded number of instructions. */
bool exclusive_holds_interrupts(struct vcpu *v);

static inline bool exclusive_is_open(const struct vcpu *v)
{
	return v->step.exclusive.open;
}

/* The instruction under way is a load-exclusive. */
static inline bool exclusive_is_load(const struct vcpu *v)
{
	return !v->step.late && v->step.exclusive.access.kind == EXCLUSIVE_LOAD;
}

#endif
