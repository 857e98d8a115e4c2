/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the firmware whose answers do not depend on the other vCPUs. */
#include "fuzz.h"

#define PSCI_FEATURES 0x8400000aUL

static u64 self(void)
{
	return read_reg(mpidr_el1) & 0xff00ffffffUL;
}

void act_firmware(struct worker *w)
{
	const u64 calls[][3] = {
		{ PSCI_VERSION, 0, 0 },
		{ PSCI_VERSION | 1UL << 40, 0, 0 },
		{ PSCI_FEATURES, PSCI_CPU_ON, 0 },
		{ PSCI_FEATURES, 0x84000000 | below(w, 32), 0 },
		{ PSCI_FEATURES, draw(w), 0 },
		{ 0x84000006, 0, 0 }, /* MIGRATE_INFO_TYPE */
		{ 0x80000000, 0, 0 }, /* SMCCC_VERSION */
		{ PSCI_AFFINITY_INFO, self(), 0 },
		{ PSCI_AFFINITY_INFO, self(), 1 + below(w, 8) },
		{ PSCI_AFFINITY_INFO, 0x0badbad, 0 },
		{ PSCI_CPU_ON, self(), GUEST_RAM_BASE },
		{ PSCI_CPU_ON, draw(w) | 1UL << 33, GUEST_RAM_BASE },
		{ PSCI_CPU_OFF | 1UL << 32, 0, 0 },
		{ 0x84000099, draw(w), draw(w) },
		{ 0xc6000000, draw(w), draw(w) },
	};
	const u64 *call = calls[w->detail = below(w, sizeof(calls) / sizeof(calls[0]))];

	mix(w, smc(call[0], call[1], call[2], w->index));
}
