/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program's memory while the kernel keeps it out of its own reach: without FEAT_PAN Linux has an empty table in
 * TTBR0_EL1 then, and the program's in the structure of the task (CONFIG_ARM64_SW_TTBR0_PAN).
 */
#ifndef SV_USER_TABLES_H
#define SV_USER_TABLES_H

#include "addr.h"
#include "types.h"

/* Where in a task's structure its TTBR0_EL1 is kept; 0 where the kernel does not do that. */
void user_tables_configure(u64 offset);

/* As translate_normal, by the tables of the task that runs; false also if those are in TTBR0_EL1 anyway. */
bool user_tables_translate(u64 va, ipa_t *address);

#endif
