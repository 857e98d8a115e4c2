/* SPDX-License-Identifier: Apache-2.0 */
#include "gic_mmio.h"

#include "abort.h"
#include "arch_gen.h"
#include "gic.h"
#include "gic_registers.h"
#include "guest_access.h"
#include "monitor.h"
#include "sysreg.h"
#include "vgic.h"

#define REDISTRIBUTOR_SIZE (2 * GICR_FRAME)

struct access {
	u64 address;
	u64 size;
	bool write;
	u64 value; /* to write, or what was read */
};

static u64 device_read(u64 address, u64 size)
{
	u64 value;

	switch (size) {
	case 1:
		asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		break;
	case 2:
		asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		break;
	case 4:
		asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		break;
	default:
		asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
	}
	return value;
}

static void device_write(u64 address, u64 size, u64 value)
{
	switch (size) {
	case 1:
		asm volatile("strb %w0, [%1]" ::"r"(value), "r"(address) : "memory");
		break;
	case 2:
		asm volatile("strh %w0, [%1]" ::"r"(value), "r"(address) : "memory");
		break;
	case 4:
		asm volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
		break;
	default:
		asm volatile("str %0, [%1]" ::"r"(value), "r"(address) : "memory");
	}
}

static void pass_through(struct access *access)
{
	if (access->write)
		device_write(access->address, access->size, access->value);
	else
		access->value = device_read(access->address, access->size);
}

/* The guest's switch decides what the monitor hands on; the physical one stays on. */
static void distributor_control(struct access *access)
{
	if (access->write) {
		vgic_set_groups((u32)access->value & GICD_CTLR_GROUPS);
		access->value |= GICD_CTLR_GROUPS | GICD_CTLR_ARE;
	}
	pass_through(access);
	if (!access->write)
		access->value = (access->value & ~(u64)GICD_CTLR_GROUPS) | vgic_groups();
}

/* ICENABLER<n> and ICPENDR<n>: an interrupt that waits in a list register is not taken after them. */
static void withdraw(const struct access *access, struct vcpu *owner, u64 offset)
{
	bool disables = offset >= GICD_ICENABLER && offset < GICD_ISPENDR;
	bool clears = offset >= GICD_ICPENDR && offset < GICD_ICPENDR + 0x80;

	if (!access->write || access->size != 4 || (!disables && !clears))
		return;
	vgic_withdraw(owner, (u32)(offset & 0x7f) * 8, (u32)access->value, disables);
}

static void distributor(struct vcpu *v, struct access *access)
{
	u64 offset = access->address - control()->gicd_base;

	if (offset == GICD_CTLR && access->size == 4) {
		distributor_control(access);
		return;
	}
	pass_through(access);
	withdraw(access, v, offset);
}

/* Bits of a redistributor register that belong to the monitor's interrupts. */
static u32 monitor_bits(u64 offset)
{
	switch (offset) {
	case GICR_IGROUPR0:
	case GICR_ISENABLER0:
	case GICR_ICENABLER0:
	case GICR_ISPENDR0:
	case GICR_ICPENDR0:
	case GICR_ISACTIVER0:
	case GICR_ICACTIVER0:
	case GICR_IGRPMODR0:
		return MONITOR_INTIDS;
	case GICR_ICFGR1: /* Two bits each, from INTID 16. */
		return 0xfU << 2 * (INTID_MAINTENANCE - 16);
	default:
		return 0;
	}
}

static bool is_set_or_clear(u64 offset)
{
	return offset >= GICR_ISENABLER0 && offset < GICR_IPRIORITYR;
}

/* The guest sees zeros there, and its writes change the rest only. */
static void masked(struct access *access, u32 protected, bool set_or_clear)
{
	if (access->write) {
		u64 kept = set_or_clear ? 0 : device_read(access->address, 4) & protected;

		access->value = (access->value & ~(u64)protected) | kept;
	}
	pass_through(access);
	if (!access->write)
		access->value &= ~(u64)protected;
}

static void priorities(struct access *access, u64 first)
{
	u64 end = first + access->size;

	/* One byte each; a wider access is done byte by byte around the monitor's two. */
	for (u64 i = first; i < end; i++) {
		struct access one = { access->address + (i - first), 1, access->write, 0 };
		u64 shift = 8 * (i - first);

		if (i == INTID_MAINTENANCE || i == INTID_EL2_TIMER) {
			access->value &= ~(0xffUL << shift);
			continue;
		}
		one.value = access->value >> shift & 0xff;
		pass_through(&one);
		access->value = (access->value & ~(0xffUL << shift)) | (one.value & 0xff) << shift;
	}
}

static void private_interrupts(struct access *access, u64 offset)
{
	u32 protected = monitor_bits(offset & ~3UL);

	if (offset >= GICR_IPRIORITYR && offset < GICR_IPRIORITYR + FIRST_SPI)
		priorities(access, offset - GICR_IPRIORITYR);
	else if (protected && access->size != 4)
		access->value = 0; /* These registers take words only. */
	else if (protected)
		masked(access, protected, is_set_or_clear(offset));
	else
		pass_through(access);
}

/* A redistributor that sleeps would not deliver the monitor's interrupts either: it only pretends. */
static void waker(struct access *access, struct vcpu *owner)
{
	if (access->write)
		owner->gicr_waker = access->value & GICR_WAKER_SLEEP;
	else
		access->value = owner->gicr_waker | owner->gicr_waker << 1;
}

static void redistributor(struct access *access)
{
	u64 offset = access->address - control()->gicr_base;
	struct vcpu *owner = vcpu_table[offset / REDISTRIBUTOR_SIZE % SV_MAX_VCPUS];

	offset %= REDISTRIBUTOR_SIZE;
	if (offset == GICR_WAKER && access->size == 4) {
		waker(access, owner);
	} else if (offset >= GICR_FRAME) {
		private_interrupts(access, offset - GICR_FRAME);
		withdraw(access, owner, offset - GICR_FRAME);
	} else {
		pass_through(access);
	}
}

static bool within(u64 address, u64 base, u64 size)
{
	return address >= base && address < base + size;
}

static bool perform(struct vcpu *v, struct access *access)
{
	const struct sv_control *c = control();

	if (access->address % access->size)
		return false;
	if (within(access->address, c->gicd_base, PAGE_SIZE))
		distributor(v, access);
	else if (within(access->address, c->gicr_base, c->vcpus * REDISTRIBUTOR_SIZE))
		redistributor(access);
	else
		return false;
	return true;
}

/* The registers are little-endian; a guest that is not finds their bytes turned round, as on the bare machine. */
static u64 in_guests_order(const struct vcpu *v, u64 value, u64 size)
{
	bool swap = guest_access_is_big_endian(v->frame.pstate, read_sysreg(sctlr_el1));

	return swap ? guest_access_swap(value, size) : value;
}

bool gic_mmio_access(struct vcpu *v, ipa_t address, u64 esr)
{
	u32 target = (u32)FIELD(esr, ISS_DABT_SRT);
	struct access access = {
		.address = address.raw,
		.size = 1UL << FIELD(esr, ISS_DABT_SAS),
		.write = (esr & ISS_DABT_WnR) != 0,
	};

	if (access.write)
		access.value = in_guests_order(v, vcpu_register(v, target), access.size);
	if (!(esr & ISS_DABT_ISV) || (esr & ISS_DABT_CM) || !perform(v, &access))
		return false;
	if (!access.write)
		vcpu_set_register(v, target,
				  abort_extend(in_guests_order(v, access.value, access.size),
					       access.size, esr));
	return true;
}
