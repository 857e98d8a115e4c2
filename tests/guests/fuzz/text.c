/* SPDX-License-Identifier: Apache-2.0 */
/* Code that is written, and then run. */
#include "fuzz.h"

#define RET 0xd65f03c0
#define MOST_WORDS 12

/* An instruction, and the fields that are drawn. */
struct form {
	u32 word;
	u32 random;
	u8 registers; /* positions of fields that name x1 to x15: 1 at 0, 2 at 5, 4 at 16, 8 at 10 */
};

static const struct form forms[] = {
	{ 0x8b000000, 0x00400000, 7 },	/* add */
	{ 0xcb000000, 0x8000fc00, 7 },	/* sub, shifted */
	{ 0xab000000, 0x00000000, 7 },	/* adds */
	{ 0x8a000000, 0x60200000, 7 },	/* and, orr, eor, ands, and their inverses */
	{ 0xd2800000, 0x001fffe0, 1 },	/* movz */
	{ 0x92800000, 0x001fffe0, 1 },	/* movn */
	{ 0xf2800000, 0x007fffe0, 1 },	/* movk */
	{ 0x91000000, 0x203ffc00, 3 },	/* add, adds immediate */
	{ 0xd1000000, 0x203ffc00, 3 },	/* sub, subs immediate */
	{ 0x9a800000, 0x4000f400, 7 },	/* csel and its like */
	{ 0xd3400000, 0x003ffc00, 3 },	/* ubfm */
	{ 0x9ac02000, 0x00000c00, 7 },	/* shifts by register */
	{ 0x9b000000, 0x00008000, 15 }, /* madd, msub */
	{ 0x9ac00800, 0x00000400, 7 },	/* udiv, sdiv */
	{ 0xdac00000, 0x00000400, 3 },	/* rbit, rev16 */
	{ 0x10000000, 0x60ffffe0, 1 },	/* adr */
	{ 0xf9400000, 0x00003c00, 1 },	/* ldr from x0 */
	{ 0x39400000, 0x0000fc00, 1 },	/* ldrb */
	{ 0xf9000000, 0x00000c00, 1 },	/* str */
	{ 0xb9000000, 0x00000c00, 1 },	/* str w */
	{ 0xd503201f, 0x00000000, 0 },	/* nop */
	{ 0xb4000040, 0x01000000, 1 },	/* cbz, cbnz over one */
	{ 0x54000040, 0x0000000f, 0 },	/* b.cond over one */
	{ 0x14000001, 0x00000000, 0 },	/* b to the next */
	{ 0xd4200000, 0x001fffe0, 0 },	/* brk */
	{ 0xd4000001, 0x000fffe0, 0 },	/* svc */
	{ 0xd53b4200, 0x00000000, 1 },	/* mrs nzcv */
	{ 0xc8dffc00, 0x00000000, 1 },	/* ldar from x0 */
};

static u32 draw_instruction(struct worker *w)
{
	const struct form *form = &forms[below(w, sizeof(forms) / sizeof(forms[0]))];
	static const u8 positions[] = { 0, 5, 16, 10 };
	u32 word = form->word | ((u32)draw(w) & form->random);

	for (u32 i = 0; i < 4; i++)
		if (form->registers >> i & 1)
			word |= (u32)(1 + below(w, 15)) << positions[i];
	return word;
}

/* The same page by other names. */
static u64 writable(struct worker *w, u64 address)
{
	switch (below(w, 4)) {
	case 0:
		return address + EL1_ALIAS;
	case 1:
		return address - arena_address(w, PAGE_TEXT) + WINDOW + WINDOW_TEXT * PAGE_SIZE;
	default:
		return address;
	}
}

static void write_words(struct worker *w, u64 to, u64 count)
{
	for (u64 i = 0; i < count; i++)
		*(volatile u32 *)(to + i * 4) = i + 2 < count ? draw_instruction(w) : RET;
}

static void maintain(u64 address, u64 size)
{
	for (u64 at = address; at < address + size; at += 16)
		asm volatile("dc cvau, %0" ::"r"(at) : "memory");
	asm volatile("dsb ish" ::: "memory");
	for (u64 at = address; at < address + size; at += 16)
		asm volatile("ic ivau, %0" ::"r"(at) : "memory");
	asm volatile("dsb ish; isb" ::: "memory");
}

void act_text(struct worker *w)
{
	u64 place = below(w, TEXT_PLACES), count = 3 + below(w, MOST_WORDS - 3);
	struct site *site = rewritten_site(w, place);

	draw_regs(w);
	if (one_in(w, 2)) {
		write_words(w, writable(w, site->address), count);
		maintain(site->address, count * 4);
	}
	if (*(volatile u32 *)site->address)
		visit(w, site, alias_distance(w, PAGE_TEXT));
}
