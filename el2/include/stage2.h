/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 2: what of physical memory the guest reaches, and where a probed page leads.
 *
 * Four views, identity maps that differ in shadowed pages only; the host knows of three, and VIEW_FETCH is below:
 *
 *   view      fetch from        read                write
 *   PROBED    the shadow        fault (execute-only) fault
 *   PRISTINE  the guest's page  the guest's page    fault
 *   OPEN      the guest's page  the guest's page    the guest's page
 *
 * SMC is undefined at EL0, and nobody but the guest would hear of it. So where a shadow holds SMCs, a fetch from EL0
 * faults, too, on cores that can tell the exception levels apart; then the shadow gets BRKs instead.
 *
 * A vCPU runs in PROBED; a displaced instruction is stepped in PRISTINE; a write to a shadowed page
 * is stepped in OPEN, after which the shadow is rebuilt. The monitor's region, and what the guest could
 * use to reach it (the GIC's redistributors, devices that do DMA), are absent from all of them.
 */
#ifndef SV_STAGE2_H
#define SV_STAGE2_H

#include "addr.h"
#include "types.h"

/*
 * Beside the views that the host knows of: shadows can be read. A fetch whose table walk met a shadow gets what
 * is planted at its address; nothing else is run in it.
 */
#define VIEW_FETCH 3U
#define VIEWS 4

enum page_access {
	PAGE_NORMAL,	   /* read, write, execute */
	PAGE_READ_EXECUTE, /* PRISTINE of a shadowed page, and FETCH */
	PAGE_EXECUTE,	   /* PROBED of a shadowed page */
	/* The same two, faulting for what EL0 fetches if the core can tell (FEAT_XNX). */
	PAGE_READ_EXECUTE_EL1,
	PAGE_EXECUTE_EL1,
};

/* Builds the views; false when the pool has no page left. */
bool stage2_build(void);

/* Virtualisation registers of this core, VTCR_EL2 first; every core. */
void stage2_enable(void);

/* Selects a view for this vCPU; takes effect at the next context synchronisation event. */
void stage2_select(u32 view);

/* Makes sure that `page` has an entry of its own in `view`; false when the pool has no page left. */
bool stage2_split(u32 view, ipa_t page);

/*
 * Changes one page's entry, as break-before-make asks (Arm ARM, "Using break-before-make when
 * updating translation table entries"): first break all pages of a batch, then flush once, then make.
 * The page must have been split. Between break and make other vCPUs fault and try again.
 */
void stage2_break(u32 view, ipa_t page);
void stage2_flush(void);
void stage2_make(u32 view, ipa_t page, pa_t target, enum page_access access);

/* Where PROBED leads for this page: equals it unless the page is shadowed. Fails for an unmapped one. */
bool stage2_target(u32 view, ipa_t page, pa_t *target);

/* Whether the guest is meant to reach this address, now or as soon as a change in progress is done. */
bool stage2_reachable(ipa_t address);

/* A stage 2 that maps one page of the monitor for the self-test, and only for it. */
void stage2_select_stub(void);

#endif
