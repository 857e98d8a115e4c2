/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of the conformance suite: runs pieces of code freely, stepped and under probes, and compares what they left.
 *
 * The host writes cases into memory and raises `request` in the mailbox; the guest copies the instructions to its
 * code buffer (a hypervisor may not see a host's writes as code), runs each case twice from the same
 * state, and answers. Stepping begins at `stepped_start` and ends at `stepping_stop`: whoever steps plants
 * something there, once, and needs no further word with the host.
 *
 * For probes a batch of cases has its code in as many places (BATCH), all of it written before the first one runs; the
 * host plants its probes there when all have run without, and asks for a last run.
 *
 * Every run begins with an exception return to the case's first instruction, with all registers loaded, and ends
 * with an exception: the case's last instruction is an SVC. So PC and all of PSTATE are known at the end.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "guest.h"

#define STATE_X30 240
#define STATE_PC 256
#define STATE_ESR 272
#define STATE_SP_EL0 288
#define STATE_FPCR 304
#define STATE_Q 400
#define STATE_VECTOR 320
#define STATE_CONTEXTIDR 336
#define STATE_OSLSR 352
#define STATE_IRQS 360
#define STATE_IRQ_PC 368
#define STATE_IRQ_SAVE 384

#define SCRATCH_SIZE 4096
#define CODE_SIZE 8192 /* for one case at a time */
#define MAX_WORDS 64
/* Behind it, places for a batch of cases: room for a case anywhere in one, and some of them across two pages. */
#define BATCH 1024
#define BATCH_STRIDE 528
#define BATCH_OFFSET CODE_SIZE
#define BATCH_SIZE (BATCH * BATCH_STRIDE)
#define CODE_PAGES ((CODE_SIZE + BATCH_SIZE + 4095) / 4096)
#define LOG_ENTRIES 64

/* Flags of a case. */
#define CASE_IRQ 1	    /* an SGI is pending at its start */
#define CASE_OS_LOCK 2	    /* the OS lock is set */
#define CASE_DOUBLE_LOCK 16 /* the OS double lock is set */
#define CASE_DEBUGGER 8 /* the guest's debugger keeps the case going and a log of its exceptions */
#define CASE_DEBUG 4	/* debug registers are set, and cleared behind it */
#define CASE_NO_TAG_CHECKS 32 /* by SCTLR_EL1, while it runs */
#define CASE_ALIGNED 64	      /* likewise: all accesses, and the stack pointer, must be aligned */

/* Where pages of the arena are, in pages from ARENA; the others are not mapped. */
#define ARENA UL(0x80000000)
#define ARENA_READ_ONLY 0
#define ARENA_USER_READ_ONLY 1
#define ARENA_INVALID 2
#define ARENA_DEVICE 3
#define ARENA_NO_ACCESS_FLAG 4
#define ARENA_FAR 7	     /* an address that stage 2 does not map */
#define ARENA_TAGGED 8	     /* MTE */
#define ARENA_TAGGED_HERE 11 /* likewise, for EL1 alone: PAN may be set */
#define ARENA_FAR_CODE 12    /* as ARENA_FAR, executable */
/* All CODE_PAGES of the code buffer, for BTI. */
#define ARENA_GUARDED 32
#define ARENA_USER_GUARDED 192
/*
 * The scratch memory as cases know it, at USER_ALIAS for EL0: with nothing before and behind it, so that no
 * write-back leads a store to where something else is.
 */
#define ARENA_SCRATCH 400
/* The same for AArch32 code at EL0, which does not reach that alias. */
#define ARENA_SCRATCH_AARCH32 402

#ifndef __ASSEMBLER__

/* What a case starts from and what it leaves. */
struct machine_state {
	u64 x[31];
	u64 sp_el1;
	u64 pc;
	u64 pstate;
	u64 esr;
	u64 far;
	u64 sp_el0;
	u64 tpidr_el0;
	u64 fpcr;
	u64 fpsr;
	/* Only left, not started from. */
	u64 vector;
	u64 par;
	u64 contextidr;
	u64 mdscr;
	u64 oslsr;
	u64 irqs;
	u64 irq_pc;
	u64 irq_pstate;
	u64 irq_save[2];
	/* Both again. */
	u64 q[64];
};

struct test_case {
	u64 count;  /* instructions */
	u64 offset; /* of the first one in the code buffer */
	u64 flags;
	u64 seed; /* of the scratch memory */
	u64 mdscr;
	u64 breakpoint[2][2]; /* value, control */
	u64 watchpoint[2];
	u64 entry; /* the host's: index of the instruction where it starts */
	u64 reserved[4];
	u32 words[MAX_WORDS];
	struct machine_state start;
};

struct result {
	u64 difference; /* 0: none; else 1 + index of the first u64 that differs, memory behind the state */
	u64 native;
	u64 other; /* stepped, or under probes */
	u64 vector;
	u64 esr;
	u64 pc;
	u64 irqs;
	u64 irq_pstate; /* SPSR_EL1 of the last one */
};

struct mailbox {
	u64 request; /* raised by the host */
	u64 answer;  /* by the guest, when it has done that */
	u64 progress;
	u64 command;
	u64 arguments[6];
	u64 results[22];
};

enum { COMMAND_CASES = 1, COMMAND_SCENARIO, COMMAND_PROBED };

/* The first words of the image's data that the host looks for. */
#define DESCRIPTOR_MAGIC_0 UL(0x524f464e4f435653) /* "SVCONFOR" */
#define DESCRIPTOR_MAGIC_1 UL(0x31303045434e414d) /* "MANCE001" */

struct descriptor {
	u64 magic[2];
	u64 sizes[4]; /* struct test_case, result, machine_state, mailbox */
	u64 mailbox;
	u64 scratch; /* where it is mapped */
	u64 code;
	u64 start; /* where stepping is to begin, */
	u64 stop;  /* to end */
	u64 outcomes; /* two struct machine_state, each followed by the scratch memory: free, stepped */
	u64 outcome_stride;
	u64 call_start; /* the same two places for scenarios: functions */
	u64 call_stop;
	u64 reserved;
};

/* run.S */
void run_free(const struct machine_state *start);
void run_stepped(const struct machine_state *start);
extern u8 run_stepped_eret[], capture[], case_vectors[], debugger_vectors[];
extern u64 current_vectors, debugger_log; /* the vectors of a run, the next entry of the log */
void stepping_start(void);
void stepping_stop(void);

/* arena.c */
void arena_init(void);
/* Allocation tags of the scratch memory, where there are any: set from a seed; their checksum. */
void set_tags(u64 seed);
u64 sum_tags(void);
void check_tags(bool on);
void check_alignment(bool on);
extern u8 scratch[SCRATCH_SIZE];
extern u32 code_buffer[];

/* cases.c */
struct outcome {
	struct machine_state state;
	u64 memory[SCRATCH_SIZE / 8];
	u64 log[LOG_ENTRIES][2]; /* ELR_EL1 and ESR_EL1 of what the debugger saw */
	u64 breakpoints[4];	 /* the first two, value and control */
	u64 tags;		 /* a checksum of the scratch memory's */
	u64 reserved;
} __attribute__((aligned(16)));
extern struct outcome outcomes[2];
/* Freely and stepped. With `kept`, their code is in as many places, and stays; what they left freely is kept. */
void run_cases(const struct test_case *cases, u64 count, struct result *results,
	       struct outcome *kept);
/* Freely or stepped once more, now that somebody has put probes there, and compared with what was kept. */
void run_probed(const struct test_case *cases, u64 count, struct result *results,
		const struct outcome *kept, bool stepped);

/* main.c */
extern struct mailbox mailbox;

/* scenarios.c */
void run_scenario(u64 number, const u64 *arguments, u64 *results);

_Static_assert(__builtin_offsetof(struct machine_state, pc) == STATE_PC, "run.S's idea of it");
_Static_assert(__builtin_offsetof(struct machine_state, esr) == STATE_ESR, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, sp_el0) == STATE_SP_EL0, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, fpcr) == STATE_FPCR, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, q) == STATE_Q, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, vector) == STATE_VECTOR, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, contextidr) == STATE_CONTEXTIDR,
	       "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, oslsr) == STATE_OSLSR, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, irqs) == STATE_IRQS, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, irq_pc) == STATE_IRQ_PC, "likewise");
_Static_assert(__builtin_offsetof(struct machine_state, irq_save) == STATE_IRQ_SAVE, "likewise");

#endif
#endif
