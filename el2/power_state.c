/* SPDX-License-Identifier: Apache-2.0 */
#include "power_state.h"

static void set_power(struct power_state *state, u64 vcpu, enum power power)
{
	__atomic_store_n(&state->power[vcpu % SV_MAX_VCPUS], (u32)power, __ATOMIC_RELEASE);
}

static u32 running(const struct power_state *state)
{
	u32 count = 0;

	for (u64 i = 0; i < SV_MAX_VCPUS; i++)
		count += state->power[i] == POWER_ON;
	return count;
}

/* The guest's clock stands from when the last of its running vCPUs has stopped. */
static void stop_clock_if_last(struct power_state *state, u64 now)
{
	if (!state->pausing || state->stopped < running(state) || state->stands)
		return;
	state->stands = true;
	state->since = now;
}

void power_start(struct power_state *state, u64 vcpu)
{
	set_power(state, vcpu, POWER_STARTING);
}

bool power_up(struct power_state *state, u64 vcpu, u64 now)
{
	set_power(state, vcpu, POWER_ON);
	return power_must_stop(state, now);
}

/* It may have been the last that a pause waited for. */
void power_down(struct power_state *state, u64 vcpu, u64 now)
{
	set_power(state, vcpu, POWER_OFF);
	stop_clock_if_last(state, now);
}

void power_begin_pause(struct power_state *state, u64 now)
{
	__atomic_store_n(&state->pausing, state->pausing + 1, __ATOMIC_RELEASE);
	state->stopped++;
	stop_clock_if_last(state, now);
}

/* While others pause it stays counted as stopped. */
bool power_end_pause(struct power_state *state, u64 now)
{
	u32 others = state->pausing - 1;

	__atomic_store_n(&state->pausing, others, __ATOMIC_RELEASE);
	if (others)
		return true;
	if (state->stands)
		state->offset += now - state->since;
	state->stands = false;
	state->stopped--;
	return false;
}

bool power_must_stop(struct power_state *state, u64 now)
{
	if (!state->pausing)
		return false;
	state->stopped++;
	stop_clock_if_last(state, now);
	return true;
}

/* Not before this says so: who leaves on a look alone would run while the next pause counts it as stopped. */
bool power_may_go_on(struct power_state *state)
{
	if (state->pausing)
		return false;
	state->stopped--;
	return true;
}
