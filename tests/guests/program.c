/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hits with chosen registers. The test fills `cases` and `memory`, lets the payload go, and finds one hit of
 * program_site for each case.
 */
#include "guest.h"

#define CASES 64
#define REGISTERS 8

void program_call(const u64 *registers);

/* Written by the test while the payload waits. */
u64 cases[CASES][REGISTERS];
u64 memory[512] __attribute__((aligned(4096)));
PATCHED u64 rounds = 1;
PATCHED u64 repeats = 1; /* of all cases in a round */

void guest_main(void)
{
	mmu_on();
	for (u64 round = 0; round < *(volatile u64 *)&rounds; round++) {
		ready("round");
		for (u64 i = 0; i < *(volatile u64 *)&repeats; i++)
			for (u64 n = 0; n < CASES; n++)
				program_call(cases[n]);
	}
}
