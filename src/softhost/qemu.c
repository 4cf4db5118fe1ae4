/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu.c - starts and ends the QEMU process that is a software host.
 *
 * Its folder holds: initrd, console (what its kernel says), qemu.log, pid (while it runs, kept by
 * QEMU), swap (sparse), port1.. (unix sockets), port1.lock.. and lock. `tsc=reliable` gives its KVM
 * a stable clock. Nothing is emulated but what the host itself needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "softhost/image.h"
#include "softhost/softhost.h"
#include "softhost/wire.h"

enum {
    QEMU_ARGS = 160,
    QEMU_STOP_MS = 5000,
};
static const int64_t qemu_swap = 32 * (int64_t)GiB;
static const uint64_t qemu_memory_min = 1 * GiB, qemu_memory_max = 10 * GiB;

struct qemu_args {
    char *v[QEMU_ARGS + 1];
    size_t n;
    bool short_of_memory;
};

static void qemu_arg(struct qemu_args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void qemu_arg(struct qemu_args *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (a->n == QEMU_ARGS || vasprintf(&a->v[a->n], fmt, ap) < 0)
        a->short_of_memory = true;
    else
        a->v[++a->n] = NULL;
    va_end(ap);
}

static void qemu_arg2(struct qemu_args *a, const char *option, const char *value)
{
    qemu_arg(a, "%s", option);
    qemu_arg(a, "%s", value);
}

/* --- is it there? --- */

static int qemu_pid(const char *dir)
{
    char path[SOFTHOST_PATH + 16], line[4096];
    int pid = 0, found = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/pid", dir);
    f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%d", &pid) != 1)
        pid = 0;
    fclose(f);
    if (pid <= 0)
        return 0;
    /* Another process may have got the number since. */
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    f = fopen(path, "re");
    if (f) {
        size_t n = fread(line, 1, sizeof(line), f);

        found = memmem(line, n, "qemu-system", 11) ? pid : 0;
        fclose(f);
    }
    return found;
}

bool softhost_running(const char *dir)
{
    return qemu_pid(dir) != 0;
}

void softhost_stop(const char *dir)
{
    int pid = qemu_pid(dir);

    if (!pid)
        return;
    kill(pid, SIGTERM);
    for (int ms = 0; qemu_pid(dir) == pid; ms += 20) {
        if (ms == QEMU_STOP_MS)
            kill(pid, SIGKILL);
        else if (ms > 2 * QEMU_STOP_MS)
            break;
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
}

void softhost_remove(const char *dir)
{
    static const char *const files[] = {"console", "initrd", "lock", "pid", "qemu.log", "swap"};
    char path[SOFTHOST_PATH + 16];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    for (int i = 1; i <= WIRE_PORTS; i++) {
        snprintf(path, sizeof(path), "%s/port%d.lock", dir, i);
        unlink(path);
        path[strlen(path) - strlen(".lock")] = '\0';
        unlink(path);
    }
    rmdir(dir);
}

/* --- start --- */

static void qemu_devices(struct qemu_args *a, const struct softhost_cfg *c)
{
    char *net = NULL;
    size_t net_len = 0;
    FILE *f = open_memstream(&net, &net_len);

    qemu_arg(a, "-virtfs");
    qemu_arg(a, "local,path=/,mount_tag=root,security_model=%s,multidevs=remap",
             geteuid() == 0 ? "passthrough" : "none");
    if (f) {
        fprintf(f, "user,id=net0");
        for (size_t i = 0; i < c->forwards; i++) {
            const struct softhost_forward *w = &c->forward[i];

            fprintf(f, ",hostfwd=%s:%s:%u-127.0.0.1:%u", w->udp ? "udp" : "tcp", w->addr, w->port,
                    w->port);
        }
        fclose(f);
        qemu_arg2(a, "-netdev", net);
    }
    free(net);
    qemu_arg2(a, "-device", "virtio-net-pci,netdev=net0,romfile=");
    qemu_arg(a, "-drive");
    qemu_arg(a, "file=%s/swap,format=raw,if=none,id=swap,discard=unmap", c->dir);
    qemu_arg2(a, "-device", "virtio-blk-pci,drive=swap");
    qemu_arg2(a, "-device", "virtio-rng-pci");
    qemu_arg2(a, "-device", "virtio-balloon-pci,free-page-reporting=on");
    qemu_arg(a, "-device");
    qemu_arg(a, "virtio-serial-pci,max_ports=%d", WIRE_PORTS + 1);
    for (int i = 1; i <= WIRE_PORTS; i++) {
        qemu_arg(a, "-chardev");
        qemu_arg(a, "socket,id=port%d,path=%s/port%d,server=on,wait=off", i, c->dir, i);
        qemu_arg(a, "-device");
        qemu_arg(a, "virtserialport,chardev=port%d,nr=%d,name=hospes.%d", i, i, i);
    }
}

static void qemu_machine(struct qemu_args *a, const struct softhost_cfg *c,
                         const struct soft_kernel *k, const char *self)
{
    long page = sysconf(_SC_PAGESIZE);
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)page;
    uint64_t memory = c->memory ? c->memory : total / 2;

    memory = max_u64(min_u64(memory, c->memory ? memory : qemu_memory_max), qemu_memory_min);
    qemu_arg(a, "qemu-system-x86_64");
    qemu_arg2(a, "-accel", "tcg,thread=multi");
    /*
     * With erms Linux clears and copies pages byte by byte: slow stores where a page held code. In
     * QEMU's family 15 it looks for an AGP bridge in all slots of 256 buses, an exit for each.
     */
    qemu_arg2(a, "-cpu", "max,family=17,model=3,stepping=1,+svm,-erms,-fsrm");
    /* Inputs 20 and 2 of the I/O APIC: Linux takes none below 16 for a timer of /dev/hpet. */
    qemu_arg2(a, "-global", "hpet.hpet-intcap=0x100004");
    qemu_arg(a, "-smp");
    qemu_arg(a, "%u", c->cpus ? c->cpus : 1);
    qemu_arg(a, "-m");
    qemu_arg(a, "%" PRIu64 "M", memory / MiB);
    qemu_arg(a, "-nodefaults");
    qemu_arg(a, "-no-reboot");
    qemu_arg2(a, "-display", "none");
    qemu_arg2(a, "-kernel", k->image);
    qemu_arg(a, "-initrd");
    qemu_arg(a, "%s/initrd", c->dir);
    qemu_arg(a, "-append");
    qemu_arg(a,
             "console=ttyS0 quiet panic=-1 tsc=reliable clocksource=tsc mitigations=off nokaslr "
             "hospes.agent=%s hospes.idle=%u",
             self, c->idle);
    qemu_arg(a, "-serial");
    qemu_arg(a, "file:%s/console", c->dir);
    qemu_arg(a, "-pidfile");
    qemu_arg(a, "%s/pid", c->dir);
    qemu_arg(a, "-daemonize");
    qemu_devices(a, c);
}

/* What QEMU said last, for the error message. */
static void qemu_last_words(const char *path, char *out, size_t size)
{
    char line[512];
    FILE *f = fopen(path, "re");

    snprintf(out, size, "it said nothing");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(out, size, "%s", line);
    }
    if (f)
        fclose(f);
}

