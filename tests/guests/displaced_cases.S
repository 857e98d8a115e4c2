/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One piece of code per instruction that may lie under a probe: `case_NAME` is where it starts,
 * `probe_NAME` the instruction. Every way out of it leads to state_capture, or is an exception.
 *
 * At the start: x0 a buffer of 512 bytes, in its middle; x1 0x0123456789abcdef; x2 the same buffer for
 * EL0; x3 all ones; x4 0; x5 1; x30 state_capture; the others have values of their own.
 */
#include "guest.h"

#define PSTATE_IRQS 0x345 /* EL1h, IRQs unmasked */
#define PSTATE_DEBUG 0x1c5 /* EL1h, debug exceptions unmasked */
#define PSTATE_SS (1 << 21)

#define NO_IRQ 0
#define IRQ 1 /* an SGI is pending */

	.arch	armv8-a+crc
	.section .rodata.cases, "a"
	.balign	8
	.global	cases
cases:
	.text
	.balign	4096
	.global	cases_text
cases_text:

	.macro	case name, pstate=PSTATE_EL1H, irq=NO_IRQ
	.pushsection .rodata.names, "a"
name_\name:
	.asciz	"\name"
	.popsection
	.pushsection .rodata.cases, "a"
	.quad	name_\name, case_\name, \pstate, \irq
	.popsection
	.balign	16
case_\name:
	.endm

	.macro	probe name
	.global	probe_\name
probe_\name:
	.endm

	.macro	done
	b	state_capture
	.endm

/* A case that is one instruction. */
	.macro	single name, text:vararg
	case	\name
	probe	\name
	\text
	done
	.endm

/* A case that is one instruction, then one that shows what it did. */
	.macro	pair name, text, after:vararg
	case	\name
	probe	\name
	\text
	\after
	done
	.endm

/* Linear. */
	single	nop, nop
	single	add_register, add x6, x1, x3
	single	adds_carry, adds x6, x3, x5
	single	subs_zero, subs x6, x5, #1
	single	sub_sp, sub sp, sp, #64
	single	add_sp, add sp, sp, #16
	single	mov_from_sp, mov x6, sp
	single	movz, movz x6, #0x1234, lsl #48
	single	movk, movk x1, #0xffff, lsl #16
	single	csel, csel x6, x1, x3, eq
	single	ccmp, ccmp x1, x3, #9, ne
	single	madd, madd x6, x1, x3, x5
	single	umulh, umulh x6, x1, x3
	single	udiv_zero, udiv x6, x1, x4
	single	extr, extr x6, x1, x3, #13
	single	rbit, rbit x6, x1
	single	crc32, crc32x w6, w3, x1
	single	write_zero_register, add xzr, x1, x3
	single	adr, adr x6, case_nop
	single	adrp, adrp x6, case_nop
	single	x30_link, mov x30, x1

