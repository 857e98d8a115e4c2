/* SPDX-License-Identifier: Apache-2.0 */
/* The first program: says when user space began, in nanoseconds of the virtual counter, and becomes the real /init. */
#include "linux.h"

int main(int count, char **arguments, char **environment)
{
	u64 now = nanoseconds();

	(void)count;
	print("bench: user space at", now);
	call(SYS_EXECVE, (u64) "/real-init", (u64)arguments, (u64)environment, 0);
	return 127;
}
