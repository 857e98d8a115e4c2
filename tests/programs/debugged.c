/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for Linux in the guest, without a library: a parent that single-steps its child with ptrace,
 * and a child with a BRK of its own. It prints what the parent saw; nobody else should have seen it. Before it
 * begins, it says so and waits for a second, for somebody to begin stepping the whole vCPU.
 */
typedef unsigned long u64;

#define SYS_EXIT 93
#define SYS_KILL 129
#define SYS_PTRACE 117
#define SYS_WAIT4 260
#define SYS_CLONE 220
#define SYS_WRITE 64
#define SYS_GETPID 172
#define SYS_NANOSLEEP 101

#define PTRACE_TRACEME 0
#define PTRACE_CONT 7
#define PTRACE_SINGLESTEP 9
#define PTRACE_GETREGSET 0x4204
#define PTRACE_SETREGSET 0x4205
#define NT_PRSTATUS 1
#define SIGCHLD 17
#define SIGSTOP 19
#define SIGTRAP 5

#define MOST_STEPS 1000

struct registers {
	u64 x[31], sp, pc, pstate;
};

struct span {
	void *base;
	u64 size;
};

static long call(long number, u64 a, u64 b, u64 c, u64 d)
{
	register long x8 __asm__("x8") = number;
	register u64 x0 __asm__("x0") = a;
	register u64 x1 __asm__("x1") = b;
	register u64 x2 __asm__("x2") = c;
	register u64 x3 __asm__("x3") = d;
	register u64 x4 __asm__("x4") = 0;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return (long)x0;
}

static void print_number(const char *name, u64 value)
{
	char line[64];
	int at = 0;
	int digits = 1;

	while (*name)
		line[at++] = *name++;
	for (u64 rest = value; rest >= 10; rest /= 10)
		digits++;
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		line[at + i] = (char)('0' + value % 10);
	at += digits;
	line[at++] = '\n';
	call(SYS_WRITE, 1, (u64)line, (u64)at, 0);
}

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

static void get_registers(long child, struct registers *registers)
{
	struct span span = { registers, sizeof(*registers) };

	call(SYS_PTRACE, PTRACE_GETREGSET, (u64)child, NT_PRSTATUS, (u64)&span);
}

static void set_registers(long child, struct registers *registers)
{
	struct span span = { registers, sizeof(*registers) };

	call(SYS_PTRACE, PTRACE_SETREGSET, (u64)child, NT_PRSTATUS, (u64)&span);
}

static int wait_for(long child)
{
	int status = 0;

	call(SYS_WAIT4, (u64)child, (u64)&status, 0, 0);
	return status;
}

static int stop_signal(int status)
{
	return (status & 0xff) == 0x7f ? status >> 8 & 0xff : 0;
}

static void run_child(void)
{
	call(SYS_PTRACE, PTRACE_TRACEME, 0, 0, 0);
	call(SYS_KILL, (u64)call(SYS_GETPID, 0, 0, 0, 0), SIGSTOP, 0, 0);
	__asm__ volatile("b child_start");
	__builtin_unreachable();
}

void _start(void)
{
	static const u64 second[2] = { 1, 0 };
	struct registers registers;
	u64 steps = 0;
	u64 inside = 0;
	int status;
	long child;

	print_number("begins ", 1);
	call(SYS_NANOSLEEP, (u64)second, 0, 0, 0);
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
