/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm.h - the process behind a machine's TPM: one swtpm, and the folder where its state is.
 *
 * Threads: the loop's, or before it runs.
 */
#ifndef HOSPES_MACHINE_TPM_H
#define HOSPES_MACHINE_TPM_H

#include "core/core.h"

struct board_tpm;
struct tpm_process;

/* Where the state of machine `name` is when nobody says: $XDG_STATE_HOME/hospes/NAME.tpm, else
 * ~/.local/state/hospes/NAME.tpm. malloc()ed. */
MUST int tpm_default(const char *name, char **out, struct err *e);
/* Is swtpm installed? */
bool tpm_available(void);
/* state: a folder, made when it is not there, or "none": a new one that is removed at the end. The
 * sockets last until tpm_process_end(). */
MUST int tpm_process_start(const char *state, struct board_tpm *sockets, struct tpm_process **out,
                           struct err *e);
/* Closes the sockets and waits for it to end. NULL is fine. */
void tpm_process_end(struct tpm_process *t);

#endif
