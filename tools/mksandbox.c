/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mksandbox.c - writes the filters of src/host/sandbox.c as C, when hospes is built.
 *
 * Making a filter of so many rules takes libseccomp four million instructions, as much as a guest
 * has for its first thousand exits; what it makes is the same each time. So it is made once, in the
 * order of a binary search, and loaded as it stands.
 *
 * What the loop's list leaves is what images, networks, consoles and displays need: files (disks
 * are attached by name), sockets, io_uring, threads. Opened files stay within what the user may
 * open: that is the file system's business, not the filter's. Code can be mapped from files, not
 * made: libraries are loaded on use. clone3() says that it is not there, so that the C library
 * takes clone(), whose flags can be looked at: threads yes, processes no.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Both kinds of threads. */
static const int sandbox_common[] = {
    SCMP_SYS(ioctl),          SCMP_SYS(read),
    SCMP_SYS(write),          SCMP_SYS(readv),
    SCMP_SYS(writev),         SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),       SCMP_SYS(preadv),
    SCMP_SYS(pwritev),        SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),       SCMP_SYS(lseek),
    SCMP_SYS(fallocate),      SCMP_SYS(ftruncate),
    SCMP_SYS(fdatasync),      SCMP_SYS(fsync),
    SCMP_SYS(close),          SCMP_SYS(fstat),
    SCMP_SYS(eventfd2),       SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),        SCMP_SYS(sendmmsg),
    SCMP_SYS(epoll_ctl),      SCMP_SYS(timerfd_settime),
    SCMP_SYS(munmap),         SCMP_SYS(mremap),
    SCMP_SYS(madvise),        SCMP_SYS(brk),
    SCMP_SYS(futex),          SCMP_SYS(sched_yield),
    SCMP_SYS(nanosleep),      SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime),  SCMP_SYS(gettimeofday),
    SCMP_SYS(time),           SCMP_SYS(getrandom),
    SCMP_SYS(getpid),         SCMP_SYS(gettid),
    SCMP_SYS(tgkill),         SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),           SCMP_SYS(membarrier),
    SCMP_SYS(exit),           SCMP_SYS(exit_group),
    SCMP_SYS(mincore),        SCMP_SYS(msync),
    SCMP_SYS(mlock),          SCMP_SYS(munlock),
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
    SCMP_SYS(kill),    /* 73: is who has the disk still there? */
    SCMP_SYS(seccomp), /* a processor that comes takes a shorter list; none makes it longer */
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(utimensat),
    SCMP_SYS(truncate),
    SCMP_SYS(sendfile),
    SCMP_SYS(fgetxattr),
    SCMP_SYS(getxattr),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(setxattr),
    SCMP_SYS(syncfs),
    SCMP_SYS(getresuid),
    SCMP_SYS(getresgid),
    SCMP_SYS(getgroups),
    SCMP_SYS(getpgid),
    SCMP_SYS(getsid),
    SCMP_SYS(getrlimit),
};

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
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
    if (rc == 0) /* its own limits, to read them */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, 0), SCMP_A2(SCMP_CMP_EQ, 0));
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

static int fill(scmp_filter_ctx f, bool loop)
{
    int rc = allow_all(f, sandbox_common, ARRAY_SIZE(sandbox_common));

    if (rc == 0) /* sandbox_on_call() says whose call it was */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME));
    if (rc == 0)
        rc = allow_memory(f, loop);
    if (rc == 0 && loop)
        rc = allow_all(f, sandbox_loop, ARRAY_SIZE(sandbox_loop));
    if (rc == 0 && loop)
        rc = allow_threads(f);
    if (rc == 0 && loop)
        rc = allow_sockets(f);
    return rc;
}

/* Whoever can type into the terminal of the one who started the machine can leave it. The kernel
 * looks at 32 bits of the number, so what stands above them must not matter, and "anything but"
 * under a mask is not to be had from one filter that allows: hence a filter before it. */
static int fill_terminal(scmp_filter_ctx f)
{
    static const uint32_t calls[] = {TIOCSTI, TIOCLINUX};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(calls) && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, calls[i]));
    return rc;
}

static int put(scmp_filter_ctx f, const char *name)
{
    FILE *t = tmpfile();
    struct sock_filter op;
    int rc;

    if (!t)
        return -errno;
    rc = seccomp_export_bpf(f, fileno(t));
    rewind(t);
    printf("static const struct sock_filter %s[] = {\n", name);
    while (fread(&op, sizeof(op), 1, t) == 1)
        printf("    {0x%x, %u, %u, 0x%x},\n", op.code, op.jt, op.jf, op.k);
    printf("};\n");
    fclose(t);
    return rc;
}

static int make(const char *name, uint32_t otherwise, int (*rules)(scmp_filter_ctx f))
{
    scmp_filter_ctx f = seccomp_init(otherwise);
    int rc = f ? seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) : -ENOMEM;

    if (rc == 0)
        rc = rules(f);
    if (rc == 0)
        rc = put(f, name);
    if (rc < 0)
        fprintf(stderr, "mksandbox: %s: error %d\n", name, -rc);
    seccomp_release(f);
    return rc;
}

static int fill_loop(scmp_filter_ctx f)
{
    return fill(f, true);
}

static int fill_vcpu(scmp_filter_ctx f)
{
    return fill(f, false);
}

int main(void)
{
    printf("/* Made by tools/mksandbox.c. */\n");
    if (make("sandbox_terminal", SCMP_ACT_ALLOW, fill_terminal) < 0 ||
        make("sandbox_loop", SCMP_ACT_TRAP, fill_loop) < 0 ||
        make("sandbox_vcpu", SCMP_ACT_TRAP, fill_vcpu) < 0)
        return 1;
    return 0;
}
