/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - `hospes doctor`: measures what this machine can do for guests, and says what to do
 * about each thing that is missing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "board/uefi.h"
#include "cli/commands.h"
#include "cli/line.h"
#include "core/file.h"
#include "host/host.h"
#include "host/probe.h"
#include "machine/runtime.h"
#include "machine/tpm.h"

enum doctor_state { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_BAD };

struct doctor {
    bool json;
    bool terminal;
    struct host_probe probe;
    bool soft; /* the software host can be started */
};

static const char *const doctor_words[] = {"ok", "note", "missing"};

/* One line of the report. advice may be NULL when there is nothing to do. */
static void doctor_say(struct doctor *d, enum doctor_state state, const char *check,
                       const char *advice, const char *fmt, ...) PRINTF_LIKE(5, 6);

static void doctor_say(struct doctor *d, enum doctor_state state, const char *check,
                       const char *advice, const char *fmt, ...)
{
    static const char *const colour[] = {"\033[32m", "\033[33m", "\033[31m"};
    char fact[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fact, sizeof(fact), fmt, ap);
    va_end(ap);
    if (d->json) {
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "check", json_object_new_string(check));
        json_object_object_add(o, "state", json_object_new_string(doctor_words[state]));
        json_object_object_add(o, "fact", json_object_new_string(fact));
        if (advice)
            json_object_object_add(o, "do", json_object_new_string(advice));
        line_json(o);
        return;
    }
    printf("%-14s %s%-8s%s %s\n", check, d->terminal ? colour[state] : "", doctor_words[state],
           d->terminal ? "\033[0m" : "", fact);
    if (advice)
        printf("%-23s -> %s\n", "", advice);
}

