/* SPDX-License-Identifier: Apache-2.0 */
#include "sve.h"

#include "arch_gen.h"
#include "sysreg.h"
#include "trap.h"

bool sve_exists(void)
{
	return FIELD(read_sysreg(id_aa64pfr0_el1), ID_AA64PFR0_EL1_SVE) != 0;
}

/* The length registers of EL1 and EL2 trap, too, so what is to be done with them comes before. */
static void set_trap(u64 trap)
{
	write_sysreg(cptr_el2, (read_sysreg(cptr_el2) & ~CPTR_EL2_TZ) | trap);
	isb();
}

/* At their longest: 2048 bits a vector, an eighth of that a predicate. */
struct vectors {
	u64 z[32 * 32] __attribute__((aligned(16)));
	u64 p[17 * 4];
};

static struct vectors stores[SV_MAX_VCPUS];

/* In SME's streaming mode the registers have another length, and FFR is not there. */
static bool is_streaming(void)
{
	return FIELD(read_sysreg(id_aa64pfr1_el1), ID_AA64PFR1_EL1_SME) &&
	       (read_sysreg(SYS_SVCR) & SVCR_SM);
}

static bool is_zero_from(const u64 *words, u64 first, u64 end)
{
	u64 any = 0;

	for (u64 i = first; i < end; i++)
		any |= words[i];
	return !any;
}

/* Whether z0 to z31, p0 to p15 and FFR hold nothing beyond 128-bit vectors. */
static bool is_short(struct vectors *store)
{
	u64 bytes = sve_store(store->z, store->p);
	u64 words = bytes / sizeof(u64);
	const u8 *predicates = (const u8 *)store->p;
	u64 any = 0;

	for (u64 n = 0; n < 32; n++)
		if (!is_zero_from(store->z + n * words, 2, words))
			return false;
	for (u64 n = 0; n < 17; n++)
		for (u64 i = 2; i < bytes / 8; i++)
			/* NOLINTNEXTLINE(custom-unchecked-index): the vector length is the core's. */
			any |= predicates[n * bytes / 8 + i];
	return !any;
}

static bool is_open(void)
{
	return !(read_sysreg(cptr_el2) & CPTR_EL2_TZ);
}

void sve_close(const struct vcpu *v)
{
	if (!sve_exists() || !is_open() || is_streaming() ||
	    !is_short(&stores[v->index % SV_MAX_VCPUS]))
		return;
	write_sysreg(SYS_ZCR_EL2, 0);
	set_trap(CPTR_EL2_TZ);
}

void sve_open(void)
{
	set_trap(0);
	write_sysreg(SYS_ZCR_EL2, ZCR_EL2_LEN_MASK);
}

enum trap_result trap_sve(struct vcpu *v, u64 esr)
{
	(void)v;
	(void)esr;
	if (!sve_exists())
		return TRAP_UNDEFINED;
	sve_open();
	return TRAP_RETRY;
}
