/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SV_MEMORY_H
#define SV_MEMORY_H

#include "types.h"

/* The compiler emits calls to these two. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

/* Makes instructions written to [start, start + size) visible to every vCPU's fetches. */
void sync_instructions(u64 start, u64 size);

#endif
