/* SPDX-License-Identifier: Apache-2.0 */
/* Probe slots: the immediate of a planted SMC is the index, so a hit finds its probe without a search. */
#ifndef SV_SLOT_H
#define SV_SLOT_H

#include "addr.h"
#include "monitor.h"
#include "types.h"

/* Which short way a hit may take. */
enum fast {
	FAST_NEVER = 0, /* none: it is stepped, or does more than record */
	FAST_NONE,	/* through emulate() */
	FAST_NOP,
	FAST_MOVE, /* d = m, 64 bits, both of them scratch registers */
};

enum slot_state {
	SLOT_FREE = 0,
	SLOT_ARMED,
	SLOT_ADDED, /* armed, by a batch that may still be refused */
};

#define SLOT_STATE_MASK 3U
#define SLOT_GENERATION 4U /* one more use of the slot */

struct slot {
	u64 va;	       /* where the guest executes it */
	ipa_t address; /* where it lies */
	u32 word;      /* the displaced instruction when it was armed */
	u16 plan;      /* SV_PLAN_* */
	u8 trap;       /* SV_TRAP_* */
	u8 action;     /* SV_ACTION_* */
	u32 life;      /* enum slot_state, and above it how often the slot has been used */
	u32 next;      /* next slot of the same page, 0 ends the list */
	/* The displaced instruction, decoded; as in struct sv_probe_descriptor. */
	u16 operand;
	u8 operation;
	u8 d, n, m, a;
	u8 shift;
	u64 immediate;
	u8 shift_type;
	bool patched; /* the guest has put another instruction there since */
	u16 reserved;
	u32 program;
	u32 fast;    /* enum fast */
	u32 present; /* the displaced instruction as the guest last left it */
};

_Static_assert(sizeof(struct slot) == 64, "a slot is one cache line");
_Static_assert(sizeof(struct slot) * SV_MAX_SLOTS == SV_SLOTS_SIZE, "the slots fill their area");

static inline struct slot *slot_at(u32 index)
{
	return (struct slot *)(region_base() + SV_SLOTS_OFFSET) + index % SV_MAX_SLOTS;
}

/* What the guest has at an address of its RAM. */
static inline u32 guest_word(ipa_t address)
{
	return __atomic_load_n((u32 *)pa_to_pointer(ipa_identity(address)), __ATOMIC_RELAXED);
}

static inline u32 guest_halfword(ipa_t address)
{
	return __atomic_load_n((u16 *)pa_to_pointer(ipa_identity(address)), __ATOMIC_RELAXED);
}

/*
 * The instruction at a probe, by its SV_TRAP_*, as the guest has it now. The second half of a T32 one may be in another page,
 * which is not looked at: it is taken to be as in `word`.
 */
u32 guest_instruction(ipa_t address, u32 trap, u32 word);

/* The displaced instruction as it is now; another vCPU may be about to replace it. */
u32 slot_instruction(const struct slot *slot);

static inline enum slot_state slot_state(const struct slot *slot)
{
	return (enum slot_state)(__atomic_load_n(&slot->life, __ATOMIC_ACQUIRE) & SLOT_STATE_MASK);
}

static inline bool slot_armed(const struct slot *slot)
{
	return slot_state(slot) != SLOT_FREE;
}

/* The shadows' lock is held: nobody else changes it. */
static inline void slot_set_state(struct slot *slot, enum slot_state state)
{
	u32 generation = slot->life & ~SLOT_STATE_MASK;

	if (state == SLOT_ADDED)
		generation += SLOT_GENERATION;
	__atomic_store_n(&slot->life, generation | state, __ATOMIC_RELEASE);
}

/*
 * Copies an armed slot; false if it is free, or changed meanwhile. A hit works on its copy: while it waits for
 * the host the slot itself may be disarmed and given to another probe.
 */
static inline bool slot_take(u32 index, struct slot *copy)
{
	const struct slot *slot = slot_at(index);
	u32 life = __atomic_load_n(&slot->life, __ATOMIC_ACQUIRE);

	*copy = *slot;
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* All of the copy before the second look. */
	return (life & SLOT_STATE_MASK) && __atomic_load_n(&slot->life, __ATOMIC_RELAXED) == life;
}

#define SMC_BASE 0xd4000003U
#define SMC_MASK 0xffe0001fU

#define BRK_BASE 0xd4200000U

/* In AArch32 state the probe is found by its address: BKPT has 8 bits in T32. */
#define BKPT_A32 0xe1200070U
#define BKPT_T32 0xbe00U

/* What stands in the shadow at the address of slot `index`, by SV_TRAP_*. */
static inline u32 planted_instruction(u32 index, u32 trap)
{
	switch (trap) {
	case SV_TRAP_BKPT_A32:
		return BKPT_A32;
	case SV_TRAP_BKPT_T32:
		return BKPT_T32;
	default:
		return (trap == SV_TRAP_BRK ? BRK_BASE : SMC_BASE) | index << 5;
	}
}

static inline bool is_brk(u32 word)
{
	return (word & SMC_MASK) == BRK_BASE;
}

static inline bool is_bkpt(u32 set, u32 word)
{
	return set == SV_INSTRUCTION_SET_T32 ? (word & 0xffffff00) == BKPT_T32 :
					       (word & 0xfff000f0) == BKPT_A32;
}

static inline bool is_smc(u32 word)
{
	return (word & SMC_MASK) == SMC_BASE;
}

#endif
