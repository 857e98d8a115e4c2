/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"

#include "arch_gen.h"
#include "branch.h"
#include "sysreg.h"
#include "translate.h"

/* Longer sequences are not exclusive sequences that the architecture promises to let succeed. */
#define REGION_LIMIT 32

/* "Load/store exclusive" (Arm ARM, "A64 instruction set encoding"): o2 clear is exclusive, L set a load. */
#define EXCLUSIVE_MASK 0x3f800000U
#define EXCLUSIVE_VALUE 0x08000000U
#define LOAD_BIT (1U << 22)

/* DBGBCR<n>_EL1: enabled, at EL1 and EL0, all four bytes of the instruction. */
#define BREAKPOINT_CONTROL 0x1e7UL

static bool is_exclusive(u32 word)
{
	/* CAS and CASP share the class with bit 23 or bits 21 and 31; they need no monitor. */
	bool pair = (word & (1U << 21)) != 0;

	return (word & EXCLUSIVE_MASK) == EXCLUSIVE_VALUE && (!pair || (word & (1U << 31)));
}

bool is_load_exclusive(u32 word)
{
	return is_exclusive(word) && (word & LOAD_BIT);
}

static bool is_store_exclusive(u32 word)
{
	return is_exclusive(word) && !(word & LOAD_BIT);
}

static bool add_exit(struct step *step, u64 pc)
{
	if (region_left(step, pc))
		return true;
	if (step->exits == REGION_EXITS)
		return false;
	step->exit[step->exits++] = pc;
	return true;
}

/* The address of the instruction after the store-exclusive that closes the region; 0 for none. */
static u64 find_end(u64 start)
{
	for (u64 pc = start + INSTRUCTION_SIZE; pc < start + REGION_LIMIT * INSTRUCTION_SIZE;
	     pc += INSTRUCTION_SIZE) {
		ipa_t address;
		u32 word;

		if (!read_guest_instruction(pc, &word, &address))
			return 0;
		if (is_store_exclusive(word))
			return pc + INSTRUCTION_SIZE;
	}
	return 0;
}

static bool add_branch_exits(struct step *step, u64 start, u64 end)
{
	for (u64 pc = start; pc < end; pc += INSTRUCTION_SIZE) {
		ipa_t address;
		u32 word;
		u64 target;

		if (!read_guest_instruction(pc, &word, &address))
			return false;
		target = branch_target(pc, word);
		if ((target < start || target >= end) && !add_exit(step, target))
			return false;
		/* A return, say: where it leads is not known before it runs, so the region ends in front of it. */
		if (branch_plan(word) > SV_PLAN_STEP_BRANCH_IMMEDIATE && !add_exit(step, pc))
			return false;
	}
	return true;
}

static u32 breakpoints_implemented(void)
{
	return (u32)FIELD(read_sysreg(id_aa64dfr0_el1), ID_AA64DFR0_EL1_BRPs) + 1;
}

bool region_decode(struct step *step, u64 pc, u64 vector)
{
	u64 end = find_end(pc);

	step->exits = 0;
	return end && add_exit(step, vector) && add_exit(step, end) &&
	       add_branch_exits(step, pc, end) && step->exits <= breakpoints_implemented();
}

bool region_faulted(const struct step *step, u64 pc)
{
	return step->region && pc == step->exit[0];
}

bool region_left(const struct step *step, u64 pc)
{
	for (u32 i = 0; i < step->exits && i < REGION_EXITS; i++)
		if (step->exit[i] == pc)
			return true;
	return false;
}

#define EACH_BREAKPOINT(X) X(0) X(1) X(2) X(3) X(4) X(5)

static void read_breakpoint(u32 n, u64 *registers)
{
	switch (n) {
#define READ(i)                                                                                    \
	case i:                                                                                    \
		registers[0] = read_sysreg(dbgbvr##i##_el1);                                       \
		registers[1] = read_sysreg(dbgbcr##i##_el1);                                       \
		break;
		EACH_BREAKPOINT(READ)
	}
}

static void write_breakpoint(u32 n, u64 value, u64 control)
{
	switch (n) {
#define WRITE(i)                                                                                   \
	case i:                                                                                    \
		write_sysreg(dbgbvr##i##_el1, value);                                              \
		write_sysreg(dbgbcr##i##_el1, control);                                            \
		break;
		EACH_BREAKPOINT(WRITE)
	}
}

void region_plant(struct step *step)
{
	for (u32 i = 0; i < step->exits && i < REGION_EXITS; i++) {
		read_breakpoint(i, step->guest_breakpoints[i]);
		write_breakpoint(i, step->exit[i], BREAKPOINT_CONTROL);
	}
	isb();
}

void region_remove(const struct step *step)
{
	for (u32 i = 0; i < step->exits && i < REGION_EXITS; i++)
		write_breakpoint(i, step->guest_breakpoints[i][0], step->guest_breakpoints[i][1]);
}
