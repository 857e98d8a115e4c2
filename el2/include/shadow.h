/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadows: execute-only copies of probed pages that hold the SMCs. The guest's page is never written.
 *
 * A shadow is never changed while a vCPU may execute it (the architecture allows only a few instructions to be
 * replaced under a running core, Arm ARM "Concurrent modification and execution of instructions"): only while
 * no view maps it, between break and make. So all changes but new shadows do without memory, and cannot fail.
 */
#ifndef SV_SHADOW_H
#define SV_SHADOW_H

#include "addr.h"
#include "types.h"
#include "vcpu.h"

void shadow_init(void);

/* Arms or disarms all `count` probes or none; SV_STATUS_*, and the first refused entry. */
u32 shadow_arm(const struct sv_probe_descriptor *probes, u32 count, u32 *failed);
u32 shadow_disarm(const struct sv_probe_descriptor *probes, u32 count, u32 *failed);
void shadow_disarm_all(void);

/* Whether PROBED leads elsewhere than to the guest's own page. */
bool shadow_exists(ipa_t page);

/* The slot of the probe on the instruction at this address, 0 if there is none. */
u32 shadow_find_probe(ipa_t address);

/* Whether PROBED has another instruction at this address than the guest: a probe, or a guard. `size` in bytes. */
bool shadow_is_planted(ipa_t address, u64 size);

/* The guest executes this page at EL0: its probes are planted as BRK from here on. */
void shadow_admit_user(ipa_t page);

/*
 * The guest may have written this page: rebuilds its shadow, and reports which probes have another instruction under
 * them. They stay if it is one that kernels patch in, or the one that was there before; else the page may be
 * anything by now, and they go.
 */
void shadow_refresh(struct vcpu *v, ipa_t page);

/* The same for all pages that are not what their shadows are of: where it is not known what has been written. */
void shadow_refresh_changed(struct vcpu *v);

#endif
