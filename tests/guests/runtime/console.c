/* SPDX-License-Identifier: Apache-2.0 */
/* PL011, and the line protocol on it. */
#include <stdarg.h>

#include "guest.h"

#define UARTDR (UART_BASE + 0x00)
#define UARTFR (UART_BASE + 0x18)
#define UARTLCR_H (UART_BASE + 0x2c)
#define UARTCR (UART_BASE + 0x30)
#define FR_RX_EMPTY (1U << 4)
#define FR_TX_FULL (1U << 5)

static u32 passed, failed;
static u32 lock;

static void put_char(char c)
{
	while (mmio_read(UARTFR) & FR_TX_FULL)
		;
	mmio_write(UARTDR, (u8)c);
}

static u8 get_char(void)
{
	while (mmio_read(UARTFR) & FR_RX_EMPTY)
		;
	return (u8)mmio_read(UARTDR);
}

bool typed(void)
{
	if (mmio_read(UARTFR) & FR_RX_EMPTY)
		return false;
	get_char();
	return true;
}

static void put_string(const char *text)
{
	while (*text)
		put_char(*text++);
}

static void put_number(u64 number, u64 base)
{
	char digits[24];
	u32 count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	while (count)
		put_char(digits[--count]);
}

/* Of printf: %s, %u, %lu, %x, %lx. */
static void put_formatted(const char *format, va_list arguments)
{
	for (; *format; format++) {
		bool wide = false;

		if (*format != '%') {
			put_char(*format);
			continue;
		}
		format++;
		if (*format == 'l') {
			wide = true;
			format++;
		}
		if (*format == 's')
			put_string(va_arg(arguments, const char *));
		else
			put_number(wide ? va_arg(arguments, u64) : va_arg(arguments, u32),
				   *format == 'x' ? 16 : 10);
	}
}

static void lock_console(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		;
}

static void unlock_console(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static void put_line(const char *head, const char *format, va_list arguments)
{
	u64 daif = read_reg(daif);

	/* A handler that prints must not wait for the line that it interrupted. */
	irq_mask();
	lock_console();
	put_string(head);
	put_formatted(format, arguments);
	put_char('\n');
	unlock_console();
	write_reg(daif, daif);
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put_line("", format, arguments);
	va_end(arguments);
}

void report(bool good, const char *format, ...)
{
	va_list arguments;

	__atomic_add_fetch(good ? &passed : &failed, 1, __ATOMIC_RELAXED);
	va_start(arguments, format);
	put_line(good ? "PASS: " : "FAIL: ", format, arguments);
	va_end(arguments);
}

void value(const char *name, u64 number)
{
	print("VALUE: %s 0x%lx", name, number);
}

void ready(const char *name)
{
	print("READY: %s", name);
	get_char();
}

void finish(void)
{
	print("SUMMARY: %u passed, %u failed", passed, failed);
	power_off();
}
