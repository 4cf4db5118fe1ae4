/* SPDX-License-Identifier: Apache-2.0 */
/* Each case runs in a child, since there is no way out of a sandbox. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/err.h"
#include "host/sandbox.h"
#include "unit.h"

enum { FINE = 0, REFUSED = 1, NO_SANDBOX = 2 };

/* The exit code of fn in its sandbox, and what it said on standard error. */
static int inside(enum sandbox_mode mode, enum sandbox_thread kind, int (*fn)(void), char said[512])
{
    int p[2], status;
    ssize_t n, all = 0;
    pid_t pid;

    assert_int_equal(pipe(p), 0);
    pid = fork();
    if (pid == 0) {
        struct err e = {0};

        dup2(p[1], 2);
        close(p[0]);
        close(p[1]);
        prctl(PR_SET_NAME, "tested");
        if (sandbox_open(mode, NULL, &e) < 0 || sandbox_enter(kind, &e) < 0)
            _exit(NO_SANDBOX);
        _exit(fn());
    }
    close(p[1]);
    while (all < 511 && (n = read(p[0], said + all, (size_t)(511 - all))) > 0)
        all += n;
    said[all] = 0;
    close(p[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int runs_a_program(void)
{
    char *const words[] = {"true", NULL};

    execv("/bin/true", words);
    return REFUSED;
}

/* As fork() does, around which ThreadSanitizer takes locks that the end in mid-call leaves taken.
 */
static int starts_a_process(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0 ? FINE : REFUSED;
}

static int traces(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0 ? FINE : REFUSED;
}

static int opens_a_file(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    return fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0 ? FINE : REFUSED;
}

static void *far(void *arg)
{
    return opens_a_file() == FINE ? arg : NULL;
}

static int starts_a_thread(void)
{
    void *got = NULL, *want = &got;
    pthread_t t;

    return pthread_create(&t, NULL, far, want) == 0 && pthread_join(t, &got) == 0 && got == want
               ? FINE
               : REFUSED;
}

static void *runs_a_program_far(void *arg)
{
    (void)arg;
    runs_a_program();
    return NULL;
}

static int a_thread_of_its_own_runs_a_program(void)
{
    pthread_t t;

    if (pthread_create(&t, NULL, runs_a_program_far, NULL) == 0)
        pthread_join(t, NULL);
    return REFUSED;
}

static int makes_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED
               ? FINE
               : REFUSED;
}

static int takes_memory(void)
{
    char *p = malloc(8 << 20);

    if (!p)
        return REFUSED;
    memset(p, 1, 8 << 20);
    free(p);
    return FINE;
}

static int types_into_the_terminal(void)
{
    return ioctl(0, TIOCSTI, "x") < 0 && errno == EPERM ? REFUSED : FINE;
}

static int types_with_high_bits(void)
{
    unsigned long request = TIOCSTI | 1ul << 40;

    return ioctl(0, request, "x") < 0 && errno == EPERM ? REFUSED : FINE;
}

static int makes_a_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? FINE : REFUSED;
}

static int makes_a_raw_link(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? FINE : REFUSED;
}

/* As for each raw image that is opened; whether the file system has such marks does not matter. */
static int looks_for_a_mark(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    char mark[8];

    (void)!fgetxattr(fd, "user.hospes", mark, sizeof(mark));
    (void)!fsetxattr(fd, "user.hospes", mark, sizeof(mark), 0);
    return FINE;
}

static int reads_its_limits(void)
{
    struct rlimit now, less = {1, 1};

    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return REFUSED;
    return setrlimit(RLIMIT_CORE, &less) == 0 ? FINE : REFUSED;
}

static int timer = -1;

static int arms_a_timer(void)
{
    const struct itimerspec soon = {.it_value.tv_sec = 100};

    return timerfd_settime(timer, 0, &soon, NULL) == 0 ? FINE : REFUSED;
}

static void *takes_its_own_list(void *arg)
{
    struct err e;

    return sandbox_enter(SANDBOX_VCPU, &e) == 0 ? arg : NULL;
}

static int starts_a_processor(void)
{
    void *got = NULL, *want = &got;
    pthread_t t;

    return pthread_create(&t, NULL, takes_its_own_list, want) == 0 && pthread_join(t, &got) == 0 &&
                   got == want
               ? FINE
               : REFUSED;
}

static void the_loop_is_held_to_its_list(void **state)
{
    static const struct {
        int (*fn)(void);
        int want;
    } cases[] = {
        {opens_a_file, FINE},
        {starts_a_thread, FINE},
        {takes_memory, FINE},
        {makes_a_socket, FINE},
        {looks_for_a_mark, FINE},
        {arms_a_timer, FINE},
        {reads_its_limits, EX_BUG}, /* and may not change them */
        {types_into_the_terminal, REFUSED},
        {types_with_high_bits, REFUSED},
        {runs_a_program, EX_BUG},
        {starts_a_process, EX_BUG},
        {traces, EX_BUG},
        {makes_code, EX_BUG},
        {makes_a_raw_link, EX_BUG},
        {a_thread_of_its_own_runs_a_program, EX_BUG},
    };
    char said[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int got = inside(SANDBOX_ON, SANDBOX_LOOP, cases[i].fn, said);

        if (got == NO_SANDBOX)
            skip();
        if (got != cases[i].want)
            fail_msg("case %zu: %d instead of %d, said: %s", i, got, cases[i].want, said);
    }
}

static void a_processor_opens_nothing(void **state)
{
    char said[512];

    (void)state;
    if (inside(SANDBOX_STRICT, SANDBOX_VCPU, takes_memory, said) == NO_SANDBOX)
        skip();
    assert_int_equal(inside(SANDBOX_STRICT, SANDBOX_VCPU, takes_memory, said), FINE);
    assert_int_equal(inside(SANDBOX_STRICT, SANDBOX_VCPU, opens_a_file, said), EX_BUG);
    assert_int_equal(inside(SANDBOX_STRICT, SANDBOX_VCPU, makes_a_socket, said), EX_BUG);
    assert_int_equal(inside(SANDBOX_STRICT, SANDBOX_VCPU, arms_a_timer, said), FINE);
    assert_int_equal(inside(SANDBOX_ON, SANDBOX_VCPU, opens_a_file, said), FINE);
    assert_int_equal(inside(SANDBOX_STRICT, SANDBOX_LOOP, starts_a_processor, said), FINE);
}

static void a_forbidden_call_is_told_in_one_sentence(void **state)
{
    char said[512];

    (void)state;
    if (inside(SANDBOX_ON, SANDBOX_LOOP, runs_a_program, said) == NO_SANDBOX)
        skip();
    assert_string_equal(said, "hospes: thread tested made system call 59, which its sandbox "
                              "forbids, so the machine was ended: report this, and use --sandbox "
                              "off until it is solved\n");
}

static void off_is_off(void **state)
{
    char said[512];

    (void)state;
    assert_int_equal(inside(SANDBOX_OFF, SANDBOX_LOOP, starts_a_process, said), FINE);
}

static void modes_have_names(void **state)
{
    enum sandbox_mode mode = SANDBOX_OFF;

    (void)state;
    assert_int_equal(sandbox_parse("strict", &mode), 0);
    assert_int_equal(mode, SANDBOX_STRICT);
    assert_int_equal(sandbox_parse("none", &mode), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loop_is_held_to_its_list),
        cmocka_unit_test(a_processor_opens_nothing),
        cmocka_unit_test(a_forbidden_call_is_told_in_one_sentence),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(modes_have_names),
    };

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
