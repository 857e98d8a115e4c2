/* SPDX-License-Identifier: Apache-2.0 */
/* Pages whose place matters. */
#include "guest.h"

	.arch	armv8-a
	.text

/* In: x0 address, x1 argument. Out: x0 what it returns. */
	.global	call
call:
	stp	x29, x30, [sp, #-16]!
	mov	x9, x0
	mov	x0, x1
	blr	x9
	ldp	x29, x30, [sp], #16
	ret

/* The same at EL0; comes back by an exception only. */
	.global	call_user
call_user:
	mov	x2, #PSTATE_EL0
	msr	elr_el1, x0
	msr	spsr_el1, x2
	mov	x0, x1
	eret

/* ALIAS_SMC calls it by another name, through the page at WINDOW. */
	.balign	4096
	.global	one_page
one_page:
	add	x0, x0, #1
	ret
	.balign	4096

/* Looks like one_page with a probe that has the number 7, to whoever goes by virtual addresses. */
	.global	other_page
other_page:
	smc	#7
	ret
	.balign	4096
	.global	elsewhere
elsewhere:
	add	x0, x0, #1
	ret
	.balign	4096
	.global	user_one
user_one:
	add	x0, x0, #1
	svc	#1
	.balign	4096
	.global	user_other
user_other:
	brk	#7
	svc	#2
	.balign	4096

/* The root of the translation tables. Most of it describes addresses that nobody uses, so code fits there. */
	.data
	.balign	8192
	.global	walked_table, table_code
walked_table:
	.zero	2048
table_code:
	nop
	ret
	.balign	8192
