/* SPDX-License-Identifier: Apache-2.0 */
#include "exclusive_access.h"

#include "aarch32.h"
#include "arch_gen.h"
#include "branch.h"
#include "encodings_gen.h"
#include "guest_access.h"
#include "sysreg.h"

#define SP_SELECTED 1UL /* PSTATE.SP */

static enum exclusive_kind kind_a64(u32 word)
{
	if (is_a64_load_exclusive(word))
		return EXCLUSIVE_LOAD;
	if (is_a64_store_exclusive(word))
		return EXCLUSIVE_STORE;
	/* Exception return and everything that takes an exception, to the firmware, too, clear it. */
	if (is_a64_clear_exclusive(word) || branch_plan(word) == SV_PLAN_STEP_OTHER)
		return EXCLUSIVE_CLEAR;
	return EXCLUSIVE_NONE;
}

static struct exclusive_access decode_a64(u32 word)
{
	return (struct exclusive_access){
		.kind = kind_a64(word),
		.size = (u8)(1U << (word >> 30)),
		.pair = word >> 21 & 1,
		.uses_sp = true,
		.n = word >> 5 & 31,
		.t = word & 31,
		.t2 = word >> 10 & 31,
		.s = word >> 16 & 31,
	};
}

/* Of A32 and T32 in two bits. */
static void set_size(struct exclusive_access *access, u32 size)
{
	static const u8 sizes[] = { 4, 4, 1, 2 };

	access->size = sizes[size & 3];
	access->pair = size == 1;
}

static struct exclusive_access decode_a32(u32 word)
{
	struct exclusive_access access = { .n = word >> 16 & 15 };

	if (word >> 28 == 15) {
		access.kind = is_a32_clear_exclusive(word) ? EXCLUSIVE_CLEAR : EXCLUSIVE_NONE;
	} else if (is_a32_load_exclusive(word)) {
		access.kind = EXCLUSIVE_LOAD;
		access.t = word >> 12 & 15;
	} else if (is_a32_store_exclusive(word)) {
		access.kind = EXCLUSIVE_STORE;
		access.s = word >> 12 & 15;
		access.t = word & 15;
	}
	access.t2 = (access.t + 1) & 15;
	set_size(&access, word >> 21 & 3);
	return access;
}

/* LDREX and STREX: the only ones with an offset. */
static bool is_t32_with_offset(u32 word)
{
	return (word & 0xffe00000) == 0xe8400000;
}

/* Bits 5:4 of the others: byte, halfword, word, doubleword. */
static u32 t32_size(u32 word)
{
	static const u8 sizes[] = { 2, 3, 0, 1 };

	return is_t32_with_offset(word) ? 0 : sizes[word >> 4 & 3];
}

static struct exclusive_access decode_t32(u32 word)
{
	struct exclusive_access access = {
		.n = word >> 16 & 15,
		.t = word >> 12 & 15,
		.t2 = word >> 8 & 15,
		.s = is_t32_with_offset(word) ? word >> 8 & 15 : word & 15,
		.offset = is_t32_with_offset(word) ? (word & 0xff) << 2 : 0,
	};

	if (is_t32_load_exclusive(word))
		access.kind = EXCLUSIVE_LOAD;
	else if (is_t32_store_exclusive(word))
		access.kind = EXCLUSIVE_STORE;
	else if (is_t32_clear_exclusive(word))
		access.kind = EXCLUSIVE_CLEAR;
	set_size(&access, t32_size(word));
	return access;
}

static bool is_executed(u64 pstate, u32 set, u32 word)
{
	if (set == SV_INSTRUCTION_SET_A32)
		return aarch32_condition_holds(pstate, word >> 28);
	return set == SV_INSTRUCTION_SET_A64 || trapped_condition_holds(pstate, 0);
}

struct exclusive_access exclusive_decode(u64 pstate, u32 set, u32 word)
{
	if (!is_executed(pstate, set, word))
		return (struct exclusive_access){ .kind = EXCLUSIVE_NONE };
	if (set == SV_INSTRUCTION_SET_A32)
		return decode_a32(word);
	return set == SV_INSTRUCTION_SET_T32 ? decode_t32(word) : decode_a64(word);
}

u64 exclusive_address(const struct vcpu *v, const struct exclusive_access *access)
{
	u64 pstate = v->frame.pstate;

	if (pstate & SPSR_ELx_nRW)
		return (u32)(vcpu_register(v, access->n) + access->offset);
	if (access->n != ZERO_REGISTER)
		return vcpu_register(v, access->n);
	return pstate & SP_SELECTED ? read_sysreg(sp_el1) : read_sysreg(sp_el0);
}

/* One register's part of what is accessed. */
static u64 element(const struct vcpu *v, u32 number, u32 size)
{
	u64 unused = 64 - 8UL * size;
	u64 value = vcpu_register(v, number);

	if (guest_access_is_big_endian(v->frame.pstate, read_sysreg(sctlr_el1)))
		return __builtin_bswap64(value) >> unused;
	return value << unused >> unused;
}

void exclusive_data(const struct vcpu *v, const struct exclusive_access *access, u64 *data)
{
	u64 second = access->pair ? element(v, access->t2, access->size) : 0;

	data[0] = element(v, access->t, access->size);
	data[1] = 0;
	if (access->size == 8)
		data[1] = second;
	else
		data[0] |= second << 32;
}
