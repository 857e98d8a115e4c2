/* SPDX-License-Identifier: Apache-2.0 */
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

	.balign	4096
	.global	first_site
first_site:
	add	x0, x0, #1
	ret
	.balign	4096
	.global	second_site
second_site:
	add	x0, x0, #100
	ret
	.balign	4096
