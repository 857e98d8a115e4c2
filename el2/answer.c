/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include "aarch32.h"
#include "arch_gen.h"
#include "host.h"
#include "monitor.h"
#include "step.h"
#include "sysreg.h"

/* Positions in answer.registers after x0 to x30. */
enum {
	REGISTER_PC = 31,
	REGISTER_PSTATE,
	REGISTER_SP_EL0,
	REGISTER_SP_EL1,
	REGISTER_TTBR0,
	REGISTER_TTBR1,
	REGISTER_TCR,
	REGISTER_VBAR
};

/* What a guest's PSTATE may hold: flags, masks, EL1 or EL0 in AArch64 state; never SS, IL or EL2. */
#define PSTATE_SETTABLE                                                                            \
	(SPSR_ELx_N | SPSR_ELx_Z | SPSR_ELx_C | SPSR_ELx_V | SPSR_ELx_TCO | SPSR_ELx_DIT |         \
	 SPSR_ELx_UAO | SPSR_ELx_PAN | SPSR_ELx_SSBS | SPSR_ELx_BTYPE_MASK | SPSR_ELx_D |          \
	 SPSR_ELx_A | SPSR_ELx_I | SPSR_ELx_F)

/* The same in AArch32 state, which another answer does not leave either. */
#define PSTATE_SETTABLE_AARCH32                                                                    \
	(SPSR_AARCH32_N | SPSR_AARCH32_Z | SPSR_AARCH32_C | SPSR_AARCH32_V | SPSR_AARCH32_Q |      \
	 SPSR_AARCH32_IT_LOW_MASK | SPSR_AARCH32_IT_HIGH_MASK | SPSR_AARCH32_DIT |                 \
	 SPSR_AARCH32_SSBS | SPSR_AARCH32_GE_MASK | SPSR_AARCH32_E | SPSR_AARCH32_A |              \
	 SPSR_AARCH32_I | SPSR_AARCH32_F | SPSR_AARCH32_T)

static u64 timeout_ticks;

void answer_set_timeout(u64 ticks)
{
	__atomic_store_n(&timeout_ticks, ticks, __ATOMIC_RELAXED);
}

static struct sv_answer *answer_of(const struct vcpu *v)
{
	return (struct sv_answer *)(region_base() + SV_ANSWERS_OFFSET) + v->index;
}

/* Mode bits as they are now: an answer does not change the exception level. */
static u64 settable_pstate(const struct vcpu *v, u64 value)
{
	u64 settable = is_aarch32(v->frame.pstate) ? PSTATE_SETTABLE_AARCH32 : PSTATE_SETTABLE;

	return (v->frame.pstate & ~settable) | (value & settable);
}

static void set_system_register(u32 number, u64 value)
{
	switch (number) {
	case REGISTER_SP_EL0:
		write_sysreg(sp_el0, value);
		break;
	case REGISTER_SP_EL1:
		write_sysreg(sp_el1, value);
		break;
	case REGISTER_TTBR0:
		write_sysreg(ttbr0_el1, value);
		break;
	case REGISTER_TTBR1:
		write_sysreg(ttbr1_el1, value);
		break;
	case REGISTER_TCR:
		write_sysreg(tcr_el1, value);
		break;
	case REGISTER_VBAR:
		write_sysreg(vbar_el1, value);
		break;
	}
}

/* As by a direct branch, which leaves PSTATE.BTYPE clear; a PSTATE in the same answer is set after it. */
static void set_pc(struct vcpu *v, u64 value)
{
	if (value != v->frame.pc && !is_aarch32(v->frame.pstate))
		v->frame.pstate &= ~SPSR_ELx_BTYPE_MASK;
	v->frame.pc = value;
}

static void set_register(struct vcpu *v, u32 number, u64 value)
{
	if (number < 31)
		v->frame.x[number] = value;
	else if (number == REGISTER_PC)
		set_pc(v, value);
	else if (number == REGISTER_PSTATE)
		v->frame.pstate = settable_pstate(v, value);
	else
		set_system_register(number, value);
}

static void carry_out(struct vcpu *v, const struct sv_answer *answer)
{
	for (u32 i = 0; i <= REGISTER_VBAR; i++)
		if (answer->set_mask & 1UL << i)
			set_register(v, i, answer->registers[i]);
	if (answer->view == SV_VIEW_PROBED + 1 || answer->view == SV_VIEW_PRISTINE + 1)
		v->free_view = answer->view - 1;
	if (answer->stepping)
		__atomic_store_n(&v->wanted_stepping, answer->stepping, __ATOMIC_RELEASE);
}

static bool wait_for_sequence(struct vcpu *v, const struct sv_answer *answer, u64 sequence)
{
	u64 start = read_sysreg(cntpct_el0);
	u64 limit = __atomic_load_n(&timeout_ticks, __ATOMIC_RELAXED);
	bool answered;

	/* However long it takes: this vCPU waits alone, the others run on. */
	while (!(answered = __atomic_load_n(&answer->sequence, __ATOMIC_ACQUIRE) == sequence))
		if (!host_look(v) || read_sysreg(cntpct_el0) - start > limit)
			break;
	return answered;
}

u32 answer_wait(struct vcpu *v, u64 sequence)
{
	struct sv_answer *answer = answer_of(v);

	if (!wait_for_sequence(v, answer, sequence + 1)) {
		v->status->unanswered++;
		return SV_ANSWER_ACTION_CONTINUE;
	}
	carry_out(v, answer);
	return answer->action;
}
