/* SPDX-License-Identifier: Apache-2.0 */

#ifndef SV_REG_UL_H
#define SV_REG_UL_H

/*
 * Constants that C and the assembler share. C needs the suffix (a mask without it is 32 bits wide,
 * and its complement wipes the upper half of a register); the assembler does not know it.
 */
#ifdef __ASSEMBLER__
#define REG_UL(value) value
#define REG_U(value) value
#else
#define REG_UL(value) value##UL
#define REG_U(value) value##U
#endif

#endif /* SV_REG_UL_H */
