/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate_run.c - `hospes validate` run, run-cell and collect. Each cell runs in a process of its
 * own, so that nothing that happens to one reaches another.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/line.h"
#include "cli/soft.h"
#include "cli/validate.h"
#include "core/file.h"
#include "core/path.h"
#include "host/probe.h"
#include "validation/bundle.h"
#include "validation/text.h"

enum {
    VALIDATE_HOSTS = 3, /* software hosts more than one for a cell */
    POOL_LOOK = 250,    /* ms between two looks at the cells that run */
};

/* --- where --- */

/* Are we inside a software host? Its kernel was told where its agent is. */
static bool in_soft_host(void)
{
    struct err e = {0};
    bool soft = false;
    char *text;

    if (vtext_read("/proc/cmdline", 1 << 16, &text, NULL, &e) == 0) {
        soft = strstr(text, "hospes.agent=") != NULL;
        free(text);
    }
    return soft;
}

bool validate_soft(const struct validate_args *a)
{
    const char *said = a->host ? a->host : getenv("HOSPES_HOST");
    struct host_probe probe;

    if (said && strcmp(said, "kvm") == 0)
        return false;
    if (said && strcmp(said, "soft") == 0)
        return true;
    host_probe(&probe);
    if (!probe.usable)
        fprintf(stderr, "hospes: each cell runs in a software host, because %.*s\n",
                (int)strcspn(probe.why, ";"), probe.why);
    return !probe.usable;
}

struct soft_words {
    char self[PATH_MAX], out[PATH_MAX + 8], suites[PATH_MAX + 16], number[24];
    char *word[16];
};

/* `validate run-cell` of the same cell, inside. */
static void soft_cell_words(struct soft_words *w, const struct validate_args *a, const char *out,
                            const char *plan, size_t number)
{
    ssize_t len = readlink("/proc/self/exe", w->self, sizeof(w->self) - 1);
    int n = 0;

    w->self[len > 0 ? len : 0] = '\0';
    snprintf(w->out, sizeof(w->out), "--out=%s", out ? out : "");
    snprintf(w->suites, sizeof(w->suites), "--suite-dir=%s", a->suite_dir ? a->suite_dir : "");
    snprintf(w->number, sizeof(w->number), "%zu", number);
    w->word[n++] = w->self;
    w->word[n++] = (char *)"validate";
    w->word[n++] = (char *)"run-cell";
    w->word[n++] = (char *)"--host=kvm";
    if (out)
        w->word[n++] = w->out;
    if (a->suite_dir)
        w->word[n++] = w->suites;
    if (a->control)
        w->word[n++] = (char *)"--control=qemu";
    if (a->again)
        w->word[n++] = (char *)"--again";
    if (a->json)
        w->word[n++] = (char *)"--json";
    w->word[n++] = (char *)plan;
    w->word[n++] = w->number;
    w->word[n] = NULL;
}

/* One cell in a software host of its own. out: NULL for the default folder. Its table goes to the
 * descriptor `to`. */
static int soft_cell(const struct validate_args *a, const char *out, const char *plan,
                     size_t number, int to, struct err *e)
{
    struct soft_words w;
    int code;

    soft_cell_words(&w, a, out, plan, number);
    code = soft_command(w.word, to, e);
    /* An emulated host can be brought down by what runs in it: that says nothing about the guest.
     */
    for (int again = 0; code < 0 && e->code == EPIPE && again < VALIDATE_HOSTS; again++) {
        fprintf(stderr, "hospes: cell %zu: %s; it is done again in another one\n", number, e->msg);
        code = soft_command(w.word, to, e);
    }
    return code;
}

/* --- a job --- */

static int job_out(struct validate_job *j, const struct validate_args *a, const char *path,
                   struct err *e)
{
    size_t n = (size_t)(path_suffix(path) - path);

    if (a->out)
        n = (size_t)snprintf(j->out, sizeof(j->out), "%s", a->out);
    else
        n = (size_t)snprintf(j->out, sizeof(j->out), "%.*s.results", (int)n, path);
    if (n >= sizeof(j->out))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG, "the name of the results folder is too long");
    return 0;
}

