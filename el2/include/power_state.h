/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which vCPUs run, which of them a pause has stopped, and since when the guest's clock stands: one state, as a vCPU
 * that comes or goes decides over the clock as one that stops does. Nothing but memory is touched here, so that
 * a test can walk through every order of events (tests/unit/test_power.py). Each function is one step: the caller
 * holds the lock.
 */
#ifndef SV_POWER_STATE_H
#define SV_POWER_STATE_H

#include "types.h"
#include "wire_gen.h"

enum power {
	POWER_OFF = 0,	/* or on its way there, if the firmware agrees */
	POWER_STARTING, /* the firmware agreed to start it */
	POWER_ON,
};

struct power_state {
	u32 power[SV_MAX_VCPUS]; /* enum power; also read without the lock */
	u32 pausing;		 /* vCPUs that wait for the host */
	u32 stopped; /* vCPUs at EL2 that stay there until none is; the former among them */
	bool stands; /* the guest's clock, */
	u64 since;   /* by the counter */
	u64 offset;  /* for how long it has stood in all: CNTVOFF_EL2 */
};

/* The firmware agreed to start a vCPU that was off. */
void power_start(struct power_state *state, u64 vcpu);

/* A vCPU runs in the monitor: it came up, or the firmware refused to switch it off. True: it has to stop. */
bool power_up(struct power_state *state, u64 vcpu, u64 now);

/* A vCPU is about to go off, at `now` by the counter. */
void power_down(struct power_state *state, u64 vcpu, u64 now);

/* A vCPU begins and ends a wait for the host, which stops all others. True: it goes on waiting, for another one. */
void power_begin_pause(struct power_state *state, u64 now);
bool power_end_pause(struct power_state *state, u64 now);

/* A vCPU would enter the guest: whether it has to stop, and whether it may go on once it has. */
bool power_must_stop(struct power_state *state, u64 now);
bool power_may_go_on(struct power_state *state);

#endif
