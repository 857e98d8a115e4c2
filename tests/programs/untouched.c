/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for Linux in the guest, without a library: it opens a file twice whose name lies on a page that nobody has
 * touched, far from those that have been: the kernel maps some around each.
 */
#define DISTANCE (4UL << 20)
#define AT_FDCWD (-100L)
#define SYS_OPENAT 56
#define SYS_EXIT 93

static struct {
	char before[DISTANCE];
	char name[DISTANCE];
} memory __attribute__((aligned(65536))) = { .name = "/not/touched" };

static long call(long number, long a, const char *b)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register const char *x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = 0;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}

void _start(void)
{
	call(SYS_OPENAT, AT_FDCWD, memory.name);
	call(SYS_OPENAT, AT_FDCWD, memory.name);
	call(SYS_EXIT, 0, 0);
	__builtin_unreachable();
}
