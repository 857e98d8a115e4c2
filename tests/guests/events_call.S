/* SPDX-License-Identifier: Apache-2.0 */
/* Code with one instruction each that is a monitor event; `at_NAME` is that instruction. */
#include "guest.h"

	.macro	piece name, text:vararg
	.balign	16
	.global	piece_\name, at_\name
piece_\name:
	nop
at_\name:
	\text
	.endm

	.text
	.balign	4096

	piece	hvc, hvc #0x123
	b	state_capture

	piece	smc, smc #0
	b	state_capture

	piece	brk, brk #0x55
	b	state_capture

	piece	breakpoint, nop
	b	state_capture

	piece	watchpoint, ldr x1, [x0]
	b	state_capture

	piece	undefined, udf #7
	b	state_capture

/* At EL0 an exception is the only way out. */
	piece	user_brk, brk #0x66
	svc	#1

	piece	user_breakpoint, nop
	svc	#1

/* Instructions to be stepped, each of which changes one register; and a store, so that a view matters. */
	.balign	4096
	.global	piece_steps, at_steps, at_steps_end
piece_steps:
	nop
at_steps:
	add	x6, x6, #1
	add	x7, x7, #1
	add	x8, x8, #1
	add	x9, x9, #1
	add	x10, x10, #1
at_steps_end:
	b	state_capture
	.balign	4096
