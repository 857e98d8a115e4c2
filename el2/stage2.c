/* SPDX-License-Identifier: Apache-2.0 */
#include "stage2.h"

#include "arch_gen.h"
#include "monitor.h"
#include "pool.h"
#include "sysreg.h"

/* 40 bits of intermediate physical address: two concatenated tables at level 1. */
#define IPA_BITS 40UL
#define ROOT_ENTRIES 1024
#define ENTRIES 512

/* VMSAv8-64 stage 2 descriptors (Arm ARM, "VMSAv8-64 translation table format descriptors"). */
#define DESC_VALID 1UL
#define DESC_TABLE 3UL
#define DESC_BLOCK 1UL
#define DESC_PAGE 3UL
#define DESC_TYPE 3UL
#define DESC_DEVICE (1UL << 2)	/* Device-nGnRE */
#define DESC_NORMAL (15UL << 2) /* write-back, inner and outer */
#define DESC_READ (1UL << 6)
#define DESC_WRITE (2UL << 6)
#define DESC_ACCESS (DESC_READ | DESC_WRITE)
#define DESC_INNER_SHAREABLE (3UL << 8)
#define DESC_ACCESSED (1UL << 10)
#define DESC_NOT_EL0 (3UL << 53) /* XN[1:0] with FEAT_XNX: EL1 executes, EL0 does not */
#define DESC_ADDRESS 0x0000fffffffff000UL

static const u64 ram_attributes = DESC_NORMAL | DESC_ACCESS | DESC_INNER_SHAREABLE | DESC_ACCESSED;
static const u64 device_attributes = DESC_DEVICE | DESC_ACCESS | DESC_ACCESSED;

static u64 roots[VIEWS][ROOT_ENTRIES] __attribute__((aligned(8192)));
static u64 stub_root[ROOT_ENTRIES] __attribute__((aligned(8192)));
static u64 stub_level2[ENTRIES] __attribute__((aligned(4096)));
static u64 stub_level3[ENTRIES] __attribute__((aligned(4096)));

static bool overlaps(u64 start, u64 size, u64 other_start, u64 other_end)
{
	return start < other_end && other_start < start + size;
}

static bool is_ram(u64 start, u64 size)
{
	return overlaps(start, size, control()->ram_base, guest_ram_end());
}

/* Ranges that no view maps: an access traps, and is emulated or refused. */
static bool touches_hole(u64 start, u64 size)
{
	const struct sv_control *c = control();
	u64 redistributors = c->gicr_base + c->vcpus * 0x20000UL;

	return overlaps(start, size, c->ram_base, guest_ram_base()) ||
	       overlaps(start, size, c->gicd_base, c->gicd_base + PAGE_SIZE) ||
	       overlaps(start, size, c->gicr_base, redistributors) ||
	       overlaps(start, size, c->forbidden_base, c->forbidden_base + c->forbidden_size);
}

static bool is_uniform(u64 start, u64 size)
{
	bool inside = start >= control()->ram_base && start + size <= guest_ram_end();

	return !touches_hole(start, size) && (inside || !is_ram(start, size));
}

bool stage2_reachable(ipa_t address)
{
	u64 page = address.raw & ~PAGE_MASK;

	return page < 1UL << IPA_BITS && !touches_hole(page, PAGE_SIZE);
}

static u64 attributes_of(u64 address)
{
	return is_ram(address, PAGE_SIZE) ? ram_attributes : device_attributes;
}

static u64 *new_table(void)
{
	u64 *table = pool_alloc();

	if (table)
		for (u32 i = 0; i < ENTRIES; i++)
			table[i] = 0;
	return table;
}

static bool fill_level3(u64 *table, u64 start)
{
	for (u64 i = 0; i < ENTRIES; i++) {
		u64 address = start + i * PAGE_SIZE;

		if (!touches_hole(address, PAGE_SIZE))
			table[i] = address | attributes_of(address) | DESC_PAGE;
	}
	return true;
}

static bool fill_level2(u64 *table, u64 start)
{
	for (u64 i = 0; i < ENTRIES; i++) {
		u64 address = start + i * BLOCK_SIZE;
		u64 *next;

		if (is_uniform(address, BLOCK_SIZE)) {
			table[i] = address | attributes_of(address) | DESC_BLOCK;
			continue;
		}
		next = new_table();
		if (!next || !fill_level3(next, address))
			return false;
		table[i] = (u64)next | DESC_TABLE;
	}
	return true;
}

static bool fill_root(u64 *root)
{
	for (u64 i = 0; i < ROOT_ENTRIES; i++) {
		u64 address = i * GIGABYTE;
		u64 *next;

		if (is_uniform(address, GIGABYTE)) {
			root[i] = address | attributes_of(address) | DESC_BLOCK;
			continue;
		}
		next = new_table();
		if (!next || !fill_level2(next, address))
			return false;
		root[i] = (u64)next | DESC_TABLE;
	}
	return true;
}

static void build_stub(void)
{
	u64 page = (u64)stub_start;

	stub_root[page / GIGABYTE % ROOT_ENTRIES] = (u64)stub_level2 | DESC_TABLE;
	stub_level2[page / BLOCK_SIZE % ENTRIES] = (u64)stub_level3 | DESC_TABLE;
	stub_level3[page / PAGE_SIZE % ENTRIES] =
		page | DESC_NORMAL | DESC_READ | DESC_INNER_SHAREABLE | DESC_ACCESSED | DESC_PAGE;
}

