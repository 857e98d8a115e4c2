/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

	.arch	armv8-a

/* Translation tables are read in EL1's order, too: the MMU is off while one is changed for the other. */
	.macro	switch_order, table, sctlr
	mov	x9, #(SCTLR_OFF & 0xffff)
	movk	x9, #(SCTLR_OFF >> 16), lsl #16
	msr	sctlr_el1, x9
	isb
	ldr	x10, =\table
	ldr	x10, [x10]
	msr	ttbr0_el1, x10
	tlbi	vmalle1
	dsb	sy
	isb
	ldr	x9, =\sctlr
	msr	sctlr_el1, x9
	isb
	.endm

	.macro	big_endian
	switch_order big_root, (SCTLR_ON | 1 << 25)	/* EE */
	.endm

	.macro	little_endian
	switch_order little_root, SCTLR_ON
	.endm

	.text
/* In: x0 address, x1 size. Out: x0 what a big-endian load of that size gives. */
	.global	load_big
load_big:
	mov	x2, x0
	big_endian
	cmp	x1, #2
	b.lo	1f
	b.eq	2f
	cmp	x1, #4
	b.eq	4f
	ldr	x0, [x2]
	b	9f
1:	ldrb	w0, [x2]
	b	9f
2:	ldrsh	x0, [x2]
	b	9f
4:	ldr	w0, [x2]
9:	little_endian
	ret

/* In: x0 address, x1 number. */
	.global	store_big
store_big:
	big_endian
	str	w1, [x0]
	little_endian
	ret

/* In: x0 address. Out: x0 its word. The probe at captured_site reads the same word. */
	.global	captured_big, captured_site
captured_big:
	big_endian
captured_site:
	nop
	ldr	w0, [x0]
	little_endian
	ret

/* In: x0 code at its alias for EL0, x1 its argument. Comes back by an exception only. */
	.global	enter_el0
enter_el0:
	mov	x2, #PSTATE_EL0
	msr	elr_el1, x0
	msr	spsr_el1, x2
	mov	x0, x1
	eret

	.balign	16
	.global	user_endian_load
user_endian_load:
	ldr	w0, [x0]
	svc	#0

/* The page of a probe, whose data is read. */
	.balign	4096
	.global	endian_probe, endian_data
endian_probe:
	nop
	ret
	.balign	64
endian_data:
	.byte	0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8
	.balign	4096
