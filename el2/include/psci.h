/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's firmware calls. All are forwarded; those that start or stop cores lead through the monitor. */
#ifndef SV_PSCI_H
#define SV_PSCI_H

#include "trap.h"
#include "vcpu.h"

/* Function identifiers (Arm DEN 0022, "Functions"). Bit 30 set: the 64-bit form. */
#define PSCI_CPU_SUSPEND 0x84000001U
#define PSCI_CPU_OFF 0x84000002U
#define PSCI_CPU_ON 0x84000003U
#define PSCI_SYSTEM_OFF 0x84000008U
#define PSCI_SYSTEM_RESET 0x84000009U
#define PSCI_SYSTEM_RESET2 0x84000012U
#define PSCI_64BIT 0x40000000U

enum trap_result psci_call(struct vcpu *v, u64 esr);

/* The monitor's own: switches the machine off, does not return. */
void psci_system_off(void);

#endif