/* The plan and where its results are; nothing is made yet. */
static int job_read(struct validate_job *j, const struct validate_args *a, const char *path,
                    struct err *e)
{
    bool soft = in_soft_host();
    ssize_t len = readlink("/proc/self/exe", j->self, sizeof(j->self) - 1);
    int rc = vplan_read(&j->plan, path, a->suite_dir, e);

    memset(&j->host, 0, sizeof(j->host));
    j->self[len > 0 ? len : 0] = '\0';
    if (rc == 0)
        rc = job_out(j, a, path, e);
    if (rc == 0)
        rc = host_facts(&j->host, j->self, HOSPES_VERSION, soft ? "soft" : "kvm", e);
    if (rc < 0)
        return rc;
    snprintf(j->command, sizeof(j->command), "hospes validate run-cell");
    j->cfg = (struct runner_cfg){
        .plan = &j->plan,
        .ops = &vm_hospes,
        .control = a->control ? &vm_qemu : NULL,
        .program = j->self,
        .control_program = "qemu-system-x86_64",
        .out = j->out,
        /* Not on a shared folder, and short: the names of sockets have 107 bytes. */
        .scratch = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : file_tmp(),
        .command = j->command,
        .plan_path = path,
        .host = &j->host,
        .slow = soft ? 4 : 1,
        .again = a->again,
    };
    return 0;
}

int validate_job_open(struct validate_job *j, const struct validate_args *a, const char *path,
                      struct err *e)
{
    int rc = job_read(j, a, path, e);

    return rc < 0 ? rc : runner_prepare(&j->cfg, e);
}

void validate_job_free(struct validate_job *j)
{
    vfacts_free(&j->host);
    vplan_free(&j->plan);
}

/* --- all cells --- */

struct pool {
    struct validate_job *j;
    const struct validate_args *a;
    pid_t *pid; /* of each cell; 0: not started or done */
    time_t *since;
    size_t started, running, done;
    bool live; /* somebody watches: say what is running */
};

static int pool_soft(const struct validate_job *j, const struct validate_args *a, size_t i)
{
    struct err e = {0};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), rc;

    rc = null < 0 ? err_set(&e, errno, "cannot open /dev/null: %s", strerror(errno))
                  : soft_cell(a, j->out, j->cfg.plan_path, i + 1, null, &e);
    if (rc >= 0)
        return rc;
    (void)cli_fail(&e);
    return VALIDATE_ERROR;
}

/* In a process of its own: the result is the folder, the exit code says the rest. */
static int pool_cell(struct validate_job *j, size_t i)
{
    struct vrecord r;
    struct err e = {0};
    bool cached;
    int code;

    if (runner_cell(&j->cfg, i, &r, &cached, &e) < 0) {
        (void)cli_fail(&e);
        code = VALIDATE_ERROR;
    } else {
        code = vrecord_exit(&r);
    }
    vrecord_free(&r);
    return code;
}

static time_t pool_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* One line that is written over and over: the cells that run, and since when. */
static void pool_live(const struct pool *p)
{
    unsigned width = line_width(STDERR_FILENO);
    struct vbuf text = {0};

    vbuf_print(&text, "[%zu/%zu] now", p->done, p->j->plan.cells);
    for (size_t i = 0, n = 0; i < p->started; i++) {
        char id[VPLAN_CELL_ID];

        if (!p->pid[i])
            continue;
        vplan_cell_id(&p->j->plan, &p->j->plan.cell[i], id);
        vbuf_print(&text, "%s %lld s %s", n++ ? "," : "", (long long)(pool_now() - p->since[i]),
                   id);
    }
    if (text.data)
        fprintf(stderr, "\r\033[K%.*s", (int)min_u64(text.len, width > 1 ? width - 1 : 79),
                text.data);
    fflush(stderr);
    vbuf_free(&text);
}

static pid_t pool_child(const struct pool *p, int *status)
{
    pid_t pid = 0;

    if (!p->live)
        return wait(status);
    while (pid == 0) {
        pid = waitpid(-1, status, WNOHANG);
        if (pid == 0) {
            pool_live(p);
            (void)poll(NULL, 0, POOL_LOOK);
        }
    }
    fputs("\r\033[K", stderr);
    return pid;
}

