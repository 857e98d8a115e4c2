/* SPDX-License-Identifier: Apache-2.0 */
#include "task.h"

#include "arch_gen.h"
#include "guest_memory.h"
#include "sysreg.h"

u64 task_current(const struct vcpu *v)
{
	return FIELD(v->frame.pstate, SPSR_ELx_M) == SPSR_ELx_M_EL1h ? read_sysreg(sp_el0) : 0;
}

bool task_is_named(const struct vcpu *v, u64 offset, const u8 name[TASK_NAME_SIZE])
{
	u64 task = task_current(v);
	u8 found[TASK_NAME_SIZE];
	u64 readable;

	if (!task)
		return false;
	readable = guest_memory_read(task + offset, found, sizeof(found));
	for (u64 i = 0; i < readable; i++) {
		if (found[i] != name[i])
			return false;
		if (!name[i])
			return true;
	}
	return readable == sizeof(found);
}
