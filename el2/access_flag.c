/* SPDX-License-Identifier: Apache-2.0 */
#include "access_flag.h"

#include "addr.h"
#include "arch_gen.h"
#include "monitor.h"
#include "sysreg.h"

#define ENTRY_SIZE 8U
#define HAFDBS_TABLES 3UL /* FEAT_HAFT: table descriptors have access flags, too */
#define LONGEST_ADDRESS 52
#define PARANGE_52 6UL

/* "VMSAv8-64 translation table format descriptors" (Arm ARM). */
#define DESCRIPTOR_VALID 1UL
#define DESCRIPTOR_TABLE 2UL
#define DESCRIPTOR_READ_ONLY (1UL << 7)
#define DESCRIPTOR_AF (1UL << 10)
#define DESCRIPTOR_DBM (1UL << 51) /* read-only means clean, not forbidden */
#define DESCRIPTOR_CLEAN (DESCRIPTOR_VALID | DESCRIPTOR_DBM | DESCRIPTOR_READ_ONLY)
#define DESCRIPTOR_DS_HIGH (3UL << 8)	 /* bits 51:50 of the address, with TCR_EL1.DS */
#define DESCRIPTOR_64K_HIGH (15UL << 12) /* bits 51:48, with granules of 64 KiB */
#define TTBR_HIGH (15UL << 2)		 /* bits 51:48 */
#define IPS_52 6UL
#define UPPER_HALF (1UL << 55)

/* Half of the address space: what TCR_EL1 and TTBR<n>_EL1 say of it. */
struct half {
	u64 table;   /* the first one */
	u32 size;    /* of a virtual address, in bits */
	u32 granule; /* its log2, 0 for a reserved encoding */
	bool small; /* granules of 4 or 16 KiB whose descriptors have longer addresses: TCR_EL1.DS */
	bool large; /* granules of 64 KiB, likewise */
};

static u32 upper_granule(u64 tcr)
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

static u32 lower_granule(u64 tcr)
{
	switch (FIELD(tcr, TCR_EL1_TG0)) {
	case TCR_EL1_TG0_4K:
		return 12;
	case TCR_EL1_TG0_16K:
		return 14;
	case TCR_EL1_TG0_64K:
		return 16;
	default:
		return 0;
	}
}

static u64 bits(u32 low, u32 end)
{
	return ((1UL << end) - 1) & ~((1UL << low) - 1);
}

/* Whether output addresses have 52 bits, as far as IPS and the core say. */
static bool outputs_52_bits(u64 tcr)
{
	return FIELD(tcr, TCR_EL1_IPS) == IPS_52 &&
	       FIELD(read_sysreg(id_aa64mmfr0_el1), ID_AA64MMFR0_EL1_PARANGE) >= PARANGE_52;
}

static struct half decode_half(u64 tcr, u64 ttbr, u32 unused_bits, u32 granule)
{
	bool is_64k = granule == 16;
	struct half half = { .size = 64 - unused_bits, .granule = granule };

	half.small = tcr & TCR_EL1_DS && !is_64k;
	half.large = is_64k && outputs_52_bits(tcr);
	if (half.large || (half.small && outputs_52_bits(tcr)))
		half.table = (ttbr & bits(6, 48)) | (ttbr & TTBR_HIGH) << 46;
	else
		half.table = ttbr & bits(1, 48);
	return half;
}

static struct half half_of(u64 va)
{
	u64 tcr = read_sysreg(tcr_el1);

	if (va & UPPER_HALF)
		return decode_half(tcr, read_sysreg(SYS_TTBR1_EL1), (u32)FIELD(tcr, TCR_EL1_T1SZ),
				   upper_granule(tcr));
	return decode_half(tcr, read_sysreg(SYS_TTBR0_EL1), (u32)FIELD(tcr, TCR_EL1_T0SZ),
			   lower_granule(tcr));
}

static u64 *entry_at(u64 table, u64 index)
{
	u64 address = table + index * ENTRY_SIZE;

	if (!guest_ram_holds(address, ENTRY_SIZE))
		return NULL;
	return pa_to_pointer(ipa_identity(ipa(address)));
}

static u64 read_entry(const u64 *entry)
{
	return entry ? __atomic_load_n(entry, __ATOMIC_RELAXED) : 0;
}

static u64 next_table(const struct half *half, u64 entry)
{
	if (half->small)
		return (entry & bits(half->granule, 50)) | (entry & DESCRIPTOR_DS_HIGH) << 42;
	if (half->large)
		return (entry & bits(half->granule, 48)) | (entry & DESCRIPTOR_64K_HIGH) << 36;
	return entry & bits(half->granule, 48);
}

/* The descriptor of the page or block that holds an address; NULL if there is none in RAM. */
static u64 *find_leaf(u64 va)
{
	struct half half = half_of(va);
	u32 shift = half.granule;
	u32 stride = half.granule - 3;
	u64 table = half.table;

	if (!half.granule || half.size > LONGEST_ADDRESS)
		return NULL;
	while (shift + stride < half.size)
		shift += stride;
	/* The first table resolves what is left of the address; the others a full stride. */
	for (u32 end = half.size; shift >= half.granule; end = shift, shift -= stride) {
		u64 *place = entry_at(table, (va & bits(shift, end)) >> shift);
		u64 entry = read_entry(place);

		if (!(entry & DESCRIPTOR_VALID))
			return NULL;
		if (shift == half.granule || !(entry & DESCRIPTOR_TABLE))
			return place;
		table = next_table(&half, entry);
	}
	return NULL;
}

bool access_leaves_tables(u64 va)
{
	if (!(read_sysreg(tcr_el1) & TCR_EL1_HA))
		return true; /* Then a clear flag is a fault, and nothing was translated. */
	if (FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_HAFDBS) >= HAFDBS_TABLES)
		return false;
	return read_entry(find_leaf(va)) & DESCRIPTOR_AF;
}

bool access_makes_dirty(u64 va)
{
	u64 *leaf = read_sysreg(tcr_el1) & TCR_EL1_HD ? find_leaf(va) : NULL;
	u64 entry = read_entry(leaf);

	while ((entry & DESCRIPTOR_CLEAN) == DESCRIPTOR_CLEAN)
		if (__atomic_compare_exchange_n(leaf, &entry, entry & ~DESCRIPTOR_READ_ONLY, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	return false;
}

bool access_sets_flag(u64 va, ipa_t *page)
{
	u64 *leaf = read_sysreg(tcr_el1) & TCR_EL1_HA ? find_leaf(va) : NULL;
	u64 entry = read_entry(leaf);

	while ((entry & DESCRIPTOR_VALID) && !(entry & DESCRIPTOR_AF))
		if (__atomic_compare_exchange_n(leaf, &entry, entry | DESCRIPTOR_AF, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			*page = ipa_page(ipa((u64)leaf));
			return true;
		}
	return false;
}
