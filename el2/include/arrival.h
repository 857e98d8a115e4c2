/* SPDX-License-Identifier: Apache-2.0 */
/* Where a stepped instruction led, against where it may lead. */
#ifndef SV_ARRIVAL_H
#define SV_ARRIVAL_H

#include "vcpu.h"

enum arrival { ARRIVED_NEXT, ARRIVED_SYNC_VECTOR, ARRIVED_ASYNC_VECTOR, ARRIVED_ELSEWHERE };

/* Of the instruction in v->step, now that the guest's PC has moved. */
enum arrival arrival_of(const struct vcpu *v);

/* Counts the arrival of a displaced instruction in the vCPU's status. */
void arrival_count(struct vcpu *v, enum arrival arrival);

#endif
