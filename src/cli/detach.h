/* SPDX-License-Identifier: Apache-2.0 */
/* detach.h - `run --detach`: the foreground process waits until the machine runs. */
#ifndef HOSPES_CLI_DETACH_H
#define HOSPES_CLI_DETACH_H

#include "core/core.h"
#include "core/err.h"

/* Before any thread exists. Returns 0 in the background process only; the foreground one ends here
 * with 0 when that calls detach_ready(), or with its error. */
MUST int detach_start(struct err *e);
/* Does nothing unless detached or in a software host. */
void detach_ready(void);
/* Hands the error to the foreground. false: not detached, print it yourself. */
bool detach_failed(const struct err *e);

#endif
