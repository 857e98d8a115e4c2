/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spinlocks. No lock is held across a guest entry, and no lock is held while waiting for the host,
 * so the wait is bounded by the longest mailbox command, or the firmware's CPU_ON.
 */
#ifndef SV_LOCK_H
#define SV_LOCK_H

#include "types.h"

struct lock {
	u32 taken;
};

static inline bool lock_try(struct lock *lock)
{
	return __atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void lock_take(struct lock *lock)
{
	while (!lock_try(lock))
		asm volatile("yield" ::: "memory");
}

static inline void lock_release(struct lock *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

#endif