/* Memory. */
	single	ldr, ldr x6, [x0]
	single	ldrb, ldrb w6, [x0, #3]
	single	ldrsh, ldrsh x6, [x0, #8]
	single	ldr_pre, ldr x6, [x0, #16]!
	single	ldr_post, ldr x6, [x0], #-8
	single	ldr_register, ldr x6, [x0, x5, lsl #3]
	single	ldp, ldp x6, x7, [x0, #-16]
	single	ldpsw, ldpsw x6, x7, [x0]
	single	ldar, ldar x6, [x0]
	single	ldtr, ldtr x6, [x2]
	single	str, str x1, [x0]
	single	str_post, str x1, [x0], #8
	single	stp_frame, stp x29, x30, [sp, #-32]!
	single	stlr, stlr x1, [x0]
	single	sttr, sttr x1, [x2]
	single	ldr_unaligned, ldr x6, [x0, #3]
	single	ldr_q, ldr q0, [x0]
	pair	str_q, "str q1, [x0, #32]", ldr x6, [x0, #40]
	pair	st1, "st1 {v0.16b, v1.16b}, [x0]", ldr x6, [x0, #24]
	single	prfm, prfm pldl1keep, [x0]
	pair	dc_zva, "dc zva, x0", ldr x6, [x0]
	single	dc_civac, dc civac, x0
	single	dc_cvau, dc cvau, x0
	single	ic_ivau, ic ivau, x0
	single	ic_iallu, ic iallu
	single	tlbi, tlbi vmalle1
	pair	at, "at s1e1r, x0", mrs x6, par_el1

	case	ldr_literal
	probe	ldr_literal
	ldr	x6, 1f
	done
1:	.quad	0x1122334455667788
	case	ldrsw_literal
	probe	ldrsw_literal
	ldrsw	x6, 1f
	done
1:	.quad	0x88776655

/* Branches. */
	case	b_forward
	probe	b_forward
	b	1f
	mov	x6, #1
1:	done
	case	b_backward
	b	2f
1:	mov	x6, #2
	done
	probe	b_backward
2:	b	1b
	case	b_next
	probe	b_next
	b	1f
1:	done
	case	bl
	probe	bl
	bl	1f
	mov	x6, #1
1:	done

	.macro	conditional name, flags, text:vararg
	case	\name
	mov	x6, #\flags
	msr	nzcv, x6
	probe	\name
	\text, 1f
	mov	x6, #1
1:	done
	.endm
	.macro	condition name, cond, flags
	case	\name
	mov	x6, #\flags
	msr	nzcv, x6
	probe	\name
	b.\cond	1f
	mov	x6, #1
1:	done
	.endm
	condition beq_taken, eq, 0x40000000
	condition beq_not, eq, 0
	condition bgt_taken, gt, 0
	condition bgt_not, gt, 0x80000000
	condition bhi_taken, hi, 0x20000000
	conditional cbz_taken, 0, cbz x4
	conditional cbz_not, 0, cbz x5
	conditional cbnz_taken, 0, cbnz w5
	conditional cbnz_not, 0, cbnz x4
	conditional tbz_taken, 0, tbz x1, #63
	conditional tbz_not, 0, tbz x1, #0
	conditional tbnz_taken, 0, tbnz x1, #0
	conditional tbnz_not, 0, tbnz x3, #5

	case	br
	adr	x6, 1f
	probe	br
	br	x6
	mov	x6, #1
1:	done
	case	blr
	adr	x6, 1f
	probe	blr
	blr	x6
	mov	x6, #1
1:	done
	case	blr_x30
	adr	x30, 1f
	probe	blr_x30
	blr	x30
	mov	x6, #1
1:	done
	single	ret, ret
	case	ret_x6
	adr	x6, 1f
	probe	ret_x6
	ret	x6
	mov	x6, #1
1:	done
	case	br_unmapped
	mov	x6, #0x2000000000
	probe	br_unmapped
	br	x6
	case	br_misaligned
	adr	x6, 1f + 2
	probe	br_misaligned
	br	x6
1:	done

/* PSTATE. */
	single	mrs_nzcv, mrs x6, nzcv
	single	msr_nzcv, msr nzcv, x3
	single	mrs_currentel, mrs x6, CurrentEL
	single	mrs_spsel, mrs x6, spsel
	case	msr_spsel
	probe	msr_spsel
	msr	spsel, #0
	mov	x6, sp
	msr	spsel, #1
	done
	single	mrs_daif, mrs x6, daif
	case	mrs_daif_unmasked, PSTATE_IRQS
	probe	mrs_daif_unmasked
	mrs	x6, daif
	done
	single	daifset, msr daifset, #15
	case	daifset_irq, PSTATE_IRQS
	probe	daifset_irq
	msr	daifset, #2
	done
	single	daifclr_irq, msr daifclr, #2
	single	daifclr_all, msr daifclr, #15
	single	msr_daif_zero, msr daif, x4
	single	msr_daif_ones, msr daif, x3

/* System registers. */
	pair	msr_tpidr, "msr tpidrro_el0, x1", mrs x6, tpidrro_el0
	single	mrs_midr, mrs x6, midr_el1
	single	mrs_mpidr, mrs x6, mpidr_el1
	single	mrs_ctr, mrs x6, ctr_el0
	single	mrs_sctlr, mrs x6, sctlr_el1
	pair	msr_contextidr, "msr contextidr_el1, x5", mrs x6, contextidr_el1
	pair	msr_spsr, "msr spsr_el1, x3", mrs x6, spsr_el1
	pair	msr_elr, "msr elr_el1, x1", mrs x6, elr_el1
	single	mrs_cntfrq, mrs x6, cntfrq_el0
	single	mrs_cntv_ctl, mrs x6, cntv_ctl_el0
	single	mrs_pmcr, mrs x6, pmcr_el0
	single	mrs_undefined, mrs x6, S3_0_C15_C15_7
	single	msr_undefined, msr S3_0_C15_C15_7, x6
	single	mrs_el2_register, mrs x6, hcr_el2

/* Debug registers. */
	single	mrs_mdscr, mrs x6, mdscr_el1
	case	msr_mdscr
	mov	x6, #0x1000
	probe	msr_mdscr
	msr	mdscr_el1, x6
	mrs	x7, mdscr_el1
	msr	mdscr_el1, x4
	done
	single	mrs_oslsr, mrs x6, oslsr_el1
	case	msr_oslar
	probe	msr_oslar
	msr	oslar_el1, x5
	mrs	x7, oslsr_el1
	msr	oslar_el1, x4
	done
	case	mrs_oslsr_locked
	msr	oslar_el1, x5
	probe	mrs_oslsr_locked
	mrs	x6, oslsr_el1
	mrs	x7, oslsr_el1
	msr	oslar_el1, x4
	done
	case	nop_os_locked
	msr	oslar_el1, x5
	probe	nop_os_locked
	nop
	mrs	x7, oslsr_el1
	msr	oslar_el1, x4
	done
	case	mrs_osdlr
	probe	mrs_osdlr
	mrs	x6, osdlr_el1
	done
	case	msr_osdlr
	probe	msr_osdlr
	msr	osdlr_el1, x5
	mrs	x6, osdlr_el1
	msr	osdlr_el1, x4
	done
	pair	msr_dbgbvr0, "msr dbgbvr0_el1, x0", mrs x6, dbgbvr0_el1
	pair	msr_dbgwvr1, "msr dbgwvr1_el1, x0", mrs x6, dbgwvr1_el1
	single	mrs_dbgbcr0, mrs x6, dbgbcr0_el1
	single	mrs_dbgbcr15, mrs x6, dbgbcr15_el1
	single	mrs_mdccsr, mrs x6, mdccsr_el0
	single	mrs_mdccint, mrs x6, mdccint_el1
	single	mrs_mdrar, mrs x6, mdrar_el1
	single	mrs_dbgauthstatus, mrs x6, dbgauthstatus_el1
	single	mrs_dbgprcr, mrs x6, dbgprcr_el1
	single	mrs_dbgclaimset, mrs x6, dbgclaimset_el1
	single	mrs_oseccr, mrs x6, oseccr_el1
	single	mrs_dbgdtr, mrs x6, dbgdtr_el0
	single	mrs_dbgdtrrx, mrs x6, dbgdtrrx_el0
	single	msr_dbgdtr, msr dbgdtr_el0, x1
	single	mrs_osdtrrx, mrs x6, osdtrrx_el1
	single	mrs_osdtrtx, mrs x6, osdtrtx_el1
	single	msr_osdtrtx, msr osdtrtx_el1, x1
	single	mrs_id_dfr0, mrs x6, id_aa64dfr0_el1

/* Exceptions. */
	single	svc, svc #7
	single	svc_big, svc #0xffff
	single	brk, brk #9
	single	hlt, hlt #9
	single	udf, .inst 0
	single	unallocated, .inst 0xe7f000f0
	single	hvc, hvc #5
	single	dcps1, dcps1
	single	ldr_fault, ldr x6, [x3]
	single	str_fault, str x6, [x1]
	case	ldr_pre_fault
	mov	x6, #0x2000000000
	probe	ldr_pre_fault
	ldr	x7, [x6, #8]!
	done
	case	ldr_device_unaligned
	mov	x6, #UART_BASE
	probe	ldr_device_unaligned
	ldr	x7, [x6, #1]
	done
	case	at_fault
	probe	at_fault
	at	s1e1r, x1
	mrs	x6, par_el1
	done

/* ERET. */
	case	eret_el1
	adr	x6, 1f
	mov	x7, #PSTATE_EL1H
	movk	x7, #0x6000, lsl #16
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	eret_el1
	eret
	mov	x6, #1
1:	done
	case	eret_el0
	adr	x6, 1f
	mov	x7, #USER_ALIAS
	add	x6, x6, x7
	mov	x7, #PSTATE_EL0
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	eret_el0
	eret
1:	svc	#3
	case	eret_illegal
	adr	x6, 1f
	mov	x7, #0x3c9	/* EL2h: illegal from EL1, sets PSTATE.IL */
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	eret_illegal
	eret
1:	done
	case	eret_unmapped
	mov	x6, #0x2000000000
	mov	x7, #PSTATE_EL1H
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	eret_unmapped
	eret

/* Waits, barriers, hints. */
	case	wfi, PSTATE_EL1H, IRQ
	probe	wfi
	wfi
	done
	case	wfe
	sev
	sevl
	probe	wfe
	wfe
	done
	single	yield, yield
	single	sev, sev
	single	isb, isb
	single	dsb, dsb sy
	single	dmb, dmb ish
	single	clrex, clrex
	single	esb, hint #16
	single	csdb, hint #20
	single	bti_c, hint #34
	single	paciasp, hint #25
	single	xpaclri, hint #7
	case	autiasp
	hint	#25
	probe	autiasp
	hint	#29
	done

/* Exclusives: the sequence may fail now and then as an interrupt does it, but not for ever. */
	.macro	exclusive name, load:vararg
	case	\name
	mov	x6, #0
	mov	x9, #1000
1:	add	x6, x6, #1
	cmp	x6, x9
	b.eq	2f
	probe	\name
	\load
	.endm
	.macro	exclusive_end store:vararg
	\store
	cbnz	w8, 1b
2:	cmp	x6, x9
	cset	x6, eq
	done
	.endm
	exclusive ldxr, ldxr x7, [x0]
	add	x7, x7, #1
	exclusive_end stxr w8, x7, [x0]
	exclusive ldaxr_w, ldaxr w7, [x0]
	eor	w7, w7, w1
	exclusive_end stlxr w8, w7, [x0]
	exclusive ldxp, ldxp x7, x10, [x0]
	exclusive_end stxp w8, x10, x7, [x0]
	exclusive ldxrb, ldxrb w7, [x0]
	exclusive_end stxrb w8, w1, [x0]
	exclusive ldxr_leaves, ldxr x7, [x0]
	cbnz	x7, 2f
	exclusive_end stxr w8, x1, [x0]
	exclusive ldxr_stays, ldxr x7, [x0]
	cbz	x7, 2f
	exclusive_end stxr w8, x1, [x0]
	exclusive ldxr_nested_branch, ldxr x7, [x0]
	tbz	x7, #0, 3f
	add	x7, x7, #2
3:	exclusive_end stxr w8, x7, [x0]
	exclusive ldxr_alone, ldxr x7, [x0]
	clrex
	b	2f
	exclusive_end stxr w8, x7, [x0]
	single	stxr_alone, stxr w8, x1, [x0]
	case	ldxr_fault
	probe	ldxr_fault
	ldxr	x7, [x3]
	stxr	w8, x7, [x3]
	done
	case	ldxr_store_fault
	probe	ldxr_store_fault
	ldxr	x7, [x0]
	stxr	w8, x7, [x3]
	done

/* Later extensions: undefined on the older models, with the probe as without. */
	.arch	armv8.5-a+sve
	single	cas, cas x1, x3, [x0]
	single	ldadd, ldadd x1, x6, [x0]
	single	swpal, swpal x1, x6, [x0]
	single	ldapr, ldapr x6, [x0]
	single	pacia, pacia x1, x3
	single	autia_bad, autia x1, x3
	single	xpaci, xpaci x1
	single	sb, sb
	single	cfinv, cfinv
	single	addvl, addvl x6, x1, #1
	case	braaz
	adr	x6, 1f
	paciza	x6
	probe	braaz
	braaz	x6
	mov	x6, #1
1:	done
	case	blraa
	adr	x6, 1f
	pacia	x6, x1
	probe	blraa
	blraa	x6, x1
	mov	x6, #1
1:	done
	case	retaa
	paciasp
	probe	retaa
	retaa
	case	eretaa
	adr	x6, 1f
	mov	x7, sp
	pacia	x6, x7
	mov	x7, #PSTATE_EL1H
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	eretaa
	eretaa
1:	done
	.arch	armv8-a+crc

/* Calls of the firmware. */
	case	smc_version
	mov	w0, #PSCI_VERSION
	probe	smc_version
	smc	#0
	done
	case	smc_unknown
	mov	w0, #0xc6000000
	probe	smc_unknown
	smc	#0
	done
	case	smc_immediate
	mov	w0, #PSCI_VERSION
	probe	smc_immediate
	smc	#1
	done

/* With an interrupt waiting. */
	case	isr_pending, PSTATE_EL1H, IRQ
	probe	isr_pending
	mrs	x6, isr_el1
	done
	case	hppir_pending, PSTATE_EL1H, IRQ
	probe	hppir_pending
	mrs	x6, S3_0_C12_C12_2
	done
	case	iar_pending, PSTATE_EL1H, IRQ
	probe	iar_pending
	mrs	x6, S3_0_C12_C12_0
	mrs	x7, S3_0_C12_C11_3
	msr	S3_0_C12_C12_1, x6
	isb
	mrs	x8, isr_el1
	done
	case	eoir, PSTATE_EL1H, IRQ
	mrs	x6, S3_0_C12_C12_0
	probe	eoir
	msr	S3_0_C12_C12_1, x6
	mrs	x7, S3_0_C12_C11_3
	done
	case	rpr, PSTATE_EL1H, IRQ
	mrs	x6, S3_0_C12_C12_0
	probe	rpr
	mrs	x7, S3_0_C12_C11_3
	msr	S3_0_C12_C12_1, x6
	done
	case	pmr_close, PSTATE_EL1H, IRQ
	probe	pmr_close
	msr	S3_0_C4_C6_0, x4
	isb
	mrs	x6, isr_el1
	mov	x7, #0xff
	msr	S3_0_C4_C6_0, x7
	isb
	mrs	x8, isr_el1
	done
	case	daifclr_pending, PSTATE_EL1H, IRQ
	probe	daifclr_pending
	msr	daifclr, #2
	nop
	nop
	msr	daifset, #2
	done
	case	msr_daif_pending, PSTATE_EL1H, IRQ
	probe	msr_daif_pending
	msr	daif, x4
	nop
	nop
	msr	daifset, #15
	done
	case	eret_pending, PSTATE_EL1H, IRQ
	adr	x6, 1f
	mov	x7, #PSTATE_IRQS
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	eret_pending
	eret
1:	nop
	msr	daifset, #2
	done
	case	svc_pending, PSTATE_EL1H, IRQ
	probe	svc_pending
	svc	#1
	done
	case	sgi_self, PSTATE_EL1H
	mov	x6, #1
	movk	x6, #0x0200, lsl #16
	probe	sgi_self
	msr	S3_0_C12_C11_5, x6
	isb
	mrs	x7, S3_0_C12_C12_0
	msr	S3_0_C12_C12_1, x7
	isb
	done
	case	sgi_self_unmasked, PSTATE_IRQS
	mov	x6, #1
	movk	x6, #0x0200, lsl #16
	probe	sgi_self_unmasked
	msr	S3_0_C12_C11_5, x6
	isb
	msr	daifset, #2
	done
	case	igrpen, PSTATE_EL1H, IRQ
	probe	igrpen
	msr	S3_0_C12_C12_7, x4
	isb
	mrs	x6, isr_el1
	msr	S3_0_C12_C12_7, x5
	isb
	mrs	x7, isr_el1
	done
	single	icc_ctlr, mrs x6, S3_0_C12_C12_4
	single	icc_sre, mrs x6, S3_0_C12_C12_5

/* The guest debugs itself. */
	case	guest_step, (PSTATE_DEBUG | PSTATE_SS)
	probe	guest_step
	add	x6, x1, x3
	done
	case	guest_step_branch, (PSTATE_DEBUG | PSTATE_SS)
	probe	guest_step_branch
	b	1f
	nop
1:	done
	case	guest_step_svc, (PSTATE_DEBUG | PSTATE_SS)
	probe	guest_step_svc
	svc	#2
	done
	case	guest_step_load, (PSTATE_DEBUG | PSTATE_SS)
	probe	guest_step_load
	ldr	x6, [x0]
	done
	.macro	step_user name, text:vararg
	case	\name
	mov	x6, #1
	msr	mdscr_el1, x6
	adr	x6, 1f
	mov	x7, #USER_ALIAS
	add	x6, x6, x7
	mov	x7, #PSTATE_EL0
	orr	x7, x7, #PSTATE_SS
	bic	x7, x7, #0x200
	msr	elr_el1, x6
	msr	spsr_el1, x7
	probe	\name
	eret
1:	\text
	nop
	svc	#4
	.endm
	step_user guest_steps_user, add x6, x1, x3
	step_user guest_steps_user_svc, svc #3
	step_user guest_steps_user_branch, b .+8
	step_user guest_steps_user_fault, ldr x6, [x3]
	case	guest_breakpoint, PSTATE_DEBUG
	nop
	probe	guest_breakpoint
	add	x6, x1, x3
	done
	case	guest_breakpoint_behind, PSTATE_DEBUG
	probe	guest_breakpoint_behind
	add	x6, x1, x3
	.global	breakpoint_behind
breakpoint_behind:
	add	x7, x1, x3
	done
	case	guest_watchpoint, PSTATE_DEBUG
	probe	guest_watchpoint
	str	x1, [x0]
	done
	case	guest_watchpoint_pair, PSTATE_DEBUG
	probe	guest_watchpoint_pair
	ldp	x6, x7, [x0, #-8]
	done

	.balign	4096
	.section .rodata.cases, "a"
	.global	cases_end
cases_end:
