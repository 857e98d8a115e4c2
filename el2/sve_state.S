/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the vector registers beyond the 128 bits that every guest has. */
	.arch_extension sve

/*
 * In: x0 32 vectors of room, x1 17 predicates of room. Stores z0 to z31, p0 to p15 and FFR at the length of EL2.
 * Out: x0 bytes of a vector. Clobbers: nothing else.
 */
	.text
	.global	sve_store
sve_store:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	str	z\n, [x0, #\n, mul vl]
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	str	z\n, [x0, #\n, mul vl]
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	str	p\n, [x1, #\n, mul vl]
	.endr
	rdffr	p0.b
	str	p0, [x1, #16, mul vl]
	ldr	p0, [x1]
	rdvl	x0, #1
	ret
