/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "branch.h"
#include "encodings_gen.h"
#include "vcpu.h"

/* Instructions of one sequence, on all its paths. */
#define LONGEST 64U
#define NOWHERE PAGE_WORDS

/* What can be reached from a load-exclusive before the sequence ends, the load apart. */
struct reach {
	u32 count;
	u32 at[LONGEST];
	bool closes[LONGEST]; /* a store-exclusive can be reached from here, or is here */
	struct page_set known;
};

static bool ends_sequence(u32 word)
{
	return is_a64_load_exclusive(word) || is_a64_store_exclusive(word) ||
	       is_a64_clear_exclusive(word) || branch_plan(word) > SV_PLAN_STEP_BRANCH_IMMEDIATE;
}

/* Where instruction `index` may lead inside the page, NOWHERE for nothing. */
static void find_successors(const u32 *words, u32 index, u64 *next, u64 *target)
{
	u32 word = words[index % PAGE_WORDS];
	u64 place = (u64)index * INSTRUCTION_SIZE;

	*next = branch_is_certain(word) ? NOWHERE : index + 1;
	/* Before the page's begin is a very large number. */
	*target = branch_target(place, word) / INSTRUCTION_SIZE;
	if (*target >= PAGE_WORDS)
		*target = NOWHERE;
}

static void visit(struct reach *reach, u64 index)
{
	u32 place = reach->count;

	if (index >= PAGE_WORDS || place >= LONGEST || page_set_has(&reach->known, (u32)index))
		return;
	page_set_add(&reach->known, (u32)index);
	reach->at[place] = (u32)index;
	reach->count++;
}

static void follow(const u32 *words, u64 start, struct reach *reach)
{
	u64 next, target;

	*reach = (struct reach){ 0 };
	visit(reach, start);
	for (u32 i = 0; i < reach->count; i++) {
		if (ends_sequence(words[reach->at[i] % PAGE_WORDS]))
			continue;
		find_successors(words, reach->at[i], &next, &target);
		visit(reach, next);
		visit(reach, target);
	}
}

static bool closes_at(const struct reach *reach, u64 index)
{
	for (u32 i = 0; i < reach->count; i++)
		if (reach->at[i] == index)
			return reach->closes[i];
	return false;
}

static bool may_close(const u32 *words, const struct reach *reach, u32 index)
{
	u64 next, target;

	if (is_a64_store_exclusive(words[index % PAGE_WORDS]))
		return true;
	if (ends_sequence(words[index % PAGE_WORDS]))
		return false;
	find_successors(words, index, &next, &target);
	return closes_at(reach, next) || closes_at(reach, target);
}

static void mark_closing(const u32 *words, struct reach *reach)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (u32 i = 0; i < reach->count; i++) {
			if (reach->closes[i] || !may_close(words, reach, reach->at[i]))
				continue;
			reach->closes[i] = true;
			changed = true;
		}
	}
}

static bool needs_guard(const u32 *words, const struct page_set *probed, u32 load)
{
	struct reach reach;
	bool any = false;

	follow(words, load + 1UL, &reach);
	for (u32 i = 0; i < reach.count; i++)
		any |= page_set_has(probed, reach.at[i]);
	if (!any)
		return false;
	mark_closing(words, &reach);
	for (u32 i = 0; i < reach.count; i++)
		if (reach.closes[i] && page_set_has(probed, reach.at[i]))
			return true;
	return false;
}

bool guard_store_ahead(const u32 *words, u32 index)
{
	struct reach reach;

	follow(words, index, &reach);
	for (u32 i = 0; i < reach.count; i++)
		if (is_a64_store_exclusive(words[reach.at[i] % PAGE_WORDS]))
			return true;
	return false;
}

bool guard_find(const u32 *words, const struct page_set *probed, struct page_set *guards)
{
	bool any = false;

	*guards = (struct page_set){ 0 };
	for (u32 i = 0; i < PAGE_WORDS; i++) {
		/* The probe of a load-exclusive does as well. */
		if (!is_a64_load_exclusive(words[i]) || page_set_has(probed, i) ||
		    !needs_guard(words, probed, i))
			continue;
		page_set_add(guards, i);
		any = true;
	}
	return any;
}
