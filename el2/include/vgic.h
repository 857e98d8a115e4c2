/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual CPU interface. A physical interrupt is acknowledged at EL2 and handed on in a list
 * register; SPIs and PPIs with the HW bit, so that the guest's deactivation is the physical one.
 */
#ifndef SV_VGIC_H
#define SV_VGIC_H

#include "types.h"
#include "vcpu.h"

void vgic_init(struct vcpu *v);

/* Acknowledges pending physical interrupts of one group (0 FIQ, 1 IRQ) and hands them on. */
void vgic_take_interrupts(struct vcpu *v, u32 group);

/* Moves queued interrupts to free list registers; before every entry to the guest. */
void vgic_refill(struct vcpu *v);

/* While held, nothing is signalled to the guest: its interrupts stay pending, its DAIF is untouched. */
void vgic_hold(void);
void vgic_release(void);

/* The interrupt that the guest would take now, were the interface on: INJECT_*, 0 for none. */
u64 vgic_deliverable(struct vcpu *v);

/* Whether the guest has acknowledged an interrupt here and not ended it. */
bool vgic_is_handling(void);

/* Whether an interrupt waits for this vCPU. */
bool vgic_pending(const struct vcpu *v);

/* The vCPU goes off: what the guest has not taken goes back to the physical GIC. */
void vgic_give_back(struct vcpu *v);

/* The guest's GICD_CTLR.EnableGrp0/1: what it disabled stays queued. */
u32 vgic_groups(void);
void vgic_set_groups(u32 groups);

/*
 * The guest disabled interrupts, or cleared their pending state, in the physical GIC: those that it has not taken
 * yet are taken back. `bits` are those of one 32-bit register whose first interrupt is `first`. All vCPUs are
 * asked, this one does it at once.
 */
void vgic_withdraw(struct vcpu *v, u32 first, u32 bits, bool stays_pending);

/* Carries out what vgic_withdraw of any vCPU asked of this one. */
void vgic_take_back_asked(struct vcpu *v);

/* Takes one interrupt out of the queue. */
struct virq vgic_dequeue(struct vcpu *v, u32 position);

/*
 * Interrupts that the guest is handling and that had to leave their list register for one that is pending.
 * Their end is counted by the interface (EOIcount) or traps (DIR); it comes in order of urgency.
 */
bool vgic_stash_active(struct vcpu *v);
bool vgic_is_stashed(const struct vcpu *v, u32 intid);

/* Ends what the guest ended, and moves the rest back while list registers are free. */
void vgic_settle_stash(struct vcpu *v);

/* The guest writes ICC_DIR_EL1; only while something is stashed. */
void vgic_deactivate(struct vcpu *v, u32 intid);

/* An interrupt into a list register, and out of it. */
void vgic_load(struct vcpu *v, u32 target, struct virq irq);
struct virq vgic_unload(struct vcpu *v, u32 source);

/* Takes away what is pending in a list register and whose level has fallen. */
void vgic_drop_fallen(struct vcpu *v);

/* Traps the guest's next access to the group registers if there may be such an interrupt by then. */
void vgic_watch_levels(struct vcpu *v);

/* That access: true if it is to be done again. */
bool vgic_look_at_levels(struct vcpu *v, u32 key);

u32 vgic_free_list_register(const struct vcpu *v);

#endif
