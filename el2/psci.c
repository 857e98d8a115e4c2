/* SPDX-License-Identifier: Apache-2.0 */
#include "psci.h"

#include "event.h"
#include "gic.h"
#include "guest_state.h"
#include "host.h"
#include "monitor.h"
#include "pause.h"
#include "power.h"
#include "sysreg.h"
#include "tracer.h"
#include "vgic.h"

#define PSCI_NOT_SUPPORTED (-1L)
#define PSCI_INVALID_PARAMETERS (-2L)
#define PSCI_ALREADY_ON (-4L)
#define PSCI_ON_PENDING (-5L)
#define PSCI_INVALID_ADDRESS (-9L)
#define PSCI_SUSPEND_POWER_DOWN (1UL << 16)

#define MPIDR_AFFINITY 0xff00ffffffUL
#define SMC_REGISTERS 18

void smc_forward(u64 *registers);
extern u8 secondary_entry[];

/* An SMC leaves the guest's x18 and up alone (SMC Calling Convention). */
static void forward(struct vcpu *v)
{
	smc_forward(v->frame.x);
}

static struct vcpu *find_vcpu(u64 affinity)
{
	for (u64 i = 0; i < control()->vcpus; i++)
		if ((vcpu_table[i]->mpidr & MPIDR_AFFINITY) == (affinity & MPIDR_AFFINITY))
			return vcpu_table[i];
	return NULL;
}

static u64 power_on(struct vcpu *target, u64 affinity, u64 function)
{
	u64 registers[SMC_REGISTERS] = { function, affinity, (u64)secondary_entry, (u64)target };

	smc_forward(registers);
	return registers[0];
}

/* For a target that is off; or about to be, then the firmware knows better. */
static int64_t start(const struct vcpu *v, struct vcpu *target)
{
	target->entry = v->frame.x[2];
	target->context = v->frame.x[3];
	return (int64_t)power_on(target, v->frame.x[1], v->frame.x[0]);
}

/*
 * The target core enters the monitor first, which then enters the guest where it asked. With the lock: what the
 * firmware answers and what the monitor takes for the target's state are one step for everybody else, and the core
 * that starts waits for it in pause_join.
 */
static int64_t cpu_on(const struct vcpu *v)
{
	struct vcpu *target = find_vcpu(v->frame.x[1]);
	struct power_state *state;
	int64_t status;

	if (!target)
		return PSCI_INVALID_PARAMETERS;
	if (v->frame.x[2] & 3)
		return PSCI_INVALID_ADDRESS;
	state = power_take();
	switch (power_of(target)) {
	case POWER_ON:
		status = PSCI_ALREADY_ON;
		break;
	case POWER_STARTING:
		status = PSCI_ON_PENDING;
		break;
	default:
		status = start(v, target);
		if (!status)
			power_start(state, target->index);
	}
	power_release();
	return status;
}

static void cpu_off(struct vcpu *v)
{
	tracer_power_off(v);
	gic_timer_stop();
	vgic_give_back(v);
	v->status->online = 0;
	pause_leave(v);
	forward(v);
	/* Refused: the core goes on. */
	pause_join(v);
	v->status->online = 1;
	host_tick_start(v);
}

/* A core that powers down would come back without the monitor: standby is what the firmware may do instead. */
static void cpu_suspend(struct vcpu *v)
{
	u64 asked = v->frame.x[1];

	v->frame.x[1] = asked & ~PSCI_SUSPEND_POWER_DOWN;
	forward(v);
}

/* The host is told before, as the call does not return; where it does, it was refused, and nothing has changed. */
static void system_off(struct vcpu *v)
{
	u32 off = SV_STATE_OFF;
	u32 before = __atomic_exchange_n(&control()->state, off, __ATOMIC_ACQ_REL);

	forward(v);
	/* Another vCPU may have found the host gone meanwhile: that stands. */
	__atomic_compare_exchange_n(&control()->state, &off, before, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

/* What is not let through does not exist for the guest, whatever the firmware says of it. */
static void features(struct vcpu *v)
{
	if (firmware_call_is_known((u32)v->frame.x[1]))
		forward(v);
	else
		v->frame.x[0] = (u64)PSCI_NOT_SUPPORTED;
}

static void carry_out(struct vcpu *v)
{
	u64 function = v->frame.x[0];

	if (!firmware_call_is_known(function)) {
		v->frame.x[0] = (u64)PSCI_NOT_SUPPORTED;
		return;
	}
	switch (function & ~(u64)SMCCC_64BIT) {
	case PSCI_CPU_ON:
		v->frame.x[0] = (u64)cpu_on(v);
		break;
	case PSCI_CPU_OFF:
		cpu_off(v);
		break;
	case PSCI_CPU_SUSPEND:
		cpu_suspend(v);
		break;
	case PSCI_SYSTEM_OFF:
	case PSCI_SYSTEM_RESET:
	case PSCI_SYSTEM_RESET2:
		system_off(v);
		break;
	case PSCI_FEATURES:
	case SMCCC_ARCH_FEATURES:
		features(v);
		break;
	default:
		forward(v);
	}
}

enum trap_result psci_call(struct vcpu *v, u64 esr)
{
	u32 action = SV_ANSWER_ACTION_CONTINUE;
	u64 pc = v->frame.pc;

	v->status->psci_calls++;
	if (event_enabled(v, SV_EVENT_PRIVILEGED_CALL))
		action = event_report(v, SV_EVENT_PRIVILEGED_CALL, pc, esr);
	/* Where an answer sends the guest is where it is to be after the call. */
	if (v->frame.pc != pc)
		v->frame.pc -= INSTRUCTION_SIZE;
	if (action == SV_ANSWER_ACTION_DENY)
		v->frame.x[0] = (u64)PSCI_NOT_SUPPORTED;
	else if (action == SV_ANSWER_ACTION_CONTINUE)
		carry_out(v);
	return TRAP_EMULATED;
}

void psci_system_off(void)
{
	u64 registers[SMC_REGISTERS] = { PSCI_SYSTEM_OFF };

	smc_forward(registers);
}
