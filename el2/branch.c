/* SPDX-License-Identifier: Apache-2.0 */
#include "branch.h"

/* Pointer authentication strips the top of an address; what is left to compare are these bits. */
#define ADDRESS_BITS 48

/* "Branches, Exception Generating and System instructions" (Arm ARM, "A64 instruction set encoding"). */
static int64_t field(u32 word, u32 low, u32 width)
{
	return (int64_t)((u64)word << (64 - low - width)) >> (64 - width);
}

static bool is_branch_immediate26(u32 word)
{
	return (word & 0x7c000000) == 0x14000000; /* B, BL */
}

static bool is_branch_immediate19(u32 word)
{
	return (word & 0xff000000) == 0x54000000 ||
	       (word & 0x7e000000) == 0x34000000; /* B.cond, CB(N)Z */
}

static bool is_branch_immediate14(u32 word)
{
	return (word & 0x7e000000) == 0x36000000; /* TB(N)Z */
}

/* "Unconditional branch (register)": all of it, ERET and DRPS included. */
static bool is_branch_register_class(u32 word)
{
	return (word & 0xfe000000) == 0xd6000000;
}

static bool is_branch_register(u32 word)
{
	u32 opc = word >> 21 & 15;

	/* BR, BLR, RET, BRAA, BLRAA; the forms with a zero modifier share the first three. */
	return is_branch_register_class(word) && (opc <= 2 || opc == 8 || opc == 9);
}

static bool is_return_authenticated(u32 word)
{
	return (word & 0xfffffbff) == 0xd65f0bff; /* RETAA, RETAB: x30 is implied */
}

bool is_eret(u32 word)
{
	return (word & 0xfffff3ff) == 0xd69f03e0 || (word & 0xfffffbff) == 0xd69f0bff;
}

bool is_svc(u32 word)
{
	return (word & 0xffe0001f) == 0xd4000001;
}

static bool is_exception_generating(u32 word)
{
	return (word & 0xff000000) == 0xd4000000; /* SVC, HVC, SMC, BRK, HLT, DCPS */
}

u32 branch_plan(u32 word)
{
	if (is_branch_immediate26(word) || is_branch_immediate19(word) ||
	    is_branch_immediate14(word))
		return SV_PLAN_STEP_BRANCH_IMMEDIATE;
	if (is_branch_register(word))
		return SV_PLAN_STEP_BRANCH_REGISTER;
	if (is_branch_register_class(word) || is_exception_generating(word) || word == 0)
		return SV_PLAN_STEP_OTHER;
	return SV_PLAN_STEP_LINEAR;
}

u64 branch_target(u64 pc, u32 word)
{
	if (is_branch_immediate26(word))
		return pc + (u64)field(word, 0, 26) * 4;
	if (is_branch_immediate19(word))
		return pc + (u64)field(word, 5, 19) * 4;
	if (is_branch_immediate14(word))
		return pc + (u64)field(word, 5, 14) * 4;
	return pc + INSTRUCTION_SIZE;
}

u64 branch_base(const struct vcpu *v, u32 word)
{
	return vcpu_register(v, is_return_authenticated(word) ? 30 : word >> 5 & 31);
}

bool branch_may_lead(const struct step *step, u64 pc)
{
	if (step->plan == SV_PLAN_STEP_OTHER)
		return true;
	if (step->plan == SV_PLAN_STEP_BRANCH_REGISTER)
		return ((pc ^ step->base) & ((1UL << ADDRESS_BITS) - 1)) == 0;
	if (is_branch_immediate26(step->word))
		return pc == branch_target(step->pc, step->word);
	return pc == step->pc + INSTRUCTION_SIZE || pc == branch_target(step->pc, step->word);
}
