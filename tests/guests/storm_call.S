/* SPDX-License-Identifier: Apache-2.0 */
/* Every instruction of this function is probed. In: x0. Out: x0 + 1. Clobbers: x1. */
	.text
	.balign	4096
	.global	storm_call
	.global	storm_call_end
storm_call:
	stp	x29, x30, [sp, #-32]!
	str	x0, [sp, #16]
	mov	x1, #1
	ldr	x0, [sp, #16]
	add	x0, x0, x1
	cbz	x1, 1f
	ldp	x29, x30, [sp], #32
	ret
storm_call_end:
1:	brk	#1
	.balign	4096
