/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up: the first core checks what it was given, proves the machine, and starts the guest. */
#include "arch_gen.h"
#include "event.h"
#include "gic.h"
#include "guest_state.h"
#include "host.h"
#include "lock.h"
#include "memory.h"
#include "monitor.h"
#include "panic.h"
#include "pause.h"
#include "ring.h"
#include "selftest.h"
#include "shadow.h"
#include "stage2.h"
#include "step.h"
#include "sysreg.h"
#include "tracer.h"
#include "vgic.h"

/* A vCPU and its stack: the stack ends where the frame begins. */
struct vcpu_memory {
	u8 stack[STACK_SIZE];
	struct vcpu vcpu;
} __attribute__((aligned(4096)));

static struct vcpu_memory memory[SV_MAX_VCPUS];

struct vcpu *const vcpu_table[SV_MAX_VCPUS] = {
	&memory[0].vcpu, &memory[1].vcpu, &memory[2].vcpu, &memory[3].vcpu,
	&memory[4].vcpu, &memory[5].vcpu, &memory[6].vcpu, &memory[7].vcpu,
};

void primary_main(void) __attribute__((noreturn));
void secondary_main(struct vcpu *v) __attribute__((noreturn));
void vcpu_start(struct vcpu *v) __attribute__((noreturn));

struct vcpu *vcpu_current(void)
{
	return (struct vcpu *)read_sysreg(tpidr_el2);
}

static u64 status_address(u64 index)
{
	return region_base() + SV_STATUS_OFFSET + index * sizeof(struct sv_vcpu_status);
}

static u64 ring_index_address(u64 index)
{
	return region_base() + SV_INDEX_OFFSET + index * sizeof(struct sv_ring_index);
}

/* QEMU's virt board, and most others, number Aff0 first; the guest's device tree says the same. */
static u64 mpidr_of(u64 index)
{
	return (read_sysreg(mpidr_el1) & ~0xffUL) | index;
}

void vcpu_init(struct vcpu *v, u64 index)
{
	v->index = index;
	v->mpidr = mpidr_of(index);
	v->status = (struct sv_vcpu_status *)status_address(index);
	v->ring = (struct sv_ring_index *)ring_index_address(index);
	v->ring_data = (u8 *)(region_base() + SV_RINGS_OFFSET + index * SV_RING_SIZE);
	v->view = SV_VIEW_PROBED;
	v->free_view = SV_VIEW_PROBED;
	v->gicr_waker = 2; /* ProcessorSleep, as after reset. */
}

static bool has_4k_stage2(void)
{
	u64 mmfr0 = read_sysreg(id_aa64mmfr0_el1);
	u64 stage2 = FIELD(mmfr0, ID_AA64MMFR0_EL1_TGRAN4_2);

	/* 0: as stage 1, where 15 means not implemented; 1: not implemented. */
	return stage2 == 0 ? FIELD(mmfr0, ID_AA64MMFR0_EL1_TGRAN4) != 15 : stage2 != 1;
}

static void check_parameters(void)
{
	const struct sv_control *c = control();

	if (c->host_magic != SV_CONTROL_MAGIC || c->host_abi != SV_ABI_HASH)
		fail(SV_FAILURE_ABI, "host and monitor are of different versions");
	if (c->ram_base != region_base() || c->ram_size <= SV_REGION_SIZE ||
	    c->ram_size % BLOCK_SIZE || c->vcpus < 1 || c->vcpus > SV_MAX_VCPUS)
		fail(SV_FAILURE_PARAMETERS, "boot parameters make no sense");
	if (!has_4k_stage2())
		fail(SV_FAILURE_GRANULE, "no 4 KiB pages at stage 2");
}

static void announce(void)
{
	control()->magic = SV_CONTROL_MAGIC;
	control()->abi = SV_ABI_HASH;
	control()->frequency = read_sysreg(cntfrq_el0);
	monitor_set_state(SV_STATE_BOOTING);
}

static void init_core(struct vcpu *v)
{
	guest_state_init(v);
	stage2_enable();
	if (!gic_init_core(v))
		fail(SV_FAILURE_GIC, "no redistributor for this core");
	vgic_init(v);
}

static void go_online(struct vcpu *v)
{
	pause_join(v);
	v->status->online = 1;
	host_tick_start(v);
}

void primary_main(void)
{
	struct vcpu *v = vcpu_table[0];

	announce();
	check_parameters();
	for (u64 i = 0; i < control()->vcpus; i++) {
		vcpu_init(vcpu_table[i], i);
		ring_prepare(vcpu_table[i]);
	}
	shadow_init();
	if (!stage2_build())
		fail(SV_FAILURE_PARAMETERS, "no memory for stage 2");
	gic_init_distributor();
	init_core(v);
	selftest_run(v);
	guest_state_enter_at(v, control()->guest_entry, control()->guest_argument);
	go_online(v);
	control()->start_ticks = read_sysreg(cntpct_el0);
	monitor_set_state(SV_STATE_RUNNING);
	if (monitor_flag(SV_FLAG_PAUSED)) {
		host_pause(v);
		control()->start_ticks = read_sysreg(cntpct_el0);
	}
	vcpu_start(v);
}

void secondary_main(struct vcpu *v)
{
	init_core(v);
	v->view = SV_VIEW_PROBED;
	guest_state_enter_at(v, v->entry, v->context);
	go_online(v);
	tracer_power_on(v);
	event_take_up(v);
	if (v->step.mode == STEP_NONE)
		step_select_free_view(v);
	vcpu_start(v);
}
