/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side as the monitor sees it: mailbox, heartbeat, waiting. */
#ifndef SV_HOST_H
#define SV_HOST_H

#include "types.h"
#include "vcpu.h"

/* Starts this vCPU's ticks, at which it looks at heartbeat and mailbox. */
void host_tick_start(struct vcpu *v);

/* The monitor's timer fired on this vCPU. */
void host_tick(struct vcpu *v);

/* One look while this vCPU waits for the host; false when waiting is over because the host is gone. */
bool host_wait(struct vcpu *v);

/* Stands still while the host wants the guest paused; commands are carried out meanwhile. */
void host_pause(struct vcpu *v);

#endif
