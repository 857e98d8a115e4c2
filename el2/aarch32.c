/* SPDX-License-Identifier: Apache-2.0 */
#include "aarch32.h"

#include "monitor.h"
#include "sysreg.h"
#include "translate.h"

#define HALFWORD 2UL
#define ALWAYS 14U

static u32 if_then(u64 pstate)
{
	return (u32)(FIELD(pstate, SPSR_AARCH32_IT_HIGH) << 2 | FIELD(pstate, SPSR_AARCH32_IT_LOW));
}

/* Arm ARM pseudocode, AArch32.ITAdvance: bits 7:5 are the base condition, bit 4 its last bit for this one. */
u64 aarch32_advance_it(u64 pstate)
{
	u64 it = if_then(pstate);
	u64 next = it & 7 ? (it & 0xe0) | (it << 1 & 0x1f) : 0;

	pstate &= ~(SPSR_AARCH32_IT_HIGH_MASK | SPSR_AARCH32_IT_LOW_MASK);
	return pstate | next >> 2 << SPSR_AARCH32_IT_HIGH_SHIFT |
	       (next & 3) << SPSR_AARCH32_IT_LOW_SHIFT;
}

/* Arm ARM pseudocode, ConditionHolds: pairs of opposites, of which the odd one is the negation. */
static bool even_condition_holds(u64 pstate, u32 condition)
{
	bool n = pstate & SPSR_AARCH32_N, z = pstate & SPSR_AARCH32_Z;
	bool c = pstate & SPSR_AARCH32_C, v = pstate & SPSR_AARCH32_V;

	switch (condition >> 1) {
	case 0:
		return z;
	case 1:
		return c;
	case 2:
		return n;
	case 3:
		return v;
	case 4:
		return c && !z;
	case 5:
		return n == v;
	case 6:
		return n == v && !z;
	default:
		return true;
	}
}

bool aarch32_condition_holds(u64 pstate, u32 condition)
{
	/* 15 has no opposite: it marks unconditional instructions. */
	return condition >= ALWAYS ||
	       even_condition_holds(pstate, condition) != (bool)(condition & 1);
}

bool trapped_condition_holds(u64 pstate, u64 esr)
{
	u32 it = if_then(pstate);

	if (!is_aarch32(pstate))
		return true;
	if (esr & ISS_CP_CV)
		return aarch32_condition_holds(pstate, (u32)FIELD(esr, ISS_CP_COND));
	/* T32 without the field: the If-Then state says it, if the instruction is in a block at all. */
	return !it || aarch32_condition_holds(pstate, it >> 4);
}

static bool read_halfword(u64 va, u32 *half)
{
	ipa_t address;

	if (!translate_guest(va, &address) || !guest_ram_holds(address.raw, HALFWORD))
		return false;
	*half = *(const volatile u16 *)pa_to_pointer(ipa_identity(address));
	return true;
}

static bool read_t32(u64 va, u32 *word)
{
	u32 first, second = 0;

	if ((va & 1) || !read_halfword(va, &first))
		return false;
	/* The two may be in different pages. */
	if (is_long_t32(first) && !read_halfword((u32)(va + HALFWORD), &second))
		return false;
	*word = is_long_t32(first) ? first << 16 | second : first;
	return true;
}

bool read_instruction(u32 set, u64 va, u32 *word)
{
	ipa_t address;

	if (set == SV_INSTRUCTION_SET_T32)
		return read_t32(va, word);
	return read_guest_instruction(va, word, &address);
}

void advance_past(struct vcpu *v, u64 size)
{
	v->frame.pc += size;
	if (is_aarch32(v->frame.pstate)) {
		v->frame.pc = (u32)v->frame.pc;
		v->frame.pstate = aarch32_advance_it(v->frame.pstate);
	} else {
		v->frame.pstate &= ~SPSR_ELx_BTYPE_MASK;
	}
}

void skip_instruction(struct vcpu *v)
{
	u32 set = instruction_set(v->frame.pstate);
	u32 word;

	/* One that cannot be read cannot be fetched either: any size will do. */
	advance_past(v, read_instruction(set, v->frame.pc, &word) ? instruction_size(set, word) :
								    INSTRUCTION_SIZE);
}
