/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenes with more interrupts than list registers. Each prints in which order it took them: "+5" is the
 * start of the handler of INTID 5, "-5" its end. The same lines must come with and without the monitor.
 */
#include "guest.h"

#define SGIS 16
#define SPIS 4
#define FIRST_TEST_SPI 48
#define GICD_ISPENDR (GICD_BASE + 0x0200)
#define LOG_SIZE 128
#define NESTING 6
#define ALL_PRIORITIES 0xffUL
#define PATIENCE 16
#define POLLS 1000
#define ISR_I 0x80

enum scene_behaviour {
	PLAIN,
	RAISE_AGAIN, /* the first handler of SGI 3 raises SGI 3 twice */
	NEST,	     /* each handler raises the next, more urgent SGI, and lets it in */
};

static enum scene_behaviour behaviour;
static int record[LOG_SIZE];
static u64 recorded;
static u64 taken, ended;

static void note(int entry)
{
	if (recorded < LOG_SIZE)
		record[recorded++] = entry;
}

static void print_record(const char *scene)
{
	static char line[LOG_SIZE * 5];
	u64 length = 0;

	for (u64 i = 0; i < recorded; i++) {
		u32 intid = (u32)(record[i] < 0 ? -record[i] : record[i]) - 1;

		line[length++] = ' ';
		line[length++] = record[i] < 0 ? '-' : '+';
		if (intid >= 10)
			line[length++] = (char)('0' + intid / 10);
		line[length++] = (char)('0' + intid % 10);
	}
	line[length] = 0;
	print("SCENE: %s%s", scene, line);
	recorded = 0;
	taken = 0;
	ended = 0;
}

static void deactivate(u32 intid)
{
	write_reg(S3_0_C12_C11_1, (u64)intid); /* ICC_DIR_EL1 */
	isb();
}

/* The level of the timer falls, and the software-made pending state of an edge does by itself. */
static void silence(u32 intid)
{
	if (intid == INTID_VIRTUAL_TIMER)
		timer_off();
}

static void nest(u32 intid)
{
	if (intid + 1 >= NESTING)
		return;
	gic_send(intid + 1, 0);
	irq_unmask();
	/* Preempts here. */
	for (u64 start = read_reg(cntvct_el0); taken <= intid + 1;)
		if (read_reg(cntvct_el0) - start > read_reg(cntfrq_el0) / PATIENCE)
			break;
	irq_mask();
}

void on_irq(struct frame *frame)
{
	u64 pc = frame->pc, pstate = frame->pstate;
	u32 intid = gic_acknowledge();

	if (intid >= INTID_SPURIOUS - 3)
		return;
	note((int)intid + 1);
	__atomic_add_fetch(&taken, 1, __ATOMIC_RELEASE);
	silence(intid);
	if (behaviour == RAISE_AGAIN && intid == 3 && taken == 1) {
		gic_send(3, 0);
		gic_send(3, 0);
	}
	if (behaviour == NEST)
		nest(intid);
	gic_end(intid);
	note(-((int)intid + 1));
	__atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
	frame->pc = pc;
	frame->pstate = pstate;
}

/* Takes what is pending; ends when `count` handlers have run, or when nothing comes for 1/PATIENCE s. */
static void take(u64 count)
{
	u64 last = 0, start = read_reg(cntvct_el0);

	irq_unmask();
	while (load_acquire(&ended) < count) {
		u64 now = read_reg(cntvct_el0);

		if (load_acquire(&ended) != last) {
			last = load_acquire(&ended);
			start = now;
		}
		if (now - start > read_reg(cntfrq_el0) / PATIENCE)
			break;
	}
	irq_mask();
}

/* One more time for what must not come: nothing may, however long one waits. */
static void take_nothing_more(void)
{
	take(ended + 1);
}

static void set_priority_mask(u64 priority)
{
	write_reg(S3_0_C4_C6_0, priority);
	isb();
}

/* Distinct in the five bits that a CPU interface has at least, and in another order than the INTIDs. */
static void set_priorities(void)
{
	for (u32 i = 0; i < SGIS; i++)
		gic_set_priority(i, (u8)(i * 7 % SGIS * 0x10));
	gic_set_priority(INTID_VIRTUAL_TIMER, 0x78);
	for (u32 i = 0; i < SPIS; i++) {
		gic_set_priority(FIRST_TEST_SPI + i, (u8)(0xc8 - i * 0x40));
		gic_enable(FIRST_TEST_SPI + i);
	}
}

