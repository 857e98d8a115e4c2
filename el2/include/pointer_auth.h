/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing a pointer for the guest at EL2 (PACIASP).
 *
 * The code of a pointer is a function of pointer, modifier and key; only where its bits go depends on the
 * translation regime. PACGA computes the upper half of it with a key of its own, so with the guest's
 * instruction key A lent to it the monitor gets the bits and puts them where the guest's TCR_EL1 says. Whether this
 * core's PACGA and PACIA are the same function is not promised for every algorithm: the first
 * signatures are stepped and compared, and only a core that passed is trusted.
 */
#ifndef SV_POINTER_AUTH_H
#define SV_POINTER_AUTH_H

#include "types.h"
#include "vcpu.h"

/* Signs as PACIASP would; false if that is not certain. */
bool pointer_auth_sign(struct vcpu *v, u64 *pointer, u64 modifier);

/* PACIASP was stepped: `before` became `after`. */
void pointer_auth_learn(u64 before, u64 modifier, u64 after);

#endif
