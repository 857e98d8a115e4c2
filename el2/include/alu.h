/* SPDX-License-Identifier: Apache-2.0 */
/* Integer data processing of A64 as functions of values (Arm ARM, "Shared pseudocode functions"). */
#ifndef SV_ALU_H
#define SV_ALU_H

#include "slot.h"
#include "types.h"

/* PSTATE.NZCV at bits 31 to 28. */
#define FLAG_N (1UL << 31)
#define FLAG_Z (1UL << 30)
#define FLAG_C (1UL << 29)
#define FLAG_V (1UL << 28)
#define FLAGS (FLAG_N | FLAG_Z | FLAG_C | FLAG_V)

/* The low 32 bits unless `wide`. */
static inline u64 alu_width(u64 value, bool wide)
{
	return wide ? value : (u32)value;
}

/* x + y + carry, and the flags of it. */
u64 alu_add(u64 x, u64 y, u64 carry, bool wide, u64 *flags);

/* N and Z of a result, C and V clear. */
u64 alu_logical_flags(u64 value, bool wide);

/* LSL, LSR, ASR, ROR by 0 to 3. */
u64 alu_shift(u64 value, u32 type, u32 amount, bool wide);

/* UXTB to SXTX by the option field, then shifted left. */
u64 alu_extend(u64 value, u32 option, u32 amount);

/* UBFM, SBFM, BFM. */
u64 alu_bitfield(const struct slot *slot, u64 source, u64 target, bool wide);

/* Two and three source operations, and those of one source: SV_OPERATION_LSL to SV_OPERATION_REV64. */
u64 alu_compute(u32 operation, u64 n, u64 m, u64 a, bool wide);

/* Whether a condition holds (pseudocode ConditionHolds). */
bool alu_condition(u32 condition, u64 flags);

#endif
