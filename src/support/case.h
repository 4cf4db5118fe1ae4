/* SPDX-License-Identifier: Apache-2.0 */
/*
 * case.h - what two vendors need to see of a machine that does not work, in one file that either
 * can read, and nothing else: no guest memory, no disk contents, no secrets.
 *
 * Every text goes through the redactor as it is added, and once more before it is written: what the
 * second look still finds is a fault, and nothing is written then. One thread.
 */
#ifndef HOSPES_SUPPORT_CASE_H
#define HOSPES_SUPPORT_CASE_H

#include "core/core.h"
#include "support/redact.h"

struct support_case;

/* key: NULL makes a new one; the same key gives the same false names. */
MUST int case_create(const uint8_t *key, struct support_case **out, struct err *e);
void case_free(struct support_case *c); /* NULL is fine */
/* Before anything is added: this host's name and the users of this process are hidden. */
MUST int case_hide_self(struct support_case *c, struct err *e);
struct redactor *case_redactor(struct support_case *c);

/* name as a bundle may hold it; about says in a few words what it is for. */
MUST int case_add(struct support_case *c, const char *name, const char *about, const char *text,
                  size_t len, struct err *e);
/* The whole lines in the last `most` bytes of a file of text, or of what comes through a pipe. */
MUST int case_add_file(struct support_case *c, const char *name, const char *about,
                       const char *path, size_t most, struct err *e);
/* System, kernel and its command line, processor, KVM's parameters, limits. */
MUST int case_add_host(struct support_case *c, struct err *e);

/* The i-th part, for a preview: false past the last. */
bool case_part(const struct support_case *c, size_t i, const char **name, const char **about,
               size_t *size);
/* A deterministic tar.zst with manifest.json, by rename. */
MUST int case_write(struct support_case *c, const char *path, struct err *e);
/* What the false names stand for, mode 0600: it is not for sending. */
MUST int case_write_map(const struct support_case *c, const char *path, struct err *e);

#endif
