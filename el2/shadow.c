/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow.h"

#include "hot.h"
#include "lock.h"
#include "memory.h"
#include "monitor.h"
#include "pool.h"
#include "program.h"
#include "ring.h"
#include "slot.h"
#include "stage2.h"

/* What a pool page is used for when it is a shadow. */
struct shadow {
	ipa_t page;
	u32 first_slot; /* probes in this page, a list through struct slot.next */
	u32 next;	/* batch list: shadow number plus one, 0 ends it */
	u32 successor; /* while a batch is made: number plus one of the shadow that replaces this one */
};

static struct shadow shadows[POOL_PAGES];
static struct lock lock;

/* Pages whose shadow has to be built anew, and the shadows that take over. */
struct batch {
	u32 first;
};

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
	return &shadows[index];
}

bool shadow_exists(ipa_t page)
{
	return find_shadow(page) != NULL;
}

static u8 *shadow_page(const struct shadow *shadow)
{
	return (u8 *)(region_base() + SV_POOL_OFFSET) + (u64)(shadow - shadows) * PAGE_SIZE;
}

static u32 guest_word(ipa_t address)
{
	return __atomic_load_n((u32 *)pa_to_pointer(ipa_identity(address)), __ATOMIC_RELAXED);
}

static void plant(struct shadow *shadow)
{
	u8 *page = shadow_page(shadow);

	memcpy(page, pa_to_pointer(ipa_identity(shadow->page)), PAGE_SIZE);
	for (u32 i = shadow->first_slot; i; i = slot_at(i)->next)
		*(u32 *)(page + (slot_at(i)->address.raw & PAGE_MASK)) = planted_instruction(i);
	sync_instructions((u64)page, PAGE_SIZE);
}

/* The batch's shadow for `page`, made from the present one at first sight; NULL without memory. */
static struct shadow *batch_shadow(struct batch *batch, ipa_t page)
{
	struct shadow *present, *shadow;
	void *memory;
	u32 index;

	if (batch->first && shadows[batch->first - 1].page.raw == page.raw)
		return &shadows[batch->first - 1];
	present = find_shadow(page);
	if (present && present->successor)
		return &shadows[present->successor - 1];
	memory = pool_alloc();
	if (!memory || !pool_index(pointer_to_pa(memory), &index))
		return NULL;
	shadow = &shadows[index];
	*shadow = (struct shadow){ .page = page, .next = batch->first };
	if (present) {
		shadow->first_slot = present->first_slot;
		present->successor = index + 1;
	}
	batch->first = index + 1;
	return shadow;
}

static bool split_views(ipa_t page)
{
	return stage2_split(SV_VIEW_PROBED, page) && stage2_split(SV_VIEW_PRISTINE, page);
}

static void map_shadow(struct shadow *shadow)
{
	pa_t own = ipa_identity(shadow->page);
	bool empty = shadow->first_slot == 0;

	stage2_make(SV_VIEW_PRISTINE, shadow->page, own, empty ? PAGE_NORMAL : PAGE_READ_EXECUTE);
	if (empty)
		stage2_make(SV_VIEW_PROBED, shadow->page, own, PAGE_NORMAL);
	else
		stage2_make(SV_VIEW_PROBED, shadow->page, pointer_to_pa(shadow_page(shadow)),
			    PAGE_EXECUTE);
}

/* Breaks the old mappings of a batch; `next` then leads through the shadows that go. */
static struct batch break_batch(const struct batch *batch)
{
	struct batch old = { 0 };

	for (u32 i = batch->first; i; i = shadows[i - 1].next) {
		struct shadow *present = find_shadow(shadows[i - 1].page);

		if (present) {
			present->next = old.first;
			old.first = (u32)(present - shadows) + 1;
		}
		stage2_break(SV_VIEW_PROBED, shadows[i - 1].page);
		stage2_break(SV_VIEW_PRISTINE, shadows[i - 1].page);
	}
	stage2_flush();
	return old;
}

static void free_batch(struct batch batch)
{
	u32 next;

	for (u32 i = batch.first; i; i = next) {
		next = shadows[i - 1].next;
		pool_free(shadow_page(&shadows[i - 1]));
	}
}

/* All pages of a batch change over at once: one flush for any number of pages. */
static void commit_batch(struct batch batch)
{
	struct batch old, empty = { 0 };
	u32 next;

	for (u32 i = batch.first; i; i = shadows[i - 1].next)
		plant(&shadows[i - 1]);
	old = break_batch(&batch);
	for (u32 i = batch.first; i; i = next) {
		struct shadow *shadow = &shadows[i - 1];

		next = shadow->next;
		map_shadow(shadow);
		if (!shadow->first_slot) {
			shadow->next = empty.first;
			empty.first = i;
		}
	}
	free_batch(old);
	free_batch(empty);
}

