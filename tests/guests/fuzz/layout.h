/* SPDX-License-Identifier: Apache-2.0 */
/* What C and assembly of the fuzzing guest agree on, and fuzz/layout.py reads. */
#ifndef FUZZ_LAYOUT_H
#define FUZZ_LAYOUT_H

#include "guest.h"

#define PAGE_SIZE 4096

/* Pages of a vCPU, in this order. */
#define PAGE_CODE 0  /* sites, at EL1 */
#define PAGE_TEXT 1  /* sites, and code that is rewritten */
#define PAGE_USER 2  /* sites, at EL0 */
#define PAGE_STACK 3 /* a site, and a stack */
#define PAGE_DATA 4  /* data before and behind a site */
#define DATA_PAGES 4
#define PAGE_LEVEL3 8 /* translation tables, each with a site in its upper half */
#define PAGE_LEVEL2 9
#define PAGE_ROOT 10
#define PAGE_A32 11 /* sites, at EL0 in AArch32 state */
#define PAGES 12

/* Where in a page of data or of tables its site is, and how much belongs to it. */
#define SITE_OFFSET 0x800
#define SITE_SPACE 64

/* In PAGE_TEXT: places of rewritten code. */
#define TEXT_START 0x400
#define TEXT_STRIDE 0x80
#define TEXT_PLACES 24

#define SITES 384	 /* of a vCPU at most */
#define SITE_LOOPS 1	 /* reached x3 times */
#define SITE_USER 2	 /* at EL0: takes a BRK */
#define SITE_REWRITTEN 4 /* may hold anything, and is not counted */
#define SITE_TABLE 8	 /* shares its page with translation tables */
#define SITE_STACK 16	 /* shares its page with a stack */
#define SITE_DATA 32	 /* shares its page with data */
#define SITE_PLAIN 64	 /* computes, loads or stores */
#define SITE_A32 128	 /* at EL0 in AArch32 state */
#define SITE_T32 256

#define COUNTERS 4   /* that all vCPUs add to */
#define MAX_WORDS 64 /* of an action that are kept for the trace */

#define REGS_SP 128
#define REGS_NZCV 136

/* An SVC that does nothing. */
#define SVC_RETURN 0xf

/* Pages of the window, by the vCPU's own tables. */
#define WINDOW UL(0x100000000)
#define WINDOW_PAGES 14 /* that are mapped at random; nothing behind them, then: */
#define WINDOW_TEXT 15
#define EL1_ALIAS UL(0x40000000)

#endif