static int pool_start(struct pool *p, struct err *e)
{
    size_t i = p->started++;
    pid_t parent = getpid(), pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* nobody waits for the cell any more */
        if (getppid() != parent)
            _exit(VALIDATE_ERROR);
        _exit(p->a->soft ? pool_soft(p->j, p->a, i) : pool_cell(p->j, i));
    }
    if (pid < 0)
        return err_exit(e, EX_HOST_IO, errno, "cannot start a process: %s", strerror(errno));
    p->pid[i] = pid;
    p->since[i] = pool_now();
    p->running++;
    return 0;
}

static void pool_tell(struct pool *p, size_t i)
{
    struct vrecord r;
    struct err e = {0};
    char id[VPLAN_CELL_ID];

    vplan_cell_id(&p->j->plan, &p->j->plan.cell[i], id);
    if (runner_result(&p->j->cfg, i, &r, &e) > 0)
        fprintf(stderr, "[%zu/%zu] %-6s %4u s  %s\n", p->done, p->j->plan.cells,
                vstatus_word(r.verdict), (unsigned)(r.ms / 1000), id);
    else
        fprintf(stderr, "[%zu/%zu] ERROR          %s\n", p->done, p->j->plan.cells, id);
    vrecord_free(&r);
}

static void pool_wait(struct pool *p)
{
    int status = 0;
    pid_t pid = pool_child(p, &status);

    for (size_t i = 0; i < p->started; i++) {
        if (p->pid[i] == pid && pid > 0) {
            p->pid[i] = 0;
            p->running--;
            p->done++;
            if (WIFSIGNALED(status))
                fprintf(stderr, "hospes: cell %zu ended by signal %d\n", i + 1, WTERMSIG(status));
            if (!p->a->json)
                pool_tell(p, i);
            return;
        }
    }
}

static unsigned pool_jobs(const struct validate_args *a)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    /* A software host has one processor. */
    if (a->soft && !a->jobs)
        return (unsigned)max_u64((uint64_t)n, 1);
    return a->jobs ? a->jobs : n > 2 ? (unsigned)n / 2 : 2;
}

/* The results of all cells that have one; malloc()ed. */
static int read_results(struct validate_job *j, struct vrecord **out, size_t *n, struct err *e)
{
    struct vrecord *r = calloc(j->plan.cells, sizeof(*r));
    int rc = r ? 0 : err_set(e, ENOMEM, "no memory for results");

    *n = 0;
    for (size_t i = 0; rc == 0 && i < j->plan.cells; i++) {
        rc = runner_result(&j->cfg, i, &r[*n], e);
        if (rc != 0)
            (*n)++;
        rc = rc > 0 ? 0 : rc;
    }
    *out = r;
    return rc;
}

static void free_results(struct vrecord *r, size_t n)
{
    for (size_t i = 0; r && i < n; i++)
        vrecord_free(&r[i]);
    free(r);
}

/* The table, the bundle if a key was given, and the exit code. */
static int tell_results(struct validate_job *j, const struct validate_args *a, struct err *e)
{
    struct vrecord *r;
    size_t n;
    int rc = read_results(j, &r, &n, e), code = VALIDATE_ERROR;

    if (rc == 0) {
        validate_table(r, n, a->json);
        code = validate_exit(r, n);
        if (n < j->plan.cells) {
            if (!a->json)
                printf("%zu of %zu cells have no result\n", j->plan.cells - n, j->plan.cells);
            code = code == 1 ? 1 : VALIDATE_ERROR;
        }
    }
    if (rc == 0 && a->keys)
        rc = validate_bundle(a, j->out, e);
    free_results(r, n);
    return rc < 0 ? rc : code;
}

int validate_run_cells(struct validate_job *j, const struct validate_args *a, struct err *e)
{
    struct pool p = {.j = j, .a = a, .live = !a->json && isatty(STDERR_FILENO)};
    unsigned jobs = pool_jobs(a);
    int rc = 0;

    p.pid = calloc(j->plan.cells, sizeof(*p.pid));
    p.since = calloc(j->plan.cells, sizeof(*p.since));
    if (!p.pid || !p.since)
        rc = err_set(e, ENOMEM, "no memory for the cells");
    while (rc == 0 && p.done < j->plan.cells) {
        if (p.started < j->plan.cells && p.running < jobs)
            rc = pool_start(&p, e);
        else
            pool_wait(&p);
    }
    while (p.running > 0)
        pool_wait(&p);
    free(p.pid);
    free(p.since);
    return rc < 0 ? rc : tell_results(j, a, e);
}

