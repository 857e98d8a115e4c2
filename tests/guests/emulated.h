/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs single instructions from states that the host made up, and leaves what came of each in memory. The host lets it
 * run them all without probes, then all with one on each, and compares.
 *
 * Everything but the instructions is SVC, so a case ends where it led to, by an exception.
 */
#ifndef EMULATED_H
#define EMULATED_H

#include "guest.h"

#define START_X30 240
#define START_PC 256
#define START_SP_EL0 272

#define OUTCOME_X30 240
#define OUTCOME_PC 256
#define OUTCOME_ESR 272
#define OUTCOME_SP_EL0 288
#define OUTCOME_PAR 304

/* Virtual addresses of RAM: executable and guarded; then those of the upper half, a gigabyte each. */
#define GUARDED UL(0x100000000)
#define UPPER_HALF UL(0xffffff8000000000)

#ifndef __ASSEMBLER__

struct start {
	u64 x[31];
	u64 sp_el1;
	u64 pc;
	u64 pstate;
	u64 sp_el0;
	u64 reserved;
};

struct outcome {
	u64 x[31];
	u64 sp_el1;
	u64 pc;
	u64 pstate;
	u64 esr;
	u64 far;
	u64 sp_el0;
	u64 vector;
	u64 par;
	u64 key[2];   /* the monitor borrows APGAKey */
	u64 accessed; /* descriptor of the page without access flag */
};

/* emulated_run.S */
void run_case(const struct start *start, struct outcome *outcome);

_Static_assert(__builtin_offsetof(struct start, pc) == START_PC, "emulated_run.S's idea of it");
_Static_assert(__builtin_offsetof(struct start, sp_el0) == START_SP_EL0, "likewise");
_Static_assert(__builtin_offsetof(struct outcome, pc) == OUTCOME_PC, "likewise");
_Static_assert(__builtin_offsetof(struct outcome, esr) == OUTCOME_ESR, "likewise");
_Static_assert(__builtin_offsetof(struct outcome, sp_el0) == OUTCOME_SP_EL0, "likewise");
_Static_assert(__builtin_offsetof(struct outcome, par) == OUTCOME_PAR, "likewise");

#endif
#endif
