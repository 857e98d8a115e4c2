/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System register accessors.
 *
 * A register that the assembler knows only from a later architecture version is named by its
 * generated encoding (SYS_<name>), so that the monitor builds for Armv8.0 and decides at
 * run time, from the ID registers, what it may touch.
 */
#ifndef SV_SYSREG_H
#define SV_SYSREG_H

#include "types.h"

#define SYSREG_TEXT(name) #name

#define read_sysreg(name)                                                                          \
	({                                                                                         \
		u64 read_;                                                                         \
		asm volatile("mrs %0, " SYSREG_TEXT(name) : "=r"(read_)::"memory");                \
		read_;                                                                             \
	})

/* For a register that some core makes a NOP of: `variable` then keeps what it held. */
#define read_sysreg_into(variable, name)                                                           \
	asm volatile("mrs %0, " SYSREG_TEXT(name) : "+r"(variable)::"memory")

#define write_sysreg(name, value)                                                                  \
	do {                                                                                       \
		u64 written_ = (u64)(value);                                                       \
		asm volatile("msr " SYSREG_TEXT(name) ", %0" ::"r"(written_) : "memory");          \
	} while (0)

static inline void isb(void)
{
	asm volatile("isb" ::: "memory");
}

static inline void dsb_ish(void)
{
	asm volatile("dsb ish" ::: "memory");
}

static inline void dsb_ishst(void)
{
	asm volatile("dsb ishst" ::: "memory");
}

/* Field of a register: FIELD(value, ESR_ELx_EC) for a generated _MASK and _SHIFT pair. */
#define FIELD(value, name) (((value) & name##_MASK) >> name##_SHIFT)

#endif
