/* SPDX-License-Identifier: Apache-2.0 */
/* Where CPUs start, and where exceptions come. */
#include "guest.h"

	.section .text.head, "ax"
	.global	image_start
	b	primary
	.long	0
	.quad	GUEST_RAM_BASE - RAM_BASE	/* text_offset: where QEMU's own loader puts it */
	.quad	image_size			/* image_size */
	.quad	0xa				/* flags: little-endian, 4 KiB pages, anywhere */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

primary:
	bl	leave_el2
	ldr	x0, =bss_start
	ldr	x1, =bss_end
1:	cmp	x0, x1
	b.hs	2f
	stp	xzr, xzr, [x0], #16
	b	1b
2:	mov	x0, #0
	bl	prepare
	bl	mmu_prepare
	bl	guest_main
	b	finish

/* PSCI CPU_ON's entry. In: x0 index of this CPU. */
	.global	secondary_entry
secondary_entry:
	mov	x20, x0
	bl	leave_el2
	mov	x0, x20
	bl	prepare
	bl	mmu_on
	mov	x0, x20
	bl	secondary_main
3:	wfi
	b	3b

/* In: x0 index. Stack, vectors, floating point, TPIDR_EL1. Clobbers: x0 to x3. */
prepare:
	add	x1, x0, #1
	mov	x2, #STACK_SIZE
	ldr	x3, =stacks
	madd	x1, x1, x2, x3
	mov	sp, x1
	ldr	x1, =vectors
	msr	vbar_el1, x1
	mov	x1, #(3 << 20)
	msr	cpacr_el1, x1
	ldr	x1, =cpu_size
	ldr	x1, [x1]
	ldr	x2, =cpus
	madd	x1, x0, x1, x2
	str	x0, [x1, #16]
	msr	tpidr_el1, x1
	isb
	ret

/*
 * Without the monitor this starts at EL2, which is made to stay out of the way: nothing trapped, HVC undefined as
 * it is where nobody answers. Clobbers: x0.
 */
leave_el2:
	mrs	x0, CurrentEL
	cmp	x0, #(2 << 2)
	b.ne	4f
	ldr	x0, =(1 << 31 | 1 << 29 | 3 << 40 | 1 << 56)	/* HCR_EL2: RW, HCD, APK and API, ATA */
	msr	hcr_el2, x0
	mov	x0, #3
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mov	x0, #0x33ff
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	msr	mdcr_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mov	x0, #0xf
	msr	S3_4_C12_C9_5, x0			/* ICC_SRE_EL2 */
	msr	oslar_el1, xzr
	ldr	x0, =SCTLR_OFF
	msr	sctlr_el1, x0
	mov	x0, #PSTATE_EL1H
	msr	spsr_el2, x0
	msr	elr_el2, x30
	isb
	eret
4:	ret

	.macro	vector offset
	.balign	0x80
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp]
	mov	x0, #\offset
	b	exception_entry
	.endm

	.text
	.balign	2048
vectors:
	.irp	offset, 0x000, 0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380
	vector	\offset
	.endr
	.irp	offset, 0x400, 0x480, 0x500, 0x580, 0x600, 0x680, 0x700, 0x780
	vector	\offset
	.endr
	.balign	0x80

exception_entry:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	add	x1, sp, #FRAME_SIZE
	stp	x30, x1, [sp, #240]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	stp	x1, x2, [sp, #FRAME_PC]
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x1, x2, [sp, #FRAME_ESR]
	mov	x1, sp
	bl	exception
	ldp	x1, x2, [sp, #FRAME_PC]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x19, [sp, #144]
	ldp	x20, x21, [sp, #160]
	ldp	x22, x23, [sp, #176]
	ldp	x24, x25, [sp, #192]
	ldp	x26, x27, [sp, #208]
	ldp	x28, x29, [sp, #224]
	ldr	x30, [sp, #240]
	ldp	x0, x1, [sp], #FRAME_SIZE
	eret

	.macro	save_callee_saved
	sub	sp, sp, #112
	stp	x19, x20, [sp]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	mrs	x9, daif
	str	x9, [sp, #96]
	mrs	x9, tpidr_el1
	mov	x10, sp
	str	x10, [x9, #CPU_RECOVER_SP]
	.endm

	.global	protect
protect:
	save_callee_saved
	mov	x9, x0
	mov	x0, x1
	mov	x1, x2
	blr	x9
	mrs	x9, tpidr_el1
	str	x0, [x9, #CPU_STATE]	/* the result, for `attempt` */
	mov	x0, #1

/* In: x0 what to return. SP anywhere. Where an exception inside leads, too. */
	.global	recover
recover:
	mrs	x9, tpidr_el1
	ldr	x10, [x9, #CPU_RECOVER_SP]
	str	xzr, [x9, #CPU_RECOVER_SP]
	mov	sp, x10
	ldr	x9, [sp, #96]
	msr	daif, x9
	ldp	x19, x20, [sp]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	add	sp, sp, #112
	ret

	.global	run_state
run_state:
	save_callee_saved
	str	x0, [x9, #CPU_STATE]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldp	x30, x1, [x0, #240]
	mov	sp, x1
	ldp	x28, x29, [x0, #224]
	ldp	x26, x27, [x0, #208]
	ldp	x24, x25, [x0, #192]
	ldp	x22, x23, [x0, #176]
	ldp	x20, x21, [x0, #160]
	ldp	x18, x19, [x0, #144]
	ldp	x16, x17, [x0, #128]
	ldp	x14, x15, [x0, #112]
	ldp	x12, x13, [x0, #96]
	ldp	x10, x11, [x0, #80]
	ldp	x8, x9, [x0, #64]
	ldp	x6, x7, [x0, #48]
	ldp	x4, x5, [x0, #32]
	ldp	x2, x3, [x0, #16]
	ldp	x0, x1, [x0]
	eret

	.global	state_capture
state_capture:
	msr	tpidr_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CPU_STATE]
	stp	x2, x3, [x0, #16]
	stp	x4, x5, [x0, #32]
	stp	x6, x7, [x0, #48]
	stp	x8, x9, [x0, #64]
	stp	x10, x11, [x0, #80]
	stp	x12, x13, [x0, #96]
	stp	x14, x15, [x0, #112]
	stp	x16, x17, [x0, #128]
	stp	x18, x19, [x0, #144]
	stp	x20, x21, [x0, #160]
	stp	x22, x23, [x0, #176]
	stp	x24, x25, [x0, #192]
	stp	x26, x27, [x0, #208]
	stp	x28, x29, [x0, #224]
	mov	x2, sp
	stp	x30, x2, [x0, #240]
	mrs	x2, tpidr_el0
	stp	x2, x1, [x0]
	mrs	x2, nzcv
	mrs	x3, daif
	stp	x2, x3, [x0, #STATE_NZCV]
	mov	x0, #1
	b	recover

	.bss
	.balign	16
stacks:
	.space	MAX_CPUS * STACK_SIZE
