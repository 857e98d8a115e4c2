/* SPDX-License-Identifier: Apache-2.0 */
/* The task that a vCPU runs, as Linux keeps it: SP_EL0 points to it while the kernel runs. */
#ifndef SV_TASK_H
#define SV_TASK_H

#include "types.h"
#include "vcpu.h"

#define TASK_NAME_SIZE 16

/* Where the running task's structure is; 0 at EL0, where SP_EL0 is the program's stack pointer. */
u64 task_current(const struct vcpu *v);

/* Whether its name, `offset` bytes in that structure, is `name`. What follows the zero that ends a name is ignored. */
bool task_is_named(const struct vcpu *v, u64 offset, const u8 name[TASK_NAME_SIZE]);

#endif
