/* SPDX-License-Identifier: Apache-2.0 */
/* One instruction that writes code in pages far from each other: the new code runs in all of them. */
#include "guest.h"

#define MOV_X0(number) (0xd2800000U | (number) << 5)
#define PAGE 4096UL
#define PAGES 3
#define SVE_ENABLED (3UL << 16)

typedef u64 (*function)(void);

extern u8 scatter_pages[];
void scatter_two(u64 address, u64 distance, u64 word);
void copy_forward(u64 to, u64 from, u64 size);

static u8 source[PAGES * PAGE] __attribute__((aligned(4096)));

static void synchronise(void)
{
	for (u64 address = (u64)scatter_pages; address < (u64)scatter_pages + PAGES * PAGE;
	     address += 16)
		asm volatile("dc cvau, %0" ::"r"(address) : "memory");
	dsb();
	asm volatile("ic ialluis; dsb ish; isb" ::: "memory");
}

static void check(u64 page, u64 number, const char *what)
{
	u64 result = ((function)((u64)scatter_pages + page * PAGE))();

	report(result == number, "page %lu after %s: 0x%lx", page, what, result);
}

static void by_scatter(u32 number)
{
	if (!(read_reg(id_aa64pfr0_el1) >> 32 & 15))
		return;
	write_reg(cpacr_el1, read_reg(cpacr_el1) | SVE_ENABLED);
	isb();
	scatter_two((u64)scatter_pages, 2 * PAGE, MOV_X0(number));
	synchronise();
	check(0, number, "a scatter");
	check(2, number, "a scatter");
	value("scattered", number);
}

static void by_copy(u32 number)
{
	u64 *to = (u64 *)source, *from = (u64 *)scatter_pages;

	if (!(read_reg(s3_0_c0_c6_2) >> 16 & 15)) /* ID_AA64ISAR2_EL1.MOPS */
		return;
	for (u64 i = 0; i < sizeof(source) / sizeof(*to); i++)
		to[i] = from[i];
	for (u64 i = 0; i < PAGES; i++)
		*(u32 *)(source + i * PAGE) = MOV_X0(number);
	copy_forward((u64)scatter_pages, (u64)source, sizeof(source));
	synchronise();
	for (u64 i = 0; i < PAGES; i++)
		check(i, number, "a copy");
	value("copied", number);
}

void guest_main(void)
{
	mmu_on();
	ready("started");
	by_scatter(2);
	by_copy(3);
	finish();
}
