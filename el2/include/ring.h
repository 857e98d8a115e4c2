/* SPDX-License-Identifier: Apache-2.0 */
/* Records for the host: one ring per vCPU, layout and rules in spec/wire.toml. */
#ifndef SV_RING_H
#define SV_RING_H

#include "types.h"
#include "vcpu.h"

/* Makes the ring's memory ready, once, before its first record. */
void ring_prepare(struct vcpu *v);

/* Room for one record, header filled; NULL when it is lost. `size` bytes are to be filled and published. */
struct sv_record *ring_reserve(struct vcpu *v, u16 type, u64 size);
void ring_publish(struct vcpu *v, u64 size);

/* A probe hit with the guest's registers as they are now. */
void ring_put_hit(struct vcpu *v, u32 slot);

/* The guest rewrote an instruction under a probe. */
struct change {
	u64 va;
	u32 slot;
	u32 old;
	u32 new;
	bool kept; /* the probe stays */
};

void ring_put_changed(struct vcpu *v, const struct change *change);

#endif
