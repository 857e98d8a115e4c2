/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops around one instruction, each in a page of its own. In: x0, how often. Out: nothing. Clobbers: x0 to
 * x17, the flags.
 */

	/* The instruction, where a probe goes, at \name\()_site; it leaves x0 and x30 alone. */
	.macro	loop name, instruction:vararg
	.balign	4096
	.global	\name
	.global	\name\()_site
\name:
\name\()_site:
	\instruction
	subs	x0, x0, #1
	b.ne	\name
	ret
	.endm

	.text
	/* What a loop costs; no probe goes here. */
	loop	loop_base, nop
	/* The floor of all others. */
	loop	loop_trap, smc #1
	loop	loop_record, smc #4
	/* Function entries of kernels. */
	loop	loop_move, mov x9, x30
	loop	loop_nop, nop
	loop	loop_add, add x1, x1, #1
	/* For probes with a program, and for one whose instruction is stepped. */
	loop	loop_reject, mov x9, x30
	loop	loop_capture, mov x9, x30
	loop	loop_step, mov x9, x30
	/* A call of the hypervisor, for an event that Python answers. */
	loop	loop_hvc, hvc #0

	.balign	4096
	.global	loop_pac
	.global	loop_pac_site
loop_pac:
	mov	x10, x30
1:	mov	x30, x10
loop_pac_site:
	hint	#25	/* paciasp */
	subs	x0, x0, #1
	b.ne	1b
	mov	x30, x10
	ret

	/* An exclusive sequence; the probe is on its load. */
	.balign	4096
	.global	loop_exclusive
	.global	loop_exclusive_site
loop_exclusive:
	ldr	x1, =word
loop_exclusive_site:
	ldxr	x2, [x1]
	add	x2, x2, #1
	stxr	w3, x2, [x1]
	cbnz	w3, loop_exclusive_site
	subs	x0, x0, #1
	b.ne	loop_exclusive_site
	ret
	.ltorg

	/* A mixture to step through: step_loop_end - step_loop bytes a round. The probe is on its entry. */
	.balign	4096
	.global	step_entry
	.global	step_loop
	.global	step_loop_end
step_entry:
	nop
step_loop:
	ldr	x1, =word
	ldr	x2, [x1]
	add	x2, x2, #3
	eor	x3, x2, x2, lsl #7
	str	x3, [x1]
	mov	x4, x3
	and	x5, x4, #0xff
	cmp	x5, #17
	csel	x6, x5, x4, hi
	mul	x7, x6, x3
	ubfx	x8, x7, #5, #9
	ldp	x9, x10, [x1]
	add	x9, x9, x10
	b	2f
2:	subs	x0, x0, #1
	b.ne	step_loop
step_loop_end:
	ret
	.ltorg

	.data
	.balign	64
word:
	.quad	0, 0
