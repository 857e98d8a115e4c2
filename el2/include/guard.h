/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards: traps on load-exclusives, in shadows where a probe comes later in such a sequence.
 *
 * The trap of a probe between a load-exclusive and its store-exclusive costs the reservation. So the sequence is
 * stepped from its load on (exclusive.h), and for that the load has to be heard of.
 */
#ifndef SV_GUARD_H
#define SV_GUARD_H

#include "addr.h"
#include "types.h"
#include "wire_gen.h"

/* The immediate of their SMC or BRK: a private slot that nothing is ever armed in. */
#define GUARD_SLOT (SV_MAX_SLOTS - 1U)

#define PAGE_WORDS (PAGE_SIZE / sizeof(u32))

/* A bit for each instruction of a page. */
struct page_set {
	u64 bits[PAGE_WORDS / 64];
};

static inline void page_set_add(struct page_set *set, u32 index)
{
	set->bits[index % PAGE_WORDS / 64] |= 1UL << index % 64;
}

static inline bool page_set_has(const struct page_set *set, u32 index)
{
	return set->bits[index % PAGE_WORDS / 64] >> index % 64 & 1;
}

/*
 * The load-exclusives of a page from which one of its probed instructions, and from there a store-exclusive,
 * can be reached by direct branches inside the page; false if there are none.
 */
bool guard_find(const u32 *words, const struct page_set *probed, struct page_set *guards);

/* Whether a store-exclusive can be reached from this instruction, likewise. */
bool guard_store_ahead(const u32 *words, u32 index);

#endif
