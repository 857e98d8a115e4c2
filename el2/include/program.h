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

#include "types.h"
#include "vcpu.h"

/* Checks `count` instructions and puts them at place `first`; SV_STATUS_*. */
u32 program_load(const struct sv_instruction *code, u32 count, u64 first);

/* Forgets all programs; no armed probe may use one. */
void program_unload_all(void);

/* Whether a probe may name this program (its first instruction's number plus one, or 0). */
bool program_exists(u32 program);

/* Runs a program for a hit and writes its record, unless it rejects the hit; true if it did not. */
bool program_run(struct vcpu *v, u32 program, u32 slot);

#endif
