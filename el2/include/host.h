/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side as the monitor sees it: mailbox, heartbeat, waiting. */
#ifndef SV_HOST_H
#define SV_HOST_H

#include "types.h"
#include "vcpu.h"

/* The monitor's timer fired on this vCPU: heartbeat and mailbox are looked at. */
void host_tick(struct vcpu *v);

/* One look while this vCPU waits for the host; false when waiting is over because the host is gone. */
bool host_wait(struct vcpu *v);

#endif
