/* SPDX-License-Identifier: Apache-2.0 */
/* The EL2 registers that decide what the guest may do, and the state it starts in. */
#ifndef SV_GUEST_STATE_H
#define SV_GUEST_STATE_H

#include "types.h"
#include "vcpu.h"

/* HCR_EL2 and MDCR_EL2 while the guest runs freely. */
u64 hcr_value(void);
u64 mdcr_value(const struct vcpu *v);

/* Both of them with the bits that a software step adds. */
u64 hcr_value_stepping(void);
u64 mdcr_value_stepping(void);

/* Whether debug exceptions of this vCPU come to EL2 even while it does not step. */
bool debug_routing_wanted(const struct vcpu *v);

/* Sets all of them on this core. */
void guest_state_init(struct vcpu *v);

/* The state in which a core comes to EL1, by the boot protocol and by PSCI CPU_ON alike. */
void guest_state_enter_at(struct vcpu *v, u64 entry, u64 argument);

#endif
