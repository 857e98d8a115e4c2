/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

	.arch	armv8-a
	.text

	.macro	load_regs
	ldp	x2, x3, [x0, #16]
	ldp	x4, x5, [x0, #32]
	ldp	x6, x7, [x0, #48]
	ldp	x8, x9, [x0, #64]
	ldp	x10, x11, [x0, #80]
	ldp	x12, x13, [x0, #96]
	ldp	x14, x15, [x0, #112]
	ldp	x0, x1, [x0]
	.endm

/* In: x0 struct regs, x1 code, which may change x0 to x15. Out: the same structure. */
	.global	call_regs
call_regs:
	stp	x29, x30, [sp, #-32]!
	stp	x19, x20, [sp, #16]
	mov	x19, x0
	mov	x20, sp
	mov	x16, x1
	ldr	x17, [x0, #REGS_SP]
	cbz	x17, 1f
	mov	sp, x17
1:	ldr	x17, [x0, #REGS_NZCV]
	msr	nzcv, x17
	load_regs
	blr	x16
	stp	x0, x1, [x19]
	mov	x0, sp
	mov	sp, x20
	stp	x2, x3, [x19, #16]
	stp	x4, x5, [x19, #32]
	stp	x6, x7, [x19, #48]
	stp	x8, x9, [x19, #64]
	stp	x10, x11, [x19, #80]
	stp	x12, x13, [x19, #96]
	stp	x14, x15, [x19, #112]
	str	x0, [x19, #REGS_SP]
	mrs	x0, nzcv
	str	x0, [x19, #REGS_NZCV]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #32
	ret

/* In: x0 struct regs, x1 code; PSTATE in enter_pstate by vCPU. Interrupts wait until the exception return. */
	.global	enter_regs
enter_regs:
	msr	daifset, #2
	mrs	x2, tpidr_el1
	ldr	x2, [x2, #16]
	adrp	x3, enter_pstate
	add	x3, x3, :lo12:enter_pstate
	ldr	x3, [x3, x2, lsl #3]
	msr	elr_el1, x1
	msr	spsr_el1, x3
	load_regs
	eret
