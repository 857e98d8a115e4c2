/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vCPU: the guest's registers while the monitor runs, and what the monitor knows of it.
 *
 * TPIDR_EL2 points here. While the guest runs, SP_EL2 points to `frame`, the first member: the
 * exception entry stores the registers there and C runs on the stack right below it.
 */
#ifndef SV_VCPU_H
#define SV_VCPU_H

#include "addr.h"
#include "types.h"
#include "wire_gen.h"

#define STACK_SIZE 16384
#define ZERO_REGISTER 31
#define INSTRUCTION_SIZE 4

/* The guest's registers as the exception entry saves them. */
struct frame {
	u64 x[31];
	u64 pc;
	u64 pstate;
	u64 reserved;
};

enum step_mode {
	STEP_NONE = 0,
	STEP_DISPLACED, /* the instruction under a probe, in the pristine view */
	STEP_DATA,   /* an access to a shadowed page, or a fetch through one; any view but PROBED */
	STEP_MASKED, /* one whose debug exception the guest masks */
	STEP_TRACE,  /* one of many, for a tracer */
	STEP_SEQUENCE, /* one of an exclusive sequence, until its store-exclusive */
};

#define NO_CODE_PAGE 1UL

enum exclusive_kind {
	EXCLUSIVE_NONE = 0,
	EXCLUSIVE_LOAD,
	EXCLUSIVE_STORE,
	EXCLUSIVE_CLEAR, /* what loses a reservation: CLREX, and going to another exception level */
};

/* An instruction that has to do with the exclusive monitor. */
struct exclusive_access {
	enum exclusive_kind kind;
	u8 size; /* bytes of one register */
	bool pair;
	bool uses_sp; /* `n` 31 is the stack pointer */
	u8 n;	      /* base register */
	u8 t, t2;     /* data */
	u8 s;	      /* status */
	u32 offset;
};

/* The software exclusive monitor (exclusive.h). */
struct exclusive {
	bool open; /* a reservation is there: */
	u32 size;
	u64 loaded_va;
	ipa_t address;
	u64 loaded[2]; /* as in memory */
	u32 deferrals; /* instructions since then before which an interrupt waited */
	u32 steps;     /* of STEP_SEQUENCE */
	u32 broken;    /* times in a row that the sequence at `broken_pc` was too long */
	u64 broken_pc;
	u64 pc;		 /* of the load-exclusive */
	u32 seeking;	 /* instructions that may be stepped until there is one */
	u64 exit_pc;	 /* an exit comes from there again and again, */
	u32 exits;	 /* so many times, */
	u32 other_exits; /* and so many others since */
	/* The instruction that is stepped, and what it needs of the state before. */
	struct exclusive_access access;
	u64 va;
	u64 data[2];
	u64 status;
	u64 pstate;
};

/* A software step in progress, from arming to the exception that ends it. */
struct step {
	enum step_mode mode;
	u32 word; /* the instruction */
	u32 set;  /* SV_INSTRUCTION_SET_* that it is of */
	u64 pc;
	u64 base;	      /* register operand of a branch to register, read before it runs */
	u64 unsigned_pointer; /* x30 and SP before a displaced PACIASP */
	u64 modifier;
	u64 mdscr;	    /* what MDSCR_EL1 holds */
	u64 guest_mdscr;    /* what the guest believes it holds */
	u64 guest_osdlr;    /* what it believes OSDLR_EL1 holds */
	bool guest_os_lock; /* what the guest believes OSLSR_EL1.OSLK holds */
	bool going;	    /* the instruction is about to run; clear once it is done */
	bool routine;	/* nothing but the instruction itself decides what comes after it (hot.h) */
	bool compact;	/* the stepping's last record has all registers, or follows such a one */
	bool late;	/* plan and base of `word` are not worked out yet */
	bool displaced; /* it is the one under a probe */
	bool patched;	/* the guest has put another instruction there */
	ipa_t place;	/* where the displaced one lies */
	bool guest_ss;	/* what the guest's PSTATE.SS would be */
	bool guest_debug_enabled; /* the guest's debug exceptions were, before the instruction */
	u64 virtual_serror;	  /* HCR_EL2.VSE, held back like an interrupt */
	bool masked;	 /* interrupts are held back by PSTATE, not by the virtual CPU interface */
	u64 guest_masks; /* PSTATE.A, I and F that the guest has then */
	u32 plan;	 /* SV_PLAN_* of a displaced instruction */
	struct exclusive exclusive;
	u32 dirty_pages; /* entries of `dirty` in use */
	ipa_t dirty[3];	 /* pages that this step may have written */
};

