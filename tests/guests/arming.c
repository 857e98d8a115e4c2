/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU that writes its code while probes are armed in the same page: it always runs what it wrote last. */
#include "guest.h"

/* Patched by the test. */
PATCHED u64 place = 0x48800000; /* of the code: a page of memory that is nothing else */
PATCHED u64 numbers = 0x10000; /* different ones that the code is made to return, at most 0x10000 */
PATCHED u64 waiting = 12500;   /* between writing and running it, in units of 16 ns */

#define MOV_X0(number) (0xd2800000U | (number) << 5)
#define RET 0xd65f03c0U

u64 calls; /* the test looks at it */
static u64 stop, stopped;

static void store_instruction(u32 *address, u32 word)
{
	*(volatile u32 *)address = word;
	asm volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" ::"r"(address) : "memory");
}

static void wait(void)
{
	u64 end = read_reg(cntpct_el0) + ticks_of(waiting);

	while (read_reg(cntpct_el0) < end)
		;
}

void secondary_main(u64 index)
{
	u64 (*function)(void) = (u64 (*)(void))place;

	(void)index;
	mmu_on();
	while (!load_acquire(&stop)) {
		u64 number = calls % numbers;
		u64 result;

		store_instruction((u32 *)place, MOV_X0((u32)number));
		wait();
		result = function();
		if (result != number)
			report(false, "wrote 0x%lx, ran 0x%lx", number, result);
		store_release(&calls, calls + 1);
	}
	store_release(&stopped, 1);
	while (true)
		asm volatile("wfe");
}

void guest_main(void)
{
	mmu_on();
	store_instruction((u32 *)place, MOV_X0(0));
	store_instruction((u32 *)place + 1, RET);
	value("started", smp_start(1));
	ready("running");
	store_release(&stop, 1);
	while (!load_acquire(&stopped))
		;
	finish();
}
