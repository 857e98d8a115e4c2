/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclusive sequences: LDXR ... STXR with the branches between them.
 *
 * An exception return clears the exclusive monitor, so a sequence that is stepped never succeeds. It is
 * run natively instead, from its load-exclusive to breakpoints on every way out of it.
 */
#ifndef SV_REGION_H
#define SV_REGION_H

#include "types.h"
#include "vcpu.h"

bool is_load_exclusive(u32 word);

/*
 * Decodes ahead from the load-exclusive at `pc` and fills step->exit; false when no store-exclusive
 * closes it nearby, or when there are more exits than breakpoints: then it is stepped. `vector` is where a
 * fault of one of its accesses leads, which is an exit, too.
 */
bool region_decode(struct step *step, u64 pc, u64 vector);

/* Whether a region in progress ended at that vector. */
bool region_faulted(const struct step *step, u64 pc);

/* Puts the breakpoints where region_decode found the exits, and the guest's back. */
void region_plant(struct step *step);
void region_remove(const struct step *step);

/* Whether `pc` is one of the exits. */
bool region_left(const struct step *step, u64 pc);

#endif
