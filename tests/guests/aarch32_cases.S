/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A32 and T32 code, in numbers: the assembler knows A64 alone. Each case ends with an exception, most with
 * SVC after three additions to r7 that show what was left out. At the start: r2 and r13 the page of data, r6 0.
 */
	.section .rodata.cases, "a"
	.balign	8
	.global	cases
cases:
	.text
	.balign	4096

	.macro	start name, thumb
	.pushsection .rodata.names, "a"
name_\name:
	.asciz	"\name"
	.popsection
	.pushsection .rodata.cases, "a"
	.quad	name_\name, case_\name, \thumb
	.popsection
	.global	case_\name
case_\name:
	.endm

/* T32: adds r7, #1; adds r7, #2; adds r7, #4; svc #0. */
	.macro	t32 name, halves:vararg
	.balign	4
	start	t32_\name, 1
	.hword	\halves
	.hword	0x3701, 0x3702, 0x3704, 0xdf00
	.endm

	.macro	a32 name, words:vararg
	.balign	4
	start	a32_\name, 0
	.long	\words
	.long	0xe2977001, 0xe2977002, 0xe2977004, 0xef000000
	.endm

	t32	ldr, 0x6813			/* ldr r3, [r2] */
	t32	ldrh, 0x8813			/* ldrh r3, [r2] */
	t32	ldrsb, 0x5793			/* ldrsb r3, [r2, r6] */
	t32	ldrsh, 0x5f93			/* ldrsh r3, [r2, r6] */
	t32	ldr_wide, 0xf8d2, 0x3004	/* ldr.w r3, [r2, #4] */
	t32	ldr_unaligned, 0xf8d2, 0x3001	/* ldr.w r3, [r2, #1] */
	t32	lda, 0xe8d2, 0x3faf		/* lda r3, [r2] */
	t32	ldrd, 0xe9d2, 0x3400		/* ldrd r3, r4, [r2] */
	t32	ldm, 0xe892, 0x0018		/* ldm r2, {r3, r4} */
	t32	ldr_sp, 0x9b01			/* ldr r3, [sp, #4] */
	t32	ldr_to_sp, 0xf8d2, 0xd004	/* ldr.w sp, [r2, #4] */
	t32	pop, 0xbc08			/* pop {r3} */
	t32	ldr_pc, 0xf8d2, 0xf00c		/* ldr.w pc, [r2, #12] */
	t32	str, 0x6054			/* str r4, [r2, #4] */
	t32	half_aligned, 0x46c0, 0x6813	/* nop; ldr r3, [r2], at 2 mod 4 */
	/* cmp r6, r6; itte eq; ldreq r3, [r2]; ldreq.w r4, [r2, #4]; ldrne r5, [r2, #4] */
	t32	if_then, 0x42b6, 0xbf06, 0x6813, 0xf8d2, 0x4004, 0x6855
	/* cmp r6, r6; ittee ne; ldrne r3, [r2]; ldrne r4, [r2, #4]; ldreq r3, [r2]; ldreq r5, [r2, #4] */
	t32	if_not, 0x42b6, 0xbf19, 0x6813, 0x6854, 0x6813, 0x6855
	t32	big_endian, 0xb658, 0x6813, 0xb650 /* setend be; ldr r3, [r2]; setend le */
	t32	bkpt, 0xbe05			/* bkpt #5 */
	t32	bkpt_if_not, 0x42b6, 0xbf18, 0xbe05 /* cmp r6, r6; it ne; bkpt #5: is executed */
	t32	smc, 0xf7f0, 0x8000		/* smc #0: undefined at EL0 */
	t32	hvc, 0xf7e0, 0x8000		/* hvc #0: likewise */
	t32	udf, 0xde00			/* udf #0 */
	t32	wfe, 0xbf50, 0xbf20		/* sevl; wfe */
	t32	wfe_wide, 0xbf50, 0xf3af, 0x8002
	/* cmp r6, r6; it ne; wfene */
	t32	wfe_if_not, 0x42b6, 0xbf18, 0xbf20
	/* mrc p14, 0, r3, c0, c1, 0 (DBGDSCRint), and so on; apsr_nzcv: the flags */
	/* and a shift: QEMU's other fields are those of one core, whatever its ID_AA64*_EL1 say */
	t32	dbgdidr, 0xee10, 0x3e10, 0x0d1b
	t32	dbgdidr_if_not, 0x42b6, 0xbf18, 0xee10, 0x3e10
	t32	dbgdsar, 0xee12, 0x3e10
	t32	dbgdsar_flags, 0xee12, 0xfe10
	t32	dbgdrar_wide, 0xec54, 0x3e01
	t32	no_register, 0xee1f, 0x3e1f

	a32	ldr, 0xe5923000			/* ldr r3, [r2] */
	a32	ldrh, 0xe1d230b0		/* ldrh r3, [r2] */
	a32	ldrsb, 0xe19230d6		/* ldrsb r3, [r2, r6] */
	a32	ldrsh, 0xe19230f6		/* ldrsh r3, [r2, r6] */
	a32	ldr_unaligned, 0xe5923001	/* ldr r3, [r2, #1] */
	a32	lda, 0xe1923c9f			/* lda r3, [r2] */
	a32	ldm, 0xe8920018			/* ldm r2, {r3, r4} */
	a32	ldr_sp, 0xe59d3004		/* ldr r3, [sp, #4] */
	a32	ldr_pc, 0xe592f00c		/* ldr pc, [r2, #12] */
	a32	str, 0xe5824004			/* str r4, [r2, #4] */
	a32	ldr_if, 0xe1560006, 0x05923000	/* cmp r6, r6; ldreq r3, [r2] */
	a32	ldr_if_not, 0xe1560006, 0x15923000 /* cmp r6, r6; ldrne r3, [r2] */
	a32	big_endian, 0xf1010200, 0xe5923000, 0xf1010000
	a32	bkpt, 0xe1200075		/* bkpt #5 */
	a32	smc, 0xe1600070			/* smc #0 */
	a32	hvc, 0xe1400070			/* hvc #0 */
	a32	udf, 0xe7f000f0			/* udf #0 */
	a32	wfe, 0xe320f005, 0xe320f002	/* sevl; wfe */
	a32	wfe_if_not, 0xe1560006, 0x1320f002 /* cmp r6, r6; wfene */

	a32	dbgdidr, 0xee103e10, 0xe1a03a23	/* mrc p14, 0, r3, c0, c0, 0; lsr r3, r3, #20 */
	a32	dbgdidr_if_not, 0xe1560006, 0x1e103e10
	a32	dbgdrar, 0xee113e10		/* mrc p14, 0, r3, c1, c0, 0 */
	a32	dbgdrar_wide, 0xec543e01	/* mrrc p14, 0, r3, r4, c1 */
	a32	dbgdrar_if_not, 0xe1560006, 0x1c543e01

	.section .rodata.cases
	.global	cases_end
cases_end:
	.text
	.balign	4
landing:
	.hword	0x3708, 0xdf01			/* adds r7, #8; svc #1 */

	.balign	4096
	.global	data_page, data_probe
data_page:
	.long	0x81f2e3d4, 0x95a6b7c8, 0x0badcafe, landing + 0x80000001
data_probe:
	nop
	.balign	4096
