/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox.h"

#include "answer.h"
#include "brk.h"
#include "event.h"
#include "kick.h"
#include "lock.h"
#include "memory.h"
#include "monitor.h"
#include "own_step.h"
#include "program.h"
#include "shadow.h"
#include "sysreg.h"
#include "tracer.h"
#include "user_tables.h"

static struct lock lock;
static u64 last_command;

#define MAX_PROBES (SV_COMMANDS_SIZE / sizeof(struct sv_probe_descriptor))

static const struct sv_probe_descriptor *bulk_argument(void)
{
	return (const struct sv_probe_descriptor *)(region_base() + SV_COMMANDS_OFFSET);
}

static u32 command_ping(struct vcpu *v)
{
	control()->results[0] = v->index;
	return SV_STATUS_OK;
}

static u32 command_arm(struct vcpu *v)
{
	(void)v;
	if (control()->count > MAX_PROBES)
		return SV_STATUS_BAD_ARGUMENT;
	for (u32 i = 0; i < control()->count; i++)
		if (is_private_slot(bulk_argument()[i].slot))
			return SV_STATUS_BAD_SLOT;
	if (!brk_ready(bulk_argument(), control()->count))
		return SV_STATUS_NOT_READY;
	return shadow_arm(bulk_argument(), control()->count, &control()->failed_index);
}

static u32 command_disarm(struct vcpu *v)
{
	(void)v;
	if (control()->count > MAX_PROBES)
		return SV_STATUS_BAD_ARGUMENT;
	return shadow_disarm(bulk_argument(), control()->count, &control()->failed_index);
}

static u32 command_disarm_all(struct vcpu *v)
{
	(void)v;
	shadow_disarm_all();
	return SV_STATUS_OK;
}

static u32 command_read_cpu(struct vcpu *v)
{
	struct sv_cpu_registers *r = (struct sv_cpu_registers *)control()->results;

	for (u32 i = 0; i < 31; i++)
		r->x[i] = v->frame.x[i];
	r->pc = v->frame.pc;
	r->pstate = v->frame.pstate;
	r->sp_el0 = read_sysreg(sp_el0);
	r->sp_el1 = read_sysreg(sp_el1);
	r->ttbr0 = read_sysreg(ttbr0_el1);
	r->ttbr1 = read_sysreg(ttbr1_el1);
	r->tcr = read_sysreg(tcr_el1);
	r->sctlr = read_sysreg(sctlr_el1);
	r->vbar = read_sysreg(vbar_el1);
	r->mair = read_sysreg(mair_el1);
	r->vcpu = v->index;
	r->elr_el1 = read_sysreg(elr_el1);
	r->spsr_el1 = read_sysreg(spsr_el1);
	r->esr_el1 = read_sysreg(esr_el1);
	r->far_el1 = read_sysreg(far_el1);
	r->tpidr_el1 = read_sysreg(tpidr_el1);
	r->contextidr = read_sysreg(contextidr_el1);
	r->tpidr_el0 = read_sysreg(tpidr_el0);
	r->ticks = read_sysreg(cntpct_el0);
	return SV_STATUS_OK;
}

static u32 command_set_flags(struct vcpu *v)
{
	(void)v;
	__atomic_store_n(&control()->flags, (u32)control()->arguments[0], __ATOMIC_RELAXED);
	return SV_STATUS_OK;
}

static u32 command_resume(struct vcpu *v)
{
	monitor_set_unprobed(false);
	kick_others(v); /* Until their next exit they run on without probes. */
	return SV_STATUS_OK;
}

/* arguments: vCPU mask, events, synchronous ones of them, answer timeout in ms. */
static u32 command_set_events(struct vcpu *v)
{
	const u64 *argument = control()->arguments;

	(void)v;
	answer_set_timeout(control()->frequency / 1000 * argument[3]);
	for (u64 i = 0; i < control()->vcpus; i++)
		if (argument[0] & 1UL << i)
			event_enable(vcpu_table[i], (u32)argument[1], (u32)argument[2]);
	return SV_STATUS_OK;
}

/* arguments: vCPU mask, SV_ANSWER_STEPPING_*; each vCPU takes it up at its next exit. */
static u32 command_set_stepping(struct vcpu *v)
{
	const u64 *argument = control()->arguments;

	(void)v;
	if (argument[1] > SV_ANSWER_STEPPING_OFF)
		return SV_STATUS_BAD_ARGUMENT;
	for (u64 i = 0; i < control()->vcpus; i++)
		if (argument[0] & 1UL << i)
			__atomic_store_n(&vcpu_table[i]->wanted_stepping, (u32)argument[1],
					 __ATOMIC_RELEASE);
	if (argument[1] == SV_ANSWER_STEPPING_OFF)
		tracer_end(argument[0]);
	return SV_STATUS_OK;
}

