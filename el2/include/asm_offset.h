/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves a marker in the compiler's assembly output that build.py turns into a #define. */
#ifndef SV_ASM_OFFSET_H
#define SV_ASM_OFFSET_H

#define ASM_OFFSET(name, value) asm volatile("\n.ascii \"->" #name " %c0\"" ::"i"(value))

#endif /* SV_ASM_OFFSET_H */
