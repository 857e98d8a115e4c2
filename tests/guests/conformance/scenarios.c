/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance.h"

void run_scenario(u64 number, const u64 *arguments, u64 *results)
{
	(void)number;
	(void)arguments;
	(void)results;
}
