/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include "arch_gen.h"
#include "branch.h"
#include "guest_state.h"
#include "inject.h"
#include "monitor.h"
#include "shadow.h"
#include "stage2.h"
#include "sysreg.h"
#include "trap.h"
#include "translate.h"
#include "vgic.h"

#define VECTORS_SIZE 0x800UL
#define VECTOR_SIZE 0x80UL

static void select_view(struct vcpu *v, u32 view)
{
	if (v->view == view)
		return;
	v->view = view;
	stage2_select(view);
}

void step_select_free_view(struct vcpu *v)
{
	select_view(v, monitor_unprobed() ? SV_VIEW_OPEN : SV_VIEW_PROBED);
}

/* The guest's debug state, as it is without us, is put aside. */
static void save_guest_debug(struct vcpu *v)
{
	struct step *step = &v->step;
	u64 mdscr = read_sysreg(mdscr_el1);

	step->guest_mdscr = mdscr;
	step->guest_stepping = (mdscr & MDSCR_EL1_SS) && (v->frame.pstate & SPSR_ELx_SS);
	step->guest_os_lock = (read_sysreg(oslsr_el1) & OSLSR_EL1_OSLK) != 0;
	if (step->guest_os_lock)
		write_sysreg(oslar_el1, 0); /* It would hold back our step exception. */
}

static void restore_guest_debug(struct vcpu *v)
{
	struct step *step = &v->step;

	write_sysreg(mdscr_el1, step->guest_mdscr);
	if (step->guest_os_lock)
		write_sysreg(oslar_el1, 1);
	/* If the guest steps, SS is clear as it would be now; if not, nothing of ours may stay. */
	v->frame.pstate &= ~SPSR_ELx_SS;
}

#define INTERRUPT_MASKS (SPSR_ELx_A | SPSR_ELx_I | SPSR_ELx_F)

/*
 * MRS and MSR of S3_0_C12: the CPU interface's registers, ISR_EL1. With the virtual interface off they would
 * read as if nothing were pending. None of them touches DAIF, so PSTATE can hold the interrupts back.
 */
static bool sees_interrupts(u32 word)
{
	return (word & 0xffdff000) == 0xd518c000;
}

static void hold_interrupts(struct vcpu *v)
{
	v->step.masked = sees_interrupts(v->step.word);
	if (monitor_flag(SV_FLAG_NO_HOLD_BACK))
		return;
	if (!v->step.masked) {
		vgic_hold();
		return;
	}
	v->step.guest_masks = v->frame.pstate & INTERRUPT_MASKS;
	v->frame.pstate |= INTERRUPT_MASKS;
}

static u64 unmask(const struct vcpu *v, u64 pstate)
{
	return (pstate & ~INTERRUPT_MASKS) | v->step.guest_masks;
}

/* `trapped`: the step went to a vector of EL1, and what was PSTATE is in SPSR_EL1 now. */
static void release_interrupts(struct vcpu *v, bool trapped)
{
	if (vgic_pending(v))
		v->status->held++;
	vgic_release();
	if (!v->step.masked || monitor_flag(SV_FLAG_NO_HOLD_BACK))
		return;
	if (trapped)
		write_sysreg(spsr_el1, unmask(v, read_sysreg(spsr_el1)));
	else
		v->frame.pstate = unmask(v, v->frame.pstate);
}

/* An exception that the step took to EL1 stored our SS bit where the guest can read it. */
static void clean_guest_spsr(const struct vcpu *v)
{
	if (!v->step.guest_stepping)
		write_sysreg(spsr_el1, read_sysreg(spsr_el1) & ~SPSR_ELx_SS);
}

static void arm(struct vcpu *v, enum step_mode mode, u32 view)
{
	v->step.mode = mode;
	v->step.pc = v->frame.pc;
	v->step.dirty_pages = 0;
	select_view(v, view);
	save_guest_debug(v);
	write_sysreg(mdcr_el2, mdcr_value_stepping());
	v->step.virtual_serror = read_sysreg(hcr_el2) & HCR_EL2_VSE;
	write_sysreg(hcr_el2, hcr_value_stepping());
	write_sysreg(mdscr_el1, v->step.guest_mdscr | MDSCR_EL1_SS);
	v->frame.pstate |= SPSR_ELx_SS;
	hold_interrupts(v);
}

