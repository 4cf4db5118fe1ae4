/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c - see sweep.h. A child holds the reading end of a pipe: it reads a byte when the folders
 * are to stay, and the end of the pipe when nobody is left who could write one.
 */
#define _GNU_SOURCE
#include "validation/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "validation/text.h"

/* In the child, which no key of the terminal reaches. */
static void sweep(int fd, const char *const path[], size_t n)
{
    char byte;
    ssize_t got;

    (void)setsid();
    signal(SIGTERM, SIG_IGN);
    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    for (size_t i = 0; got == 0 && i < n; i++)
        vtext_remove(path[i]);
    _exit(0);
}

int sweeper_begin(struct sweeper *s, const char *const path[], size_t n, struct err *e)
{
    int ends[2], code;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_exit(e, EX_HOST_IO, errno, "cannot make a pipe: %s", strerror(errno));
    pid = fork();
    code = errno;
    if (pid == 0) {
        close(ends[1]);
        sweep(ends[0], path, n);
    }
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return err_exit(e, EX_HOST_IO, code, "cannot start a process: %s", strerror(code));
    }
    *s = (struct sweeper){pid, ends[1]};
    return 0;
}

void sweeper_end(struct sweeper *s)
{
    if (!s->pid)
        return;
    (void)!write(s->pipe, "", 1);
    close(s->pipe);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    s->pid = 0;
}
