/* SPDX-License-Identifier: Apache-2.0 */
#include "inject.h"

#include "arch_gen.h"
#include "exclusive.h"
#include "step.h"
#include "sysreg.h"

#define MODE_EL0 0UL
#define MODE_EL1H 5UL
#define FSC_EXTERNAL_ABORT 0x10UL
#define MTE_WITH_TAGS 2UL

/* Offsets of the synchronous vectors (Arm ARM, "Exception vectors"). */
static u64 vector_offset(u64 pstate)
{
	if (pstate & SPSR_ELx_nRW)
		return 0x600;
	if (FIELD(pstate, SPSR_ELx_M) == MODE_EL0)
		return 0x400;
	return FIELD(pstate, SPSR_ELx_M) == MODE_EL1H ? 0x200 : 0;
}

/* What depends on the core's extensions and on SCTLR_EL1. */
static u64 extension_pstate(void)
{
	u64 sctlr = read_sysreg(sctlr_el1);
	u64 pfr1 = read_sysreg(id_aa64pfr1_el1);
	u64 value = 0;

	if (FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_PAN) && !(sctlr & SCTLR_EL1_SPAN))
		value |= SPSR_ELx_PAN;
	if (FIELD(pfr1, ID_AA64PFR1_EL1_SSBS) && (sctlr & SCTLR_EL1_DSSBS))
		value |= SPSR_ELx_SSBS;
	if (FIELD(pfr1, ID_AA64PFR1_EL1_MTE) >= MTE_WITH_TAGS)
		value |= SPSR_ELx_TCO;
	if (FIELD(pfr1, ID_AA64PFR1_EL1_NMI) && !(sctlr & SCTLR_EL1_SPINTMASK))
		value |= SPSR_ELx_ALLINT;
	return value;
}

/* PSTATE after an exception to EL1 (Arm ARM pseudocode, AArch64.TakeException). */
static u64 exception_pstate(u64 pstate)
{
	u64 kept = SPSR_ELx_N | SPSR_ELx_Z | SPSR_ELx_C | SPSR_ELx_V | SPSR_ELx_DIT | SPSR_ELx_PAN;

	return (pstate & kept) | MODE_EL1H | SPSR_ELx_D | SPSR_ELx_A | SPSR_ELx_I | SPSR_ELx_F |
	       extension_pstate();
}

/* `kind` is the vector's offset in its group: synchronous 0, IRQ 0x80, FIQ 0x100, SError 0x180. */
static void enter_vector(struct vcpu *v, u64 kind)
{
	u64 offset = vector_offset(v->frame.pstate) + kind;

	exclusive_clear(v);
	step_show_guest_pstate(v);
	write_sysreg(elr_el1, v->frame.pc);
	write_sysreg(spsr_el1, v->frame.pstate);
	v->frame.pstate = exception_pstate(v->frame.pstate);
	v->frame.pc = read_sysreg(vbar_el1) + offset;
}

static void take_to_el1(struct vcpu *v, u64 esr)
{
	write_sysreg(esr_el1, esr);
	enter_vector(v, 0);
}

/* As of a virtual SError that the core takes: its syndrome is put there when it comes (trap.c). */
static u64 serror_syndrome(void)
{
	u64 ras = FIELD(read_sysreg(id_aa64pfr0_el1), ID_AA64PFR0_EL1_RAS);
	u64 syndrome = ras ? read_sysreg(SYS_VSESR_EL2) & ESR_ELx_ISS_MASK : 0;

	return (u64)EC_SERROR << ESR_ELx_EC_SHIFT | ESR_ELx_IL | syndrome;
}

void inject_interrupt(struct vcpu *v, u64 kind)
{
	if (kind == INJECT_SERROR)
		write_sysreg(esr_el1, serror_syndrome());
	enter_vector(v, kind);
}

void inject_software_step(struct vcpu *v, bool stepped, bool exclusive)
{
	u64 class = FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0 ? EC_STEP_LOWER : EC_STEP_SAME;

	take_to_el1(v, class << ESR_ELx_EC_SHIFT | ESR_ELx_IL | FSC_DEBUG |
			       (stepped ? ISS_STEP_ISV : 0) | (exclusive ? ISS_STEP_EX : 0));
}

void inject_undefined(struct vcpu *v)
{
	v->status->reflected++;
	take_to_el1(v, (u64)EC_UNKNOWN << ESR_ELx_EC_SHIFT | ESR_ELx_IL);
}

/* The class of an abort differs by whether the guest was at EL0 or EL1. */
static u64 abort_class(const struct vcpu *v, bool instruction)
{
	bool lower = FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0;

	if (instruction)
		return lower ? EC_IABT_LOWER : EC_IABT_SAME;
	return lower ? EC_DABT_LOWER : EC_DABT_SAME;
}

void inject_external_abort(struct vcpu *v, u64 esr)
{
	bool instruction = FIELD(esr, ESR_ELx_EC) == EC_IABT_LOWER;
	u64 syndrome = abort_class(v, instruction) << ESR_ELx_EC_SHIFT;

	syndrome |= ESR_ELx_IL | FSC_EXTERNAL_ABORT;
	if (!instruction)
		syndrome |= esr & (ISS_DABT_WnR | ISS_DABT_CM);
	v->status->reflected++;
	write_sysreg(far_el1, read_sysreg(far_el2));
	take_to_el1(v, syndrome);
}

void inject_store_abort(struct vcpu *v, u64 status_code, u64 address)
{
	u64 syndrome = abort_class(v, false) << ESR_ELx_EC_SHIFT;

	write_sysreg(far_el1, address);
	take_to_el1(v, syndrome | ESR_ELx_IL | ISS_DABT_WnR | status_code);
}

/* Debug exceptions have a class of their own for "from the same level". */
static u64 class_at_el1(const struct vcpu *v, u64 class)
{
	bool lower = FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0;
	bool paired = class == EC_BREAKPOINT_LOWER || class == EC_WATCHPOINT_LOWER ||
		      class == EC_STEP_LOWER;

	return paired && !lower ? class + 1 : class;
}

void inject_same(struct vcpu *v, u64 esr)
{
	u64 class = FIELD(esr, ESR_ELx_EC);
	u64 syndrome = class_at_el1(v, class) << ESR_ELx_EC_SHIFT;

	if (class == EC_WATCHPOINT_LOWER)
		write_sysreg(far_el1, read_sysreg(far_el2));
	take_to_el1(v, syndrome | (esr & (ESR_ELx_IL | ESR_ELx_ISS_MASK)));
}
