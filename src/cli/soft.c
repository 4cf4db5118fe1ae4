/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soft.c - see soft.h; and `hospes host` and `hospes soft-agent`, which are the two ends of a
 * software host.
 *
 * File locks do not cross 9p, so the locks of the guest's disks are held out here as well.
 */
#define _GNU_SOURCE
#include "cli/soft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/varstore.h"
#include "cli/commands.h"
#include "cli/detach.h"
#include "core/cfg.h"
#include "host/probe.h"
#include "machine/runtime.h"
#include "net/forward.h"
#include "softhost/softhost.h"
#include "storage/lock.h"

/* Inside, where sockets of machines are: a folder in memory, because 9p carries no sockets. */
#define SOFT_RUNTIME "/run/hospes"

static const uint64_t soft_own_memory = 768 * MiB;

enum {
    SOFT_RUN_IDLE = 20, /* seconds */
    SOFT_HOST_IDLE = 600,
    SOFT_ALONE_MAX = 64, /* commands at a time that want a software host of their own */
};

/* --- what a plan needs from outside --- */

static int soft_forward(struct softhost_cfg *c, const char *text, struct err *e)
{
    struct softhost_forward *out = &c->forward[c->forwards];
    struct forward f;
    int rc = forward_parse(text, &f, e);

    if (rc < 0)
        return rc;
    if (f.host.sa.sa_family != AF_INET)
        return err_exit(e, EX_NO_HOST, ENOTSUP,
                        "a software host forwards IPv4 ports only: write %s with an IPv4 address",
                        text);
    if (c->forwards == SOFTHOST_FORWARDS)
        return err_exit(e, EX_NO_HOST, E2BIG, "a software host forwards at most %d ports",
                        SOFTHOST_FORWARDS);
    out->udp = f.udp;
    out->port = ntohs(f.host.in.sin_port);
    if (f.host.in.sin_addr.s_addr != INADDR_ANY)
        inet_ntop(AF_INET, &f.host.in.sin_addr, out->addr, sizeof(out->addr));
    c->forwards++;
    return 0;
}

static int soft_nic(struct softhost_cfg *c, const char *backend, struct err *e)
{
    struct cfg *words;
    const char *key, *value;
    int rc;

    if (strncmp(backend, "tap", 3) == 0 || strncmp(backend, "socket", 6) == 0)
        return err_exit(e, EX_NO_HOST, ENOTSUP,
                        "--nic %s cannot leave a software host: use --nic user, or a machine with "
                        "KVM",
                        backend);
    rc = cfg_create(&words, e);
    if (rc < 0)
        return rc;
    rc = cfg_parse(words, backend, "backend", e);
    for (size_t i = 0; rc == 0 && cfg_at(words, i, &key, &value); i++) {
        if (strcmp(key, "forward") == 0)
            rc = soft_forward(c, value, e);
    }
    cfg_destroy(words);
    return rc;
}

static int soft_display(struct softhost_cfg *c, const char *display, struct err *e)
{
    char text[128];
    const char *colon;

    if (!display || strncmp(display, "vnc=", 4) != 0)
        return 0;
    colon = strrchr(display, ':');
    if (!colon)
        return 0; /* the display itself says what is wrong with it */
    snprintf(text, sizeof(text), "tcp:%s-%s", display + 4, colon);
    return soft_forward(c, text, e);
}

static int soft_needs(const struct plan *p, struct softhost_cfg *c, struct err *e)
{
    uint64_t have = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    int rc = 0;

    if (p->memory + soft_own_memory > have)
        return err_exit(e, EX_NO_HOST, ENOMEM,
                        "the guest's memory and %" PRIu64 " MiB for the software host are more "
                        "than this machine's %" PRIu64 " MiB: give the guest less",
                        (uint64_t)(soft_own_memory / MiB), have / MiB);
    c->memory = p->memory + soft_own_memory;
    if (p->serial && (strncmp(p->serial, "unix=", 5) == 0 || strncmp(p->serial, "pty", 3) == 0))
        return err_exit(e, EX_NO_HOST, ENOTSUP,
                        "--serial %s cannot leave a software host: use stdio, or hospes console",
                        p->serial);
    for (size_t i = 0; rc == 0 && i < p->nics; i++)
        rc = soft_nic(c, p->nic[i].backend, e);
    return rc < 0 ? rc : soft_display(c, p->display, e);
}

