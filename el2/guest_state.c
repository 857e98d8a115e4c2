/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_state.h"

#include "arch_gen.h"
#include "brk.h"
#include "event.h"
#include "monitor.h"
#include "sve.h"
#include "sysreg.h"

/* EL1h with all interrupts masked, as the arm64 boot protocol and PSCI CPU_ON ask. */
#define PSTATE_START 0x3c5UL
/* RES1 bits, MMU and caches off (SCTLR_EL1, "Reset value"). */
#define SCTLR_EL1_START 0x30d00800UL

#define NEVER_TRAP_52_TO_63 0xfff0000000000000UL

static bool has_pauth(void)
{
	u64 isar1 = read_sysreg(id_aa64isar1_el1);
	u64 isar2 = read_sysreg(SYS_ID_AA64ISAR2_EL1);

	return FIELD(isar1, ID_AA64ISAR1_EL1_APA) || FIELD(isar1, ID_AA64ISAR1_EL1_API) ||
	       FIELD(isar1, ID_AA64ISAR1_EL1_GPA) || FIELD(isar1, ID_AA64ISAR1_EL1_GPI) ||
	       FIELD(isar2, ID_AA64ISAR2_EL1_APA3) || FIELD(isar2, ID_AA64ISAR2_EL1_GPA3);
}

static bool has_sme(void)
{
	return FIELD(read_sysreg(id_aa64pfr1_el1), ID_AA64PFR1_EL1_SME) != 0;
}

/* One sentence per bit. */
u64 hcr_value(void)
{
	u64 pfr1 = read_sysreg(id_aa64pfr1_el1);
	u64 value = 0;

	value |= HCR_EL2_VM; /* Stage 2 is on. */
	value |=
		HCR_EL2_SWIO; /* Set/way invalidation by the guest cleans, or it would lose our data. */
	value |= HCR_EL2_FMO; /* FIQs, */
	value |= HCR_EL2_IMO; /* IRQs */
	value |= HCR_EL2_AMO; /* and SErrors come to EL2, so that none derails a step. */
	value |= HCR_EL2_RW;  /* EL1 is AArch64. */
	if (!monitor_flag(SV_FLAG_SABOTAGE_TSC))
		value |= HCR_EL2_TSC; /* SMCs are probes, or PSCI calls that start cores. */
	if (has_pauth())
		value |= HCR_EL2_APK | HCR_EL2_API; /* Pointer authentication is the guest's. */
	if (FIELD(pfr1, ID_AA64PFR1_EL1_MTE) >= 2)
		value |= HCR_EL2_ATA; /* So are allocation tags, */
	if (FIELD(read_sysreg(id_aa64pfr0_el1), ID_AA64PFR0_EL1_CSV2) >= 2)
		value |= HCR_EL2_EnSCXT; /* and the software context number. */
	if (monitor_flag(SV_FLAG_SABOTAGE_STAGE2))
		value &= ~HCR_EL2_VM;
	return value;
}

u64 hcr_value_stepping(void)
{
	/* A WFI would wait for an interrupt that is held back. */
	return hcr_value() | HCR_EL2_TWI | HCR_EL2_TWE;
}

static u64 mdcr_value_base(void)
{
	u64 dfr0 = read_sysreg(id_aa64dfr0_el1);
	u64 value = 0;

	if (FIELD(dfr0, ID_AA64DFR0_EL1_PMUVer) % 15)
		/* All event counters are the guest's. */
		value |= FIELD(read_sysreg(pmcr_el0), PMCR_EL0_N) << MDCR_EL2_HPMN_SHIFT;
	if (FIELD(dfr0, ID_AA64DFR0_EL1_PMSVer))
		value |= MDCR_EL2_E2PB_MASK; /* So is the profiling buffer. */
	if (FIELD(dfr0, ID_AA64DFR0_EL1_TraceBuffer))
		value |= MDCR_EL2_E2TB_MASK; /* So is the trace buffer. */
	return value;
}

