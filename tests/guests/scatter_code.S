/* SPDX-License-Identifier: Apache-2.0 */
	.text
/* In: x0 address, x1 distance, x2 word. Writes the word there and that far behind, by one instruction. */
	.arch	armv8-a+sve
	.global	scatter_two
scatter_two:
	ptrue	p0.d, vl2
	index	z1.d, xzr, x1
	dup	z0.d, x2
	st1w	{z0.d}, p0, [x0, z1.d]
	ret

/* In: x0 to, x1 from, x2 size. CPYFP, CPYFM, CPYFE [x0]!, [x1]!, x2! (FEAT_MOPS), which this assembler may not know. */
	.arch	armv8-a
	.global	copy_forward
copy_forward:
	.inst	0x19010440
	.inst	0x19410440
	.inst	0x19810440
	ret

/* Three pages of code, in each a function. Out: x0. */
	.balign	4096
	.global	scatter_pages
scatter_pages:
	.rept	3
	mov	x0, #1
	ret
	.balign	4096
	.endr
