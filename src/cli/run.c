/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - `hospes run`: options to a plan, the plan to a machine, its end to an exit code.
 *
 * The banner goes to standard error and the guest's console to standard output. With --json the
 * same facts are JSON objects, on standard output unless the console has that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board/device.h"
#include "board/varstore.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/detach.h"
#include "cli/line.h"
#include "cli/soft.h"
#include "console/console.h"
#include "core/cfg.h"
#include "core/log.h"
#include "core/loop.h"
#include "host/host.h"
#include "host/probe.h"
#include "host/sandbox.h"
#include "inspect/auto.h"
#include "machine/machine.h"
#include "machine/runtime.h"
#include "machine/tpm.h"

struct run {
    struct plan plan;
    char *host; /* kvm, soft, auto */
    bool detach, json;
    bool named; /* it has a name that stays */
    enum sandbox_mode sandbox;
    bool sandbox_said;
    bool tpm_said;     /* by the user, who knows that it is another one */
    bool persona_said; /* by the user, and so not to be decided */
    struct import_wish wish;
    struct import_report report; /* of FILE, when that was a description */
    FILE *facts;                 /* where JSON goes */
    const char *control;
};

/* --- options --- */

static int run_persona(void *arg, const char *value, struct err *e)
{
    struct plan *p = &((struct run *)arg)->plan;
    const char *opts = strchr(value, ',');
    char *name = opts ? strndup(value, (size_t)(opts - value)) : strdup(value);
    int rc;

    if (!name)
        return err_set(e, ENOMEM, "no memory for the plan");
    ((struct run *)arg)->persona_said = strcmp(name, "auto") != 0;
    rc = plan_set(&p->persona, strcmp(name, "auto") == 0 ? NULL : name, e);
    free(name);
    if (rc == 0)
        rc = plan_set(&p->persona_opts, opts ? opts + 1 : NULL, e);
    return rc;
}

static int run_firmware(void *arg, const char *value, struct err *e)
{
    struct plan *p = &((struct run *)arg)->plan;
    const char *opts = strchr(value, ',');
    char *name = opts ? strndup(value, (size_t)(opts - value)) : strdup(value);
    int rc;

    if (!name)
        return err_set(e, ENOMEM, "no memory for the plan");
    rc = plan_set(&p->firmware, name, e);
    free(name);
    return rc < 0 ? rc : plan_set(&p->firmware_opts, opts ? opts + 1 : NULL, e);
}

/* A count of processors in front of `stop`; 0: none. */
static unsigned run_count(const char *text, char **stop)
{
    unsigned long n;

    errno = 0;
    n = strtoul(text, stop, 10);
    return errno || *text < '0' || *text > '9' || n > PLAN_MAX_CPUS ? 0 : (unsigned)n;
}

static int run_cpus(void *arg, const char *value, struct err *e)
{
    struct plan *p = &((struct run *)arg)->plan;
    char *stop;

    p->cpus = run_count(value, &stop);
    p->cpus_max = 0;
    if (p->cpus && strncmp(stop, ",max=", 5) == 0) {
        p->cpus_max = run_count(stop + 5, &stop);
        if (p->cpus_max < p->cpus)
            p->cpus = 0;
    }
    if (!p->cpus || *stop)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--cpus wants a number from 1 to %d, or two like 2,max=4, not %s",
                        PLAN_MAX_CPUS, value);
    return 0;
}

static int run_memory(void *arg, const char *value, struct err *e)
{
    uint64_t n;

    if (size_parse(value, &n) < 0 || n == 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--memory wants a size like 512M or 2G, not %s",
                        value);
    ((struct run *)arg)->plan.memory = n;
    return 0;
}

#define RUN_TEXT(option, field)                                                                    \
    static int run_##option(void *arg, const char *value, struct err *e)                           \
    {                                                                                              \
        return plan_set(&((struct run *)arg)->field, value, e);                                    \
    }
static int run_module(void *arg, const char *value, struct err *e)
{
    return plan_add_module(&((struct run *)arg)->plan, value, e);
}

RUN_TEXT(board, plan.machine)
RUN_TEXT(kernel, plan.kernel)
RUN_TEXT(initrd, plan.initrd)
RUN_TEXT(append, plan.append)
RUN_TEXT(nvram, plan.nvram)
RUN_TEXT(serial, plan.serial)
RUN_TEXT(display, plan.display)
RUN_TEXT(name, plan.name)
RUN_TEXT(log, plan.log)

static int run_host(void *arg, const char *value, struct err *e)
{
    if (strcmp(value, "kvm") != 0 && strcmp(value, "soft") != 0 && strcmp(value, "auto") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--host is kvm, soft or auto, not %s", value);
    return plan_set(&((struct run *)arg)->host, value, e);
}

static int run_disk(void *arg, const char *value, struct err *e)
{
    return plan_add_disk(&((struct run *)arg)->plan, value, e);
}

static int run_floppy(void *arg, const char *value, struct err *e)
{
    return plan_add_floppy(&((struct run *)arg)->plan, value, e);
}

static int run_cdrom(void *arg, const char *value, struct err *e)
{
    return plan_add_drive(&((struct run *)arg)->plan, value, e);
}

static int run_nic(void *arg, const char *value, struct err *e)
{
    return plan_add_nic(&((struct run *)arg)->plan, value, e);
}

static int run_tpm(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->tpm_said = true;
    return plan_set_tpm(&((struct run *)arg)->plan, value, e);
}

static int run_sandbox(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->sandbox_said = true;
    if (sandbox_parse(value, &((struct run *)arg)->sandbox) < 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--sandbox is on, strict or off, not '%s'", value);
    return 0;
}

static int run_testdev(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->plan.testdev = true;
    return 0;
}

static int run_hugepages(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->plan.hugepages = true;
    return 0;
}

static int run_pick(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->wish.choice = value;
    return 0;
}

static int run_trust(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->wish.trust = true;
    return 0;
}

static int run_detach(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->detach = true;
    return 0;
}

static int run_json(void *arg, const char *value, struct err *e)
{
    ((struct run *)arg)->json = true;
    return 0;
}

static const struct cli_option run_options[] = {
    {"persona", "NAME[,K=V]", "kvm, hyperv, xen, vmware, bare or auto (default)", run_persona},
    {"machine", "pc|q35", "the board: an i440FX PC (default), or one with PCI Express (kvm, bare)",
     run_board},
    {"cpus", "N[,max=M]", "processors (default 1), and how many hospes ask may make of them",
     run_cpus},
    {"memory", "SIZE", "memory: 512M, 2G (default 1G)", run_memory},
    {"hugepages", NULL, "memory from the pool of huge pages (vm.nr_hugepages)", run_hugepages},
    {"kernel", "FILE", "start this kernel without firmware: bzImage, vmlinux, PVH, multiboot",
     run_kernel},
    {"initrd", "FILE", "initial RAM disk, or the first module of a PVH or multiboot kernel",
     run_initrd},
    {"module", "FILE[,TEXT]", "add a module of a PVH or multiboot kernel, TEXT its command line",
     run_module},
    {"append", "TEXT", "command line of the kernel", run_append},
    {"firmware", "bios|uefi[,K=V]",
     "firmware to start (default bios without --kernel): menu[=SECONDS] for its boot menu; uefi: "
     "secure, or code=FILE, vars=FILE",
     run_firmware},
    {"nvram", "FILE|none", "where UEFI keeps its variables (default: by the machine's name)",
     run_nvram},
    {"tpm", "2.0[,state=DIR]|none",
     "a TPM by swtpm, and where its state is (default: by the machine's name)", run_tpm},
    {"disk", "FILE[,K=V]",
     "add a disk: format=F, snapshot (default) or write or readonly, outside, bus=B, loop=N, "
     "boot=N",
     run_disk},
    {"cdrom", "FILE", "add a CD-ROM drive with this image, or none", run_cdrom},
    {"floppy", "FILE", "add a floppy drive with this image, or none; started before disks",
     run_floppy},
    {"nic", "NET[,K=V]",
     "add a NIC: user[,forward=tcp:ADDR:PORT-:PORT], tap=NAME, socket=PATH or none; mac=M, "
     "model=M, boot=N",
     run_nic},
    {"serial", "WHERE", "stdio (default), none, file=PATH, unix=PATH or pty", run_serial},
    {"display", "WHERE", "none (default) or vnc=ADDR:PORT[,web=ADDR:PORT]", run_display},
    {"name", "NAME", "name for ls, stop, console and info", run_name},
    {"detach", NULL, "go to the background once the guest runs", run_detach},
    {"json", NULL, "print facts as JSON, one object per line", run_json},
    {"log", "FILE", "append the machine's log to this file", run_log},
    {"host", "kvm|soft|auto", "what runs the guest (default auto, or $HOSPES_HOST)", run_host},
    {"pick", "NAME", "of several machines or configurations that FILE describes, this one",
     run_pick},
    {"trust", NULL, "what FILE names, disks and their parents, may lie anywhere: it is your own",
     run_trust},
    {"sandbox", "on|strict|off", "what system calls the running machine is left with (default on)",
     run_sandbox},
    {"testdev", NULL, "add the test devices of kvm-unit-tests", run_testdev},
    {NULL},
};

/* --- facts --- */

static void run_fact_json(struct run *r, struct json_object *o)
{
    line_utf8(r->facts, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    fflush(r->facts);
    json_object_put(o);
}

/* One line of the banner, or one JSON object. */
static void run_fact(struct run *r, const char *key, const char *value)
{
    struct json_object *o;

    if (!r->json) {
        line_complain("%s: %s", key, value);
        return;
    }
    o = json_object_new_object();
    json_object_object_add(o, key, json_object_new_string(value));
    run_fact_json(r, o);
}

struct run_dump {
    struct dump dump;
    struct run *r;
};

static void run_dump_add(struct dump *out, const char *key, const char *value)
{
    static const char *const shown[] = {"persona", "cpus", "memory",  "kernel",
                                        "disk",    "nic",  "display", "web"};
    struct run_dump *d = container_of(out, struct run_dump, dump);

    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
        if (strcmp(key, shown[i]) == 0)
            run_fact(d->r, key, value);
    }
}

static void run_banner(struct run *r, struct machine *m)
{
    struct run_dump d = {{run_dump_add}, r};

    run_fact(r, "guest", r->plan.name);
    if (r->plan.persona_why)
        run_fact(r, "why", r->plan.persona_why);
    machine_describe(m, &d.dump);
    run_fact(r, "console", machine_console(m)->where);
    if (plan_uefi(&r->plan) && strcmp(r->plan.nvram, "none") != 0)
        run_fact(r, "nvram", r->plan.nvram);
    if (plan_tpm(&r->plan) && strcmp(r->plan.tpm_state, "none") != 0)
        run_fact(r, "tpm", r->plan.tpm_state);
    run_fact(r, "control", r->control);
    if (r->plan.log)
        run_fact(r, "log", r->plan.log);
}

/* --- the run --- */

enum { RUN_PATIENCE_S = 10 };

static struct machine *volatile run_machine; /* NULL: it runs no more */
static volatile sig_atomic_t run_signalled;

static void run_on_signal(int sig)
{
    run_signalled = true;
    if (run_machine)
        machine_interrupt(run_machine);
}

static void run_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = run_on_signal, .sa_flags = (int)SA_RESTART};

    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        sigaction(ends[i], &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The guest's memory may not go while a disk may still write there, so a disk that does not answer
 * keeps the machine. But not for ever from who wants it to end: this is the plug of that disk. */
static void run_waits(void *arg, const char *what, unsigned seconds)
{
    if (seconds < RUN_PATIENCE_S || (!run_signalled && !machine_unplugged(arg)))
        return;
    log_line(LOG_ERROR, what, "gives no answer: the machine ends without it");
    console_restore_terminal();
    line_complain("hospes: %s has given no answer for %u s, and the machine ends without it; look "
                  "at the storage behind it, and check an image there before its next use",
                  what, seconds);
    _exit(EX_INTERRUPTED);
}

/* The exit code, after a word on standard error where the end is not plain. */
static int run_end(struct run *r, const struct machine *m, enum machine_end end)
{
    static const struct {
        const char *word;
        enum exit_code code;
    } ends[] = {
        [END_POWEROFF] = {"powered off", EX_OK},
        [END_CRASHED] = {"crashed", EX_GUEST_CRASHED},
        [END_RESETS] = {"keeps resetting", EX_GUEST_RESETS},
        [END_STOPPED] = {"stopped", EX_OK},
        [END_INTERRUPTED] = {"interrupted", EX_INTERRUPTED},
        [END_TEST] = {"test ended", EX_OK},
        [END_FAILED] = {"failed", EX_NO_HOST},
    };
    int code = end == END_TEST ? (int)machine_test_value(m) : (int)ends[end].code;

    if (r->json) {
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "end", json_object_new_string(ends[end].word));
        json_object_object_add(o, "why", json_object_new_string(machine_why(m)));
        json_object_object_add(o, "exit", json_object_new_int(code));
        run_fact_json(r, o);
    } else if (end == END_CRASHED || end == END_RESETS) {
        line_complain("hospes: the guest %s: %s", ends[end].word, machine_why(m));
    }
    return code;
}

/* Who did not ask for a sandbox gets one where there is one. */
static int run_sandbox_open(const struct run *r, struct err *e)
{
    bool there = r->sandbox_said || sandbox_there();

    if (!there)
        log_line(LOG_WARN, "sandbox", "this host has none: the machine runs without");
    return sandbox_open(there ? r->sandbox : SANDBOX_OFF, console_restore_terminal, e);
}

static int run_plan(struct run *r, struct err *e)
{
    enum machine_end end;
    struct machine *m;
    int rc;

    if (r->plan.log) {
        rc = log_open(r->plan.log, getenv("HOSPES_TRACE") ? LOG_TRACE : LOG_INFO, e);
        if (rc < 0)
            return rc;
    }
    rc = machine_create(&r->plan, &host_kvm, &m, e);
    if (rc < 0)
        return rc;
    rc = machine_control(m, &r->control, e);
    if (rc < 0) {
        machine_destroy(m);
        return rc;
    }
    run_banner(r, m);
    run_machine = m;
    run_signals();
    loop_on_wait(machine_loop(m), run_waits, m);
    detach_ready();
    rc = run_sandbox_open(r, e);
    if (rc == 0)
        rc = machine_run(m, &end, e);
    run_machine = NULL;
    if (rc == 0)
        rc = run_end(r, m, end);
    machine_destroy(m);
    return rc;
}

/* Where a machine gets its name and persona when the user says neither. A description's persona is
 * evidence like others. */
static int run_defaults(struct run *r, struct err *e)
{
    char name[32];
    int rc = 0;

    snprintf(name, sizeof(name), "guest-%d", (int)getpid());
    r->named = r->plan.name != NULL;
    if (!r->plan.name)
        rc = plan_set(&r->plan.name, name, e);
    if (rc == 0 && !r->persona_said)
        rc = auto_decide(&r->plan, NULL, e);
    if (rc == 0 && !r->plan.serial)
        rc = plan_set(&r->plan.serial, r->detach ? "none" : "stdio", e);
    r->facts = r->plan.serial && strncmp(r->plan.serial, "stdio", 5) == 0 ? stderr : stdout;
    return rc;
}

/* The machine that FILE describes, with what the command line says over it. */
static int run_description(struct run *r, const char *path, struct err *e)
{
    struct plan over = r->plan;
    int rc;

    plan_init(&r->plan);
    r->wish.quick = true;
    rc = describe_read(path, &r->wish, &r->plan, &r->report, e);
    if (rc == 0)
        rc = plan_merge(&r->plan, &over, e);
    plan_free(&over);
    return rc;
}

static int run_image(struct run *r, const char *path, struct err *e)
{
    int rc = plan_add_file(&r->plan, path, e);

    if (rc == 0)
        r->plan.disk[r->plan.disks - 1].outside |= r->wish.trust;
    return rc;
}

static void run_need(void *arg, const char *text)
{
    run_fact(arg, "note", text);
}

/* What became of the description, in one line, and what the machine will miss. */
static void run_imported(struct run *r)
{
    size_t fates[3] = {0};
    char text[160];

    for (size_t i = 0; i < r->report.count; i++)
        fates[r->report.lines[i].fate]++;
    if (r->report.format) {
        snprintf(text, sizeof(text),
                 "%s: %zu keys kept, %zu changed, %zu dropped; hospes import tells of each",
                 r->report.format, fates[IMPORT_KEPT], fates[IMPORT_CHANGED],
                 fates[IMPORT_DROPPED]);
        run_fact(r, "description", text);
    }
    describe_needs(&r->plan, !r->tpm_said, run_need, r);
}

/* Does the machine run here, or in a software host? 1: there; said in one line. */
static int run_choose_host(struct run *r, struct err *e)
{
    const char *said = getenv("HOSPES_HOST");
    char why[sizeof(((struct host_probe *)0)->why) + 32];
    struct host_probe probe;

    if (!r->host && said && *said) {
        int rc = run_host(r, said, e);

        if (rc < 0)
            return err_wrap(e, "HOSPES_HOST");
    }
    if (r->host && strcmp(r->host, "kvm") == 0)
        return 0;
    if (r->host && strcmp(r->host, "soft") == 0) {
        run_fact(r, "host", "software, as asked");
        return 1;
    }
    host_probe(&probe);
    if (probe.usable)
        return 0;
    /* The advice after the reason is what happens here anyway. */
    snprintf(why, sizeof(why), "software, because %.*s", (int)strcspn(probe.why, ";"), probe.why);
    run_fact(r, "host", why);
    return 1;
}

/* A machine that has a name keeps its variables under it; others forget them. */
static int run_nvram_default(struct run *r, struct err *e)
{
    char *file = NULL;
    int rc;

    if (!plan_uefi(&r->plan) || r->plan.nvram)
        return 0;
    rc = runtime_check_name(r->plan.name, e);
    if (rc == 0 && r->named)
        rc = varstore_default(r->plan.name, true, &file, e);
    if (rc == 0)
        rc = plan_set(&r->plan.nvram, file ? file : "none", e);
    free(file);
    return rc;
}

/* The TPM's state likewise. */
static int run_tpm_default(struct run *r, struct err *e)
{
    char *folder = NULL;
    int rc;

    if (!plan_tpm(&r->plan) || r->plan.tpm_state)
        return 0;
    rc = runtime_check_name(r->plan.name, e);
    if (rc == 0 && r->named)
        rc = tpm_default(r->plan.name, &folder, e);
    if (rc == 0)
        rc = plan_set(&r->plan.tpm_state, folder ? folder : "none", e);
    free(folder);
    return rc;
}

/* words: the command line, before its options were taken out of argv. */
static int run_go(struct run *r, int argc, char *const *words, struct err *e)
{
    int soft = run_choose_host(r, e), rc = soft < 0 ? soft : 0;

    if (rc == 0 && r->detach)
        rc = detach_start(e);
    if (rc < 0)
        return rc;
    if (soft && r->plan.persona_why) /* the inner one is told the persona, and not the reason */
        run_fact(r, "why", r->plan.persona_why);
    return soft ? soft_run(&r->plan, argc, words, e) : run_plan(r, e);
}

static int run_main(int argc, char **argv)
{
    struct run r = {.sandbox = SANDBOX_ON};
    struct err e = {0};
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    int n, rc;

    plan_init(&r.plan);
    if (!words)
        return EX_BUG;
    memcpy(words, argv, (size_t)argc * sizeof(*words));
    rc = cli_parse(&cli_run, argc, argv, &r, &n, &e);
    if (rc > 0) {
        plan_free(&r.plan);
        free(words);
        return EX_OK;
    }
    if (rc == 0 && n > 1)
        rc =
            err_exit(&e, EX_USAGE_, EINVAL, "run takes one FILE, not %d: add disks with --disk", n);
    if (rc == 0 && n == 1)
        rc = describe_is(argv[1]) ? run_description(&r, argv[1], &e) : run_image(&r, argv[1], &e);
    if (rc == 0)
        rc = run_defaults(&r, &e);
    if (rc == 0)
        run_imported(&r);
    if (rc == 0)
        rc = plan_check(&r.plan, &e);
    if (rc == 0)
        rc = run_nvram_default(&r, &e);
    if (rc == 0)
        rc = run_tpm_default(&r, &e);
    if (rc == 0)
        rc = run_go(&r, argc, words, &e);
    if (rc < 0)
        rc = detach_failed(&e) ? (int)e.exit : cli_fail(&e);
    plan_free(&r.plan);
    import_report_free(&r.report);
    free(words);
    free(r.host);
    log_close();
    return rc;
}

const struct cli_command cli_run = {
    .name = "run",
    .args = "[OPTION...] [FILE]",
    .about = "Starts a machine from a disk image, a machine description or a kernel.",
    .more = "FILE is a disk image, as with --disk, a CD-ROM's (ISO 9660), as with --cdrom, a plan, "
            "or a\n"
            "description of another product as hospes import reads it; options go before what it "
            "says. The guest's serial console is "
            "on standard\n"
            "output; Ctrl-] q quits and Ctrl-] ? lists the keys.\n\n"
            "Exit codes: 0 guest powered off, 3 guest crashed, 4 guest keeps resetting, 64 wrong\n"
            "usage, 65 bad input file, 66 file missing, 69 no host that can run guests, 73 disk\n"
            "in use, 70 a bug of hospes, 130 interrupted.",
    .options = run_options,
    .run = run_main,
};
