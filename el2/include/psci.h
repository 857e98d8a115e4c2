/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's firmware calls. Known ones are forwarded; those that start or stop cores lead through the
 * monitor. The firmware believes that the monitor asks, so a call that it does not know could let the guest's
 * code run at EL2: it is answered here, as one that does not exist.
 */
#ifndef SV_PSCI_H
#define SV_PSCI_H

#include "trap.h"
#include "vcpu.h"

/* Function identifiers (Arm DEN 0022, "Functions"). Bit 30 set: the 64-bit form. */
#define PSCI_VERSION 0x84000000U
#define PSCI_CPU_SUSPEND 0x84000001U
#define PSCI_CPU_OFF 0x84000002U
#define PSCI_CPU_ON 0x84000003U
#define PSCI_AFFINITY_INFO 0x84000004U
#define PSCI_MIGRATE 0x84000005U
#define PSCI_MIGRATE_INFO_TYPE 0x84000006U
#define PSCI_MIGRATE_INFO_UP_CPU 0x84000007U
#define PSCI_SYSTEM_OFF 0x84000008U
#define PSCI_SYSTEM_RESET 0x84000009U
#define PSCI_FEATURES 0x8400000aU
#define PSCI_SET_SUSPEND_MODE 0x8400000fU
#define PSCI_SYSTEM_RESET2 0x84000012U
#define SMCCC_64BIT 0x40000000U

/* Arm DEN 0028, "Arm Architecture Calls": what they concern is the core, not the caller. */
#define SMCCC_VERSION 0x80000000U
#define SMCCC_ARCH_FEATURES 0x80000001U
#define SMCCC_ARCH_SOC_ID 0x80000002U
#define SMCCC_ARCH_WORKAROUND_1 0x80008000U
#define SMCCC_ARCH_WORKAROUND_2 0x80007fffU
#define SMCCC_ARCH_WORKAROUND_3 0x80003fffU

/* Arm DEN 0098, "True Random Number Generator Firmware Interface": results in registers. */
#define TRNG_VERSION 0x84000050U
#define TRNG_FEATURES 0x84000051U
#define TRNG_GET_UUID 0x84000052U
#define TRNG_RND 0x84000053U

/* Whether this call may reach the firmware. All 64 bits of the identifier count. */
bool firmware_call_is_known(u64 function);

enum trap_result psci_call(struct vcpu *v, u64 esr);

/* The monitor's own: switches the machine off, does not return. */
void psci_system_off(void);

#endif
