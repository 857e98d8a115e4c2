/* SPDX-License-Identifier: Apache-2.0 */
/* Structure offsets for the assembler, extracted from this file's compiled form. */
#include "asm_offset.h"
#include "hot.h"
#include "vcpu.h"

void asm_offsets(void);
void asm_offsets(void)
{
	ASM_OFFSET(FRAME_X, offsetof(struct frame, x));
	ASM_OFFSET(FRAME_PC, offsetof(struct frame, pc));
	ASM_OFFSET(FRAME_SIZE, sizeof(struct frame));
	ASM_OFFSET(HOT_PC, HOT_PC);
	ASM_OFFSET(HOT_LANDED, HOT_LANDED);
	ASM_OFFSET(HOT_WITH_ALL, HOT_WITH_ALL);
	ASM_OFFSET(HOT_FRAME, HOT_FRAME);
	ASM_OFFSET(HOT_PSTATE, HOT_PSTATE);
	ASM_OFFSET(VCPU_RESUME, offsetof(struct vcpu, resume_context));
}
