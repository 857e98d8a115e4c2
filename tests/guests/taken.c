/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exception that the monitor gives to the guest begins as one that the core takes itself. PSTATE.DIT is left out:
 * the pseudocode TakeException leaves it alone, and so does the monitor, where QEMU clears it.
 */
#include "guest.h"

#define SPAN (1UL << 23)
#define DSSBS (1UL << 44)
#define SPINTMASK (1UL << 62)
#define FIELDS 5

#define PAN S3_0_C4_C2_3
#define UAO S3_0_C4_C2_4
#define ALLINT S3_0_C4_C3_0
#define SSBS S3_3_C4_C2_6
#define TCO S3_3_C4_C2_7

struct taken {
	u64 daif, esr, pstate;
	u64 fields[FIELDS];
};

static const char *const names[FIELDS] = { "PAN", "UAO", "ALLINT", "SSBS", "TCO" };
static struct taken taken;

static u64 id(u64 value, u64 shift)
{
	return value >> shift & 15;
}

#define PFR1 read_reg(id_aa64pfr1_el1)
#define HAS_PAN id(read_reg(id_aa64mmfr1_el1), 20)
#define HAS_UAO id(read_reg(s3_0_c0_c7_2), 4)
#define HAS_ALLINT id(PFR1, 36)
#define HAS_SSBS (id(PFR1, 4) >= 2)
#define HAS_TCO (id(PFR1, 8) >= 2)

#define NOTE(index, field)                                                                         \
	do {                                                                                       \
		if (HAS_##field)                                                                   \
			taken.fields[index] = read_reg(field);                                     \
	} while (0)
#define SET(field, value)                                                                          \
	do {                                                                                       \
		if (HAS_##field)                                                                   \
			write_reg(field, value);                                                   \
	} while (0)

bool on_exception(u64 vector, struct frame *frame)
{
	if (vector != VECTOR_SYNC_EL1 || EC(frame->esr) != EC_UNKNOWN)
		return false;
	taken = (struct taken){ read_reg(daif), frame->esr, frame->pstate, { 0 } };
	NOTE(0, PAN);
	NOTE(1, UAO);
	NOTE(2, ALLINT);
	NOTE(3, SSBS);
	NOTE(4, TCO);
	frame->pc += 4;
	return true;
}

static void prepare(bool set)
{
	u64 all = set ? ~0UL : 0;

	SET(PAN, all & 1UL << 22);
	SET(UAO, all & 1UL << 23);
	SET(SSBS, all & 1UL << 12);
	SET(TCO, all & 1UL << 25);
}

static void compare(u64 sctlr, bool set)
{
	struct taken own;

	write_reg(sctlr_el1, SCTLR_ON | sctlr);
	isb();
	prepare(set);
	asm volatile("udf #0" ::: "memory");
	own = taken;
	prepare(set);
	asm volatile("hvc #0" ::: "memory"); /* Undefined, as nobody listens. */
	report(own.daif == taken.daif && own.esr == taken.esr && own.pstate == taken.pstate,
	       "SCTLR_EL1 bits 0x%lx, PSTATE bits %s: PSTATE 0x%lx, by the core 0x%lx", sctlr,
	       set ? "set" : "clear", taken.pstate, own.pstate);
	for (u32 i = 0; i < FIELDS; i++)
		report(own.fields[i] == taken.fields[i], "%s: 0x%lx, by the core 0x%lx", names[i],
		       taken.fields[i], own.fields[i]);
}

void guest_main(void)
{
	static const u64 sctlr[] = { 0, SPAN, DSSBS, SPINTMASK };

	mmu_on();
	for (u32 i = 0; i < sizeof(sctlr) / sizeof(sctlr[0]); i++) {
		compare(sctlr[i], false);
		compare(sctlr[i], true);
	}
	finish();
}
