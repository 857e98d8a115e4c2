/* SPDX-License-Identifier: Apache-2.0 */
/* Loads and stores exclusive, decoded; A64, A32 and T32. */
#ifndef SV_EXCLUSIVE_ACCESS_H
#define SV_EXCLUSIVE_ACCESS_H

#include "types.h"
#include "vcpu.h"

/* What an instruction of this set is for the exclusive monitor, in the state `pstate`: none if its condition fails. */
struct exclusive_access exclusive_decode(u64 pstate, u32 set, u32 word);

/* Where it accesses memory. */
u64 exclusive_address(const struct vcpu *v, const struct exclusive_access *access);

/* What the registers named `t` hold, as it lies in memory. */
void exclusive_data(const struct vcpu *v, const struct exclusive_access *access, u64 *data);

/* Bytes in all. */
static inline u32 exclusive_size(const struct exclusive_access *access)
{
	return access->pair ? 2U * access->size : access->size;
}

#endif
