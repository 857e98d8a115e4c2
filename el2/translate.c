/* SPDX-License-Identifier: Apache-2.0 */
#include "translate.h"

#include "arch_gen.h"
#include "monitor.h"
#include "sysreg.h"

static u64 address_translate(u64 va)
{
	u64 guest_par = read_sysreg(par_el1);
	u64 par;

	asm volatile("at s1e1r, %0" ::"r"(va) : "memory");
	isb(); /* The result is in PAR_EL1 after a context synchronisation event. */
	par = read_sysreg(par_el1);
	write_sysreg(par_el1, guest_par);
	return par;
}

static ipa_t output_address(u64 par, u64 va)
{
	return ipa((par & PAR_EL1_PA_MASK & 0x0000fffffffff000UL) | (va & PAGE_MASK));
}

bool translate_guest(u64 va, ipa_t *address)
{
	u64 par = address_translate(va);

	*address = output_address(par, va);
	return !(par & PAR_EL1_F);
}

bool translate_normal(u64 va, ipa_t *address)
{
	u64 par = address_translate(va);

	*address = output_address(par, va);
	/* MAIR_EL1 encoding: the upper half is 0 for Device memory. */
	return !(par & PAR_EL1_F) && par >> 60;
}

bool read_guest_instruction(u64 va, u32 *word, ipa_t *address)
{
	if ((va & 3) || !translate_guest(va, address) ||
	    !guest_ram_holds(address->raw, sizeof(*word)))
		return false;
	*word = *(const volatile u32 *)pa_to_pointer(ipa_identity(*address));
	return true;
}
