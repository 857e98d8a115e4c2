/* SPDX-License-Identifier: Apache-2.0 */
	.arch	armv8.5-a+memtag
	.text

/* In: x0 address. Out: x0 what is there. */
	.balign	4096
	.global	tagged_load
tagged_load:
	ldr	x0, [x0]
	ret
	.balign	4096

/* In: x0 pointer. Its memory gets its tag. */
	.global	set_tag
set_tag:
	stg	x0, [x0]
	ret
