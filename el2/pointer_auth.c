/* SPDX-License-Identifier: Apache-2.0 */
#include "pointer_auth.h"

#include "arch_gen.h"
#include "sysreg.h"

/* Stepped signatures that must agree before one is trusted; one that does not ends it for good. */
#define TRIALS 8

static u32 agreed;
static bool refuted;

static bool implemented(void)
{
	u64 isar1 = read_sysreg(id_aa64isar1_el1);
	u64 isar2 = read_sysreg(SYS_ID_AA64ISAR2_EL1);

	return FIELD(isar1, ID_AA64ISAR1_EL1_APA) || FIELD(isar1, ID_AA64ISAR1_EL1_API) ||
	       FIELD(isar2, ID_AA64ISAR2_EL1_APA3);
}

/* PACGA with the guest's instruction key A. */
static u64 pacga_with_key_a(u64 pointer, u64 modifier)
{
	u64 low = read_sysreg(SYS_APGAKeyLo_EL1), high = read_sysreg(SYS_APGAKeyHi_EL1);
	u64 code;

	write_sysreg(SYS_APGAKeyLo_EL1, read_sysreg(SYS_APIAKeyLo_EL1));
	write_sysreg(SYS_APGAKeyHi_EL1, read_sysreg(SYS_APIAKeyHi_EL1));
	isb();
	asm volatile(".arch_extension pauth\n\tpacga %0, %1, %2"
		     : "=r"(code)
		     : "r"(pointer), "r"(modifier));
	write_sysreg(SYS_APGAKeyLo_EL1, low);
	write_sysreg(SYS_APGAKeyHi_EL1, high);
	isb();
	return code;
}

static u64 bits(u32 low, u32 end)
{
	return end > low ? ((1UL << (end - low)) - 1) << low : 0;
}

/* Where the code goes in a pointer of this half of the address space (pseudocode AddPAC). */
static u64 code_mask(u64 pointer)
{
	u64 tcr = read_sysreg(tcr_el1);
	bool upper = pointer >> 55 & 1;
	bool tagged = upper ? tcr & TCR_EL1_TBI1 && !(tcr & TCR_EL1_TBID1) :
			      tcr & TCR_EL1_TBI0 && !(tcr & TCR_EL1_TBID0);
	u64 size = upper ? FIELD(tcr, TCR_EL1_T1SZ) : FIELD(tcr, TCR_EL1_T0SZ);
	u64 mask = bits((u32)(64 - size), 55);

	return tagged ? mask : mask | bits(56, 64);
}

/* Bits above the address, all of them the sign; else the architecture spoils the code on purpose. */
static bool is_canonical(u64 pointer, u64 mask)
{
	u64 sign = pointer >> 55 & 1 ? mask : 0;

	return (pointer & mask) == sign;
}

static bool compute(u64 pointer, u64 modifier, u64 *result)
{
	u64 mask = code_mask(pointer);

	/* PACGA gives the upper 32 bits. */
	if (!implemented() || !is_canonical(pointer, mask) || (mask & 0xffffffff))
		return false;
	*result = (pointer & ~mask) | (pacga_with_key_a(pointer, modifier) & mask);
	return true;
}

bool pointer_auth_sign(struct vcpu *v, u64 *pointer, u64 modifier)
{
	(void)v;
	if (!implemented() || !(read_sysreg(sctlr_el1) & SCTLR_EL1_EnIA))
		return true; /* A NOP. */
	if (refuted || __atomic_load_n(&agreed, __ATOMIC_RELAXED) < TRIALS)
		return false;
	return compute(*pointer, modifier, pointer);
}

void pointer_auth_learn(u64 before, u64 modifier, u64 after)
{
	u64 expected;

	if (!(read_sysreg(sctlr_el1) & SCTLR_EL1_EnIA) || !compute(before, modifier, &expected))
		return;
	if (expected == after)
		__atomic_fetch_add(&agreed, 1, __ATOMIC_RELAXED);
	else
		refuted = true;
}
