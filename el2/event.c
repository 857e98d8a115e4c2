/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include "aarch32.h"
#include "answer.h"
#include "guest_state.h"
#include "inject.h"
#include "monitor.h"
#include "ring.h"
#include "step.h"
#include "sysreg.h"

void event_enable(struct vcpu *v, u32 events, u32 synchronous)
{
	__atomic_store_n(&v->synchronous, synchronous, __ATOMIC_RELAXED);
	__atomic_store_n(&v->events, events, __ATOMIC_RELEASE);
}

bool event_enabled(const struct vcpu *v, u32 event)
{
	return __atomic_load_n(&v->events, __ATOMIC_ACQUIRE) & 1U << event;
}

void event_take_up(struct vcpu *v)
{
	bool wanted = debug_routing_wanted(v);

	if (v->debug_routed == wanted)
		return;
	/* While stepping they are routed anyway, and its end goes by what is wanted. */
	if (v->step.mode == STEP_NONE)
		write_sysreg(mdcr_el2, mdcr_value(v));
	__atomic_store_n(&v->debug_routed, wanted, __ATOMIC_RELEASE);
}

static bool waits_for_answer(const struct vcpu *v, u32 event)
{
	return event_enabled(v, event) &&
	       (__atomic_load_n(&v->synchronous, __ATOMIC_RELAXED) & 1U << event);
}

static void fill_registers(const struct vcpu *v, struct sv_record_event *record)
{
	for (u32 i = 0; i < 31; i++)
		record->x[i] = v->frame.x[i];
	record->sp_el0 = read_sysreg(sp_el0);
	record->sp_el1 = read_sysreg(sp_el1);
	record->pstate = step_guest_pstate(v);
	record->ttbr0 = read_sysreg(ttbr0_el1);
	record->ttbr1 = read_sysreg(ttbr1_el1);
	record->tcr = read_sysreg(tcr_el1);
	record->vbar = read_sysreg(vbar_el1);
}

/* Writes one event and, if it is synchronous, waits; the host's action, CONTINUE without one. */
static u32 post(struct vcpu *v, const struct sv_record_event *what)
{
	struct sv_record_event *record;
	u64 sequence = v->sequence;

	v->status->events++;
	record = (struct sv_record_event *)ring_reserve(v, SV_RECORD_EVENT, sizeof(*record));
	if (!record)
		return SV_ANSWER_ACTION_CONTINUE;
	fill_registers(v, record);
	record->record.flags = what->record.flags;
	record->esr = what->esr;
	record->far = what->far;
	record->instruction_address = what->instruction_address;
	record->word = what->word;
	record->event = what->event;
	record->outcome = what->outcome;
	record->waits = waits_for_answer(v, what->event);
	if (!record->waits) {
		ring_publish(v, sizeof(*record));
		return SV_ANSWER_ACTION_CONTINUE;
	}
	ring_publish(v, sizeof(*record));
	return answer_wait(v, sequence);
}

void event_single_step(struct vcpu *v, u32 outcome, u64 address, u32 set, u32 word)
{
	struct sv_record_event what = {
		.instruction_address = address,
		.record.flags = (u8)set,
		.word = word,
		.event = SV_EVENT_SINGLESTEP,
		.outcome = outcome,
	};

	if (outcome == SV_OUTCOME_EXCEPTION) {
		what.esr = read_sysreg(esr_el1);
		what.far = read_sysreg(far_el1);
	}
	switch (post(v, &what)) {
	case SV_ANSWER_ACTION_SKIP:
		skip_instruction(v);
		break;
	case SV_ANSWER_ACTION_DENY:
		inject_undefined(v);
		break;
	default:
		break;
	}
}

u32 event_report(struct vcpu *v, u32 event, u64 address, u64 esr)
{
	struct sv_record_event what = {
		.instruction_address = address,
		.event = event,
		.esr = esr,
		.outcome = SV_OUTCOME_STARTED,
	};
	u32 set = instruction_set(v->frame.pstate);

	if (read_instruction(set, address, &what.word))
		what.record.flags = (u8)set;
	return post(v, &what);
}
