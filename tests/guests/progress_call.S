/* SPDX-License-Identifier: Apache-2.0 */
/* In: x0. Out: x0 + 1. */
	.text
	.balign	4096
	.global	progress_call
progress_call:
	add	x0, x0, #1
	ret
	.global	other_call
other_call:
	add	x0, x0, #1
	ret
	.balign	4096
