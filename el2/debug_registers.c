/* SPDX-License-Identifier: Apache-2.0 */
#include "debug_registers.h"

#include "arch_gen.h"
#include "sysreg.h"

/* clang-format off */
/* Registers that the guest may have directly; the number is part of the instruction. */
#define EACH_INDEX(X, op2) \
	X(0, op2) X(1, op2) X(2, op2) X(3, op2) X(4, op2) X(5, op2) X(6, op2) X(7, op2) \
	X(8, op2) X(9, op2) X(10, op2) X(11, op2) X(12, op2) X(13, op2) X(14, op2) X(15, op2)

/* DBGBVR<n>, DBGBCR<n>, DBGWVR<n>, DBGWCR<n>: op0 2, op1 0, CRn 0, CRm n, op2 4 to 7. */
#define EACH_BREAKPOINT_REGISTER(X) \
	EACH_INDEX(X, 4) EACH_INDEX(X, 5) EACH_INDEX(X, 6) EACH_INDEX(X, 7)
#define BREAKPOINT_KEY(n, op2) (2U << 20 | (op2) << 17 | (n) << 1)

/* The debug communication channel among them: read, DBGDTRRX_EL0 is what DBGDTRTX_EL0 is written. */
#define EACH_WRITABLE(X) \
	X(OSECCR_EL1) X(DBGPRCR_EL1) X(DBGCLAIMSET_EL1) X(DBGCLAIMCLR_EL1) X(MDCCINT_EL1) \
	X(DBGDTR_EL0) X(DBGDTRRX_EL0) X(OSDTRRX_EL1) X(OSDTRTX_EL1)
#define EACH_READABLE(X) \
	EACH_WRITABLE(X) X(DBGAUTHSTATUS_EL1) X(MDRAR_EL1) X(MDCCSR_EL0)
/* clang-format on */

static bool read_hardware(u32 key, u64 *value)
{
	switch (key) {
#define READ_INDEXED(n, op2)                                                                       \
	case BREAKPOINT_KEY(n, op2):                                                               \
		read_sysreg_into(*value, S2_0_C0_C##n##_##op2);                                    \
		return true;
#define READ_NAMED(name)                                                                           \
	case ISS_SYSREG_##name:                                                                    \
		read_sysreg_into(*value, SYS_##name);                                              \
		return true;
		EACH_BREAKPOINT_REGISTER(READ_INDEXED)
		EACH_READABLE(READ_NAMED)
	}
	return false;
}

static bool write_hardware(u32 key, u64 value)
{
	switch (key) {
#define WRITE_INDEXED(n, op2)                                                                      \
	case BREAKPOINT_KEY(n, op2):                                                               \
		write_sysreg(S2_0_C0_C##n##_##op2, value);                                         \
		return true;
#define WRITE_NAMED(name)                                                                          \
	case ISS_SYSREG_##name:                                                                    \
		write_sysreg(SYS_##name, value);                                                   \
		return true;
		EACH_BREAKPOINT_REGISTER(WRITE_INDEXED)
		EACH_WRITABLE(WRITE_NAMED)
	}
	return false;
}

bool debug_register_read(const struct vcpu *v, u32 key, u64 *value)
{
	bool stepping = v->step.mode != STEP_NONE;
	u64 lock = v->step.guest_os_lock ? OSLSR_EL1_OSLK : 0;

	switch (key) {
	case ISS_SYSREG_MDSCR_EL1:
		*value = stepping ? v->step.guest_mdscr : read_sysreg(mdscr_el1);
		return true;
	case ISS_SYSREG_OSLSR_EL1:
		*value = read_sysreg(oslsr_el1);
		if (stepping)
			*value = (*value & ~OSLSR_EL1_OSLK) | lock;
		return true;
	case ISS_SYSREG_OSDLR_EL1:
		*value = stepping ? v->step.guest_osdlr : read_sysreg(osdlr_el1);
		return true;
	}
	return read_hardware(key, value);
}

bool debug_register_write(struct vcpu *v, u32 key, u64 value)
{
	bool stepping = v->step.mode != STEP_NONE;

	switch (key) {
	case ISS_SYSREG_MDSCR_EL1:
		v->step.guest_mdscr = value;
		if (!stepping) /* Else the next instruction is stepped by it. */
			write_sysreg(mdscr_el1, value);
		return true;
	case ISS_SYSREG_OSLAR_EL1:
		v->step.guest_os_lock = value & OSLAR_EL1_OSLK;
		if (!stepping)
			write_sysreg(oslar_el1, value);
		return true;
	case ISS_SYSREG_OSDLR_EL1:
		v->step.guest_osdlr = value & OSDLR_EL1_DLK;
		if (!stepping)
			write_sysreg(osdlr_el1, value);
		return true;
	}
	return write_hardware(key, value);
}
