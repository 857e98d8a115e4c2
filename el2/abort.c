/* SPDX-License-Identifier: Apache-2.0 */
/* Stage-2 aborts: shadowed pages, emulated GIC registers, and addresses where there is nothing. */
#include "abort.h"
#include "aarch32.h"
#include "access_flag.h"
#include "arch_gen.h"
#include "brk.h"
#include "gic_mmio.h"
#include "guest_access.h"
#include "inject.h"
#include "monitor.h"
#include "shadow.h"
#include "stage2.h"
#include "step.h"
#include "sysreg.h"
#include "translate.h"
#include "trap.h"

#define FSC_TYPE 0x3cUL /* without the level */
#define FSC_TRANSLATION 0x04UL
#define FSC_PERMISSION 0x0cUL

static ipa_t fault_page(void)
{
	return ipa(FIELD(read_sysreg(hpfar_el2), HPFAR_EL2_FIPA) << 12);
}

static ipa_t fault_address(void)
{
	return ipa(fault_page().raw | (read_sysreg(far_el2) & PAGE_MASK));
}

static u64 load_from(ipa_t address, u64 size)
{
	const void *source = pa_to_pointer(ipa_identity(address));

	switch (size) {
	case 1:
		return *(const volatile u8 *)source;
	case 2:
		return *(const volatile u16 *)source;
	case 4:
		return *(const volatile u32 *)source;
	default:
		return *(const volatile u64 *)source;
	}
}

u64 abort_extend(u64 value, u64 size, u64 esr)
{
	u64 shift = 64 - 8 * size;

	if (esr & ISS_DABT_SSE)
		value = (u64)((int64_t)(value << shift) >> shift);
	return esr & ISS_DABT_SF ? value : (u32)value;
}

/*
 * An access that begins in the page before: what cannot be reached of it begins with this page, and that is what
 * FAR_EL2 says. An aligned one at the first address of a page looks the same.
 */
static bool may_begin_before(u64 address, u64 size)
{
	return !(address & PAGE_MASK) && size > 1;
}

/* A plain load of one register can be done here: one exit instead of two and a change of view. */
static bool can_emulate_load(const struct vcpu *v, u64 esr, u64 size)
{
	u64 debug = read_sysreg(mdscr_el1) & (MDSCR_EL1_SS | MDSCR_EL1_MDE);
	u64 address = fault_address().raw;

	return v->step.mode == STEP_NONE && (esr & ISS_DABT_ISV) &&
	       !(esr & (ISS_DABT_WnR | ISS_DABT_S1PTW | ISS_DABT_CM)) && !debug &&
	       !may_begin_before(address, size) &&
	       guest_access_is_plain(v->frame.pstate, address, size) &&
	       guest_ram_holds(address, size);
}

static enum trap_result access_shadowed(struct vcpu *v, u64 esr)
{
	u64 size = 1UL << FIELD(esr, ISS_DABT_SAS);

	if (can_emulate_load(v, esr, size)) {
		u64 value = abort_extend(load_from(fault_address(), size), size, esr);

		if (esr & ISS_DABT_AR)
			asm volatile("dmb ishld" ::: "memory"); /* Load-acquire. */
		vcpu_set_register(v, (u32)FIELD(esr, ISS_DABT_SRT), value);
		v->status->data_reads++;
		return TRAP_EMULATED;
	}
	/* A table walk that updates a descriptor says it writes, and so do cache operations. */
	step_data_access(v, fault_page(), (esr & ISS_DABT_WnR) != 0);
	return TRAP_RETRY;
}

static bool is_permission_fault(u64 esr)
{
	return (esr & FSC_TYPE) == FSC_PERMISSION;
}

/* The entry is there by now, or will be: another vCPU is between break and make. */
static bool is_passing(u64 esr)
{
	return (esr & FSC_TYPE) == FSC_TRANSLATION && stage2_reachable(fault_page());
}

static enum trap_result refuse(struct vcpu *v, u64 esr)
{
	inject_external_abort(v, esr);
	return TRAP_INJECTED;
}

enum trap_result trap_data_abort(struct vcpu *v, u64 esr)
{
	if (is_permission_fault(esr))
		/* No shadow any more: disarmed since, the access works now. */
		return shadow_exists(fault_page()) ? access_shadowed(v, esr) : TRAP_RETRY;
	if (is_passing(esr))
		return TRAP_RETRY;
	if (!(esr & ISS_DABT_S1PTW) && gic_mmio_access(v, fault_address(), esr))
		return TRAP_EMULATED;
	return refuse(v, esr);
}

/* Whether the fetch would get something that was planted, if it got anything. */
static bool is_planted_here(const struct vcpu *v)
{
	u64 size = instruction_set(v->frame.pstate) == SV_INSTRUCTION_SET_T32 ? 2 : 4;
	ipa_t address;

	return translate_guest(v->frame.pc, &address) && shadow_is_planted(address, size);
}

/*
 * A table walk of the fetch met a shadowed page. Whether the fetch is allowed, and what else comes before the
 * instruction, only the core can tell: it fetches again, in a view where walks can read shadows, what is planted.
 * Where nothing is, the instruction itself is run in PRISTINE.
 */
static void fetch_through_shadow(struct vcpu *v)
{
	ipa_t flag;

	if (v->view == SV_VIEW_PROBED && is_planted_here(v)) {
		if (access_sets_flag(v->frame.pc, &flag))
			shadow_refresh(v, flag);
		step_fetch(v);
		return;
	}
	/* The walk has to write to a table: in a view where none is planted. */
	if (v->view == VIEW_FETCH && hit_unfetched(v))
		return;
	step_data_access(v, fault_page(), v->view != SV_VIEW_PROBED);
}

static void fetch_shadowed(struct vcpu *v, u64 esr)
{
	if (esr & ISS_DABT_S1PTW)
		fetch_through_shadow(v);
	/* EL0, where SMCs stand. Until every vCPU would take a BRK to EL2, the fetch just faults again. */
	else if (brk_route(v))
		shadow_admit_user(fault_page());
}

enum trap_result trap_instruction_abort(struct vcpu *v, u64 esr)
{
	if (is_permission_fault(esr)) {
		if (shadow_exists(fault_page()))
			fetch_shadowed(v, esr);
		return TRAP_RETRY;
	}
	if (is_passing(esr))
		return TRAP_RETRY;
	return refuse(v, esr);
}
