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

/* Runs a command (words[0] is its path, NULL at the end) in a software host that no other such call
 * uses meanwhile; it is started if need be and stays for a while. The command writes to `out`;
 * input and errors are ours. Returns its exit code, or -errno with e filled (EPIPE: the host died).
 */
MUST int soft_command(char *const *words, int out, struct err *e);

#endif
