/* SPDX-License-Identifier: Apache-2.0 */
#include "list_register.h"

#include "sysreg.h"

#define ALL_LIST_REGISTERS(X)                                                                      \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

u64 list_register_read(u32 n)
{
	switch (n) {
#define READ(i)                                                                                    \
	case i:                                                                                    \
		return read_sysreg(ich_lr##i##_el2);
		ALL_LIST_REGISTERS(READ)
	}
	return 0;
}

void list_register_write(u32 n, u64 value)
{
	switch (n) {
#define WRITE(i)                                                                                   \
	case i:                                                                                    \
		write_sysreg(ich_lr##i##_el2, value);                                              \
		break;
		ALL_LIST_REGISTERS(WRITE)
	}
}

u64 list_register_value(struct virq irq)
{
	u64 value = LR_PENDING | (u64)irq.priority << LR_PRIORITY_SHIFT | irq.intid;

	if (irq.group)
		value |= LR_GROUP1;
	if (irq.hardware)
		value |= LR_HW | (u64)irq.intid << LR_PHYSICAL_SHIFT;
	return value;
}

struct virq list_register_virq(u64 value)
{
	return (struct virq){
		.intid = (u16)(value & LR_VIRTUAL_MASK),
		.priority = (u8)(value >> LR_PRIORITY_SHIFT),
		.group = (value & LR_GROUP1) != 0,
		.hardware = (value & LR_HW) != 0,
	};
}
