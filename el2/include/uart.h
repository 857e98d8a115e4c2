/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's last words, on the guest's PL011. */
#ifndef SV_UART_H
#define SV_UART_H

#include "types.h"

void uart_text(const char *text);
void uart_hex(u64 value);

#endif
