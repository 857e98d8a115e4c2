/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stopping the guest's clock while it waits for the host.
 *
 * A vCPU that waits long (a full ring, a slow answer) stops all of them: each is kicked to EL2 and stays
 * there. From when the last one has stopped until the wait is over, no virtual time passes: CNTVOFF_EL2 of
 * all of them grows by that much. So the clock never runs backwards on one vCPU, and they never disagree;
 * the guest sees neither a soft lockup nor an RCU stall.
 */
#ifndef SV_PAUSE_H
#define SV_PAUSE_H

#include "types.h"
#include "vcpu.h"

/* This vCPU waits long from now; may be called again before pause_end. */
void pause_begin(struct vcpu *v);
void pause_end(struct vcpu *v);

/* At the end of every exit: waits while another one's pause lasts. */
void pause_check(struct vcpu *v);

/* This vCPU comes up: from now on it counts as running. Stops as pause_check does, and gets the clock of the others. */
void pause_join(struct vcpu *v);

/* It no longer does, as it goes off: it may have been the last that a pause waited for. */
void pause_leave(struct vcpu *v);

#endif
