/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's state says of a data access that the monitor is about to perform for it. Everything that is not
 * plain is left to the hardware, or, where there is no hardware behind the address, performed as it is asked for.
 */
#ifndef SV_GUEST_ACCESS_H
#define SV_GUEST_ACCESS_H

#include "arch_gen.h"
#include "sysreg.h"
#include "types.h"

static inline bool guest_access_at_el0(u64 pstate)
{
	return FIELD(pstate, SPSR_ELx_M) == 0;
}

/* Whether the guest's data accesses at its level are big-endian now. */
static inline bool guest_access_is_big_endian(u64 pstate, u64 sctlr)
{
	if (pstate & SPSR_ELx_nRW)
		return pstate & SPSR_AARCH32_E;
	return sctlr & (guest_access_at_el0(pstate) ? SCTLR_EL1_E0E : SCTLR_EL1_EE);
}

/*
 * Whether the access may be performed by reading or writing memory as EL2 sees it: aligned, translated and
 * cached (else other rules for alignment and ordering hold), little-endian, without a look at allocation
 * tags, and not by AArch32 code, whose registers and program counter obey rules of their own.
 */
static inline bool guest_access_is_plain(u64 pstate, u64 address, u64 size)
{
	u64 sctlr = read_sysreg(sctlr_el1);
	u64 tags = guest_access_at_el0(pstate) ? SCTLR_EL1_TCF0_MASK : SCTLR_EL1_TCF_MASK;

	return address % size == 0 && (sctlr & SCTLR_EL1_M) && (sctlr & SCTLR_EL1_C) &&
	       !(sctlr & tags) && !(pstate & SPSR_ELx_nRW) &&
	       !guest_access_is_big_endian(pstate, sctlr);
}

/* A value of `size` bytes with the order of its bytes turned round. */
static inline u64 guest_access_swap(u64 value, u64 size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

#endif
