/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of code that may be probed, counted. */
#include "fuzz.h"

struct entry {
	u16 entry, point, flags, unused;
};

extern const struct entry code_sites[], code_sites_end[];
extern const struct entry text_sites[], text_sites_end[];
extern const struct entry user_sites[], user_sites_end[];
extern const struct entry a32_sites[], a32_sites_end[];

struct site sites[MAX_CPUS * SITES] __attribute__((aligned(PAGE_SIZE)));
u64 enter_pstate[MAX_CPUS];

static u64 sequence_first, code_count, text_first, text_count, user_first, user_count, a32_first,
	a32_count, small_first, small_count;

static u64 counters[COUNTERS * 16] __attribute__((aligned(PAGE_SIZE)));

#define AT_EL0 (SITE_USER | SITE_A32 | SITE_T32)
#define PSTATE_A32 0x150 /* interrupts are not masked */
#define PSTATE_T32 0x170
#define VECTOR_IRQ_AARCH32 0x680
#define SCTLR_E0E (1UL << 24)
#define SEQUENCES 4 /* of doublewords, the first of all */
#define EC_IABT_LOWER 0x20
#define EC_BREAKPOINT_LOWER 0x30
#define EC_STEP_LOWER 0x32
#define EC_DABT_LOWER 0x24
#define EC_WATCHPOINT_LOWER 0x34
#define EC_PC_ALIGNMENT 0x22
#define EC_WATCHPOINT_SAME 0x35
#define DESCRIPTOR_ADDRESS 0xfffffffff000UL

u64 counter_value(u64 number)
{
	return counters[number * 16];
}

static u64 add(struct worker *w, u64 number, u64 base, u64 entry, u64 point, u64 flags)
{
	w->sites[number] = (struct site){ base + point, base + entry, flags, 0, 0 };
	return number + 1;
}

static u64 add_page(struct worker *w, u64 number, u64 page, const struct entry *from,
		    const struct entry *end)
{
	for (; from < end; from++)
		number = add(w, number, arena_address(w, page), from->entry, from->point,
			     from->flags);
	return number;
}

static u64 flags_of(u64 page)
{
	return page < PAGE_LEVEL3 ? SITE_DATA : SITE_TABLE;
}

u64 sites_prepare(struct worker *w)
{
	u64 number = 0;

	w->sites = &sites[w->index * SITES];
	code_count = number = add_page(w, number, PAGE_CODE, code_sites, code_sites_end);
	sequence_first = 0;
	while (!(code_sites[sequence_first].flags & SITE_LOOPS))
		sequence_first++;
	text_first = number;
	number = add_page(w, number, PAGE_TEXT, text_sites, text_sites_end);
	text_count = number - text_first;
	user_first = number;
	number = add_page(w, number, PAGE_USER, user_sites, user_sites_end);
	user_count = number - user_first;
	a32_first = number;
	number = add_page(w, number, PAGE_A32, a32_sites, a32_sites_end);
	a32_count = number - a32_first;
	small_first = number;
	number = add(w, number, arena_address(w, PAGE_STACK), 0, 0, SITE_STACK);
	for (u64 page = PAGE_DATA; page <= PAGE_ROOT; page++)
		number = add(w, number, arena_address(w, page) + SITE_OFFSET, 0, 0, flags_of(page));
	small_count = number - small_first;
	for (u64 i = 0; i < TEXT_PLACES; i++)
		number = add(w, number, arena_address(w, PAGE_TEXT) + TEXT_START + i * TEXT_STRIDE,
			     0, 0, SITE_REWRITTEN);
	if (number > SITES)
		report(false, "more sites than there is room for");
	return number;
}

static bool has_address(u64 class)
{
	return class == EC_IABT_SAME || class == EC_DABT_SAME || class == EC_IABT_LOWER ||
	       class == EC_DABT_LOWER || class == EC_PC_ALIGNMENT || class == EC_WATCHPOINT_SAME ||
	       class == EC_WATCHPOINT_LOWER;
}

/* The exception that ended a call. */
void mix_caught(struct worker *w, const struct caught *caught)
{
	const struct frame *frame = &caught->frame;

	mix(w, caught->vector);
	mix(w, frame->esr);
	mix(w, frame->pc);
	mix(w, frame->pstate);
	mix(w, has_address(EC(frame->esr)) ? frame->far : 0);
}

void draw_regs(struct worker *w)
{
	for (u64 i = 1; i < 16; i++)
		w->regs.x[i] = one_in(w, 4) ? draw(w) & 0xff : draw(w) << 11 ^ draw(w);
	w->regs.x[0] = data_address(w);
	w->regs.nzcv = draw(w) & 0xf0000000;
	w->regs.sp = 0;
}

static void mix_regs(struct worker *w, const u64 *x)
{
	for (u64 i = 0; i < 16; i++)
		mix(w, x[i]);
}

/* How often a call came to the instruction that may be probed. */
static u64 times_reached(const struct site *site, const struct caught *caught, u64 distance,
			 u64 tries)
{
	u64 point = site->address + distance;
	u64 class = caught ? EC(caught->frame.esr) & ~1UL : 0;
	/* Exceptions that come before the instruction. */
	bool fetch =
		class == EC_IABT_LOWER || class == EC_BREAKPOINT_LOWER || class == EC_STEP_LOWER;

	if (caught && (caught->frame.pc < point || (caught->frame.pc == point && fetch)) && tries)
		tries--;
	return tries;
}

