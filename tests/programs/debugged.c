/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for Linux in the guest, without a library: a parent that single-steps its child with ptrace,
 * and a child with a BRK of its own. It prints what the parent saw; nobody else should have seen it.
 */
#include "ptrace.h"

#define MOST_STEPS 1000

/* Ten times round a loop of three instructions, a system call, a BRK. */
extern char child_start[], child_brk[], child_end[];
__asm__("child_start:\n"
	"	mov	x9, #10\n"
	"	mov	x10, #0\n"
	"1:	add	x10, x10, x9\n"
	"	subs	x9, x9, #1\n"
	"	b.ne	1b\n"
	"	mov	x8, #172\n"
	"	svc	#0\n"
	"child_brk:\n"
	"	brk	#77\n"
	"child_end:\n"
	"	mov	x0, x10\n"
	"	mov	x8, #93\n"
	"	svc	#0\n");

static void run_child(void)
{
	be_traced();
	__asm__ volatile("b child_start");
	__builtin_unreachable();
}

void _start(void)
{
	struct registers registers;
	u64 steps = 0;
	u64 inside = 0;
	int status;
	long child;

	begin();
	child = call(SYS_CLONE, SIGCHLD, 0, 0, 0);
	if (!child)
		run_child();
	wait_for(child);
	do {
		call(SYS_PTRACE, PTRACE_SINGLESTEP, (u64)child, 0, 0);
		status = wait_for(child);
		get_registers(child, &registers);
		inside += registers.pc >= (u64)child_start && registers.pc <= (u64)child_brk;
	} while (stop_signal(status) == SIGTRAP && registers.pc != (u64)child_brk &&
		 ++steps < MOST_STEPS);
	print_number("inside ", inside);
	call(SYS_PTRACE, PTRACE_CONT, (u64)child, 0, 0);
	status = wait_for(child);
	get_registers(child, &registers);
	print_number("brk signal ", (u64)stop_signal(status));
	print_number("brk offset ", registers.pc - (u64)child_brk);
	registers.pc = (u64)child_end;
	set_registers(child, &registers);
	call(SYS_PTRACE, PTRACE_CONT, (u64)child, 0, 0);
	status = wait_for(child);
	print_number("exit ", (u64)(status >> 8 & 0xff));
	call(SYS_EXIT, 0, 0, 0, 0);
}
