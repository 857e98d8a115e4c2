/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors: as little as an EL2 can do for a trap. It takes the monitor's place (same load address, same entry
 * of the guest), so that the same payload runs above either.
 *
 * SMC #1    the floor of a hit: exception entry, x0 to x30 saved, ESR, ELR and SPSR read, dispatch by
 *           exception class and immediate, ELR past the SMC, x0 to x30 restored, ERET. No record.
 * step      the floor of a step: the same way in and out, SPSR.SS set again.
 * SMC #2, 3 stepping begins and ends.
 * SMC #4    the floor of a hit with a record: the counter, the PC and x0 to x5 stored in a ring that nobody drains,
 *           and the index that tells of them.
 * SMC #0    firmware, as it is; CPU_ON through here.
 *
 * With `stage2` set it is the floor of an idle guest: a kernel at EL1 above an EL2 with an identity map in blocks of a
 * gigabyte, and nothing else. The host writes the variables below before the machine starts.
 */
#include "guest.h"

#define HCR_VM 1
#define HCR_RW (UL(1) << 31)
#define HCR_TSC (UL(1) << 19)
#define HCR_APK_API (UL(3) << 40)
#define MDCR_TDE (1 << 8)
#define MDSCR_SS 1
#define SPSR_SS (1 << 21)
#define EC_SMC64 0x17
#define EC_STEP_LOWER 0x32
#define FLOOR_FRAME 512
#define RING_SIZE 0x400000 /* the monitor's */
#define RECORD_SIZE 80

/* 40 bits from level 1 (two tables), 4 KiB, write-back walks, 40 bits of physical address, RES1. */
#define VTCR (24 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | UL(1) << 31)
/* Block, readable and writable, accessed; Device-nGnRE, or write-back and inner shareable. */
#define DEVICE_BLOCK (1 | 1 << 2 | 3 << 6 | 1 << 10)
#define MEMORY_BLOCK (1 | 15 << 2 | 3 << 6 | 3 << 8 | 1 << 10)
#define GIGABYTES 1024

#define CPTR_RES1 0x22ff /* but for SVE's and SME's bits, which are RES1 without them */
#define CPTR_TZ (1 << 8)
#define CPTR_TSM (1 << 12)

	.text
	.global	image_start
image_start:
	b	primary
	.long	0
	.quad	0x200000	/* text_offset: the monitor's */
	.quad	0x7e00000	/* image_size: up to the guest's memory */
	.quad	0xa
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

	.global	guest_entry
	.global	guest_argument
	.global	stage2
	.global	vectors_wanted
guest_entry:
	.quad	GUEST_RAM_BASE
guest_argument:
	.quad	0
stage2:
	.quad	0
vectors_wanted:
	.quad	0

/* Builds the map, whether it is used or not. */
primary:
	ldr	x0, =blocks
	ldr	x1, =DEVICE_BLOCK
	mov	x2, #0
1:	str	x1, [x0], #8
	add	x2, x2, #1
	ldr	x1, =MEMORY_BLOCK
	orr	x1, x1, x2, lsl #30
	cmp	x2, #GIGABYTES
	b.lo	1b
	dsb	sy
	ldr	x0, guest_argument
	ldr	x30, guest_entry
	b	to_guest

/* PSCI CPU_ON. In: x0 what the guest wants there, as context; `entry` where it wants to start. */
secondary:
	ldr	x30, entry

/* In: x0 the guest's x0, x30 its first instruction. */
to_guest:
	msr	daifset, #15
	mrs	x1, mpidr_el1
	msr	vmpidr_el2, x1
	and	x1, x1, #0xff
	ldr	x2, =frames
	mov	x3, #FLOOR_FRAME
	madd	x2, x1, x3, x2
	mov	sp, x2
	mov	x20, x30
	adr	x1, vectors
	msr	vbar_el2, x1
	ldr	x1, =(HCR_RW | HCR_TSC | HCR_APK_API)
	ldr	x2, stage2
	and	x2, x2, #HCR_VM
	orr	x1, x1, x2
	msr	hcr_el2, x1
	ldr	x1, =VTCR
	msr	vtcr_el2, x1
	ldr	x1, =blocks
	msr	vttbr_el2, x1
	isb
	tlbi	alle1
	dsb	sy
	mov	x1, #3
	msr	cnthctl_el2, x1
	msr	cntvoff_el2, xzr
	bl	vectors_to_guest
	msr	hstr_el2, xzr
	msr	mdcr_el2, xzr
	mrs	x1, midr_el1
	msr	vpidr_el2, x1
	mov	x1, #0xf
	msr	S3_4_C12_C9_5, x1	/* ICC_SRE_EL2 */
	msr	oslar_el1, xzr
	msr	osdlr_el1, xzr
	msr	mdscr_el1, xzr
	ldr	x1, =SCTLR_OFF
	msr	sctlr_el1, x1
	mov	x1, #PSTATE_EL1H
	msr	spsr_el2, x1
	msr	elr_el2, x20
	isb
	eret

