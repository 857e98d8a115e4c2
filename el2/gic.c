/* SPDX-License-Identifier: Apache-2.0 */
#include "gic.h"

#include "arch_gen.h"
#include "gic_registers.h"
#include "monitor.h"
#include "sysreg.h"

#define LOWEST_PRIORITY 0xffUL
#define WAKE_POLLS 1000000

void gic_init_distributor(void)
{
	u64 ctlr = control()->gicd_base + GICD_CTLR;

	/* Groups stay on for the monitor's sake; the guest's own switch is kept by gic_mmio.c. */
	mmio_write32(ctlr, mmio_read32(ctlr) | GICD_CTLR_ARE | GICD_CTLR_GROUPS);
}

static u64 frame_size(u64 redistributor)
{
	bool has_vlpis = mmio_read32(redistributor + GICR_TYPER) & GICR_TYPER_VLPIS;

	return has_vlpis ? 4 * GICR_FRAME : 2 * GICR_FRAME;
}

/* Affinity as GICR_TYPER's upper word has it: Aff3.Aff2.Aff1.Aff0 (MPIDR_EL1 keeps Aff3 apart). */
static u32 packed_affinity(u64 mpidr)
{
	return (u32)((mpidr & 0xffffff) | (mpidr >> 8 & 0xff000000));
}

static u64 find_redistributor(u64 mpidr)
{
	u64 frame = control()->gicr_base;

	for (u32 i = 0; i < SV_MAX_VCPUS; i++) {
		if (mmio_read32(frame + GICR_TYPER + 4) == packed_affinity(mpidr))
			return frame;
		if (mmio_read32(frame + GICR_TYPER) & GICR_TYPER_LAST)
			break;
		frame += frame_size(frame);
	}
	return 0;
}

static bool wake_redistributor(u64 redistributor)
{
	mmio_write32(redistributor + GICR_WAKER, 0);
	for (u32 i = 0; i < WAKE_POLLS; i++)
		if (!(mmio_read32(redistributor + GICR_WAKER) & GICR_WAKER_ASLEEP))
			return true;
	return false;
}

static void claim_interrupts(u64 redistributor)
{
	u64 sgi = redistributor + GICR_FRAME;
	u64 group = sgi + GICR_IGROUPR0;

	mmio_write32(group, mmio_read32(group) | MONITOR_INTIDS);
	mmio_write32(sgi + GICR_IPRIORITYR + 24,
		     mmio_read32(sgi + GICR_IPRIORITYR + 24) & 0xff0000ff);
	mmio_write32(sgi + GICR_ICACTIVER0, MONITOR_INTIDS);
	mmio_write32(sgi + GICR_ICPENDR0, MONITOR_INTIDS);
	mmio_write32(sgi + GICR_ISENABLER0, MONITOR_INTIDS);
}

static void init_cpu_interface(void)
{
	write_sysreg(icc_sre_el2,
		     ICC_SRE_EL2_SRE | ICC_SRE_EL2_DFB | ICC_SRE_EL2_DIB | ICC_SRE_EL2_Enable);
	isb();
	write_sysreg(icc_pmr_el1, LOWEST_PRIORITY);
	/* The end of an interrupt is two writes: we drop the priority, the guest deactivates. */
	write_sysreg(icc_ctlr_el1, ICC_CTLR_EL1_EOImode);
	write_sysreg(icc_igrpen0_el1, 1);
	write_sysreg(icc_igrpen1_el1, 1);
	isb();
}

bool gic_init_core(struct vcpu *v)
{
	init_cpu_interface();
	v->redistributor = find_redistributor(v->mpidr);
	if (!v->redistributor || !wake_redistributor(v->redistributor))
		return false;
	claim_interrupts(v->redistributor);
	return true;
}

static u8 mmio_read8(u64 address)
{
	u32 value;

	asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
	return (u8)value;
}

u8 gic_priority(const struct vcpu *v, u32 intid)
{
	if (intid < FIRST_SPI)
		return mmio_read8(v->redistributor + GICR_FRAME + GICR_IPRIORITYR + intid);
	if (intid < FIRST_SPECIAL)
		return mmio_read8(control()->gicd_base + GICD_IPRIORITYR + intid);
	return 0xa0; /* LPIs keep theirs in a table in memory; the usual default. */
}

void gic_drop(u32 intid)
{
	if (intid >= FIRST_PPI)
		write_sysreg(icc_dir_el1, intid);
}

/* A level is pending by itself as long as it is high; a pending bit set on top would outlive it. */
static bool is_level(const struct vcpu *v, u32 intid)
{
	u64 registers = intid < FIRST_SPI ? v->redistributor + GICR_FRAME : control()->gicd_base;
	u32 config = mmio_read32(registers + GICD_ICFGR + intid / 16 * 4UL);

	return intid >= FIRST_PPI && !(config & 2U << 2 * (intid % 16));
}

bool gic_level_is_high(const struct vcpu *v, u32 intid)
{
	u64 registers = intid < FIRST_SPI ? v->redistributor + GICR_FRAME : control()->gicd_base;
	u32 pending = mmio_read32(registers + GICD_ISPENDR + intid / 32 * 4UL);

	return (pending & 1U << intid % 32) && is_level(v, intid);
}

void gic_give_back(const struct vcpu *v, u32 intid)
{
	u64 registers = intid < FIRST_SPI ? v->redistributor + GICR_FRAME : control()->gicd_base;

	gic_drop(intid);
	if (!is_level(v, intid))
		mmio_write32(registers + GICD_ISPENDR + intid / 32 * 4UL, 1U << intid % 32);
}

void gic_timer_start(u64 ticks)
{
	write_sysreg(cnthp_cval_el2, read_sysreg(cntpct_el0) + ticks);
	write_sysreg(cnthp_ctl_el2, CNTHP_CTL_EL2_ENABLE);
	isb();
}

void gic_timer_stop(void)
{
	write_sysreg(cnthp_ctl_el2, 0);
	isb();
}