/* Calls a site at `distance` from its own address. */
static const struct caught *enter(struct worker *w, struct site *site, u64 distance)
{
	u64 (*how)(u64, u64) = site->flags & AT_EL0 ? enter_regs : call_regs;
	const struct caught *caught;
	u64 *x = w->regs.x, times = 1;

	if (site->flags & SITE_LOOPS)
		x[3] = 0;
	store_release(&site->begun, site->begun + 1);
	caught = attempt(how, (u64)&w->regs, site->entry + distance, NULL);
	if (caught)
		for (u64 i = 0; i < 16; i++)
			x[i] = caught->frame.x[i];
	if (site->flags & SITE_LOOPS) {
		times = x[3];
		x[3] = 0;
	}
	times = times_reached(site, caught, distance, times);
	store_release(&site->ended, site->ended + times);
	store_release(&site->begun, site->ended);
	return caught;
}

const struct caught *visit(struct worker *w, struct site *site, u64 distance)
{
	const struct caught *caught = enter(w, site, distance);

	w->detail = (u64)(site - w->sites);
	mix_regs(w, w->regs.x);
	if (caught)
		mix_caught(w, caught);
	else
		mix(w, w->regs.nzcv);
	return caught;
}

/* Where else a page is: in the window maybe, and there maybe not for executing. */
u64 alias_distance(struct worker *w, u64 page)
{
	u64 number = below(w, WINDOW_PAGES), target = arena_address(w, page);

	if (one_in(w, 8))
		return EL1_ALIAS;
	if (one_in(w, 4) && (w->window[number] & DESCRIPTOR_ADDRESS) == target)
		return WINDOW + number * PAGE_SIZE - target;
	return 0;
}

static void call_small(struct worker *w)
{
	struct site *site = &w->sites[small_first + below(w, small_count)];

	visit(w, site, one_in(w, 4) ? EL1_ALIAS : 0);
}

static void call_text(struct worker *w)
{
	visit(w, &w->sites[text_first + below(w, text_count)], alias_distance(w, PAGE_TEXT));
}

static void call_code(struct worker *w)
{
	struct site *site = &w->sites[below(w, code_count)];
	u64 distance = alias_distance(w, PAGE_CODE);

	if (one_in(w, 16))
		w->regs.sp = arena_address(w, PAGE_STACK) + PAGE_SIZE - 16 * below(w, 8);
	visit(w, site, distance);
}

void act_call(struct worker *w)
{
	u64 number = below(w, 16);

	draw_regs(w);
	if (number == 0)
		call_small(w);
	else if (number < 3)
		call_text(w);
	else
		call_code(w);
}

struct site *rewritten_site(struct worker *w, u64 place)
{
	return &w->sites[small_first + small_count + place];
}

struct site *plain_site(struct worker *w)
{
	struct site *site;

	do {
		site = &w->sites[below(w, code_count)];
	} while (!(site->flags & SITE_PLAIN));
	return site;
}

struct site *user_site(struct worker *w)
{
	return &w->sites[user_first + below(w, user_count)];
}

/* Code at EL0 that comes back by an exception. */
void act_user(struct worker *w)
{
	struct site *site = &w->sites[user_first + below(w, user_count)];
	u64 distance = alias_distance(w, PAGE_USER);

	draw_regs(w);
	if (w->regs.x[0] < WINDOW && !one_in(w, 16))
		w->regs.x[0] += USER_ALIAS;
	if (distance == 0 || distance == EL1_ALIAS)
		distance = USER_ALIAS;
	enter_pstate[w->index] = PSTATE_USER | w->regs.nzcv;
	visit(w, site, distance);
}

/* What all vCPUs add to, by sequences: nothing is lost. */
void act_shared(struct worker *w)
{
	u64 number = below(w, COUNTERS), amount = below(w, 1000);
	struct site *site = &w->sites[sequence_first + below(w, SEQUENCES)];

	draw_regs(w);
	w->regs.x[0] = (u64)&counters[number * 16];
	w->regs.x[1] = amount;
	w->sums[number] += enter(w, site, alias_distance(w, PAGE_CODE)) ? 0 : amount;
}

/* Interrupts in AArch32 state; and an SVC inside a call, which breaks sequences up and goes on. */
bool on_exception(u64 vector, struct frame *frame)
{
	if (vector == VECTOR_IRQ_AARCH32) {
		on_irq(frame);
		return true;
	}
	return (vector == VECTOR_SYNC_EL1 || vector == VECTOR_SYNC_EL0) &&
	       EC(frame->esr) == EC_SVC64 && (frame->esr & 0xffff) == SVC_RETURN;
}

/* EL0 in the other order of bytes. */
void act_endian(struct worker *w)
{
	u64 sctlr = read_reg(sctlr_el1);

	write_reg(sctlr_el1, sctlr | SCTLR_E0E);
	isb();
	act_user(w);
	write_reg(sctlr_el1, sctlr);
	isb();
}

static bool has_aarch32(void)
{
	return (read_reg(id_aa64pfr0_el1) & 15) == 2;
}

/* Where the core has no AArch32 state, A64 instead. */
void act_aarch32(struct worker *w)
{
	struct site *site = &w->sites[a32_first + below(w, a32_count)];

	if (!has_aarch32()) {
		act_user(w);
		return;
	}
	draw_regs(w);
	w->regs.x[0] = arena_address(w, PAGE_DATA) + 64 + below(w, 1024) + USER_ALIAS;
	enter_pstate[w->index] = (site->flags & SITE_T32 ? PSTATE_T32 : PSTATE_A32) | w->regs.nzcv;
	visit(w, site, USER_ALIAS);
}
