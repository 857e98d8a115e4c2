/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC registers that the guest reaches through the monitor: the distributor's first page (its
 * switch would silence the monitor, too) and the redistributors (which hold the monitor's two interrupts).
 * All else of the distributor is the guest's own, unwatched.
 */
#ifndef SV_GIC_MMIO_H
#define SV_GIC_MMIO_H

#include "addr.h"
#include "types.h"
#include "vcpu.h"

/* Does the access that `esr` describes; false when it is none of these registers, or of no usable form. */
bool gic_mmio_access(struct vcpu *v, ipa_t address, u64 esr);

#endif
