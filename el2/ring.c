/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include "host.h"
#include "monitor.h"
#include "sysreg.h"

/* The first touch of a page costs the emulator's host a page fault, longer than the record that causes it. */
void ring_prepare(struct vcpu *v)
{
	for (u64 offset = 0; offset < SV_RING_SIZE; offset += PAGE_SIZE)
		*(volatile u64 *)(v->ring_data + offset) = 0;
}

static u64 ring_head(const struct vcpu *v)
{
	return v->ring->head; /* Only this vCPU writes it. */
}

/* The host's consumption. A tail that makes no sense counts as a full ring, never as room. */
static u64 ring_room(const struct vcpu *v)
{
	u64 used = ring_head(v) - __atomic_load_n(&v->ring->tail, __ATOMIC_ACQUIRE);

	return used > SV_RING_SIZE ? 0 : SV_RING_SIZE - used;
}

static u64 bytes_to_end(const struct vcpu *v)
{
	return SV_RING_SIZE - ring_head(v) % SV_RING_SIZE;
}

void ring_publish(struct vcpu *v, u64 size)
{
	__atomic_store_n(&v->ring->head, ring_head(v) + size, __ATOMIC_RELEASE);
}

static u8 *position(const struct vcpu *v)
{
	return v->ring_data + ring_head(v) % SV_RING_SIZE;
}

/* What a record needs: itself, and the rest of the ring when it would straddle the end. */
static u64 room_needed(const struct vcpu *v, u64 size)
{
	return bytes_to_end(v) < size ? bytes_to_end(v) + size : size;
}

/* Waits for the host, or gives up: when it is gone, or when the user chose to drop. */
static bool wait_for_room(struct vcpu *v, u64 size)
{
	u64 start;
	bool room;

	if (ring_room(v) >= room_needed(v, size))
		return true;
	start = read_sysreg(cntpct_el0);
	while (!(room = ring_room(v) >= room_needed(v, size)))
		if (monitor_flag(SV_FLAG_DROP_WHEN_FULL) || !host_wait(v, start))
			break;
	host_wait_end(v);
	v->status->blocked_ticks += read_sysreg(cntpct_el0) - start;
	return room;
}

/* Skips to the start of the ring when the record would straddle its end. */
static void pad(struct vcpu *v, u64 size)
{
	u64 rest = bytes_to_end(v);

	if (rest >= size)
		return;
	/* A rest smaller than a header is recognised by the host from the position alone. */
	if (rest >= sizeof(struct sv_record))
		*(struct sv_record *)position(v) = (struct sv_record){ .type = SV_RECORD_PAD };
	ring_publish(v, rest);
}

static void fill_header(struct vcpu *v, struct sv_record *record, u16 type, u64 size)
{
	record->type = type;
	record->size = (u16)size;
	record->vcpu = (u8)v->index;
	record->flags = 0;
	record->slot = 0;
	record->sequence = v->sequence;
	record->ticks = read_sysreg(cntpct_el0);
	record->pc = v->frame.pc;
}

static void put_lost(struct vcpu *v)
{
	struct sv_record_lost *record;

	pad(v, sizeof(*record));
	record = (struct sv_record_lost *)position(v);
	fill_header(v, &record->record, SV_RECORD_LOST, sizeof(*record));
	record->lost = v->unreported_loss;
	v->unreported_loss = 0;
	ring_publish(v, sizeof(*record));
}

/* Loss is reported before the next record that finds room. */
struct sv_record *ring_reserve(struct vcpu *v, u16 type, u64 size)
{
	u64 extra = v->unreported_loss ? 2 * sizeof(struct sv_record_lost) : 0;
	struct sv_record *record;

	v->status->sequence++;
	if (!wait_for_room(v, size + extra)) {
		v->unreported_loss++;
		v->status->lost++;
		v->sequence++;
		return NULL;
	}
	if (v->unreported_loss)
		put_lost(v);
	pad(v, size);
	record = (struct sv_record *)position(v);
	fill_header(v, record, type, size);
	v->sequence++;
	return record;
}

void ring_put_hit(struct vcpu *v, u32 slot)
{
	struct sv_record_hit *hit;

	hit = (struct sv_record_hit *)ring_reserve(v, SV_RECORD_HIT, sizeof(*hit));
	if (!hit)
		return;
	hit->record.slot = (u16)slot;
	for (u32 i = 0; i < SV_HIT_REGISTERS; i++)
		hit->x[i] = v->frame.x[i];
	ring_publish(v, sizeof(*hit));
}

void ring_put_changed(struct vcpu *v, const struct change *change)
{
	struct sv_record_changed *changed;

	changed = (struct sv_record_changed *)ring_reserve(v, SV_RECORD_PROBE_CHANGED,
							   sizeof(*changed));
	if (!changed)
		return;
	changed->record.slot = (u16)change->slot;
	changed->record.flags = change->kept ? SV_CHANGE_KEPT : 0;
	changed->record.pc = change->va;
	changed->old = change->old;
	changed->new = change->new;
	ring_publish(v, sizeof(*changed));
}
