/* SPDX-License-Identifier: Apache-2.0 */
/* What the compiler emits calls to. */
#include "guest.h"

void *memcpy(void *to, const void *from, u64 size);
void *memset(void *to, int byte, u64 size);

void *memcpy(void *to, const void *from, u64 size)
{
	u8 *target = to;
	const u8 *source = from;

	while (size--) {
		*target++ = *source++;
		/* Keeps the compiler from turning this loop into a call of itself. */
		asm volatile("" ::: "memory");
	}
	return to;
}

void *memset(void *to, int byte, u64 size)
{
	u8 *target = to;

	while (size--) {
		*target++ = (u8)byte;
		asm volatile("" ::: "memory");
	}
	return to;
}