static void disarm(struct vcpu *v)
{
	bool trapped = v->frame.pc != v->step.pc + INSTRUCTION_SIZE;

	v->step.mode = STEP_NONE;
	restore_guest_debug(v);
	write_sysreg(mdcr_el2, mdcr_value());
	write_sysreg(hcr_el2, hcr_value() | v->step.virtual_serror);
	release_interrupts(v, trapped);
	for (u32 i = 0; i < v->step.dirty_pages; i++)
		shadow_refresh(v, v->step.dirty[i]);
}

void step_displaced(struct vcpu *v, const struct slot *slot)
{
	v->step.word = slot->word;
	v->step.plan = slot->plan;
	v->step.base = branch_base(v, slot->word);
	arm(v, STEP_DISPLACED, SV_VIEW_PRISTINE);
}

static void note_dirty(struct vcpu *v, ipa_t page)
{
	if (v->step.dirty_pages < 2)
		v->step.dirty[v->step.dirty_pages++] = page;
}

/* An access that begins in one page may end in the next one. */
static void note_written_pages(struct vcpu *v, ipa_t page)
{
	u64 next_va = (read_sysreg(far_el2) & ~PAGE_MASK) + PAGE_SIZE;
	ipa_t next;

	note_dirty(v, page);
	if (translate_guest(next_va, &next) && shadow_exists(next))
		note_dirty(v, ipa_page(next));
}

void step_data_access(struct vcpu *v, ipa_t page, bool write)
{
	u32 view = write ? SV_VIEW_OPEN : SV_VIEW_PRISTINE;

	v->status->data_steps++;
	if (v->step.mode == STEP_NONE) {
		v->step.word = 0; /* It accesses memory, so it is none that needs special care. */
		arm(v, STEP_DATA, view);
	} else {
		select_view(v, view); /* The step under way goes on, its SPSR.SS untouched. */
	}
	if (write)
		note_written_pages(v, page);
}

enum arrival { ARRIVED_NEXT, ARRIVED_SYNC_VECTOR, ARRIVED_ASYNC_VECTOR, ARRIVED_ELSEWHERE };

static enum arrival arrival_of(const struct vcpu *v)
{
	u64 offset = v->frame.pc - read_sysreg(vbar_el1);
	bool vector = offset < VECTORS_SIZE && offset % VECTOR_SIZE == 0;

	if (branch_may_lead(&v->step, v->frame.pc) && v->step.plan != SV_PLAN_STEP_OTHER)
		return ARRIVED_NEXT;
	if (!vector)
		return v->step.plan == SV_PLAN_STEP_OTHER ? ARRIVED_NEXT : ARRIVED_ELSEWHERE;
	/* Each group of four vectors: synchronous, IRQ, FIQ, SError. */
	return offset / VECTOR_SIZE % 4 ? ARRIVED_ASYNC_VECTOR : ARRIVED_SYNC_VECTOR;
}

static void count_arrival(struct vcpu *v)
{
	v->status->steps++;
	switch (arrival_of(v)) {
	case ARRIVED_NEXT:
		break;
	case ARRIVED_SYNC_VECTOR:
		v->status->steps_to_vector++;
		break;
	case ARRIVED_ASYNC_VECTOR:
		v->status->derailed++;
		break;
	case ARRIVED_ELSEWHERE:
		v->status->astray++;
		break;
	}
}

void step_instruction_done(struct vcpu *v)
{
	if (v->step.mode == STEP_NONE)
		return;
	if (v->step.mode == STEP_DISPLACED)
		count_arrival(v);
	clean_guest_spsr(v);
	disarm(v);
}

enum trap_result trap_step(struct vcpu *v, u64 esr)
{
	(void)esr;
	/* Nothing of ours is armed: can only be a leftover of the guest's own making. */
	if (v->step.mode == STEP_NONE)
		return TRAP_RETRY;
	step_instruction_done(v);
	return TRAP_RETRY;
}

/* Breakpoints, watchpoints and BRKs of the guest come here only while we step: they are its own. */
enum trap_result trap_guest_debug(struct vcpu *v, u64 esr)
{
	inject_same(v, esr);
	return TRAP_INJECTED;
}

enum trap_result trap_wfx(struct vcpu *v, u64 esr)
{
	(void)v;
	(void)esr;
	/* Only while stepping: waiting may end at any time, so it ends now. */
	return TRAP_EMULATED;
}
