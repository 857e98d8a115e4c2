/* SPDX-License-Identifier: Apache-2.0 */
/* In: x0, an address to look at. */
	.text
	.arch	armv8.5-a
	.global	pages_call, pages_site, hidden
pages_call:
	bti	c
pages_site:
	nop
	ret
	.balign	8
hidden:
	.asciz	"not to be seen"
	.balign	8
