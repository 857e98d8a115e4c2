/* SPDX-License-Identifier: Apache-2.0 */
/* System register accesses of the guest that trap. */
#include "arch_gen.h"
#include "debug_registers.h"
#include "kick.h"
#include "sysreg.h"
#include "trap.h"
#include "vgic.h"

#define KEY_MASK (~(ISS_SYSREG_RT_MASK | ISS_SYSREG_READ) & ESR_ELx_ISS_MASK)

static enum trap_result read_register(struct vcpu *v, u32 key, u32 target)
{
	u64 value = vcpu_register(v, target);

	if (!debug_register_read(v, key, &value))
		return TRAP_UNDEFINED;
	vcpu_set_register(v, target, value);
	return TRAP_EMULATED;
}

static enum trap_result write_register(struct vcpu *v, u32 key, u64 value)
{
	switch (key) {
	/* Affinities are physical: the guest's SGI is the physical SGI, which comes back as interrupt. */
	case ISS_SYSREG_ICC_SGI1R_EL1:
		kick_note_guest_sgi(v, value);
		write_sysreg(icc_sgi1r_el1, value);
		return TRAP_EMULATED;
	case ISS_SYSREG_ICC_DIR_EL1:
		vgic_deactivate(v, (u32)(value & ICC_IAR1_EL1_INTID_MASK));
		return TRAP_EMULATED;
	case ISS_SYSREG_ICC_SGI0R_EL1:
		write_sysreg(icc_sgi0r_el1, value);
		return TRAP_EMULATED;
	case ISS_SYSREG_ICC_ASGI1R_EL1:
		write_sysreg(icc_asgi1r_el1, value);
		return TRAP_EMULATED;
	}
	return debug_register_write(v, key, value) ? TRAP_EMULATED : TRAP_UNDEFINED;
}

enum trap_result trap_sysreg(struct vcpu *v, u64 esr)
{
	u32 key = (u32)(esr & KEY_MASK);
	u32 target = (u32)FIELD(esr, ISS_SYSREG_RT);

	if (vgic_look_at_levels(v, key))
		return TRAP_RETRY;
	if (esr & ISS_SYSREG_READ)
		return read_register(v, key, target);
	return write_register(v, key, vcpu_register(v, target));
}
