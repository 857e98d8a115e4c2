/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages with sites, as each vCPU gets a copy of them. A site is called at `begin`, reached at `point`, and may
 * change x0 to x15. In: x0 an address of data, x1 to x15 anything.
 */
#include "layout.h"

	.arch	armv8.5-a+memtag
	.text

	.macro	page name
	.balign	PAGE_SIZE
	.set	in_\name, 1
	.global	\name\()_template
\name\()_template:
	.pushsection .rodata.\name\()_sites, "a"
	.global	\name\()_sites
	.balign	8
\name\()_sites:
	.popsection
	.endm

	.macro	end_page name
	.balign	PAGE_SIZE, 0
	.pushsection .rodata.\name\()_sites, "a"
	.global	\name\()_sites_end
\name\()_sites_end:
	.popsection
	.endm

	.macro	begin
77:
	.endm

	.macro	point
78:
	.endm

	.macro	enter_site name, flags
	.pushsection .rodata.\name\()_sites, "a"
	.hword	77b - \name\()_template, 78b - \name\()_template, \flags, 0
	.popsection
	.endm

	/* The first instruction is the one that may be probed. */
	.macro	site first, second, third, fourth, fifth
	begin
	point
	\first
	\second
	\third
	\fourth
	\fifth
	ret
	enter_site code, kind
	.endm

	.set	kind, SITE_PLAIN
	page	code
	site	"nop"
	site	"add x2, x3, #0x123"
	site	"add x2, x3, #1, lsl #12"
	site	"sub x4, x5, x6, lsl #3"
	site	"adds w7, w8, w9"
	site	"subs x7, x8, #42"
	site	"and x2, x3, #0xff00ff00ff00ff00"
	site	"ands x2, x3, x4, ror #7"
	site	"eor w2, w3, w4"
	site	"orn x2, x3, x4"
	site	"mov x9, x30"
	site	"movz x5, #0xbeef, lsl #32"
	site	"movk x5, #0xbeef, lsl #16"
	site	"movn w5, #0x77"
	site	"csel x2, x3, x4, eq"
	site	"csinc w2, w3, w4, lo"
	site	"ccmp x2, x3, #5, ne"
	site	"adc x2, x3, x4"
	site	"sbcs w2, w3, w4"
	site	"ubfx x2, x3, #5, #20"
	site	"sbfiz x2, x3, #5, #20"
	site	"extr x2, x3, x4, #9"
	site	"lsl x2, x3, x4"
	site	"ror w2, w3, w4"
	site	"rev x2, x3"
	site	"clz w2, w3"
	site	"madd x2, x3, x4, x5"
	site	"umulh x2, x3, x4"
	site	"udiv x2, x3, x4"
	site	"adr x2, code_template"
	site	"adrp x2, code_template"
	site	"add x2, sp, #16"
	site	"mrs x2, nzcv"
	site	"msr nzcv, x1"
	site	"mrs x2, daif"
	site	"mrs x2, currentel"
	site	"mrs x2, ctr_el0"
	site	"mrs x2, dczid_el0"
	site	"mrs x2, midr_el1"
	site	"mrs x2, mpidr_el1"
	site	"mrs x2, id_aa64pfr0_el1"
	site	"mrs x2, id_aa64isar0_el1"
	site	"mrs x2, id_aa64mmfr0_el1"
	site	"mrs x2, sctlr_el1"
	site	"mrs x2, vbar_el1"
	site	"mrs x2, hcr_el2"
	site	"msr tpidr_el0, x1", "mrs x2, tpidr_el0"
	site	"msr tpidrro_el0, x1", "mrs x2, tpidrro_el0"
	site	"msr par_el1, x1", "mrs x2, par_el1"
	site	"msr contextidr_el1, x1", "mrs x2, contextidr_el1"
	site	"msr sp_el0, x1", "mrs x2, sp_el0"
	site	"mrs x2, sp_el0"
	site	"msr afsr0_el1, x1", "mrs x2, afsr0_el1"
	site	"hint #25", "hint #29"
	site	"hint #34"
	site	"hint #31"
	site	"yield"
	site	"sevl", "wfe"
	site	"dmb ish"
	site	"dsb sy"
	site	"isb"
	site	"tlbi vmalle1", "dsb nsh", "isb"
	site	"tlbi vmalle1is", "dsb ish", "isb"
	site	"ic iallu", "dsb nsh", "isb"
	site	"dc cvau, x0"
	site	"dc civac, x0"
	site	"dc zva, x0"
	site	"prfm pldl1keep, [x0]"
	site	"at s1e1r, x0", "isb", "mrs x2, par_el1"
	site	"at s1e0w, x0", "isb", "mrs x2, par_el1"

	.set	kind, 0
	site	"b 1f", "mov x2, #1", "1:"
	site	"b.eq 1f", "mov x2, #1", "1:"
	site	"b.lt 1f", "mov x2, #1", "1:"
	site	"cbz x1, 1f", "mov x2, #1", "1:"
	site	"cbnz w1, 1f", "mov x2, #1", "1:"
	site	"tbz x1, #3, 1f", "mov x2, #1", "1:"
	site	"tbnz x1, #33, 1f", "mov x2, #1", "1:"
	site	"ret"
	begin
	mov	x8, x30
	point
	bl	1f
	mov	x2, #1
