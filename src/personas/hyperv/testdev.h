/* SPDX-License-Identifier: Apache-2.0 */
/* testdev.h - the test device for SynIC that kvm-unit-tests drives; see testdev.c. */
#ifndef HOSPES_PERSONAS_HYPERV_TESTDEV_H
#define HOSPES_PERSONAS_HYPERV_TESTDEV_H

#include "abi/hyperv.h"
#include "board/device.h"
#include "host/host.h"

struct synic;
struct hvtest;

MUST int hvtest_create(const struct env *env, struct host *h, struct synic *s, struct hvtest **out,
                       struct err *e);
void hvtest_destroy(struct hvtest *t); /* NULL is fine */
/* As after power-on; vCPUs are stopped. */
void hvtest_reset(struct hvtest *t);
/* On a vCPU's thread. true: the hypercall named a connection of this device and *status says how
 * it went. */
bool hvtest_hypercall(struct hvtest *t, const struct hcall *h, enum hv_status *status);

#endif
