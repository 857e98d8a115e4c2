/* SPDX-License-Identifier: Apache-2.0 */
#include "panic.h"

#include "monitor.h"
#include "psci.h"
#include "sysreg.h"
#include "uart.h"

#define VECTOR_NAMES                                                                               \
	{                                                                                          \
		"synchronous, SP_EL0", "IRQ, SP_EL0", "FIQ, SP_EL0", "SError, SP_EL0",             \
		"synchronous, SP_EL2", "IRQ, SP_EL2", "FIQ, SP_EL2", "SError, SP_EL2",             \
	}

static void print_value(const char *name, u64 value)
{
	uart_text(name);
	uart_hex(value);
}

static void print_registers(const struct frame *frame)
{
	for (u32 i = 0; i < 31; i++) {
		char name[] = { '\n', 'x', (char)('0' + i / 10), (char)('0' + i % 10), ' ', 0 };

		name[0] = i % 4 ? ' ' : '\n';
		print_value(name, frame->x[i]);
	}
	uart_text("\n");
}

static void print_exception(u64 vector, const struct frame *frame)
{
	static const char *const names[] = VECTOR_NAMES;

	uart_text("\nstepvisor: unexpected exception at EL2: ");
	uart_text(names[vector / 0x80 % 8]);
	print_value("\nvector ", vector);
	print_value(" ESR ", read_sysreg(esr_el2));
	print_value(" ELR ", frame->pc);
	print_value(" FAR ", read_sysreg(far_el2));
	print_value(" SPSR ", frame->pstate);
	print_registers(frame);
}

static void __attribute__((noreturn)) stop(void)
{
	psci_system_off();
	for (;;)
		asm volatile("wfi");
}

void panic_exception(u64 vector, const struct frame *frame)
{
	control()->panic_vector = vector;
	control()->panic_esr = read_sysreg(esr_el2);
	control()->panic_elr = frame->pc;
	control()->panic_far = read_sysreg(far_el2);
	control()->panic_vcpu = vcpu_current()->index;
	monitor_set_state(SV_STATE_PANIC);
	print_exception(vector, frame);
	stop();
}

void fail(u32 failure, const char *what)
{
	control()->failure = failure;
	monitor_set_state(SV_STATE_FAILED);
	uart_text("stepvisor: start-up check failed: ");
	uart_text(what);
	uart_text("\n");
	stop();
}
