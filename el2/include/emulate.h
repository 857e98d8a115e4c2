/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Displaced instructions that the monitor performs itself, from the form that the host decoded: a hit
 * then costs one exception. Only what is provably the same as native execution; everything else, and
 * every doubt at run time (a fault, memory that is not plain, a debugger of the guest), is stepped.
 */
#ifndef SV_EMULATE_H
#define SV_EMULATE_H

#include "slot.h"
#include "vcpu.h"

/* Performs the instruction at the PC, PC included; false, with nothing changed, if it must be stepped. */
bool emulate(struct vcpu *v, const struct slot *slot);

#endif
