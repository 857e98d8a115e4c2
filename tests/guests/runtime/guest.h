/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime of the bare-metal payloads: what they all need of a machine, and nothing else.
 *
 * A payload defines guest_main. It speaks to the test on the console, one line at a time:
 *
 *   PASS: what          FAIL: what            one check
 *   VALUE: name 0x...                         a number that the test judges
 *   READY: name                               waits until the test has typed a byte
 *   SUMMARY: 3 passed, 0 failed               the last line; the machine goes off
 *
 * It runs at EL1 under the monitor, and just as well without: then it starts at EL2, leaves it for
 * good, and finds the same firmware behind its SMCs. That run is the oracle of many tests.
 */
#ifndef GUEST_H
#define GUEST_H

#ifdef __ASSEMBLER__
#define UL(value) value
#else
#define UL(value) value##UL
#endif

#define FRAME_SIZE 288
#define FRAME_SP 248
#define FRAME_PC 256
#define FRAME_ESR 272

#define STATE_SP 248
#define STATE_NZCV 256
#define STATE_DAIF 264

#define CPU_RECOVER_SP 0
#define CPU_STATE 8

#define MAX_CPUS 8
#define STACK_SIZE 16384

/* SCTLR_EL1: RES1 bits; with the MMU, and data and instruction caches. */
#define SCTLR_OFF UL(0x30d00800)
#define SCTLR_ON (SCTLR_OFF | 0x1005)

/* The same memory again for EL0: what is mapped for writing there is no code of EL1's. */
#define USER_ALIAS UL(0x80000000)

/* Descriptors of blocks and pages. */
#define MAP_NORMAL (UL(1) << 2 | UL(3) << 8 | MAP_ACCESSED) /* write-back, inner shareable */
#define MAP_USER (UL(1) << 6)
#define MAP_READ_ONLY (UL(1) << 7)
#define MAP_ACCESSED (UL(1) << 10)
#define MAP_NOT_GLOBAL (UL(1) << 11)
#define MAP_GUARDED (UL(1) << 50)
#define MAP_DIRTY_MODIFIER (UL(1) << 51)
#define MAP_PXN (UL(1) << 53)
#define MAP_UXN (UL(1) << 54)

#define VECTOR_SYNC_EL1 0x200
#define VECTOR_IRQ_EL1 0x280
#define VECTOR_SYNC_EL0 0x400
#define VECTOR_IRQ_EL0 0x480

#define DAIF_I 0x80
#define PSTATE_EL0 0x3c0
#define PSTATE_EL1H 0x3c5

#define EC(esr) ((esr) >> 26 & 63)
#define EC_UNKNOWN 0x00
#define EC_SVC64 0x15
#define EC_IABT_SAME 0x21
#define EC_DABT_SAME 0x25
#define FSC(esr) ((esr) & 63)
#define FSC_EXTERNAL_ABORT 0x10

#define INTID_VIRTUAL_TIMER 27
#define INTID_SPURIOUS 1023

#define UART_BASE UL(0x09000000)
#define GICD_BASE UL(0x08000000)
#define GICR_BASE UL(0x080a0000)
#define GICR_STRIDE UL(0x20000)
#define GICR_SGI UL(0x10000)
#define RAM_BASE UL(0x40000000)
#define GUEST_RAM_BASE UL(0x48000000)

#define PSCI_VERSION UL(0x84000000)
#define PSCI_CPU_OFF UL(0x84000002)
#define PSCI_CPU_ON UL(0xc4000003)
#define PSCI_AFFINITY_INFO UL(0xc4000004)
#define PSCI_SYSTEM_OFF UL(0x84000008)

#ifndef __ASSEMBLER__

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
#define bool _Bool
#define true 1
#define false 0
#define NULL ((void *)0)

#define STRING(x) #x
#define read_reg(name)                                                                             \
	({                                                                                         \
		u64 value_;                                                                        \
		asm volatile("mrs %0, " STRING(name) : "=r"(value_)::"memory");                    \
		value_;                                                                            \
	})
#define write_reg(name, value) asm volatile("msr " STRING(name) ", %0" ::"r"(value) : "memory")
#define isb() asm volatile("isb" ::: "memory")
#define dsb() asm volatile("dsb sy" ::: "memory")

/* Registers at an exception, as the vectors save them. */
struct frame {
	u64 x[31];
	u64 sp;
	u64 pc;
	u64 pstate;
	u64 esr;
	u64 far;
};

/* All that a piece of code can change in the general state, and the exception that ended it if one did. */
struct state {
	u64 x[31];
	u64 sp;
	u64 nzcv;
	u64 daif;
	u64 vector; /* 0: none */
	u64 pc;
	u64 pstate;
	u64 esr;
	u64 far;
};

struct caught {
	u64 count;
	u64 vector;
	struct frame frame;
};

/* TPIDR_EL1 points here. */
struct cpu {
	u64 recover_sp;	     /* where `protect` or `run_state` left its registers; 0: not inside */
	struct state *state; /* run_state's */
	u64 index;
	struct caught caught;
};

