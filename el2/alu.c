/* SPDX-License-Identifier: Apache-2.0 */
#include "alu.h"

static u64 negative_zero(u64 value, bool wide)
{
	u64 flags = 0;

	if (value >> (wide ? 63 : 31) & 1)
		flags |= FLAG_N;
	if (!value)
		flags |= FLAG_Z;
	return flags;
}

u64 alu_logical_flags(u64 value, bool wide)
{
	return negative_zero(alu_width(value, wide), wide);
}

u64 alu_add(u64 x, u64 y, u64 carry, bool wide, u64 *flags)
{
	u64 sign = wide ? 1UL << 63 : 1UL << 31;
	u64 result;
	bool carried;

	x = alu_width(x, wide);
	y = alu_width(y, wide);
	result = alu_width(x + y + carry, wide);
	carried = wide ? result < x || (carry && result == x) : (x + y + carry) >> 32 != 0;
	*flags = negative_zero(result, wide);
	if (carried)
		*flags |= FLAG_C;
	if (~(x ^ y) & (x ^ result) & sign)
		*flags |= FLAG_V;
	return result;
}

static u64 rotate_right(u64 value, u32 amount, bool wide)
{
	u32 bits = wide ? 64 : 32;

	amount %= bits;
	value = alu_width(value, wide);
	if (!amount)
		return value;
	return alu_width(value >> amount | value << (bits - amount), wide);
}

u64 alu_shift(u64 value, u32 type, u32 amount, bool wide)
{
	amount %= wide ? 64 : 32;
	value = alu_width(value, wide);
	switch (type & 3) {
	case 0:
		return alu_width(value << amount, wide);
	case 1:
		return value >> amount;
	case 2:
		return wide ? (u64)((int64_t)value >> amount) : (u32)((int32_t)value >> amount);
	default:
		return rotate_right(value, amount, wide);
	}
}

u64 alu_extend(u64 value, u32 option, u32 amount)
{
	u32 unused = 64 - (8U << (option & 3));

	value <<= unused;
	value = option & 4 ? (u64)((int64_t)value >> unused) : value >> unused;
	return value << amount;
}

static u64 ones(u32 count)
{
	return count >= 64 ? ~0UL : (1UL << count) - 1;
}

/* Masks of DecodeBitMasks for a full-width element: wmask moves bits, tmask says where they land. */
u64 alu_bitfield(const struct slot *slot, u64 source, u64 target, bool wide)
{
	u32 bits = wide ? 64 : 32;
	u32 rotate = slot->immediate & 63;
	u32 last = slot->immediate >> 8 & 63;
	u64 wmask = rotate_right(ones(last + 1), rotate, wide);
	u64 tmask = ones(((last - rotate) & (bits - 1)) + 1);
	u64 moved = rotate_right(source, rotate, wide) & wmask;
	u64 top = 0;

	if (slot->operation == SV_OPERATION_BITFIELD_INSERT)
		return alu_width((target & ~(wmask & tmask)) | (moved & tmask), wide);
	if (slot->operation == SV_OPERATION_BITFIELD_SIGNED && (source >> last & 1))
		top = ~0UL;
	return alu_width((top & ~tmask) | (moved & tmask), wide);
}

static u64 reverse_bytes(u64 value, u32 unit)
{
	u64 result = 0;

	for (u32 byte = 0; byte < 8; byte++) {
		u32 to = byte / unit * unit + (unit - 1 - byte % unit);

		result |= (value >> 8 * byte & 0xff) << 8 * to;
	}
	return result;
}

static u64 reverse_bits(u64 value, bool wide)
{
	u64 result = 0;

	for (u32 i = 0; i < 64; i++)
		result |= (value >> i & 1) << (63 - i);
	return wide ? result : result >> 32;
}

static u64 leading_zeros(u64 value, bool wide)
{
	u64 unused = wide ? 0 : 32;

	value = alu_width(value, wide);
	return value ? (u64)__builtin_clzll(value) - unused : 64 - unused;
}

