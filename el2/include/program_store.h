/* SPDX-License-Identifier: Apache-2.0 */
/* Where loaded programs lie, one after the other. */
#ifndef SV_PROGRAM_STORE_H
#define SV_PROGRAM_STORE_H

#include "monitor.h"
#include "types.h"

#define PROGRAM_PLACES (SV_PROGRAMS_SIZE / sizeof(struct sv_instruction))

static inline struct sv_instruction *program_store(u64 place)
{
	return (struct sv_instruction *)(region_base() + SV_PROGRAMS_OFFSET) + place;
}

u64 program_store_used(void);
void program_store_keep(u64 first, u32 count);

#endif
