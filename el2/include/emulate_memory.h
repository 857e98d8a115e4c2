/* SPDX-License-Identifier: Apache-2.0 */
/* Loads that the monitor performs for the guest. */
#ifndef SV_EMULATE_MEMORY_H
#define SV_EMULATE_MEMORY_H

#include "slot.h"
#include "vcpu.h"

/*
 * A load of one register from `base`; false, with nothing changed, unless it is plain: kernel half of the
 * address space, mapped and allowed, memory of the guest that it caches as the monitor does, naturally
 * aligned, no allocation tags checked, no access flag to set.
 */
bool emulate_load(struct vcpu *v, const struct slot *slot, u64 base);

#endif
