/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance.h"

struct mailbox mailbox __attribute__((aligned(4096)));

PATCHED struct descriptor descriptor = {
	.magic = { DESCRIPTOR_MAGIC_0, DESCRIPTOR_MAGIC_1 },
	.sizes = { sizeof(struct test_case), sizeof(struct result), sizeof(struct machine_state),
		   sizeof(struct mailbox) },
	.mailbox = (u64)&mailbox,
	.scratch = ARENA + ARENA_SCRATCH * 4096,
	.code = (u64)code_buffer,
	.start = (u64)run_stepped_eret,
	.stop = (u64)capture,
	.outcomes = (u64)outcomes,
	.outcome_stride = sizeof(struct outcome),
	.call_start = (u64)stepping_start,
	.call_stop = (u64)stepping_stop,
};

/* Registers that say what this CPU can do. */
static void describe_cpu(u64 *to)
{
	to[0] = read_reg(midr_el1);
	to[1] = read_reg(id_aa64isar0_el1);
	to[2] = read_reg(id_aa64isar1_el1);
	to[3] = read_reg(S3_0_C0_C6_2); /* ID_AA64ISAR2_EL1 */
	to[4] = read_reg(id_aa64pfr0_el1);
	to[5] = read_reg(id_aa64pfr1_el1);
	to[6] = read_reg(id_aa64mmfr0_el1);
	to[7] = read_reg(id_aa64mmfr1_el1);
	to[8] = read_reg(S3_0_C0_C7_2); /* ID_AA64MMFR2_EL1 */
	to[9] = read_reg(id_aa64dfr0_el1);
	to[10] = read_reg(S3_0_C0_C4_4); /* ID_AA64ZFR0_EL1 */
}

static void carry_out(void)
{
	const u64 *argument = mailbox.arguments;

	if (mailbox.command == COMMAND_CASES)
		run_cases((const struct test_case *)argument[0], argument[1],
			  (struct result *)argument[2], (struct outcome *)argument[3]);
	else if (mailbox.command == COMMAND_PROBED)
		run_probed((const struct test_case *)argument[0], argument[1],
			   (struct result *)argument[2], (const struct outcome *)argument[3],
			   argument[4] != 0);
	else if (mailbox.command == COMMAND_SCENARIO)
		run_scenario(argument[0], argument + 1, mailbox.results);
}

/* WFI ends at the latest with the next tick of whoever runs us. */
static void wait_for(u64 request)
{
	while (load_acquire(&mailbox.request) != request)
		asm volatile("wfi" ::: "memory");
}

void guest_main(void)
{
	mmu_on();
	arena_init();
	gic_init();
	write_reg(oslar_el1, 0UL);
	isb();
	describe_cpu(mailbox.results);
	for (u64 request = 1;; request++) {
		store_release(&mailbox.answer, request);
		wait_for(request);
		carry_out();
	}
}
