/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracers: step a vCPU instruction after instruction and record each one.
 *
 * A tracer belongs to what it traces, not to a vCPU: when the guest takes an interrupt or calls a function
 * that the user asked to step over, the tracer steps aside and lets the guest run freely until the same
 * context (program counter and kernel stack) comes back, on whichever vCPU that is.
 *
 *   OFF --start--> STEPPING --interrupt, STEP_OVER--> AWAY --context is back--> STEPPING
 *    ^                |                                  |
 *    +--until, stop---+--------- its task ends ---------+
 */
#ifndef SV_TRACER_H
#define SV_TRACER_H

#include "slot.h"
#include "task.h"
#include "types.h"
#include "vcpu.h"

/* From CONFIGURE_STEP: how tracers that start from now on step, and until when. */
struct tracer_config {
	u32 options; /* SV_STEP_OPTION_* */
	u32 until;   /* SV_UNTIL_* */
	u64 until_address;
	u64 limit;	 /* instructions, 0 for no limit */
	u64 pace;	 /* instructions, besides one, before another interrupt is delivered */
	u64 task_offset; /* TASK: of the name in the task's structure */
	u8 task_name[TASK_NAME_SIZE];
};

enum tracer_state { TRACER_OFF = 0, TRACER_STEPPING, TRACER_AWAY };

struct tracer {
	u32 state; /* enum tracer_state */
	struct tracer_config config;
	u64 until_sp;
	u64 stepped;
	u64 last;    /* `stepped` with which it ends */
	u64 end_pc;  /* PC with which it may end; no address when there is none */
	u64 away_pc; /* AWAY: the context that is waited for */
	u64 away_sp;
	u64 vcpu; /* which vCPU it steps, or left */
	u64 away_since;
	u64 task;      /* AWAY, not bound: whose context it is, 0 if that is not known */
	bool bound;    /* steps a vCPU, whatever runs there; else one context, wherever that runs */
	bool unwanted; /* is to end, wherever it is found */
	bool quiet;    /* steps without records until this context is back; may go AWAY meanwhile */
	u64 quiet_pc;
	u64 quiet_sp;
	u64 mark;     /* `stepped` when the last interrupt was delivered, or its handler returned */
	u64 unseen;   /* quiet steps since then */
	u64 grace;    /* instructions from then on before another interrupt is delivered */
	u32 handlers; /* of interrupts that it has delivered and sees handled, inside each other */
};

/* Tracers that wait for their context to come back. */
extern u32 tracer_away_count;

/* A tracer steps this vCPU that records every instruction here. */
bool tracer_is_plain(const struct vcpu *v);

void tracer_configure(const struct tracer_config *config);

/* Starts or stops stepping this vCPU; both may be repeated. */
void tracer_start(struct vcpu *v);
void tracer_stop(struct vcpu *v);

/* Ends the tracers of these vCPUs (a bit each): those that are AWAY at once, the others at their next exit. */
void tracer_end(u64 vcpus);

/* A hit, before the displaced instruction runs; the slot's action is done if its program accepted. */
void tracer_hit(struct vcpu *v, const struct slot *slot, bool accepted);

/* A private slot was hit, where an AWAY tracer waits for its context; true if it came back. */
bool tracer_private_hit(struct vcpu *v, u32 index);

/* Whether a tracer that is bound to this vCPU waits for an interrupt to be handled there. */
bool tracer_is_away(const struct vcpu *v);

/* The vCPU is about to go off, and the context that runs on it ends with it. */
void tracer_power_off(struct vcpu *v);

/* The vCPU comes out of reset: goes on stepping if it was stepped when it went off. */
void tracer_power_on(struct vcpu *v);

/* Before entering the guest: goes on stepping, or delivers an interrupt first. */
void tracer_continue(struct vcpu *v);

/* One instruction is behind the guest; SV_OUTCOME_*. */
void tracer_stepped(struct vcpu *v, u32 outcome);

static inline bool is_private_slot(u32 index)
{
	return index >= SV_MAX_SLOTS - SV_PRIVATE_SLOTS;
}

#endif
