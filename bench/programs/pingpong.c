/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pingpong N: a byte goes N times to a process on the other CPU and back. Each way wakes a sleeping CPU up, which
 * takes an interrupt from the one to the other.
 */
#include "linux.h"

static void pin(u64 cpu)
{
	u64 mask = 1UL << cpu;

	if (call(SYS_SCHED_SETAFFINITY, 0, sizeof(mask), (u64)&mask, 0) < 0)
		leave(3);
}

static void bounce(u64 count, int from, int to, int serve)
{
	char byte = 0;

	for (u64 i = 0; i < count; i++) {
		if (serve)
			call(SYS_WRITE, (u64)to, (u64)&byte, 1, 0);
		if (call(SYS_READ, (u64)from, (u64)&byte, 1, 0) != 1)
			leave(4);
		if (!serve)
			call(SYS_WRITE, (u64)to, (u64)&byte, 1, 0);
	}
}

int main(int count, char **arguments, char **environment)
{
	int there[2], back[2], status = -1;
	u64 rounds = count > 1 ? number_of(arguments[1]) : 1000;
	long child;

	(void)environment;
	if (call(SYS_PIPE2, (u64)there, 0, 0, 0) < 0 || call(SYS_PIPE2, (u64)back, 0, 0, 0) < 0)
		return 2;
	child = call(SYS_CLONE, SIGCHLD, 0, 0, 0);
	if (child == 0) {
		pin(1);
		bounce(rounds, there[0], back[1], 0);
		return 0;
	}
	pin(0);
	bounce(rounds, back[0], there[1], 1);
	call(SYS_WAIT4, (u64)child, (u64)&status, 0, 0);
	return status ? 1 : 0;
}
