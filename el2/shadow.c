/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow.h"

#include "branch.h"
#include "encodings_gen.h"
#include "guard.h"
#include "hot.h"
#include "lock.h"
#include "memory.h"
#include "monitor.h"
#include "pool.h"
#include "program.h"
#include "ring.h"
#include "slot.h"
#include "stage2.h"
#include "tracer.h"

/* What a pool page is used for when it is a shadow. */
struct shadow {
	ipa_t page;
	u32 first_slot; /* probes in this page, a list through struct slot.next */
	u32 removed;	/* probes that the batch under way takes out of it, likewise */
	u32 next;	/* batch list: shadow number plus one, 0 ends it */
	bool listed;	/* in the batch under way */
	bool fresh;	/* not mapped yet */
	bool user;	/* code at EL0 executes it, too: no SMC serves there */
	bool stale;	/* the guest may have written any word of its page */
	bool guarded;	/* holds guards, too */
};

static struct shadow shadows[POOL_PAGES];
static struct lock lock;

static struct shadow *shadow_of(u32 pool_page)
{
	return &shadows[pool_page % POOL_PAGES];
}

/* Shadows that change together. */
struct batch {
	u32 first;
};

/* The shadow that a list of a batch names. */
static struct shadow *listed(u32 link)
{
	return shadow_of(link - 1);
}

void shadow_init(void)
{
	pool_init();
}

static struct shadow *find_shadow(ipa_t page)
{
	pa_t target;
	u32 index;

	if (!stage2_target(SV_VIEW_PROBED, page, &target) || !pool_index(target, &index))
		return NULL;
	return shadow_of(index);
}

bool shadow_exists(ipa_t page)
{
	return find_shadow(page) != NULL;
}

/*
 * Without the lock: also true between break and make. Either this sees that the page has been broken, or who breaks
 * it now copies what this vCPU has written before.
 */
static bool may_exist(ipa_t page)
{
	pa_t target;
	u32 index;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !stage2_target(SV_VIEW_PROBED, page, &target) || pool_index(target, &index);
}

static u8 *shadow_page(const struct shadow *shadow)
{
	return (u8 *)(region_base() + SV_POOL_OFFSET) + (u64)(shadow - shadows) * PAGE_SIZE;
}

static void copy_page(const struct shadow *shadow)
{
	memcpy(shadow_page(shadow), pa_to_pointer(ipa_identity(shadow->page)), PAGE_SIZE);
}

/* One instruction of the shadow, or the first half of a T32 one, from which a BKPT takes no more. */
static void set_word(const struct shadow *shadow, const struct slot *slot, u32 word)
{
	u8 *place = shadow_page(shadow) + (slot->address.raw & PAGE_MASK);

	if (slot->trap == SV_TRAP_BKPT_T32)
		*(u16 *)place = (u16)word;
	else
		*(u32 *)place = word;
}

static void restore_word(const struct shadow *shadow, const struct slot *slot)
{
	bool half = slot->trap == SV_TRAP_BKPT_T32;

	set_word(shadow, slot, half ? guest_halfword(slot->address) : guest_word(slot->address));
}

/* What is planted for a slot: where code at EL0 executes the page, no SMC. */
static u32 trap_of(const struct shadow *shadow, u32 index)
{
	u32 trap = slot_at(index)->trap;

	return trap == SV_TRAP_SMC && shadow->user ? SV_TRAP_BRK : trap;
}

static bool has_smc(const struct shadow *shadow)
{
	for (u32 i = shadow->first_slot; i; i = slot_at(i)->next)
		if (trap_of(shadow, i) == SV_TRAP_SMC)
			return true;
	return false;
}

/* The short way does not see a sequence that its exits break up, for example one that begins in another page. */
static void note_probed(const u32 *words, struct slot *slot, struct page_set *probed)
{
	u32 index = (u32)(slot->address.raw & PAGE_MASK) / INSTRUCTION_SIZE;

	if (slot->trap != SV_TRAP_SMC && slot->trap != SV_TRAP_BRK)
		return; /* A32 or T32. */
	page_set_add(probed, index);
	if (guard_store_ahead(words, index))
		slot->fast = FAST_NEVER;
}

