/* SPDX-License-Identifier: Apache-2.0 */
#include "hot.h"

#include "arch_gen.h"
#include "emulate.h"
#include "monitor.h"
#include "program.h"
#include "region.h"
#include "ring.h"
#include "slot.h"
#include "sysreg.h"
#include "tracer.h"
#include "translate.h"

#define INLINE static inline __attribute__((always_inline))

/*
 * Load-acquire and store-release order more than is needed here: what a producer and the slots need is loads
 * before loads and stores before stores. The difference is a full fence where an emulator runs on x86.
 */
INLINE void order_loads(void)
{
	asm volatile("dmb ishld" ::: "memory");
}

INLINE void order_stores(void)
{
	asm volatile("dmb ishst" ::: "memory");
}

/* Something waits to be done at the end of an exit: one test, as each of its own would be a branch. */
INLINE bool is_disturbed(const struct vcpu *v)
{
	u64 any = v->vgic.queued | v->vgic.stashed | v->vgic.asked | v->resume_kind;

	any |= (u64)monitor_is_unprobed | tracer_away_count | v->wanted_stepping;
	return any != 0;
}

/* Where a record of `size` bytes goes, if that is known without asking the host; else NULL. */
INLINE void *room(struct vcpu *v, u64 size)
{
	u64 head = v->ring->head;
	u64 place = head % SV_RING_SIZE;

	if (head + size > v->ring_limit) {
		u64 tail = __atomic_load_n(&v->ring->tail, __ATOMIC_RELAXED);

		order_loads();
		if (head - tail > SV_RING_SIZE)
			return NULL;
		v->ring_limit = tail + SV_RING_SIZE;
	}
	if (head + size > v->ring_limit || place + size > SV_RING_SIZE || v->unreported_loss)
		return NULL;
	return v->ring_data + place;
}

INLINE void fill_header(const struct vcpu *v, struct sv_record *record, u16 type, u16 size,
			u16 slot)
{
	record->type = type;
	record->size = size;
	record->vcpu = (u8)v->index;
	record->flags = 0;
	record->slot = slot;
	record->sequence = v->sequence;
	record->ticks = read_sysreg(cntpct_el0);
	record->pc = v->frame.pc;
}

INLINE void publish(struct vcpu *v, u64 size)
{
	v->sequence++;
	v->status->sequence++;
	order_stores(); /* The record before the index that tells of it. */
	__atomic_store_n(&v->ring->head, v->ring->head + size, __ATOMIC_RELAXED);
}

/* The forms that most function entries have; the others go through emulate(). */
INLINE u64 perform(struct vcpu *v, const struct slot *slot)
{
	u64 pstate = v->frame.pstate;

	if (slot->fast == FAST_MOVE && !(pstate & SPSR_ELx_BTYPE_MASK)) {
		v->frame.x[slot->d] = v->frame.x[slot->m];
		v->frame.pc += INSTRUCTION_SIZE;
		return HOT_PC;
	}
	if (slot->fast == FAST_NOP && !(pstate & SPSR_ELx_BTYPE_MASK)) {
		v->frame.pc += INSTRUCTION_SIZE;
		return HOT_PC;
	}
	if (!emulate(v, slot))
		return HOT_NOT_DONE;
	return v->frame.pstate == pstate ? HOT_PC : HOT_BOTH;
}

INLINE bool guest_debugs(void)
{
	return (read_sysreg(mdscr_el1) & (MDSCR_EL1_SS | MDSCR_EL1_MDE)) != 0;
}

/* With a program: it decides, and writes its own record. */
HOT static u64 hit_with_program(struct vcpu *v, const struct slot *slot, u32 index)
{
	u64 how;

	/* What it captures is the state before the instruction, so a doubtful one cannot come first. */
	if (slot->fast == FAST_NONE)
		return HOT_NOT_DONE;
	if (!program_run(v, slot->program, index))
		v->status->rejected++;
	how = perform(v, slot);
	v->status->hits++;
	v->status->emulated++;
	v->status->exits++;
	return how;
}

INLINE u64 hit(struct vcpu *v, u32 index)
{
	const struct slot *slot = slot_at(index);
	struct sv_record_hit *record;
	u64 how;

	if (!__atomic_load_n(&slot->armed, __ATOMIC_RELAXED))
		return HOT_NOT_DONE;
	order_loads(); /* The rest of the slot after that it is valid. */
	if (slot->va != v->frame.pc || slot->fast == FAST_NEVER)
		return HOT_NOT_DONE;
	if (v->step.mode != STEP_NONE || v->view != SV_VIEW_PROBED || v->tracer ||
	    is_disturbed(v) || guest_debugs())
		return HOT_NOT_DONE;
	if (slot->program)
		return hit_with_program(v, slot, index);
	record = room(v, sizeof(*record));
	if (!record)
		return HOT_NOT_DONE;
	fill_header(v, &record->record, SV_RECORD_HIT, sizeof(*record), (u16)index);
#pragma GCC unroll 6
	for (u32 i = 0; i < SV_HIT_REGISTERS; i++)
		record->x[i] = v->frame.x[i];
	how = perform(v, slot);
	if (how == HOT_NOT_DONE)
		return how;
	publish(v, sizeof(*record));
	v->status->hits++;
	v->status->emulated++;
	v->status->exits++;
	return how;
}