/*
 * SVE and SME, where there are, do not trap, if that is wanted. Where vectors are shorter at EL1 than at EL2, each
 * return shortens them, which costs an emulator more than the rest of the trap. Clobbers: x1 to x4.
 */
vectors_to_guest:
	ldr	x1, vectors_wanted
	mov	x2, #0
	cbz	x1, 3f
	mrs	x1, id_aa64pfr0_el1
	ubfx	x1, x1, #32, #4
	mrs	x2, id_aa64pfr1_el1
	ubfx	x2, x2, #24, #4
3:	ldr	x3, =CPTR_RES1
	orr	x4, x3, #CPTR_TZ
	cmp	x1, #0
	csel	x3, x4, x3, eq
	orr	x4, x3, #CPTR_TSM
	cmp	x2, #0
	csel	x3, x4, x3, eq
	msr	cptr_el2, x3
	isb
	mov	x3, #15
	cbz	x1, 1f
	msr	S3_4_C1_C2_0, x3	/* ZCR_EL2.LEN */
1:	cbz	x2, 2f
	mov	x4, #(1 << 31)		/* FA64 */
	orr	x3, x3, x4
	msr	S3_4_C1_C2_6, x3	/* SMCR_EL2 */
2:	ret

/* EL2's MMU is off: its memory is Device memory, where every access must be aligned. */
	.balign	8
entry:
	.quad	0

	.balign	2048
vectors:
	.rept	8	/* from EL2 itself, never expected */
	.balign	0x80
	b	.
	.endr
	.balign	0x80
	stp	x0, x1, [sp, #0]
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
	str	x30, [sp, #240]
	mrs	x0, esr_el2
	mrs	x1, elr_el2
	mrs	x2, spsr_el2
	ubfx	x3, x0, #26, #6
	b	dispatch
	.rept	7
	.balign	0x80
	b	.
	.endr
	.balign	0x80

/* In: x0 ESR, x1 ELR, x2 SPSR, x3 exception class. */
dispatch:
	cmp	x3, #EC_STEP_LOWER
	b.eq	step
	cmp	x3, #EC_SMC64
	b.ne	.
	and	x0, x0, #0xffff
	cmp	x0, #4
	b.eq	record
	cmp	x0, #1
	b.ne	control
	add	x1, x1, #4
	msr	elr_el2, x1
	b	restore
step:
	orr	x2, x2, #SPSR_SS
	msr	spsr_el2, x2
restore:
	ldp	x0, x1, [sp, #0]
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
	eret
	dsb	nsh
	isb

/* In: x1 ELR. */
record:
	ldr	x4, =head
	ldr	x5, [x4]
	ldr	x6, =ring
	ldr	x7, =(RING_SIZE - RECORD_SIZE)
	cmp	x5, x7
	csel	x5, xzr, x5, hi
	add	x6, x6, x5
	mrs	x7, cntpct_el0
	stp	x1, x7, [x6]
	ldp	x7, x8, [sp, #0]
	ldp	x9, x10, [sp, #16]
	ldp	x11, x12, [sp, #32]
	stp	x7, x8, [x6, #16]
	stp	x9, x10, [x6, #32]
	stp	x11, x12, [x6, #48]
	dmb	ishst
	add	x5, x5, #RECORD_SIZE
	str	x5, [x4]
	add	x1, x1, #4
	msr	elr_el2, x1
	b	restore

/* In: x0 immediate of the SMC, x1 ELR, x2 SPSR. */
control:
	add	x1, x1, #4
	msr	elr_el2, x1
	cbz	x0, firmware
	bic	x2, x2, #SPSR_SS
	mov	x3, #0
	mov	x4, #0
	cmp	x0, #2
	b.ne	1f
	orr	x2, x2, #SPSR_SS
	mov	x3, #MDSCR_SS
	mov	x4, #MDCR_TDE
1:	msr	spsr_el2, x2
	msr	mdscr_el1, x3
	msr	mdcr_el2, x4
	b	restore

firmware:
	ldp	x0, x1, [sp, #0]
	ldp	x2, x3, [sp, #16]
	ldr	x4, =PSCI_CPU_ON
	cmp	x0, x4
	b.ne	2f
	adr	x4, entry
	str	x2, [x4]
	adr	x2, secondary
	dsb	sy
2:	smc	#0
	stp	x0, x1, [sp, #0]
	stp	x2, x3, [sp, #16]
	b	restore

	.bss
	.balign	16
frames:
	.space	MAX_CPUS * FLOOR_FRAME
	.balign	8192
blocks:
	.space	GIGABYTES * 8
head:
	.quad	0
	.balign	4096
ring:
	.space	RING_SIZE