/* arguments: options, until, until address, limit, offset of the task's name, pace; bulk: the name. */
static u32 command_configure_step(struct vcpu *v)
{
	const u64 *argument = control()->arguments;
	struct tracer_config config = {
		.options = (u32)argument[0],
		.until = (u32)argument[1],
		.until_address = argument[2],
		.limit = argument[3],
		.pace = argument[5],
		.task_offset = argument[4],
	};

	(void)v;
	memcpy(config.task_name, bulk_argument(), sizeof(config.task_name));
	tracer_configure(&config);
	return SV_STATUS_OK;
}

/* argument: what the routine computes from. results: its value stepped and run freely, and the trail. */
static u32 command_step_monitor(struct vcpu *v)
{
	const u64 room = sizeof(control()->results) / sizeof(control()->results[0]) - 2;

	(void)v;
	control()->results[0] = own_step_run(control()->arguments[0], &control()->results[2], room,
					     &control()->results[1]);
	return SV_STATUS_OK;
}

/* count: instructions; bulk: the instructions; argument: where they go. results: the program's number. */
static u32 command_load_program(struct vcpu *v)
{
	const struct sv_instruction *code = (const struct sv_instruction *)bulk_argument();
	u32 count = control()->count;

	(void)v;
	if (count > SV_MAX_PROGRAM)
		return SV_STATUS_BAD_PROGRAM;
	control()->results[0] = control()->arguments[0] + 1;
	return program_load(code, count, control()->arguments[0]);
}

static u32 command_unload_programs(struct vcpu *v)
{
	(void)v;
	if (control()->probes)
		return SV_STATUS_ALREADY_ARMED;
	program_unload_all();
	return SV_STATUS_OK;
}

/* argument: where a task keeps its TTBR0_EL1, 0 for nowhere. */
static u32 command_user_tables(struct vcpu *v)
{
	(void)v;
	user_tables_configure(control()->arguments[0]);
	return SV_STATUS_OK;
}

/* For the test of the panic path: a read of an address that EL2 does not map. */
static u32 command_crash(struct vcpu *v)
{
	(void)v;
	return *(volatile u32 *)region_base();
}

typedef u32 (*command_handler)(struct vcpu *v);

static const command_handler handlers[] = {
	[SV_COMMAND_PING] = command_ping,
	[SV_COMMAND_ARM] = command_arm,
	[SV_COMMAND_DISARM] = command_disarm,
	[SV_COMMAND_DISARM_ALL] = command_disarm_all,
	[SV_COMMAND_READ_CPU] = command_read_cpu,
	[SV_COMMAND_SET_FLAGS] = command_set_flags,
	[SV_COMMAND_RESUME] = command_resume,
	[SV_COMMAND_CRASH] = command_crash,
	[SV_COMMAND_SET_EVENTS] = command_set_events,
	[SV_COMMAND_SET_STEPPING] = command_set_stepping,
	[SV_COMMAND_CONFIGURE_STEP] = command_configure_step,
	[SV_COMMAND_STEP_MONITOR] = command_step_monitor,
	[SV_COMMAND_LOAD_PROGRAM] = command_load_program,
	[SV_COMMAND_UNLOAD_PROGRAMS] = command_unload_programs,
	[SV_COMMAND_USER_TABLES] = command_user_tables,
};

static u32 carry_out(struct vcpu *v, u32 opcode)
{
	if (opcode >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[opcode])
		return SV_STATUS_BAD_COMMAND;
	return handlers[opcode](v);
}

static bool pending(void)
{
	return __atomic_load_n(&control()->request, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&control()->answer, __ATOMIC_RELAXED);
}

void mailbox_poll(struct vcpu *v)
{
	/* A vCPU that waits here for long does not come to the end of its exit. */
	event_take_up(v);
	/* Another vCPU that holds the lock is doing the work. */
	if (!pending() || !lock_try(&lock))
		return;
	if (pending()) {
		u64 request = control()->request;

		control()->failed_index = 0;
		control()->status = carry_out(v, control()->opcode);
		__atomic_store_n(&last_command, read_sysreg(cntpct_el0), __ATOMIC_RELAXED);
		__atomic_store_n(&control()->answer, request, __ATOMIC_RELEASE);
	}
	lock_release(&lock);
}

u64 mailbox_idle_ticks(void)
{
	return read_sysreg(cntpct_el0) - __atomic_load_n(&last_command, __ATOMIC_RELAXED);
}
