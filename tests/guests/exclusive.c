/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclusive sequences as the architecture allows them. Every result is known beforehand, and a run without the monitor
 * must find the same.
 */
#include "guest.h"

/* Patched by the test. */
PATCHED u64 rounds = 20;
PATCHED u64 data_in_code = 0;	 /* the data lies in the page of the sequences */
PATCHED u64 interrupts = 0;	 /* a timer interrupt every so many counter ticks, at most */
PATCHED u64 counted = 0;	 /* what each CPU counts up */
PATCHED u64 long_sequence = 0;	 /* whether there is one */
PATCHED u64 single_attempts = 1; /* whether sequences are tried that have no second attempt */
PATCHED u64 device = 0;		 /* a register that takes every value; 0: none is tried */

#define WINDOW 0x100000000UL
#define HARDWARE_ACCESS (1UL << 39)
#define HARDWARE_DIRTY (1UL << 40)
#define LONG_ADDRESSES (1UL << 59)

#define PERMISSION_L3_WRITE 0x9600004fUL
#define UNSUPPORTED_EXCLUSIVE_WRITE 0x96000075UL
#define TRANSLATION_L3_READ 0x96000007UL
#define VECTOR_SYNC_SP0 0x000
#define MOV_X0_2 0xd2800040U

extern u8 near_data[], other_function[], rewritten[], try_once_store[], reads_inside_fault[];

u64 parity_add(u64 address, u64 unused);
u64 try_once(u64 address, u64 unused);
u64 anywhere(u64 address, u64 unused);
u64 cleared(u64 address, u64 unused);
u64 returned(u64 address, u64 unused);
u64 stored_twice(u64 address, u64 unused);
u64 stored_elsewhere(u64 address, u64 unused);
u64 unseen(u64 address, u64 number);
u64 sizes(u64 address, u64 unused);
u64 on_stack(u64 unused, u64 unused2);
u64 reads_inside(u64 address, u64 other);
u64 waits(u64 address, u64 counter);
u64 writes_code(u64 address, u64 code, u64 word);
u64 leaves(u64 address, u64 unused);
u64 sees_breakpoint(u64 address, u64 number);
u64 sees_stepping(u64 address, u64 unused);
u64 spin(u64 address, u64 unused);
u64 long_one(u64 address, u64 unused);
u64 count_up(u64 address, u64 unused);
u64 crossing(u64 address, u64 unused);

static u64 page[8192] __attribute__((aligned(1 << 16)));
static u64 far_data[8] __attribute__((aligned(64)));
static u64 counter, arrived, done;
static u64 taken, wrong;
static volatile u32 *flag;

static void map(u64 attributes)
{
	map_page(mmu_root, WINDOW, (u64)page, attributes);
}

static void check(bool good, const char *what)
{
	if (!good) {
		wrong++;
		report(false, "%s", what);
	}
}

void on_irq(struct frame *frame)
{
	static u64 seed = 1;
	u32 intid = gic_acknowledge();

	(void)frame;
	taken++;
	if (flag) {
		*flag = 1;
		timer_off();
	} else {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		timer_at(read_reg(cntvct_el0) + (seed >> 33) % interrupts);
	}
	if (intid != INTID_SPURIOUS)
		gic_end(intid);
}

static volatile u64 *data(void)
{
	return data_in_code ? (volatile u64 *)near_data : far_data;
}

static void two_arms(void)
{
	data()[0] = 4;
	for (u64 i = 0; i < 6; i++)
		parity_add((u64)data(), 0);
	check(data()[0] == 16, "a store-exclusive in each arm");
}

static void single(void)
{
	volatile u64 *d = data();

	d[0] = 0;
	check(try_once((u64)d, 0) == 0 && d[0] == 1, "one attempt");
	check(cleared((u64)d, 0) == 1 && d[0] == 1, "CLREX inside");
	check(returned((u64)d, 0) == 1, "an exception return inside");
	check(stored_twice((u64)d, 0) == 0x10, "two stores");
	check(stored_elsewhere((u64)d, 0) == 1, "a store elsewhere");
	check(unseen((u64)d, 77) == 0 && d[0] == 77, "a load to the zero register");
	check(on_stack(0, 0) == 1, "on the stack");
	d[0] = 4;
	page[0] = 1;
	check(waits((u64)d, (u64)page) == 15 && page[0] == 2, "a load that only waits");
}

static void all_sizes(void)
{
	volatile u64 *d = data();

	d[0] = ~0UL;
	d[1] = 41;
	check(sizes((u64)d, 0) == 0, "all sizes succeed");
	check(d[0] == 0xffff0001UL && d[1] == 42, "all sizes store");
}

/* With FEAT_LSE2, anywhere in 16 bytes that are aligned. */
static void not_aligned(void)
{
	volatile u64 *d = data();

	if (!(read_reg(id_aa64mmfr2_el1) >> 32 & 15))
		return;
	d[0] = 0x00ff00000000ff00UL;
	d[1] = 0x1100;
	check(anywhere((u64)d + 1, 0) == 0 && anywhere((u64)d + 6, 0) == 0, "not aligned");
	check(d[0] == 0x0100000000010000UL && d[1] == 0x1100, "and nothing else is written");
}

/* What a device makes of it is not known; it must not fail for ever. */
static void on_device(void)
{
	const struct caught *caught;

	if (!device)
		return;
	caught = attempt(anywhere, device, 0, NULL);
	check(caught && caught->frame.esr == UNSUPPORTED_EXCLUSIVE_WRITE &&
		      caught->frame.far == device,
	      "a device refuses");
}

static void page_border(void)
{
	data()[0] = 9;
	check(crossing((u64)data(), 0) == 0 && data()[0] == 10, "from a page into the next");
}

