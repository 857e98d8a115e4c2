/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

	.text
	.balign	4096
	.global	patched_function
	.global	patched_site
patched_function:
	mov	x9, x30
patched_site:
	add	x0, x0, #0x1
	add	x0, x0, #0x10
	mov	x30, x9
	ret
patched_far:
	add	x0, x0, #0x100
	ret

	.global	toggled_function
	.global	toggled_site
toggled_function:
	add	x0, x0, #0x10
toggled_site:
	nop
	sub	x0, x0, #0xf
	ret
	.balign	4096
