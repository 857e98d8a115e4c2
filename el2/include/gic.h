/* SPDX-License-Identifier: Apache-2.0 */
/* The physical GICv3: the monitor takes every interrupt and keeps two for itself. */
#ifndef SV_GIC_H
#define SV_GIC_H

#include "types.h"
#include "vcpu.h"

/* Private interrupts of the monitor (Arm BSA, "PPI assignments"): maintenance, EL2 physical timer. */
#define INTID_MAINTENANCE 25
#define INTID_EL2_TIMER 26
#define MONITOR_INTIDS (1U << INTID_MAINTENANCE | 1U << INTID_EL2_TIMER)

#define FIRST_PPI 16
#define FIRST_SPI 32
#define FIRST_SPECIAL 1020
#define FIRST_LPI 8192

/* Distributor; once, on the first core. */
void gic_init_distributor(void);

/* Redistributor and CPU interface of this core; false when no redistributor is its. */
bool gic_init_core(struct vcpu *v);

/* The priority that the guest gave an interrupt. */
u8 gic_priority(const struct vcpu *v, u32 intid);

/* Whether this one is pending because its level is high, and not by itself. */
bool gic_level_is_high(const struct vcpu *v, u32 intid);

/* Ends the active state of an interrupt that the guest has not seen, and makes it pending again. */
void gic_give_back(const struct vcpu *v, u32 intid);

/* The same without making it pending; for SGIs there is nothing to end. */
void gic_drop(u32 intid);

/* The monitor's timer of this core: fires once, `ticks` of the counter from now. */
void gic_timer_start(u64 ticks);
void gic_timer_stop(void);

static inline u32 mmio_read32(u64 address)
{
	u32 value;

	asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write32(u64 address, u32 value)
{
	asm volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}

#endif