bool stage2_build(void)
{
	build_stub();
	for (u32 view = 0; view < VIEWS; view++)
		if (!fill_root(roots[view]))
			return false;
	dsb_ishst();
	return true;
}

/* One sentence per field. */
static u64 vtcr_value(void)
{
	u64 value = 0;

	value |= (64 - IPA_BITS) << VTCR_EL2_T0SZ_SHIFT;
	value |= 1UL << VTCR_EL2_SL0_SHIFT;   /* Walks start at level 1, with a 4 KiB granule, */
	value |= 1UL << VTCR_EL2_IRGN0_SHIFT; /* through write-back caches, inner */
	value |= 1UL << VTCR_EL2_ORGN0_SHIFT; /* and outer, */
	value |= 3UL << VTCR_EL2_SH0_SHIFT;   /* inner shareable, */
	value |= 2UL << VTCR_EL2_PS_SHIFT;    /* to 40 bits of physical address. */
	value |= 1UL << 31;		      /* RES1 */
	return value;
}

/* VMIDs: a view each, from 1; 0 is the self-test's. */
static void select_root(const u64 *root, u64 vmid)
{
	write_sysreg(vttbr_el2, (u64)root | vmid << VTTBR_EL2_VMID_SHIFT);
}

void stage2_enable(void)
{
	write_sysreg(vtcr_el2, vtcr_value());
	stage2_select(SV_VIEW_PROBED);
	isb(); /* The registers above before any flush that goes by them. */
	stage2_flush();
}

void stage2_select(u32 view)
{
	select_root(roots[view % VIEWS], view + 1UL);
}

void stage2_select_stub(void)
{
	select_root(stub_root, 0);
}

/*
 * The one place that indexes the roots. The guest's own tables may lead to any address of 52 bits, so an
 * address that no root describes is an answer here, not a mistake of the caller: NULL.
 */
static u64 *root_entry(u32 view, ipa_t page)
{
	u64 index = page.raw / GIGABYTE;

	return view < VIEWS && index < ROOT_ENTRIES ? &roots[view][index] : NULL;
}

static u64 *level2_entry(u32 view, ipa_t page)
{
	const u64 *root = root_entry(view, page);

	if (!root || (*root & DESC_TYPE) != DESC_TABLE)
		return NULL;
	return (u64 *)(*root & DESC_ADDRESS) + page.raw / BLOCK_SIZE % ENTRIES;
}

static u64 *level3_entry(u32 view, ipa_t page)
{
	u64 *entry = level2_entry(view, page);

	if (!entry || (*entry & DESC_TYPE) != DESC_TABLE)
		return NULL;
	return (u64 *)(*entry & DESC_ADDRESS) + page.raw / PAGE_SIZE % ENTRIES;
}

static void store_entry(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	dsb_ishst(); /* Visible to table walks before what follows. */
}

/* Replaces a block entry by a table that maps the same. */
static bool split_entry(u64 *entry, u64 unit)
{
	u64 block = *entry;
	u64 *table = new_table();
	u64 type = unit == PAGE_SIZE ? DESC_PAGE : DESC_BLOCK;

	if (!table)
		return false;
	for (u64 i = 0; i < ENTRIES; i++)
		table[i] = ((block & ~DESC_TYPE) + i * unit) | type;
	store_entry(entry, 0);
	stage2_flush();
	store_entry(entry, (u64)table | DESC_TABLE);
	return true;
}

bool stage2_split(u32 view, ipa_t page)
{
	u64 *root = root_entry(view, page);
	u64 *entry;

	if (!root || ((*root & DESC_TYPE) == DESC_BLOCK && !split_entry(root, BLOCK_SIZE)))
		return false;
	entry = level2_entry(view, page);
	if (!entry)
		return false;
	return (*entry & DESC_TYPE) != DESC_BLOCK || split_entry(entry, PAGE_SIZE);
}

void stage2_break(u32 view, ipa_t page)
{
	store_entry(level3_entry(view, page), 0);
}

void stage2_flush(void)
{
	dsb_ishst();
	/* All VMIDs at once: a change touches all but OPEN. */
	asm volatile("tlbi alle1is" ::: "memory");
	dsb_ish();
	isb();
}

/* Without FEAT_XNX the same bits mean that nobody executes. */
static u64 not_at_el0(void)
{
	return FIELD(read_sysreg(id_aa64mmfr1_el1), ID_AA64MMFR1_EL1_XNX) ? DESC_NOT_EL0 : 0;
}

void stage2_make(u32 view, ipa_t page, pa_t target, enum page_access access)
{
	u64 value = target.raw | (attributes_of(page.raw) & ~DESC_ACCESS) | DESC_PAGE;

	if (access != PAGE_EXECUTE && access != PAGE_EXECUTE_EL1)
		value |= DESC_READ;
	if (access == PAGE_NORMAL)
		value |= DESC_WRITE;
	if (access == PAGE_EXECUTE_EL1 || access == PAGE_READ_EXECUTE_EL1)
		value |= not_at_el0();
	store_entry(level3_entry(view, page), value);
}

bool stage2_target(u32 view, ipa_t page, pa_t *target)
{
	const u64 *entry = level3_entry(view, page);
	u64 value = entry ? __atomic_load_n(entry, __ATOMIC_ACQUIRE) : 0;

	if (!root_entry(view, page))
		return false;
	*target = entry ? pa(value & DESC_ADDRESS) : ipa_identity(ipa_page(page));
	return !entry || (value & DESC_VALID) != 0;
}