static u32 check_probe(const struct sv_probe_descriptor *probe)
{
	if (!probe->slot || probe->slot >= SV_MAX_SLOTS)
		return SV_STATUS_BAD_SLOT;
	if (slot_armed(slot_at(probe->slot)))
		return SV_STATUS_ALREADY_ARMED;
	if ((probe->ipa & 3) || !guest_ram_holds(probe->ipa, sizeof(u32)))
		return SV_STATUS_BAD_ADDRESS;
	if (!program_exists(probe->program))
		return SV_STATUS_BAD_PROGRAM;
	if (guest_word(ipa(probe->ipa)) != probe->word)
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

static enum fast fast_way(const struct sv_probe_descriptor *probe)
{
	bool move = probe->operation == SV_OPERATION_ORR && probe->operand == SV_OPERAND_WIDE &&
		    probe->n == ZERO_REGISTER && !probe->shift && !probe->shift_type;

	if (probe->plan != SV_PLAN_EMULATE || probe->action != SV_ACTION_RECORD)
		return FAST_NEVER;
	if (probe->operation == SV_OPERATION_NOP)
		return FAST_NOP;
	if (move && hot_is_scratch(probe->d) && hot_is_scratch(probe->m))
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
	slot->shift_type = probe->shift_type;
	slot->program = probe->program;
	slot->fast = fast_way(probe);
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
	slot_set_armed(slot, 1);
	control()->probes++;
	return SV_STATUS_OK;
}

static void forget_slot(u32 index)
{
	slot_set_armed(slot_at(index), 0);
	control()->probes--;
}

/* Nothing of a refused batch has been mapped: its slots and copies just go. */
static void drop_batch(struct batch batch, const struct sv_probe_descriptor *probes, u32 added)
{
	for (u32 i = 0; i < added; i++)
		forget_slot(probes[i].slot);
	for (u32 i = batch.first; i; i = shadows[i - 1].next) {
		struct shadow *present = find_shadow(shadows[i - 1].page);

		if (present)
			present->successor = 0;
	}
	free_batch(batch);
}

u32 shadow_arm(const struct sv_probe_descriptor *probes, u32 count, u32 *failed)
{
	struct batch batch = { 0 };
	u32 status = SV_STATUS_OK;
	u32 i;

	lock_take(&lock);
	for (i = 0; i < count && status == SV_STATUS_OK; i++) {
		/* In order of address, or a page without a shadow would get two. */
		if (i && probes[i].ipa < probes[i - 1].ipa)
			status = SV_STATUS_BAD_ARGUMENT;
		else
			status = add_probe(&batch, &probes[i]);
	}
	if (status == SV_STATUS_OK) {
		commit_batch(batch);
	} else {
		*failed = i - 1;
		drop_batch(batch, probes, i - 1);
	}
	lock_release(&lock);
	return status;
}

static void unlink_slot(struct shadow *shadow, u32 index)
{
	u32 *link = &shadow->first_slot;

	while (*link && *link != index)
		link = &slot_at(*link)->next;
	if (*link)
		*link = slot_at(index)->next;
}

static u32 remove_probe(struct batch *batch, u32 index)
{
	struct shadow *shadow = batch_shadow(batch, ipa_page(slot_at(index)->address));

	if (!shadow)
		return SV_STATUS_NO_MEMORY;
	unlink_slot(shadow, index);
	forget_slot(index);
	return SV_STATUS_OK;
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
		status = remove_probe(&batch, probes[i].slot);
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

/* Takes the slots whose instruction the guest rewrote out of the shadow; a list of them. */
static u32 take_changed(struct shadow *shadow)
{
	u32 changed = 0;
	u32 next;

	for (u32 i = shadow->first_slot; i; i = next) {
		struct slot *slot = slot_at(i);

		next = slot->next;
		if (guest_word(slot->address) == slot->word)
			continue;
		unlink_slot(shadow, i);
		forget_slot(i);
		slot->next = changed;
		changed = i;
	}
	return changed;
}

static void report_changed(struct vcpu *v, u32 changed)
{
	for (u32 i = changed; i; i = slot_at(i)->next) {
		const struct slot *slot = slot_at(i);

		ring_put_changed(v, i, slot->va, slot->word, guest_word(slot->address));
	}
}

void shadow_refresh(struct vcpu *v, ipa_t page)
{
	struct batch batch = { 0 };
	struct shadow *shadow;
	u32 changed = 0;

	lock_take(&lock);
	shadow = shadow_exists(page) ? batch_shadow(&batch, page) : NULL;
	if (shadow) {
		changed = take_changed(shadow);
		commit_batch(batch);
	}
	lock_release(&lock);
	/* Outside the lock: a full ring makes this vCPU wait for the host. */
	report_changed(v, changed);
}
