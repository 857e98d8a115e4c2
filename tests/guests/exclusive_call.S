/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclusive sequences of every shape. In: x0 address of the data, x1 as said. Out: x0. Clobbers: x0 to x9.
 */
	.text
	.balign	4096
	.global	exclusive_code
exclusive_code:

/* Adds 1 to an even word and 3 to an odd one: a store-exclusive in each arm. */
	.global	parity_add, parity_add_end, parity_even, parity_odd
parity_add:
1:	ldaxr	w1, [x0]
	tbz	w1, #0, parity_even
parity_odd:
	add	w1, w1, #3
	stlxr	w2, w1, [x0]
	cbnz	w2, 1b
	ret
	udf	#0
parity_even:
	add	w1, w1, #1
	stlxr	w2, w1, [x0]
	cbnz	w2, 1b
	ret
parity_add_end:

/* One attempt; returns the status. x3 and x4 are kept for the handler to see. */
	.global	try_once, try_once_inner, try_once_store, try_once_end
try_once:
	mov	w2, #0x55
	ldxr	w3, [x0]
try_once_inner:
	add	w4, w3, #1
try_once_store:
	stxr	w2, w4, [x0]
	mov	w0, w2
	ret
try_once_end:

/* Adds 1 to the word, wherever that is; returns the status. */
	.global	anywhere
anywhere:
	ldaxr	w3, [x0]
	add	w3, w3, #1
	stlxr	w2, w3, [x0]
	mov	w0, w2
	ret

/* CLREX inside: returns 1. */
	.global	cleared, cleared_inner
cleared:
	ldxr	w3, [x0]
	clrex
cleared_inner:
	add	w3, w3, #1
	stxr	w0, w3, [x0]
	ret

/* An exception return inside: returns 1. */
	.global	returned
returned:
	adr	x4, 1f
	mov	x5, #0x3c5
	msr	elr_el1, x4
	msr	spsr_el1, x5
	ldxr	w3, [x0]
	eret
1:	stxr	w0, w3, [x0]
	ret

/* The first store uses the reservation up: returns 0x10. */
	.global	stored_twice
stored_twice:
	ldxr	w3, [x0]
	stxr	w1, w3, [x0]
	stxr	w2, w3, [x0]
	orr	w0, w1, w2, lsl #4
	ret

/* Stores to another address: returns 1. */
	.global	stored_elsewhere
stored_elsewhere:
	ldxr	w3, [x0]
	add	x0, x0, #32
	stxr	w1, w3, [x0]
	mov	w0, w1
	ret

/* A value that nobody has seen. Writes x1. */
	.global	unseen
unseen:
	ldxr	wzr, [x0]
	stxr	w2, w1, [x0]
	mov	w0, w2
	ret

/* 128 bits, then 64 bits in two halves, then bytes and halfwords: x0 gets the failures. */
	.global	sizes, sizes_end
