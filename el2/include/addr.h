/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One C type per address space: mixing a guest virtual address with an intermediate physical one
 * does not compile. Physical addresses equal intermediate physical addresses (stage 2 is an
 * identity map) except for shadows, which is exactly where a mix-up would hurt.
 */
#ifndef SV_ADDR_H
#define SV_ADDR_H

#include "types.h"

#define PAGE_SIZE REG_UL(4096)
#define PAGE_MASK (PAGE_SIZE - 1)
#define BLOCK_SIZE REG_UL(0x200000)
#define GIGABYTE REG_UL(0x40000000)

typedef struct {
	u64 raw;
} ipa_t;

typedef struct {
	u64 raw;
} pa_t;

static inline ipa_t ipa(u64 raw)
{
	return (ipa_t){ raw };
}

static inline pa_t pa(u64 raw)
{
	return (pa_t){ raw };
}

static inline ipa_t ipa_page(ipa_t address)
{
	return ipa(address.raw & ~PAGE_MASK);
}

/* Where a page of the guest lives when nothing shadows it. */
static inline pa_t ipa_identity(ipa_t address)
{
	return pa(address.raw);
}

/* EL2's own map is an identity map, too. */
static inline void *pa_to_pointer(pa_t address)
{
	return (void *)address.raw;
}

static inline pa_t pointer_to_pa(const void *pointer)
{
	return pa((u64)pointer);
}

#endif
