/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - the other end of the control socket: for the subcommands that talk to a machine.
 *
 * Calls block, with timeouts in milliseconds. One thread for each remote.
 */
#ifndef HOSPES_MACHINE_REMOTE_H
#define HOSPES_MACHINE_REMOTE_H

#include "core/core.h"

struct json_object;
struct remote;

/* Connects and reads the greeting. EX_MISSING when no machine of that name runs. A socket that
 * nobody serves any more is removed. */
MUST int remote_open(const char *name, struct remote **out, struct err *e);
void remote_close(struct remote *r); /* NULL is fine */
int remote_pid(const struct remote *r);

/* Sends {"do": word} with the members of more (taken over; may be NULL) and waits for the answer.
 * A refusal becomes the error, with the machine's words and exit code. answer may be NULL. */
MUST int remote_call(struct remote *r, const char *word, struct json_object *more, int timeout_ms,
                     struct json_object **answer, struct err *e);

/* One such call on a connection of its own. */
MUST int remote_ask(const char *name, const char *word, struct json_object *more, int timeout_ms,
                    struct json_object **answer, struct err *e);

/* The next event: 1, or 0 after timeout_ms (-1: no limit), or -errno; -ECONNRESET when the machine
 * has gone without a word. */
MUST int remote_event(struct remote *r, int timeout_ms, struct json_object **event, struct err *e);

/* After the request "console": the descriptor, and what was read of the console's bytes already
 * (valid until remote_close(), which closes the descriptor). */
int remote_stream(struct remote *r, const char **early, size_t *len);

/* A member of o as text or number; NULL or 0 when it is not there. */
const char *remote_text(struct json_object *o, const char *key);
uint64_t remote_number(struct json_object *o, const char *key);

#endif
