/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.c - see sandbox.h; seccomp(2), with filters that tools/mksandbox.c makes by libseccomp.
 */
#define _GNU_SOURCE
#include "host/sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/err.h"
#include "sandbox_filters.h"

static enum sandbox_mode sandbox_mode;
static void (*sandbox_before_end)(void);

int sandbox_parse(const char *text, enum sandbox_mode *out)
{
    static const char *const names[] = {"off", "on", "strict"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum sandbox_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* --- a forbidden call --- */

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n);
    return at + n;
}

static char *put_number(char *at, unsigned n)
{
    char digits[12];
    size_t i = sizeof(digits);

    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    memcpy(at, digits + i, sizeof(digits) - i);
    return at + sizeof(digits) - i;
}

/* Nothing here takes a lock or memory: it may have been malloc() that called. */
static void sandbox_on_call(int sig, siginfo_t *si, void *context)
{
    char line[256], name[16] = "?", *at = line;

    (void)sig;
    (void)context;
    (void)prctl(PR_GET_NAME, name, 0, 0, 0);
    if (sandbox_before_end)
        sandbox_before_end();
    at = put_text(at, "hospes: thread ");
    at = put_text(at, name);
    at = put_text(at, " made system call ");
    at = put_number(at, (unsigned)si->si_syscall);
    at = put_text(at, ", which its sandbox forbids, so the machine was ended: report this, and use "
                      "--sandbox off until it is solved\n");
    (void)!write(STDERR_FILENO, line, (size_t)(at - line));
    _exit(EX_BUG);
}

/* --- life --- */

bool sandbox_there(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int sandbox_open(enum sandbox_mode mode, void (*before_end)(void), struct err *e)
{
    struct sigaction sa = {.sa_sigaction = sandbox_on_call, .sa_flags = SA_SIGINFO};

    sandbox_mode = mode;
    sandbox_before_end = before_end;
    if (mode == SANDBOX_OFF)
        return 0;
    sigemptyset(&sa.sa_mask);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sigaction(SIGSYS, &sa, NULL) < 0)
        return err_exit(e, EX_NO_HOST, errno,
                        "this host has no sandbox for the machine: %s; use --sandbox off",
                        strerror(errno));
    return 0;
}

static int sandbox_load(const struct sock_filter *code, size_t n)
{
    /* The kernel only reads it. */
    struct sock_fprog p = {.len = (unsigned short)n,
                           .filter = (struct sock_filter *)(uintptr_t)code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) < 0 ? -errno : 0;
}

int sandbox_enter(enum sandbox_thread kind, struct err *e)
{
    int rc = 0;

    if (sandbox_mode == SANDBOX_OFF || (kind == SANDBOX_VCPU && sandbox_mode != SANDBOX_STRICT))
        return 0;
    if (kind == SANDBOX_LOOP)
        rc = sandbox_load(sandbox_terminal, ARRAY_SIZE(sandbox_terminal));
    if (rc == 0 && kind == SANDBOX_LOOP)
        rc = sandbox_load(sandbox_loop, ARRAY_SIZE(sandbox_loop));
    else if (rc == 0)
        rc = sandbox_load(sandbox_vcpu, ARRAY_SIZE(sandbox_vcpu));
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc,
                        "this host does not hold a machine to a sandbox: %s; use --sandbox off",
                        strerror(-rc));
    return 0;
}
