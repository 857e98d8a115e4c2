/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debug registers that AArch32 code at EL0 may use (MDSCR_EL1.TDCC clear), while MDCR_EL2.TDE makes them trap.
 * Their AArch32 names are out of reach of EL2 in AArch64 state: they are read through their AArch64 twins.
 */
#include "aarch32.h"
#include "debug_registers.h"
#include "sysreg.h"
#include "trap.h"

/* CRn, opc1, CRm and opc2 of an MRC or MCR, as its syndrome has them. */
#define CP14_KEY(crn, opc1, crm, opc2)                                                             \
	((opc2) << ISS_CP_OPC2_SHIFT | (opc1) << ISS_CP_OPC1_SHIFT | (crn) << ISS_CP_CRN_SHIFT |   \
	 (crm) << ISS_CP_CRM_SHIFT)
#define DBGDIDR CP14_KEY(0UL, 0UL, 0UL, 0UL)
#define DBGDSCRINT CP14_KEY(0UL, 0UL, 1UL, 0UL)
#define DBGDTRINT CP14_KEY(0UL, 0UL, 5UL, 0UL)
#define DBGDRAR CP14_KEY(1UL, 0UL, 0UL, 0UL)
#define DBGDSAR CP14_KEY(2UL, 0UL, 0UL, 0UL)

/* The same registers in the MRRC form. */
#define DBGDRAR_64 (1UL << ISS_CP64_CRM_SHIFT)
#define DBGDSAR_64 (2UL << ISS_CP64_CRM_SHIFT)

#define DBGDIDR_RES1 (1UL << 15)
#define DBGDIDR_NSUHD_IMP (1UL << 14)
#define DBGDIDR_SE_IMP (1UL << 12)
#define DBGDSCR_NS (1UL << 18)

static u64 debug_id(void)
{
	u64 dfr0 = read_sysreg(id_aa64dfr0_el1);
	u64 value = DBGDIDR_RES1;

	value |= FIELD(dfr0, ID_AA64DFR0_EL1_WRPs) << 28 | FIELD(dfr0, ID_AA64DFR0_EL1_BRPs) << 24;
	value |= FIELD(dfr0, ID_AA64DFR0_EL1_CTX_CMPs) << 20;
	value |= FIELD(dfr0, ID_AA64DFR0_EL1_DebugVer) << 16;
	if (FIELD(read_sysreg(id_aa64pfr0_el1), ID_AA64PFR0_EL1_EL3))
		value |= DBGDIDR_NSUHD_IMP | DBGDIDR_SE_IMP;
	return value;
}

/* DBGDSCRint: the fullness of the channel, and what MDSCR_EL1 has at the same places. */
static u64 debug_status(const struct vcpu *v)
{
	u64 mdscr = 0;

	debug_register_read(v, ISS_SYSREG_MDSCR_EL1, &mdscr);
	return read_sysreg(mdccsr_el0) | DBGDSCR_NS | (mdscr & (MDSCR_EL1_MDE | MDSCR_EL1_TDCC));
}

static bool read_cp14(const struct vcpu *v, u64 key, u64 *value)
{
	switch (key) {
	case DBGDIDR:
		*value = debug_id();
		return true;
	case DBGDSCRINT:
		*value = debug_status(v);
		return true;
	case DBGDTRINT:
		*value = read_sysreg(dbgdtrrx_el0);
		return true;
	case DBGDRAR:
		*value = read_sysreg(mdrar_el1);
		return true;
	case DBGDSAR:
		*value = 0;
		return true;
	}
	return false;
}

/* An MRC to the register after r14 writes the flags. */
static void set_target(struct vcpu *v, u32 target, u64 value)
{
	u64 flags = SPSR_ELx_N | SPSR_ELx_Z | SPSR_ELx_C | SPSR_ELx_V;

	if (target <= AARCH32_LINK)
		v->frame.x[target] = (u32)value;
	else
		v->frame.pstate = (v->frame.pstate & ~flags) | (value & flags);
}

enum trap_result trap_cp14(struct vcpu *v, u64 esr)
{
	u64 key = esr & (ISS_CP_OPC2_MASK | ISS_CP_OPC1_MASK | ISS_CP_CRN_MASK | ISS_CP_CRM_MASK);
	u32 target = (u32)FIELD(esr, ISS_CP_RT);
	u64 value;

	if (!(esr & ISS_CP_READ) && key == DBGDTRINT && target <= AARCH32_LINK) {
		write_sysreg(dbgdtrtx_el0, v->frame.x[target]);
		return TRAP_EMULATED;
	}
	if (!(esr & ISS_CP_READ) || !read_cp14(v, key, &value))
		return TRAP_UNDEFINED;
	set_target(v, target, value);
	return TRAP_EMULATED;
}

enum trap_result trap_cp14_wide(struct vcpu *v, u64 esr)
{
	u64 key = esr & (ISS_CP64_OPC1_MASK | ISS_CP64_CRM_MASK);
	u64 value;

	if (!(esr & ISS_CP64_READ) || (key != DBGDRAR_64 && key != DBGDSAR_64))
		return TRAP_UNDEFINED;
	value = key == DBGDRAR_64 ? read_sysreg(mdrar_el1) : 0;
	set_target(v, (u32)FIELD(esr, ISS_CP64_RT), value);
	set_target(v, (u32)FIELD(esr, ISS_CP64_RT2), value >> 32);
	return TRAP_EMULATED;
}
