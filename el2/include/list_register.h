/* SPDX-License-Identifier: Apache-2.0 */
/* ICH_LR<n>_EL2 by number (a system register's number is part of the instruction). */
#ifndef SV_LIST_REGISTER_H
#define SV_LIST_REGISTER_H

#include "types.h"
#include "vcpu.h"

#define LR_VIRTUAL_MASK 0xffffffffUL
#define LR_PHYSICAL_SHIFT 32
#define LR_PRIORITY_SHIFT 48
#define LR_GROUP1 (1UL << 60)
#define LR_HW (1UL << 61)
#define LR_PENDING (1UL << 62)
#define LR_ACTIVE (1UL << 63)
#define LR_STATE_MASK (3UL << 62)

u64 list_register_read(u32 n);
void list_register_write(u32 n, u64 value);

/* An interrupt as the value of a list register, pending, and back. */
u64 list_register_value(struct virq irq);
struct virq list_register_virq(u64 value);

#endif