/* The first line of a file, "" when it cannot be read. */
static const char *doctor_line(const char *path, char *buf, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, room - 1);

    if (fd >= 0)
        close(fd);
    buf[n > 0 ? n : 0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

static uint64_t doctor_number(const char *path)
{
    char buf[64];

    return strtoull(doctor_line(path, buf, sizeof(buf)), NULL, 10);
}

static bool doctor_program(const char *name)
{
    char file[512];

    return file_program(name, file, sizeof(file));
}

/* --- processors --- */

static void doctor_kvm(struct doctor *d)
{
    const struct host_probe *p = &d->probe;

    if (!p->opens || p->speed == 0) {
        doctor_say(d, DOCTOR_BAD, "kvm", NULL, "%s", p->why);
        return;
    }
    doctor_say(d, DOCTOR_OK, "kvm", NULL, "/dev/kvm opens and makes machines");
    doctor_say(d, p->usable ? DOCTOR_OK : DOCTOR_BAD, "kvm speed",
               p->usable ? NULL
                         : "guests run by the software host (--host soft), or use a machine with "
                           "virtual machine extensions of its own",
               "kernel code runs at %.1f million instructions per second%s", (double)p->speed / 1e6,
               p->usable ? "" : ": KVM emulates it here");
}

static void doctor_soft(struct doctor *d)
{
    bool qemu = doctor_program("qemu-system-x86_64");

    d->soft = qemu;
    if (qemu)
        doctor_say(d, DOCTOR_OK, "software host", NULL, "qemu-system-x86_64 is installed");
    else
        doctor_say(d, d->probe.usable ? DOCTOR_NOTE : DOCTOR_BAD, "software host",
                   "apt install qemu-system-x86 busybox-static",
                   "qemu-system-x86_64 is not installed: without usable KVM no guest runs");
}

static void doctor_clock(struct doctor *d)
{
    static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char now[64];

    doctor_line(path, now, sizeof(now));
    if (strcmp(now, "tsc") == 0)
        doctor_say(d, DOCTOR_OK, "clock", NULL, "the host's clock is the TSC");
    else
        doctor_say(d, DOCTOR_NOTE, "clock",
                   "boot the host with tsc=reliable clocksource=tsc if its TSC is stable",
                   "the host's clock is %s: kvmclock and the reference TSC page are not stable",
                   *now ? now : "unknown");
}

/* --- what each persona would use --- */

static void doctor_personas(struct doctor *d)
{
    uint32_t caps = d->probe.caps;
    bool msr = caps & HOST_CAP_USER_MSR;

    if (!d->probe.usable) {
        if (d->soft)
            doctor_say(d, DOCTOR_OK, "personas", NULL,
                       "the software host's kernel serves them all");
        return;
    }
    doctor_say(d, caps & HOST_CAP_SYNC_REGS ? DOCTOR_OK : DOCTOR_NOTE, "persona kvm",
               caps & HOST_CAP_SYNC_REGS ? NULL : "use a kernel of 4.17 or later",
               "KVM's own leaves and clock; registers %s with exits",
               caps & HOST_CAP_SYNC_REGS ? "come" : "do not come");
    if (caps & HOST_CAP_HYPERV_SYNIC)
        doctor_say(d, DOCTOR_OK, "persona hyperv", NULL,
                   "SynIC, synthetic timers and signals in the kernel%s",
                   caps & HOST_CAP_HYPERV_ENFORCE ? ", CPUID enforced" : "");
    else
        doctor_say(d, DOCTOR_BAD, "persona hyperv", "use a kernel with KVM_HYPERV, as Debian's are",
                   "KVM has no SynIC: guests made for Hyper-V cannot start");
    if ((caps & HOST_CAP_XEN_HCALL) && (caps & HOST_CAP_XEN_EVTCHN))
        doctor_say(d, DOCTOR_OK, "persona xen", NULL,
                   "hypercalls and event channels in the kernel (KVM_XEN)");
    else
        doctor_say(d, msr ? DOCTOR_OK : DOCTOR_BAD, "persona xen",
                   msr ? NULL : "use a kernel of 5.10 or later",
                   msr ? "portable way: hypercalls by a stub page, no KVM_XEN needed"
                       : "KVM can neither trap MSRs nor take Xen's hypercalls");
    if (caps & HOST_CAP_VMWARE_PORT)
        doctor_say(d, DOCTOR_OK, "persona vmware", NULL,
                   "the backdoor port is open for ring 3 (vmtoolsd)");
    else
        doctor_say(d, DOCTOR_NOTE, "persona vmware",
                   "echo options kvm enable_vmware_backdoor=1 >/etc/modprobe.d/hospes.conf, then "
                   "load kvm anew",
                   "kvm.enable_vmware_backdoor is off: drivers work, vmtoolsd does not");
}

static void doctor_firmware(struct doctor *d)
{
    if (!uefi_available(false))
        doctor_say(d, DOCTOR_NOTE, "uefi", "apt install ovmf",
                   "there is no OVMF in /usr/share: --firmware uefi does not start");
    else if (uefi_available(true))
        doctor_say(d, DOCTOR_OK, "uefi", NULL,
                   "OVMF is installed, with keys for Secure Boot; without SMM a guest's kernel can "
                   "change them");
    else
        doctor_say(d, DOCTOR_NOTE, "uefi", "use Debian's package ovmf, or give code= and vars=",
                   "OVMF is installed, without Secure Boot that does without SMM");
    if (tpm_available())
        doctor_say(d, DOCTOR_OK, "tpm", NULL, "swtpm is installed");
    else
        doctor_say(d, DOCTOR_NOTE, "tpm", "apt install swtpm",
                   "swtpm is not installed: --tpm does not start");
}

/* --- memory and limits --- */

static void doctor_hugepages(struct doctor *d)
{
    char thp[128], *end;
    const char *now;
    uint64_t pool = doctor_number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");

    doctor_line("/sys/kernel/mm/transparent_hugepage/enabled", thp, sizeof(thp));
    now = strchr(thp, '[');
    now = now ? now + 1 : "not there";
    end = strchr(now, ']');
    if (end)
        *end = '\0';
    if (strcmp(now, "always") == 0 || strcmp(now, "madvise") == 0)
        doctor_say(d, DOCTOR_OK, "huge pages", NULL, "transparent: %s; pool: %llu of 2 MiB", now,
                   (unsigned long long)pool);
    else
        doctor_say(d, DOCTOR_NOTE, "huge pages",
                   "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
                   "transparent: %s; pool: %llu of 2 MiB: guests run slower on small pages", now,
                   (unsigned long long)pool);
}

static void doctor_uring(struct doctor *d)
{
    struct io_uring_params p = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 1, &p), code = errno;

    if (fd >= 0) {
        close(fd);
        doctor_say(d, DOCTOR_OK, "io_uring", NULL, "available");
        return;
    }
    doctor_say(d, DOCTOR_NOTE, "io_uring",
               code == EPERM ? "sysctl kernel.io_uring_disabled=0, or allow it in the container"
                             : "use a kernel of 5.10 or later with CONFIG_IO_URING",
               "not available: %s; disks use threads instead", strerror(code));
}

static void doctor_limits(struct doctor *d)
{
    struct rlimit files = {0}, locked = {0};

    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_MEMLOCK, &locked);
    doctor_say(d, files.rlim_max >= 4096 ? DOCTOR_OK : DOCTOR_NOTE, "open files",
               files.rlim_max >= 4096 ? NULL : "ulimit -Hn 65536, or LimitNOFILE in the unit",
               "limit %llu, at most %llu", (unsigned long long)files.rlim_cur,
               (unsigned long long)files.rlim_max);
    if (locked.rlim_cur == RLIM_INFINITY)
        doctor_say(d, DOCTOR_OK, "locked memory", NULL, "no limit");
    else
        doctor_say(d, locked.rlim_cur >= 8 * MiB ? DOCTOR_OK : DOCTOR_NOTE, "locked memory",
                   locked.rlim_cur >= 8 * MiB ? NULL : "ulimit -l 65536, or LimitMEMLOCK",
                   "limit %llu KiB", (unsigned long long)(locked.rlim_cur / 1024));
}