/* The descriptors stay open until the process ends. */
static int soft_locks(const struct plan *p, struct err *e)
{
    for (size_t i = 0; i < p->disks; i++) {
        bool write = p->disk[i].write == PLAN_WRITE;
        struct stat st;
        int fd =
            !p->disk[i].path ? -1 : open(p->disk[i].path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        int rc;

        /* What cannot be opened, or is no file, is for the storage layer inside to explain. */
        if (fd < 0)
            continue;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
            close(fd);
            continue;
        }
        rc = lock_take(fd, write, p->disk[i].path, e);
        if (rc < 0)
            return rc;
    }
    if (plan_uefi(p) && p->nvram && strcmp(p->nvram, "none") != 0) {
        int fd;

        return varstore_lock(p->nvram, &fd, e);
    }
    return 0;
}

/* --- run --- */

/* The words of the inner command: the same, except for what must differ. In the folder and with the
 * environment of this process. */
static char **soft_words(const struct plan *p, int argc, char *const *argv)
{
    char **out = calloc((size_t)argc + 12, sizeof(*out)), self[SOFTHOST_PATH];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    size_t n = 0;
    int i = 1;

    if (!out)
        return NULL;
    self[len > 0 ? len : 0] = '\0';
    out[n++] = strdup(self);
    out[n++] = strdup("run");
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--detach") != 0)
            out[n++] = strdup(argv[i]);
    }
    out[n++] = strdup("--host=kvm");
    if (asprintf(&out[n], "--name=%s", p->name) >= 0)
        n++;
    if (asprintf(&out[n], "--serial=%s", p->serial) >= 0)
        n++;
    /* What was decided here is not decided again where that takes longer. */
    if (p->persona_why &&
        asprintf(&out[n], "--persona=%s%s%s", p->persona, p->persona_opts ? "," : "",
                 p->persona_opts ? p->persona_opts : "") >= 0)
        n++;
    if (p->persona_why && p->firmware &&
        asprintf(&out[n], "--firmware=%s%s%s", p->firmware, p->firmware_opts ? "," : "",
                 p->firmware_opts ? p->firmware_opts : "") >= 0)
        n++;
    if (p->nvram && asprintf(&out[n], "--nvram=%s", p->nvram) >= 0)
        n++;
    if (plan_tpm(p) && asprintf(&out[n], "--tpm=2.0,state=%s", p->tpm_state) >= 0)
        n++;
    for (; i < argc; i++)
        out[n++] = strdup(argv[i]);
    for (size_t j = 0; j < n; j++) {
        if (!out[j])
            n = 0;
    }
    if (n == 0)
        return NULL;
    return out;
}

static void soft_on_ready(void *arg)
{
    detach_ready();
}

static int soft_run_in(const struct softhost_cfg *c, const struct plan *p, char **words,
                       struct err *e)
{
    char relay[RUNTIME_PATH_MAX], relay_to[RUNTIME_PATH_MAX];
    struct softhost_command cmd = {.argv = words,
                                   .in = STDIN_FILENO,
                                   .out = STDOUT_FILENO,
                                   .err = STDERR_FILENO,
                                   .ready = soft_on_ready,
                                   .relay = relay,
                                   .relay_to = relay_to};
    int code = 0, rc = runtime_socket(p->name, true, relay, e);

    if (rc < 0)
        return rc;
    snprintf(relay_to, sizeof(relay_to), SOFT_RUNTIME "/%s.sock", p->name);
    setenv("HOSPES_RUNTIME", SOFT_RUNTIME, 1);
    setenv("HOSPES_HOST", "kvm", 1);
    setenv("TMPDIR", "/var/tmp", 1); /* in memory and on swap inside; see softhost/image.c */
    rc = softhost_start(c, e);
    if (rc == 0)
        rc = softhost_exec(c->dir, &cmd, &code, e);
    softhost_stop(c->dir);
    return rc < 0 ? rc : code;
}

