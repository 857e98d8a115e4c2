/* SPDX-License-Identifier: Apache-2.0 */
/* In: x0. Out: x0 + 8. Clobbers: x1. */
	.text
	.arch	armv8.5-a
	.balign	4096
	.global	guarded_call
	.global	guarded_leaf
	.global	guarded_done
guarded_call:
	bti	c
	stp	x29, x30, [sp, #-16]!
	adr	x1, guarded_leaf
	.rept	8
	blr	x1
	.endr
	ldp	x29, x30, [sp], #16
	ret
guarded_leaf:
	bti	c
	add	x0, x0, #1
	ret
guarded_done:
	svc	#0
	.balign	4096