/* Where a probe lies inside an exclusive sequence, a trap where the sequence begins, of the probe's kind. */
static void plant_guards(struct shadow *shadow)
{
	const u32 *words = pa_to_pointer(ipa_identity(shadow->page));
	u32 trap = planted_instruction(GUARD_SLOT, has_smc(shadow) ? SV_TRAP_SMC : SV_TRAP_BRK);
	struct page_set probed = { 0 }, guards;

	for (u32 i = shadow->first_slot; i; i = slot_at(i)->next)
		note_probed(words, slot_at(i), &probed);
	shadow->guarded = guard_find(words, &probed, &guards);
	for (u32 i = 0; shadow->guarded && i < PAGE_WORDS; i++)
		if (page_set_has(&guards, i))
			((u32 *)shadow_page(shadow))[i] = trap;
}

/* What the shadow holds: the guest's instructions, but for the probes. */
static void fill(struct shadow *shadow)
{
	if (shadow->fresh || shadow->stale || shadow->guarded)
		copy_page(shadow);
	for (u32 i = shadow->removed; i; i = slot_at(i)->next)
		restore_word(shadow, slot_at(i));
	for (u32 i = shadow->first_slot; i; i = slot_at(i)->next)
		set_word(shadow, slot_at(i), planted_instruction(i, trap_of(shadow, i)));
	plant_guards(shadow);
	sync_instructions((u64)shadow_page(shadow), PAGE_SIZE);
}

static void join(struct batch *batch, struct shadow *shadow)
{
	if (shadow->listed)
		return;
	shadow->listed = true;
	shadow->next = batch->first;
	batch->first = (u32)(shadow - shadows) + 1;
}

/* The shadow of `page`, in the batch; a fresh one if need be, NULL without memory for that. */
static struct shadow *batch_shadow(struct batch *batch, ipa_t page)
{
	struct shadow *shadow = find_shadow(page);
	void *memory;
	u32 index;

	if (!shadow && batch->first && listed(batch->first)->page.raw == page.raw)
		return listed(batch->first);
	if (!shadow) {
		memory = pool_alloc();
		if (!memory || !pool_index(pointer_to_pa(memory), &index))
			return NULL;
		shadow = shadow_of(index);
		*shadow = (struct shadow){ .page = page, .fresh = true };
	}
	join(batch, shadow);
	return shadow;
}

/* OPEN always has the guest's own page. */
static const u32 shadowing_views[] = { SV_VIEW_PROBED, SV_VIEW_PRISTINE, VIEW_FETCH };
#define SHADOWING_VIEWS (sizeof(shadowing_views) / sizeof(shadowing_views[0]))

static bool split_views(ipa_t page)
{
	for (u32 i = 0; i < SHADOWING_VIEWS; i++)
		if (!stage2_split(shadowing_views[i], page))
			return false;
	return true;
}

static void map_own(const struct shadow *shadow)
{
	for (u32 i = 0; i < SHADOWING_VIEWS; i++)
		stage2_make(shadowing_views[i], shadow->page, ipa_identity(shadow->page),
			    PAGE_NORMAL);
}

static void map_shadow(const struct shadow *shadow)
{
	pa_t own = ipa_identity(shadow->page), copy = pointer_to_pa(shadow_page(shadow));
	bool smc = has_smc(shadow);

	stage2_make(SV_VIEW_PRISTINE, shadow->page, own, PAGE_READ_EXECUTE);
	stage2_make(SV_VIEW_PROBED, shadow->page, copy, smc ? PAGE_EXECUTE_EL1 : PAGE_EXECUTE);
	stage2_make(VIEW_FETCH, shadow->page, copy,
		    smc ? PAGE_READ_EXECUTE_EL1 : PAGE_READ_EXECUTE);
}

static void break_batch(const struct batch *batch)
{
	for (u32 i = batch->first; i; i = listed(i)->next)
		for (u32 view = 0; view < SHADOWING_VIEWS; view++)
			stage2_break(shadowing_views[view], listed(i)->page);
	stage2_flush();
}

static void leave_batch(struct shadow *shadow)
{
	shadow->listed = false;
	shadow->fresh = false;
	shadow->stale = false;
	shadow->removed = 0;
	if (!shadow->first_slot)
		pool_free(shadow_page(shadow));
}

/*
 * All pages of a batch change over at once: one flush for any number of pages. A page is copied, and a shadow
 * changed, between break and make, when nobody can fetch from the shadow or write to the page unseen.
 */
static void make_batch(struct batch batch)
{
	u32 next;

	for (u32 i = batch.first; i; i = next) {
		struct shadow *shadow = listed(i);

		next = shadow->next;
		if (shadow->first_slot) {
			fill(shadow);
			map_shadow(shadow);
		} else {
			map_own(shadow);
		}
		leave_batch(shadow);
	}
}

static void commit_batch(struct batch batch)
{
	break_batch(&batch);
	make_batch(batch);
}

