/* SPDX-License-Identifier: Apache-2.0 */
#include "user_tables.h"

#include "arch_gen.h"
#include "guest_memory.h"
#include "sysreg.h"
#include "task.h"
#include "translate.h"
#include "vcpu.h"

#define UPPER_HALF (1UL << 55)
#define TTBR_ASID (0xffffUL << 48)
#define TTBR_CNP 1UL

static u64 saved_offset;

void user_tables_configure(u64 offset)
{
	__atomic_store_n(&saved_offset, offset, __ATOMIC_RELAXED);
}

/* What the kernel itself would put into TTBR0_EL1 to reach the program's memory. */
static bool saved_ttbr0(u64 *saved)
{
	u64 offset = __atomic_load_n(&saved_offset, __ATOMIC_RELAXED);
	u64 task = task_current(vcpu_current());

	if (!offset || !task)
		return false;
	/* A task's structure is the kernel's: a walk for it never needs these tables. */
	if (!((task + offset) & UPPER_HALF) ||
	    guest_memory_read(task + offset, saved, sizeof(*saved)) != sizeof(*saved))
		return false;
	return (*saved ^ read_sysreg(ttbr0_el1)) & ~(TTBR_ASID | TTBR_CNP);
}

/*
 * The ASID goes with the tables, wherever TCR_EL1.A1 says it is. The empty table may be used with any ASID, so it is in
 * place whenever that changes: nothing is ever cached for an ASID by another one's tables.
 */
bool user_tables_translate(u64 va, ipa_t *address)
{
	u64 kernels = read_sysreg(ttbr0_el1);
	u64 upper = read_sysreg(ttbr1_el1);
	bool in_upper = FIELD(read_sysreg(tcr_el1), TCR_EL1_A1);
	bool found;
	u64 saved;

	if ((va & UPPER_HALF) || !saved_ttbr0(&saved))
		return false;
	if (in_upper) {
		write_sysreg(ttbr1_el1, (upper & ~TTBR_ASID) | (saved & TTBR_ASID));
		isb();
	}
	write_sysreg(ttbr0_el1, saved);
	isb();
	found = translate_normal(va, address);
	write_sysreg(ttbr0_el1, kernels);
	isb();
	if (in_upper) {
		write_sysreg(ttbr1_el1, upper);
		isb();
	}
	return found;
}
