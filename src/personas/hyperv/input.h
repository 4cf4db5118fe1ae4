/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - the synthetic keyboard and mouse. */
#ifndef HOSPES_PERSONAS_HYPERV_INPUT_H
#define HOSPES_PERSONAS_HYPERV_INPUT_H

#include "vmbus.h"

struct hub;
struct input;

/* hub may be NULL: nobody types. It must outlive the input. */
MUST int input_create(struct vmbus *b, struct hub *hub, struct input **out, struct err *e);
void input_destroy(struct input *i); /* NULL is fine; the bus still stands */

#endif
