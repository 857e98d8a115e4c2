/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer.h"

#include "arch_gen.h"
#include "branch.h"
#include "brk.h"
#include "event.h"
#include "exclusive.h"
#include "host.h"
#include "inject.h"
#include "monitor.h"
#include "shadow.h"
#include "step.h"
#include "sysreg.h"
#include "task.h"
#include "translate.h"
#include "vgic.h"

#define MODE_EL0 0UL
#define NEVER                                                                                      \
	(~0UL) /* no number of steps, and no instruction's address: those are multiples of 4 */

/* The handler of an interrupt has that part of a second before something else may be stepped. */
#define AWAY_FRACTION 1000
/* Instructions that an interrupt may wait for after a handler. */
#define MOST_GRACE 16384
#define MOST_HANDLERS 8
#define INTERRUPT_MASKS (SPSR_ELx_I | SPSR_ELx_F)

static struct tracer tracers[SV_MAX_VCPUS];
static struct tracer_config config;
static bool started_once;
u32 tracer_away_count;

void tracer_configure(const struct tracer_config *wanted)
{
	config = *wanted;
	started_once = false;
}

static bool change_state(struct tracer *tracer, u32 from, u32 to)
{
	return __atomic_compare_exchange_n(&tracer->state, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static void release(struct tracer *tracer)
{
	__atomic_store_n(&tracer->state, TRACER_OFF, __ATOMIC_RELEASE);
}

static bool is_unwanted(const struct tracer *tracer)
{
	return __atomic_load_n(&tracer->unwanted, __ATOMIC_SEQ_CST);
}

static bool at_el0(const struct vcpu *v)
{
	return FIELD(v->frame.pstate, SPSR_ELx_M) == MODE_EL0;
}

static bool wants_record(const struct vcpu *v, const struct tracer *tracer)
{
	if (tracer->quiet || (tracer->config.options & SV_STEP_OPTION_SILENT))
		return false;
	return !at_el0(v) || (tracer->config.options & SV_STEP_OPTION_EL0);
}

bool tracer_is_plain(const struct vcpu *v)
{
	const struct tracer *tracer = v->tracer;

	if (!tracer || tracer->quiet)
		return false;
	return !at_el0(v) || (tracer->config.options & SV_STEP_OPTION_EL0);
}

static void record(struct vcpu *v, u32 outcome, u64 address, u32 set, u32 word)
{
	if (v->tracer && wants_record(v, v->tracer))
		event_single_step(v, outcome, address, set, word);
}

static void record_here(struct vcpu *v, u32 outcome)
{
	record(v, outcome, v->frame.pc, SV_INSTRUCTION_SET_A64, 0);
}

/* That stepping ends or pauses is told wherever the guest is then. */
static void record_end(struct vcpu *v, const struct tracer *tracer, u32 outcome)
{
	if (!(tracer->config.options & SV_STEP_OPTION_SILENT))
		event_single_step(v, outcome, v->frame.pc, SV_INSTRUCTION_SET_A64, 0);
}

/* Instructions since the last interrupt was delivered. */
static u64 since_interrupt(const struct tracer *tracer)
{
	return tracer->stepped - tracer->mark + tracer->unseen;
}

static void set_since(struct tracer *tracer, u64 instructions)
{
	tracer->mark = tracer->stepped - instructions;
	tracer->unseen = 0;
}

/*
 * A handler is over. What it interrupted gets as many instructions as it took before the next interrupt, up to
 * a bound: else a timer that is faster than its handler can be stepped is pending again whenever the handler
 * returns, and nothing but handlers would ever run.
 */
static void give_grace(struct tracer *tracer)
{
	u64 taken = since_interrupt(tracer);

	tracer->grace = taken < MOST_GRACE ? taken : MOST_GRACE;
	set_since(tracer, 0);
}

/*
 * Whether the instruction led out of such a handler: an exception return to where interrupts are not all masked. What a
 * handler returns from otherwise is an exception of its own.
 */
static bool ends_handler(const struct vcpu *v, struct tracer *tracer)
{
	bool masked = (v->frame.pstate & INTERRUPT_MASKS) == INTERRUPT_MASKS;

	if (!tracer->handlers || masked || !is_eret(a64_word(&v->step)))
		return false;
	tracer->handlers--;
	return true;
}

/* A handler that gives the vCPU to another task does not return: that many are kept in mind. */
static void note_handler(struct tracer *tracer)
{
	if (tracer->handlers < MOST_HANDLERS)
		tracer->handlers++;
}

static bool is_due(const struct tracer *tracer)
{
	u64 since = since_interrupt(tracer);

	return since > tracer->config.pace && since > tracer->grace;
}

static void start(struct vcpu *v, bool bound)
{
	for (u32 i = 0; i < SV_MAX_VCPUS && !v->tracer; i++) {
		struct tracer *tracer = &tracers[i];

		if (!change_state(tracer, TRACER_OFF, TRACER_STEPPING))
			continue;
		tracer->unwanted = false;
		tracer->vcpu = v->index;
		tracer->config = config;
		tracer->stepped = 0;
		tracer->bound = bound;
		tracer->quiet = false;
		tracer->grace = 0;
		tracer->handlers = 0;
		set_since(tracer, 1);
		tracer->until_sp = read_sysreg(sp_el1);
		tracer->last = config.limit ? config.limit : NEVER;
		tracer->end_pc = config.until == SV_UNTIL_NEVER	 ? NEVER :
				 config.until == SV_UNTIL_RETURN ? v->frame.x[30] :
								   config.until_address;
		v->tracer = tracer;
		record_here(v, SV_OUTCOME_STARTED);
	}
}

void tracer_start(struct vcpu *v)
{
	start(v, true);
}

static void end(struct vcpu *v, u32 outcome)
{
	struct tracer *tracer = v->tracer;

	record_end(v, tracer, outcome);
	v->tracer = NULL;
	release(tracer);
	step_trace_end(v);
}

void tracer_stop(struct vcpu *v)
{
	if (v->tracer)
		end(v, SV_OUTCOME_STOPPED);
}

static u32 private_slot(const struct tracer *tracer)
{
	return (u32)(SV_MAX_SLOTS - SV_PRIVATE_SLOTS + (u64)(tracer - tracers));
}

/*
 * Where an indirect branch leads, this one's or another's, an SMC is a Branch Target exception if the page is
 * guarded, which is not asked.
 */
static bool is_branched_to(const struct vcpu *v, u64 pc, u32 word)
{
	return is_landing_pad(word) ||
	       (pc == v->frame.pc && (v->frame.pstate & SPSR_ELx_BTYPE_MASK));
}

/* An SMC, or a BRK, where the context continues, so that any vCPU that gets there comes to EL2. */
static bool plant_return(struct vcpu *v, struct tracer *tracer, u64 pc)
{
	struct sv_probe_descriptor probe = { .va = pc, .slot = private_slot(tracer) };
	ipa_t address;
	u32 failed, status;

	if (!read_guest_instruction(pc, &probe.word, &address))
		return false;
	if (is_branched_to(v, pc, probe.word)) {
		/* Not before every vCPU takes it to EL2; until then the way back is stepped. */
		if (!brk_route(v))
			return false;
		probe.trap = SV_TRAP_BRK;
	}
	probe.ipa = address.raw;
	probe.plan = (u16)branch_plan(probe.word);
	status = shadow_arm(&probe, 1, &failed);
	/* A probe of the user's there does as well. */
	return status == SV_STATUS_OK || status == SV_STATUS_ALREADY_ARMED;
}

static void remove_return(const struct tracer *tracer)
{
	struct sv_probe_descriptor probe = { .slot = private_slot(tracer) };
	u32 failed;

	shadow_disarm(&probe, 1, &failed);
}

/* The caller has claimed it; nobody waits for its context any more. */
static void stop_waiting(struct tracer *tracer)
{
	__atomic_fetch_sub(&tracer_away_count, 1, __ATOMIC_RELAXED);
	remove_return(tracer);
}

/* Claimed as a vCPU would that comes back to it, then let go. */
static void cancel_away(struct tracer *tracer)
{
	if (!change_state(tracer, TRACER_AWAY, TRACER_STEPPING))
		return;
	stop_waiting(tracer);
	release(tracer);
}

/* Lets the guest run freely until it is back at `pc` with this stack. */
static bool go_away(struct vcpu *v, u64 pc)
{
	struct tracer *tracer = v->tracer;
	bool bound;

	if (at_el0(v) || !plant_return(v, tracer, pc))
		return false;
	tracer->away_pc = pc;
	tracer->away_sp = read_sysreg(sp_el1);
	tracer->away_since = read_sysreg(cntpct_el0);
	tracer->task = tracer->bound ? 0 : task_current(v);
	__atomic_fetch_add(&tracer_away_count, 1, __ATOMIC_RELAXED);
	v->tracer = NULL;
	step_trace_end(v);
	bound = tracer->bound;
	__atomic_store_n(&tracer->state, TRACER_AWAY, __ATOMIC_SEQ_CST);
	/* From here on another vCPU may have it. */
	if (bound)
		host_tick_start(v); /* Soon: the guest may go on with something else here. */
	/* It was to end, and has not been found AWAY. */
	if (is_unwanted(tracer))
		cancel_away(tracer);
	return true;
}

/* Steps on without records until the guest is back: where no SMC can be planted. */
static void go_quiet(struct vcpu *v)
{
	v->tracer->quiet = true;
	v->tracer->quiet_pc = v->frame.pc;
	v->tracer->quiet_sp = read_sysreg(sp_el1);
}

static bool is_back(const struct vcpu *v, const struct tracer *tracer)
{
	return v->frame.pc == tracer->away_pc && read_sysreg(sp_el1) == tracer->away_sp &&
	       (!tracer->bound || tracer->vcpu == v->index);
}

static void come_back(struct vcpu *v, struct tracer *tracer)
{
	stop_waiting(tracer);
	if (is_unwanted(tracer)) {
		release(tracer);
		return;
	}
	tracer->vcpu = v->index;
	set_since(tracer, 0);
	v->tracer = tracer;
	record_here(v, SV_OUTCOME_RESUMED);
}

void tracer_end(u64 vcpus)
{
	for (u32 i = 0; i < SV_MAX_VCPUS; i++) {
		struct tracer *tracer = &tracers[i];

		if (!(vcpus & 1UL << tracer->vcpu) ||
		    __atomic_load_n(&tracer->state, __ATOMIC_ACQUIRE) == TRACER_OFF)
			continue;
		__atomic_store_n(&tracer->unwanted, true, __ATOMIC_SEQ_CST);
		cancel_away(tracer);
	}
}

static bool resume_here(struct vcpu *v)
{
	if (!__atomic_load_n(&tracer_away_count, __ATOMIC_RELAXED) || v->tracer)
		return false;
	for (u32 i = 0; i < SV_MAX_VCPUS; i++) {
		struct tracer *tracer = &tracers[i];

		if (__atomic_load_n(&tracer->state, __ATOMIC_ACQUIRE) != TRACER_AWAY ||
		    !is_back(v, tracer))
			continue;
		if (change_state(tracer, TRACER_AWAY, TRACER_STEPPING)) {
			come_back(v, tracer);
			return true;
		}
	}
	return false;
}

static struct tracer *left_here(const struct vcpu *v)
{
	if (!__atomic_load_n(&tracer_away_count, __ATOMIC_RELAXED))
		return NULL;
	for (u32 i = 0; i < SV_MAX_VCPUS; i++)
		if (__atomic_load_n(&tracers[i].state, __ATOMIC_ACQUIRE) == TRACER_AWAY &&
		    tracers[i].bound && tracers[i].vcpu == v->index)
			return &tracers[i];
	return NULL;
}

bool tracer_is_away(const struct vcpu *v)
{
	return left_here(v) != NULL;
}

static bool is_in_handler(const struct vcpu *v)
{
	return (v->frame.pstate & (SPSR_ELx_I | SPSR_ELx_F)) || vgic_is_handling();
}

/* No interrupt is being handled any more, and the context that one was taken in does not go on: another task does. */
static void reclaim(struct vcpu *v)
{
	struct tracer *tracer = v->tracer ? NULL : left_here(v);

	if (!tracer || is_in_handler(v) ||
	    read_sysreg(cntpct_el0) - tracer->away_since < control()->frequency / AWAY_FRACTION)
		return;
	if (change_state(tracer, TRACER_AWAY, TRACER_STEPPING))
		come_back(v, tracer);
}

/* Ends those that wait for a context of `task` to come back: it never will. */
static void end_away(struct vcpu *v, u64 task, u32 outcome)
{
	if (!task || !__atomic_load_n(&tracer_away_count, __ATOMIC_RELAXED))
		return;
	for (u32 i = 0; i < SV_MAX_VCPUS; i++) {
		struct tracer *tracer = &tracers[i];

		if (__atomic_load_n(&tracer->state, __ATOMIC_ACQUIRE) != TRACER_AWAY ||
		    tracer->task != task || !change_state(tracer, TRACER_AWAY, TRACER_STEPPING))
			continue;
		stop_waiting(tracer);
		if (!is_unwanted(tracer))
			record_end(v, tracer, outcome);
		release(tracer);
	}
}

/* The context that runs here does not go on. A tracer of the vCPU stays. */
static void end_context(struct vcpu *v, u32 outcome)
{
	if (v->tracer && !v->tracer->bound)
		end(v, outcome);
	end_away(v, task_current(v), outcome);
}

void tracer_power_off(struct vcpu *v)
{
	const struct tracer *tracer;

	end_context(v, SV_OUTCOME_VCPU_OFF);
	tracer = v->tracer ? v->tracer : left_here(v);
	if (tracer)
		record_end(v, tracer, SV_OUTCOME_VCPU_OFF);
}

void tracer_power_on(struct vcpu *v)
{
	struct tracer *tracer = left_here(v);

	v->step = (struct step){ .mode = STEP_NONE };
	if (!v->tracer && tracer && change_state(tracer, TRACER_AWAY, TRACER_STEPPING)) {
		stop_waiting(tracer);
		v->tracer = tracer;
	}
	if (v->tracer) {
		v->tracer->quiet = false;
		set_since(v->tracer, 1);
		record_here(v, SV_OUTCOME_STARTED);
	}
	tracer_continue(v);
}

bool tracer_private_hit(struct vcpu *v, u32 index)
{
	(void)index;
	return resume_here(v);
}

static bool is_wanted_task(const struct vcpu *v)
{
	return !(config.options & SV_STEP_OPTION_TASK) ||
	       task_is_named(v, config.task_offset, config.task_name);
}

static void start_on_hit(struct vcpu *v)
{
	if (v->tracer || !is_wanted_task(v))
		return;
	if ((config.options & SV_STEP_OPTION_ONCE) &&
	    __atomic_exchange_n(&started_once, true, __ATOMIC_RELAXED))
		return;
	start(v, false);
}

void tracer_hit(struct vcpu *v, const struct slot *slot, bool accepted)
{
	resume_here(v);
	if (!accepted)
		return;
	switch (slot->action) {
	case SV_ACTION_STEP_START:
		start_on_hit(v);
		break;
	case SV_ACTION_STEP_STOP:
		tracer_stop(v);
		break;
	case SV_ACTION_STEP_OVER:
		if (v->tracer)
			go_away(v, v->frame.x[30]);
		break;
	case SV_ACTION_TASK_END:
		end_context(v, SV_OUTCOME_TASK_ENDED);
		break;
	case SV_ACTION_TASK_FREE:
		end_away(v, v->frame.x[0], SV_OUTCOME_TASK_ENDED);
		break;
	default:
		break;
	}
}

static bool is_finished(const struct vcpu *v, const struct tracer *tracer)
{
	if (tracer->stepped >= tracer->last)
		return true;
	if (v->frame.pc != tracer->end_pc)
		return false;
	return tracer->config.until == SV_UNTIL_ADDRESS || read_sysreg(sp_el1) == tracer->until_sp;
}

static bool quiet_is_over(const struct vcpu *v, const struct tracer *tracer)
{
	if (v->frame.pc == tracer->quiet_pc && read_sysreg(sp_el1) == tracer->quiet_sp)
		return true;
	/* Another task goes on here: in user code, or in kernel code long after the interrupt. */
	return tracer->bound &&
	       (at_el0(v) || (since_interrupt(tracer) > tracer->config.pace && !is_in_handler(v)));
}

void tracer_stepped(struct vcpu *v, u32 outcome)
{
	struct tracer *tracer = v->tracer;

	v->status->trace_steps++;
	if (tracer->quiet && quiet_is_over(v, tracer)) {
		/* The instruction that led back is none of those that are stepped. */
		tracer->quiet = false;
		give_grace(tracer);
		outcome = SV_OUTCOME_RESUMED;
	} else if (tracer->quiet) {
		tracer->unseen++;
	} else {
		tracer->stepped++;
		if (ends_handler(v, tracer))
			give_grace(tracer);
	}
	record(v, outcome, v->step.pc, v->step.set, v->step.word);
	if (v->tracer && !tracer->quiet && is_finished(v, tracer))
		tracer_stop(v);
}

/* Delivers a pending interrupt between two instructions; true if the tracer stepped aside for it. */
static bool take_interrupt(struct vcpu *v)
{
	struct tracer *tracer = v->tracer;
	u64 kind = vgic_deliverable(v);

	if (!kind || !is_due(tracer) || exclusive_holds_interrupts(v))
		return false;
	exclusive_clear(v);
	tracer->grace = 0;
	set_since(tracer, 0);
	if (!tracer->quiet && !(tracer->config.options & SV_STEP_OPTION_INTERRUPTS)) {
		if (go_away(v, v->frame.pc))
			return true;
		go_quiet(v);
	}
	if (kind == INJECT_SERROR)
		v->step.virtual_serror = 0;
	inject_interrupt(v, kind);
	if (!tracer->quiet)
		note_handler(tracer);
	record_here(v, SV_OUTCOME_INTERRUPT);
	return false;
}

static void take_up_wanted(struct vcpu *v)
{
	u32 wanted = __atomic_exchange_n(&v->wanted_stepping, SV_ANSWER_STEPPING_AS_IS,
					 __ATOMIC_ACQ_REL);

	if (wanted == SV_ANSWER_STEPPING_ON)
		tracer_start(v);
	else if (wanted == SV_ANSWER_STEPPING_OFF)
		tracer_stop(v);
}

void tracer_continue(struct vcpu *v)
{
	/* In the middle of a step: an exit that has nothing to do with it. */
	if (v->step.mode != STEP_NONE && v->step.going)
		return;
	take_up_wanted(v);
	reclaim(v);
	if (!v->tracer || take_interrupt(v))
		return;
	if (step_guest_step_due(v))
		record_here(v, SV_OUTCOME_EXCEPTION);
	if (v->tracer)
		step_trace(v);
}
