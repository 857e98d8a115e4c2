/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include "lock.h"

static struct lock lock;
static struct power_state state; /* Every vCPU off. */

struct power_state *power_take(void)
{
	lock_take(&lock);
	return &state;
}

void power_release(void)
{
	lock_release(&lock);
}

enum power power_of(const struct vcpu *v)
{
	return (enum power)__atomic_load_n(&state.power[v->index % SV_MAX_VCPUS], __ATOMIC_ACQUIRE);
}

bool power_is_pausing(void)
{
	return __atomic_load_n(&state.pausing, __ATOMIC_ACQUIRE) != 0;
}