static int qemu_spawn(const struct softhost_cfg *c, struct qemu_args *a, struct err *e)
{
    char path[SOFTHOST_PATH + 16], words[512];
    int status, log;
    pid_t pid;

    snprintf(path, sizeof(path), "%s/qemu.log", c->dir);
    log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log < 0)
        return err_set(e, errno, "cannot write %s: %s", path, strerror(errno));
    pid = fork();
    if (pid == 0) {
        /* Not a part of the caller's session: Ctrl-C there is for the command, not for the host. */
        setsid();
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        /* It outlives the command: a lock or a pipe of the caller's must not live as long. */
        (void)close_range(STDERR_FILENO + 1, ~0U, 0);
        execvp(a->v[0], a->v);
        _exit(127);
    }
    close(log);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return err_set(e, errno, "cannot start QEMU: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_exit(e, EX_NO_HOST, ENOENT,
                        "the software host needs qemu-system-x86_64: install qemu-system-x86");
    qemu_last_words(path, words, sizeof(words));
    return err_exit(e, EX_NO_HOST, EIO, "the software host does not start: %s", words);
}

/* Takes no room until it is used. */
static int qemu_make_swap(const struct softhost_cfg *c, struct err *e)
{
    char path[SOFTHOST_PATH + 16];
    int fd, rc = 0;

    snprintf(path, sizeof(path), "%s/swap", c->dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, qemu_swap) < 0)
        rc = err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

static int qemu_start_locked(const struct softhost_cfg *c, struct err *e)
{
    char path[SOFTHOST_PATH + 16], self[PATH_MAX];
    struct qemu_args a = {.n = 0};
    struct soft_kernel k;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int rc = soft_kernel_find(c->kernel, &k, e);

    if (rc < 0)
        return rc;
    self[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof(path), "%s/initrd", c->dir);
    rc = soft_image_write(&k, path, e);
    if (rc < 0)
        return rc;
    rc = qemu_make_swap(c, e);
    if (rc < 0)
        return rc;
    qemu_machine(&a, c, &k, self);
    if (a.short_of_memory)
        rc = err_set(e, ENOMEM, "no memory for QEMU's arguments");
    else
        rc = qemu_spawn(c, &a, e);
    for (size_t i = 0; i < a.n; i++)
        free(a.v[i]);
    return rc;
}

int softhost_start(const struct softhost_cfg *c, struct err *e)
{
    char path[SOFTHOST_PATH + 16];
    int lock, rc = 0;

    if (c->dir[0] != '/' || strlen(c->dir) > 80 || strchr(c->dir, ','))
        return err_set(e, EINVAL,
                       "%s cannot hold a software host: give an absolute path of at most 80 "
                       "characters without commas",
                       c->dir);
    if (mkdir(c->dir, 0700) < 0 && errno != EEXIST)
        return err_set(e, errno, "cannot make %s: %s", c->dir, strerror(errno));
    snprintf(path, sizeof(path), "%s/lock", c->dir);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        rc = err_set(e, errno, "cannot lock %s: %s", path, strerror(errno));
        if (lock >= 0)
            close(lock);
        return rc;
    }
    if (!softhost_running(c->dir))
        rc = qemu_start_locked(c, e);
    close(lock);
    return rc;
}
