/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's stage 1, walked by the hardware on the monitor's behalf. */
#ifndef SV_TRANSLATE_H
#define SV_TRANSLATE_H

#include "addr.h"
#include "types.h"

/* Where EL1 finds a virtual address; false when it would fault. The guest's PAR_EL1 is kept. */
bool translate_guest(u64 va, ipa_t *address);

/* The same, and false also for memory that is not Normal. */
bool translate_normal(u64 va, ipa_t *address);

/*
 * Where a load at EL1 finds it, with PSTATE.PAN as given; false if it would fault, or not see memory as the monitor
 * does: cached and shared.
 */
bool translate_load(u64 va, bool pan, ipa_t *address);

/* The instruction that the guest itself has at this virtual address, shadows apart. */
bool read_guest_instruction(u64 va, u32 *word, ipa_t *address);

#endif
