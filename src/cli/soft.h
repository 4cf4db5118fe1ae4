/* SPDX-License-Identifier: Apache-2.0 */
/* soft.h - `hospes run` on a machine without usable KVM: the same command in a software host. */
#ifndef HOSPES_CLI_SOFT_H
#define HOSPES_CLI_SOFT_H

#include "core/core.h"
#include "core/err.h"
#include "machine/plan.h"

/* Starts a software host for this one machine and runs the same command line (argv[0] is "run") in
 * it, with console, forwards and control socket passed through. p is checked, its name is set.
 * Calls detach_ready() when the guest runs. Returns the exit code, or -errno with e filled. */
MUST int soft_run(const struct plan *p, int argc, char *const *argv, struct err *e);

/* Runs a command (words[0] is its path, NULL at the end) in the software host that `hospes host`
 * keeps, which is started if need be. Returns its exit code, or -errno with e filled. */
MUST int soft_command(char *const *words, struct err *e);

#endif
