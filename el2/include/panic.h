/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SV_PANIC_H
#define SV_PANIC_H

#include "types.h"
#include "vcpu.h"

/* An exception at EL2 itself: reports where and why on the console and in the control page, and stops. */
void panic_exception(u64 vector, const struct frame *frame) __attribute__((noreturn));

/* A start-up check failed: reports which, and stops before the guest's first instruction. */
void fail(u32 failure, const char *what) __attribute__((noreturn));

#endif
