/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that patches its own code, as kernels do for their probes, function tracers and static branches. */
#include "guest.h"

#define CALLS 3

PATCHED u64 toggles = 400;

#define NOP 0xd503201fU
#define ISB 0xd5033fdfU
#define BRK(n) (0xd4200000U | (n) << 5)
#define SVC(n) (0xd4000001U | (n) << 5)

#define B_AFTER 0x14000002U /* over the next instruction */
#define B_FAR 0x14000004U   /* to patched_far */
#define BL_FAR 0x94000004U

/* The first is the immediate of the monitor's own BRK there. */
static const u32 words[] = { BRK(1), BRK(4), BRK(0x800), NOP, ISB,   B_AFTER,
			     B_FAR,  BL_FAR, SVC(3),	 NOP, BRK(4) };

#define WORDS (sizeof(words) / sizeof(words[0]))

struct outcome {
	u64 result;
	u64 esr;
	u64 pc;
	u64 x0;
};

u64 patched_function(u64 number, u64 unused);
u64 toggled_function(u64 number, u64 unused);
extern u32 patched_site[], toggled_site[]; /* aligned, so that one store replaces them */

static u64 toggled_calls, stop, stopped;

static void store_instruction(u32 *address, u32 word)
{
	*(volatile u32 *)address = word;
	asm volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" ::"r"(address) : "memory");
}

static void call(struct outcome *outcome)
{
	const struct caught *caught;

	*outcome = (struct outcome){ 0 };
	caught = attempt(patched_function, 1, 0, &outcome->result);
	if (!caught)
		return;
	outcome->esr = caught->frame.esr;
	outcome->pc = caught->frame.pc;
	outcome->x0 = caught->frame.x[0];
}

static void compare(const struct outcome *want, const char *what, u32 word)
{
	for (u32 i = 0; i < CALLS; i++) {
		struct outcome got;

		call(&got);
		report(got.result == want->result && got.esr == want->esr && got.pc == want->pc &&
			       got.x0 == want->x0,
		       "%s 0x%lx: 0x%lx, ESR 0x%lx, PC 0x%lx", what, (u64)word, got.result, got.esr,
		       got.pc);
	}
}

static void patch(void)
{
	struct outcome original, expected[WORDS];
	u32 old = *(volatile u32 *)patched_site;

	call(&original);
	for (u32 i = 0; i < WORDS; i++) {
		store_instruction(patched_site, words[i]);
		call(&expected[i]);
	}
	store_instruction(patched_site, old);
	ready("expected");
	for (u32 i = 0; i < WORDS; i++) {
		store_instruction(patched_site, words[i]);
		compare(&expected[i], "patched to", words[i]);
		store_instruction(patched_site, old);
		compare(&original, "restored after", words[i]);
	}
	ready("patched");
}

void secondary_main(u64 index)
{
	(void)index;
	mmu_on();
	while (!load_acquire(&stop)) {
		u64 result = toggled_function(0, 0);

		if (result != 0x1 && result != 0x10)
			report(false, "toggled function: 0x%lx", result);
		store_release(&toggled_calls, toggled_calls + 1);
	}
	store_release(&stopped, 1);
	while (true)
		asm volatile("wfe");
}

/* One patches, the other runs through it: it executes the old or the new one, never anything else. */
static void toggle(void)
{
	for (u64 i = 0; i < toggles; i++) {
		u64 calls = load_acquire(&toggled_calls);

		store_instruction(toggled_site, i & 1 ? NOP : B_AFTER);
		while (load_acquire(&toggled_calls) < calls + 2)
			;
	}
	store_release(&stop, 1);
	while (!load_acquire(&stopped))
		;
}

void guest_main(void)
{
	mmu_on();
	patch();
	value("started", smp_start(1));
	toggle();
	value("toggled-calls", toggled_calls);
	finish();
}
