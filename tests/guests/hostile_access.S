/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every form of access as a function. In: x0 address, x1 a value. Out: x0 what was read, or what the address
 * register holds after a store.
 */
#include "guest.h"

	.arch	armv8-a
	.section .rodata.accesses, "a"
	.balign	8
	.global	accesses
accesses:
	.text

	.macro	access name, plain, text:vararg
	.pushsection .rodata.names, "a"
name_\name:
	.asciz	"\name"
	.popsection
	.pushsection .rodata.accesses, "a"
	.quad	name_\name, access_\name, \plain
	.popsection
	.balign	16
access_\name:
	\text
	ret
	.endm

	access	ldrb, 1, ldrb w0, [x0]
	access	ldrh, 1, ldrh w0, [x0]
	access	ldr_w, 1, ldr w0, [x0]
	access	ldr_x, 1, ldr x0, [x0]
	access	ldrsb, 1, ldrsb x0, [x0]
	access	ldrsh_w, 1, ldrsh w0, [x0]
	access	ldrsw, 1, ldrsw x0, [x0]
	access	ldar, 1, ldar w0, [x0]
	access	strb, 1, strb w1, [x0]
	access	strh, 1, strh w1, [x0]
	access	str_w, 1, str w1, [x0]
	access	str_x, 1, str x1, [x0]
	access	str_xzr, 1, str xzr, [x0]
	access	stlr, 1, stlr w1, [x0]
	access	ldr_xzr, 1, ldr wzr, [x0]
	access	ldr_post, 0, ldr w2, [x0], #4
	access	ldr_pre, 0, ldr w2, [x0, #0]!
	access	str_post, 0, str w1, [x0], #4
	access	str_pre, 0, str w1, [x0, #0]!
	access	ldp, 0, ldp w0, w2, [x0]
	access	stp, 0, stp w1, w1, [x0]
	access	ldr_q, 0, ldr q0, [x0]
	access	str_q, 0, str q0, [x0]
	access	ld1, 0, ld1 {v0.16b, v1.16b}, [x0]
	access	ldxr, 0, ldxr w0, [x0]
	access	stxr, 0, stxr w2, w1, [x0]
	access	dc_zva, 0, dc zva, x0
	access	dc_civac, 0, dc civac, x0
	access	dc_ivac, 0, dc ivac, x0
	access	prfm, 0, prfm pldl1keep, [x0]
	access	execute, 0, br x0

	.section .rodata.accesses, "a"
	.global	accesses_end
accesses_end:

	.text
	.arch	armv8-a

/* In: x0 code at its alias for EL0. Comes back by an exception only: the call is one of `attempt`. */
	.global	enter_el0
enter_el0:
	mov	x2, #PSTATE_EL0
	msr	elr_el1, x0
	msr	spsr_el1, x2
	mov	x0, x1
	eret

	.macro	user name, text:vararg
	.global	user_\name
user_\name:
	\text
	svc	#0x77
	.endm

	.balign	16
	user	smc, smc #0
	user	smc_slot, smc #7
	user	hvc, hvc #0
	user	load, ldr x0, [x0]
	user	mrs, mrs x0, esr_el1
	user	wfi, wfi

	.macro	call name, text:vararg
	.global	call_\name
call_\name:
	\text
	ret
	.endm

/* In: x0 function identifier, x1 first argument. */
	call	smc_0, smc #0
	call	smc_1, smc #1
	call	smc_7, smc #7
	call	smc_8000, smc #0x8000
	call	smc_ffff, smc #0xffff
	call	hvc_0, hvc #0
	call	hvc_1, hvc #1
	call	hvc_ffff, hvc #0xffff
	call	udf, .inst 0
	call	unallocated, .inst 0xe7f000f0
	call	mrs_hcr, mrs x0, hcr_el2
	call	msr_vbar_el2, msr vbar_el2, x0
	call	msr_vttbr, msr vttbr_el2, x0
	call	mrs_cnthp, mrs x0, cnthp_ctl_el2
	call	msr_ich_hcr, msr S3_4_C12_C11_0, x0
	call	tlbi_alle1, tlbi alle1
	call	at_s12, at s12e1r, x0
	call	msr_sp_el1, msr sp_el1, x0
	call	brk, brk #0x5555
	call	hlt, hlt #1
	call	dcps2, dcps2
	call	drps, drps

/* Probed while other SMCs carry its slot's number. */
	.global	armed_target
armed_target:
	add	x0, x0, #1
	ret

	.balign	8
	.global	fp_off
fp_off:
	msr	cpacr_el1, xzr
	isb
	fmov	d0, x0
	ret
