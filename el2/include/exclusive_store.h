/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the guest, for the exclusive accesses that the monitor performs. */
#ifndef SV_EXCLUSIVE_STORE_H
#define SV_EXCLUSIVE_STORE_H

#include "addr.h"
#include "types.h"
#include "vcpu.h"

#define NO_FAULT (~0UL)

/*
 * Where the guest, as it is now, loads or stores `size` bytes; NO_FAULT, or the fault status code of what comes
 * instead.
 */
u64 exclusive_translate(struct vcpu *v, u64 va, u32 size, bool write, ipa_t *address);

/* What is there. */
void exclusive_read(ipa_t address, u32 size, u64 *data);

/* Stores `data` if `expected` is still there, at once for every observer; whether it was. */
bool exclusive_replace(ipa_t address, u32 size, const u64 *expected, const u64 *data);

#endif
