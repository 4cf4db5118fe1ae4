/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_process.c - machines that are processes: hospes itself by its own command line, and QEMU for
 * control runs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "machine/remote.h"
#include "validation/text.h"
#include "validation/vm.h"

enum { VM_WORDS = 80, VM_ASK_MS = 10000, VM_WHY_MAX = 65536, VM_PATIENCE_MS = 10000 };

struct vm {
    pid_t pid;
    int in, out; /* its standard input and output */
    char name[80], said[V_PATH];
};

struct words {
    char *word[VM_WORDS];
    size_t n;
    bool failed;
};

static void add(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct words *w, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (!text || w->n == VM_WORDS - 1) {
        w->failed = true;
        free(text);
        return;
    }
    w->word[w->n++] = text;
}

static void words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->word[i]);
}

/* The words of --disk; cfg.h wants commas doubled. */
static void disk_words(struct vbuf *b, const char *path, const char *rest)
{
    for (; *path; path++)
        vbuf_add(b, *path == ',' ? ",," : path, *path == ',' ? 2 : 1);
    vbuf_add(b, rest, strlen(rest) + 1);
}

static void add_disk(struct words *w, const char *path, const char *rest)
{
    struct vbuf b = {0};

    disk_words(&b, path, rest);
    add(w, "--disk=%s", b.failed ? "" : b.data);
    vbuf_free(&b);
}

static void hospes_words(const struct vm_spec *s, struct words *w)
{
    char rest[64];

    add(w, "%s", s->program);
    add(w, "run");
    add(w, "--host=kvm");
    add(w, "--name=%s", s->name);
    add(w, "--persona=%s", s->persona);
    add(w, "--cpus=%u", s->cpus);
    add(w, "--memory=%llu", (unsigned long long)s->memory);
    if (s->kernel)
        add(w, "--kernel=%s", s->kernel);
    if (s->initrd)
        add(w, "--initrd=%s", s->initrd);
    if (s->kernel && s->append)
        add(w, "--append=%s", s->append);
    if (s->firmware)
        add(w, "--firmware=%s", s->firmware);
    if (s->image)
        add_disk(w, s->image, ",snapshot");
    if (s->disk) {
        snprintf(rest, sizeof(rest), ",format=%s,write", s->disk_format);
        add_disk(w, s->disk, rest);
    }
    for (size_t i = 0; i < s->nics; i++)
        add(w, "--nic=%s", s->nic[i]);
    if (s->nics == 0)
        add(w, "--nic=none");
    add(w, "--serial=stdio");
}

static void qemu_words(const struct vm_spec *s, struct words *w)
{
    static const char *const fixed[] = {
        "-accel",  "kvm",   "-cpu",    "host",        "-nodefaults", "-display",          "none",
        "-serial", "stdio", "-device", "pvpanic-pci", "-action",     "panic=exit-failure"};

    add(w, "%s", s->program);
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        add(w, "%s", fixed[i]);
    add(w, "-smp");
    add(w, "%u", s->cpus);
    add(w, "-m");
    add(w, "%llu", (unsigned long long)(s->memory / MiB));
    if (s->kernel) {
        add(w, "-kernel");
        add(w, "%s", s->kernel);
        add(w, "-append");
        add(w, "%s", s->append ? s->append : "");
    }
    if (s->initrd) {
        add(w, "-initrd");
        add(w, "%s", s->initrd);
    }
    if (s->disk) {
        add(w, "-drive");
        add(w, "file=%s,format=%s,if=virtio", s->disk, s->disk_format);
    }
    for (size_t i = 0; i < s->nics; i++) {
        add(w, "-nic");
        add(w, "user,model=virtio-net-pci");
    }
}

/* --- the process --- */

/* In the child. Only calls that are safe after fork(). */
static void vm_child(const struct words *w, int in, int out, int said)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0)
        _exit(127);
    execvp(w->word[0], w->word);
    _exit(127);
}

static int vm_fork(struct vm *v, const struct words *w, const char *work, struct err *e)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, said, rc = 0;

    said = open(v->said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (said < 0 || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
        rc = err_exit(e, EX_HOST_IO, errno, "cannot start a machine: %s", strerror(errno));
        goto out;
    }
    setenv("HOSPES_RUNTIME", work, 1); /* one runner, one folder at a time */
    v->pid = fork();
    if (v->pid == 0)
        vm_child(w, in[0], out[1], said);
    if (v->pid < 0)
        rc = err_exit(e, EX_HOST_IO, errno, "cannot start a process: %s", strerror(errno));
out:
    if (said >= 0)
        close(said);
    if (in[0] >= 0)
        close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    v->in = in[1];
    v->out = out[0];
    return rc;
}