u64 mdcr_value_stepping(void)
{
	if (monitor_flag(SV_FLAG_SABOTAGE_TDE))
		return mdcr_value_base();
	/* Debug exceptions come to EL2; accesses to debug registers trap, and see what is the guest's. */
	return mdcr_value_base() | MDCR_EL2_TDE | MDCR_EL2_TDA | MDCR_EL2_TDOSA | MDCR_EL2_TDRA;
}

bool debug_routing_wanted(const struct vcpu *v)
{
	return brk_wanted() || event_enabled(v, SV_EVENT_SOFTWARE_BREAKPOINT) ||
	       event_enabled(v, SV_EVENT_HARDWARE_BREAKPOINT);
}

u64 mdcr_value(const struct vcpu *v)
{
	return debug_routing_wanted(v) ? mdcr_value_stepping() : mdcr_value_base();
}

static void enable_vectors(void)
{
	u64 cptr = CPTR_EL2_RES1;

	if (!sve_exists())
		cptr |= CPTR_EL2_TZ; /* RES1 without SVE. */
	if (!has_sme())
		cptr |= CPTR_EL2_TSM; /* RES1 without SME. */
	write_sysreg(cptr_el2, cptr);
	isb(); /* The length registers below trap until then. */
	if (sve_exists())
		sve_open();
	if (has_sme())
		write_sysreg(SYS_SMCR_EL2, SMCR_EL2_LEN_MASK | SMCR_EL2_FA64 | SMCR_EL2_EZT0);
}

/* Later extensions are off for the guest until EL2 turns them on. */
static void enable_extensions(void)
{
	if (FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_HCX))
		write_sysreg(SYS_HCRX_EL2, HCRX_EL2_EnAS0 | HCRX_EL2_EnALS | HCRX_EL2_EnASR |
						   HCRX_EL2_MSCEn | HCRX_EL2_TCR2En |
						   HCRX_EL2_SCTLR2En | HCRX_EL2_D128En |
						   HCRX_EL2_EnSNERR | HCRX_EL2_EnIDCP128 |
						   HCRX_EL2_GCSEn | HCRX_EL2_EnFPM);
	if (!FIELD(read_sysreg(id_aa64mmfr0_el1), ID_AA64MMFR0_EL1_FGT))
		return;
	/* Fine-grained traps: a set bit traps, but for the names that start with n. */
	write_sysreg(SYS_HFGRTR_EL2, NEVER_TRAP_52_TO_63 | HFGRTR_EL2_nACCDATA_EL1);
	write_sysreg(SYS_HFGWTR_EL2, NEVER_TRAP_52_TO_63 | HFGWTR_EL2_nACCDATA_EL1);
	write_sysreg(SYS_HFGITR_EL2, 0);
	write_sysreg(SYS_HDFGRTR_EL2, 0);
	write_sysreg(SYS_HDFGWTR_EL2, 0);
}

static void enable_timers(void)
{
	/* Both counters and both EL1 timers are the guest's. */
	write_sysreg(cnthctl_el2, CNTHCTL_EL2_EL1PCTEN | CNTHCTL_EL2_EL1PCEN);
}

void guest_state_init(struct vcpu *v)
{
	write_sysreg(tpidr_el2, v);
	write_sysreg(hcr_el2, hcr_value());
	write_sysreg(mdcr_el2, mdcr_value(v));
	v->debug_routed = debug_routing_wanted(v);
	write_sysreg(hstr_el2, 0);
	write_sysreg(vpidr_el2, read_sysreg(midr_el1));
	write_sysreg(vmpidr_el2, v->mpidr);
	enable_vectors();
	enable_extensions();
	enable_timers();
	/* The OS lock is set after reset and holds back every debug exception but BRK. */
	write_sysreg(oslar_el1, 0);
	write_sysreg(osdlr_el1, 0);
	write_sysreg(mdscr_el1, 0);
	isb();
}

void guest_state_enter_at(struct vcpu *v, u64 entry, u64 argument)
{
	write_sysreg(sctlr_el1, SCTLR_EL1_START);
	v->frame = (struct frame){ .pc = entry, .pstate = PSTATE_START };
	v->frame.x[0] = argument;
}
