/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of guest memory by virtual address, as EL1 sees it but for PAN; faults are answers. */
#ifndef SV_GUEST_MEMORY_H
#define SV_GUEST_MEMORY_H

#include "types.h"

/* Bytes read, `size` of them unless a page on the way is not there or is not Normal memory. */
u64 guest_memory_read(u64 va, void *to, u64 size);

#endif
