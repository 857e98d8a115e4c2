/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

struct cpu cpus[MAX_CPUS];
const u64 cpu_size = sizeof(struct cpu);

extern u8 recover[];

void exception(u64 vector, struct frame *frame);

struct cpu *this_cpu(void)
{
	return (struct cpu *)read_reg(tpidr_el1);
}

void __attribute__((weak)) on_irq(struct frame *frame)
{
	report(false, "interrupt at 0x%lx that nobody expects", frame->pc);
	finish();
}

bool __attribute__((weak)) on_exception(u64 vector, struct frame *frame)
{
	(void)vector;
	(void)frame;
	return false;
}

static void note_state(struct state *state, u64 vector, const struct frame *frame)
{
	for (u32 i = 0; i < 31; i++)
		state->x[i] = frame->x[i];
	state->sp = frame->sp;
	state->vector = vector;
	state->pc = frame->pc;
	state->pstate = frame->pstate;
	state->esr = frame->esr;
	state->far = frame->far;
}

static void leave(struct frame *frame)
{
	frame->pc = (u64)recover;
	frame->pstate = PSTATE_EL1H;
	frame->x[0] = 0;
}

void exception(u64 vector, struct frame *frame)
{
	struct cpu *cpu = this_cpu();

	if (on_exception(vector, frame))
		return;
	if (vector == VECTOR_IRQ_EL1 || vector == VECTOR_IRQ_EL0) {
		on_irq(frame);
		return;
	}
	if (!cpu->recover_sp) {
		report(false, "exception at vector 0x%lx: ESR 0x%lx PC 0x%lx FAR 0x%lx", vector,
		       frame->esr, frame->pc, frame->far);
		finish();
	}
	cpu->caught.count++;
	cpu->caught.vector = vector;
	cpu->caught.frame = *frame;
	if (cpu->state)
		note_state(cpu->state, vector, frame);
	leave(frame);
}

const struct caught *attempt(u64 (*function)(u64, u64), u64 a, u64 b, u64 *result)
{
	struct cpu *cpu = this_cpu();
	bool good;

	cpu->state = NULL;
	good = protect(function, a, b);
	if (good && result)
		*result = (u64)cpu->state;
	cpu->state = NULL;
	return good ? NULL : &cpu->caught;
}
