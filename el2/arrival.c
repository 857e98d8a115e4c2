/* SPDX-License-Identifier: Apache-2.0 */
#include "arrival.h"

#include "branch.h"
#include "sysreg.h"

#define VECTORS_SIZE 0x800UL
#define VECTOR_SIZE 0x80UL

enum arrival arrival_of(const struct vcpu *v)
{
	u64 offset = v->frame.pc - read_sysreg(vbar_el1);
	bool vector = offset < VECTORS_SIZE && offset % VECTOR_SIZE == 0;

	if (branch_may_lead(&v->step, v->frame.pc) && v->step.plan != SV_PLAN_STEP_OTHER)
		return ARRIVED_NEXT;
	if (!vector)
		return v->step.plan == SV_PLAN_STEP_OTHER ? ARRIVED_NEXT : ARRIVED_ELSEWHERE;
	/* Each group of four vectors: synchronous, IRQ, FIQ, SError. */
	return offset / VECTOR_SIZE % 4 ? ARRIVED_ASYNC_VECTOR : ARRIVED_SYNC_VECTOR;
}

void arrival_count(struct vcpu *v, enum arrival arrival)
{
	v->status->steps++;
	if (arrival == ARRIVED_SYNC_VECTOR)
		v->status->steps_to_vector++;
	else if (arrival == ARRIVED_ASYNC_VECTOR)
		v->status->derailed++;
	else if (arrival == ARRIVED_ELSEWHERE)
		v->status->astray++;
}
