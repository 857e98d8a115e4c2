/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

PATCHED u64 cpus_used = 1;
PATCHED u64 seed = 1;
PATCHED u64 actions = 1000;
PATCHED u64 interval = 100;
PATCHED u64 kinds = ~0UL; /* a bit for each */
PATCHED u64 trace_cpu = 0;
PATCHED u64 trace_from = 0;
PATCHED u64 trace_to = 0;

struct worker workers[MAX_CPUS];

struct action {
	const char *name;
	void (*function)(struct worker *);
	u64 weight;
};

/* New ones at the end: bits of `kinds` keep their meaning. */
static const struct action table[] = {
	{ "call", act_call, 60 },  { "shared", act_shared, 8 }, { "user", act_user, 14 },
	{ "map", act_map, 10 },	   { "text", act_text, 6 },	{ "firmware", act_firmware, 4 },
	{ "sgi", act_sgi, 3 },	   { "timer", act_timer, 1 },	{ "debug", act_debug, 6 },
	{ "gic", act_gic, 2 },	   { "endian", act_endian, 3 }, { "aarch32", act_aarch32, 4 },
	{ "power", act_power, 1 },
};

#define ACTIONS (sizeof(table) / sizeof(table[0]))

struct worker *this_worker(void)
{
	return &workers[this_cpu()->index];
}

static const struct action *draw_action(struct worker *w)
{
	u64 total = 0, number;

	for (u64 i = 0; i < ACTIONS; i++)
		total += kinds >> i & 1 ? table[i].weight : 0;
	number = below(w, total);
	for (u64 i = 0;; i++) {
		u64 weight = kinds >> i & 1 ? table[i].weight : 0;

		if (number < weight)
			return &table[i];
		number -= weight;
	}
}

static void trace(const struct worker *w, const struct action *action)
{
	if (w->index != trace_cpu || w->action < trace_from || w->action >= trace_to)
		return;
	print("ACTION: %lu %lu %s 0x%lx", w->index, w->action, action->name, w->detail);
	for (u64 i = 0; i < w->word_count; i++)
		print("WORD: %lu %lu %lu 0x%lx", w->index, w->action, i, w->words[i]);
}

static void act(struct worker *w)
{
	const struct action *action = draw_action(w);

	w->word_count = 0;
	w->detail = 0;
	if (w->index == 0)
		power_others();
	action->function(w);
	if ((w->action + 1) % interval == 0) {
		arena_digest(w);
		print("DIGEST: %lu %lu 0x%lx", w->index, w->action + 1, w->digest);
	}
	trace(w, action);
	w->action++;
}

static void work(struct worker *w)
{
	gic_init();
	arena_enter(w);
	irq_unmask();
	while (w->action < actions)
		act(w);
	store_release((u64 *)&w->leaving, 1);
}

static void worker_prepare(u64 index)
{
	struct worker *w = &workers[index];

	w->index = index;
	w->random = (seed + index * 0x632be59bd9b4e019UL) * 0x9e3779b97f4a7c15UL | 1;
	for (u64 i = 0; i < 8; i++)
		draw(w);
	arena_prepare(w);
	sites_prepare(w);
}

void secondary_main(u64 index)
{
	work(&workers[index]);
	for (;;)
		asm volatile("wfi");
}

static void check_sums(void)
{
	for (u64 i = 0; i < COUNTERS; i++) {
		u64 sum = 0, counted = counter_value(i);

		for (u64 cpu = 0; cpu < cpus_used; cpu++)
			sum += workers[cpu].sums[i];
		report(sum == counted, "counter %lu has 0x%lx of 0x%lx", i, counted, sum);
	}
}

static void await_all(void)
{
	for (u64 cpu = 0; cpu < cpus_used; cpu++)
		while (!load_acquire(&workers[cpu].leaving))
			power_others();
}

void guest_main(void)
{
	mmu_on();
	for (u64 cpu = 0; cpu < cpus_used; cpu++)
		worker_prepare(cpu);
	ready("arm");
	for (u64 cpu = 1; cpu < cpus_used; cpu++)
		report(smp_start(cpu) == 0, "vCPU %lu is on", cpu);
	work(&workers[0]);
	await_all();
	check_sums();
	check_mail();
	ready("done");
	finish();
}