/* --- network, places --- */

static void doctor_tap(struct doctor *d)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), code = errno;

    if (fd < 0) {
        doctor_say(d, DOCTOR_NOTE, "nic tap",
                   code == ENOENT ? "modprobe tun" : "add this user to the device's group",
                   "/dev/net/tun does not open: %s", strerror(code));
        return;
    }
    if (ioctl(fd, TUNSETIFF, &r) == 0)
        doctor_say(d, DOCTOR_OK, "nic tap", NULL, "devices can be made");
    else
        doctor_say(d, DOCTOR_NOTE, "nic tap",
                   "ip tuntap add dev NAME mode tap user USER, once, as root",
                   "only devices that were made for this user can be used (no CAP_NET_ADMIN)");
    close(fd);
}

static void doctor_user_net(struct doctor *d)
{
    FILE *f = fopen("/etc/resolv.conf", "re");
    char line[256], server[64] = "";

    while (f && !*server && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "nameserver %63s", server) == 1 && strchr(server, ':'))
            *server = '\0';
    }
    if (f)
        fclose(f);
    if (*server)
        doctor_say(d, DOCTOR_OK, "nic user", NULL, "guests' name server asks %s", server);
    else
        doctor_say(d, DOCTOR_NOTE, "nic user", "put a nameserver line into /etc/resolv.conf",
                   "there is no IPv4 name server here, so guests will find no names");
}

static void doctor_runtime(struct doctor *d)
{
    char dir[RUNTIME_PATH_MAX];
    struct err e;

    if (runtime_dir(true, dir, &e) == 0 && access(dir, W_OK) == 0)
        doctor_say(d, DOCTOR_OK, "runtime", NULL, "control sockets are in %s", dir);
    else
        doctor_say(d, DOCTOR_BAD, "runtime", "set HOSPES_RUNTIME to a folder of your own", "%s",
                   e.msg);
}

static void doctor_memory(struct doctor *d)
{
    FILE *f = fopen("/proc/meminfo", "re");
    unsigned long long free_kib = 0;
    char line[128];

    while (f && fgets(line, sizeof(line), f) &&
           sscanf(line, "MemAvailable: %llu kB", &free_kib) != 1)
        ;
    if (f)
        fclose(f);
    doctor_say(d, free_kib >= 1 << 20 ? DOCTOR_OK : DOCTOR_NOTE, "memory",
               free_kib >= 1 << 20 ? NULL : "give guests less with --memory, or stop something",
               "%llu MiB are available, on %ld processors", free_kib / 1024,
               sysconf(_SC_NPROCESSORS_ONLN));
}

/* --- the command --- */

static int doctor_json(void *arg, const char *value, struct err *e)
{
    ((struct doctor *)arg)->json = true;
    return 0;
}

static const struct cli_option doctor_options[] = {
    {"json", NULL, "print one JSON object per line", doctor_json},
    {NULL},
};

static int doctor_main(int argc, char **argv)
{
    struct doctor d = {.terminal = isatty(STDOUT_FILENO)};
    struct err e;
    int n, rc = cli_parse(&cli_doctor, argc, argv, &d, &n, &e);

    if (rc == 0 && n > 0)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "doctor takes no argument, but was given %s", argv[1]);
    if (rc < 0)
        return cli_fail(&e);
    if (rc > 0)
        return EX_OK;
    host_probe(&d.probe);
    doctor_kvm(&d);
    doctor_soft(&d);
    doctor_personas(&d);
    doctor_firmware(&d);
    doctor_clock(&d);
    doctor_memory(&d);
    doctor_hugepages(&d);
    doctor_uring(&d);
    doctor_limits(&d);
    doctor_tap(&d);
    doctor_user_net(&d);
    doctor_runtime(&d);
    if (d.probe.usable || d.soft) {
        doctor_say(&d, DOCTOR_OK, "guests", NULL, "run here %s",
                   d.probe.usable ? "on KVM" : "by the software host, slower than on KVM");
        return EX_OK;
    }
    doctor_say(&d, DOCTOR_BAD, "guests", "see the lines marked missing above",
               "cannot run here: neither KVM nor the software host is usable");
    return EX_NO_HOST;
}

const struct cli_command cli_doctor = {
    .name = "doctor",
    .args = "[OPTION...]",
    .about = "Measures what this machine can do for guests, and says what to do.",
    .more = "Exit codes: 0 guests can run here, on KVM or by the software host; 69 they cannot.",
    .options = doctor_options,
    .run = doctor_main,
};
