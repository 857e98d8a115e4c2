/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SV_ABORT_H
#define SV_ABORT_H

#include "types.h"

/* What a load of `size` bytes leaves in its register: sign-extended to 32 or 64 bits, or zero-extended. */
u64 abort_extend(u64 value, u64 size, u64 esr);

#endif
