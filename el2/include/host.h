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

/* One look at mailbox and heartbeat while this vCPU waits; false if the host is gone. */
bool host_look(struct vcpu *v);

/*
 * One look while this vCPU waits for the host, as it has done since the counter was at `since`; false when
 * waiting is over because the host is gone. A long wait stops the guest's clock until host_wait_end.
 */
bool host_wait(struct vcpu *v, u64 since);
void host_wait_end(struct vcpu *v);

/* The host paused the guest: waits here until it goes on. */
void host_pause(struct vcpu *v);

#endif
