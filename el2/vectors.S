/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exception vectors of EL2 and the way into the guest.
 *
 * All 16 are real: the four from a lower EL in AArch64 state lead to a handler in C, AArch32 user code of the
 * guest takes the same handlers, and the eight from EL2 itself report and stop.
 */
#include "arch_gen.h"
#include "asm_offsets.h"

/* One vector of 32 instructions at most; the assembler stops the build on a longer one. */
	.macro	vector label
	.balign	0x80
\label:
	.endm

	.macro	end_vector label
	.if	(. - \label) > 0x80
	.error	"exception vector \label is longer than 32 instructions"
	.endif
	.endm

/*
 * SP_EL2 points to struct frame. What C may clobber is saved first: the short way of a hit needs no more.
 * Callee-saved registers, PC and PSTATE follow for whoever looks at them. Clobbers: save_rest x4, x5.
 */
	.macro	save_scratch
	stp	x0, x1, [sp, #(FRAME_X + 16 * 0)]
	stp	x2, x3, [sp, #(FRAME_X + 16 * 1)]
	stp	x4, x5, [sp, #(FRAME_X + 16 * 2)]
	stp	x6, x7, [sp, #(FRAME_X + 16 * 3)]
	stp	x8, x9, [sp, #(FRAME_X + 16 * 4)]
	stp	x10, x11, [sp, #(FRAME_X + 16 * 5)]
	stp	x12, x13, [sp, #(FRAME_X + 16 * 6)]
	stp	x14, x15, [sp, #(FRAME_X + 16 * 7)]
	stp	x16, x17, [sp, #(FRAME_X + 16 * 8)]
	str	x18, [sp, #(FRAME_X + 16 * 9)]
	str	x30, [sp, #(FRAME_X + 16 * 15)]
	.endm

	.macro	save_rest
	mrs	x4, elr_el2
	mrs	x5, spsr_el2
	stp	x19, x20, [sp, #(FRAME_X + 16 * 9 + 8)]
	stp	x21, x22, [sp, #(FRAME_X + 16 * 10 + 8)]
	stp	x23, x24, [sp, #(FRAME_X + 16 * 11 + 8)]
	stp	x25, x26, [sp, #(FRAME_X + 16 * 12 + 8)]
	stp	x27, x28, [sp, #(FRAME_X + 16 * 13 + 8)]
	str	x29, [sp, #(FRAME_X + 16 * 14 + 8)]
	stp	x4, x5, [sp, #FRAME_PC]
	.endm

	.macro	restore_scratch
	ldp	x2, x3, [sp, #(FRAME_X + 16 * 1)]
	ldp	x4, x5, [sp, #(FRAME_X + 16 * 2)]
	ldp	x6, x7, [sp, #(FRAME_X + 16 * 3)]
	ldp	x8, x9, [sp, #(FRAME_X + 16 * 4)]
	ldp	x10, x11, [sp, #(FRAME_X + 16 * 5)]
	ldp	x12, x13, [sp, #(FRAME_X + 16 * 6)]
	ldp	x14, x15, [sp, #(FRAME_X + 16 * 7)]
	ldp	x16, x17, [sp, #(FRAME_X + 16 * 8)]
	ldr	x18, [sp, #(FRAME_X + 16 * 9)]
	ldr	x30, [sp, #(FRAME_X + 16 * 15)]
	ldp	x0, x1, [sp, #(FRAME_X + 16 * 0)]
	.endm

/* Calls `handler(struct vcpu *)` on the stack below the frame, and goes back to the guest. */
	.macro	from_guest label, handler
	vector	\label
	save_scratch
	save_rest
	mov	x0, sp
	mov	x29, xzr
	bl	\handler
	b	enter_guest
	end_vector \label
	.endm

/* The two that come by the million take their short ways: `hot_*(struct vcpu *, pc, pstate, esr)`. */
	.macro	from_guest_sync label
	vector	\label
	save_scratch
	mrs	x3, esr_el2
	mrs	x1, elr_el2
	mrs	x2, spsr_el2
	mov	x0, sp
	ubfx	x4, x3, #ESR_ELx_EC_SHIFT, #ESR_ELx_EC_WIDTH
	cmp	x4, #EC_SMC64
	b.eq	smc_entry
	cmp	x4, #EC_STEP_LOWER
	b.eq	step_entry
	save_rest
	b	general
	end_vector \label
	.endm

/* From EL2 itself: never expected. Hands the vector's offset and all registers to the report. */
	.macro	from_el2 label, offset
	vector	\label
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp, #(FRAME_X + 16 * 0)]
	mov	x0, #\offset
	b	panic_entry
	end_vector \label
	.endm

/* A synchronous one may be the software step of the monitor itself, which goes on. */
	.macro	from_el2_sync label
	vector	\label
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp, #(FRAME_X + 16 * 0)]
	mrs	x0, esr_el2
	ubfx	x0, x0, #ESR_ELx_EC_SHIFT, #ESR_ELx_EC_WIDTH
	cmp	x0, #EC_STEP_SAME
	b.eq	own_step_entry
	mov	x0, #0x200
	b	panic_entry
	end_vector \label
	.endm

	.section .text.hot.vectors, "ax"
	.balign	4096
	.global	vectors
vectors:
	from_el2 el2_sp0_sync, 0x000
	from_el2 el2_sp0_irq, 0x080
	from_el2 el2_sp0_fiq, 0x100
	from_el2 el2_sp0_serror, 0x180
	from_el2_sync el2_spx_sync
	from_el2 el2_spx_irq, 0x280
	from_el2 el2_spx_fiq, 0x300
	from_el2 el2_spx_serror, 0x380
	from_guest_sync guest_sync
	from_guest guest_irq, trap_irq
	from_guest guest_fiq, trap_fiq
	from_guest guest_serror, trap_serror
	from_guest_sync guest32_sync
	from_guest guest32_irq, trap_irq
	from_guest guest32_fiq, trap_fiq
	from_guest guest32_serror, trap_serror
	.balign	0x80

/*
 * The short ways. In: x0 struct vcpu, x1 PC, x2 PSTATE, x3 ESR, scratch registers saved. What hot.c returns is in
 * x0 (enum hot) and x1. C has left the guest's callee-saved registers as they were, so they need no restoring, unless
 * hot_hit_with_all has changed them in the frame.
 */
smc_entry:
	bl	hot_hit
	cmp	x0, #HOT_PC
	b.ne	1f
	msr	elr_el2, x1
	restore_scratch
	eret
	dsb	nsh
	isb
1:	cmp	x0, #HOT_LANDED
	b.ne	smc_further
	mrs	x2, spsr_el2
	bic	x2, x2, #SPSR_ELx_BTYPE_MASK
	msr	spsr_el2, x2
	msr	elr_el2, x1
	restore_scratch
	eret
	dsb	nsh
	isb

step_entry:
	save_rest
	bl	hot_step
	cmp	x0, #HOT_PSTATE
	b.ne	step_further
	msr	spsr_el2, x1
	restore_scratch
	eret
	dsb	nsh
	isb

	.text
/* From here on what is less frequent. In: x0 enum hot. */
smc_further:
	cmp	x0, #HOT_WITH_ALL
	save_rest
	b.ne	general
	mov	x0, sp
	bl	hot_hit_with_all
	cmp	x0, #HOT_PC
	b.ne	1f
	msr	elr_el2, x1
	b	restore_guest
1:	cmp	x0, #HOT_FRAME
	b.eq	enter_guest
	b	general

step_further:
	cmp	x0, #HOT_WITH_ALL
	b.ne	general
	mov	x0, sp
	bl	hot_step_with_all
	cmp	x0, #HOT_PSTATE
	b.ne	general
	msr	spsr_el2, x1
	restore_scratch
	eret
	dsb	nsh
	isb

/* In: sp struct frame, all of it saved. The general way. */
general:
	mov	x0, sp
	mov	x29, xzr
	bl	trap_sync
/*
 * Goes to the guest whose struct frame (at the start of struct vcpu) sp points to.
 * Never returns; the guest's next exception finds sp as it is here.
 */
	.global	enter_guest
enter_guest:
	ldp	x1, x2, [sp, #FRAME_PC]
	msr	elr_el2, x1
	msr	spsr_el2, x2
restore_guest:
	ldp	x19, x20, [sp, #(FRAME_X + 16 * 9 + 8)]
	ldp	x21, x22, [sp, #(FRAME_X + 16 * 10 + 8)]
	ldp	x23, x24, [sp, #(FRAME_X + 16 * 11 + 8)]
	ldp	x25, x26, [sp, #(FRAME_X + 16 * 12 + 8)]
	ldp	x27, x28, [sp, #(FRAME_X + 16 * 13 + 8)]
	ldr	x29, [sp, #(FRAME_X + 16 * 14 + 8)]
	restore_scratch
	eret
	/* Nothing may be fetched speculatively past the exception return. */
	dsb	nsh
	isb

/*
 * EL2 stepped one of its own instructions. In: sp struct frame with x0 and x1 saved. Calls
 * own_step(struct frame *), which may change PC and PSTATE there, and goes on.
 */
own_step_entry:
	stp	x2, x3, [sp, #(FRAME_X + 16 * 1)]
	stp	x4, x5, [sp, #(FRAME_X + 16 * 2)]
	stp	x6, x7, [sp, #(FRAME_X + 16 * 3)]
	stp	x8, x9, [sp, #(FRAME_X + 16 * 4)]
	stp	x10, x11, [sp, #(FRAME_X + 16 * 5)]
	stp	x12, x13, [sp, #(FRAME_X + 16 * 6)]
	stp	x14, x15, [sp, #(FRAME_X + 16 * 7)]
	stp	x16, x17, [sp, #(FRAME_X + 16 * 8)]
	stp	x18, x30, [sp, #(FRAME_X + 16 * 9)]
	mrs	x1, elr_el2
	mrs	x2, spsr_el2
	stp	x1, x2, [sp, #FRAME_PC]
	mov	x0, sp
	bl	own_step
	ldp	x1, x2, [sp, #FRAME_PC]
	msr	elr_el2, x1
	msr	spsr_el2, x2
	ldp	x2, x3, [sp, #(FRAME_X + 16 * 1)]
	ldp	x4, x5, [sp, #(FRAME_X + 16 * 2)]
	ldp	x6, x7, [sp, #(FRAME_X + 16 * 3)]
	ldp	x8, x9, [sp, #(FRAME_X + 16 * 4)]
	ldp	x10, x11, [sp, #(FRAME_X + 16 * 5)]
	ldp	x12, x13, [sp, #(FRAME_X + 16 * 6)]
	ldp	x14, x15, [sp, #(FRAME_X + 16 * 7)]
	ldp	x16, x17, [sp, #(FRAME_X + 16 * 8)]
	ldp	x18, x30, [sp, #(FRAME_X + 16 * 9)]
	ldp	x0, x1, [sp, #(FRAME_X + 16 * 0)]
	add	sp, sp, #FRAME_SIZE
	eret
	dsb	nsh
	isb

/*
 * In: x0 argument, x1 routine(u64) at EL2, x2 PSTATE to run it with. Enters it by an exception
 * return, which is what starts the software step, and comes back when it returns. Out: x0 its result.
 */
	.global	own_step_call
own_step_call:
	stp	x29, x30, [sp, #-32]!
	mrs	x3, elr_el2
	mrs	x4, spsr_el2
	stp	x3, x4, [sp, #16]
	msr	elr_el2, x1
	msr	spsr_el2, x2
	adr	x30, own_step_return
	eret
	dsb	nsh
	isb
	.global	own_step_return
own_step_return:
	ldp	x3, x4, [sp, #16]
	msr	elr_el2, x3
	msr	spsr_el2, x4
	ldp	x29, x30, [sp], #32
	ret

/* In: x0 vector offset, sp struct frame with x0 and x1 saved. Does not return. */
panic_entry:
	stp	x2, x3, [sp, #(FRAME_X + 16 * 1)]
	stp	x4, x5, [sp, #(FRAME_X + 16 * 2)]
	stp	x6, x7, [sp, #(FRAME_X + 16 * 3)]
	stp	x8, x9, [sp, #(FRAME_X + 16 * 4)]
	stp	x10, x11, [sp, #(FRAME_X + 16 * 5)]
	stp	x12, x13, [sp, #(FRAME_X + 16 * 6)]
	stp	x14, x15, [sp, #(FRAME_X + 16 * 7)]
	stp	x16, x17, [sp, #(FRAME_X + 16 * 8)]
	stp	x18, x19, [sp, #(FRAME_X + 16 * 9)]
	stp	x20, x21, [sp, #(FRAME_X + 16 * 10)]
	stp	x22, x23, [sp, #(FRAME_X + 16 * 11)]
	stp	x24, x25, [sp, #(FRAME_X + 16 * 12)]
	stp	x26, x27, [sp, #(FRAME_X + 16 * 13)]
	stp	x28, x29, [sp, #(FRAME_X + 16 * 14)]
	mrs	x1, elr_el2
	mrs	x2, spsr_el2
	str	x30, [sp, #(FRAME_X + 16 * 15)]
	stp	x1, x2, [sp, #FRAME_PC]
	mov	x1, sp
	bl	panic_exception

/* In: x0 struct vcpu. Starts its guest for the first time. Never returns. */
	.global	vcpu_start
vcpu_start:
	mov	sp, x0
	b	enter_guest

/*
 * In: x0 struct vcpu. Runs its guest until the next exception, which the trap handlers hand back
 * through selftest_leave. The caller is on another stack than the vCPU's.
 * Out: x0 as given to selftest_leave. Clobbers: what a function may.
 */
	.global	selftest_enter
selftest_enter:
	add	x1, x0, #VCPU_RESUME
	stp	x19, x20, [x1, #0]
	stp	x21, x22, [x1, #16]
	stp	x23, x24, [x1, #32]
	stp	x25, x26, [x1, #48]
	stp	x27, x28, [x1, #64]
	stp	x29, x30, [x1, #80]
	mov	x2, sp
	str	x2, [x1, #96]
	mov	sp, x0
	b	enter_guest

/* In: x0 struct vcpu, x1 result of selftest_enter. Never returns to its caller. */
	.global	selftest_leave
selftest_leave:
	add	x2, x0, #VCPU_RESUME
	ldp	x19, x20, [x2, #0]
	ldp	x21, x22, [x2, #16]
	ldp	x23, x24, [x2, #32]
	ldp	x25, x26, [x2, #48]
	ldp	x27, x28, [x2, #64]
	ldp	x29, x30, [x2, #80]
	ldr	x3, [x2, #96]
	mov	sp, x3
	mov	x0, x1
	ret

/*
 * In: x0 u64[18], the x0 to x17 of an SMC. Executes SMC #0 at EL2 (HCR_EL2.TSC does not trap
 * EL2's own) and stores x0 to x17 back (SMC Calling Convention: all of them may be results).
 */
	.global	smc_forward
smc_forward:
	stp	x29, x30, [sp, #-32]!
	str	x19, [sp, #16]
	mov	x19, x0
	ldp	x16, x17, [x19, #128]
	ldp	x14, x15, [x19, #112]
	ldp	x12, x13, [x19, #96]
	ldp	x10, x11, [x19, #80]
	ldp	x8, x9, [x19, #64]
	ldp	x6, x7, [x19, #48]
	ldp	x4, x5, [x19, #32]
	ldp	x2, x3, [x19, #16]
	ldp	x0, x1, [x19, #0]
	smc	#0
	stp	x0, x1, [x19, #0]
	stp	x2, x3, [x19, #16]
	stp	x4, x5, [x19, #32]
	stp	x6, x7, [x19, #48]
	stp	x8, x9, [x19, #64]
	stp	x10, x11, [x19, #80]
	stp	x12, x13, [x19, #96]
	stp	x14, x15, [x19, #112]
	stp	x16, x17, [x19, #128]
	ldr	x19, [sp, #16]
	ldp	x29, x30, [sp], #32
	ret
