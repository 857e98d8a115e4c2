/* SPDX-License-Identifier: Apache-2.0 */
#include "exclusive.h"

#include "aarch32.h"
#include "arch_gen.h"
#include "exclusive_access.h"
#include "exclusive_store.h"
#include "guard.h"
#include "inject.h"
#include "step.h"
#include "translate.h"

/* Longer sequences are not exclusive sequences that the architecture promises to let succeed. */
#define DEFERRALS 64

/* Passes of a sequence that exits break up, exits in one of them at most, and instructions to step then. */
#define PATIENCE 3
#define EXITS_OF_A_PASS 4
#define SEEKING 256

#define LONGEST_AARCH32 32
#define ALWAYS_EXECUTED SPSR_ELx_nRW /* outside of an If-Then block */

void exclusive_clear(struct vcpu *v)
{
	if (v->step.exclusive.open)
		v->step.exclusive.seeking = 0;
	v->step.exclusive.open = false;
	v->step.exclusive.deferrals = 0;
}

bool exclusive_holds_interrupts(struct vcpu *v)
{
	return v->step.exclusive.open && v->step.exclusive.deferrals++ < DEFERRALS;
}

/* Without a look at branches. */
static bool store_ahead_aarch32(const struct vcpu *v)
{
	u32 set = instruction_set(v->frame.pstate);
	u64 pc = v->frame.pc;
	u32 word;

	for (u32 i = 0; i < LONGEST_AARCH32 && read_instruction(set, pc, &word); i++) {
		if (exclusive_decode(ALWAYS_EXECUTED, set, word).kind == EXCLUSIVE_STORE)
			return true;
		pc += instruction_size(set, word);
	}
	return false;
}

static bool store_ahead(const struct vcpu *v)
{
	u64 pc = v->frame.pc;
	ipa_t address;
	u32 word;

	if (is_aarch32(v->frame.pstate))
		return store_ahead_aarch32(v);
	return read_guest_instruction(pc, &word, &address) &&
	       guard_store_ahead(pa_to_pointer(ipa_identity(ipa_page(address))),
				 (u32)(pc & PAGE_MASK) / INSTRUCTION_SIZE);
}

void exclusive_note_exit(struct vcpu *v)
{
	struct exclusive *exclusive = &v->step.exclusive;

	if (v->frame.pc == exclusive->exit_pc) {
		exclusive->other_exits = 0;
		if (++exclusive->exits == PATIENCE && store_ahead(v)) {
			exclusive->seeking = SEEKING;
			exclusive->exits = 0;
		}
	} else if (exclusive->other_exits++ == EXITS_OF_A_PASS) {
		exclusive->exit_pc = v->frame.pc;
		exclusive->exits = exclusive->other_exits = 0;
	}
}

void exclusive_begin(struct vcpu *v)
{
	struct exclusive *exclusive = &v->step.exclusive;
	struct exclusive_access *access = &exclusive->access;

	*access = exclusive_decode(v->frame.pstate, v->step.set, v->step.word);
	if (access->kind != EXCLUSIVE_LOAD && access->kind != EXCLUSIVE_STORE)
		return;
	exclusive->va = exclusive_address(v, access);
	exclusive->pstate = v->frame.pstate;
	exclusive->status = vcpu_register(v, access->s);
	exclusive_data(v, access, exclusive->data);
}

static void open_reservation(struct vcpu *v)
{
	struct exclusive *exclusive = &v->step.exclusive;
	const struct exclusive_access *access = &exclusive->access;
	u32 size = exclusive_size(access);
	ipa_t address;
	u64 fsc = exclusive_translate(v, exclusive->va, size, false, &address);

	/* Also where the store will be refused: one that just failed would be tried for ever. */
	exclusive->open = fsc == NO_FAULT || fsc == FSC_UNSUPPORTED_EXCLUSIVE;
	if (!exclusive->open)
		return;
	exclusive->address = address;
	exclusive->size = size;
	exclusive->loaded_va = exclusive->va;
	exclusive->pc = v->step.pc;
	/* Of what went to the zero register the guest knows nothing: then any later value does as well. */
	if (fsc == NO_FAULT &&
	    (access->t == ZERO_REGISTER || (access->pair && access->t2 == ZERO_REGISTER)))
		exclusive_read(address, size, exclusive->loaded);
	else
		exclusive_data(v, access, exclusive->loaded);
}

/* The store's fault: the instruction has not executed, whatever its step left. */
static void fault(struct vcpu *v, u64 status_code)
{
	const struct exclusive *exclusive = &v->step.exclusive;

	vcpu_set_register(v, exclusive->access.s, exclusive->status);
	v->frame.pc = v->step.pc;
	v->frame.pstate = exclusive->pstate;
	inject_store_abort(v, status_code, exclusive->va);
}

/* A store of less than was loaded is unpredictable; cores that look at the address alone let it succeed. */
static bool is_reserved(const struct exclusive *exclusive, ipa_t address, u32 size)
{
	return exclusive->address.raw == address.raw && size <= exclusive->size;
}

/* The store-exclusive has been stepped, and has failed. */
static bool store(struct vcpu *v)
{
	struct exclusive *exclusive = &v->step.exclusive;
	u32 size = exclusive_size(&exclusive->access);
	ipa_t address;
	u64 fsc;

	if (!exclusive->open || exclusive->va != exclusive->loaded_va)
		return true;
	fsc = exclusive_translate(v, exclusive->va, size, true, &address);
	if (fsc != NO_FAULT) {
		fault(v, fsc);
		return false;
	}
	if (is_reserved(exclusive, address, size) &&
	    exclusive_replace(address, size, exclusive->loaded, exclusive->data)) {
		vcpu_set_register(v, exclusive->access.s, 0);
		v->status->exclusives++;
		step_note_written(v, address);
	}
	return true;
}

bool exclusive_end(struct vcpu *v)
{
	struct step *step = &v->step;
	bool done = true;

	/* From the short way, which steps no exclusives. */
	if (step->late)
		step->exclusive.access = exclusive_decode(0, SV_INSTRUCTION_SET_A64, step->word);
	switch (step->exclusive.access.kind) {
	case EXCLUSIVE_NONE:
		break;
	case EXCLUSIVE_LOAD:
		if (v->frame.pc == step->pc + INSTRUCTION_SIZE)
			open_reservation(v);
		break;
	case EXCLUSIVE_STORE:
		if (v->frame.pc == step->pc + INSTRUCTION_SIZE)
			done = store(v);
		exclusive_clear(v);
		break;
	case EXCLUSIVE_CLEAR:
		exclusive_clear(v);
		break;
	}
	return done;
}