/* Instructions after which more has to be looked at than where they led. */
INLINE bool is_plain(u32 word)
{
	bool changes_system = (word & 0xff200000) == 0xd5000000; /* MSR, SYS, barriers, hints */
	bool leaves_level = (word & 0xff000000) == 0xd4000000 || (word & 0xff800000) == 0xd6800000;

	return word && !changes_system && !leaves_level;
}

/* What may be run next by setting SPSR.SS alone. */
INLINE bool is_simple(u32 word)
{
	bool exclusive = (word & 0x3f800000) == 0x08000000;
	bool sees_interrupts = (word & 0xffdff000) == 0xd518c000;

	return !exclusive && !sees_interrupts;
}

/*
 * Another page of code. EL1's is remembered: what changes its mapping is a TLB invalidation that we step, which takes the
 * general way. User code may be changed by another vCPU at any time.
 */
HOT static bool find_code(struct vcpu *v, u64 pc)
{
	ipa_t address;
	u32 word;

	v->code_page = NO_CODE_PAGE;
	if (!(v->frame.pstate & SPSR_ELx_M_MASK) || !read_guest_instruction(pc, &word, &address))
		return false;
	v->code_page = pc & ~PAGE_MASK;
	v->code = pa_to_pointer(ipa_identity(ipa_page(address)));
	return true;
}

INLINE void fill_event(const struct vcpu *v, struct sv_record_event *record)
{
	fill_header(v, &record->record, SV_RECORD_EVENT, sizeof(*record), 0);
#pragma GCC unroll 31
	for (u32 i = 0; i < 31; i++)
		record->x[i] = v->frame.x[i];
	record->sp_el0 = read_sysreg(sp_el0);
	record->sp_el1 = read_sysreg(sp_el1);
	record->pstate = v->frame.pstate;
	record->ttbr0 = read_sysreg(ttbr0_el1);
	record->ttbr1 = read_sysreg(ttbr1_el1);
	record->tcr = read_sysreg(tcr_el1);
	record->vbar = read_sysreg(vbar_el1);
	record->esr = 0;
	record->far = 0;
	record->instruction_address = v->step.pc;
	record->word = v->step.word;
	record->event = SV_EVENT_SINGLESTEP;
	record->outcome = SV_OUTCOME_STEPPED;
	record->waits = 0;
}

/* The tracer has nothing to decide: not at its end, recording everything, nothing to deliver. */
INLINE bool is_routine(const struct vcpu *v, const struct tracer *tracer)
{
	const struct tracer_config *c = &tracer->config;
	u64 any = tracer->quiet | v->vgic.unsettled | v->step.virtual_serror | v->step.masked |
		  v->step.region | v->step.displaced | v->step.guest_ss | v->step.dirty_pages |
		  (v->step.guest_mdscr & MDSCR_EL1_SS);

	any |= c->limit && tracer->stepped + 1 >= c->limit;
	any |= c->until != SV_UNTIL_NEVER && v->frame.pc == c->until_address;
	any |= !(c->options & SV_STEP_OPTION_EL0) && !(v->frame.pstate & SPSR_ELx_M_MASK);
	any |= v->synchronous & 1U << SV_EVENT_SINGLESTEP;
	return !any;
}

/* Went to the next instruction, or branched anywhere but into the exception vectors. */
INLINE bool arrived(const struct vcpu *v)
{
	u64 offset = v->frame.pc - read_sysreg(vbar_el1);

	return v->frame.pc == v->step.pc + INSTRUCTION_SIZE || offset >= 0x800;
}

INLINE u64 step(struct vcpu *v, u64 esr)
{
	struct tracer *tracer = v->tracer;
	struct sv_record_event *record;
	u64 pc = v->frame.pc;
	u32 next;

	if (v->step.mode != STEP_TRACE || !tracer || (esr & ISS_STEP_EX) || is_disturbed(v) ||
	    !is_routine(v, tracer) || !is_plain(v->step.word) || !arrived(v))
		return HOT_NOT_DONE;
	if ((pc & ~PAGE_MASK) != v->code_page && !find_code(v, pc))
		return HOT_NOT_DONE;
	next = v->code[(pc & PAGE_MASK) / INSTRUCTION_SIZE];
	if (!is_simple(next))
		return HOT_NOT_DONE;
	if (!(tracer->config.options & SV_STEP_OPTION_SILENT)) {
		record = room(v, sizeof(*record));
		if (!record)
			return HOT_NOT_DONE;
		fill_event(v, record);
		publish(v, sizeof(*record));
		v->status->events++;
	}
	tracer->since++;
	tracer->stepped++;
	v->status->trace_steps++;
	v->status->exits++;
	v->step.pc = pc;
	v->step.word = next;
	v->step.late = true;
	v->frame.pstate |= SPSR_ELx_SS;
	return HOT_PSTATE;
}

HOT u64 hot_sync(struct vcpu *v)
{
	u64 esr = read_sysreg(esr_el2);
	u64 class = FIELD(esr, ESR_ELx_EC);

	if (class == EC_SMC64)
		return hit(v, (u32)(esr & ISS_CALL_IMM16_MASK));
	if (class == EC_STEP_LOWER)
		return step(v, esr);
	return HOT_NOT_DONE;
}
