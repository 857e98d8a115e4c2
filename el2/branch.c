/* SPDX-License-Identifier: Apache-2.0 */
#include "branch.h"

#include "arch_gen.h"
#include "sysreg.h"

#define UPPER_HALF (1UL << 55)
#define NOP 0xd503201fU
#define SMALLEST_SIZE 9UL /* bits 63 to 55 are never more than the choice of a half, or a tag */

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

bool is_svc(u32 set, u32 word)
{
	switch (set) {
	case SV_INSTRUCTION_SET_A32:
		return (word & 0x0f000000) == 0x0f000000 && word < 0xf0000000;
	case SV_INSTRUCTION_SET_T32:
		return (word & 0xffffff00) == 0x0000df00;
	default:
		return (word & 0xffe0001f) == 0xd4000001;
	}
}

bool is_landing_pad(u32 word)
{
	bool bti = (word & 0xffffff3f) == 0xd503241f;	  /* BTI with its operands, or without */
	bool signs = (word & 0xffffffbf) == 0xd503233f || /* PACIASP, PACIBSP */
		     (word & 0xfffffbff) == 0xdac1a3fe;	  /* PACIASPPC, PACIBSPPC */
	bool stops = (word & 0xffe0001f) == 0xd4200000 || (word & 0xffe0001f) == 0xd4400000;

	return bti || signs || stops; /* BRK, HLT */
}

static bool is_exception_generating(u32 word)
{
	return (word & 0xff000000) == 0xd4000000; /* SVC, HVC, SMC, BRK, HLT, DCPS */
}

static bool is_call(u32 word)
{
	u32 kind = word & 0xffe0001f;

	return kind == 0xd4000001 || kind == 0xd4000002 || kind == 0xd4000003 ||
	       kind == 0xd4200000; /* SVC, HVC, SMC, BRK */
}

bool is_patch(u32 word)
{
	bool isb = (word & 0xfffff0ff) == 0xd50330df;

	return is_branch_immediate26(word) || is_call(word) || isb || word == NOP;
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

bool branch_is_certain(u32 word)
{
	return is_branch_immediate26(word);
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

/* A signed pointer's code is above the address proper, whose size the guest chooses for each half. */
static u64 address_mask(u64 pointer)
{
	u64 tcr = read_sysreg(tcr_el1);
	u64 size = pointer & UPPER_HALF ? FIELD(tcr, TCR_EL1_T1SZ) : FIELD(tcr, TCR_EL1_T0SZ);

	return ~0UL >> (size > SMALLEST_SIZE ? size : SMALLEST_SIZE);
}

bool branch_may_lead(const struct step *step, u64 pc)
{
	if (step->plan == SV_PLAN_STEP_OTHER)
		return true;
	if (step->plan == SV_PLAN_STEP_BRANCH_REGISTER)
		return ((pc ^ step->base) & address_mask(step->base)) == 0;
	if (is_branch_immediate26(step->word))
		return pc == branch_target(step->pc, step->word);
	return pc == step->pc + INSTRUCTION_SIZE || pc == branch_target(step->pc, step->word);
}