/* --- the commands --- */

/* 64 stays what it is; everything else that stops a run is "could not be run". */
static int run_failed(const struct err *e)
{
    int code = cli_fail(e);

    return code == EX_USAGE_ ? code : VALIDATE_ERROR;
}

static int run_here(const struct validate_args *a, const char *plan, struct err *e)
{
    struct validate_job *j = calloc(1, sizeof(*j));
    int rc = j ? validate_job_open(j, a, plan, e) : err_set(e, ENOMEM, "no memory for a plan");

    if (rc == 0)
        rc = validate_run_cells(j, a, e);
    if (j)
        validate_job_free(j);
    free(j);
    return rc;
}

/* A key that is missing is found before the hours, not after. */
static int run_keys(const struct validate_args *a, struct err *e)
{
    struct seckey key;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < a->keys; i++)
        rc = key_read_secret(a->key[i], &key, e);
    seckey_wipe(&key);
    return rc;
}

static int run_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct err e = {0};
    struct vplan plan;
    int rc = validate_parse(&validate_run, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    memset(&plan, 0, sizeof(plan));
    if (rc == 0)
        rc = vplan_read(&plan, argv[1], NULL, &e); /* a broken plan needs no software host */
    vplan_free(&plan);
    if (rc == 0)
        rc = run_keys(&a, &e);
    if (rc == 0) {
        a.soft = validate_soft(&a);
        rc = run_here(&a, argv[1], &e);
    }
    return rc < 0 ? run_failed(&e) : rc;
}

static const struct cli_option run_options[] = {
    {"out", "DIR", "results folder (default PLAN without its ending, and .results)",
     validate_set_out},
    {"jobs", "N", "cells at a time (default half of the processors, at least 2)",
     validate_set_jobs},
    {"key", "FILE", "sign the results with this secret key; may repeat", validate_set_key},
    {"bundle", "FILE", "where the signed bundle goes (default DIR.tar.zst)", validate_set_bundle},
    {"control", "qemu", "run the checks of the guest on plain QEMU, too", validate_set_control},
    {"again", NULL, "run cells that have a result again", validate_set_again},
    {"host", "kvm|soft|auto", "what runs the guests (default auto, or $HOSPES_HOST)",
     validate_set_host},
    {"json", NULL, "print one JSON object per cell", validate_set_json},
    {NULL},
};

const struct cli_command validate_run = {
    .name = "validate run",
    .args = "[OPTION...] PLAN",
    .about = "Runs all cells of a plan here, and signs the results.",
    .more = "Cells that have a result are not run again. Without usable KVM each cell runs in a\n"
            "software host that no other one uses meanwhile; `hospes host --stop` ends them.",
    .options = run_options,
    .run = run_main,
};

static int cell_number(const char *text, const struct vplan *p, size_t *out, struct err *e)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < 1 || n > p->cells)
        return err_exit(e, EX_USAGE_, EINVAL, "the plan has cells 1 to %zu, not %s", p->cells,
                        text);
    *out = n - 1;
    return 0;
}

/* What needs no guest, and so no software host: a wrong number, and a result that is there (1, with
 * its exit code). */
static int cell_there(const struct validate_args *a, const char *path, const char *number,
                      int *code, struct err *e)
{
    struct validate_job *j = calloc(1, sizeof(*j));
    struct vrecord r;
    size_t i = 0;
    int rc = j ? vplan_read(&j->plan, path, a->suite_dir, e)
               : err_set(e, ENOMEM, "no memory for a plan");

    vrecord_init(&r);
    if (rc == 0)
        rc = cell_number(number, &j->plan, &i, e);
    if (rc == 0)
        rc = job_out(j, a, path, e);
    if (rc == 0 && !a->again) {
        j->cfg = (struct runner_cfg){.plan = &j->plan, .out = j->out};
        rc = runner_result(&j->cfg, i, &r, e);
    }
    if (rc > 0) {
        validate_table(&r, 1, a->json);
        *code = vrecord_exit(&r);
    }
    vrecord_free(&r);
    if (j)
        validate_job_free(j);
    free(j);
    return rc;
}

