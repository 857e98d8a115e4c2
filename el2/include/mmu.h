/* SPDX-License-Identifier: Apache-2.0 */
/* EL2's own address map: identity, text executable and read-only, all else never executable. */
#ifndef SV_MMU_H
#define SV_MMU_H

/* Fills the tables; runs once, on the first core, before the MMU is on. */
void mmu_build(void);

/* Turns the MMU and the caches on with those tables; every core. */
void mmu_enable(void);

#endif
