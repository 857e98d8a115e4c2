/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's accesses to debug registers while a step of ours is armed. */
#ifndef SV_DEBUG_REGISTERS_H
#define SV_DEBUG_REGISTERS_H

#include "types.h"
#include "vcpu.h"

/*
 * Reads or writes the register that `key` (ISS of a trapped access without Rt and direction) names,
 * as the guest would find it if we did not step; false for one that is not known. A read of a register that this
 * core makes a NOP of leaves `value` as it is.
 */
bool debug_register_read(const struct vcpu *v, u32 key, u64 *value);
bool debug_register_write(struct vcpu *v, u32 key, u64 value);

#endif
