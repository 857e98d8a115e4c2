/* SPDX-License-Identifier: Apache-2.0 */
/* The access flag and the dirty state of a page of the guest, where hardware manages them (FEAT_HAFDBS). */
#ifndef SV_ACCESS_FLAG_H
#define SV_ACCESS_FLAG_H

#include "addr.h"
#include "types.h"

/*
 * Whether a load from an address of the upper half, if it is mapped, leaves the translation tables as they
 * are. A load may have to set the access flag; an address translation instruction need not. False also if
 * that cannot be told.
 */
bool access_leaves_tables(u64 va);

/*
 * What the hardware does at the first store to a clean page, for a store that the monitor performs: the page's descriptor
 * allows writing from here on. False if there was nothing to do. The caller knows that the guest may access the page.
 */
bool access_makes_dirty(u64 va);

/*
 * What the hardware may do at any time for an address that is mapped: its access flag is set. Tells which page that
 * has changed; false if there was nothing to do.
 */
bool access_sets_flag(u64 va, ipa_t *page);

#endif
