/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"

#include "gic.h"
#include "monitor.h"

/* PL011 registers (Arm DDI 0183, "Summary of registers"). */
#define UARTDR 0x00
#define UARTFR 0x18
#define UARTFR_TXFF (1U << 5)
#define WAIT_LIMIT 100000

static void put(char character)
{
	u64 base = control()->uart_base;

	for (u32 i = 0; i < WAIT_LIMIT && (mmio_read32(base + UARTFR) & UARTFR_TXFF); i++)
		;
	mmio_write32(base + UARTDR, (u8)character);
}

void uart_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			put('\r');
		put(*text);
	}
}

void uart_hex(u64 value)
{
	uart_text("0x");
	for (u32 shift = 64; shift; shift -= 4)
		put("0123456789abcdef"[value >> (shift - 4) & 15]);
}