static u64 leading_signs(u64 value, bool wide)
{
	u64 copy = wide ? value : (u64)(int64_t)(int32_t)value;
	u64 differing = copy ^ (u64)((int64_t)copy >> 1);

	return leading_zeros(wide ? differing & ~(1UL << 63) : differing & 0x7fffffff, wide) - 1;
}

static u64 signed_divide(int64_t n, int64_t m)
{
	if (!m)
		return 0;
	/* The one quotient that overflows is the dividend again. */
	return m == -1 ? 0 - (u64)n : (u64)(n / m);
}

static u64 divide(bool is_signed, u64 n, u64 m, bool wide)
{
	if (is_signed)
		return wide ? signed_divide((int64_t)n, (int64_t)m) :
			      signed_divide((int32_t)n, (int32_t)m);
	n = alu_width(n, wide);
	m = alu_width(m, wide);
	return m ? n / m : 0;
}

static u64 multiply_long(u32 operation, u64 n, u64 m, u64 a)
{
	u64 is_signed = operation == SV_OPERATION_SMADDL || operation == SV_OPERATION_SMSUBL;
	u64 product = is_signed ? (u64)((int64_t)(int32_t)n * (int32_t)m) : (u64)(u32)n * (u32)m;

	if (operation == SV_OPERATION_SMSUBL || operation == SV_OPERATION_UMSUBL)
		return a - product;
	return a + product;
}

static u64 compute_one_source(u32 operation, u64 n, bool wide)
{
	switch (operation) {
	case SV_OPERATION_CLZ:
		return leading_zeros(n, wide);
	case SV_OPERATION_CLS:
		return leading_signs(n, wide);
	case SV_OPERATION_RBIT:
		return reverse_bits(n, wide);
	case SV_OPERATION_REV16:
		return reverse_bytes(n, 2);
	case SV_OPERATION_REV32:
		return reverse_bytes(n, 4);
	default:
		return reverse_bytes(n, 8);
	}
}

static u64 compute(u32 operation, u64 n, u64 m, u64 a, bool wide)
{
	switch (operation) {
	case SV_OPERATION_LSL:
	case SV_OPERATION_LSR:
	case SV_OPERATION_ASR:
	case SV_OPERATION_ROR:
		return alu_shift(n, operation - SV_OPERATION_LSL, (u32)(m & 63), wide);
	case SV_OPERATION_UDIV:
	case SV_OPERATION_SDIV:
		return divide(operation == SV_OPERATION_SDIV, n, m, wide);
	case SV_OPERATION_MADD:
		return a + n * m;
	case SV_OPERATION_MSUB:
		return a - n * m;
	case SV_OPERATION_SMULH:
		return (u64)((__int128)(int64_t)n * (int64_t)m >> 64);
	case SV_OPERATION_UMULH:
		return (u64)((unsigned __int128)n * m >> 64);
	case SV_OPERATION_SMADDL:
	case SV_OPERATION_SMSUBL:
	case SV_OPERATION_UMADDL:
	case SV_OPERATION_UMSUBL:
		return multiply_long(operation, n, m, a);
	default:
		return compute_one_source(operation, n, wide);
	}
}

u64 alu_compute(u32 operation, u64 n, u64 m, u64 a, bool wide)
{
	return alu_width(compute(operation, n, m, a, wide), wide);
}

bool alu_condition(u32 condition, u64 flags)
{
	bool n = flags & FLAG_N, z = flags & FLAG_Z, c = flags & FLAG_C, v = flags & FLAG_V;
	bool base[8] = { z, c, n, v, c && !z, n == v, n == v && !z, true };
	bool holds = base[condition >> 1 & 7];

	/* An odd condition is the opposite, but for the two that always hold. */
	return (condition & 1) && condition != 15 ? !holds : holds;
}
