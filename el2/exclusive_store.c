/* SPDX-License-Identifier: Apache-2.0 */
#include "exclusive_store.h"

#include "aarch32.h"
#include "access_flag.h"
#include "arch_gen.h"
#include "memory.h"
#include "monitor.h"
#include "stage2.h"
#include "sysreg.h"

/* A store of ours fails when another observer has the cache line; not so often in a row. */
#define ATTEMPTS 1000

#define PAN_TRANSLATES 2UL /* FEAT_PAN2 */

/* With FEAT_LSE2 an access may lie anywhere inside of so many bytes, aligned. */
#define CONTAINER 16UL

static void translate_at_el1(u64 va, bool write, bool pan)
{
	/* With FEAT_PAN2 there are forms that heed PSTATE.PAN, which at EL2 is what it was at EL1. */
	if (pan && write)
		asm volatile("sys #0, c7, c9, #1, %0" ::"r"(va) : "memory"); /* AT S1E1WP */
	else if (pan)
		asm volatile("sys #0, c7, c9, #0, %0" ::"r"(va) : "memory"); /* AT S1E1RP */
	else if (write)
		asm volatile("at s1e1w, %0" ::"r"(va) : "memory");
	else
		asm volatile("at s1e1r, %0" ::"r"(va) : "memory");
}

static u64 address_translate(const struct vcpu *v, u64 va, bool write)
{
	u64 guest_par = read_sysreg(par_el1);
	u64 pan = FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_PAN);
	u64 par;

	if (FIELD(v->frame.pstate, SPSR_ELx_M))
		translate_at_el1(va, write, pan >= PAN_TRANSLATES);
	else if (write)
		asm volatile("at s1e0w, %0" ::"r"(va) : "memory");
	else
		asm volatile("at s1e0r, %0" ::"r"(va) : "memory");
	isb(); /* The result is in PAR_EL1 after a context synchronisation event. */
	par = read_sysreg(par_el1);
	write_sysreg(par_el1, guest_par);
	return par;
}

/* A walk that reads tables in a probed page fails in the vCPU's own view only. */
static u64 translate_in_open_view(const struct vcpu *v, u64 va, bool write)
{
	u64 par;

	stage2_select(SV_VIEW_OPEN);
	isb();
	par = address_translate(v, va, write);
	stage2_select(v->view);
	isb();
	return par;
}

static u64 translate_in_any_view(const struct vcpu *v, u64 va, bool write)
{
	u64 par = address_translate(v, va, write);

	if ((par & PAR_EL1_F) && (par & PAR_EL1_FAULT_S))
		par = translate_in_open_view(v, va, write);
	return par;
}

/*
 * A translation for a write need not mark a clean page, and may report it as one that cannot be written. What may
 * be read and is clean may be written.
 */
static u64 translate_write(const struct vcpu *v, u64 va)
{
	u64 par = translate_in_any_view(v, va, true);
	bool refused = par & PAR_EL1_F;

	if (refused && (translate_in_any_view(v, va, false) & PAR_EL1_F))
		return par;
	if (access_makes_dirty(va) && refused)
		par = translate_in_any_view(v, va, true);
	return par;
}

static bool is_aligned(const struct vcpu *v, u64 va, u32 size)
{
	bool needed = is_aarch32(v->frame.pstate) || (read_sysreg(sctlr_el1) & SCTLR_EL1_A) ||
		      !FIELD(read_sysreg(id_aa64mmfr2_el1), ID_AA64MMFR2_EL1_AT);

	return va % size == 0 || (!needed && va % CONTAINER + size <= CONTAINER);
}

u64 exclusive_translate(struct vcpu *v, u64 va, u32 size, bool write, ipa_t *address)
{
	u64 par = write ? translate_write(v, va) : translate_in_any_view(v, va, false);

	if (!is_aligned(v, va, size))
		return FSC_ALIGNMENT;
	if (par & PAR_EL1_F)
		return par & PAR_EL1_FAULT_S ? FSC_EXTERNAL : FIELD(par, PAR_EL1_FAULT_FST);
	*address = ipa((par & PAR_EL1_PA_MASK & 0x0000fffffffff000UL) | (va & PAGE_MASK));
	/* What a device makes of exclusives is nobody's promise; this is how one that has none says so. */
	return guest_ram_holds(address->raw, size) ? NO_FAULT : FSC_UNSUPPORTED_EXCLUSIVE;
}