int soft_run(const struct plan *p, int argc, char *const *argv, struct err *e)
{
    char runtime[RUNTIME_PATH_MAX], dir[RUNTIME_PATH_MAX + RUNTIME_NAME_MAX + 8];
    struct softhost_cfg c = {.dir = dir, .idle = SOFT_RUN_IDLE};
    char console[sizeof(dir) + 16], **words;
    int rc = runtime_check_name(p->name, e);

    if (rc == 0)
        rc = runtime_dir(true, runtime, e);
    if (rc == 0)
        rc = soft_needs(p, &c, e);
    if (rc == 0)
        rc = soft_locks(p, e);
    if (rc < 0)
        return rc;
    snprintf(dir, sizeof(dir), "%s/%s.soft", runtime, p->name);
    if (softhost_running(dir))
        return err_exit(e, EX_IN_USE, EBUSY, "a machine named %s runs already: choose another name",
                        p->name);
    words = soft_words(p, argc, argv);
    if (!words)
        return err_set(e, ENOMEM, "no memory for the command of the software host");
    rc = soft_run_in(&c, p, words, e);
    snprintf(console, sizeof(console), "%s/console", dir);
    if (rc >= 0 || access(console, F_OK) < 0) /* else it may say why */
        softhost_remove(dir);
    for (size_t i = 0; words[i]; i++)
        free(words[i]);
    free(words);
    return rc;
}

/* --- hospes host --- */

struct soft_host {
    struct softhost_cfg cfg;
    char dir[SOFTHOST_PATH];
    char *kernel;
    bool stop;
};

static int soft_host_dir(void *arg, const char *value, struct err *e)
{
    struct soft_host *h = arg;

    snprintf(h->dir, sizeof(h->dir), "%s", value);
    return 0;
}

static int soft_host_kernel(void *arg, const char *value, struct err *e)
{
    struct soft_host *h = arg;

    free(h->kernel);
    h->kernel = strdup(value);
    return h->kernel ? 0 : err_set(e, ENOMEM, "no memory for an option");
}

static int soft_host_cpus(void *arg, const char *value, struct err *e)
{
    struct soft_host *h = arg;
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*end || n < 1 || n > SOFTHOST_CPUS)
        return err_exit(e, EX_USAGE_, EINVAL, "--cpus %s: give a number from 1 to %d", value,
                        SOFTHOST_CPUS);
    h->cfg.cpus = (unsigned)n;
    return 0;
}

static int soft_host_stop(void *arg, const char *value, struct err *e)
{
    ((struct soft_host *)arg)->stop = true;
    return 0;
}

static const struct cli_option soft_host_options[] = {
    {"dir", "DIR", "folder of the software host (default softhost in the runtime folder)",
     soft_host_dir},
    {"kernel", "DIR", "its kernel: a folder with vmlinuz and lib/modules", soft_host_kernel},
    {"cpus", "N", "its processors (default 1: more are less reliable)", soft_host_cpus},
    {"stop", NULL, "end the software host of DIR, or without --dir all of them", soft_host_stop},
    {NULL},
};

static int soft_host_command(struct soft_host *h, char *const *words, int out, struct err *e)
{
    struct softhost_command cmd = {
        .argv = words, .in = STDIN_FILENO, .out = out, .err = STDERR_FILENO};
    int code = 0, rc;

    h->cfg.dir = h->dir;
    h->cfg.kernel = h->kernel;
    h->cfg.idle = SOFT_HOST_IDLE;
    setenv("HOSPES_RUNTIME", SOFT_RUNTIME, 1);
    setenv("HOSPES_HOST", "kvm", 1);
    rc = softhost_start(&h->cfg, e);
    if (rc == 0)
        rc = softhost_exec(h->dir, &cmd, &code, e);
    return rc < 0 ? rc : code;
}

static int soft_host_default(struct soft_host *h, struct err *e)
{
    char runtime[RUNTIME_PATH_MAX];
    int rc = runtime_dir(true, runtime, e);

    snprintf(h->dir, sizeof(h->dir), "%s/softhost", rc == 0 ? runtime : "");
    return rc;
}

static void soft_alone_dir(char out[SOFTHOST_PATH], const char *runtime, int number)
{
    snprintf(out, SOFTHOST_PATH, "%s/soft-%d", runtime, number);
}

/* The first software host that no other command has for itself; *lock keeps it so. */
static int soft_alone(struct soft_host *h, int *lock, struct err *e)
{
    char runtime[RUNTIME_PATH_MAX];
    int rc = runtime_dir(true, runtime, e);

    for (int i = 1; rc == 0 && i <= SOFT_ALONE_MAX; i++) {
        soft_alone_dir(h->dir, runtime, i);
        if (mkdir(h->dir, 0700) < 0 && errno != EEXIST)
            return err_exit(e, EX_HOST_IO, errno, "cannot make %s: %s", h->dir, strerror(errno));
        *lock = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*lock < 0)
            return err_exit(e, EX_HOST_IO, errno, "cannot open %s: %s", h->dir, strerror(errno));
        if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
            return 0;
        close(*lock);
        *lock = -1;
    }
    return rc < 0 ? rc
                  : err_exit(e, EX_IN_USE, EBUSY,
                             "%d software hosts are in use already: wait for one to end",
                             SOFT_ALONE_MAX);
}

int soft_command(char *const *words, int out, struct err *e)
{
    struct soft_host h = {.stop = false};
    const char *was = getenv("HOSPES_RUNTIME");
    char *outer = was ? strdup(was) : NULL;
    int lock = -1, rc = soft_alone(&h, &lock, e);

    if (rc == 0)
        rc = soft_host_command(&h, words, out, e);
    if (lock >= 0)
        close(lock);
    /* The next call looks for its software host where this one did. */
    if (outer)
        setenv("HOSPES_RUNTIME", outer, 1);
    else
        unsetenv("HOSPES_RUNTIME");
    free(outer);
    return rc;
}

/* The one in the folder that was named, or all that commands have started. */
static int soft_host_stop_them(struct soft_host *h, struct err *e)
{
    char runtime[RUNTIME_PATH_MAX];
    int rc;

    if (h->dir[0]) {
        softhost_stop(h->dir);
        return 0;
    }
    rc = runtime_dir(true, runtime, e);
    if (rc == 0)
        rc = soft_host_default(h, e);
    if (rc == 0)
        softhost_stop(h->dir);
    for (int i = 1; rc == 0 && i <= SOFT_ALONE_MAX; i++) {
        soft_alone_dir(h->dir, runtime, i);
        softhost_stop(h->dir);
    }
    return rc;
}

/* Here if KVM will do, else there. */
static int soft_host_or_here(struct soft_host *h, char **words, struct err *e)
{
    struct host_probe probe;

    host_probe(&probe);
    if (!probe.usable)
        return soft_host_command(h, words, STDOUT_FILENO, e);
    execvp(words[0], words);
    return err_set(e, errno, "cannot run %s: %s", words[0], strerror(errno));
}

static int soft_host_main(int argc, char **argv)
{
    struct soft_host h = {.stop = false};
    struct err e = {0};
    int n, rc = cli_parse(&cli_host, argc, argv, &h, &n, &e);

    if (rc > 0)
        return EX_OK;
    argv[n + 1] = NULL;
    if (rc == 0 && h.stop) {
        rc = soft_host_stop_them(&h, &e);
    } else if (rc == 0) {
        if (!h.dir[0])
            rc = soft_host_default(&h, &e);
        if (rc == 0 && n == 0)
            rc = err_exit(&e, EX_USAGE_, EINVAL, "host wants a command: hospes host -- COMMAND");
        if (rc == 0)
            rc = soft_host_or_here(&h, argv + 1, &e);
    }
    free(h.kernel);
    return rc < 0 ? cli_fail(&e) : rc;
}

const struct cli_command cli_host = {
    .name = "host",
    .args = "[OPTION...] -- COMMAND [ARGUMENT...]",
    .about = "Runs a command where KVM is usable.",
    .more = "That is this machine if its KVM runs guests at speed, else a software host: a Linux\n"
            "in QEMU's emulation of a processor with SVM, which sees this machine's files. It\n"
            "stays for ten minutes after the last command. Exit code: that of the command.",
    .options = soft_host_options,
    .run = soft_host_main,
};

/* soft-agent IDLE, or soft-agent connect PATH: for the inside; in no list. */
int soft_agent_main(int argc, char **argv)
{
    struct err e = {0};
    int rc, pulse;

    if (argc == 3 && strcmp(argv[1], "connect") == 0) {
        rc = softhost_connect(argv[2], &e);
        return rc < 0 ? cli_fail(&e) : EX_OK;
    }
    pulse = softhost_pulse(&e);
    if (pulse < 0) /* said to the console file; it is a host all the same */
        fprintf(stderr, "hospes: %s\n", e.msg);
    rc = softhost_agent(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, &e);
    if (pulse >= 0)
        close(pulse);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}
