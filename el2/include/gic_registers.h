/* SPDX-License-Identifier: Apache-2.0 */
/* Memory-mapped GICv3 registers (Arm IHI 0069, "GIC Distributor register map" and following). */
#ifndef SV_GIC_REGISTERS_H
#define SV_GIC_REGISTERS_H

/* The redistributor's second frame has the same layout for INTIDs below 32. */
#define GICD_CTLR 0x0000
#define GICD_ICENABLER 0x0180
#define GICD_ISPENDR 0x0200
#define GICD_ICPENDR 0x0280
#define GICD_IPRIORITYR 0x0400
#define GICD_ICFGR 0x0c00

#define GICD_CTLR_GROUPS 3U /* EnableGrp0, EnableGrp1 with one security state */
#define GICD_CTLR_ARE (1U << 4)

/* A redistributor is two frames of this size, the second one for SGIs and PPIs; four with GICv4. */
#define GICR_FRAME 0x10000UL

#define GICR_TYPER 0x0008
#define GICR_TYPER_VLPIS (1U << 1)
#define GICR_TYPER_LAST (1U << 4)
#define GICR_WAKER 0x0014
#define GICR_WAKER_SLEEP (1U << 1)
#define GICR_WAKER_ASLEEP (1U << 2)

/* In the second frame. */
#define GICR_IGROUPR0 0x0080
#define GICR_ISENABLER0 0x0100
#define GICR_ICENABLER0 0x0180
#define GICR_ISPENDR0 0x0200
#define GICR_ICPENDR0 0x0280
#define GICR_ISACTIVER0 0x0300
#define GICR_ICACTIVER0 0x0380
#define GICR_IPRIORITYR 0x0400
#define GICR_ICFGR1 0x0c04
#define GICR_IGRPMODR0 0x0d00
#define GICR_NSACR 0x0e00

#endif
