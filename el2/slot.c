/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include "aarch32.h"

u32 guest_instruction(ipa_t address, u32 trap, u32 word)
{
	bool split = (address.raw & PAGE_MASK) == PAGE_SIZE - T32_SHORT_SIZE;
	u32 first;

	if (trap != SV_TRAP_BKPT_T32)
		return guest_word(address);
	first = guest_halfword(address);
	if (!is_long_t32(first))
		return first;
	return first << 16 | (split ? word & 0xffff : guest_halfword(ipa(address.raw + 2)));
}

u32 slot_instruction(const struct slot *slot)
{
	return guest_instruction(slot->address, slot->trap, slot->word);
}
