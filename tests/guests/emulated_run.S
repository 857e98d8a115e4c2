/* SPDX-License-Identifier: Apache-2.0 */
/* Into a case by an exception return, and out of it by an exception. Neither uses the stack of the case. */
#include "emulated.h"

	.arch	armv8-a

	.text
	.balign	4096
	.global	run_case
run_case:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mov	x10, sp
	adrp	x9, saved
	add	x9, x9, :lo12:saved
	mrs	x11, vbar_el1
	stp	x10, x11, [x9]
	mrs	x9, tpidr_el1
	str	x1, [x9, #CPU_STATE]
	adrp	x9, case_vectors
	add	x9, x9, :lo12:case_vectors
	msr	vbar_el1, x9
	ldp	x1, x2, [x0, #START_PC]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldr	x1, [x0, #START_SP_EL0]
	msr	sp_el0, x1
	msr	far_el1, xzr
	msr	esr_el1, xzr
	isb
	ldp	x30, x1, [x0, #START_X30]
	mov	sp, x1
	ldp	x28, x29, [x0, #224]
	ldp	x26, x27, [x0, #208]
	ldp	x24, x25, [x0, #192]
	ldp	x22, x23, [x0, #176]
	ldp	x20, x21, [x0, #160]
	ldp	x18, x19, [x0, #144]
	ldp	x16, x17, [x0, #128]
	ldp	x14, x15, [x0, #112]
	ldp	x12, x13, [x0, #96]
	ldp	x10, x11, [x0, #80]
	ldp	x8, x9, [x0, #64]
	ldp	x6, x7, [x0, #48]
	ldp	x4, x5, [x0, #32]
	ldp	x2, x3, [x0, #16]
	ldp	x0, x1, [x0]
	eret
	dsb	nsh
	isb

/* In: x0 the outcome, where x1 is stored already; x1 the vector; TPIDRRO_EL0 the case's x0. */
capture:
	stp	x2, x3, [x0, #16]
	stp	x4, x5, [x0, #32]
	stp	x6, x7, [x0, #48]
	stp	x8, x9, [x0, #64]
	stp	x10, x11, [x0, #80]
	stp	x12, x13, [x0, #96]
	stp	x14, x15, [x0, #112]
	stp	x16, x17, [x0, #128]
	stp	x18, x19, [x0, #144]
	stp	x20, x21, [x0, #160]
	stp	x22, x23, [x0, #176]
	stp	x24, x25, [x0, #192]
	stp	x26, x27, [x0, #208]
	stp	x28, x29, [x0, #224]
	mov	x2, sp
	stp	x30, x2, [x0, #OUTCOME_X30]
	mrs	x2, tpidrro_el0
	str	x2, [x0]
	mrs	x2, elr_el1
	mrs	x3, spsr_el1
	stp	x2, x3, [x0, #OUTCOME_PC]
	mrs	x2, esr_el1
	mrs	x3, far_el1
	stp	x2, x3, [x0, #OUTCOME_ESR]
	mrs	x2, sp_el0
	stp	x2, x1, [x0, #OUTCOME_SP_EL0]
	mrs	x2, par_el1
	str	x2, [x0, #OUTCOME_PAR]
	adrp	x9, saved
	add	x9, x9, :lo12:saved
	ldp	x10, x11, [x9]
	mov	sp, x10
	msr	vbar_el1, x11
	isb
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	ret

	.balign	2048
case_vectors:
	.set	vector, 0
	.rept	16
	.balign	0x80
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CPU_STATE]
	str	x1, [x0, #8]
	mov	x1, #vector
	b	capture
	.set	vector, vector + 0x80
	.endr
	.balign	4096

	.bss
	.balign	16
saved:
	.quad	0, 0
