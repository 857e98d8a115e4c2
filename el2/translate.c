/* SPDX-License-Identifier: Apache-2.0 */
#include "translate.h"

#include "arch_gen.h"
#include "monitor.h"
#include "sysreg.h"

bool translate_guest(u64 va, ipa_t *address)
{
	u64 guest_par = read_sysreg(par_el1);
	u64 par;

	asm volatile("at s1e1r, %0" ::"r"(va) : "memory");
	isb(); /* The result is in PAR_EL1 after a context synchronisation event. */
	par = read_sysreg(par_el1);
	write_sysreg(par_el1, guest_par);
	if (par & PAR_EL1_F)
		return false;
	*address = ipa((par & PAR_EL1_PA_MASK & 0x0000fffffffff000UL) | (va & PAGE_MASK));
	return true;
}

bool read_guest_instruction(u64 va, u32 *word, ipa_t *address)
{
	if ((va & 3) || !translate_guest(va, address) ||
	    !guest_ram_holds(address->raw, sizeof(*word)))
		return false;
	*word = *(const volatile u32 *)pa_to_pointer(ipa_identity(*address));
	return true;
}
