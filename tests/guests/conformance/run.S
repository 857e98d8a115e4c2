/* SPDX-License-Identifier: Apache-2.0 */
/* Into a case and out of it. Nothing but instructions in these pages: where something is planted, no data is read. */
#include "conformance.h"

	.arch	armv8-a

	.text
	.balign	4096

/*
 * In: x0 struct machine_state. Loads all of it and goes there by an exception return. TPIDR_EL1's CPU_STATE
 * points to the struct machine_state that takes the outcome. Returns when the case has taken an exception.
 */
	.macro	run name
	.global	\name
	.global	\name\()_eret
\name:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mov	x10, sp
	adrp	x9, saved_sp
	str	x10, [x9, #:lo12:saved_sp]
	adrp	x9, current_vectors
	ldr	x9, [x9, #:lo12:current_vectors]
	msr	vbar_el1, x9
	ldp	x1, x2, [x0, #STATE_PC]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldp	x1, x2, [x0, #STATE_ESR]
	msr	esr_el1, x1
	msr	far_el1, x2
	ldp	x1, x2, [x0, #STATE_SP_EL0]
	msr	sp_el0, x1
	msr	tpidr_el0, x2
	ldp	x1, x2, [x0, #STATE_FPCR]
	msr	fpcr, x1
	msr	fpsr, x2
	msr	par_el1, xzr
	msr	contextidr_el1, xzr
	msr	csselr_el1, xzr
	add	x1, x0, #STATE_Q
	ldp	q0, q1, [x1, #0]
	ldp	q2, q3, [x1, #32]
	ldp	q4, q5, [x1, #64]
	ldp	q6, q7, [x1, #96]
	ldp	q8, q9, [x1, #128]
	ldp	q10, q11, [x1, #160]
	ldp	q12, q13, [x1, #192]
	ldp	q14, q15, [x1, #224]
	ldp	q16, q17, [x1, #256]
	ldp	q18, q19, [x1, #288]
	ldp	q20, q21, [x1, #320]
	ldp	q22, q23, [x1, #352]
	ldp	q24, q25, [x1, #384]
	ldp	q26, q27, [x1, #416]
	ldp	q28, q29, [x1, #448]
	ldp	q30, q31, [x1, #480]
	isb
	ldp	x30, x1, [x0, #STATE_X30]
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
\name\()_eret:
	eret
	dsb	nsh
	isb
	.endm

	run	run_free
	run	run_stepped

/* In: x0 the outcome, where x1 is stored already, x1 the vector, TPIDRRO_EL0 x0. Stepping stops here. */
	.global	capture
capture:
	nop
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
	stp	x30, x2, [x0, #STATE_X30]
	mrs	x2, tpidrro_el0
	str	x2, [x0]
	mrs	x2, elr_el1
	mrs	x3, spsr_el1
	stp	x2, x3, [x0, #STATE_PC]
	mrs	x2, esr_el1
	mrs	x3, far_el1
	stp	x2, x3, [x0, #STATE_ESR]
	mrs	x2, sp_el0
	mrs	x3, tpidr_el0
	stp	x2, x3, [x0, #STATE_SP_EL0]
	mrs	x2, fpcr
	mrs	x3, fpsr
	stp	x2, x3, [x0, #STATE_FPCR]
	mrs	x2, par_el1
	stp	x1, x2, [x0, #STATE_VECTOR]
	mrs	x2, contextidr_el1
	mrs	x3, mdscr_el1
	stp	x2, x3, [x0, #STATE_CONTEXTIDR]
	mrs	x2, oslsr_el1
	mrs	x3, osdlr_el1
	orr	x2, x2, x3, lsl #32
	str	x2, [x0, #STATE_OSLSR]
	add	x1, x0, #STATE_Q
	stp	q0, q1, [x1, #0]
	stp	q2, q3, [x1, #32]
	stp	q4, q5, [x1, #64]
	stp	q6, q7, [x1, #96]
	stp	q8, q9, [x1, #128]
	stp	q10, q11, [x1, #160]
	stp	q12, q13, [x1, #192]
	stp	q14, q15, [x1, #224]
	stp	q16, q17, [x1, #256]
	stp	q18, q19, [x1, #288]
	stp	q20, q21, [x1, #320]
	stp	q22, q23, [x1, #352]
	stp	q24, q25, [x1, #384]
	stp	q26, q27, [x1, #416]
	stp	q28, q29, [x1, #448]
	stp	q30, q31, [x1, #480]
	msr	fpcr, xzr
	adrp	x9, saved_sp
	ldr	x10, [x9, #:lo12:saved_sp]
	mov	sp, x10
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	ret

/* Scenarios are stepped from a call of the one to a call of the other. */
	.balign	64
	.global	stepping_start
stepping_start:
	nop
	ret
	.balign	64
	.global	stepping_stop
stepping_stop:
	nop
	ret

	.macro	leave_by offset
	.balign	0x80
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CPU_STATE]
	str	x1, [x0, #8]
	mov	x1, #\offset
	b	capture
	.endm

/* Counts the interrupt, notes where it came, and goes on. */
	.macro	note_interrupt
	.balign	0x80
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CPU_STATE]
	stp	x1, x2, [x0, #STATE_IRQ_SAVE]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	stp	x1, x2, [x0, #STATE_IRQ_PC]
	ldr	x1, [x0, #STATE_IRQS]
	add	x1, x1, #1
	str	x1, [x0, #STATE_IRQS]
	mrs	x1, S3_0_C12_C12_0	/* ICC_IAR1_EL1 */
	dsb	sy
	ubfx	x2, x1, #0, #24
	cmp	x2, #(INTID_SPURIOUS - 3)
	b.hs	1f
	msr	S3_0_C12_C12_1, x1	/* ICC_EOIR1_EL1 */
1:	isb
	ldp	x1, x2, [x0, #STATE_IRQ_SAVE]
	mrs	x0, tpidrro_el0
	eret
	.endm

/*
 * A debugger's handler for exceptions from EL0, in as few words as possible: logs them, asks for another step, and goes
 * on; a breakpoint or watchpoint is switched off, a BRK skipped, an SVC #1 is a system call that does nothing.
 */
	.macro	debug_user
	.balign	0x80
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CPU_STATE]
	stp	x1, x2, [x0, #STATE_IRQ_SAVE]
	b	debugger
	.endm

	.balign	64
debugger:
	adrp	x1, debugger_log
	ldr	x2, [x1, #:lo12:debugger_log]
	cbz	x2, 9f
	mrs	x1, elr_el1
	str	x1, [x2], #8
	mrs	x1, esr_el1
	str	x1, [x2], #8
	/* The log is one page at most, aligned to its size: at its end, the end. */
	tst	x2, #(LOG_ENTRIES * 16 - 1)
	adrp	x1, debugger_log
	csel	x2, xzr, x2, eq
	str	x2, [x1, #:lo12:debugger_log]
	mrs	x1, esr_el1
	ubfx	x2, x1, #26, #6
	cmp	x2, #0x32
	b.eq	8f
	cmp	x2, #0x30
	b.eq	4f
	cmp	x2, #0x34
	b.eq	5f
	cmp	x2, #0x3c
	b.eq	6f
	cmp	x2, #0x15
	b.ne	9f
	ubfx	x1, x1, #0, #16
	cmp	x1, #1
	b.eq	8f
9:	ldp	x1, x2, [x0, #STATE_IRQ_SAVE]
	str	x1, [x0, #8]
	mov	x1, #0x400
	b	capture
4:	msr	dbgbcr0_el1, xzr
	msr	far_el1, xzr	/* unknown after a breakpoint exception */
	b	8f
5:	msr	dbgwcr0_el1, xzr
	b	8f
6:	mrs	x1, elr_el1
	add	x1, x1, #4
	msr	elr_el1, x1
8:	mrs	x1, spsr_el1
	orr	x1, x1, #(1 << 21)
	msr	spsr_el1, x1
	ldp	x1, x2, [x0, #STATE_IRQ_SAVE]
	mrs	x0, tpidrro_el0
	eret

	.balign	4096
	.global	case_vectors
case_vectors:
	leave_by 0x000
	leave_by 0x080
	leave_by 0x100
	leave_by 0x180
	leave_by 0x200
	note_interrupt
	leave_by 0x300
	leave_by 0x380
	leave_by 0x400
	note_interrupt
	leave_by 0x500
	leave_by 0x580
	leave_by 0x600
	note_interrupt
	leave_by 0x700
	leave_by 0x780
	.balign	2048
	.global	debugger_vectors
debugger_vectors:
	leave_by 0x000
	leave_by 0x080
	leave_by 0x100
	leave_by 0x180
	leave_by 0x200
	note_interrupt
	leave_by 0x300
	leave_by 0x380
	debug_user
	note_interrupt
	leave_by 0x500
	leave_by 0x580
	leave_by 0x600
	note_interrupt
	leave_by 0x700
	leave_by 0x780
	.balign	4096

	.bss
	.balign	8
saved_sp:
	.quad	0
	.global	current_vectors
current_vectors:
	.quad	0
	.global	debugger_log
debugger_log:
	.quad	0
