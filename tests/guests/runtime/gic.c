/* SPDX-License-Identifier: Apache-2.0 */
/* GICv3 with one security state, and the virtual timer. */
#include "guest.h"

#define GICD_CTLR (GICD_BASE + 0x0000)
#define GICD_IGROUPR (GICD_BASE + 0x0080)
#define GICD_ISENABLER (GICD_BASE + 0x0100)
#define GICD_IPRIORITYR (GICD_BASE + 0x0400)
#define GICD_IROUTER (GICD_BASE + 0x6000)
#define GICR_WAKER 0x14
#define GICR_IGROUPR0 (GICR_SGI + 0x080)
#define GICR_ISENABLER0 (GICR_SGI + 0x100)
#define GICR_IPRIORITYR (GICR_SGI + 0x400)

#define CTLR_ENABLE_GROUP1_ARE 0x12
#define FIRST_SPI 32
#define DEFAULT_PRIORITY 0xa0a0a0a0

static u64 redistributor(void)
{
	return GICR_BASE + this_cpu()->index * GICR_STRIDE;
}

void gic_init(void)
{
	u64 base = redistributor();

	mmio_write(GICD_CTLR, CTLR_ENABLE_GROUP1_ARE);
	mmio_write(base + GICR_WAKER, 0);
	while (mmio_read(base + GICR_WAKER) & 4)
		;
	mmio_write(base + GICR_IGROUPR0, 0xffffffff);
	for (u32 i = 0; i < 32; i += 4)
		mmio_write(base + GICR_IPRIORITYR + i, DEFAULT_PRIORITY);
	mmio_write(base + GICR_ISENABLER0, 0xffff | 1U << INTID_VIRTUAL_TIMER);
	write_reg(S3_0_C12_C12_5, 7UL); /* ICC_SRE_EL1 */
	isb();
	write_reg(S3_0_C4_C6_0, 0xffUL); /* ICC_PMR_EL1 */
	write_reg(S3_0_C12_C12_4, 0UL);	 /* ICC_CTLR_EL1: one write ends an interrupt */
	write_reg(S3_0_C12_C12_7, 1UL);	 /* ICC_IGRPEN1_EL1 */
	isb();
}

void gic_set_priority(u32 intid, u8 priority)
{
	u64 base = intid < FIRST_SPI ? redistributor() + GICR_IPRIORITYR : GICD_IPRIORITYR;

	mmio_write8(base + intid, priority);
}

void gic_enable(u32 intid)
{
	if (intid < FIRST_SPI) {
		mmio_write(redistributor() + GICR_ISENABLER0, 1U << intid);
		return;
	}
	mmio_write(GICD_IGROUPR + intid / 32 * 4,
		   mmio_read(GICD_IGROUPR + intid / 32 * 4) | 1U << intid % 32);
	mmio_write64(GICD_IROUTER + intid * 8UL, this_cpu()->index);
	mmio_write(GICD_ISENABLER + intid / 32 * 4, 1U << intid % 32);
}

void gic_send(u32 sgi, u32 target)
{
	dsb();
	write_reg(S3_0_C12_C11_5, (u64)sgi << 24 | 1UL << target); /* ICC_SGI1R_EL1 */
	isb();
}

u32 gic_acknowledge(void)
{
	u32 intid = (u32)read_reg(S3_0_C12_C12_0); /* ICC_IAR1_EL1 */

	dsb();
	return intid & 0xffffff;
}

void gic_end(u32 intid)
{
	write_reg(S3_0_C12_C12_1, (u64)intid); /* ICC_EOIR1_EL1 */
	isb();
}

void timer_at(u64 ticks)
{
	write_reg(cntv_cval_el0, ticks);
	write_reg(cntv_ctl_el0, 1UL);
	isb();
}

void timer_off(void)
{
	write_reg(cntv_ctl_el0, 0UL);
	isb();
}
