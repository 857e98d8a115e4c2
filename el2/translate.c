/* SPDX-License-Identifier: Apache-2.0 */
#include "translate.h"

#include "arch_gen.h"
#include "monitor.h"
#include "stage2.h"
#include "sysreg.h"
#include "vcpu.h"

#define PAN_TRANSLATES 2UL /* FEAT_PAN2 */
#define ATTR_WRITE_BACK 0x44UL
#define ATTR_OUTER_ALLOCATES 0x30UL
#define ATTR_INNER_ALLOCATES 0x03UL

static u64 ask_hardware(u64 va, bool never_users)
{
	if (never_users)
		asm volatile("sys #0, c7, c9, #0, %0" ::"r"(va) : "memory"); /* AT S1E1RP */
	else
		asm volatile("at s1e1r, %0" ::"r"(va) : "memory");
	isb(); /* The result is in PAR_EL1 after a context synchronisation event. */
	return read_sysreg(par_el1);
}

/* The walk itself was refused by stage 2, which happens where a translation table shares its page with a probe. */
static bool walk_met_shadow(u64 par)
{
	return (par & PAR_EL1_F) && (par & PAR_EL1_FAULT_S) && (par & PAR_EL1_FAULT_PTW);
}

/* The walk once more in the view in which shadowed pages can be read. */
static u64 ask_in_pristine_view(u64 va, bool never_users)
{
	u64 par;

	stage2_select(SV_VIEW_PRISTINE);
	isb();
	par = ask_hardware(va, never_users);
	stage2_select(vcpu_current()->view);
	isb();
	return par;
}

static u64 address_translate(u64 va, bool never_users)
{
	u64 guest_par = read_sysreg(par_el1);
	u64 par = ask_hardware(va, never_users);

	if (walk_met_shadow(par))
		par = ask_in_pristine_view(va, never_users);
	write_sysreg(par_el1, guest_par);
	return par;
}

static ipa_t output_address(u64 par, u64 va)
{
	return ipa((par & PAR_EL1_PA_MASK) | (va & PAGE_MASK));
}

bool translate_guest(u64 va, ipa_t *address)
{
	u64 par = address_translate(va, false);

	*address = output_address(par, va);
	return !(par & PAR_EL1_F);
}

bool translate_normal(u64 va, ipa_t *address)
{
	u64 par = address_translate(va, false);

	*address = output_address(par, va);
	/* MAIR_EL1 encoding: the upper half is 0 for Device memory. */
	return !(par & PAR_EL1_F) && par >> 60;
}

/*
 * MAIR_EL1 encoding, of the outer caches and of the inner ones: bit 2 and an allocation hint are always
 * write-back. Shared, as the monitor's own mapping is.
 */
static bool is_coherent(u64 par)
{
	u64 attributes = FIELD(par, PAR_EL1_ATTR);

	return (attributes & ATTR_WRITE_BACK) == ATTR_WRITE_BACK &&
	       (attributes & ATTR_OUTER_ALLOCATES) && (attributes & ATTR_INNER_ALLOCATES) &&
	       FIELD(par, PAR_EL1_SH);
}

bool translate_load(u64 va, bool pan, ipa_t *address)
{
	u64 par;

	/* PSTATE.PAN is at EL2 what it was at EL1. */
	if (pan && FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_PAN) < PAN_TRANSLATES)
		return false;
	par = address_translate(va, pan);
	*address = output_address(par, va);
	return !(par & PAR_EL1_F) && is_coherent(par);
}

bool read_guest_instruction(u64 va, u32 *word, ipa_t *address)
{
	if ((va & 3) || !translate_guest(va, address) ||
	    !guest_ram_holds(address->raw, sizeof(*word)))
		return false;
	*word = *(const volatile u32 *)pa_to_pointer(ipa_identity(*address));
	return true;
}
