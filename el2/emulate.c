/* SPDX-License-Identifier: Apache-2.0 */
#include "emulate.h"

#include "alu.h"
#include "arch_gen.h"
#include "emulate_memory.h"
#include "pointer_auth.h"
#include "sysreg.h"

#define MODE_EL1 4UL
#define SP_EL1_SELECTED 1UL /* SPSR.M: EL1h, not EL1t */
#define VETTED_BITS 55	    /* an address of an instruction has the same bits from here on */
#define BTYPE_CALL (2UL << SPSR_ELx_BTYPE_SHIFT)
#define BTYPE_JUMP (1UL << SPSR_ELx_BTYPE_SHIFT)

static bool has(const struct slot *slot, u32 flag)
{
	return (slot->operand & flag) != 0;
}

static bool is_wide(const struct slot *slot)
{
	return has(slot, SV_OPERAND_WIDE);
}

static bool is_sp_el1(const struct vcpu *v)
{
	return (v->frame.pstate & SP_EL1_SELECTED) != 0;
}

static u64 read_stack_pointer(const struct vcpu *v)
{
	return is_sp_el1(v) ? read_sysreg(sp_el1) : read_sysreg(sp_el0);
}

static void write_stack_pointer(const struct vcpu *v, u64 value)
{
	if (is_sp_el1(v))
		write_sysreg(sp_el1, value);
	else
		write_sysreg(sp_el0, value);
}

static u64 first_source(const struct vcpu *v, const struct slot *slot)
{
	return has(slot, SV_OPERAND_SP_N) ? read_stack_pointer(v) : vcpu_register(v, slot->n);
}

static u64 second_source(const struct vcpu *v, const struct slot *slot)
{
	u64 value;

	if (has(slot, SV_OPERAND_IMMEDIATE))
		return slot->immediate;
	value = vcpu_register(v, slot->m);
	if (has(slot, SV_OPERAND_EXTEND))
		return alu_extend(value, slot->shift_type, slot->shift);
	value = alu_shift(value, slot->shift_type, slot->shift, is_wide(slot));
	return has(slot, SV_OPERAND_INVERT) ? ~value : value;
}

static void set_result(struct vcpu *v, const struct slot *slot, u64 value)
{
	value = alu_width(value, is_wide(slot));
	if (has(slot, SV_OPERAND_SP_D))
		write_stack_pointer(v, value);
	else
		vcpu_set_register(v, slot->d, value);
}

static void set_flags(struct vcpu *v, u64 flags)
{
	v->frame.pstate = (v->frame.pstate & ~FLAGS) | flags;
}

static void add_subtract(struct vcpu *v, const struct slot *slot)
{
	bool subtract = slot->operation == SV_OPERATION_SUB || slot->operation == SV_OPERATION_SBC;
	bool with_carry =
		slot->operation == SV_OPERATION_ADC || slot->operation == SV_OPERATION_SBC;
	u64 carry = with_carry ? (v->frame.pstate & FLAG_C) != 0 : subtract;
	u64 second = second_source(v, slot);
	u64 flags, result;

	result = alu_add(first_source(v, slot), subtract ? ~second : second, carry, is_wide(slot),
			 &flags);
	if (has(slot, SV_OPERAND_SET_FLAGS))
		set_flags(v, flags);
	set_result(v, slot, result);
}

static void logical(struct vcpu *v, const struct slot *slot)
{
	u64 first = first_source(v, slot);
	u64 second = second_source(v, slot);
	u64 result;

	if (slot->operation == SV_OPERATION_AND)
		result = first & second;
	else
		result = slot->operation == SV_OPERATION_ORR ? first | second : first ^ second;
	if (has(slot, SV_OPERAND_SET_FLAGS))
		set_flags(v, alu_logical_flags(result, is_wide(slot)));
	set_result(v, slot, result);
}

static void move(struct vcpu *v, const struct slot *slot)
{
	u64 old = vcpu_register(v, slot->d);

	switch (slot->operation) {
	case SV_OPERATION_INSERT:
		old &= ~(0xffffUL << slot->shift);
		set_result(v, slot, old | slot->immediate << slot->shift);
		break;
	case SV_OPERATION_ADR:
		set_result(v, slot, v->frame.pc + slot->immediate);
		break;
	case SV_OPERATION_ADRP:
		set_result(v, slot, (v->frame.pc & ~0xfffUL) + slot->immediate);
		break;
	default:
		set_result(v, slot, slot->immediate);
	}
}