static u32 check_probe(const struct sv_probe_descriptor *probe)
{
	if (!probe->slot || probe->slot >= SV_MAX_SLOTS)
		return SV_STATUS_BAD_SLOT;
	if (slot_armed(slot_at(probe->slot)))
		return SV_STATUS_ALREADY_ARMED;
	if (probe->trap > SV_TRAP_BKPT_T32)
		return SV_STATUS_BAD_ARGUMENT;
	if ((probe->ipa & (probe->trap == SV_TRAP_BKPT_T32 ? 1 : 3)) ||
	    !guest_ram_holds(probe->ipa, sizeof(u32)))
		return SV_STATUS_BAD_ADDRESS;
	if (!program_exists(probe->program))
		return SV_STATUS_BAD_PROGRAM;
	if (guest_instruction(ipa(probe->ipa), probe->trap, probe->word) != probe->word)
		return SV_STATUS_WORD_CHANGED;
	return SV_STATUS_OK;
}

static bool already_probed(const struct shadow *shadow, u64 address)
{
	for (u32 i = shadow->first_slot; i; i = slot_at(i)->next)
		if (slot_at(i)->address.raw == address)
			return true;
	return false;
}

static enum fast fast_way(const struct slot *slot)
{
	bool move = slot->operation == SV_OPERATION_ORR && slot->operand == SV_OPERAND_WIDE &&
		    slot->n == ZERO_REGISTER && !slot->shift && !slot->shift_type;

	if (slot->plan != SV_PLAN_EMULATE || slot->action != SV_ACTION_RECORD)
		return FAST_NEVER;
	if (slot->operation == SV_OPERATION_NOP)
		return FAST_NOP;
	if (move && hot_is_scratch(slot->d) && hot_is_scratch(slot->m))
		return FAST_MOVE;
	return FAST_NONE;
}

static void fill_slot(struct slot *slot, const struct sv_probe_descriptor *probe)
{
	slot->va = probe->va;
	slot->address = ipa(probe->ipa);
	slot->word = probe->word;
	slot->plan = probe->plan;
	slot->trap = (u8)probe->trap;
	slot->action = (u8)probe->action;
	slot->operand = probe->operand;
	slot->operation = probe->operation;
	slot->d = probe->d;
	slot->n = probe->n;
	slot->m = probe->m;
	slot->a = probe->a;
	slot->shift = probe->shift;
	slot->immediate = probe->immediate;
	slot->shift_type = (u8)probe->shift_type;
	slot->patched = false;
	slot->program = probe->program;
	slot->present = probe->word;
	slot->fast = fast_way(slot);
}

static u32 add_probe(struct batch *batch, const struct sv_probe_descriptor *probe)
{
	ipa_t page = ipa_page(ipa(probe->ipa));
	struct slot *slot = slot_at(probe->slot);
	struct shadow *shadow;
	u32 status = check_probe(probe);

	if (status != SV_STATUS_OK)
		return status;
	shadow = split_views(page) ? batch_shadow(batch, page) : NULL;
	if (!shadow)
		return SV_STATUS_NO_MEMORY;
	if (already_probed(shadow, probe->ipa))
		return SV_STATUS_ALREADY_ARMED;
	fill_slot(slot, probe);
	slot->next = shadow->first_slot;
	shadow->first_slot = probe->slot;
	slot_set_state(slot, SLOT_ADDED);
	control()->probes++;
	return SV_STATUS_OK;
}

static void forget_slot(u32 index)
{
	slot_set_state(slot_at(index), SLOT_FREE);
	control()->probes--;
}

static void unlink_slot(struct shadow *shadow, u32 index)
{
	u32 *link = &shadow->first_slot;

	while (*link && *link != index)
		link = &slot_at(*link)->next;
	if (*link)
		*link = slot_at(index)->next;
}

static void drop_added(struct shadow *shadow)
{
	u32 next;

	for (u32 i = shadow->first_slot; i; i = next) {
		next = slot_at(i)->next;
		if (slot_state(slot_at(i)) != SLOT_ADDED)
			continue;
		unlink_slot(shadow, i);
		forget_slot(i);
	}
}

/* What a refused batch has added goes again. */
static void drop_batch(const struct batch *batch)
{
	for (u32 i = batch->first; i; i = listed(i)->next)
		drop_added(listed(i));
}

/* Before anything of it was broken or mapped: its fresh shadows just go, too. */
static void forget_batch(struct batch batch)
{
	u32 next;

	drop_batch(&batch);
	for (u32 i = batch.first; i; i = next) {
		next = listed(i)->next;
		leave_batch(listed(i));
	}
}

