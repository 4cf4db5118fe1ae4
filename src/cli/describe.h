/* SPDX-License-Identifier: Apache-2.0 */
/* describe.h - files that describe machines, for every command that takes one. */
#ifndef HOSPES_CLI_DESCRIBE_H
#define HOSPES_CLI_DESCRIBE_H

#include "import/import.h"
#include "machine/plan.h"

/* Is the file a plan, or a description that an importer reads? */
bool describe_is(const char *path);

/* Reads either into p, which is initialised. A plan has no report. */
MUST int describe_read(const char *path, const struct import_wish *wish, struct plan *p,
                       struct import_report *r, struct err *e);

/* The report on standard output, one key a line, as text or JSON, in the order of the file. */
MUST int describe_report(const struct import_report *r, bool json, struct err *e);
/* The machine in a few lines of text: what the report's keys came to. */
void describe_machine(const struct plan *p);

/* What the machine expects and hospes cannot give: told one after another. old_tpm: what it says of
 * a TPM is about the one that it had. */
void describe_needs(const struct plan *p, bool old_tpm, void (*tell)(void *arg, const char *text),
                    void *arg);

#endif
