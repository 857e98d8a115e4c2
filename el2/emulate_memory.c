/* SPDX-License-Identifier: Apache-2.0 */
#include "emulate_memory.h"

#include "access_flag.h"
#include "arch_gen.h"
#include "guest_access.h"
#include "monitor.h"
#include "sysreg.h"
#include "translate.h"

#define UPPER_HALF (1UL << 55)

static u64 load(const void *source, u32 size)
{
	switch (size) {
	case 1:
		return *(const volatile u8 *)source;
	case 2:
		return *(const volatile u16 *)source;
	case 4:
		return *(const volatile u32 *)source;
	default:
		return *(const volatile u64 *)source;
	}
}

static u64 extend(u64 value, const struct slot *slot)
{
	u32 unused = 64 - 8U * slot->a;

	if (slot->operand & SV_OPERAND_SIGNED)
		value = (u64)((int64_t)(value << unused) >> unused);
	return slot->operand & SV_OPERAND_WIDE ? value : (u32)value;
}

bool emulate_load(struct vcpu *v, const struct slot *slot, u64 base)
{
	bool post = slot->operand & SV_OPERAND_POST;
	u64 address = post ? base : base + slot->immediate;
	ipa_t target;

	if (slot->operand & (SV_OPERAND_SP_N | SV_OPERAND_WRITEBACK))
		return false; /* SP alignment checks, and a fault between two results. */
	/* The tables first: the translation may or may not set an access flag. */
	if (!(address & UPPER_HALF) || !guest_access_is_plain(v->frame.pstate, address, slot->a) ||
	    !access_leaves_tables(address) ||
	    !translate_load(address, v->frame.pstate & SPSR_ELx_PAN, &target) ||
	    !guest_ram_holds(target.raw, slot->a))
		return false;
	vcpu_set_register(v, slot->d,
			  extend(load(pa_to_pointer(ipa_identity(target)), slot->a), slot));
	return true;
}
