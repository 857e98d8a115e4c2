/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to shadowed pages, one case each. At the start: x0 the address, x1 to x5 and x30 as in every case
 * of run_state's users, x2 the address's alias for EL0.
 *
 * A case names where it points: `probed` (a probed instruction), `data` (64 bytes of data in the same page),
 * `border` (4 bytes before the end of the first shadowed page, the second one follows).
 */
#include "guest.h"

#define AT_PROBED 0
#define AT_DATA 1
#define AT_BORDER 2

	.arch	armv8-a
	.section .rodata.cases, "a"
	.balign	8
	.global	cases
cases:
	.text

	.macro	case name, where, pstate=PSTATE_EL1H
	.pushsection .rodata.names, "a"
name_\name:
	.asciz	"\name"
	.popsection
	.pushsection .rodata.cases, "a"
	.quad	name_\name, case_\name, \where, \pstate
	.popsection
	.balign	16
case_\name:
	.endm

	.macro	done
	b	state_capture
	.endm

	.macro	read name, text:vararg
	case	\name, AT_PROBED
	\text
	done
	.endm

	.macro	write name, text:vararg
	case	\name, AT_DATA
	\text
	done
	.endm

	/* A read through vector registers shows what it read in x6 and x7. */
	.macro	vector_read name, text:vararg
	case	\name, AT_PROBED
	\text
	fmov	x6, d0
	fmov	x7, v0.d[1]
	done
	.endm

	read	ldrb, ldrb w6, [x0]
	read	ldrb_odd, ldrb w6, [x0, #3]
	read	ldrh, ldrh w6, [x0, #2]
	read	ldr_w, ldr w6, [x0]
	read	ldr_x, ldr x6, [x0]
	read	ldr_xzr, ldr xzr, [x0]
	read	ldr_into_base, ldr x0, [x0]
	read	ldrsb_w, ldrsb w6, [x0, #3]
	read	ldrsb_x, ldrsb x6, [x0, #3]
	read	ldrsh_w, ldrsh w6, [x0, #2]
	read	ldrsh_x, ldrsh x6, [x0, #2]
	read	ldrsw, ldrsw x6, [x0]
	read	ldrsw_neg, ldrsw x6, [x0, #4]
	read	ldur, ldur x6, [x0, #-3]
	read	ldr_pre, ldr x6, [x0, #8]!
	read	ldr_post, ldr x6, [x0], #-16
	read	ldrb_post, ldrb w6, [x0], #1
	read	ldr_register, ldr x6, [x0, x5, lsl #3]
	read	ldr_sxtw, ldr w6, [x0, w4, sxtw]
	read	ldr_unaligned, ldr x6, [x0, #1]
	read	ldp, ldp x6, x7, [x0]
	read	ldp_w, ldp w6, w7, [x0]
	read	ldp_into_base, ldp x6, x0, [x0]
	read	ldp_pre, ldp x6, x7, [x0, #16]!
	read	ldp_post, ldp x6, x7, [x0], #-16
	read	ldpsw, ldpsw x6, x7, [x0]
	read	ldnp, ldnp x6, x7, [x0]
	read	ldar, ldar x6, [x0]
	read	ldarb, ldarb w6, [x0]
	read	ldarh, ldarh w6, [x0]
	read	ldtr, ldtr x6, [x2]
	read	ldtrsw, ldtrsw x6, [x2]
	read	prfm, prfm pldl1keep, [x0]
	read	dc_cvau, dc cvau, x0
	read	dc_cvac, dc cvac, x0
	read	dc_civac, dc civac, x0
	read	ic_ivau, ic ivau, x0
	read	at_read, at s1e1r, x0
	read	at_write, at s1e1w, x0
	vector_read ldr_b, ldr b0, [x0]
	vector_read ldr_h, ldr h0, [x0]
	vector_read ldr_s, ldr s0, [x0]
	vector_read ldr_d, ldr d0, [x0]
	vector_read ldr_q, ldr q0, [x0]
	vector_read ldp_q, ldp q1, q0, [x0]
	vector_read ld1_four, ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x0]
	vector_read ld1_one, ld1 {v0.2d}, [x0]
	vector_read ld1_lane, ld1 {v0.s}[2], [x0]
	vector_read ld1r, ld1r {v0.4s}, [x0]
	vector_read ld2, ld2 {v0.4s, v1.4s}, [x0]
	vector_read ld4, ld4 {v0.8h, v1.8h, v2.8h, v3.8h}, [x0], #64

	case	ldxr_clrex, AT_PROBED
	ldxr	x6, [x0]
	clrex
	done
	case	ldxr_stxr_elsewhere, AT_PROBED
	ldxr	x6, [x0]
	sub	x7, sp, #64
	stxr	w8, x6, [x7]
	mov	w8, #0		/* it may succeed or fail */
	done
	case	ldr_border, AT_BORDER
	ldr	x6, [x0]
	done
	case	ldp_border, AT_BORDER
	ldp	x6, x7, [x0, #-8]
	done
	case	ldr_q_border, AT_BORDER
	ldr	q0, [x0, #-7]
	fmov	x6, d0
	fmov	x7, v0.d[1]
	done
	case	el0_ldr, AT_PROBED, PSTATE_EL0
	ldr	x6, [x2]
	svc	#1
	case	el0_ldp_q, AT_PROBED, PSTATE_EL0
	ldp	q0, q1, [x2]
	fmov	x6, d1
	svc	#1

	write	strb, strb w1, [x0, #1]
	write	strh, strh w1, [x0, #2]
	write	str_w, str w1, [x0, #4]
	write	str_x, str x1, [x0, #8]
	write	str_xzr, str xzr, [x0]
	write	str_pre, str x1, [x0, #8]!
	write	str_post, str x1, [x0], #-8
	write	stur, stur x1, [x0, #3]
	write	str_register, str w1, [x0, x5, lsl #2]
	write	stp, stp x1, x3, [x0]
	write	stp_pre, stp x1, x3, [x0, #16]!
	write	stp_post, stp w1, w3, [x0], #8
	write	stnp, stnp x1, x3, [x0]
	write	stlr, stlr x1, [x0]
	write	stlrb, stlrb w1, [x0]
	write	sttr, sttr x1, [x2]
	write	str_b, str b1, [x0]
	write	str_d, str d1, [x0, #8]
	write	str_q, str q1, [x0]
	write	stp_q, stp q0, q1, [x0]
	write	st1_four, st1 {v0.16b, v1.16b, v2.16b, v3.16b}, [x0]
	write	st1_lane, st1 {v1.h}[3], [x0]
	write	st3, st3 {v0.8b, v1.8b, v2.8b}, [x0]
	write	dc_zva, dc zva, x0

	case	exclusive_in_page, AT_DATA
	mov	x9, #1000
1:	sub	x9, x9, #1
	cbz	x9, 2f
	ldxr	x6, [x0]
	add	x6, x6, #1
	stxr	w8, x6, [x0]
	cbnz	w8, 1b
2:	cmp	x9, #0
	cset	x9, eq
	done
	case	str_border, AT_BORDER
	str	x1, [x0]
	done
	case	stp_border, AT_BORDER
	stp	x1, x3, [x0, #-8]
	done
	case	str_q_border, AT_BORDER
	str	q1, [x0, #-8]
	done
	case	el0_str, AT_DATA, PSTATE_EL0
	str	x1, [x2]
	svc	#1
	case	el0_str_border, AT_BORDER, PSTATE_EL0
	str	x1, [x2]
	svc	#1

	.arch	armv8.3-a
	read	ldapr, ldapr x6, [x0]
	write	ldadd, ldadd x1, x6, [x0]
	write	swp, swp w1, w6, [x0]
	write	cas_fails, cas x1, x3, [x0]
	write	casp, casp x4, x5, x6, x7, [x0]
	write	stadd, stadd x1, [x0]

	.section .rodata.cases, "a"
	.global	cases_end
cases_end:

/*
 * Three pages in a row, all with a probe: functions to call, and data between them. The first and the second
 * have data at their common border.
 */
	.arch	armv8-a
	.text
	.balign	4096
	.global	shadow_pages
	.global	shadow_data
	.global	shadow_border
	.global	first_probe
	.global	second_probe
	.global	third_probe
shadow_pages:
	.global	first_function
first_function:
	ldr	x1, literal
first_probe:
	add	x0, x0, #1
	ret
	.balign	8
literal:
	.quad	0x1122334455667788
	.global	alias_function
alias_function:
	mov	x0, #0x55
	svc	#5
	.balign	64
shadow_data:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	.quad	0xf0e1d2c3b4a59687 + \n * 0x0101010101010101
	.endr
	.org	shadow_pages + 4096 - 16
	.global	shadow_border_words
shadow_border_words:
	.quad	0x8182838485868788, 0x9192939495969798
	.quad	0xa1a2a3a4a5a6a7a8, 0xb1b2b3b4b5b6b7b8
	.set	shadow_border, shadow_pages + 4096 - 4
	.global	second_function
second_function:
	mov	x1, #7
second_probe:
	add	x0, x0, #1
	ret
	.balign	4096
	.global	third_function
third_function:
	nop
third_probe:
	add	x0, x0, #1
	ret
	.balign	4096
	.global	shadow_pages_end
shadow_pages_end:
