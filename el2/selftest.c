/* SPDX-License-Identifier: Apache-2.0 */
#include "selftest.h"

#include "arch_gen.h"
#include "gic.h"
#include "guest_state.h"
#include "monitor.h"
#include "panic.h"
#include "stage2.h"
#include "sysreg.h"
#include "vgic.h"

u64 selftest_enter(struct vcpu *v);
void selftest_leave(struct vcpu *v, u64 result) __attribute__((noreturn));

extern u8 stub_smc[], stub_step[], stub_load[], stub_wait[];

#define EXIT_KIND_SHIFT 32

void selftest_exit(struct vcpu *v, u64 kind, u64 esr)
{
	selftest_leave(v, kind << EXIT_KIND_SHIFT | (esr & 0xffffffff));
}

/* Runs stub code at EL1 until its first exit. */
static u64 run(struct vcpu *v, const u8 *code)
{
	u64 exit;

	guest_state_enter_at(v, (u64)code, 0);
	v->resume_kind = 1;
	exit = selftest_enter(v);
	v->resume_kind = 0;
	return exit;
}

static bool exited_with_class(u64 exit, u64 class)
{
	return exit >> EXIT_KIND_SHIFT == SELFTEST_SYNC && FIELD(exit, ESR_ELx_EC) == class;
}

static bool check_smc(struct vcpu *v)
{
	return exited_with_class(run(v, stub_smc), EC_SMC64) && v->frame.pc == (u64)stub_smc;
}

static bool check_step(struct vcpu *v)
{
	u64 exit;

	write_sysreg(mdcr_el2, mdcr_value_stepping());
	write_sysreg(mdscr_el1, MDSCR_EL1_SS);
	guest_state_enter_at(v, (u64)stub_step, 0);
	v->frame.pstate |= SPSR_ELx_SS;
	v->resume_kind = 1;
	exit = selftest_enter(v);
	v->resume_kind = 0;
	write_sysreg(mdscr_el1, 0);
	write_sysreg(mdcr_el2, mdcr_value(v));
	return exited_with_class(exit, EC_STEP_LOWER) &&
	       v->frame.pc == (u64)stub_step + INSTRUCTION_SIZE;
}

static bool check_stage2(struct vcpu *v)
{
	u64 exit = run(v, stub_load);

	return exited_with_class(exit, EC_DABT_LOWER) && v->frame.pc == (u64)stub_load;
}

static bool check_timer(struct vcpu *v)
{
	u64 exit, intid;

	if (!monitor_flag(SV_FLAG_SABOTAGE_TIMER))
		gic_timer_start(control()->frequency / 1000);
	exit = run(v, stub_wait);
	if (exit >> EXIT_KIND_SHIFT != SELFTEST_IRQ)
		return false;
	intid = read_sysreg(icc_iar1_el1);
	gic_timer_stop(); /* After the acknowledgement: a level that falls is no interrupt any more. */
	write_sysreg(icc_eoir1_el1, intid);
	write_sysreg(icc_dir_el1, intid);
	return intid == INTID_EL2_TIMER;
}

void selftest_run(struct vcpu *v)
{
	stage2_select_stub();
	stage2_flush();
	if (!check_smc(v))
		fail(SV_FAILURE_SMC_TRAP, "SMC does not trap to EL2 (HCR_EL2.TSC)");
	if (!check_step(v))
		fail(SV_FAILURE_SOFTWARE_STEP, "software step does not reach EL2 (MDCR_EL2.TDE)");
	if (!check_stage2(v))
		fail(SV_FAILURE_STAGE2_ABORT, "stage 2 does not abort (HCR_EL2.VM)");
	if (!check_timer(v))
		fail(SV_FAILURE_EL2_TIMER, "the EL2 timer does not interrupt (CNTHP, HCR_EL2.IMO)");
	stage2_select(v->view);
	stage2_flush();
	v->status->exits = 0; /* The guest has had none. */
}