_Static_assert(sizeof(struct frame) == FRAME_SIZE, "the vectors' idea of struct frame");
_Static_assert(__builtin_offsetof(struct frame, sp) == FRAME_SP, "likewise");
_Static_assert(__builtin_offsetof(struct frame, pc) == FRAME_PC, "likewise");
_Static_assert(__builtin_offsetof(struct frame, esr) == FRAME_ESR, "likewise");
_Static_assert(__builtin_offsetof(struct state, sp) == STATE_SP, "likewise");
_Static_assert(__builtin_offsetof(struct state, nzcv) == STATE_NZCV, "likewise");
_Static_assert(__builtin_offsetof(struct state, daif) == STATE_DAIF, "likewise");
_Static_assert(__builtin_offsetof(struct cpu, recover_sp) == CPU_RECOVER_SP, "likewise");
_Static_assert(__builtin_offsetof(struct cpu, state) == CPU_STATE, "likewise");

/* A variable whose initial value the test may change in the image. */
#define PATCHED __attribute__((section(".data")))

/* The payload's. */
void guest_main(void);
void secondary_main(u64 index);	  /* CPUs that smp_start started; default: waits for ever */
void on_irq(struct frame *frame); /* default: fails */
bool on_exception(u64 vector, struct frame *frame); /* true: goes on as the frame says */

/* console.c */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
void value(const char *name, u64 number);
void ready(const char *name);
bool typed(void); /* whether the test has typed a byte; takes it */
void finish(void) __attribute__((noreturn));

/* entry.S: calls function(a, b); an exception in it ends the call. Whether there was none. */
bool protect(u64 (*function)(u64, u64), u64 a, u64 b);
/*
 * Loads `state`'s x0 to x30 and sp, goes to `code` with `pstate`, and stores what it finds at `state_capture`, where
 * the code must end, or at the exception that ended it. TPIDR_EL0 is clobbered.
 */
void run_state(struct state *state, u64 code, u64 pstate);
extern u8 state_capture[];

/* state.c: a state to start from, with x0 = address; and one check of many words. */
void state_prepare(struct state *state, u64 address);
void report_equal(const char *what, const char *name, const u64 *got, const u64 *want, u64 words);

/* trap.c */
struct cpu *this_cpu(void);
/* `protect`, and the exception that it caught; NULL for none. The function's result through `result`. */
const struct caught *attempt(u64 (*function)(u64, u64), u64 a, u64 b, u64 *result);

/*
 * mmu.c: tables for addresses of 39 bits, upper or lower. Patched by tests: `granule`, the log2 of a page's size (12, 14,
 * 16), and `physical_size`, as TCR_EL1.IPS has it.
 */
extern u64 granule, physical_size;
extern u64 *mmu_root;
u64 page_size(void);
u64 *new_table(void);
u64 *page_entry(u64 *root, u64 va); /* its descriptor; tables on the way are made */
void map_page(u64 *root, u64 va, u64 pa, u64 attributes); /* MAP_*; 0: invalid from now on */
void map_gigabyte(u64 *root, u64 va, u64 pa, u64 attributes);
void map_machine(u64 *root); /* what mmu_root has from the start */
void flush_tables(void);
void mmu_prepare(void);
void mmu_on(void);		     /* with mmu_root */
void mmu_use(u64 *root);	     /* with another root */
void mmu_upper(u64 *root, u64 more); /* the upper half, too; `more` bits of TCR_EL1 */
void mmu_off(void);

/* gic.c */
void gic_init(void);
void gic_set_priority(u32 intid, u8 priority);
void gic_enable(u32 intid);
void gic_send(u32 sgi, u32 target);
u32 gic_acknowledge(void);
void gic_end(u32 intid);
/* What tests give as times: units of 16 ns, whatever the counter's frequency. */
static inline u64 ticks_of(u64 units)
{
	return units * read_reg(cntfrq_el0) / 62500000;
}

void timer_at(u64 ticks);
void timer_off(void);
static inline void irq_unmask(void)
{
	asm volatile("msr daifclr, #2" ::: "memory");
}
static inline void irq_mask(void)
{
	asm volatile("msr daifset, #2" ::: "memory");
}

/* smp.c */
u64 smc(u64 function, u64 a, u64 b, u64 c);
u64 smp_start(u64 index);
void power_off(void) __attribute__((noreturn));

/* By the plain forms: a device emulated by a hypervisor, any hypervisor, is not told of the others. */
static inline u32 mmio_read(u64 address)
{
	u32 number;

	asm volatile("ldr %w0, [%1]" : "=r"(number) : "r"(address) : "memory");
	return number;
}

static inline void mmio_write(u64 address, u32 number)
{
	asm volatile("str %w0, [%1]" ::"r"(number), "r"(address) : "memory");
}

static inline void mmio_write8(u64 address, u8 number)
{
	asm volatile("strb %w0, [%1]" ::"r"(number), "r"(address) : "memory");
}

static inline void mmio_write64(u64 address, u64 number)
{
	asm volatile("str %0, [%1]" ::"r"(number), "r"(address) : "memory");
}

static inline u64 load_acquire(const u64 *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static inline void store_release(u64 *to, u64 number)
{
	__atomic_store_n(to, number, __ATOMIC_RELEASE);
}

#endif
#endif