/* The instruction if it is an A64 one; else UDF #0, of which nothing special is known. */
static inline u32 a64_word(const struct step *step)
{
	return step->set == SV_INSTRUCTION_SET_A64 ? step->word : 0;
}

#define VGIC_QUEUE 1024
#define VGIC_WORDS (VGIC_QUEUE / 32)
#define VGIC_NESTING 64

struct virq {
	u16 intid;
	u8 priority;
	u8 group;
	bool hardware;
	bool level; /* pending for as long as its level is high */
};

/* Interrupts taken at EL2 that wait for a list register. */
struct vgic {
	u32 queued;
	u32 list_registers;
	bool held;	/* the virtual CPU interface is off */
	bool watching;	/* accesses to the group registers trap, for the sake of `levels` */
	bool let_pass;	/* but not the next one */
	u32 levels;	/* list registers with an interrupt whose level may fall, a bit each */
	bool unsettled; /* a list register or the queue may hold a pending interrupt */
	u32 stashed;
	struct virq stash[VGIC_NESTING]; /* handled by the guest, without a list register */
	u32 seen_groups;		 /* the guest's group switch as last acted on */
	bool asked;			 /* another vCPU left something in the next two */
	u32 disabled[VGIC_WORDS];	 /* interrupts to take back, which stay pending */
	u32 cleared[VGIC_WORDS];	 /* interrupts to take back for good */
	struct virq queue[VGIC_QUEUE];
};

struct vcpu {
	struct frame frame;
	u64 resume_context[13]; /* selftest_enter: x19-x30 and sp of the caller */
	u64 resume_kind;	/* nonzero while the self-test owns every exit */
	u64 index;
	u64 mpidr;
	struct sv_vcpu_status *status;
	struct sv_ring_index *ring;
	u8 *ring_data;
	u64 sequence;
	u64 unreported_loss;
	u64 ring_limit; /* head may grow to here without a look at the tail */
	u64 code_page;	/* kernel page whose content `code` is, for a tracer */
	const u32 *code;
	struct step step;
	struct tracer *tracer; /* steps this vCPU, NULL if none does */
	u32 wanted_stepping;   /* SV_ANSWER_STEPPING_*, set by a command for this vCPU to take up */
	bool debug_routed;     /* MDCR_EL2.TDE is set while this vCPU does not step */
	u32 events;	       /* bits 1 << SV_EVENT_* that are enabled */
	u32 synchronous;       /* those of them that wait for an answer */
	struct vgic vgic;
	bool pausing;	/* waits for the host, and has stopped the others */
	bool kicked;	/* an SGI of the monitor is on its way */
	bool guest_sgi; /* one of the guest with the same number is */
	u32 view;	/* SV_VIEW_* or VIEW_FETCH, which VTTBR_EL2 selects */
	bool unwatched; /* runs, or has run, in the open view without a step: what it wrote is not known */
	u32 free_view; /* SV_VIEW_* while it does not step, chosen by an answer */
	u64 entry;     /* PSCI CPU_ON: where the guest wants this vCPU to start */
	u64 context;
	u64 redistributor;
	u64 gicr_waker; /* what the guest believes GICR_WAKER holds */
};

extern struct vcpu *const vcpu_table[SV_MAX_VCPUS];

/* Prepares the memory of one vCPU. */
void vcpu_init(struct vcpu *v, u64 index);

/* The vCPU that runs this code. */
struct vcpu *vcpu_current(void);

/* General register `n` of the guest, where 31 is the zero register. */
static inline u64 vcpu_register(const struct vcpu *v, u32 n)
{
	return n < ZERO_REGISTER ? v->frame.x[n] : 0;
}

static inline void vcpu_set_register(struct vcpu *v, u32 n, u64 value)
{
	if (n < ZERO_REGISTER)
		v->frame.x[n] = value;
}

#endif
