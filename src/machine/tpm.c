/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm.c - see tpm.h. swtpm(8): it is given one end of two pairs of sockets, for commands and for
 * its control, and ends when the other ends are closed, so it does not outlive this process.
 */
#define _GNU_SOURCE
#include "machine/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "board/board.h"
#include "core/err.h"
#include "core/file.h"
#include "core/log.h"

enum { TPM_END_MS = 10000 };

struct tpm_process {
    pid_t pid;
    int pidfd;
    struct board_tpm ours; /* our ends */
    char *folder;
    bool forget; /* the folder goes at the end */
};

int tpm_default(const char *name, char **out, struct err *e)
{
    int rc = file_state(name, "tpm", out);

    if (rc == -ENOENT)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "there is no $HOME to keep the TPM's state in: say where by --tpm "
                        "2.0,state=FOLDER, or state=none");
    return rc < 0 ? err_set(e, -rc, "no memory for a folder's name") : 0;
}

/* Where swtpm is, by $PATH and where Debian has it. */
static bool tpm_program(char *out, size_t room)
{
    if (file_program("swtpm", out, room))
        return true;
    snprintf(out, room, "/usr/bin/swtpm");
    return access(out, X_OK) == 0;
}

bool tpm_available(void)
{
    char path[512];

    return tpm_program(path, sizeof(path));
}

/* The folder and all above it. */
static int tpm_make_folder(const char *path, struct err *e)
{
    struct stat st;
    size_t bad;
    int rc = file_folders(path, strlen(path), 0700, &bad);

    if (rc == 0 && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
        rc = -ENOTDIR;
    return rc < 0 ? err_set(e, -rc, "cannot make the folder %s for the TPM's state: %s", path,
                            strerror(-rc))
                  : 0;
}

static int tpm_folder(struct tpm_process *t, const char *state, struct err *e)
{
    char path[4096];
    int rc;

    t->forget = strcmp(state, "none") == 0;
    if (!t->forget) {
        t->folder = strdup(state);
        return t->folder ? tpm_make_folder(state, e) : err_set(e, ENOMEM, "no memory for a TPM");
    }
    rc = file_mktemp(file_tmp(), "hospes-tpm", path, sizeof(path));
    t->forget = rc == 0;
    if (rc < 0)
        return err_set(e, -rc, "cannot make a folder for the TPM's state in %s: %s", file_tmp(),
                       strerror(-rc));
    t->folder = strdup(path);
    if (t->folder)
        return 0;
    (void)rmdir(path);
    return err_set(e, ENOMEM, "no memory for a TPM");
}

/* In the child; only calls that are safe after fork(). */
static _Noreturn void tpm_exec(const char *program, char *const *words, pid_t parent)
{
    (void)setsid(); /* Ctrl-C is for the machine alone */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execv(program, words);
    _exit(127);
}

/* Their flags are changed here, so that no other program that is started meanwhile has them. */
static int tpm_spawn(struct tpm_process *t, int data, int ctrl, struct err *e)
{
    char program[512], state[4200], control[64], fd[16];
    char *words[] = {program, "socket", "--tpm2", "--tpmstate", state,    "--ctrl",
                     control, "--fd",   fd,       "--log",      "file=-", NULL};
    pid_t self = getpid();

    if (!tpm_program(program, sizeof(program)))
        return err_exit(e, EX_MISSING, ENOENT,
                        "there is no swtpm for the guest's TPM: install the package swtpm, or "
                        "start without one by --tpm none");
    if (strchr(t->folder, ',') || strlen(t->folder) > 4096)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s cannot hold a TPM's state: use a folder with a short name and no comma",
                        t->folder);
    snprintf(state, sizeof(state), "dir=%s", t->folder);
    snprintf(control, sizeof(control), "type=unixio,clientfd=%d", ctrl);
    snprintf(fd, sizeof(fd), "%d", data);
    t->pid = fork();
    if (t->pid == 0) {
        if (fcntl(data, F_SETFD, 0) == 0 && fcntl(ctrl, F_SETFD, 0) == 0)
            tpm_exec(program, words, self);
        _exit(127);
    }
    if (t->pid < 0)
        return err_set(e, errno, "cannot start swtpm: %s", strerror(errno));
    t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
    return 0;
}

int tpm_process_start(const char *state, struct board_tpm *sockets, struct tpm_process **out,
                      struct err *e)
{
    struct tpm_process *t = calloc(1, sizeof(*t));
    int data[2] = {-1, -1}, ctrl[2] = {-1, -1}, rc;

    if (!t)
        return err_set(e, ENOMEM, "no memory for a TPM");
    t->pidfd = t->ours.data = t->ours.ctrl = -1;
    rc = tpm_folder(t, state, e);
    if (rc == 0 && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data) < 0 ||
                    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctrl) < 0))
        rc = err_set(e, errno, "cannot make sockets for swtpm: %s", strerror(errno));
    t->ours = *sockets = (struct board_tpm){data[0], ctrl[0]};
    if (rc == 0)
        rc = tpm_spawn(t, data[1], ctrl[1], e);
    if (data[1] >= 0)
        close(data[1]);
    if (ctrl[1] >= 0)
        close(ctrl[1]);
    if (rc < 0) {
        tpm_process_end(t);
        return rc;
    }
    *out = t;
    return 0;
}

static void tpm_forget(const char *folder)
{
    static const char *const files[] = {"tpm2-00.permall", "tpm2-00.volatilestate", ".lock"};
    char path[4300];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    if (rmdir(folder) < 0)
        log_line(LOG_WARN, "tpm", "cannot remove %s: %s", folder, strerror(errno));
}

void tpm_process_end(struct tpm_process *t)
{
    struct pollfd gone;

    if (!t)
        return;
    if (t->ours.data >= 0)
        close(t->ours.data);
    if (t->ours.ctrl >= 0)
        close(t->ours.ctrl);
    gone = (struct pollfd){.fd = t->pidfd, .events = POLLIN};
    if (t->pidfd >= 0 && poll(&gone, 1, TPM_END_MS) == 0) {
        log_line(LOG_WARN, "tpm", "swtpm did not end by itself");
        kill(t->pid, SIGKILL);
    }
    if (t->pidfd >= 0)
        close(t->pidfd);
    if (t->forget && t->folder)
        tpm_forget(t->folder);
    free(t->folder);
    free(t);
}
