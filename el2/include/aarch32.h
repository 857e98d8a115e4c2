/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AArch32 state, in which only EL0 can be: EL1 is AArch64 (HCR_EL2.RW). What the monitor must know of A32 and T32
 * where it takes the place of an instruction, or looks at one.
 *
 * The guest's r0 to r14 are x0 to x14 of the frame (Arm ARM, "Mapping of the general-purpose registers between the
 * Execution states"), and its PSTATE has other fields than in AArch64 state: SPSR_AARCH32_*.
 */
#ifndef SV_AARCH32_H
#define SV_AARCH32_H

#include "arch_gen.h"
#include "types.h"
#include "vcpu.h"

#define AARCH32_SP 13
#define AARCH32_LINK 14
#define T32_SHORT_SIZE 2UL

static inline bool is_aarch32(u64 pstate)
{
	return (pstate & SPSR_ELx_nRW) != 0;
}

/* SV_INSTRUCTION_SET_* that a vCPU with this PSTATE executes. */
static inline u32 instruction_set(u64 pstate)
{
	if (!is_aarch32(pstate))
		return SV_INSTRUCTION_SET_A64;
	return pstate & SPSR_AARCH32_T ? SV_INSTRUCTION_SET_T32 : SV_INSTRUCTION_SET_A32;
}

/* PSTATE without its If-Then state, and with the one of the next instruction. */
u64 aarch32_advance_it(u64 pstate);

/* Whether an instruction with this condition code is executed. */
bool aarch32_condition_holds(u64 pstate, u32 condition);

/*
 * Whether the instruction that trapped with this syndrome, of a class that has CV and COND, is one that is executed: a
 * core may trap one whose condition fails. Always true of A64.
 */
bool trapped_condition_holds(u64 pstate, u64 esr);

/*
 * The instruction at `va` of this set as the guest has it, shadows apart. A T32 instruction of 32 bits has its first
 * halfword in the upper half, as the Arm ARM writes it; one of 16 bits is below 0x10000.
 */
bool read_instruction(u32 set, u64 va, u32 *word);

/* Arm ARM, "T32 instruction set encoding": the top five bits of the first halfword tell that there is a second one. */
static inline bool is_long_t32(u32 half)
{
	return half >> 11 >= 0x1d;
}

/* Bytes of that instruction. */
static inline u64 instruction_size(u32 set, u32 word)
{
	return set == SV_INSTRUCTION_SET_T32 && word < 0x10000 ? T32_SHORT_SIZE : INSTRUCTION_SIZE;
}

/* The guest's PC, and what PSTATE says of the next instruction, past one of `size` bytes that counts as done. */
void advance_past(struct vcpu *v, u64 size);

/* The same for the instruction at the PC, whatever it is. */
void skip_instruction(struct vcpu *v);

#endif
