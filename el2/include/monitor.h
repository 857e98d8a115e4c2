/* SPDX-License-Identifier: Apache-2.0 */
/* The region that the monitor owns, and the state that all vCPUs share. */
#ifndef SV_MONITOR_H
#define SV_MONITOR_H

#include "addr.h"
#include "types.h"
#include "wire_gen.h"

/* Linker symbols. */
extern u8 image_start[], text_end[], rodata_end[], image_end[];
extern u8 stub_start[], stub_end[];

static inline u64 region_base(void)
{
	return (u64)image_start - SV_IMAGE_OFFSET;
}

static inline struct sv_control *control(void)
{
	return (struct sv_control *)(region_base() + SV_CONTROL_OFFSET);
}

static inline u64 guest_ram_base(void)
{
	return region_base() + SV_REGION_SIZE;
}

static inline u64 guest_ram_end(void)
{
	return control()->ram_base + control()->ram_size;
}

/* Whether `size` bytes from `address` are RAM of the guest, and so may be read through EL2's map. */
static inline bool guest_ram_holds(u64 address, u64 size)
{
	return address >= guest_ram_base() && address < guest_ram_end() &&
	       size <= guest_ram_end() - address;
}

/*
 * The host is gone: every vCPU goes to the open view at its next exit, hits are not recorded.
 * Set by the vCPU that finds the heartbeat missing, cleared by the RESUME command.
 */
extern bool monitor_is_unprobed;
bool monitor_unprobed(void);
void monitor_set_unprobed(bool unprobed);

static inline bool monitor_flag(u32 flag)
{
	return (__atomic_load_n(&control()->flags, __ATOMIC_RELAXED) & flag) != 0;
}

static inline void monitor_set_state(u32 state)
{
	__atomic_store_n(&control()->state, state, __ATOMIC_RELEASE);
}

#endif
