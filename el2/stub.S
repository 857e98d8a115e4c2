/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the self-test runs at EL1, MMU off. Each piece ends in an HVC, which always comes to EL2: a
 * missing trap shows as that HVC instead.
 */
	.section .stub, "ax"

	.global	stub_smc
stub_smc:
	smc	#0xfffe
	hvc	#1

	.global	stub_step
stub_step:
	nop
	hvc	#2

	.global	stub_load
stub_load:
	ldr	x1, [x0]	/* x0 is 0, where this stage 2 has nothing */
	hvc	#3

	.global	stub_wait
stub_wait:
	mov	x1, #0x8000000	/* seconds under emulation; the timer needs a millisecond */
1:	subs	x1, x1, #1
	b.ne	1b
	hvc	#4
