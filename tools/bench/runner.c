/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c - starts one virtual machine monitor and measures it from outside.
 *
 *     runner -n NAME [-t SECONDS] [-r RAM_MIB] [-s] [-x] -- COMMAND...
 *
 * -t gives up after so long, -r is the guest's memory, -s serves the TCP peer of guest.c, -x traces
 * exits (dearer, so never in a run whose instructions count).
 *
 * The guest's console must be the command's standard output. At each line that begins with "@@ "
 * the time stamp counter, the clock and KVM's counters are read; when the command has ended one
 * record a line goes to standard output: "R NAME what key=value...". On the exact meter the time
 * stamp counter counts instructions. KVM's counters are global, so nothing else may use KVM.
 * One thread; the TCP peer is a process of its own.
 */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KVM_STATS "/sys/kernel/debug/kvm/"
#define TRACE "/sys/kernel/tracing/events/kvm/"

enum { PEER_PORT = 5201, NET_BYTES = 16 << 20 };

static const char *const counters[] = {
    "exits", "io_exits", "mmio_exits", "halt_exits", "host_state_reload", "pf_taken", "irq_exits"};
enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static const struct {
    const char *event, *hist;
} traces[] = {
    {"kvm_exit", "hist:keys=exit_reason:size=256"},
    {"kvm_userspace_exit", "hist:keys=reason:size=256"},
    {"kvm_pio", "hist:keys=port,rw:size=2048"},
    {"kvm_mmio", "hist:keys=gpa,type:size=2048"},
    {"kvm_msr", "hist:keys=ecx,write:size=1024"},
};
enum { TRACES = sizeof(traces) / sizeof(traces[0]) };

static struct {
    const char *name;
    unsigned ram_mib;
    bool trace;
    pid_t pid;
    uint64_t tsc0, ns0;
    char out[1 << 20]; /* records, printed at the end so that printing is not measured */
    size_t used;
    char log[4096]; /* the end of what the command said, for the message when it fails */
    size_t logged;
} run;

