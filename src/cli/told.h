/* SPDX-License-Identifier: Apache-2.0 */
/* told.h - requests to a machine that the guest answers later. */
#ifndef HOSPES_CLI_TOLD_H
#define HOSPES_CLI_TOLD_H

#include "cli/cli.h"

struct json_object;

struct told {
    bool json;
    unsigned timeout; /* seconds */
};

enum { TOLD_TIMEOUT_S = 30 };

/* set() of --json and --timeout, for options whose arg begins with a struct told. */
int told_json(void *arg, const char *value, struct err *e);
int told_timeout(void *arg, const char *value, struct err *e);

/* Sends the request (more is taken over) and waits for the guest's answer unless the machine says
 * that it is done; prints what the guest said. A refusal and no answer are errors, EX_HOST_IO. */
MUST int told_call(const struct told *t, const char *name, const char *word,
                   struct json_object *more, struct err *e);

#endif
