/* SPDX-License-Identifier: Apache-2.0 */
#define UPPER_HALF 0xffffff8000000000

	.text
/* In: x0, what SP_EL0 is from task_site on. */
	.global	task_call
	.global	task_site
task_call:
	msr	sp_el0, x0
	.global	task_end
task_site:
	nop
task_end:
	ret

/*
 * Kernel code that has no user memory. In: x0, an address in the lower half; x1, SP_EL0; x2 and x3, TTBR0_EL1 and
 * TTBR1_EL1 for the while; x4, where three values go: PAR_EL1 of a translation of that address after apart_site, and both
 * registers as they are then. Clobbers x9 to x14.
 */
	.global	apart_call
	.global	apart_site
apart_call:
	adr	x9, 1f
	orr	x9, x9, #UPPER_HALF
	mrs	x10, ttbr0_el1
	mrs	x11, ttbr1_el1
	br	x9
1:	msr	sp_el0, x1
	msr	ttbr0_el1, x2
	msr	ttbr1_el1, x3
	isb
apart_site:
	nop
	at	s1e1r, x0
	isb
	mrs	x12, par_el1
	mrs	x13, ttbr0_el1
	mrs	x14, ttbr1_el1
	msr	ttbr1_el1, x11
	msr	ttbr0_el1, x10
	isb
	stp	x12, x13, [x4]
	str	x14, [x4, #16]
	ret
