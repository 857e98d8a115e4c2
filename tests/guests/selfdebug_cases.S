/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that is debugged by the guest itself: `stop` is where a breakpoint stands. Every case ends with
 * SVC #0.
 *
 * At the start: x0 a buffer, x2 the same for EL0, x1 0x0123456789abcdef, x4 0, x5 1.
 */
#include "guest.h"

#define D (1 << 9)
#define SS (1 << 21)
#define OPEN 0x1c5 /* EL1h, debug exceptions unmasked */
#define CLOSED (OPEN | D)
#define USER 0x3c0 /* EL0; PSTATE.D masks nothing there */

#define MDSCR_SS 1
#define MDSCR_KDE (1 << 13)
#define MDSCR_MDE (1 << 15)

#define MASK 1	  /* go on with SPSR.D set */
#define DISABLE 2 /* go on without this breakpoint or watchpoint */
#define STEP 4	  /* go on with SPSR.SS set */

#define WATCH 1
#define WATCH_USER 2

#define END 0
#define NOTHING 1
#define REARM 2
#define LOCK 3
#define UNLOCK 4
#define WRITE_MDSCR 5 /* from x8 */

	.arch	armv8-a
	.section .rodata.cases, "a"
	.balign	8
	.global	cases
cases:
	.section .rodata.stops, "a"
	.balign	8
	.text
	.balign	4096
	.global	anchor
/* Has nothing to do with any case: a place for a probe. */
anchor:
	nop
	ret
	.balign	4096
	.global	cases_text
cases_text:

	.macro	case name, pstate, mdscr, policy, watch=0, vectors=0
	.pushsection .rodata.names, "a"
name_\name:
	.asciz	"\name"
	.popsection
	.pushsection .rodata.stops, "a"
stops_\name:
	.popsection
	.set	alias, 0
	.if	(\pstate & 15) == 0
	.set	alias, USER_ALIAS
	.endif
	.pushsection .rodata.cases, "a"
	.quad	name_\name, case_\name + alias, \pstate, \mdscr, \policy, \watch, \vectors
	.quad	stops_\name
	.popsection
	.balign	64
case_\name:
	.endm

	.macro	stop text:vararg
	.pushsection .rodata.stops, "a"
	.quad	1f + alias
	.popsection
1:	\text
	.endm

	.macro	end
	svc	#END
	.endm

