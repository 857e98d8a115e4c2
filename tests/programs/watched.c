/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for Linux in the guest, without a library: a parent that sets a hardware breakpoint and a hardware
 * watchpoint on its child with ptrace, and counts what they catch. As a debugger must, it steps over each with that one
 * off. `child_count` is a place for a probe of the guest's own.
 */
#include "ptrace.h"

#define NT_ARM_HW_BREAK 0x402
#define NT_ARM_HW_WATCH 0x403
#define CONTROL_ON 1U
#define CONTROL_STORE (2U << 3)
#define CONTROL_BYTES(n) (((1U << (n)) - 1) << 5)

#define ROUNDS 7

/* user_hwdebug_state of Linux with one register pair. */
struct hardware {
	unsigned int info, pad;
	u64 address;
	unsigned int control, pad2;
};

extern char child_function[], child_store[], child_after_store[];
static volatile u64 watched;

__asm__("child_function:\n"
	"	add	x0, x0, #1\n"
	"child_store:\n"
	"	str	x0, [x1]\n"
	"child_after_store:\n"
	"	nop\n"
	"child_count:\n"
	"	add	x2, x2, #1\n"
	"	ret\n");

static void run_rounds(void)
{
	register u64 x0 __asm__("x0") = 0;
	register u64 x1 __asm__("x1") = (u64)&watched;

	for (int i = 0; i < ROUNDS; i++)
		__asm__ volatile("bl child_function" : "+r"(x0) : "r"(x1) : "x2", "x30", "memory");
	call(SYS_EXIT, x0, 0, 0, 0);
}

static void run_child(void)
{
	be_traced();
	run_rounds();
	__builtin_unreachable();
}

static void set_hardware(long child, u64 kind, const void *address, unsigned int control)
{
	struct hardware hardware = { .address = (u64)address, .control = control };
	struct span span = { &hardware, sizeof(hardware) };

	if (call(SYS_PTRACE, PTRACE_SETREGSET, (u64)child, kind, (u64)&span))
		print_number("refused ", kind);
}

static void set_breakpoint(long child, int on)
{
	set_hardware(child, NT_ARM_HW_BREAK, child_function,
		     CONTROL_BYTES(4) | (on ? CONTROL_ON : 0));
}

static void set_watchpoint(long child, int on)
{
	set_hardware(child, NT_ARM_HW_WATCH, (const void *)&watched,
		     CONTROL_BYTES(8) | CONTROL_STORE | (on ? CONTROL_ON : 0));
}

static u64 stop_place(long child)
{
	struct registers registers;

	get_registers(child, &registers);
	return registers.pc;
}

/* The child stands at one of them: over it, and where that led to. */
static u64 step_over(long child, void (*set)(long, int))
{
	u64 place;

	set(child, 0);
	call(SYS_PTRACE, PTRACE_SINGLESTEP, (u64)child, 0, 0);
	wait_for(child);
	place = stop_place(child);
	set(child, 1);
	return place;
}

void _start(void)
{
	u64 breaks = 0, stores = 0, astray = 0;
	int status;
	long child;

	begin();
	child = call(SYS_CLONE, SIGCHLD, 0, 0, 0);
	if (!child)
		run_child();
	wait_for(child);
	set_breakpoint(child, 1);
	set_watchpoint(child, 1);
	for (;;) {
		u64 place;

		call(SYS_PTRACE, PTRACE_CONT, (u64)child, 0, 0);
		status = wait_for(child);
		if (stop_signal(status) != SIGTRAP)
			break;
		place = stop_place(child);
		if (place == (u64)child_function) {
			breaks++;
			astray += step_over(child, set_breakpoint) != (u64)child_store;
		} else if (place == (u64)child_store) {
			stores++;
			astray += step_over(child, set_watchpoint) != (u64)child_after_store;
		} else {
			astray++;
		}
	}
	print_number("breaks ", breaks);
	print_number("stores ", stores);
	print_number("astray ", astray);
	print_number("exit ", (u64)(status >> 8 & 0xff));
	call(SYS_EXIT, 0, 0, 0, 0);
}
