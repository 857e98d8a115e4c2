/* SPDX-License-Identifier: Apache-2.0 */
/* One page. In: x0. Out: x0 + 1022. */
	.text
	.balign	4096
	.global	sled
	.global	sled_end
sled:
	nop
	.rept	1022
	add	x0, x0, #1
	.endr
	ret
sled_end:
