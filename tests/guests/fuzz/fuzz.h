/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fuzzing guest: each vCPU draws actions from a seed and does them in its own pages, and digests all that they
 * leave. Nothing of it depends on time or on the other vCPUs: what two runs with one seed digest must be the same,
 * whoever watches one of them.
 *
 *   DIGEST: cpu action 0x...             every `interval` actions
 *   ACTION: cpu action kind detail       the actions of trace_cpu from trace_from up to trace_to,
 *   WORD: cpu action number 0x...        and what they left
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "layout.h"

struct page {
	u8 bytes[PAGE_SIZE];
};

/* What call_regs and enter_regs load and call_regs stores. */
struct regs {
	u64 x[16];
	u64 sp; /* 0: the caller's */
	u64 nzcv;
};

_Static_assert(__builtin_offsetof(struct regs, sp) == REGS_SP, "call.S's idea of struct regs");
_Static_assert(__builtin_offsetof(struct regs, nzcv) == REGS_NZCV, "likewise");

/* One place that the host may probe. The host reads these. */
struct site {
	u64 address; /* physical; 0: none */
	u64 entry;   /* where to call it */
	u64 flags;
	u64 begun; /* counted before it is called, and taken back if it was not reached */
	u64 ended; /* how often it was reached */
};

struct worker {
	u64 random;
	u64 digest;
	u64 action; /* number of the next */
	u64 index;
	struct page *arena;
	struct site *sites;
	struct regs regs;
	u64 window[WINDOW_PAGES]; /* descriptors */
	u64 detail;		  /* of the action, for the trace */
	u64 sums[COUNTERS];	  /* what it added to the shared counters */
	u64 words[MAX_WORDS];
	u64 word_count;
	u64 timers, own_sgis; /* interrupts taken */
	u64 leaving;
};

extern struct worker workers[MAX_CPUS];
extern struct site sites[MAX_CPUS * SITES];

#define PSTATE_USER 0x340 /* interrupts are not masked */
#define PSTATE_USER_MASKED 0x1c0
#define PSTATE_SS (1UL << 21)

/* Patched by the host. */
extern u64 cpus_used, kinds;

/* call.S: a struct regs, and code. enter_regs takes its PSTATE from enter_pstate, and comes back by an exception only. */
u64 call_regs(u64 regs, u64 code);
u64 enter_regs(u64 regs, u64 code);
extern u64 enter_pstate[MAX_CPUS];

struct worker *this_worker(void);

/* Numbers from the worker's seed. */
static inline u64 draw(struct worker *w)
{
	u64 x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->random = x;
	return (x * 0x2545f4914f6cdd1dUL) >> 11;
}

static inline u64 below(struct worker *w, u64 limit)
{
	return draw(w) % limit;
}

static inline bool one_in(struct worker *w, u64 number)
{
	return below(w, number) == 0;
}

static inline void mix(struct worker *w, u64 word)
{
	u64 x = (w->digest ^ word) * 0x9e3779b97f4a7c15UL;

	w->digest = x ^ x >> 29;
	if (w->word_count < MAX_WORDS)
		w->words[w->word_count++] = word;
}

/* arena.c: pages and tables. */
void arena_prepare(struct worker *w);
void arena_enter(struct worker *w); /* this vCPU's tables, after it came on */
void arena_digest(struct worker *w);
u64 arena_address(const struct worker *w, u64 page);
void map_text(struct worker *w); /* at WINDOW_TEXT, to be written */
void act_map(struct worker *w);
u64 data_address(struct worker *w);

/* site.c: a call of code that may be probed. */
const struct caught *visit(struct worker *w, struct site *site, u64 distance);
void mix_caught(struct worker *w, const struct caught *caught);
void draw_regs(struct worker *w);
u64 sites_prepare(struct worker *w);
u64 alias_distance(struct worker *w, u64 page);
void act_call(struct worker *w);
void act_shared(struct worker *w);
void act_user(struct worker *w);

void act_text(struct worker *w);
struct site *rewritten_site(struct worker *w, u64 place);
u64 counter_value(u64 number);

void act_debug(struct worker *w);
void act_gic(struct worker *w);
void act_endian(struct worker *w);
void act_aarch32(struct worker *w);
struct site *plain_site(struct worker *w); /* at EL1, and its instruction masks and steps nothing */
struct site *user_site(struct worker *w);

/* power.c */
void act_power(struct worker *w);
void power_others(void); /* by the first vCPU: those that went off come back */

/* interrupt.c */
void check_mail(void);
void act_firmware(struct worker *w);
void act_sgi(struct worker *w);
void act_timer(struct worker *w);

#endif
