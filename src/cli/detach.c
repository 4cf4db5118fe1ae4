/* SPDX-License-Identifier: Apache-2.0 */
/* detach.c - see detach.h. The pipe carries one struct err, or nothing when all is well. */
#define _GNU_SOURCE
#include "cli/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

static int detach_pipe = -1;

static void detach_wait(int fd)
{
    struct err e;
    ssize_t n;

    do {
        n = read(fd, &e, sizeof(e));
    } while (n < 0 && errno == EINTR);
    if (n == 1)
        _exit(EX_OK);
    if (n != (ssize_t)sizeof(e))
        (void)err_exit(&e, EX_BUG, EPIPE, "the background process died before the guest ran");
    _exit(cli_fail(&e));
}

int detach_start(struct err *e)
{
    int fd[2], null;
    pid_t pid;

    if (pipe2(fd, O_CLOEXEC) < 0)
        return err_set(e, errno, "cannot make a pipe: %s", strerror(errno));
    pid = fork();
    if (pid < 0)
        return err_set(e, errno, "cannot go to the background: %s", strerror(errno));
    if (pid > 0) {
        close(fd[1]);
        detach_wait(fd[0]);
    }
    close(fd[0]);
    detach_pipe = fd[1];
    setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    return 0;
}

/* The outer hospes of a software host waits for this word. */
static void detach_tell_outside(void)
{
    const char *fd = getenv("HOSPES_READY_FD"), *inode = getenv("HOSPES_READY_INODE");
    struct stat st;

    /* A program between us may have closed it, and the number may be a file of ours by now. */
    if (fd && inode && fstat(atoi(fd), &st) == 0 && S_ISFIFO(st.st_mode) &&
        st.st_ino == strtoull(inode, NULL, 10)) {
        (void)!write(atoi(fd), "", 1);
        close(atoi(fd));
    }
    unsetenv("HOSPES_READY_FD");
    unsetenv("HOSPES_READY_INODE");
}

void detach_ready(void)
{
    int null;

    detach_tell_outside();
    if (detach_pipe < 0)
        return;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    (void)!write(detach_pipe, "", 1);
    close(detach_pipe);
    detach_pipe = -1;
}

bool detach_failed(const struct err *e)
{
    if (detach_pipe < 0)
        return false;
    (void)!write(detach_pipe, e, sizeof(*e));
    return true;
}
