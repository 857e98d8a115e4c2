/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the host, carried out by whichever vCPU looks first. */
#ifndef SV_MAILBOX_H
#define SV_MAILBOX_H

#include "vcpu.h"

void mailbox_poll(struct vcpu *v);

/* Counter ticks since the last command. */
u64 mailbox_idle_ticks(void);

#endif