static void extract(struct vcpu *v, const struct slot *slot)
{
	bool wide = is_wide(slot);
	u32 bits = wide ? 64 : 32;
	u64 low = alu_width(vcpu_register(v, slot->m), wide) >> slot->shift;
	u64 high = slot->shift ? vcpu_register(v, slot->n) << (bits - slot->shift) : 0;

	set_result(v, slot, high | low);
}

static void select(struct vcpu *v, const struct slot *slot)
{
	u64 value = vcpu_register(v, slot->n);

	if (!alu_condition(slot->a, v->frame.pstate)) {
		value = vcpu_register(v, slot->m);
		if (has(slot, SV_OPERAND_INVERT))
			value = ~value;
		if (has(slot, SV_OPERAND_INCREMENT))
			value++;
	}
	set_result(v, slot, value);
}

static void compare(struct vcpu *v, const struct slot *slot)
{
	u64 second = has(slot, SV_OPERAND_IMMEDIATE) ? slot->immediate : vcpu_register(v, slot->m);
	bool add = has(slot, SV_OPERAND_INVERT);
	u64 flags = (u64)slot->shift << 28;

	if (alu_condition(slot->a, v->frame.pstate))
		alu_add(vcpu_register(v, slot->n), add ? second : ~second, !add, is_wide(slot),
			&flags);
	set_flags(v, flags);
}

static void data_processing(struct vcpu *v, const struct slot *slot)
{
	u64 value;

	switch (slot->operation) {
	case SV_OPERATION_ADD:
	case SV_OPERATION_SUB:
	case SV_OPERATION_ADC:
	case SV_OPERATION_SBC:
		add_subtract(v, slot);
		return;
	case SV_OPERATION_AND:
	case SV_OPERATION_ORR:
	case SV_OPERATION_EOR:
		logical(v, slot);
		return;
	case SV_OPERATION_BITFIELD_UNSIGNED:
	case SV_OPERATION_BITFIELD_SIGNED:
	case SV_OPERATION_BITFIELD_INSERT:
		value = alu_bitfield(slot, vcpu_register(v, slot->n), vcpu_register(v, slot->d),
				     is_wide(slot));
		set_result(v, slot, value);
		return;
	case SV_OPERATION_EXTRACT:
		extract(v, slot);
		return;
	case SV_OPERATION_SELECT:
		select(v, slot);
		return;
	case SV_OPERATION_COMPARE:
		compare(v, slot);
		return;
	}
	value = alu_compute(slot->operation, vcpu_register(v, slot->n), vcpu_register(v, slot->m),
			    vcpu_register(v, slot->a), is_wide(slot));
	set_result(v, slot, value);
}

static bool branch_is_taken(const struct vcpu *v, const struct slot *slot)
{
	u64 value = alu_width(vcpu_register(v, slot->n), is_wide(slot));
	bool nonzero = has(slot, SV_OPERAND_NONZERO);

	switch (slot->operation) {
	case SV_OPERATION_BRANCH_IF:
		return alu_condition(slot->a, v->frame.pstate);
	case SV_OPERATION_BRANCH_ZERO:
		return (value != 0) == nonzero;
	case SV_OPERATION_BRANCH_BIT:
		return (vcpu_register(v, slot->n) >> slot->shift & 1) == nonzero;
	default:
		return true;
	}
}

/* Calls and returns then push and pop a stack of return addresses in memory, too (FEAT_GCS). */
static bool has_control_stack(void)
{
	return FIELD(read_sysreg(id_aa64pfr1_el1), ID_AA64PFR1_EL1_GCS) &&
	       (read_sysreg(SYS_GCSCR_EL1) & GCSCR_EL1_PCRSEL);
}

static bool branch(struct vcpu *v, const struct slot *slot)
{
	u64 next = v->frame.pc + INSTRUCTION_SIZE;

	if (has(slot, SV_OPERAND_LINK) && has_control_stack())
		return false;
	v->frame.pc = branch_is_taken(v, slot) ? v->frame.pc + slot->immediate : next;
	if (has(slot, SV_OPERAND_LINK))
		v->frame.x[30] = next;
	return true;
}

static bool has_bti(void)
{
	return FIELD(read_sysreg(id_aa64pfr1_el1), ID_AA64PFR1_EL1_BT) != 0;
}

