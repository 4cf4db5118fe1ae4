/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.c - see sandbox.h; seccomp(2), through libseccomp.
 *
 * What the loop's list leaves is what images, networks, consoles and displays need: files (disks
 * are attached by name), sockets, io_uring, threads. Opened files stay within what the user may
 * open: that is the file system's business, not the filter's. Code can be mapped from files, not
 * made: libraries are loaded on use. clone3() says that it is not there, so that the C library
 * takes clone(), whose flags can be looked at: threads yes, processes no.
 */
#define _GNU_SOURCE
#include "host/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"

static enum sandbox_mode sandbox_mode;
static void (*sandbox_before_end)(void);

/* Both kinds of threads. */
static const int sandbox_common[] = {
    SCMP_SYS(ioctl),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lseek),
    SCMP_SYS(fallocate),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fsync),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(eventfd2),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(membarrier),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* The loop and what it starts. */
static const int sandbox_loop[] = {
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(fstatfs),
    SCMP_SYS(statfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(fchmod),
    SCMP_SYS(umask),
    SCMP_SYS(flock),
    SCMP_SYS(fcntl),
    SCMP_SYS(fadvise64),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(splice),
    SCMP_SYS(memfd_create),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(pipe2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(socketpair),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(setpriority),
    SCMP_SYS(getpriority),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(clock_getres),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getppid),
    SCMP_SYS(getpgrp),
    SCMP_SYS(kill), /* 73: is who has the disk still there? */
};

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

/* --- the lists --- */

static int allow_all(scmp_filter_ctx f, const int *calls, size_t n)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

/* Memory that can be written is not run. */
static int allow_memory(scmp_filter_ctx f, bool files)
{
    int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0 && files)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC),
                              SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_SHARED, 0));
    return rc;
}

static int allow_threads(scmp_filter_ctx f)
{
    int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    return rc;
}

static int allow_sockets(scmp_filter_ctx f)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(families) && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    /* The C library asks for routes; it can do without. */
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, AF_NETLINK));
    return rc;
}

static int sandbox_fill(scmp_filter_ctx f, enum sandbox_thread kind)
{
    int rc = allow_all(f, sandbox_common, ARRAY_SIZE(sandbox_common));

    if (rc == 0) /* sandbox_on_call() says whose call it was */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME));
    if (rc == 0)
        rc = allow_memory(f, kind == SANDBOX_LOOP);
    if (rc == 0 && kind == SANDBOX_LOOP)
        rc = allow_all(f, sandbox_loop, ARRAY_SIZE(sandbox_loop));
    if (rc == 0 && kind == SANDBOX_LOOP)
        rc = allow_threads(f);
    if (rc == 0 && kind == SANDBOX_LOOP)
        rc = allow_sockets(f);
    return rc;
}

/* Whoever can type into the terminal of the one who started the machine can leave it. The kernel
 * looks at 32 bits of the number, so what stands above them must not matter, and "anything but"
 * under a mask is not to be had from one filter that allows: hence a filter before it. */
static int sandbox_terminal(void)
{
    static const uint32_t calls[] = {TIOCSTI, TIOCLINUX};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f ? 0 : -ENOMEM;

    for (size_t i = 0; i < ARRAY_SIZE(calls) && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, calls[i]));
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc;
}

/* --- life --- */

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

int sandbox_enter(enum sandbox_thread kind, struct err *e)
{
    scmp_filter_ctx f;
    int rc;

    if (sandbox_mode == SANDBOX_OFF || (kind == SANDBOX_VCPU && sandbox_mode != SANDBOX_STRICT))
        return 0;
    rc = kind == SANDBOX_LOOP ? sandbox_terminal() : 0;
    f = rc == 0 ? seccomp_init(SCMP_ACT_TRAP) : NULL;
    if (rc == 0)
        rc = f ? sandbox_fill(f, kind) : -ENOMEM;
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc,
                        "this host does not hold a machine to a sandbox: %s; use --sandbox off",
                        strerror(-rc));
    return 0;
}