/* PSTATE.D: each instruction is stopped at, run once with D set, and clears it again. */
	case	unmask, OPEN, MDSCR_MDE | MDSCR_KDE, MASK
	.rept	6
	stop	msr daifclr, #8
	.endr
	end

	case	unmask_watched, OPEN, MDSCR_MDE | MDSCR_KDE, MASK, WATCH
	str	x1, [x0]
	msr	daifclr, #8
	ldr	x6, [x0], #8
	msr	daifclr, #8
	stp	x4, x5, [x0, #-16]
	msr	daifclr, #8
	ldp	x6, x7, [x0, #-8]!
	msr	daifclr, #8
	ldrb	w8, [x0, #3]
	msr	daifclr, #8
	dc	zva, x0
	msr	daifclr, #8
	ldr	x7, [x0]
	end

	case	masked, CLOSED, MDSCR_MDE | MDSCR_KDE, DISABLE
	stop	nop
	stop	msr daifclr, #8
	stop	add x6, x4, #6
	msr	daifset, #8
	stop	nop
	stop	msr daif, x4
	stop	nop
	end

	case	masked_watched, CLOSED, MDSCR_MDE | MDSCR_KDE, DISABLE, WATCH
	str	x1, [x0]
	msr	daifclr, #8
	ldr	x6, [x0]
	msr	daifset, #8
	ldr	x7, [x0]
	end

/* MDSCR_EL1.KDE and MDE. */
	.macro	write_mdscr value
	mov	x8, #(\value)
	msr	mdscr_el1, x8
	isb
	.endm

	case	kernel_enable, OPEN, MDSCR_MDE, DISABLE
	stop	nop
	write_mdscr MDSCR_MDE | MDSCR_KDE
	stop	nop
	write_mdscr MDSCR_MDE
	stop	nop
	end

	case	kernel_enable_watched, OPEN, MDSCR_MDE, DISABLE, WATCH
	ldr	x6, [x0]
	write_mdscr MDSCR_MDE | MDSCR_KDE
	ldr	x7, [x0]
	svc	#REARM
	write_mdscr MDSCR_MDE
	str	x1, [x0]
	end

	case	monitor_enable, OPEN, MDSCR_KDE, DISABLE
	stop	nop
	write_mdscr MDSCR_MDE | MDSCR_KDE
	stop	nop
	write_mdscr MDSCR_KDE
	stop	nop
	end

	case	monitor_enable_watched, OPEN, MDSCR_KDE, DISABLE, WATCH
	ldr	x6, [x0]
	write_mdscr MDSCR_MDE | MDSCR_KDE
	ldr	x7, [x0]
	svc	#REARM
	write_mdscr MDSCR_KDE
	str	x1, [x0]
	end

/* The locks. The OS double lock works in QEMU, the OS lock does not: the same code for both. */
	.macro	locked name, register
	case	\name, OPEN, MDSCR_MDE | MDSCR_KDE, DISABLE, WATCH
	stop	nop
	msr	\register, x5
	isb
	stop	nop
	ldr	x6, [x0]
	stop	brk #7
	msr	\register, x4
	isb
	stop	nop
	ldr	x7, [x0]
	end
	.endm
	locked	double_lock, osdlr_el1
	locked	os_lock, oslar_el1

	case	double_lock_user, USER, MDSCR_MDE, DISABLE
	svc	#LOCK
	stop	nop
	stop	nop
	svc	#UNLOCK
	stop	nop
	end

/* EL0: neither KDE nor PSTATE.D matters. */
	case	user, USER, MDSCR_MDE, DISABLE
	stop	nop
	svc	#NOTHING
	stop	nop
	stop	brk #9
	svc	#REARM
	stop	svc #NOTHING
	end

	case	user_watched, USER, MDSCR_MDE, DISABLE, WATCH_USER
	add	x6, x2, #8
	ldr	x7, [x6, #-8]!
	end

/* Exceptions are taken with PSTATE.D set: breakpoints on the vectors are not met. */
	case	entry, OPEN, MDSCR_MDE | MDSCR_KDE, DISABLE, 0, 1
	svc	#NOTHING
	stop	brk #1
	svc	#NOTHING
	end

	case	entry_user, USER, MDSCR_MDE | MDSCR_KDE, DISABLE, 0, 1
	svc	#NOTHING
	stop	brk #1
	end

	.macro	return_to level, spsr
	adr	x6, 2f
	mov	x7, #(\level)
	add	x6, x6, x7
	mov	x7, #(\spsr & 0xffff)
	movk	x7, #(\spsr >> 16), lsl #16
	msr	elr_el1, x6
	msr	spsr_el1, x7
	mov	x6, #0
	.endm

	case	return_open, CLOSED, MDSCR_MDE | MDSCR_KDE, DISABLE
	return_to 0, OPEN
	stop	eret
2:	stop	nop
	end

	case	return_closed, OPEN, MDSCR_MDE | MDSCR_KDE, DISABLE
	return_to 0, CLOSED
	nop
	eret
2:	stop	nop
	msr	daifclr, #8
	stop	nop
	end

	case	return_user, CLOSED, MDSCR_MDE, DISABLE
	return_to USER_ALIAS, USER
	stop	eret
2:	.set	alias, USER_ALIAS
	stop	nop
	end

/* What a monitor performs itself, with a breakpoint on it. */
	case	trapped, CLOSED, MDSCR_MDE | MDSCR_KDE, DISABLE
	stop	mrs x6, mdscr_el1
	stop	msr dbgwvr1_el1, x1
	msr	daifclr, #8
	stop	mrs x7, dbgwvr1_el1
	stop	brk #2
	msr	daifset, #8
	stop	brk #3
	end

	case	exclusive, CLOSED, MDSCR_MDE | MDSCR_KDE, DISABLE
	mov	x7, #0
3:	add	x7, x7, #1
	cmp	x7, #64
	b.eq	4f
	stop	ldxr x6, [x0]
	add	x6, x6, #1
	stop	stxr w8, x6, [x0]
	stop	cbnz w8, 3b
4:	cmp	x7, #64
	cset	x7, eq
	end

/*
 * Its own software step. What masks or ends it is done by a call: QEMU takes the exception after the
 * very instruction that does it.
 */
	.macro	call_mdscr value
	mov	x8, #(\value)
	svc	#WRITE_MDSCR
	.endm

	case	step, OPEN | SS, MDSCR_SS | MDSCR_KDE, STEP
	nop
	add	x6, x4, #6
	b	1f
1:	svc	#NOTHING
	ldxr	x6, [x0]
	brk	#4
	end

	case	step_pending, OPEN, MDSCR_SS | MDSCR_KDE, STEP
	nop
	nop
	end

	case	step_unmasked, CLOSED | SS, MDSCR_SS | MDSCR_KDE, STEP
	nop
	msr	daifclr, #8
	nop
	end

	case	step_kernel_enable, OPEN | SS, MDSCR_SS, STEP
	nop
	write_mdscr MDSCR_SS | MDSCR_KDE
	nop
	call_mdscr MDSCR_SS
	nop
	nop
	call_mdscr MDSCR_SS | MDSCR_KDE
	nop
	end

	case	step_enable, OPEN | SS, MDSCR_KDE, STEP
	nop
	write_mdscr MDSCR_SS | MDSCR_KDE
	nop
	call_mdscr MDSCR_KDE
	nop
	nop
	call_mdscr MDSCR_SS | MDSCR_KDE
	nop
	end

	case	step_locked, OPEN | SS, MDSCR_SS | MDSCR_KDE, STEP
	nop
	svc	#LOCK
	nop
	nop
	svc	#UNLOCK
	nop
	end

	case	step_user, USER | SS, MDSCR_SS, STEP
	nop
	svc	#NOTHING
	brk	#6
	ldr	x6, [x2]
	end

	case	step_return, CLOSED, MDSCR_SS | MDSCR_KDE, STEP
	return_to 0, (OPEN | SS)
	eret
	nop
2:	nop
	nop
	end

	case	step_return_pending, CLOSED, MDSCR_SS | MDSCR_KDE, STEP
	return_to 0, OPEN
	eret
	nop
2:	nop
	end

	case	step_return_closed, CLOSED, MDSCR_SS | MDSCR_KDE, STEP
	return_to 0, (CLOSED | SS)
	eret
	nop
2:	nop
	msr	daifclr, #8
	end

	case	step_return_user, CLOSED, MDSCR_SS, STEP
	return_to USER_ALIAS, (USER | SS)
	eret
	nop
2:	nop
	nop
	end

/* ELR_EL1 and SPSR_EL1 as for a return that does not happen. */
	case	step_no_return, CLOSED, MDSCR_SS | MDSCR_KDE, STEP
	return_to 0, (OPEN | SS)
	msr	daifclr, #8
2:	nop
	end

/* All of it at once. */
	case	step_stop, OPEN | SS, MDSCR_SS | MDSCR_MDE | MDSCR_KDE, STEP | DISABLE, WATCH
	stop	nop
	ldr	x6, [x0]
	stop	svc #NOTHING
	stop	nop
	end

	case	step_stop_masked, CLOSED | SS, MDSCR_SS | MDSCR_MDE | MDSCR_KDE, STEP | DISABLE, WATCH
	stop	nop
	ldr	x6, [x0]
	stop	msr daifclr, #8
	stop	ldr x7, [x0]
	stop	nop
	end

	.section .rodata.stops
stops_end:
	.section .rodata.cases
	.global	cases_end
cases_end:
	.quad	0, 0, 0, 0, 0, 0, 0, stops_end
	.text
	.global	cases_text_end
cases_text_end:
	.balign	4096
