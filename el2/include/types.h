/* SPDX-License-Identifier: Apache-2.0 */

#ifndef SV_TYPES_H
#define SV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reg_ul.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#endif /* SV_TYPES_H */
