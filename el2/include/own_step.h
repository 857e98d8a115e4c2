/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor steps itself: software step exceptions from EL2 to EL2 (EC 0x33), for which
 * MDSCR_EL1.KDE is set and PSTATE.D is clear at EL2.
 */
#ifndef SV_OWN_STEP_H
#define SV_OWN_STEP_H

#include "types.h"

/*
 * Runs a routine of the monitor freely (result in `free`) and stepped (the return value). `trail`
 * gets the number of steps, then the address of each instruction that is about to run, `room` at most.
 */
u64 own_step_run(u64 argument, u64 *trail, u64 room, u64 *free);

#endif