static int cell_here(const struct validate_args *a, const char *path, const char *number,
                     struct err *e)
{
    struct validate_job *j = calloc(1, sizeof(*j));
    struct vrecord r;
    bool cached = false;
    size_t i = 0;
    int rc = j ? validate_job_open(j, a, path, e) : err_set(e, ENOMEM, "no memory for a plan");

    vrecord_init(&r);
    if (rc == 0)
        rc = cell_number(number, &j->plan, &i, e);
    if (rc == 0)
        rc = runner_cell(&j->cfg, i, &r, &cached, e);
    if (rc == 0) {
        validate_table(&r, 1, a->json);
        rc = vrecord_exit(&r);
    }
    vrecord_free(&r);
    if (j)
        validate_job_free(j);
    free(j);
    return rc;
}

static int run_cell_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct err e = {0};
    int code = 0, rc = validate_parse(&validate_run_cell, argc, argv, &a, 2, 2, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = cell_there(&a, argv[1], argv[2], &code, &e);
    if (rc > 0)
        return code;
    if (rc == 0 && validate_soft(&a))
        rc = soft_cell(&a, a.out, argv[1], strtoul(argv[2], NULL, 10), STDOUT_FILENO, &e);
    else if (rc == 0)
        rc = cell_here(&a, argv[1], argv[2], &e);
    return rc < 0 ? run_failed(&e) : rc;
}

static const struct cli_option run_cell_options[] = {
    {"out", "DIR", "results folder (default PLAN without its ending, and .results)",
     validate_set_out},
    {"control", "qemu", "run the checks of the guest on plain QEMU, too", validate_set_control},
    {"again", NULL, "run it though it has a result", validate_set_again},
    {"suite-dir", "DIR", "where the suites are (default: those of this program)",
     validate_set_suite_dir},
    {"host", "kvm|soft|auto", "what runs the guest (default auto, or $HOSPES_HOST)",
     validate_set_host},
    {"json", NULL, "print JSON", validate_set_json},
    {NULL},
};

const struct cli_command validate_run_cell = {
    .name = "validate run-cell",
    .args = "[OPTION...] PLAN N",
    .about = "Runs one cell, for an engine that hands out numbers.",
    .more = "Running it twice does the work once. make -j, GNU parallel or a Slurm array can be\n"
            "the engine; `hospes validate collect` then puts the results together.",
    .options = run_cell_options,
    .run = run_cell_main,
};

static int collect_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct err e = {0};
    struct validate_job *j = calloc(1, sizeof(*j));
    int rc = j ? validate_parse(&validate_collect, argc, argv, &a, 1, 1, &e) : 1;

    if (rc > 0) {
        free(j);
        return EX_OK;
    }
    if (rc == 0)
        rc = job_read(j, &a, argv[1], &e);
    if (rc == 0 && access(j->out, F_OK) < 0)
        rc = err_exit(&e, EX_MISSING, ENOENT,
                      "there are no results in %s: run the plan first, or say by --out where they "
                      "are",
                      j->out);
    if (rc == 0)
        rc = runner_prepare(&j->cfg, &e);
    if (rc == 0)
        rc = tell_results(j, &a, &e);
    validate_job_free(j);
    free(j);
    return rc < 0 ? run_failed(&e) : rc;
}

static const struct cli_option collect_options[] = {
    {"out", "DIR", "results folder (default PLAN without its ending, and .results)",
     validate_set_out},
    {"key", "FILE", "sign the results with this secret key; may repeat", validate_set_key},
    {"bundle", "FILE", "where the signed bundle goes (default DIR.tar.zst)", validate_set_bundle},
    {"json", NULL, "print one JSON object per cell", validate_set_json},
    {NULL},
};

const struct cli_command validate_collect = {
    .name = "validate collect",
    .args = "[OPTION...] PLAN",
    .about = "Shows the results that cells have left, and signs them.",
    .options = collect_options,
    .run = collect_main,
};
