/* SPDX-License-Identifier: Apache-2.0 */
#include "access_flag.h"

#include "addr.h"
#include "arch_gen.h"
#include "monitor.h"
#include "sysreg.h"

#define ENTRY_SIZE 8U
#define HAFDBS_TABLES 3UL /* FEAT_HAFT: table descriptors have access flags, too */
#define ADDRESS_BITS 48
#define SHORTEST_TABLE 64U

/* "VMSAv8-64 translation table format descriptors" (Arm ARM). */
#define DESCRIPTOR_VALID 1UL
#define DESCRIPTOR_TABLE 2UL
#define DESCRIPTOR_AF (1UL << 10)
#define DESCRIPTOR_DS_HIGH (3UL << 8)	 /* bits 51:50 of the address, with TCR_EL1.DS */
#define DESCRIPTOR_64K_HIGH (15UL << 12) /* bits 51:48, with 64 KiB granules */
#define TTBR_HIGH (15UL << 2)		 /* bits 51:48, with 52-bit addresses */
#define IPS_52 6UL

/* log2 of the granule, 0 for a reserved encoding. */
static u32 granule_bits(u64 tcr)
{
	switch (FIELD(tcr, TCR_EL1_TG1)) {
	case TCR_EL1_TG1_4K:
		return 12;
	case TCR_EL1_TG1_16K:
		return 14;
	case TCR_EL1_TG1_64K:
		return 16;
	default:
		return 0;
	}
}

static u64 bits(u32 low, u32 end)
{
	return ((1UL << end) - 1) & ~((1UL << low) - 1);
}

static bool read_entry(u64 table, u64 index, u64 *entry)
{
	u64 address = table + index * ENTRY_SIZE;

	if (!guest_ram_holds(address, ENTRY_SIZE))
		return false;
	*entry = *(const volatile u64 *)pa_to_pointer(ipa_identity(ipa(address)));
	return true;
}

static bool has_high_address(u64 entry, u64 tcr, u32 granule)
{
	return (tcr & TCR_EL1_DS && entry & DESCRIPTOR_DS_HIGH) ||
	       (granule == 16 && entry & DESCRIPTOR_64K_HIGH);
}

static bool leaf_accessed(u64 va, u64 table, u64 tcr, u32 granule)
{
	u32 size = 64 - (u32)FIELD(tcr, TCR_EL1_T1SZ);
	u32 stride = granule - 3;
	u32 shift = granule;
	u64 entry;

	while (shift + stride < size)
		shift += stride;
	/* The first table resolves what is left of the address; the others a full stride. */
	for (u32 end = size; shift >= granule; end = shift, shift -= stride) {
		if (!read_entry(table, (va & bits(shift, end)) >> shift, &entry) ||
		    !(entry & DESCRIPTOR_VALID) || has_high_address(entry, tcr, granule))
			return false;
		if (shift == granule || !(entry & DESCRIPTOR_TABLE))
			return entry & DESCRIPTOR_AF;
		table = entry & bits(granule, ADDRESS_BITS);
	}
	return false;
}

bool access_leaves_tables(u64 va)
{
	u64 tcr = read_sysreg(tcr_el1), ttbr = read_sysreg(SYS_TTBR1_EL1);
	bool wide = tcr & TCR_EL1_DS || FIELD(tcr, TCR_EL1_IPS) == IPS_52;
	u32 granule = granule_bits(tcr);
	u64 table = ttbr & bits(1, ADDRESS_BITS);

	if (!(tcr & TCR_EL1_HA))
		return true; /* Then a clear flag is a fault, and nothing was translated. */
	if (!granule ||
	    FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_HAFDBS) >= HAFDBS_TABLES)
		return false;
	if (wide) {
		if (ttbr & TTBR_HIGH)
			return false;
		table &= ~(u64)(SHORTEST_TABLE - 1);
	}
	return leaf_accessed(va, table, tcr, granule);
}