/* The guest may have replaced an instruction for as long as its page was not broken. */
static u32 check_words(const struct sv_probe_descriptor *probes, u32 count, u32 *failed)
{
	for (u32 i = 0; i < count; i++) {
		if (slot_instruction(slot_at(probes[i].slot)) == probes[i].word)
			continue;
		*failed = i;
		return SV_STATUS_WORD_CHANGED;
	}
	return SV_STATUS_OK;
}

static void settle(const struct sv_probe_descriptor *probes, u32 count)
{
	for (u32 i = 0; i < count; i++)
		slot_set_state(slot_at(probes[i].slot), SLOT_ARMED);
}

static u32 add_probes(struct batch *batch, const struct sv_probe_descriptor *probes, u32 count,
		      u32 *failed)
{
	u32 status = SV_STATUS_OK;

	for (u32 i = 0; i < count && status == SV_STATUS_OK; i++) {
		*failed = i;
		/* In order of address, or a page without a shadow would get two. */
		if (i && probes[i].ipa < probes[i - 1].ipa)
			status = SV_STATUS_BAD_ARGUMENT;
		else
			status = add_probe(batch, &probes[i]);
	}
	return status;
}

static u32 settle_batch(struct batch batch, const struct sv_probe_descriptor *probes, u32 count,
			u32 *failed)
{
	u32 status;

	break_batch(&batch);
	status = check_words(probes, count, failed);
	if (status == SV_STATUS_OK)
		settle(probes, count);
	else
		drop_batch(&batch);
	make_batch(batch);
	return status;
}

u32 shadow_arm(const struct sv_probe_descriptor *probes, u32 count, u32 *failed)
{
	struct batch batch = { 0 };
	u32 status;

	lock_take(&lock);
	status = add_probes(&batch, probes, count, failed);
	if (status == SV_STATUS_OK)
		status = settle_batch(batch, probes, count, failed);
	else
		forget_batch(batch);
	lock_release(&lock);
	return status;
}

static void remove_probe(struct batch *batch, u32 index)
{
	struct shadow *shadow = find_shadow(slot_at(index)->address);

	/* Named twice; else an armed probe has a shadow. */
	if (!slot_armed(slot_at(index)) || !shadow)
		return;
	join(batch, shadow);
	unlink_slot(shadow, index);
	forget_slot(index);
	slot_at(index)->next = shadow->removed;
	shadow->removed = index;
}

static u32 check_armed(const struct sv_probe_descriptor *probes, u32 count, u32 *failed)
{
	for (u32 i = 0; i < count; i++) {
		*failed = i;
		if (!probes[i].slot || probes[i].slot >= SV_MAX_SLOTS)
			return SV_STATUS_BAD_SLOT;
		if (!slot_armed(slot_at(probes[i].slot)))
			return SV_STATUS_NOT_ARMED;
	}
	return SV_STATUS_OK;
}

u32 shadow_disarm(const struct sv_probe_descriptor *probes, u32 count, u32 *failed)
{
	struct batch batch = { 0 };
	u32 status;

	lock_take(&lock);
	status = check_armed(probes, count, failed);
	for (u32 i = 0; i < count && status == SV_STATUS_OK; i++)
		remove_probe(&batch, probes[i].slot);
	commit_batch(batch);
	lock_release(&lock);
	return status;
}

void shadow_disarm_all(void)
{
	struct batch batch = { 0 };

	lock_take(&lock);
	for (u32 i = 1; i < SV_MAX_SLOTS && control()->probes; i++)
		if (slot_armed(slot_at(i)))
			remove_probe(&batch, i);
	commit_batch(batch);
	lock_release(&lock);
}

#define CHANGES 16

/* What was planned for the instruction holds again once it is back. */
static void follow(struct slot *slot, u32 word)
{
	slot->patched = true;
	slot->present = word;
	__atomic_store_n(&slot->fast, word == slot->word ? fast_way(slot) : FAST_NEVER,
			 __ATOMIC_RELAXED);
}

/* A tracer waits at a private one for its context, whatever that finds there. */
static bool may_stay(u32 index, u32 word)
{
	const struct slot *slot = slot_at(index);
	bool a64 = slot->trap == SV_TRAP_SMC || slot->trap == SV_TRAP_BRK;

	return is_private_slot(index) || word == slot->word || (a64 && is_patch(word));
}

