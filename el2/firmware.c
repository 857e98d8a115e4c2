/* SPDX-License-Identifier: Apache-2.0 */
/* Which firmware calls of the guest are let through. */
#include "psci.h"

/* Both forms of a call, with 32-bit and with 64-bit arguments, where there are two. */
bool firmware_call_is_known(u64 function)
{
	switch (function & ~(u64)SMCCC_64BIT) {
	case PSCI_VERSION:
	case PSCI_CPU_OFF:
	case PSCI_MIGRATE_INFO_TYPE:
	case PSCI_SYSTEM_OFF:
	case PSCI_SYSTEM_RESET:
	case PSCI_FEATURES:
	case PSCI_SET_SUSPEND_MODE:
	case SMCCC_VERSION:
	case SMCCC_ARCH_FEATURES:
	case SMCCC_ARCH_WORKAROUND_1:
	case SMCCC_ARCH_WORKAROUND_2:
	case SMCCC_ARCH_WORKAROUND_3:
	case TRNG_VERSION:
	case TRNG_FEATURES:
	case TRNG_GET_UUID:
		return !(function & SMCCC_64BIT);
	case PSCI_CPU_SUSPEND:
	case PSCI_CPU_ON:
	case PSCI_AFFINITY_INFO:
	case PSCI_MIGRATE:
	case PSCI_MIGRATE_INFO_UP_CPU:
	case PSCI_SYSTEM_RESET2:
	case SMCCC_ARCH_SOC_ID:
	case TRNG_RND:
		return true;
	}
	return false;
}
