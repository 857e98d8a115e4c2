/* SPDX-License-Identifier: Apache-2.0 */
/* What a program must be to be loaded. */
#include "memory.h"
#include "monitor.h"
#include "program.h"
#include "program_store.h"

#define STRING_HEADER 8UL
#define LONGEST_STRING 512U

static u64 rounded(u64 size)
{
	return (size + 7) & ~7UL;
}

static bool is_memory_size(u32 size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool is_comparison(const struct sv_instruction *i)
{
	return i->d < ZERO_REGISTER && i->a < 2 * SV_RELATION_LESS && i->b < 2 * SV_COMPARISON_WORD;
}

static bool registers_exist(const struct sv_instruction *i)
{
	if (i->opcode == SV_OPCODE_JUMP_COMPARE)
		return is_comparison(i);
	/* LOAD keeps its size where others name a register. */
	return i->d < SV_PROGRAM_REGISTERS && i->a < SV_PROGRAM_REGISTERS &&
	       i->b < SV_PROGRAM_REGISTERS;
}

static bool operands_are_right(const struct sv_instruction *i, u32 left)
{
	switch (i->opcode) {
	case SV_OPCODE_GUEST:
	case SV_OPCODE_EMIT_GUEST:
		return i->immediate <= SV_GUEST_VALUE_TICKS;
	case SV_OPCODE_JUMP:
	case SV_OPCODE_JUMP_IF_ZERO:
	case SV_OPCODE_JUMP_COMPARE:
		return i->target < left;
	case SV_OPCODE_LOAD:
		return is_memory_size(i->b);
	case SV_OPCODE_EMIT_STRING:
		return i->target <= LONGEST_STRING;
	case SV_OPCODE_COUNT:
		return i->immediate < SV_COUNTERS;
	case SV_OPCODE_HISTOGRAM:
		return i->immediate < SV_HISTOGRAMS;
	default:
		return i->opcode <= SV_OPCODE_JUMP_COMPARE;
	}
}

/* Bytes that an instruction may add to the record. */
static u64 captured(const struct sv_instruction *i)
{
	if (i->opcode == SV_OPCODE_EMIT || i->opcode == SV_OPCODE_EMIT_GUEST)
		return sizeof(u64);
	return i->opcode == SV_OPCODE_EMIT_STRING ? STRING_HEADER + rounded(i->target) : 0;
}

static bool is_end(const struct sv_instruction *i)
{
	return i->opcode == SV_OPCODE_ACCEPT || i->opcode == SV_OPCODE_REJECT;
}

/* `left`: instructions after this one. The last one must end the program. */
static bool is_right(const struct sv_instruction *code, u32 count)
{
	u64 size = 0;

	if (!count || count > SV_MAX_PROGRAM || !is_end(&code[count - 1]))
		return false;
	for (u32 n = 0; n < count; n++) {
		if (!registers_exist(&code[n]) || !operands_are_right(&code[n], count - n - 1))
			return false;
		size += captured(&code[n]);
	}
	return size <= SV_MAX_CAPTURE;
}

u32 program_load(const struct sv_instruction *code, u32 count, u64 first)
{
	if (first != program_store_used() || count > PROGRAM_PLACES - first)
		return SV_STATUS_NO_MEMORY;
	/* The check is on the copy that will run: the host cannot change it afterwards. */
	memcpy(program_store(first), code, count * sizeof(*code));
	if (!is_right(program_store(first), count))
		return SV_STATUS_BAD_PROGRAM;
	program_store_keep(first, count);
	return SV_STATUS_OK;
}
