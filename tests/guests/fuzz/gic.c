/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the distributor and of the own redistributor, where no other vCPU has a say. */
#include "fuzz.h"

#define FIRST_UNUSED_SGI 12
#define OWN_SPI(w) (48 + (u32)(w)->index)

static u64 sgi_frame(const struct worker *w)
{
	return GICR_BASE + w->index * GICR_STRIDE + GICR_SGI;
}

static void priorities(struct worker *w)
{
	u64 address = sgi_frame(w) + 0x400 + FIRST_UNUSED_SGI + below(w, 4);

	mmio_write8(address, (u8)draw(w));
	mix(w, mmio_read(sgi_frame(w) + 0x400 + FIRST_UNUSED_SGI));
	mmio_write(sgi_frame(w) + 0x400 + FIRST_UNUSED_SGI, (u32)draw(w));
	mix(w, mmio_read(address & ~3UL));
}

static void enables(struct worker *w)
{
	u64 address = sgi_frame(w) + (one_in(w, 2) ? 0x100 : 0x180);

	mmio_write(address, 1U << (FIRST_UNUSED_SGI + below(w, 4)));
	mix(w, mmio_read(sgi_frame(w) + 0x100));
}

static void shared(struct worker *w)
{
	u32 spi = OWN_SPI(w);

	gic_set_priority(spi, (u8)draw(w));
	mmio_write64(GICD_BASE + 0x6000 + spi * 8UL, w->index);
	mix(w, mmio_read(GICD_BASE + 0x400 + (spi & ~3U)) >> spi % 4 * 8 & 0xff);
	mix(w, mmio_read(GICD_BASE + 0x6000 + spi * 8UL));
	mix(w, mmio_read(GICD_BASE + 4));
	mix(w, mmio_read(GICD_BASE + 8));
	mix(w, mmio_read(GICD_BASE + 0xffe8));
}

void act_gic(struct worker *w)
{
	switch (w->detail = below(w, 3)) {
	case 0:
		priorities(w);
		break;
	case 1:
		enables(w);
		break;
	default:
		shared(w);
	}
}
