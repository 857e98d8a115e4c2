/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the cores enter the monitor: the first through the arm64 Image header, as a boot loader starts a
 * kernel (Linux Documentation/arch/arm64/booting.rst), the others through PSCI CPU_ON.
 */
#include "asm_offsets.h"
#include "wire_gen.h"

	.section .text.head, "ax"
	.global image_start_code
image_start_code:
	b	primary_entry
	.long	0
	.quad	SV_IMAGE_OFFSET			/* text_offset */
	.quad	SV_REGION_SIZE - SV_IMAGE_OFFSET	/* image_size: keeps the loader out of the region */
	.quad	0xa				/* flags: little-endian, 4 KiB pages, anywhere in RAM */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

/* In: x0 device tree (unused: the host wrote what matters into struct control). Clobbers: all. */
primary_entry:
	msr	daifset, #15
	mrs	x0, CurrentEL
	cmp	x0, #(2 << 2)
	b.ne	not_el2
	ldr	x0, =boot_stack_top
	mov	sp, x0
	ldr	x0, =bss_start
	ldr	x1, =bss_end
1:	cmp	x0, x1
	b.hs	2f
	stp	xzr, xzr, [x0], #16
	b	1b
2:	ldr	x0, =vectors
	msr	vbar_el2, x0
	isb
	bl	mmu_build
	bl	mmu_enable
	b	primary_main

/* Not started at EL2: says so in the control page, which is all that can be done. */
not_el2:
	ldr	x0, =image_start
	mov	x1, #(SV_CONTROL_OFFSET - SV_IMAGE_OFFSET)
	add	x0, x0, x1
	mov	w1, #SV_FAILURE_NOT_EL2
	str	w1, [x0, #SV_CONTROL_FAILURE_OFFSET]
	mov	w1, #SV_STATE_FAILED
	str	w1, [x0, #SV_CONTROL_STATE_OFFSET]
	dsb	sy
3:	wfi
	b	3b

/* PSCI CPU_ON. In: x0 struct vcpu of this core. Clobbers: all. */
	.global secondary_entry
secondary_entry:
	msr	daifset, #15
	mov	x19, x0
	mov	sp, x0
	ldr	x0, =vectors
	msr	vbar_el2, x0
	isb
	bl	mmu_enable
	mov	x0, x19
	b	secondary_main

	.section .bss.boot_stack, "aw", %nobits
	.balign	16
	.space	8192
boot_stack_top:
