/* SPDX-License-Identifier: Apache-2.0 */
/*
 * programs.c - programs of this machine and the libraries that they need, for guests that have
 * neither. Document: ld.so(8), --list.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "validation/initrd.h"

enum { PROGRAM_SAID_MAX = 65536 };

static const char program_loader[] = "/lib64/ld-linux-x86-64.so.2";

bool program_find(const char *name, char out[V_PATH])
{
    static const char *const dirs[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};

    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        snprintf(out, V_PATH, "%s/%s", dirs[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

/* What the loader says; it ends otherwise than with 0 for a program that needs none. */
static int program_ask(const char *program, struct vbuf *said, int *status)
{
    char *argv[] = {(char *)program_loader, (char *)"--list", (char *)program, NULL};
    posix_spawn_file_actions_t act;
    char buf[4096];
    int fd[2], rc;
    ssize_t n;
    pid_t pid;

    if (pipe2(fd, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&act);
    posix_spawn_file_actions_adddup2(&act, fd[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&act, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    rc = -posix_spawn(&pid, program_loader, &act, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&act);
    close(fd[1]);
    while (rc == 0 && ((n = read(fd[0], buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))) {
        if (n > 0 && said->len < PROGRAM_SAID_MAX)
            vbuf_add(said, buf, (size_t)n);
    }
    close(fd[0]);
    while (rc == 0 && waitpid(pid, status, 0) < 0) {
        if (errno != EINTR)
            rc = -errno;
    }
    return rc;
}

int program_libraries(const char *program, char **path, size_t room, size_t *n, struct err *e)
{
    struct vbuf said = {0};
    char *word, *save = NULL;
    int status = 0, rc = program_ask(program, &said, &status);

    *n = 0;
    vbuf_add(&said, "", 1);
    if (rc < 0 || said.failed) {
        vbuf_free(&said);
        return err_exit(e, EX_HOST_IO, rc < 0 ? -rc : ENOMEM, "cannot find the libraries of %s: %s",
                        program, strerror(rc < 0 ? -rc : ENOMEM));
    }
    for (word = status == 0 ? strtok_r(said.data, " \t\n", &save) : NULL; word;
         word = strtok_r(NULL, " \t\n", &save)) {
        if (*word == '/' && *n < room && (path[*n] = strdup(word)))
            ++*n;
    }
    vbuf_free(&said);
    return 0;
}