sizes:
	ldaxp	x3, x4, [x0]
	adds	x3, x3, #1
	adc	x4, x4, xzr
	stlxp	w9, x3, x4, [x0]
	ldxp	w3, w4, [x0, #0]
	stxp	w8, w4, w3, [x0]
	orr	w9, w9, w8
	ldxrb	w3, [x0]
	add	w3, w3, #1
	stxrb	w8, w3, [x0]
	orr	w9, w9, w8
	add	x0, x0, #2
	ldaxrh	w3, [x0]
	sub	w3, w3, #1
	stlxrh	w8, w3, [x0]
	orr	w0, w9, w8
	ret
sizes_end:

/* On the stack: returns 1. */
	.global	on_stack
on_stack:
	sub	sp, sp, #16
	str	xzr, [sp]
1:	ldxr	x1, [sp]
	add	x1, x1, #1
	stxr	w2, x1, [sp]
	cbnz	w2, 1b
	ldr	x0, [sp], #16
	ret

/* Reads [x1] inside. */
	.global	reads_inside, reads_inside_fault
reads_inside:
	ldxr	w3, [x0]
reads_inside_fault:
	ldr	x4, [x1]
	stxr	w2, w3, [x0]
	mov	w0, w2
	ret

/* Writes the instruction x2 to [x1] inside: returns the number of attempts. */
	.global	writes_code
writes_code:
	mov	x5, #0
1:	add	x5, x5, #1
	ldxr	w3, [x0]
	str	w2, [x1]
	stxr	w4, w3, [x0]
	cbnz	w4, 1b
	dc	cvau, x1
	dsb	ish
	ic	ivau, x1
	dsb	ish
	isb
	mov	x0, x5
	ret

/*
 * Waits for [x0] to be another value than 1, as kernels do (it is: no wait), and later counts [x1] up, which has nothing to
 * do with it. From waits_site on 17 instructions. Returns 15.
 */
	.global	waits, waits_site, waits_on, waits_return
waits:
	mov	x4, #0
waits_site:
	sevl
	wfe
	ldxr	w3, [x0]
	eor	w3, w3, #1
	cbnz	w3, waits_on
	wfe
waits_on:
	add	x4, x4, #1
	add	x4, x4, #2
	add	x4, x4, #3
	add	x4, x4, #4
	add	x4, x4, #5
	str	x4, [sp, #-16]!
	ldr	x4, [sp], #16
1:	ldxr	w3, [x1]
	add	w3, w3, #1
	stxr	w2, w3, [x1]
	cbnz	w2, 1b
	mov	x0, x4
waits_return:
	ret

/* Selects the other stack pointer, by which the exception goes to another vector. */
	.global	leaves
leaves:
	ldxr	w3, [x0]
	msr	spsel, #0
	udf	#1
	stxr	w4, w3, [x0]
	ret

/* Reads and writes a breakpoint register inside: returns the old value, and x1 is the new one. */
	.global	sees_breakpoint
sees_breakpoint:
	mrs	x6, dbgbcr0_el1
1:	ldxr	w3, [x0]
	mrs	x4, dbgbvr0_el1
	cmp	x4, x1
	csel	x6, x6, x4, eq
	msr	dbgbvr0_el1, x1
	stxr	w5, w3, [x0]
	cbnz	w5, 1b
	mov	x0, x6
	ret

/* Reads the register that a monitor steps by: returns it. */
	.global	sees_stepping
sees_stepping:
1:	ldxr	w3, [x0]
	mrs	x4, mdscr_el1
	stxr	w5, w3, [x0]
	cbnz	w5, 1b
	mov	x0, x4
	ret

/* Until another value comes. */
	.global	spin
spin:
1:	ldxr	w1, [x0]
	cbz	w1, 1b
	stxr	w2, w1, [x0]
	ret

/* Too long for any promise: returns the number of attempts. */
	.global	long_one
long_one:
	mov	x4, x0
	mov	x0, #0
1:	add	x0, x0, #1
	ldxr	w1, [x4]
	mov	w3, #400
2:	subs	w3, w3, #1
	b.ne	2b
	stxr	w2, w1, [x4]
	cbnz	w2, 1b
	ret

/* Counts up, for contention. */
	.global	count_up, count_up_inner, count_up_end
count_up:
1:	ldxr	w1, [x0]
count_up_inner:
	add	w1, w1, #1
	nop
	stxr	w2, w1, [x0]
	cbnz	w2, 1b
	ret
count_up_end:

/* Data in a page of code. */
	.balign	64
	.global	near_data
near_data:
	.space	64

	.balign	4096
	.global	other_page, other_function, rewritten
other_page:
other_function:
	nop
	ret
rewritten:
	mov	x0, #1
	ret

/* From one page into the next. */
	.org	other_page + 4096 - 8
	.global	crossing, crossing_inner, crossing_end
crossing:
	mov	w2, #1
	ldxr	w1, [x0]
crossing_inner:
	add	w1, w1, #1
	stxr	w2, w1, [x0]
	cbnz	w2, crossing
	mov	w0, w2
	ret
crossing_end:
	.balign	4096
