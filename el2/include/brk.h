/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes that are planted as BRK: in code at EL0, where SMC is undefined, and on BTI landing pads, where
 * SMC is a Branch Target exception. A BRK comes to EL2 only from a vCPU with MDCR_EL2.TDE set, so every
 * vCPU that is on must have taken that up before the first one is planted.
 */
#ifndef SV_BRK_H
#define SV_BRK_H

#include "types.h"
#include "vcpu.h"

/* Asks all vCPUs for TDE if one of the probes is a BRK; false while not all of them have it. */
bool brk_ready(const struct sv_probe_descriptor *probes, u32 count);

/* Asks for it because of what the guest does; false while not all of them have it. */
bool brk_route(struct vcpu *v);

/* Whether vCPUs keep TDE set for probes. */
bool brk_wanted(void);

#endif
