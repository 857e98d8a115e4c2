/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 60,000 places for probes, as far apart as functions of a kernel are on average, and the same with the floor's
 * trap. In: x0, how many of the last ones to run in [31:0], how often in [63:32]. Clobbers: x0 to x17, the flags.
 */
#define PLACES 60000
#define SPACING 256

	.macro	sled name, instruction:vararg
	.global	\name
\name:
	mov	x10, x30
	lsr	x11, x0, #32
	mov	w12, w0
	ldr	x13, =\name\()_end
	sub	x12, x13, x12, lsl #8
1:	blr	x12
	subs	x11, x11, #1
	b.ne	1b
	mov	x30, x10
	ret
	.ltorg

	.balign	4096
	.global	\name\()_places
\name\()_places:
	.rept	PLACES
	.balign	SPACING
	\instruction
	b	. + SPACING - 4
	.endr
	.balign	SPACING
	.global	\name\()_end
\name\()_end:
	ret
	.endm

	.text
	sled	sled_probed, mov x9, x30
	sled	sled_trap, smc #1