static void raise_all(void)
{
	for (u32 i = 0; i < SGIS; i++)
		gic_send(i, 0);
	timer_at(0);
	for (u32 i = 0; i < SPIS; i++)
		mmio_write(GICD_ISPENDR + FIRST_TEST_SPI / 32 * 4, 1U << (FIRST_TEST_SPI + i) % 32);
	dsb();
}

static void scene_all_at_once(void)
{
	raise_all();
	take(SGIS + 1 + SPIS);
	take_nothing_more();
	print_record("all-at-once");
}

/*
 * Taken without exceptions, as long as one is signalled: no gap may come between two of them, when the
 * first ones are done and the rest has waited elsewhere.
 */
static void scene_polled(void)
{
	u32 intid;

	raise_all();
	for (u32 polls = 0; polls < POLLS; polls++) {
		if (!(read_reg(isr_el1) & ISR_I))
			continue;
		intid = gic_acknowledge();
		silence(intid);
		gic_end(intid);
		note((int)intid + 1);
		polls = 0;
	}
	print_record("polled");
	take_nothing_more();
	print_record("after-polling");
}

static void scene_priority_mask(void)
{
	set_priority_mask(0x80);
	raise_all();
	/* 0x00 to 0x70 of the SGIs, the timer, and the two more urgent SPIs. */
	take(SGIS / 2 + 1 + SPIS / 2);
	take_nothing_more();
	print_record("urgent-half");
	set_priority_mask(ALL_PRIORITIES);
	take(SGIS / 2 + SPIS / 2);
	print_record("other-half");
}

static void scene_raise_again(void)
{
	behaviour = RAISE_AGAIN;
	gic_send(3, 0);
	take(2);
	take_nothing_more();
	behaviour = PLAIN;
	print_record("raise-again");
}

/* Pending twice is pending once. */
static void scene_merge(void)
{
	for (u32 i = 0; i < 3; i++)
		gic_send(9, 0);
	take(1);
	take_nothing_more();
	print_record("merge");
}

static void scene_nest(void)
{
	for (u32 i = 0; i < NESTING; i++)
		gic_set_priority(i, (u8)(0xf0 - i * 0x10));
	behaviour = NEST;
	gic_send(0, 0);
	take(NESTING);
	behaviour = PLAIN;
	set_priorities();
	print_record("nest");
}

/* Priority dropped at once, deactivation when all have come: all are active at a time. */
static void scene_all_active(void)
{
	write_reg(S3_0_C12_C12_4, 2UL); /* ICC_CTLR_EL1.EOImode */
	isb();
	for (u32 i = 0; i < NESTING; i++)
		gic_send(i, 0);
	take(NESTING);
	for (u32 i = 0; i < NESTING; i++)
		deactivate(i);
	print_record("all-active");
	take_nothing_more();
	for (u32 i = 0; i < NESTING; i++)
		deactivate(i);
	write_reg(S3_0_C12_C12_4, 0UL);
	isb();
	print_record("none-left");
}

/* An interrupt that has been raised, and is disabled before it could be taken. */
static void scene_disable(void)
{
	u64 sgis = GICR_BASE + GICR_SGI;

	gic_send(4, 0);
	mmio_write(sgis + 0x180, 1U << 4);
	dsb();
	take_nothing_more();
	print_record("disabled");
	mmio_write(sgis + 0x100, 1U << 4);
	dsb();
	take(1);
	print_record("enabled-again");
}

static void scene_clear(void)
{
	gic_send(4, 0);
	mmio_write(GICR_BASE + GICR_SGI + 0x280, 1U << 4);
	dsb();
	take_nothing_more();
	print_record("cleared");
}

/* The timer is off again before its interrupt could be taken. */
static void scene_level_falls(void)
{
	timer_at(0);
	timer_off();
	take_nothing_more();
	print_record("level-falls");
}

static void scene_group_off(void)
{
	gic_send(6, 0);
	mmio_write(GICD_BASE, 0x10);
	dsb();
	take_nothing_more();
	print_record("group-off");
	mmio_write(GICD_BASE, 0x12);
	dsb();
	take(1);
	print_record("group-on");
}

void guest_main(void)
{
	mmu_on();
	gic_init();
	set_priorities();
	scene_all_at_once();
	scene_polled();
	scene_priority_mask();
	scene_raise_again();
	scene_merge();
	scene_nest();
	scene_all_active();
	scene_disable();
	scene_clear();
	scene_level_falls();
	scene_group_off();
	/* Whatever happened before: the machinery still works. */
	scene_all_at_once();
	finish();
}