/* Of an instruction; what is none, or has a tag, is left to the hardware to fault on, or to strip. */
static bool is_address(u64 target)
{
	u64 top = target >> VETTED_BITS;

	return !(target & 3) && (top == 0 || top == ~0UL >> VETTED_BITS);
}

/*
 * BLR, BR and RET. What BR sets PSTATE.BTYPE to depends on whether its page is guarded, but for the two
 * registers of linker veneers.
 */
static bool branch_register(struct vcpu *v, const struct slot *slot)
{
	u64 target = vcpu_register(v, slot->n);
	bool is_return = has(slot, SV_OPERAND_POST);
	bool veneer = slot->n == 16 || slot->n == 17;

	if (has_bti() && !is_return && !has(slot, SV_OPERAND_LINK) && !veneer)
		return false;
	if (!is_address(target))
		return false;
	if ((is_return || has(slot, SV_OPERAND_LINK)) && has_control_stack())
		return false;
	if (has(slot, SV_OPERAND_LINK))
		v->frame.x[30] = v->frame.pc + INSTRUCTION_SIZE;
	v->frame.pc = target;
	if (has_bti() && !is_return)
		v->frame.pstate |= has(slot, SV_OPERAND_LINK) ? BTYPE_CALL : BTYPE_JUMP;
	return true;
}

/* Operations that may turn out to need a step after all. */
static bool emulate_doubtful(struct vcpu *v, const struct slot *slot)
{
	switch (slot->operation) {
	case SV_OPERATION_LOAD:
		if (!emulate_load(v, slot, first_source(v, slot)))
			return false;
		break;
	case SV_OPERATION_READ_SP_EL0:
		if (!is_sp_el1(v))
			return false; /* Undefined. */
		vcpu_set_register(v, slot->d, read_sysreg(sp_el0));
		break;
	case SV_OPERATION_PACIASP:
		if (!pointer_auth_sign(v, &v->frame.x[30], read_stack_pointer(v)))
			return false;
		break;
	default:
		return branch_register(v, slot);
	}
	v->frame.pc += INSTRUCTION_SIZE;
	return true;
}

static bool perform(struct vcpu *v, const struct slot *slot)
{
	switch (slot->operation) {
	case SV_OPERATION_NOP:
		break;
	case SV_OPERATION_MOVE:
	case SV_OPERATION_INSERT:
	case SV_OPERATION_ADR:
	case SV_OPERATION_ADRP:
		move(v, slot);
		break;
	case SV_OPERATION_BRANCH:
	case SV_OPERATION_BRANCH_IF:
	case SV_OPERATION_BRANCH_ZERO:
	case SV_OPERATION_BRANCH_BIT:
		return branch(v, slot);
	case SV_OPERATION_LOAD:
	case SV_OPERATION_READ_SP_EL0:
	case SV_OPERATION_PACIASP:
	case SV_OPERATION_BRANCH_REGISTER:
		return emulate_doubtful(v, slot);
	default:
		data_processing(v, slot);
	}
	v->frame.pc += INSTRUCTION_SIZE;
	return true;
}

/* The guest's own debugger may be about to stop at this instruction, or right after it. */
static bool guest_debugs(void)
{
	return (read_sysreg(mdscr_el1) & (MDSCR_EL1_SS | MDSCR_EL1_MDE)) != 0;
}

/* At EL0 some of it is undefined, and memory has other permissions. */
static bool is_at_el1(const struct vcpu *v)
{
	return (v->frame.pstate & (SPSR_ELx_nRW_MASK | SPSR_ELx_M_MASK) & ~SP_EL1_SELECTED) ==
	       MODE_EL1;
}

/*
 * Where an indirect branch led to an SMC, the page is not guarded. A BRK may be where one leads to in a guarded
 * page, too, but not every instruction under it may.
 */
static bool may_be_branch_target_exception(const struct vcpu *v)
{
	return (v->frame.pstate & SPSR_ELx_BTYPE_MASK) &&
	       FIELD(read_sysreg(esr_el2), ESR_ELx_EC) != EC_SMC64;
}

bool emulate(struct vcpu *v, const struct slot *slot)
{
	u64 btype = v->frame.pstate & SPSR_ELx_BTYPE_MASK;

	if (guest_debugs() || !is_at_el1(v) || may_be_branch_target_exception(v))
		return false;
	v->frame.pstate &= ~SPSR_ELx_BTYPE_MASK;
	if (perform(v, slot))
		return true;
	v->frame.pstate |= btype;
	return false;
}
