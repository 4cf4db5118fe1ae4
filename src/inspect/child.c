/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - see child.h. */
#define _GNU_SOURCE
#include "inspect/child.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/dl.h"
#include "core/err.h"

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(seccomp_init);
DL_DECLARE(seccomp_load);
DL_DECLARE(seccomp_release);
DL_DECLARE(seccomp_rule_add);
static const struct dl_symbol libseccomp[] = {
    DL_SYMBOL(seccomp_init),
    DL_SYMBOL(seccomp_load),
    DL_SYMBOL(seccomp_release),
    DL_SYMBOL(seccomp_rule_add),
    {NULL, NULL},
};
#define seccomp_init dl_seccomp_init
#define seccomp_load dl_seccomp_load
#define seccomp_release dl_seccomp_release
#define seccomp_rule_add dl_seccomp_rule_add

enum { CHILD_FILE_MAX = 64 << 20, CLOCK_FACTOR = 4 };

static int memory_fd = -1; /* of the child, made before it was locked in */

void *child_share(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    return p;
}

void child_unshare(void *p, size_t n)
{
    if (p)
        munmap(p, n);
}

int child_memory(void)
{
    return memory_fd >= 0 ? memory_fd : memfd_create("hive", MFD_CLOEXEC);
}

void child_memory_done(int fd)
{
    if (fd == memory_fd)
        (void)!ftruncate(fd, 0);
    else if (fd >= 0)
        close(fd);
}

/* --- the child --- */

static void limit(int what, rlim_t n)
{
    struct rlimit r = {n, n};

    setrlimit((__rlimit_resource_t)what, &r);
}

/* Converters of characters are loaded when first used; later they could not be. */
static void load_converters(void)
{
    static const char *const names[] = {"LATIN1", "UTF-16LE"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)iconv_open("UTF-8", names[i]);
        (void)iconv_open(names[i], "UTF-8");
    }
}

static int allow_calls(scmp_filter_ctx f)
{
    static const int calls[] = {
        SCMP_SYS(read),         SCMP_SYS(pread64),        SCMP_SYS(readv),
        SCMP_SYS(preadv),       SCMP_SYS(preadv2),        SCMP_SYS(lseek),
        SCMP_SYS(fstat),        SCMP_SYS(newfstatat),     SCMP_SYS(close),
        SCMP_SYS(munmap),       SCMP_SYS(mremap),         SCMP_SYS(madvise),
        SCMP_SYS(brk),          SCMP_SYS(futex),          SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
        SCMP_SYS(getrandom),    SCMP_SYS(exit),           SCMP_SYS(exit_group),
        SCMP_SYS(fadvise64),    SCMP_SYS(sched_yield),    SCMP_SYS(getpid),
    };
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(calls) && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

static int allow_some(scmp_filter_ctx f)
{
    const uint64_t writes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, writes, 0));

    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(pwrite64), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)memory_fd));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ftruncate), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)memory_fd));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
    return rc;
}

void child_lock(void)
{
    scmp_filter_ctx f;
    struct err e;
    int rc;

    if (dl_load("libseccomp.so.2", "libseccomp2", libseccomp, &e) < 0)
        _exit(1);
    load_converters();
    memory_fd = memfd_create("hive", MFD_CLOEXEC);
    f = memory_fd >= 0 ? seccomp_init(SCMP_ACT_ERRNO(EPERM)) : NULL;
    rc = f ? allow_calls(f) : -1;
    if (rc == 0)
        rc = allow_some(f);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    if (rc != 0)
        _exit(1); /* better no answer than one from outside the cage */
}

static void child_limits(unsigned seconds)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0);
    limit(RLIMIT_CORE, 0);
    setrlimit(RLIMIT_CPU, &(struct rlimit){.rlim_cur = seconds, .rlim_max = seconds + 1});
    limit(RLIMIT_FSIZE, CHILD_FILE_MAX);
#if !SANITIZED /* its shadow alone is terabytes of address space */
    limit(RLIMIT_DATA, CHILD_MEMORY);
#endif
}

/* --- the parent --- */

/* The far end of the pipe closes when the child ends, in whatever way. */
static bool ends_in_time(int fd, unsigned seconds)
{
    struct timespec now, until;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    for (;;) {
        int64_t left;

        clock_gettime(CLOCK_MONOTONIC, &now);
        left = (until.tv_sec - now.tv_sec) * 1000 + (until.tv_nsec - now.tv_nsec) / 1000000;
        if (left <= 0)
            return false;
        if (poll(&p, 1, (int)left) > 0)
            return true;
    }
}

int child_run(void (*fn)(void *arg), void *arg, unsigned seconds, enum child_end *end)
{
    int ends[2], status = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid < 0) {
        int code = errno;

        close(ends[0]);
        close(ends[1]);
        return -code;
    }
    if (pid == 0) {
        close(ends[0]);
        child_limits(seconds);
        fn(arg);
        _exit(0);
    }
    close(ends[1]);
    *end = CHILD_DONE;
    if (!ends_in_time(ends[0], CLOCK_FACTOR * seconds)) {
        kill(pid, SIGKILL);
        *end = CHILD_LATE;
    }
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (*end == CHILD_DONE && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        *end = CHILD_LATE;
    else if (*end == CHILD_DONE && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        *end = CHILD_CRASHED;
    return 0;
}
