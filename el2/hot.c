/* SPDX-License-Identifier: Apache-2.0 */
#include "hot.h"

#include "arch_gen.h"
#include "emulate.h"
#include "monitor.h"
#include "program.h"
#include "program_store.h"
#include "ring.h"
#include "slot.h"
#include "sysreg.h"
#include "tracer.h"
#include "translate.h"

#define SP_SELECTED 1UL /* PSTATE.SP */

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
INLINE u64 disturbance(const struct vcpu *v)
{
	u64 any = v->vgic.queued | v->vgic.stashed | v->vgic.asked | v->resume_kind;

	any |= (u64)monitor_is_unprobed | tracer_away_count | v->wanted_stepping;
	return any;
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

typedef u64 __attribute__((may_alias)) record_word;

#define SHIFT_OF(member) (8 * offsetof(struct sv_record, member))

INLINE void fill_header(const struct vcpu *v, struct sv_record *record, u64 type, u64 size,
			u64 slot, u64 pc)
{
	record_word *words = (record_word *)record;

	_Static_assert(sizeof(*record) == 4 * sizeof(*words), "the header is four words");
	words[0] = type << SHIFT_OF(type) | size << SHIFT_OF(size) | v->index << SHIFT_OF(vcpu) |
		   slot << SHIFT_OF(slot);
	words[1] = v->sequence;
	words[2] = read_sysreg(cntpct_el0);
	words[3] = pc;
}

INLINE void publish(struct vcpu *v, u64 size)
{
	v->status->sequence = ++v->sequence;
	order_stores(); /* The record before the index that tells of it. */
	__atomic_store_n(&v->ring->head, v->ring->head + size, __ATOMIC_RELAXED);
}

INLINE void fill_hit(const struct vcpu *v, struct sv_record_hit *record, u64 index, u64 pc)
{
	fill_header(v, &record->record, SV_RECORD_HIT, sizeof(*record), index, pc);
#pragma GCC unroll 6
	for (u32 i = 0; i < SV_HIT_REGISTERS; i++)
		record->x[i] = v->frame.x[i];
}

/* The record of a hit that was recorded, NULL for one that a program rejected; what else counts it, or NULL. */
INLINE void conclude(struct vcpu *v, const struct sv_record_hit *record, u64 *counter)
{
	if (record)
		publish(v, sizeof(*record));
	else
		v->status->rejected++;
	if (counter)
		++*counter;
	v->status->fast_hits++;
}

/* The forms that most function entries have, read out of the slot. They cannot fail. */
struct form {
	bool move;
	u8 d, m;
};

INLINE struct form form_of(const struct slot *slot, u32 fast)
{
	return (struct form){ fast == FAST_MOVE, slot->d, slot->m };
}

INLINE struct hot_way perform(struct vcpu *v, struct form form, u64 pc, u64 pstate)
{
	bool landed = pstate & SPSR_ELx_BTYPE_MASK;

	if (form.move)
		/* NOLINTNEXTLINE(custom-unchecked-index): they are scratch registers, or the way would be another. */
		v->frame.x[form.d] = v->frame.x[form.m];
	return (struct hot_way){ landed ? HOT_LANDED : HOT_PC, pc + INSTRUCTION_SIZE };
}

/* Where a program that begins with comparisons has got to after those that need no more than scratch registers. */
INLINE const struct sv_instruction *decide(const struct vcpu *v, u32 program)
{
	const struct sv_instruction *i = program_store(program - 1);

	while (i->opcode == SV_OPCODE_JUMP_COMPARE && hot_is_scratch(i->d))
		i += 1 + (program_jumps(v, i) ? i->target : 0);
	return i;
}

/* It counts the hit and ends: frequent where every function of a kernel is counted. */
INLINE bool is_count(const struct sv_instruction *i)
{
	return i[0].opcode == SV_OPCODE_COUNT_PROBE && i[1].opcode == SV_OPCODE_REJECT;
}

/* ACCEPT or REJECT, or what else is left to do; `*count` if a REJECT is to be counted. */
INLINE u32 decision(const struct vcpu *v, const struct slot *slot, bool *count)
{
	const struct sv_instruction *i;
	/* Read once: none must not become one, or one none, before the second look at the slot. */
	u32 program = __atomic_load_n(&slot->program, __ATOMIC_RELAXED);

	*count = false;
	if (!program)
		return SV_OPCODE_ACCEPT;
	i = decide(v, program);
	*count = is_count(i);
	return *count ? SV_OPCODE_REJECT : i->opcode;
}

HOT struct hot_way hot_hit(struct vcpu *v, u64 pc, u64 pstate, u64 esr)
{
	u64 index = esr & ISS_CALL_IMM16_MASK;
	const struct slot *slot = slot_at((u32)index);
	u32 life = __atomic_load_n(&slot->life, __ATOMIC_RELAXED);
	struct sv_record_hit *record = NULL;
	struct form form;
	u32 decided;
	bool count;
	u32 fast;
	u64 busy;

	busy = !(life & SLOT_STATE_MASK);
	order_loads(); /* The rest of the slot after that it is valid. */
	/* Read once: the guest may be replacing the instruction. */
	fast = __atomic_load_n(&slot->fast, __ATOMIC_RELAXED);
	busy |= slot->va ^ pc;
	busy |= disturbance(v) | v->step.mode | (v->view ^ SV_VIEW_PROBED) | (u64)v->tracer;
	busy |= pstate & SPSR_ELx_SS; /* The guest steps itself. */
	if (busy || fast == FAST_NEVER)
		return (struct hot_way){ HOT_GENERAL, 0 };
	decided = decision(v, slot, &count);
	if (fast == FAST_NONE || decided > SV_OPCODE_REJECT)
		return (struct hot_way){ HOT_WITH_ALL, 0 };
	if (decided == SV_OPCODE_ACCEPT) {
		record = room(v, sizeof(*record));
		if (!record)
			return (struct hot_way){ HOT_GENERAL, 0 };
		fill_hit(v, record, index, pc);
	}
	form = form_of(slot, fast);
	order_loads(); /* All that was read of the slot before this second look: it may have become another probe's. */
	if (__atomic_load_n(&slot->life, __ATOMIC_RELAXED) != life)
		return (struct hot_way){ HOT_GENERAL, 0 };
	conclude(v, record, count ? program_probe_counter(v, index) : NULL);
	return perform(v, form, pc, pstate);
}

static bool is_debugging(void)
{
	return (read_sysreg(mdscr_el1) & (MDSCR_EL1_SS | MDSCR_EL1_MDE)) != 0;
}

/*
 * An instruction that may turn out to need a step: a record is published, and a rejection counted, only after it has
 * been performed. A program that does more than decide has no way back.
 */
static struct hot_way hit_emulated(struct vcpu *v, const struct slot *slot, u32 index)
{
	bool count;
	u32 decided = decision(v, slot, &count);
	struct sv_record_hit *record = NULL;
	u64 pstate = v->frame.pstate;

	/* A load may meet a watchpoint of the guest's, and a branch whatever the guest's step has to do with it. */
	if (decided > SV_OPCODE_REJECT || is_debugging())
		return (struct hot_way){ HOT_GENERAL, 0 };
	if (decided == SV_OPCODE_ACCEPT) {
		record = room(v, sizeof(*record));
		if (!record)
			return (struct hot_way){ HOT_GENERAL, 0 };
		fill_hit(v, record, index, v->frame.pc);
	}
	if (!emulate(v, slot))
		return (struct hot_way){ HOT_GENERAL, 0 };
	conclude(v, record, count ? program_probe_counter(v, index) : NULL);
	return (struct hot_way){ v->frame.pstate == pstate ? HOT_PC : HOT_FRAME, v->frame.pc };
}

/* A program that does more than decide writes its own record. */
struct hot_way hot_hit_with_all(struct vcpu *v)
{
	u32 index = (u32)(read_sysreg(esr_el2) & ISS_CALL_IMM16_MASK);
	struct slot slot;

	if (!slot_take(index, &slot) || slot.va != v->frame.pc || slot.fast == FAST_NEVER)
		return (struct hot_way){ HOT_GENERAL, 0 };
	if (slot.fast == FAST_NONE)
		return hit_emulated(v, &slot, index);
	if (!program_run(v, slot.program, index))
		v->status->rejected++;
	v->status->fast_hits++;
	if (perform(v, form_of(&slot, slot.fast), v->frame.pc, v->frame.pstate).how == HOT_LANDED)
		v->frame.pstate &= ~SPSR_ELx_BTYPE_MASK;
	v->frame.pc += INSTRUCTION_SIZE;
	return (struct hot_way){ HOT_FRAME, 0 };
}

/* NOP, BTI, and the pointer authentication of x30: hints that neither wait nor trap, and change no other register. */
INLINE bool is_quiet_hint(u32 word)
{
	u32 number = word >> 5 & 0x7f;
	u64 quiet = 1UL << 0 | 1UL << 7 | 0xffUL << 24 | 0x55UL << 32;

	return (word & 0xfffff01f) == 0xd503201f && number < 64 && (quiet >> number & 1);
}

/* Instructions after which more has to be looked at than where they led. A read of a register is none. */
INLINE bool is_plain(u32 word)
{
	bool system = (word & 0xff200000) == 0xd5000000 && !is_quiet_hint(word);
	bool leaves_level = (word & 0xff000000) == 0xd4000000 || (word & 0xff800000) == 0xd6800000;

	return word && !system && !leaves_level;
}

/* What may be run next by setting SPSR.SS alone. */
INLINE bool is_simple(u32 word)
{
	bool exclusive = (word & 0x3f800000) == 0x08000000;
	bool sees_interrupts = (word & 0xffdff000) == 0xd518c000;

	return !exclusive && !sees_interrupts;
}

/* Results in registers that no field of the word names: RCWCASP, LD64B. CASP is not simple. */
INLINE bool has_hidden_results(u32 word)
{
	return (word & 0xbf20fc00) == 0x19200c00 || (word & 0xffe0fc00) == 0xf820d000;
}

/*
 * Another page of code. EL1's is remembered: what changes its mapping is a TLB invalidation that we step, which takes the
 * general way. User code may be changed by another vCPU at any time.
 */
static bool find_code(struct vcpu *v, u64 pc)
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
	fill_header(v, &record->record, SV_RECORD_EVENT, sizeof(*record), 0, v->frame.pc);
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

INLINE u64 selected_sp(u64 pstate)
{
	return pstate & SP_SELECTED ? read_sysreg(sp_el1) : read_sysreg(sp_el0);
}

INLINE void fill_step(const struct vcpu *v, struct sv_record_step *record, u64 pc, u64 pstate)
{
	const u64 *x = v->frame.x; /* Of 31 any value will do. */
	u32 word = v->step.word;

	fill_header(v, &record->record, SV_RECORD_STEP, sizeof(*record), 0, pc);
	record->instruction_address = v->step.pc;
	record->word = word;
	record->pstate = pstate;
	record->sp = selected_sp(pstate);
	record->x30 = x[30];
	record->x[0] = x[word & 31];
	record->x[1] = x[word >> 5 & 31];
	record->x[2] = x[word >> 10 & 31];
	record->x[3] = x[word >> 16 & 31];
}

/* What changes while a step is under way, or with the number of steps. */
INLINE u64 dueness(const struct vcpu *v, const struct tracer *tracer, u64 pc)
{
	u64 any = v->vgic.unsettled | v->step.virtual_serror | v->step.dirty_pages;

	any |= (u64)(tracer->stepped + 1 >= tracer->last) | (u64)(pc == tracer->end_pc);
	return any | (v->synchronous & 1U << SV_EVENT_SINGLESTEP);
}

/* Went to the next instruction, or branched anywhere but into the exception vectors. */
INLINE bool arrived(const struct vcpu *v, u64 pc)
{
	return pc == v->step.pc + INSTRUCTION_SIZE || pc - read_sysreg(vbar_el1) >= 0x800;
}

/* The step went where it can be told at once. */
INLINE bool is_ordinary(const struct vcpu *v, u64 pc, u64 esr)
{
	return v->step.routine &&
	       !((esr & ISS_STEP_EX) | disturbance(v) | dueness(v, v->tracer, pc)) &&
	       is_plain(v->step.word) && arrived(v, pc);
}

INLINE bool is_silent(const struct vcpu *v)
{
	return v->tracer->config.options & SV_STEP_OPTION_SILENT;
}

/* The next one is taken by setting SPSR.SS alone. */
INLINE struct hot_way step_on(struct vcpu *v, u64 pc, u64 pstate, u32 next)
{
	v->tracer->stepped++;
	v->status->fast_steps++;
	v->step.pc = pc;
	v->step.word = next;
	v->step.late = true;
	return (struct hot_way){ HOT_PSTATE, pstate | SPSR_ELx_SS };
}

HOT struct hot_way hot_step(struct vcpu *v, u64 pc, u64 pstate, u64 esr)
{
	struct sv_record_step *record;
	u32 next;

	if (!is_ordinary(v, pc, esr))
		return (struct hot_way){ HOT_GENERAL, 0 };
	if ((pc & ~PAGE_MASK) != v->code_page || !v->step.compact ||
	    has_hidden_results(v->step.word))
		return (struct hot_way){ HOT_WITH_ALL, 0 };
	next = v->code[(pc & PAGE_MASK) / INSTRUCTION_SIZE];
	if (!is_simple(next))
		return (struct hot_way){ HOT_GENERAL, 0 };
	if (!is_silent(v)) {
		record = room(v, sizeof(*record));
		if (!record)
			return (struct hot_way){ HOT_GENERAL, 0 };
		fill_step(v, record, pc, pstate);
		publish(v, sizeof(*record));
	}
	return step_on(v, pc, pstate, next);
}

static bool record_event(struct vcpu *v)
{
	struct sv_record_event *record = room(v, sizeof(*record));

	if (!record)
		return false;
	fill_event(v, record);
	publish(v, sizeof(*record));
	return true;
}

/* In another page of code, or with all registers in the record. */
struct hot_way hot_step_with_all(struct vcpu *v)
{
	u64 pc = v->frame.pc;
	u32 next;

	if ((pc & ~PAGE_MASK) != v->code_page && !find_code(v, pc))
		return (struct hot_way){ HOT_GENERAL, 0 };
	next = v->code[(pc & PAGE_MASK) / INSTRUCTION_SIZE];
	if (!is_simple(next) || (!is_silent(v) && !record_event(v)))
		return (struct hot_way){ HOT_GENERAL, 0 };
	v->step.compact = true;
	return step_on(v, pc, v->frame.pstate, next);
}