static inline uint64_t ticks(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void record(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void record(const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(run.out + run.used, sizeof(run.out) - run.used, fmt, ap);
    va_end(ap);
    if (n > 0 && run.used + (size_t)n < sizeof(run.out))
        run.used += (size_t)n;
}

/* Whole small file as a string; empty when it cannot be read. */
static size_t slurp(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t at = 0;
    ssize_t n;

    while (fd >= 0 && at < size - 1 && (n = read(fd, buf + at, size - 1 - at)) > 0)
        at += (size_t)n;
    buf[at] = 0;
    if (fd >= 0)
        close(fd);
    return at;
}

static bool spit(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return ok;
}

static void trace_set(bool on)
{
    char path[128], text[128];

    for (size_t i = 0; i < TRACES; i++) {
        snprintf(path, sizeof(path), TRACE "%s/trigger", traces[i].event);
        snprintf(text, sizeof(text), "%s%s", on ? "" : "!", traces[i].hist);
        if (!spit(path, text) && on)
            warn("%s", path);
    }
}

static void trace_dump(const char *at)
{
    static char text[1 << 18];
    char path[128];

    for (size_t i = 0; i < TRACES; i++) {
        char *line, *rest = text;

        snprintf(path, sizeof(path), TRACE "%s/hist", traces[i].event);
        slurp(path, text, sizeof(text));
        while ((line = strsep(&rest, "\n"))) {
            if (*line == '{')
                record("T %s %s %s %s\n", run.name, at, traces[i].event, line);
        }
    }
}

struct memory {
    uint64_t anon, ram, file, tables, threads;
};

/* Adds one process. A mapping as large as the guest's memory is taken for it. */
static void memory_add(pid_t pid, struct memory *m)
{
    static char text[1 << 20];
    char path[64], *line, *rest = text;
    uint64_t size = 0, rss = 0, v;

    snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
    slurp(path, text, sizeof(text));
    while ((line = strsep(&rest, "\n"))) {
        if (sscanf(line, "Size: %lu", &v) == 1) {
            size = v;
        } else if (sscanf(line, "Rss: %lu", &v) == 1) {
            rss = v;
        } else if (sscanf(line, "Anonymous: %lu", &v) == 1) {
            uint64_t ram = size >= (uint64_t)run.ram_mib << 10 ? (uint64_t)run.ram_mib << 10 : 0;

            /* Guest memory may be anonymous or a file in memory. */
            ram = rss < ram ? rss : ram;
            m->ram += ram;
            m->anon += v > ram ? v - ram : 0;
            m->file += rss - v > ram ? rss - v - ram : ram ? 0 : rss - v;
        }
    }
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    slurp(path, text, sizeof(text));
    rest = text;
    while ((line = strsep(&rest, "\n"))) {
        if (sscanf(line, "VmPTE: %lu", &v) == 1)
            m->tables += v;
        else if (sscanf(line, "Threads: %lu", &v) == 1)
            m->threads += v;
    }
}

static void memory_tree(pid_t pid, struct memory *m)
{
    char path[64], text[512], *word, *rest = text;

    memory_add(pid, m);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    slurp(path, text, sizeof(text));
    while ((word = strsep(&rest, " "))) {
        if (isdigit(*word))
            memory_tree(atoi(word), m);
    }
}

static void marker(const char *what)
{
    uint64_t tsc = ticks() - run.tsc0, ns = now_ns() - run.ns0;

    if (!strncmp(what, "val ", 4) || !strncmp(what, "fail ", 5)) {
        record("R %s %s\n", run.name, what);
        return;
    }
    if (strcmp(what, "up"))
        dprintf(2, "%s %s\n", run.name, what); /* a sign of life for the watchdog */
    record("R %s mark tsc=%lu ns=%lu", run.name, tsc, ns);
    for (size_t i = 0; i < COUNTERS; i++) {
        char path[64], text[32];

        snprintf(path, sizeof(path), KVM_STATS "%s", counters[i]);
        if (slurp(path, text, sizeof(text)))
            record(" %s=%lu", counters[i], strtoul(text, NULL, 10));
    }
    record(" at=%s\n", what);
    if (run.trace && !strcmp(what, "up"))
        trace_dump(what);
    if (!strcmp(what, "rest")) {
        struct memory m = {0};

        memory_tree(run.pid, &m);
        record("R %s memory anon_kib=%lu ram_kib=%lu file_kib=%lu tables_kib=%lu threads=%lu\n",
               run.name, m.anon, m.ram, m.file, m.tables, m.threads);
    }
    /* The guest without an operating system cannot power off everywhere. */
    if (!strcmp(what, "done"))
        kill(run.pid, SIGKILL);
}

static void peer_serve(int fd)
{
    static char buf[64 << 10];
    int on = 1;
    ssize_t n;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (read(fd, buf, 1) != 1)
        return;
    if (*buf == 'S') {
        while (read(fd, buf, sizeof(buf)) > 0)
            ;
        n = write(fd, "k", 1);
    } else if (*buf == 'R') {
        /* The guest opens its measured stretch before the flood begins. */
        usleep(200000);
        for (size_t left = NET_BYTES; left; left -= (size_t)n) {
            n = write(fd, buf, left < sizeof(buf) ? left : sizeof(buf));
            if (n <= 0)
                return;
        }
    } else {
        while ((n = read(fd, buf, sizeof(buf))) > 0 && write(fd, buf, (size_t)n) == n)
            ;
    }
}

static pid_t peer_start(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PEER_PORT)};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    pid_t pid;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 4))
        err(71, "peer");
    pid = fork();
    if (pid) {
        close(s);
        return pid;
    }
    for (;;) {
        int fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            _exit(1);
        peer_serve(fd);
        close(fd);
    }
}

static void log_keep(const char *p, size_t n)
{
    if (n > sizeof(run.log) / 2) {
        p += n - sizeof(run.log) / 2;
        n = sizeof(run.log) / 2;
    }
    if (run.logged + n > sizeof(run.log)) {
        size_t drop = run.logged + n - sizeof(run.log);

        memmove(run.log, run.log + drop, run.logged - drop);
        run.logged -= drop;
    }
    memcpy(run.log + run.logged, p, n);
    run.logged += n;
}

