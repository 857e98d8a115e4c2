/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that debug a child have in common: Linux system calls without a library. */
#ifndef PTRACE_H
#define PTRACE_H

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

struct registers {
	u64 x[31], sp, pc, pstate;
};

struct span {
	void *base;
	u64 size;
};

static inline long call(long number, u64 a, u64 b, u64 c, u64 d)
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

static inline void print_number(const char *name, u64 value)
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

static inline void get_registers(long child, struct registers *registers)
{
	struct span span = { registers, sizeof(*registers) };

	call(SYS_PTRACE, PTRACE_GETREGSET, (u64)child, NT_PRSTATUS, (u64)&span);
}

static inline void set_registers(long child, struct registers *registers)
{
	struct span span = { registers, sizeof(*registers) };

	call(SYS_PTRACE, PTRACE_SETREGSET, (u64)child, NT_PRSTATUS, (u64)&span);
}

static inline int wait_for(long child)
{
	int status = 0;

	call(SYS_WAIT4, (u64)child, (u64)&status, 0, 0);
	return status;
}

static inline int stop_signal(int status)
{
	return (status & 0xff) == 0x7f ? status >> 8 & 0xff : 0;
}

/* In the child: stopped until the parent, which traces it now, lets it go. */
static inline void be_traced(void)
{
	call(SYS_PTRACE, PTRACE_TRACEME, 0, 0, 0);
	call(SYS_KILL, (u64)call(SYS_GETPID, 0, 0, 0, 0), SIGSTOP, 0, 0);
}

/* Says so and waits for a second, for somebody to begin stepping the whole vCPU. */
static inline void begin(void)
{
	static const u64 second[2] = { 1, 0 };

	print_number("begins ", 1);
	call(SYS_NANOSLEEP, (u64)second, 0, 0, 0);
}

#endif
