/* SPDX-License-Identifier: Apache-2.0 */
/* The access flag of a page of the guest, where hardware manages it (FEAT_HAFDBS). */
#ifndef SV_ACCESS_FLAG_H
#define SV_ACCESS_FLAG_H

#include "types.h"

/*
 * Whether a load from an address of the upper half, if it is mapped, leaves the translation tables as they
 * are. A load may have to set the access flag; an address translation instruction need not. False also if
 * that cannot be told.
 */
bool access_leaves_tables(u64 va);

#endif