/* The words around what is accessed, one by one: who needs them of one moment compares them again. */
static const void *read_container(ipa_t address, u64 *words)
{
	const volatile u64 *from = pa_to_pointer(ipa_identity(ipa(address.raw & ~(CONTAINER - 1))));

	words[0] = from[0];
	words[1] = from[1];
	return (const u8 *)words + address.raw % CONTAINER;
}

void exclusive_read(ipa_t address, u32 size, u64 *data)
{
	u64 words[2];

	data[0] = data[1] = 0;
	memcpy(data, read_container(address, words), size);
}

/*
 * One attempt of each size: 0 stored, 1 not, 2 another value is there. Acquire and release whether or not the guest
 * asked for it: that orders more than it may rely on.
 */
#define ATTEMPT(suffix, width)                                                                     \
	asm volatile("	ldaxr" suffix "	%" width "0, [%2]\n"                                       \
		     "	mov	%w1, #2\n"                                                              \
		     "	cmp	%" width "0, %" width "3\n"                                        \
		     "	b.ne	1f\n"                                                                  \
		     "	stlxr" suffix "	%w1, %" width "4, [%2]\n"                                  \
		     "1:"                                                                          \
		     : "=&r"(found), "=&r"(result)                                                 \
		     : "r"(to), "r"(expected), "r"(data)                                           \
		     : "cc", "memory")

static u32 attempt(void *to, u32 size, u64 expected, u64 data)
{
	u64 found;
	u32 result;

	switch (size) {
	case 1:
		ATTEMPT("b", "w");
		break;
	case 2:
		ATTEMPT("h", "w");
		break;
	case 4:
		ATTEMPT("", "w");
		break;
	default:
		ATTEMPT("", "x");
	}
	return result;
}

static u32 attempt_pair(void *to, const u64 *expected, const u64 *data)
{
	u64 low, high;
	u32 result;

	asm volatile("	ldaxp	%0, %1, [%3]\n"
		     "	mov	%w2, #2\n"
		     "	cmp	%0, %4\n"
		     "	ccmp	%1, %5, #0, eq\n"
		     "	b.ne	1f\n"
		     "	stlxp	%w2, %6, %7, [%3]\n"
		     "1:"
		     : "=&r"(low), "=&r"(high), "=&r"(result)
		     : "r"(to), "r"(expected[0]), "r"(expected[1]), "r"(data[0]), "r"(data[1])
		     : "cc", "memory");
	return result;
}

static bool is_same(const u8 *left, const u8 *right, u32 size)
{
	for (u32 i = 0; i < size; i++)
		if (left[i] != right[i])
			return false;
	return true;
}

/* Of what is not aligned: with the bytes around it as they are. When those change meanwhile it is tried again. */
static u32 attempt_inside(ipa_t address, u32 size, const u64 *expected, const u64 *data)
{
	u64 words[2], wanted[2];

	if (!is_same(read_container(address, words), (const u8 *)expected, size))
		return 2;
	wanted[0] = words[0];
	wanted[1] = words[1];
	memcpy((u8 *)wanted + address.raw % CONTAINER, data, size);
	return attempt_pair(pa_to_pointer(ipa_identity(ipa(address.raw & ~(CONTAINER - 1)))), words,
			    wanted) != 0;
}

static u32 attempt_any(ipa_t address, u32 size, const u64 *expected, const u64 *data)
{
	void *to = pa_to_pointer(ipa_identity(address));
	u64 unused = size < 8 ? 64 - 8UL * size : 0;

	if (address.raw % size)
		return attempt_inside(address, size, expected, data);
	return size > 8 ? attempt_pair(to, expected, data) :
			  attempt(to, size, expected[0] << unused >> unused, data[0]);
}

bool exclusive_replace(ipa_t address, u32 size, const u64 *expected, const u64 *data)
{
	u32 result = 1;

	for (u32 i = 0; i < ATTEMPTS && result == 1; i++)
		result = attempt_any(address, size, expected, data);
	asm volatile("clrex" ::: "memory");
	return result == 0;
}
