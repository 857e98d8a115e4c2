/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs: what a hit decides and captures, run by the monitor.
 *
 * A small register machine without loops: jumps go forward only, so a program of n instructions runs at
 * most n of them, and the longest is bounded. Everything is checked when a program is loaded, nothing but
 * guest memory can fail when it runs, and a fault there is a value in the record.
 */
#ifndef SV_PROGRAM_H
#define SV_PROGRAM_H

#include "monitor.h"
#include "types.h"
#include "vcpu.h"

/* Checks `count` instructions and puts them at place `first`; SV_STATUS_*. */
u32 program_load(const struct sv_instruction *code, u32 count, u64 first);

/* Forgets all programs; no armed probe may use one. */
void program_unload_all(void);

/* Whether a probe may name this program (its first instruction's number plus one, or 0). */
bool program_exists(u32 program);

/* Whether a JUMP_COMPARE leads to its target: without branches, as it decides over most hits. */
static inline bool program_jumps(const struct vcpu *v, const struct sv_instruction *i)
{
	/* NOLINTNEXTLINE(custom-unchecked-index): program_check.c looked at `d`. */
	u64 left = v->frame.x[i->d] << (i->b & SV_COMPARISON_WORD ? 32 : 0);
	u64 right = i->immediate;
	u32 holds = left == right ? SV_RELATION_EQUAL : 0;

	holds |= left < right ? SV_RELATION_BELOW : 0;
	holds |= (int64_t)left < (int64_t)right ? SV_RELATION_LESS : 0;
	return ((holds & i->a) != 0) != (i->b & SV_COMPARISON_INVERTED);
}

/* What COUNT_PROBE counts up. */
static inline u64 *program_probe_counter(const struct vcpu *v, u64 slot)
{
	u64 *counters = (u64 *)(region_base() + SV_PROBE_COUNTERS_OFFSET);

	return &counters[(v->index * SV_MAX_SLOTS + slot) % (SV_MAX_VCPUS * SV_MAX_SLOTS)];
}

/* Runs a program for a hit and writes its record, unless it rejects the hit; true if it did not. */
bool program_run(struct vcpu *v, u32 program, u32 slot);

#endif
