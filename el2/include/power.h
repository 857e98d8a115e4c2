/* SPDX-License-Identifier: Apache-2.0 */
/* The one state of power and pauses (power_state.h), and its lock. */
#ifndef SV_POWER_H
#define SV_POWER_H

#include "power_state.h"
#include "vcpu.h"

/* With the lock, until power_release. */
struct power_state *power_take(void);
void power_release(void);

/* Without it: what was so a moment ago. */
enum power power_of(const struct vcpu *v);
bool power_is_pausing(void);

static inline bool power_is_on(const struct vcpu *v)
{
	return power_of(v) == POWER_ON;
}

#endif
