/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include "aarch32.h"
#include "arch_gen.h"
#include "guest_access.h"
#include "guest_memory.h"
#include "memory.h"
#include "program_store.h"
#include "ring.h"
#include "sysreg.h"

#define STRING_CUT (1UL << 63)
#define BUCKETS 64
#define MODE_EL1H 5UL

/* A program at work. */
struct machine {
	struct vcpu *v;
	u32 slot;
	u64 r[SV_PROGRAM_REGISTERS] __attribute__((aligned(16)));
	u64 faulted; /* bit n: register n holds what could not be read */
	u64 faults;  /* bit n: the n-th captured value does */
	u32 values;
	u32 size;
	u64 capture[SV_MAX_CAPTURE / sizeof(u64)];
};

static u64 used;
static u8 starts[PROGRAM_PLACES / 8]; /* bit n: a program begins at place n */

u64 program_store_used(void)
{
	return used;
}

void program_store_keep(u64 first, u32 count)
{
	starts[first / 8 % sizeof(starts)] |= (u8)(1U << first % 8);
	used = first + count;
}

void program_unload_all(void)
{
	used = 0;
	memset(starts, 0, sizeof(starts));
}

bool program_exists(u32 program)
{
	u32 place = program - 1;

	return !program || (place < PROGRAM_PLACES && (starts[place / 8] & 1U << place % 8));
}

static u64 stack_pointer(const struct vcpu *v)
{
	if (is_aarch32(v->frame.pstate))
		return v->frame.x[AARCH32_SP];
	return FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL1H ? read_sysreg(sp_el1) :
								 read_sysreg(sp_el0);
}

static u64 special_value(const struct vcpu *v, u64 number)
{
	switch (number) {
	case SV_GUEST_VALUE_SP:
		return stack_pointer(v);
	case SV_GUEST_VALUE_PC:
		return v->frame.pc;
	case SV_GUEST_VALUE_PSTATE:
		return v->frame.pstate;
	case SV_GUEST_VALUE_SP_EL0:
		return read_sysreg(sp_el0);
	case SV_GUEST_VALUE_TTBR0:
		return read_sysreg(ttbr0_el1);
	case SV_GUEST_VALUE_CONTEXTIDR:
		return read_sysreg(contextidr_el1);
	case SV_GUEST_VALUE_TPIDR_EL0:
		return read_sysreg(tpidr_el0);
	case SV_GUEST_VALUE_VCPU:
		return v->index;
	default:
		return read_sysreg(cntpct_el0);
	}
}

static u64 guest_value(const struct vcpu *v, u64 number)
{
	return number < SV_GUEST_VALUE_SP ? v->frame.x[number] : special_value(v, number);
}

/* NOLINTBEGIN(custom-unchecked-index): program_check.c looked at each register, number and size once, in this copy. */

/* What is computed from a value that could not be read counts as not read, too. */
static void set(struct machine *m, u32 d, u64 value, bool faulted)
{
	m->r[d] = value;
	if (m->faulted | (u64)faulted)
		m->faulted = (m->faulted & ~(1UL << d)) | (u64)faulted << d;
}

static bool is_faulted(const struct machine *m, u32 n)
{
	return m->faulted >> n & 1;
}

static void load(struct machine *m, const struct sv_instruction *i)
{
	u64 value = 0;
	bool fault = is_faulted(m, i->a) ||
		     guest_memory_read(m->r[i->a] + i->immediate, &value, i->b) != i->b;

	if (guest_access_is_big_endian(m->v->frame.pstate, read_sysreg(sctlr_el1)))
		value = guest_access_swap(value, i->b);
	set(m, i->d, fault ? 0 : value, fault);
}

static void note_value(struct machine *m, bool faulted)
{
	if (faulted && m->values < 64)
		m->faults |= 1UL << m->values;
	m->values++;
}

/* Neither of two registers holds what could not be read, in nearly every hit. */
static bool is_either_faulted(const struct machine *m, u32 a, u32 b)
{
	return m->faulted && (is_faulted(m, a) || is_faulted(m, b));
}

static void emit(struct machine *m, u64 value, bool faulted)
{
	m->capture[m->size / sizeof(u64)] = value;
	m->size += sizeof(u64);
	note_value(m, faulted);
}

static u64 string_length(const u8 *text, u64 size)
{
	u64 length = 0;

	while (length < size && text[length])
		length++;
	return length;
}

static void emit_string(struct machine *m, const struct sv_instruction *i)
{
	u64 *header = &m->capture[m->size / sizeof(u64)];
	u8 *text = (u8 *)(header + 1);
	u64 readable = is_faulted(m, i->a) ? 0 : guest_memory_read(m->r[i->a], text, i->target);
	u64 length = string_length(text, readable);
	bool cut = length == readable && readable < i->target;
	u64 padded = (length + 7) & ~7UL;

	memset(text + length, 0, padded - length);
	*header = cut ? length | STRING_CUT : length;
	m->size += (u32)(sizeof(u64) + padded);
	note_value(m, cut);
}

