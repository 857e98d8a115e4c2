/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

extern u8 secondary_entry[];

void __attribute__((weak)) secondary_main(u64 index)
{
	(void)index;
	for (;;)
		asm volatile("wfi");
}

u64 smc(u64 function, u64 a, u64 b, u64 c)
{
	register u64 x0 asm("x0") = function;
	register u64 x1 asm("x1") = a;
	register u64 x2 asm("x2") = b;
	register u64 x3 asm("x3") = c;

	asm volatile("smc #0"
		     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
		     :
		     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
		       "x16", "x17", "memory");
	return x0;
}

u64 smp_start(u64 index)
{
	dsb();
	return smc(PSCI_CPU_ON, (read_reg(mpidr_el1) & 0xff00ffff00UL) | index,
		   (u64)secondary_entry, index);
}

void power_off(void)
{
	smc(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;)
		;
}