1:	mov	x9, x30
	mov	x30, x8
	ret
	enter_site code, 0
	begin
	adr	x8, 1f
	point
	br	x8
	mov	x2, #1
1:	ret
	enter_site code, 0
	begin
	mov	x9, x30
	adr	x8, 1f
	point
	blr	x8
	mov	x2, #1
1:	mov	x8, x30
	mov	x30, x9
	ret
	enter_site code, 0
	begin
	adr	x8, 1f
	mov	x9, #0x345	/* EL1h, interrupts not masked */
	msr	daifset, #2
	msr	elr_el1, x8
	msr	spsr_el1, x9
	point
	eret
	mov	x2, #1
1:	ret
	enter_site code, 0
	begin
	msr	daifset, #2
	point
	msr	daifclr, #2
	mrs	x2, daif
	ret
	enter_site code, 0
	begin
	point
	msr	daifset, #2
	mrs	x2, daif
	msr	daifclr, #2
	ret
	enter_site code, 0
	begin
	msr	daifset, #2
	mov	x2, #0x340
	point
	msr	daif, x2
	mrs	x3, daif
	ret
	enter_site code, 0

	site	"stp x1, x2, [sp, #-32]!", "ldp x3, x4, [sp], #32"
	site	"str x1, [sp, #-16]!", "ldr x3, [sp], #16"
	site	"stur x1, [sp, #-8]", "nop"
	begin
	stp	x29, x30, [sp, #-16]!
	point
	ldp	x29, x30, [sp], #16
	ret
	enter_site code, 0

	.set	kind, SITE_PLAIN
	site	"ldrb w2, [x0]"
	site	"ldrh w2, [x0]"
	site	"ldr w2, [x0]"
	site	"ldr x2, [x0]"
	site	"ldrsb x2, [x0, #1]"
	site	"ldrsh w2, [x0, #2]"
	site	"ldrsw x2, [x0, #4]"
	site	"ldur x2, [x0, #-3]"
	site	"ldr x2, [x0], #8"
	site	"ldr w2, [x0, #-4]!"
	site	"ldp x2, x3, [x0]"
	site	"ldp w2, w3, [x0, #8]"
	site	"ldpsw x2, x3, [x0], #16"
	site	"ldnp x2, x3, [x0]"
	site	"ldar x2, [x0]"
	site	"ldarb w2, [x0]"
	site	"ldtr x2, [x0]"
	begin
	and	w9, w1, #31
	point
	ldrb	w2, [x0, w9, uxtw]
	ret
	enter_site code, 0
	site	"ldr xzr, [x0]"
	site	"ldapr x2, [x0]"
	site	"ldr q0, [x0]", "mov x2, v0.d[0]", "mov x3, v0.d[1]"
	site	"ldr s1, [x0]", "fmov w2, s1"
	site	"ld1 {v0.16b, v1.16b}, [x0]", "mov x2, v0.d[1]", "mov x3, v1.d[0]"
	site	"ld2 {v0.8h, v1.8h}, [x0], #32", "mov x2, v0.d[1]", "mov x3, v1.d[0]"
	site	"ldp q0, q1, [x0]", "mov x2, v0.d[1]", "mov x3, v1.d[0]"
	site	"ldr x2, 1f", "b 2f", "1: .quad 0x123456789abcdef0", "2:"
	site	"ldr x0, [x0]"
	site	"strb w1, [x0]"
	site	"strh w1, [x0]"
	site	"str w1, [x0]"
	site	"str x1, [x0]"
	site	"str xzr, [x0]"
	site	"str x1, [x0, #16]"
	site	"stur x1, [x0, #-5]"
	site	"str x1, [x0], #8"
	site	"strh w1, [x0, #-2]!"
	site	"stp x1, x2, [x0]"
	site	"stp w1, w2, [x0, #-8]!"
	site	"stnp x1, x2, [x0]"
	site	"stlr x1, [x0]"
	site	"stlrh w1, [x0]"
	site	"sttr w1, [x0]"
	site	"fmov d0, x1", "str d0, [x0]"
	begin
	fmov	d0, x1
	fmov	d1, x2
	mov	v0.d[1], x3
	mov	v1.d[1], x4
	point
	st1	{v0.16b, v1.16b}, [x0]
	ret
	enter_site code, 0
	begin
	fmov	d0, x1
	mov	v0.d[1], x3
	point
	str	q0, [x0], #16
	ret
	enter_site code, 0
	begin
	fmov	d0, x1
	fmov	d1, x2
	point
	stp	q0, q1, [x0]
	ret
	enter_site code, 0
	site	"cas x1, x2, [x0]"
	site	"casp x2, x3, x4, x5, [x0]"
	site	"swp x1, x2, [x0]"
	site	"ldadd x1, x2, [x0]"
	site	"ldclrh w1, w2, [x0]"
	site	"stset w1, [x0]"

	.set	kind, 0
	site	"svc #3"
	site	"hvc #1"
	site	".inst 0"
	site	"brk #0x55"
	site	"hlt #1"
	site	"msr vbar_el2, x1"
	site	"mrs x2, cnthp_ctl_el2"
	site	".inst 0xe7f000f0"
	begin
	point
	svc	#SVC_RETURN
	ret
	enter_site code, 0
	begin
	mov	w0, #0x84000000
	point
	smc	#0
	ret
	enter_site code, 0
	begin
	mov	x8, x0
	mov	w0, #0x84000000
	movk	w0, #0x99
	point
	smc	#0x12
	ret
	enter_site code, 0

	/* Sequences: x0 the address, x1 what is added; x3 tells how often they were tried. */
	.macro	sequence load, store, value, probe
	begin
1:	add	x3, x3, #1
	.if \probe == 0
	point
	.endif
	\load	\value\()2, [x0]
	.if \probe == 1
	point
	.endif
	add	x4, x2, x1
	.if \probe == 2
	point
	.endif
	\store	w5, \value\()4, [x0]
	.if \probe == 3
	point
	.endif
	cbnz	w5, 1b
	ret
	enter_site code, SITE_LOOPS
	.endm

	sequence ldxr, stxr, x, 0
	sequence ldxr, stxr, x, 1
	sequence ldaxr, stlxr, x, 2
	sequence ldaxr, stlxr, x, 3
	sequence ldxr, stxr, w, 0
	sequence ldxrh, stxrh, w, 1
	sequence ldaxrb, stlxrb, w, 2
	begin
1:	add	x3, x3, #1
	point
	ldxp	x2, x6, [x0]
	add	x4, x2, x1
	eor	x7, x6, x1
	stxp	w5, x4, x7, [x0]
	cbnz	w5, 1b
	ret
	enter_site code, SITE_LOOPS
	begin
1:	add	x3, x3, #1
	ldaxp	w2, w6, [x0]
	add	x4, x2, x1
	eor	x7, x6, x1
	point
	stlxp	w5, w4, w7, [x0]
	cbnz	w5, 1b
	ret
	enter_site code, SITE_LOOPS
	/* What must fail. */
	begin
	ldxr	x2, [x0]
	point
	clrex
	stxr	w5, x1, [x0]
	ret
	enter_site code, 0
	begin
	ldxr	x2, [x0]
	svc	#SVC_RETURN
	point
	stxr	w5, x1, [x0]
	ret
	enter_site code, 0
	begin
	eor	x6, x0, #64
	point
	ldxr	x2, [x0]
	stxr	w5, x1, [x6]
	ret
	enter_site code, 0
	begin
	svc	#SVC_RETURN
	point
	stxr	w5, x1, [x0]
	ret
	enter_site code, 0
	end_page code

	/* The first sites of PAGE_TEXT; the rest is rewritten. */
	page	text
	.irp	number, 1, 2, 3, 4
	begin
	point
	add	x2, x3, #\number
	ret
	enter_site text, 0
	.endr
	begin
	point
	ldr	x2, [x0]
	ret
	enter_site text, 0
	begin
	point
	str	x1, [x0]
	ret
	enter_site text, 0
	.org	text_template + TEXT_START - 8
	/* Crosses into what is rewritten. */
	begin
	point
	nop
	ret
	enter_site text, 0
	end_page text

	.macro	user_site first, second, third
	begin
	point
	\first
	\second
	\third
	svc	#7
	enter_site user, SITE_USER
	.endm

	page	user
	user_site	"nop"
	user_site	"add x2, x3, #5"
	user_site	"adr x2, user_template"
	user_site	"b 1f", "mov x2, #1", "1:"
	user_site	"cbz x1, 1f", "mov x2, #1", "1:"
	user_site	"ldr x2, [x0]"
	user_site	"ldrb w2, [x0]"
	user_site	"ldp x2, x3, [x0]"
	user_site	"ldr q0, [x0]", "mov x2, v0.d[0]"
	user_site	"str x1, [x0]"
	user_site	"strh w1, [x0]"
	user_site	"stp x1, x2, [x0]"
	user_site	"str x1, [x0], #8"
	user_site	"svc #9"
	user_site	"smc #0"
	user_site	"hvc #0"
	user_site	"brk #9"
	user_site	".inst 0"
	user_site	"mrs x2, ctr_el0"
	user_site	"mrs x2, sctlr_el1"
	user_site	"mrs x2, daif"
	user_site	"mrs x2, tpidr_el0"
	user_site	"msr tpidr_el0, x1"
	user_site	"mrs x2, nzcv"
	user_site	"dc zva, x0"
	user_site	"dc cvau, x0"
	user_site	"ic ivau, x0"
	user_site	"mov x2, sp"
	user_site	"eret"
	begin
1:	add	x3, x3, #1
	point
	ldxr	x2, [x0]
	add	x4, x2, x1
	stxr	w5, x4, [x0]
	cbnz	w5, 1b
	svc	#8
	enter_site user, SITE_USER | SITE_LOOPS
	end_page user

	/* In numbers: the assembler knows A64 alone. r0 the address of data; r7 shows what was left out. */
	.macro	a32_site words:vararg
	begin
	point
	.long	\words
	.long	0xe2877001, 0xef000007		/* add r7, r7, #1; svc #7 */
	enter_site a32, SITE_A32
	.endm

	.macro	t32_site halves:vararg
	begin
	point
	.hword	\halves
	.hword	0x3701, 0xdf07			/* adds r7, #1; svc #7 */
	.balign	4, 0
	enter_site a32, SITE_T32
	.endm

	page	a32
	a32_site 0xe0823001			/* add r3, r2, r1 */
	a32_site 0xe5903000			/* ldr r3, [r0] */
	a32_site 0xe1d030b2			/* ldrh r3, [r0, #2] */
	a32_site 0xe1d030d1			/* ldrsb r3, [r0, #1] */
	a32_site 0xe8900018			/* ldm r0, {r3, r4} */
	a32_site 0xe1c040d0			/* ldrd r4, r5, [r0] */
	a32_site 0xe4903004			/* ldr r3, [r0], #4 */
	a32_site 0xe5801000			/* str r1, [r0] */
	a32_site 0xe5c01001			/* strb r1, [r0, #1] */
	a32_site 0xe8a00006			/* stm r0!, {r1, r2} */
	a32_site 0xe3510080, 0x05903000		/* cmp r1, #128; ldreq r3, [r0] */
	a32_site 0xe3510080, 0x35801000		/* cmp r1, #128; strlo r1, [r0] */
	a32_site 0xe1200075			/* bkpt #5 */
	a32_site 0xe7f000f0			/* udf #0 */
	a32_site 0xef000003			/* svc #3 */
	a32_site 0xf1010200, 0xe5903000, 0xf1010000 /* setend be; ldr r3, [r0]; setend le */
	t32_site 0x1853				/* adds r3, r2, r1 */
	t32_site 0x6803				/* ldr r3, [r0] */
	t32_site 0x8843				/* ldrh r3, [r0, #2] */
	t32_site 0xf8d0, 0x3001			/* ldr.w r3, [r0, #1] */
	t32_site 0x6041				/* str r1, [r0, #4] */
	t32_site 0xe890, 0x0018			/* ldm r0, {r3, r4} */
	t32_site 0x2980, 0xbf34, 0x6803, 0x6041	/* cmp r1, #128; ite lo; ldrlo r3, [r0]; strhs r1, [r0, #4] */
	t32_site 0xbe05				/* bkpt #5 */
	t32_site 0xde00				/* udf #0 */
	end_page a32

	/* What is copied into pages of data, of tables, and under a stack. */
	.global	small_template
small_template:
	add	x2, x3, #77
	ret
