/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include "monitor.h"

/* Freed pages are a list through their first word; the rest has never been used. */
static u64 *free_list;
static u64 unused;

static u64 pool_base(void)
{
	return region_base() + SV_POOL_OFFSET;
}

void pool_init(void)
{
	free_list = NULL;
	unused = 0;
	control()->pool_pages = POOL_PAGES;
	control()->pool_used = 0;
}

void *pool_alloc(void)
{
	u64 *page = free_list;

	if (page)
		free_list = (u64 *)*page;
	else if (unused < POOL_PAGES)
		page = (u64 *)(pool_base() + unused++ * PAGE_SIZE);
	if (page)
		control()->pool_used++;
	return page;
}

void pool_free(void *page)
{
	*(u64 *)page = (u64)free_list;
	free_list = page;
	control()->pool_used--;
}

bool pool_index(pa_t address, u32 *index)
{
	if (address.raw < pool_base() || address.raw >= pool_base() + POOL_PAGES * PAGE_SIZE)
		return false;
	*index = (u32)((address.raw - pool_base()) / PAGE_SIZE);
	return true;
}