static int process_start(const struct vm_spec *s, struct vm **out, struct err *e,
                         void (*fill)(const struct vm_spec *, struct words *))
{
    struct words w = {.n = 0};
    struct vm *v = calloc(1, sizeof(*v));
    char name[100];
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory for a machine");
    snprintf(v->name, sizeof(v->name), "%s", s->name);
    snprintf(name, sizeof(name), "%s.vmm", v->name);
    fill(s, &w);
    rc = vpath(v->said, s->work, name, e);
    if (rc == 0 && w.failed)
        rc = err_set(e, ENOMEM, "no memory for the command of a machine");
    if (rc == 0)
        rc = vm_fork(v, &w, s->work, e);
    words_free(&w);
    if (rc < 0) {
        free(v);
        return rc;
    }
    *out = v;
    return 0;
}

static int hospes_start(const struct vm_spec *s, struct vm **out, struct err *e)
{
    return process_start(s, out, e, hospes_words);
}

static int qemu_start(const struct vm_spec *s, struct vm **out, struct err *e)
{
    return process_start(s, out, e, qemu_words);
}

static ssize_t vm_read(struct vm *v, void *buf, size_t room, int timeout_ms)
{
    struct pollfd p = {.fd = v->out, .events = POLLIN};
    ssize_t n;
    int rc = poll(&p, 1, timeout_ms);

    if (rc == 0 || (rc < 0 && errno == EINTR))
        return -EAGAIN;
    if (rc < 0)
        return -errno;
    n = read(v->out, buf, room);
    return n < 0 ? -errno : n;
}

static int vm_type(struct vm *v, const char *text)
{
    size_t len = strlen(text);

    return write(v->in, text, len) == (ssize_t)len ? 0 : -EPIPE;
}

/* What of it may be read depends on who we are: the kernel's stack is root's. */
static void vm_thread(const char *task, struct vbuf *out)
{
    static const char *const files[] = {"comm", "stat", "wchan", "syscall", "stack"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char path[128], buf[4096];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", task, files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
        if (fd >= 0)
            close(fd);
        if (n <= 0)
            continue;
        vbuf_print(out, "%s: ", files[i]);
        vbuf_add(out, buf, (size_t)n);
        if (buf[n - 1] != '\n')
            vbuf_add(out, "\n", 1);
    }
}

static void vm_threads(struct vm *v, struct vbuf *out)
{
    char tasks[64], task[96];
    struct dirent *d;
    DIR *list;

    snprintf(tasks, sizeof(tasks), "/proc/%d/task", (int)v->pid);
    list = opendir(tasks);
    while (list && (d = readdir(list))) {
        if (d->d_name[0] == '.')
            continue;
        snprintf(task, sizeof(task), "%s/%.16s", tasks, d->d_name);
        vbuf_print(out, "thread %.16s\n", d->d_name);
        vm_thread(task, out);
    }
    if (list)
        closedir(list);
}

/* --- what only hospes has --- */

static int hospes_result(struct vm *v, const char *word, struct json_object **out, struct err *e)
{
    struct json_object *answer, *result;
    int rc = remote_ask(v->name, word, NULL, VM_ASK_MS, &answer, e);

    if (rc < 0)
        return rc;
    if (json_object_object_get_ex(answer, "result", &result))
        *out = json_object_get(result);
    else
        rc = err_exit(e, EX_HOST_IO, EPROTO, "the machine gave no facts");
    json_object_put(answer);
    return rc;
}

static int hospes_info(struct vm *v, struct json_object **out, struct err *e)
{
    return hospes_result(v, "info", out, e);
}

static int hospes_state(struct vm *v, struct json_object **out, struct err *e)
{
    return hospes_result(v, "state", out, e);
}

static int hospes_screen(struct vm *v, const char *path, struct err *e)
{
    struct json_object *more = json_object_new_object();

    json_object_object_add(more, "file", json_object_new_string(path));
    return remote_ask(v->name, "screenshot", more, VM_ASK_MS, NULL, e);
}

static int qemu_screen(struct vm *v, const char *path, struct err *e)
{
    return err_set(e, ENOTSUP, "QEMU is not asked for its screen");
}

static int hospes_ask(struct vm *v, const char *what, uint64_t value, struct err *e)
{
    struct json_object *more = json_object_new_object();

    json_object_object_add(more, "what", json_object_new_string(what));
    if (value)
        json_object_object_add(more, "value", json_object_new_uint64(value));
    return remote_ask(v->name, "ask", more, VM_ASK_MS, NULL, e);
}

static int qemu_none(struct vm *v, struct json_object **out, struct err *e)
{
    return err_set(e, ENOTSUP, "QEMU is not asked for facts");
}