static u64 *counter(const struct vcpu *v, u64 number)
{
	u64 *counters = (u64 *)(region_base() + SV_COUNTERS_OFFSET);

	return &counters[v->index * SV_COUNTERS + number];
}

static u64 *bucket(const struct vcpu *v, u64 number, u64 value)
{
	u64 *buckets = (u64 *)(region_base() + SV_HISTOGRAMS_OFFSET);
	u64 bits = value ? 64 - (u64)__builtin_clzll(value) : 0;

	/* Values with bit 63 set share the last bucket with those of 63 bits. */
	bits = bits < BUCKETS ? bits : BUCKETS - 1;
	return &buckets[(v->index * SV_HISTOGRAMS + number) * BUCKETS + bits];
}

/* What is not computed from registers alone; the rest is in run(). */
static void execute(struct machine *m, const struct sv_instruction *i)
{
	switch (i->opcode) {
	case SV_OPCODE_LOAD:
		load(m, i);
		break;
	case SV_OPCODE_EMIT_STRING:
		emit_string(m, i);
		break;
	case SV_OPCODE_COUNT:
		++*counter(m->v, i->immediate);
		break;
	case SV_OPCODE_COUNT_PROBE:
		++*program_probe_counter(m->v, m->slot);
		break;
	default:
		++*bucket(m->v, i->immediate, m->r[i->a]);
	}
}

/* Runs to the end; whether it accepts. Bounded: every jump goes forward, the last instruction ends it. */
static bool run(struct machine *m, const struct sv_instruction *i)
{
	for (;; i++) {
		u64 a = m->r[i->a];
		u64 b = m->r[i->b];

		switch (i->opcode) {
		case SV_OPCODE_ACCEPT:
			return true;
		case SV_OPCODE_REJECT:
			return false;
		case SV_OPCODE_CONSTANT:
			set(m, i->d, i->immediate, false);
			continue;
		case SV_OPCODE_GUEST:
			set(m, i->d, guest_value(m->v, i->immediate), false);
			continue;
		case SV_OPCODE_EMIT:
			emit(m, a, is_faulted(m, i->a));
			continue;
		case SV_OPCODE_EMIT_GUEST:
			emit(m, guest_value(m->v, i->immediate), false);
			continue;
		case SV_OPCODE_JUMP:
			i += i->target;
			continue;
		case SV_OPCODE_JUMP_IF_ZERO:
			i += a ? 0 : i->target;
			continue;
		case SV_OPCODE_JUMP_COMPARE:
			i += program_jumps(m->v, i) ? i->target : 0;
			continue;
		case SV_OPCODE_ADD:
			a += b;
			break;
		case SV_OPCODE_SUB:
			a -= b;
			break;
		case SV_OPCODE_MUL:
			a *= b;
			break;
		case SV_OPCODE_AND:
			a &= b;
			break;
		case SV_OPCODE_OR:
			a |= b;
			break;
		case SV_OPCODE_XOR:
			a ^= b;
			break;
		case SV_OPCODE_SHL:
			a = b < 64 ? a << b : 0;
			break;
		case SV_OPCODE_SHR:
			a = b < 64 ? a >> b : 0;
			break;
		case SV_OPCODE_SAR:
			a = (u64)((int64_t)a >> (b < 64 ? b : 63));
			break;
		case SV_OPCODE_EQ:
			a = a == b;
			break;
		case SV_OPCODE_NE:
			a = a != b;
			break;
		case SV_OPCODE_LTU:
			a = a < b;
			break;
		case SV_OPCODE_LEU:
			a = a <= b;
			break;
		case SV_OPCODE_LTS:
			a = (int64_t)a < (int64_t)b;
			break;
		case SV_OPCODE_LES:
			a = (int64_t)a <= (int64_t)b;
			break;
		default:
			execute(m, i);
			continue;
		}
		set(m, i->d, a, is_either_faulted(m, i->a, i->b));
	}
}

/* NOLINTEND(custom-unchecked-index) */

static void put_record(struct machine *m)
{
	struct sv_record_capture *record;
	u64 size = sizeof(*record) + m->size;

	if (!m->values) {
		ring_put_hit(m->v, m->slot);
		return;
	}
	record = (struct sv_record_capture *)ring_reserve(m->v, SV_RECORD_CAPTURE, size);
	if (!record)
		return;
	record->record.slot = (u16)m->slot;
	record->faults = m->faults;
	memcpy(record + 1, m->capture, m->size);
	ring_publish(m->v, size);
}

/* Within one page, for the reason in hot.h. */
__attribute__((aligned(2048))) bool program_run(struct vcpu *v, u32 program, u32 slot)
{
	struct machine m;

	/* Not the capture: a kilobyte to clear for every hit. Builtin: a few stores, no loop. */
	m.v = v;
	m.slot = slot;
	m.faulted = 0;
	m.faults = 0;
	m.values = 0;
	m.size = 0;
	__builtin_memset(m.r, 0, sizeof(m.r));
	if (!run(&m, program_store(program - 1)))
		return false;
	put_record(&m);
	return true;
}