static void copy_on_write(void)
{
	const struct caught *caught;

	page[0] = 5;
	map(MAP_NORMAL | MAP_READ_ONLY | MAP_UXN);
	caught = attempt(try_once, WINDOW, 0, NULL);
	check(caught && caught->vector == VECTOR_SYNC_EL1 &&
		      caught->frame.esr == PERMISSION_L3_WRITE && caught->frame.far == WINDOW &&
		      caught->frame.pc == (u64)try_once_store,
	      "the store faults");
	check(caught && caught->frame.x[2] == 0x55 && page[0] == 5, "and leaves all as it was");
	map(MAP_NORMAL | MAP_UXN);
	check(try_once(WINDOW, 0) == 0 && page[0] == 6, "and then does not");
}

/* Where hardware manages the dirty state (FEAT_HAFDBS) the first store makes a clean page writable. */
static void clean_page(void)
{
	u64 tcr = read_reg(tcr_el1);

	if ((read_reg(id_aa64mmfr1_el1) & 15) < 2)
		return;
	page[0] = 5;
	/* The last bit says nothing of pages of 64 KiB. */
	write_reg(tcr_el1,
		  tcr | HARDWARE_ACCESS | HARDWARE_DIRTY | (granule == 16 ? LONG_ADDRESSES : 0));
	map(MAP_NORMAL | MAP_READ_ONLY | MAP_DIRTY_MODIFIER | MAP_UXN);
	check(unseen(WINDOW, 77) == 0 && page[0] == 77, "a store to a clean page");
	check(!(*(volatile u64 *)page_entry(mmu_root, WINDOW) & MAP_READ_ONLY), "makes it dirty");
	write_reg(tcr_el1, tcr);
	map(MAP_NORMAL | MAP_UXN);
}

static void fault_inside(void)
{
	const struct caught *caught;

	map(0);
	caught = attempt(reads_inside, (u64)data(), WINDOW, NULL);
	check(caught && caught->frame.esr == TRANSLATION_L3_READ && caught->frame.far == WINDOW &&
		      caught->frame.pc == (u64)reads_inside_fault,
	      "a fault inside");
	map(MAP_NORMAL | MAP_UXN);
	check(reads_inside((u64)data(), WINDOW) == 0, "without it");
}

static void code_inside(void)
{
	u64 (*function)(void) = (u64 (*)(void))rewritten;
	u32 old = *(volatile u32 *)rewritten;

	check(function() == 1, "before it is rewritten");
	check(writes_code((u64)data(), (u64)rewritten, MOV_X0_2) < 10, "the sequence succeeds");
	check(function() == 2, "the code that was written inside runs");
	writes_code((u64)data(), (u64)rewritten, old);
	check(function() == 1, "and the old code again");
}

static void other_vector(void)
{
	const struct caught *caught = attempt(leaves, (u64)data(), 0, NULL);

	check(caught && caught->vector == VECTOR_SYNC_SP0 && EC(caught->frame.esr) == EC_UNKNOWN,
	      "an exception by another vector");
	((u64 (*)(void))other_function)();
}

static void breakpoint_registers(void)
{
	write_reg(dbgbvr0_el1, 0x1230UL);
	check(sees_breakpoint((u64)data(), 0x4560) == 0x1230, "a breakpoint register's value");
	check(read_reg(dbgbvr0_el1) == 0x4560, "and what was written to it");
	check((sees_stepping((u64)data(), 0) & 1) == 0, "nobody steps, as far as can be seen");
}

static void long_way(void)
{
	u64 attempts;

	if (!long_sequence)
		return;
	attempts = long_one((u64)data(), 0);
	value("attempts", attempts);
	check(attempts < 10, "a sequence that is too long");
}

/* All of a round that can be tried with interrupts, too. */
static void repeated(void)
{
	two_arms();
	page_border();
	long_way();
}

static void without_interrupts(void)
{
	repeated();
	if (single_attempts) {
		single();
		all_sizes();
		not_aligned();
		on_device();
		copy_on_write();
		clean_page();
		fault_inside();
		code_inside();
		breakpoint_registers();
	}
	other_vector();
}

static void wait_for_interrupt(void)
{
	flag = (volatile u32 *)data();
	*flag = 0;
	timer_at(read_reg(cntvct_el0) + read_reg(cntfrq_el0) / 100);
	irq_unmask();
	spin((u64)flag, 0);
	irq_mask();
	flag = NULL;
}

static void count(void)
{
	for (u64 i = 0; i < counted; i++)
		count_up((u64)&counter, 0);
}

void secondary_main(u64 index)
{
	(void)index;
	store_release(&arrived, 1);
	count();
	store_release(&done, 1);
	for (;;)
		asm volatile("wfi");
}

static void contend(void)
{
	bool alone = smp_start(1) != 0;

	while (!alone && !load_acquire(&arrived))
		;
	irq_unmask();
	count();
	while (!alone && !load_acquire(&done))
		;
	irq_mask();
	report(counter == counted * (alone ? 1 : 2), "counted %lu", counter);
}

void guest_main(void)
{
	mmu_on();
	map(MAP_NORMAL | MAP_UXN);
	gic_init();
	gic_enable(INTID_VIRTUAL_TIMER);
	ready("armed");
	for (u64 i = 0; i < rounds; i++)
		without_interrupts();
	ready("rounds");
	wait_for_interrupt();
	ready("waited");
	if (interrupts)
		timer_at(0);
	contend();
	irq_unmask();
	for (u64 i = 0; interrupts && i < rounds; i++)
		repeated();
	irq_mask();
	timer_off();
	report(!wrong, "%lu wrong", wrong);
	value("taken", taken);
	ready("counted");
	finish();
}