static int qemu_ask(struct vm *v, const char *what, uint64_t value, struct err *e)
{
    return err_set(e, ENOTSUP, "QEMU is not asked to %s the guest", what);
}

/* Attaches, or detaches: a disk by its words, or its id. */
static int hospes_plug(struct vm *v, const char *word, const char *disk,
                       struct json_object **answer, struct err *e)
{
    struct json_object *more = json_object_new_object();

    json_object_object_add(more, "disk", json_object_new_string(disk));
    return remote_ask(v->name, word, more, VM_ASK_MS, answer, e);
}

static int hospes_attach(struct vm *v, const char *path, const char *words, char *id, size_t room,
                         struct err *e)
{
    struct json_object *answer = NULL;
    char rest[128];
    struct vbuf b = {0};
    int rc;

    snprintf(rest, sizeof(rest), ",%s", words);
    disk_words(&b, path, rest);
    rc = b.failed ? err_set(e, ENOMEM, "no memory for a disk")
                  : hospes_plug(v, "attach", b.data, &answer, e);
    vbuf_free(&b);
    if (rc == 0 && remote_text(answer, "result"))
        snprintf(id, room, "%s", remote_text(answer, "result"));
    else if (rc == 0)
        rc = err_exit(e, EX_HOST_IO, EPROTO, "the machine does not say what it calls its new disk");
    json_object_put(answer);
    return rc;
}

static int hospes_detach(struct vm *v, const char *id, struct err *e)
{
    return hospes_plug(v, "detach", id, NULL, e);
}

static int qemu_attach(struct vm *v, const char *path, const char *words, char *id, size_t room,
                       struct err *e)
{
    return err_set(e, ENOTSUP, "QEMU is not given disks while its guest runs");
}

static int qemu_detach(struct vm *v, const char *id, struct err *e)
{
    return err_set(e, ENOTSUP, "QEMU's disks stay");
}

/* `hospes image create|resize`, quietly. */
static int hospes_disk(const char *program, const char *path, const char *format, uint64_t bytes,
                       bool resize, struct err *e)
{
    struct words w = {.n = 0};
    int status = -1, null;
    pid_t pid;

    add(&w, "%s", program);
    add(&w, "image");
    add(&w, "%s", resize ? "resize" : "create");
    add(&w, "-f");
    add(&w, "%s", format);
    add(&w, "%s", path);
    add(&w, "%llu", (unsigned long long)bytes);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid = w.failed || null < 0 ? -1 : fork();
    if (pid == 0)
        vm_child(&w, null, null, STDERR_FILENO);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (null >= 0)
        close(null);
    words_free(&w);
    if (status != 0)
        return err_exit(e, EX_HOST_IO, EIO,
                        "hospes image %s -f %s fails for the guest's disk: try it by hand",
                        resize ? "resize" : "create", format);
    return 0;
}

/* --- the end --- */

static void vm_plug(struct vm *v)
{
    kill(v->pid, SIGKILL);
}

/* The last "hospes: ..." line of what it said. */
static char *vm_last_words(const struct vm *v)
{
    struct err e = {0};
    char *text, *at, *last = NULL, *out = NULL;

    if (vtext_read(v->said, VM_WHY_MAX, &text, NULL, &e) < 0)
        return NULL;
    for (at = text; (at = strstr(at, "hospes: ")); at += 8)
        last = at + 8;
    if (last)
        out = strndup(last, strcspn(last, "\n"));
    free(text);
    return out;
}

static int vm_end(struct vm *v, char **why)
{
    int status = 0;

    close(v->in);
    close(v->out);
    for (int ms = 0; waitpid(v->pid, &status, WNOHANG) == 0; ms += 20) {
        if (ms >= VM_PATIENCE_MS) {
            kill(v->pid, SIGKILL);
            waitpid(v->pid, &status, 0);
            break;
        }
        usleep(20000);
    }
    *why = vm_last_words(v);
    free(v);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const struct vm_ops vm_hospes = {
    .name = "hospes",
    .start = hospes_start,
    .read = vm_read,
    .type = vm_type,
    .info = hospes_info,
    .ask = hospes_ask,
    .state = hospes_state,
    .threads = vm_threads,
    .screen = hospes_screen,
    .disk = hospes_disk,
    .attach = hospes_attach,
    .detach = hospes_detach,
    .plug = vm_plug,
    .end = vm_end,
};

const struct vm_ops vm_qemu = {
    .name = "qemu",
    .start = qemu_start,
    .read = vm_read,
    .type = vm_type,
    .info = qemu_none,
    .ask = qemu_ask,
    .state = qemu_none,
    .threads = vm_threads,
    .screen = qemu_screen,
    .disk = hospes_disk,
    .attach = qemu_attach,
    .detach = qemu_detach,
    .plug = vm_plug,
    .end = vm_end,
};
