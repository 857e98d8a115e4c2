/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making other vCPUs come to EL2 at once: an SGI of the monitor. It borrows the number of the guest's last one;
 * as the guest's own SGIs are sent by the monitor, what was meant for the guest is known.
 */
#ifndef SV_KICK_H
#define SV_KICK_H

#include "types.h"
#include "vcpu.h"

#define INTID_KICK 15

/* All that are on but `v`. */
void kick_others(struct vcpu *v);

/* The guest sends SGIs (value of ICC_SGI1R_EL1): notes whom it means by this number. */
void kick_note_guest_sgi(const struct vcpu *v, u64 value);

/* The SGI arrived; whether the guest is to have it. */
bool kick_is_guests(struct vcpu *v);

#endif
