/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the small programs in the guest need of Linux; they have no library. Numbers: Linux
 * include/uapi/asm-generic/unistd.h.
 */
#ifndef LINUX_H
#define LINUX_H

typedef unsigned long u64;

#define SYS_PIPE2 59
#define SYS_READ 63
#define SYS_WRITE 64
#define SYS_EXIT 93
#define SYS_SCHED_SETAFFINITY 122
#define SYS_CLONE 220
#define SYS_EXECVE 221
#define SYS_WAIT4 260
#define SIGCHLD 17

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

/* By the virtual counter, whatever its frequency. */
static inline u64 nanoseconds(void)
{
	u64 ticks, frequency;

	__asm__ volatile("isb; mrs %0, cntvct_el0; mrs %1, cntfrq_el0"
			 : "=r"(ticks), "=r"(frequency)::"memory");
	return ticks / frequency * 1000000000 + ticks % frequency * 1000000000 / frequency;
}

static inline void leave(int code)
{
	for (;;)
		call(SYS_EXIT, (u64)code, 0, 0, 0);
}

/* "text number\n" on standard output, in one write. */
static inline void print(const char *text, u64 number)
{
	char line[64], digits[24];
	int at = 0, count = 0;

	while (text[at] && at < 32) {
		line[at] = text[at];
		at++;
	}
	line[at++] = ' ';
	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (count)
		line[at++] = digits[--count];
	line[at++] = '\n';
	call(SYS_WRITE, 1, (u64)line, (u64)at, 0);
}

static inline u64 number_of(const char *text)
{
	u64 number = 0;

	while (*text >= '0' && *text <= '9')
		number = number * 10 + (u64)(*text++ - '0');
	return number;
}

/* The program's; `_start` gives it what the kernel put on the stack. */
int main(int count, char **arguments, char **environment);

__asm__(".globl _start\n"
	"_start:\n"
	"	ldr	x0, [sp]\n"
	"	add	x1, sp, #8\n"
	"	add	x2, x1, x0, lsl #3\n"
	"	add	x2, x2, #8\n"
	"	and	sp, x1, #~15\n"
	"	bl	main\n"
	"	mov	x8, #93\n"
	"	svc	#0\n");

#endif
