/* SPDX-License-Identifier: Apache-2.0 */
/* In: x0. Out: x0 + 1. Clobbers: x1. In a page of its own, with data. */
	.text
	.balign	4096
	.global	smp_call
	.global	smp_call_end
smp_call:
	stp	x29, x30, [sp, #-32]!
	str	x0, [sp, #16]
	ldr	x1, [sp, #16]
	add	x0, x1, #1
	ldp	x29, x30, [sp], #32
	ret
smp_call_end:
	.balign	64
	.global	smp_data
smp_data:
	.quad	0, 0, 0, 0
	.balign	4096