/* Splits the console into lines; a marker may stand behind other text in its line. */
static void console_take(const char *p, size_t n)
{
    static char line[1024];
    static size_t at;

    log_keep(p, n);
    for (; n; p++, n--) {
        if (*p == '\r')
            continue;
        if (*p != '\n') {
            if (at < sizeof(line) - 1)
                line[at++] = *p;
            continue;
        }
        line[at] = 0;
        at = 0;
        char *mark = strstr(line, "@@ ");
        if (mark)
            marker(mark + 3);
    }
}

static pid_t start(char **argv, int *out, int *messages)
{
    int in[2], o[2], e[2];
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) || pipe2(o, O_CLOEXEC) || pipe2(e, O_CLOEXEC))
        err(71, "pipe");
    run.ns0 = now_ns();
    run.tsc0 = ticks();
    pid = fork();
    if (!pid) {
        /* An input that stays open and silent: an ended one means "quit" to some. */
        dup2(in[0], 0);
        dup2(o[1], 1);
        dup2(e[1], 2);
        execv(argv[0], argv);
        err(127, "%s", argv[0]);
    }
    close(in[0]);
    close(o[1]);
    close(e[1]);
    *out = o[0];
    *messages = e[0];
    return pid;
}

/* True when the command ended by itself in time. */
static bool watch(int out, int messages, unsigned seconds)
{
    struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = messages, .events = POLLIN}};
    uint64_t end = run.ns0 + seconds * UINT64_C(1000000000);

    while (p[0].fd >= 0 || p[1].fd >= 0) {
        uint64_t now = now_ns();

        if (now >= end || poll(p, 2, (int)((end - now) / 1000000 + 1)) < 0)
            return false;
        for (int i = 0; i < 2; i++) {
            char buf[4096];
            ssize_t n;

            if (!p[i].revents)
                continue;
            n = read(p[i].fd, buf, sizeof(buf));
            if (n <= 0)
                p[i].fd = -1;
            else if (i == 0)
                console_take(buf, (size_t)n);
            else
                log_keep(buf, (size_t)n);
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    unsigned seconds = 60;
    bool serve = false;
    pid_t peer = 0;
    struct rusage use;
    int opt, out, messages, status;

    while ((opt = getopt(argc, argv, "+n:t:r:sx")) != -1) {
        if (opt == 'n')
            run.name = optarg;
        else if (opt == 't')
            seconds = (unsigned)atoi(optarg);
        else if (opt == 'r')
            run.ram_mib = (unsigned)atoi(optarg);
        else if (opt == 's')
            serve = true;
        else if (opt == 'x')
            run.trace = true;
        else
            errx(64, "usage: runner -n NAME [-t SECONDS] [-r RAM_MIB] [-s] [-x] -- COMMAND...");
    }
    if (!run.name || !argv[optind])
        errx(64, "usage: runner -n NAME [-t SECONDS] [-r RAM_MIB] [-s] [-x] -- COMMAND...");
    signal(SIGPIPE, SIG_IGN);
    if (serve)
        peer = peer_start();
    if (run.trace)
        trace_set(true);
    run.pid = start(argv + optind, &out, &messages);
    bool ended = watch(out, messages, seconds);
    if (!ended)
        kill(run.pid, SIGKILL);
    wait4(run.pid, &status, 0, &use);
    record(
        "R %s end tsc=%lu ns=%lu status=%d stalled=%d utime_us=%lu stime_us=%lu maxrss_kib=%ld\n",
        run.name, ticks() - run.tsc0, now_ns() - run.ns0,
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), !ended,
        (unsigned long)(use.ru_utime.tv_sec * 1000000 + use.ru_utime.tv_usec),
        (unsigned long)(use.ru_stime.tv_sec * 1000000 + use.ru_stime.tv_usec), use.ru_maxrss);
    if (run.trace)
        trace_set(false);
    if (peer) {
        kill(peer, SIGKILL);
        waitpid(peer, NULL, 0);
    }
    fwrite(run.out, 1, run.used, stdout);
    if (!strstr(run.out, " mark "))
        printf("L %s begin\n%.*s\nL %s end\n", run.name, (int)run.logged, run.log, run.name);
    return 0;
}
