/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors longer than the guest's cost an emulator more than all else that a probe hit does.
 *
 * An exception return to a level with shorter vectors than EL2's clears what that level cannot reach: half a
 * microsecond in QEMU, at every exit. So while the guest's vectors hold nothing beyond 128 bits, EL2 has no more,
 * either, and CPTR_EL2.TZ tells when the guest is about to use SVE or to change its length. From there it has
 * the full range, until the monitor's timer ticks again.
 *
 * While SVE traps, the effective length is 128 bits (ZCR_EL1.LEN: "effective value"), and the parts beyond may be
 * lost. Zeros cannot be: instructions of Advanced SIMD, which do not trap, leave zeros there, too.
 */
#ifndef SV_SVE_H
#define SV_SVE_H

#include "types.h"
#include "vcpu.h"

/* From time to time: the guest may have gone back to 128 bits. */
void sve_close(const struct vcpu *v);

/* The guest uses SVE: let it. */
void sve_open(void);

bool sve_exists(void);

/* sve_state.S. */
u64 sve_store(u64 *vectors, u64 *predicates);

#endif
