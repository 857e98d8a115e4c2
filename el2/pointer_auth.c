/* SPDX-License-Identifier: Apache-2.0 */
#include "pointer_auth.h"

#include "arch_gen.h"
#include "sysreg.h"

/* Stepped signatures that must agree before one is trusted; one that does not ends it for good. */
#define TRIALS 8

/* In ID_AA64ISAR1_EL1.APA and API and ID_AA64ISAR2_EL1.APA3. */
#define FEAT_PAUTH2 3

/*
 * Of pointers in the lower and in the upper half: how a code is put into a pointer can differ where the bits
 * that it replaces are all ones, so what agrees in one half says nothing of the other.
 */
static u32 agreed[2];
static bool refuted;

static u32 larger(u64 left, u64 right)
{
	return (u32)(left > right ? left : right);
}

/* What the core has of pointer authentication, whatever its algorithm: 0 for none. */
static u32 level(void)
{
	u64 isar1 = read_sysreg(id_aa64isar1_el1);
	u64 isar2 = read_sysreg(SYS_ID_AA64ISAR2_EL1);

	return larger(
		larger(FIELD(isar1, ID_AA64ISAR1_EL1_APA), FIELD(isar1, ID_AA64ISAR1_EL1_API)),
		FIELD(isar2, ID_AA64ISAR2_EL1_APA3));
}

static u32 half(u64 pointer)
{
	return pointer >> 55 & 1;
}

static u32 *agreement(u64 pointer)
{
	return &agreed[pointer >> 55 & 1];
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
	bool upper = half(pointer);
	bool tagged = upper ? tcr & TCR_EL1_TBI1 && !(tcr & TCR_EL1_TBID1) :
			      tcr & TCR_EL1_TBI0 && !(tcr & TCR_EL1_TBID0);
	u64 size = upper ? FIELD(tcr, TCR_EL1_T1SZ) : FIELD(tcr, TCR_EL1_T0SZ);
	u64 mask = bits((u32)(64 - size), 55);

	return tagged ? mask : mask | bits(56, 64);
}

/* Bits above the address, all of them the sign; else the architecture spoils the code on purpose. */
static bool is_canonical(u64 pointer, u64 mask)
{
	u64 sign = half(pointer) ? mask : 0;

	return (pointer & mask) == sign;
}

static bool compute(u64 pointer, u64 modifier, u64 *result)
{
	u64 mask = code_mask(pointer);
	u32 has = level();
	u64 code;

	/* PACGA gives the upper 32 bits. */
	if (!has || !is_canonical(pointer, mask) || (mask & 0xffffffff))
		return false;
	code = pacga_with_key_a(pointer, modifier) & mask;
	/* With FEAT_PAuth2 the code is not put in place of these bits, but added to them. */
	if (has >= FEAT_PAUTH2)
		code ^= pointer & mask;
	*result = (pointer & ~mask) | code;
	return true;
}

bool pointer_auth_sign(struct vcpu *v, u64 *pointer, u64 modifier)
{
	(void)v;
	if (!level() || !(read_sysreg(sctlr_el1) & SCTLR_EL1_EnIA))
		return true; /* A NOP. */
	if (refuted || __atomic_load_n(agreement(*pointer), __ATOMIC_RELAXED) < TRIALS)
		return false;
	return compute(*pointer, modifier, pointer);
}

void pointer_auth_learn(u64 before, u64 modifier, u64 after)
{
	u64 expected;

	if (!(read_sysreg(sctlr_el1) & SCTLR_EL1_EnIA) || !compute(before, modifier, &expected))
		return;
	if (expected == after)
		__atomic_fetch_add(agreement(before), 1, __ATOMIC_RELAXED);
	else
		refuted = true;
}
