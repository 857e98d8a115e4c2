/* SPDX-License-Identifier: Apache-2.0 */
/* The region's 4 KiB pages for shadows and stage-2 tables. Callers hold the shadow lock. */
#ifndef SV_POOL_H
#define SV_POOL_H

#include "addr.h"
#include "types.h"

void pool_init(void);

/* A page with old content, or NULL when none is left. */
void *pool_alloc(void);

void pool_free(void *page);

/* Whether a physical address is a page of the pool, and its number if so. */
bool pool_index(pa_t address, u32 *index);

#define POOL_PAGES ((SV_REGION_SIZE - SV_POOL_OFFSET) / PAGE_SIZE)

#endif
