/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's pages and tables: RAM by blocks as mmu.c has it, and a window of pages that are mapped and unmapped. */
#include "fuzz.h"

#define TABLE 3UL
#define BLOCK 1UL
#define VALID 1UL
#define PAGE 3UL
#define ATTRIBUTES(index) ((u64)(index) << 2)
#define USER (1UL << 6)
#define READ_ONLY (1UL << 7)
#define INNER_SHAREABLE (3UL << 8)
#define ACCESSED (1UL << 10)
#define NOT_GLOBAL (1UL << 11)
#define PXN (1UL << 53)
#define UXN (1UL << 54)
#define NORMAL (ATTRIBUTES(1) | INNER_SHAREABLE)

static struct page arenas[MAX_CPUS][PAGES] __attribute__((aligned(PAGE_SIZE)));

extern const u8 code_template[], text_template[], user_template[], a32_template[], small_template[];

u64 arena_address(const struct worker *w, u64 page)
{
	return (u64)&w->arena[page];
}

static void copy(u64 to, const u8 *from, u64 size)
{
	for (u64 i = 0; i < size / 8; i++)
		((u64 *)to)[i] = ((const u64 *)from)[i];
}

static void fill_data(struct worker *w, u64 page)
{
	u64 *words = (u64 *)arena_address(w, page);

	for (u64 i = 0; i < PAGE_SIZE / 8; i++)
		words[i] = draw(w);
}

static u64 *table_of(struct worker *w, u64 page)
{
	return (u64 *)arena_address(w, page);
}

static void fill_tables(struct worker *w)
{
	u64 *root = table_of(w, PAGE_ROOT);

	root[0] = 0 | BLOCK | ATTRIBUTES(0) | ACCESSED | PXN | UXN;
	root[1] = RAM_BASE | BLOCK | NORMAL | ACCESSED | UXN;
	root[2] = root[1];
	root[3] = RAM_BASE | BLOCK | NORMAL | ACCESSED | USER | PXN;
	root[4] = (u64)table_of(w, PAGE_LEVEL2) | TABLE;
	table_of(w, PAGE_LEVEL2)[0] = (u64)table_of(w, PAGE_LEVEL3) | TABLE;
	map_text(w);
}

void arena_prepare(struct worker *w)
{
	w->arena = arenas[w->index];
	copy(arena_address(w, PAGE_CODE), code_template, PAGE_SIZE);
	copy(arena_address(w, PAGE_TEXT), text_template, PAGE_SIZE);
	copy(arena_address(w, PAGE_USER), user_template, PAGE_SIZE);
	copy(arena_address(w, PAGE_A32), a32_template, PAGE_SIZE);
	for (u64 i = 0; i < DATA_PAGES; i++)
		fill_data(w, PAGE_DATA + i);
	fill_tables(w);
	copy(arena_address(w, PAGE_STACK), small_template, 8);
	for (u64 page = PAGE_DATA; page <= PAGE_ROOT; page++)
		copy(arena_address(w, page) + SITE_OFFSET, small_template, 8);
	dsb();
	asm volatile("ic ialluis; dsb ish; isb" ::: "memory");
}

void arena_enter(struct worker *w)
{
	write_reg(ttbr0_el1, arena_address(w, PAGE_ROOT));
	isb();
	asm volatile("tlbi vmalle1; dsb nsh; isb" ::: "memory");
}

static void digest_words(struct worker *w, u64 address, u64 size)
{
	for (u64 i = 0; i < size; i += 8)
		mix(w, *(volatile u64 *)(address + i));
}

void arena_digest(struct worker *w)
{
	digest_words(w, arena_address(w, PAGE_DATA), DATA_PAGES * PAGE_SIZE);
	digest_words(w, arena_address(w, PAGE_TEXT), PAGE_SIZE);
	digest_words(w, arena_address(w, PAGE_LEVEL3), WINDOW_PAGES * 8);
}

/* Not where the site of the page is, nor where an access from here may reach it. */
static u64 data_offset(struct worker *w)
{
	u64 alignment = one_in(w, 4) ? 1 : one_in(w, 3) ? 16 : 8;
	u64 offset = one_in(w, 8) ? PAGE_SIZE - 64 + below(w, 64) : below(w, PAGE_SIZE);

	offset &= ~(alignment - 1);
	if (offset < SITE_SPACE)
		offset += SITE_SPACE;
	if (offset >= SITE_OFFSET - SITE_SPACE && offset < SITE_OFFSET + 2 * SITE_SPACE)
		offset += 3 * SITE_SPACE;
	return offset;
}

u64 data_address(struct worker *w)
{
	u64 address = arena_address(w, PAGE_DATA + below(w, DATA_PAGES - 1)) + data_offset(w);

	switch (below(w, 16)) {
	case 0:
		return address + EL1_ALIAS;
	case 1:
	case 2:
	case 3:
		return WINDOW + below(w, WINDOW_PAGES) * PAGE_SIZE + data_offset(w);
	case 4:
		return one_in(w, 16) ? draw(w) << 16 : address;
	default:
		return address;
	}
}

/* Code is never mapped for writing, and never for EL0 but for its own. */
static u64 draw_descriptor(struct worker *w)
{
	static const u8 targets[] = { PAGE_CODE,     PAGE_TEXT,	    PAGE_USER, PAGE_DATA,
				      PAGE_DATA + 1, PAGE_DATA + 2, PAGE_DATA, PAGE_DATA + 1 };
	u64 target = targets[below(w, sizeof(targets))];
	u64 descriptor = arena_address(w, target) | NORMAL | (one_in(w, 8) ? VALID << 1 : PAGE);

	descriptor |= one_in(w, 8) ? 0 : ACCESSED;
	descriptor |= one_in(w, 3) ? USER : 0;
	descriptor |= one_in(w, 3) || target < PAGE_DATA ? READ_ONLY : 0;
	descriptor |= one_in(w, 4) ? PXN : 0;
	descriptor |= one_in(w, 4) || target != PAGE_USER ? UXN : 0;
	return descriptor | (one_in(w, 4) ? NOT_GLOBAL : 0);
}

static void flush(struct worker *w, u64 address)
{
	asm volatile("dsb ishst" ::: "memory");
	if (one_in(w, 2))
		asm volatile("tlbi vaae1, %0" ::"r"(address >> 12) : "memory");
	else if (one_in(w, 4))
		asm volatile("tlbi vmalle1is" ::: "memory");
	else
		asm volatile("tlbi vmalle1" ::: "memory");
	asm volatile("dsb ish; isb" ::: "memory");
}

/* Another page, or none, at some place of the window. */
void act_map(struct worker *w)
{
	u64 number = below(w, WINDOW_PAGES);
	volatile u64 *entry = &table_of(w, PAGE_LEVEL3)[number];
	u64 descriptor = draw_descriptor(w);

	w->detail = number;
	*entry = 0;
	flush(w, WINDOW + number * PAGE_SIZE);
	*entry = descriptor;
	w->window[number] = descriptor;
	asm volatile("dsb ishst; isb" ::: "memory");
	mix(w, *entry);
}

void map_text(struct worker *w)
{
	table_of(w, PAGE_LEVEL3)[WINDOW_TEXT] =
		arena_address(w, PAGE_TEXT) | NORMAL | ACCESSED | PAGE | PXN | UXN;
	asm volatile("dsb ishst; isb" ::: "memory");
}