/* Follows the guest's changes of instructions under probes, as many as fit; how many those were. */
static u32 take_changes(struct shadow *shadow, struct change *changes)
{
	u32 count = 0;
	u32 next;

	for (u32 i = shadow->first_slot; i && count < CHANGES; i = next) {
		struct slot *slot = slot_at(i);
		u32 word = slot_instruction(slot);
		bool kept = may_stay(i, word);

		next = slot->next;
		if (word == slot->present)
			continue;
		changes[count] = (struct change){ slot->va, i, slot->present, word, kept };
		count++;
		follow(slot, word);
		if (!kept) {
			unlink_slot(shadow, i);
			forget_slot(i);
		}
	}
	return count;
}

static u32 refresh(ipa_t page, struct change *changes)
{
	struct batch batch = { 0 };
	struct shadow *shadow;
	u32 count = 0;

	lock_take(&lock);
	shadow = find_shadow(page);
	if (shadow) {
		join(&batch, shadow);
		shadow->stale = true;
		count = take_changes(shadow, changes);
		commit_batch(batch);
	}
	lock_release(&lock);
	return count;
}

void shadow_refresh(struct vcpu *v, ipa_t page)
{
	struct change changes[CHANGES];
	u32 count;

	if (!may_exist(page))
		return;
	do {
		count = refresh(page, changes);
		/* Outside the lock: a full ring makes this vCPU wait for the host. */
		for (u32 i = 0; i < count; i++)
			if (!is_private_slot(changes[i].slot))
				ring_put_changed(v, &changes[i]);
	} while (count == CHANGES);
}

/* What stands in a shadow for a guard. */
static bool is_guarding(u32 planted, u32 own)
{
	bool trap = planted == planted_instruction(GUARD_SLOT, SV_TRAP_SMC) ||
		    planted == planted_instruction(GUARD_SLOT, SV_TRAP_BRK);

	return trap && is_a64_load_exclusive(own);
}

/* Whether its page is not what it is of. Of a word with a T32 probe only the probe's half is looked at. */
static bool is_outdated(const struct shadow *shadow)
{
	const u32 *own = pa_to_pointer(ipa_identity(shadow->page));
	const u32 *copy = (const u32 *)shadow_page(shadow);
	struct page_set planted = { 0 };

	for (u32 i = shadow->first_slot; i; i = slot_at(i)->next) {
		if (slot_instruction(slot_at(i)) != slot_at(i)->present)
			return true;
		page_set_add(&planted, (u32)(slot_at(i)->address.raw & PAGE_MASK) / sizeof(u32));
	}
	for (u32 i = 0; i < PAGE_WORDS; i++)
		if (copy[i] != own[i] && !page_set_has(&planted, i) &&
		    !is_guarding(copy[i], own[i]))
			return true;
	return false;
}

/* The next one from `*index` on; false if there is none. */
static bool find_outdated(u32 *index, ipa_t *page)
{
	bool found = false;

	lock_take(&lock);
	for (; *index < POOL_PAGES && !found; ++*index) {
		const struct shadow *shadow = shadow_of(*index);

		found = shadow->first_slot && is_outdated(shadow);
		*page = shadow->page;
	}
	lock_release(&lock);
	return found;
}

void shadow_refresh_changed(struct vcpu *v)
{
	ipa_t page;

	for (u32 i = 0; find_outdated(&i, &page);)
		shadow_refresh(v, page);
}

u32 shadow_find_probe(ipa_t address)
{
	const struct shadow *shadow;
	u32 found = 0;

	lock_take(&lock);
	shadow = find_shadow(ipa_page(address));
	for (u32 i = shadow ? shadow->first_slot : 0; i && !found; i = slot_at(i)->next)
		if (slot_at(i)->address.raw == address.raw)
			found = i;
	lock_release(&lock);
	return found;
}

bool shadow_is_planted(ipa_t address, u64 size)
{
	u64 offset = address.raw & PAGE_MASK;
	const struct shadow *shadow;
	bool differs = false;

	lock_take(&lock);
	shadow = find_shadow(ipa_page(address));
	for (u64 i = offset; shadow && i < offset + size && i < PAGE_SIZE; i++)
		if (shadow_page(shadow)[i] !=
		    *(const u8 *)pa_to_pointer(ipa_identity(ipa(shadow->page.raw + i))))
			differs = true;
	lock_release(&lock);
	return differs;
}

void shadow_admit_user(ipa_t page)
{
	struct batch batch = { 0 };
	struct shadow *shadow;

	lock_take(&lock);
	shadow = find_shadow(page);
	if (shadow && !shadow->user) {
		shadow->user = true;
		join(&batch, shadow);
		commit_batch(batch);
	}
	lock_release(&lock);
}
