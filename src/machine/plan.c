/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - see plan.h: defaults, the words of the command line, checks. */
#define _GNU_SOURCE
#include "machine/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/iso9660.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/file.h"
#include "core/ids.h"

enum { PLAN_NAME_MAX = 64, PLAN_PAGE = 4096 };
#define PLAN_MEMORY_MIN (UINT64_C(4) << 20)
#define PLAN_MEMORY_MAX (UINT64_C(1) << 42)

void plan_init(struct plan *p)
{
    memset(p, 0, sizeof(*p));
}

void plan_free(struct plan *p)
{
    const struct plan_smbios *s = &p->smbios;
    char *const own[] = {
        p->name,          p->title,          p->notes,       p->guest_os,  p->hardware,
        p->persona,       p->persona_opts,   p->persona_why, p->kernel,    p->initrd,
        p->append,        p->firmware,       p->serial,      p->display,   p->log,
        p->firmware_opts, p->nvram,          p->tpm,         p->tpm_state, s->vendor,
        s->product,       s->version,        s->serial,      s->sku,       s->family,
        s->board_serial,  s->chassis_serial, s->asset_tag,   p->machine};

    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        free(own[i]);
    for (size_t i = 0; i < p->disks; i++) {
        free(p->disk[i].path);
        free(p->disk[i].format);
        free(p->disk[i].bus);
        free(p->disk[i].opts);
        free(p->disk[i].serial);
        free(p->disk[i].within);
        free(p->disk[i].place.pci);
    }
    for (size_t i = 0; i < p->nics; i++) {
        free(p->nic[i].backend);
        free(p->nic[i].model);
        free(p->nic[i].opts);
        free(p->nic[i].lan);
        free(p->nic[i].place.pci);
    }
    for (size_t i = 0; i < p->ctls; i++) {
        free(p->ctl[i].bus);
        free(p->ctl[i].place.pci);
    }
    for (size_t i = 0; i < p->modules; i++) {
        free(p->module[i].path);
        free(p->module[i].append);
    }
    plan_init(p);
}

struct plan_module *plan_module_new(struct plan *p)
{
    return p->modules < PLAN_MAX_MODULES ? &p->module[p->modules++] : NULL;
}

struct plan_disk *plan_disk_new(struct plan *p)
{
    struct plan_disk *d;

    if (p->disks == PLAN_MAX_DISKS)
        return NULL;
    d = &p->disk[p->disks++];
    *d = (struct plan_disk){.controller = -1, .unit = -1, .place.slot = -1};
    return d;
}

struct plan_nic *plan_nic_new(struct plan *p)
{
    struct plan_nic *n;

    if (p->nics == PLAN_MAX_NICS)
        return NULL;
    n = &p->nic[p->nics++];
    *n = (struct plan_nic){.place.slot = -1};
    return n;
}

struct plan_controller *plan_controller_new(struct plan *p)
{
    struct plan_controller *c;

    if (p->ctls == PLAN_MAX_CONTROLLERS)
        return NULL;
    c = &p->ctl[p->ctls++];
    *c = (struct plan_controller){.place.slot = -1};
    return c;
}

int plan_set(char **at, const char *value, struct err *e)
{
    char *copy = value ? strdup(value) : NULL;

    if (value && !copy)
        return err_set(e, ENOMEM, "no memory for the plan");
    free(*at);
    *at = copy;
    return 0;
}

/* --- the words of the command line --- */

/* Appends "key=value" to a list in the form of cfg.h, where a comma is written twice. */
static int plan_append(char **list, const char *key, const char *value, struct err *e)
{
    size_t old = *list ? strlen(*list) : 0;
    char *grown = realloc(*list, old + strlen(key) + 2 * strlen(value) + 3), *at;

    if (!grown)
        return err_set(e, ENOMEM, "no memory for the plan");
    *list = grown;
    at = grown + old;
    if (old)
        *at++ = ',';
    at = stpcpy(at, key);
    if (*value)
        *at++ = '=';
    for (; *value; value++) {
        *at++ = *value;
        if (*value == ',')
            *at++ = ',';
    }
    *at = '\0';
    return 0;
}

static bool plan_listed(const char *const *keys, const char *key)
{
    for (; *keys; keys++) {
        if (strcmp(*keys, key) == 0)
            return true;
    }
    return false;
}

/* All pairs but the taken ones, as one list; NULL when there are none. */
static int plan_rest(const struct cfg *c, const char *const *taken, char **list, struct err *e)
{
    const char *key, *value;
    int rc = 0;

    for (size_t i = 0; rc == 0 && cfg_at(c, i, &key, &value); i++) {
        if (!plan_listed(taken, key))
            rc = plan_append(list, key, value, e);
    }
    return rc;
}

static int plan_disk_mode(struct cfg *c, struct plan_disk *d, struct err *e)
{
    bool snapshot = cfg_flag(c, "snapshot"), write = cfg_flag(c, "write"),
         readonly = cfg_flag(c, "readonly");

    if (snapshot + write + readonly > 1)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--disk %s: snapshot, write and readonly exclude each other: say one",
                        d->path);
    d->write_said = snapshot || write || readonly;
    d->write = readonly ? PLAN_READONLY : write ? PLAN_WRITE : PLAN_SNAPSHOT;
    return 0;
}

static int plan_disk_fill(struct plan_disk *d, struct cfg *c, struct err *e)
{
    static const char *const taken[] = {"file",     "format",  "bus",  "snapshot", "write",
                                        "readonly", "loop",    "unit", "cdrom",    "controller",
                                        "boot",     "outside", NULL};
    const char *file = cfg_get(c, "file");
    uint64_t loop = 0, controller = UINT64_MAX, unit = UINT64_MAX, boot = 0;
    int rc;

    if (!file || !*file)
        return err_exit(e, EX_USAGE_, EINVAL, "--disk wants a file: --disk FILE[,format=F]...");
    rc = plan_set(&d->path, file, e);
    if (rc == 0)
        rc = plan_set(&d->format, cfg_get(c, "format"), e);
    if (rc == 0)
        rc = plan_set(&d->bus, cfg_get(c, "bus"), e);
    if (rc == 0)
        rc = plan_disk_mode(c, d, e);
    if (rc == 0)
        rc = cfg_u64(c, "loop", 0, 63, &loop, e);
    if (rc == 0)
        rc = cfg_u64(c, "controller", 0, 255, &controller, e);
    if (rc == 0)
        rc = cfg_u64(c, "unit", 0, 255, &unit, e);
    if (rc == 0)
        rc = cfg_u64(c, "boot", 1, PLAN_MAX_BOOT, &boot, e);
    if (rc == 0)
        rc = plan_rest(c, taken, &d->opts, e);
    d->cdrom = cfg_flag(c, "cdrom");
    d->outside = cfg_flag(c, "outside");
    d->loop = (unsigned)loop;
    d->boot = (unsigned)boot;
    d->controller = controller == UINT64_MAX ? -1 : (int)controller;
    d->unit = unit == UINT64_MAX ? -1 : (int)unit;
    return rc;
}

int plan_add_disk(struct plan *p, const char *spec, struct err *e)
{
    struct cfg *c;
    int rc;

    if (p->disks == PLAN_MAX_DISKS)
        return err_exit(e, EX_USAGE_, EINVAL, "at most %d disks are possible", PLAN_MAX_DISKS);
    rc = cfg_create(&c, e);
    if (rc < 0)
        return rc;
    rc = cfg_parse(c, spec, "file", e);
    if (rc == 0)
        rc = plan_disk_fill(plan_disk_new(p), c, e);
    cfg_destroy(c);
    return rc;
}

static void plan_may_be_empty(struct plan_disk *d)
{
    if (strcmp(d->path, "none") != 0)
        return;
    free(d->path);
    d->path = NULL;
}

int plan_add_drive(struct plan *p, const char *spec, struct err *e)
{
    int rc = plan_add_disk(p, spec, e);
    struct plan_disk *d = rc < 0 ? NULL : &p->disk[p->disks - 1];

    if (!d)
        return rc;
    d->cdrom = true;
    plan_may_be_empty(d);
    return 0;
}

int plan_add_floppy(struct plan *p, const char *spec, struct err *e)
{
    int rc = plan_add_disk(p, spec, e);
    struct plan_disk *d = rc < 0 ? NULL : &p->disk[p->disks - 1];

    if (!d)
        return rc;
    plan_may_be_empty(d);
    return plan_set(&d->bus, "floppy", e);
}

/* ISO 9660, whatever else the first sectors are made to be. */
static bool plan_is_cdrom(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct iso_descriptor d;
    bool is = fd >= 0 && file_read(fd, &d, sizeof(d), ISO_DESCRIPTOR_AT) == (ssize_t)sizeof(d) &&
              memcmp(d.id, ISO_ID, sizeof(d.id)) == 0;

    if (fd >= 0)
        close(fd);
    return is;
}

int plan_add_file(struct plan *p, const char *spec, struct err *e)
{
    int rc = plan_add_disk(p, spec, e);
    struct plan_disk *d = rc < 0 ? NULL : &p->disk[p->disks - 1];

    if (d && !d->bus && !d->format)
        d->cdrom = plan_is_cdrom(d->path);
    return rc;
}

static int plan_mac(const char *text, uint8_t mac[6], struct err *e)
{
    if (!mac_read(text, mac))
        return err_exit(e, EX_USAGE_, EINVAL, "mac=%s is not like 52:54:00:12:34:56", text);
    if (mac[0] & 1)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "mac=%s is a multicast address: use an even first "
                        "byte",
                        text);
    return 0;
}

static int plan_nic_fill(struct plan_nic *n, struct cfg *c, struct err *e)
{
    static const char *const taken[] = {"mac", "model", "boot", NULL};
    const char *mac = cfg_get(c, "mac");
    uint64_t boot = 0;
    int rc = plan_rest(c, taken, &n->backend, e);

    if (rc == 0 && !n->backend)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "--nic wants a network: user, tap=NAME, socket=PATH or none");
    if (rc == 0)
        rc = plan_set(&n->model, cfg_get(c, "model"), e);
    if (rc == 0)
        rc = cfg_u64(c, "boot", 1, PLAN_MAX_BOOT, &boot, e);
    n->boot = (unsigned)boot;
    if (rc == 0 && mac) {
        n->mac_said = true;
        rc = plan_mac(mac, n->mac, e);
    }
    return rc;
}

int plan_add_module(struct plan *p, const char *spec, struct err *e)
{
    const char *text = spec;
    char *file = strdup(spec), *to = file;
    struct plan_module *m = NULL;

    if (!file)
        return err_set(e, ENOMEM, "no memory for the plan");
    for (; *text && (*text != ',' || text[1] == ','); text++) {
        text += *text == ',';
        *to++ = *text;
    }
    *to = '\0';
    if (*file)
        m = plan_module_new(p);
    if (m) {
        m->path = file;
        return plan_set(&m->append, *text ? text + 1 : NULL, e);
    }
    if (*file)
        (void)err_exit(e, EX_USAGE_, EINVAL, "at most %d modules are possible", PLAN_MAX_MODULES);
    else
        (void)err_exit(e, EX_USAGE_, EINVAL, "--module wants FILE or FILE,TEXT, not \"%s\"", spec);
    free(file);
    return -EINVAL;
}

int plan_add_nic(struct plan *p, const char *spec, struct err *e)
{
    struct cfg *c;
    int rc;

    p->nics_said = true;
    if (strcmp(spec, "none") == 0)
        return 0;
    if (p->nics == PLAN_MAX_NICS)
        return err_exit(e, EX_USAGE_, EINVAL, "at most %d NICs are possible", PLAN_MAX_NICS);
    rc = cfg_create(&c, e);
    if (rc < 0)
        return rc;
    rc = cfg_parse(c, spec, NULL, e);
    if (rc == 0)
        rc = plan_nic_fill(plan_nic_new(p), c, e);
    cfg_destroy(c);
    return rc;
}

/* --- one plan over another --- */

static void plan_take(char **to, char **from)
{
    if (!*from)
        return;
    free(*to);
    *to = *from;
    *from = NULL;
}

static int plan_merge_nics(struct plan *p, struct plan *over, struct err *e)
{
    if (over->nics_said && over->nics == 0) { /* --nic none */
        for (size_t i = 0; i < p->nics; i++) {
            int rc = plan_set(&p->nic[i].backend, "none", e);

            if (rc < 0)
                return rc;
        }
    }
    for (size_t i = 0; i < over->nics; i++) {
        struct plan_nic *from = &over->nic[i], *to = i < p->nics ? &p->nic[i] : plan_nic_new(p);

        if (!to)
            return err_exit(e, EX_USAGE_, EINVAL, "at most %d NICs are possible", PLAN_MAX_NICS);
        plan_take(&to->backend, &from->backend);
        plan_take(&to->model, &from->model);
        plan_take(&to->opts, &from->opts);
        if (from->mac_said)
            memcpy(to->mac, from->mac, sizeof(to->mac));
        to->mac_said |= from->mac_said;
        to->boot = from->boot ? from->boot : to->boot;
    }
    p->nics_said |= over->nics_said;
    return 0;
}

static int plan_merge_disks(struct plan *p, struct plan *over, struct err *e)
{
    for (size_t i = 0; i < over->disks; i++) {
        struct plan_disk *d = plan_disk_new(p);

        if (!d)
            return err_exit(e, EX_USAGE_, EINVAL, "at most %d disks are possible", PLAN_MAX_DISKS);
        *d = over->disk[i];
        memset(&over->disk[i], 0, sizeof(over->disk[i]));
    }
    return 0;
}

/* They belong to the kernel: those of `over` replace p's. */
static void plan_merge_modules(struct plan *p, struct plan *over)
{
    if (over->modules == 0 && !over->kernel)
        return;
    for (size_t i = 0; i < p->modules; i++) {
        free(p->module[i].path);
        free(p->module[i].append);
    }
    memcpy(p->module, over->module, sizeof(p->module));
    p->modules = over->modules;
    over->modules = 0;
}

int plan_merge(struct plan *p, struct plan *over, struct err *e)
{
    bool starts = over->firmware != NULL;
    int rc = plan_merge_disks(p, over, e);

    if (rc == 0)
        rc = plan_merge_nics(p, over, e);
    if (rc < 0)
        return rc;
    if (over->persona && p->persona && strcmp(over->persona, p->persona) != 0) {
        free(p->persona_opts); /* they are the other persona's */
        free(p->persona_why);
        p->persona_opts = p->persona_why = NULL;
    }
    plan_merge_modules(p, over);
    plan_take(&p->name, &over->name);
    plan_take(&p->machine, &over->machine);
    plan_take(&p->persona, &over->persona);
    plan_take(&p->persona_opts, &over->persona_opts);
    plan_take(&p->kernel, &over->kernel);
    plan_take(&p->initrd, &over->initrd);
    plan_take(&p->append, &over->append);
    if (starts) {
        free(p->firmware_opts); /* they are the other firmware's */
        p->firmware_opts = NULL;
    }
    plan_take(&p->firmware, &over->firmware);
    plan_take(&p->firmware_opts, &over->firmware_opts);
    plan_take(&p->nvram, &over->nvram);
    plan_take(&p->tpm, &over->tpm);
    plan_take(&p->tpm_state, &over->tpm_state);
    plan_take(&p->serial, &over->serial);
    plan_take(&p->display, &over->display);
    plan_take(&p->log, &over->log);
    if (over->cpus) {
        p->cpus = over->cpus;
        p->cpus_max = over->cpus_max;
    }
    p->memory = over->memory ? over->memory : p->memory;
    p->testdev |= over->testdev;
    p->hugepages |= over->hugepages;
    if (p->kernel && !starts) { /* it starts without firmware */
        free(p->firmware);
        p->firmware = NULL;
    }
    plan_free(over);
    return 0;
}

/* --- checks and defaults --- */

/* FNV-1a, 64 bits. */
static uint64_t plan_hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

/* The same machine on the same host gets the same UUID and MAC addresses each time. */
static void plan_identity(struct plan *p)
{
    const char *what = p->disks && p->disk[0].path ? p->disk[0].path : p->name;
    char *real = p->disks ? realpath(what, NULL) : NULL;
    char host[64] = "";
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    uint64_t h;

    if (fd >= 0) {
        if (read(fd, host, sizeof(host) - 1) < 0)
            host[0] = '\0';
        close(fd);
    }
    h = plan_hash(UINT64_C(0xcbf29ce484222325), host);
    h = plan_hash(plan_hash(h, p->name), real ? real : what);
    free(real);
    for (unsigned i = 0; i < 16 && !p->uuid_said; i++) {
        h = plan_hash(h, "uuid");
        p->uuid[i] = (uint8_t)(h >> 32);
    }
    if (!p->uuid_said) {
        p->uuid[6] = (uint8_t)((p->uuid[6] & 0x0f) | 0x80); /* version 8, RFC 9562 */
        p->uuid[8] = (uint8_t)((p->uuid[8] & 0x3f) | 0x80);
    }
    for (size_t i = 0; i < p->nics; i++) {
        h = plan_hash(h, "nic");
        if (!p->nic[i].mac_said)
            memcpy(p->nic[i].mac,
                   (uint8_t[]){0x52, 0x54, 0x00, (uint8_t)(h >> 48), (uint8_t)(h >> 40),
                               (uint8_t)(h >> 32)},
                   6);
    }
}

void plan_mac_of(const struct plan *p, size_t n, uint8_t mac[6])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) + n;

    for (unsigned i = 0; i < sizeof(p->uuid); i++)
        h = plan_hash(h, (char[]){(char)p->uuid[i], 'c', '\0'});
    memcpy(
        mac,
        (uint8_t[]){0x52, 0x54, 0x00, (uint8_t)(h >> 48), (uint8_t)(h >> 40), (uint8_t)(h >> 32)},
        6);
}

static int plan_check_name(const struct plan *p, struct err *e)
{
    size_t n = strlen(p->name);

    if (n == 0 || n > PLAN_NAME_MAX || p->name[0] == '.' || p->name[0] == '-' ||
        strspn(p->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+") != n)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "\"%s\" is no name for a machine: use up to %d letters, digits and . _ - +",
                        p->name, PLAN_NAME_MAX);
    return 0;
}

static int plan_check_sizes(const struct plan *p, struct err *e)
{
    if (p->cpus < 1 || p->cpus > PLAN_MAX_CPUS)
        return err_exit(e, EX_USAGE_, EINVAL, "a machine has 1 to %d processors, not %u",
                        PLAN_MAX_CPUS, p->cpus);
    if (p->cpus_max && (p->cpus_max < p->cpus || p->cpus_max > PLAN_MAX_CPUS))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a machine of %u processors can come to %u to %d, not %u", p->cpus, p->cpus,
                        PLAN_MAX_CPUS, p->cpus_max);
    if (p->memory < PLAN_MEMORY_MIN || p->memory > PLAN_MEMORY_MAX)
        return err_exit(e, EX_USAGE_, EINVAL, "a machine has 4M to 4T of memory, not %llu bytes",
                        (unsigned long long)p->memory);
    if (p->hugepages && p->memory % (2 * MiB))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "memory in huge pages is a multiple of 2 MiB, not %llu bytes: change "
                        "--memory or leave out --hugepages",
                        (unsigned long long)p->memory);
    if (p->memory % PLAN_PAGE)
        return err_exit(e, EX_USAGE_, EINVAL, "memory comes in pages of 4K: %llu bytes are not",
                        (unsigned long long)p->memory);
    return 0;
}

static int plan_check_display(const struct plan *p, struct err *e)
{
    if (strcmp(p->display, "none") != 0 && strncmp(p->display, "vnc=", 4) != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--display is none or vnc=ADDR:PORT[,web=ADDR:PORT], not %s", p->display);
    return 0;
}

bool plan_firmware(const struct plan *p)
{
    return !p->kernel || p->firmware;
}

bool plan_floppy(const struct plan_disk *d)
{
    return d->bus && strcmp(d->bus, "floppy") == 0;
}

bool plan_drive(const struct plan_disk *d)
{
    return d->cdrom || plan_floppy(d);
}

bool plan_q35(const struct plan *p)
{
    return p->machine && strcmp(p->machine, "q35") == 0;
}

bool plan_uefi(const struct plan *p)
{
    return p->firmware && strcmp(p->firmware, "uefi") == 0;
}

bool plan_tpm(const struct plan *p)
{
    return p->tpm && strcmp(p->tpm, "2.0") == 0;
}

int plan_set_tpm(struct plan *p, const char *spec, struct err *e)
{
    struct cfg *c;
    const char *version;
    int rc = cfg_create(&c, e);

    if (rc < 0)
        return rc;
    rc = cfg_parse(c, spec, "version", e);
    version = cfg_get(c, "version");
    if (rc == 0 && (!version || (strcmp(version, "2.0") != 0 && strcmp(version, "none") != 0)))
        rc = err_exit(e, EX_USAGE_, EINVAL, "--tpm is 2.0[,state=FOLDER|none] or none, not \"%s\"",
                      spec);
    if (rc == 0)
        rc = plan_set(&p->tpm, version, e);
    if (rc == 0)
        rc = plan_set(&p->tpm_state, cfg_get(c, "state"), e);
    if (rc == 0)
        rc = cfg_finish(c, "--tpm", e);
    cfg_destroy(c);
    return rc;
}

static int plan_check_boot(const struct plan *p, struct err *e)
{
    if (!p->kernel && (p->initrd || p->modules || p->append))
        return err_exit(e, EX_USAGE_, EINVAL, "%s is for a kernel: give --kernel, too",
                        p->initrd    ? "--initrd"
                        : p->modules ? "--module"
                                     : "--append");
    if (p->kernel && p->firmware && strcmp(p->firmware, "bios") == 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--kernel starts without a BIOS: leave --firmware out, or use --firmware "
                        "uefi");
    if (p->machine && !plan_q35(p) && strcmp(p->machine, "pc") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--machine is pc or q35, not %s", p->machine);
    if (plan_q35(p) && p->persona && strcmp(p->persona, "kvm") != 0 &&
        strcmp(p->persona, "bare") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "persona %s has no q35: leave --machine out, or use --persona kvm or bare",
                        p->persona);
    if (p->firmware && strcmp(p->firmware, "bios") != 0 && strcmp(p->firmware, "uefi") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--firmware is bios or uefi, not %s", p->firmware);
    if (p->nvram && !plan_uefi(p))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--nvram is where UEFI keeps its variables: give --firmware uefi, too");
    return 0;
}

int plan_complete(struct plan *p, struct err *e)
{
    int rc = 0;

    if (!p->name)
        rc = plan_set(&p->name, "guest", e);
    if (rc == 0 && !p->serial)
        rc = plan_set(&p->serial, "stdio", e);
    if (rc == 0 && !p->display)
        rc = plan_set(&p->display, "none", e);
    if (rc == 0 && !p->nics_said && p->nics == 0)
        rc = plan_add_nic(p, "user", e);
    if (rc < 0)
        return rc;
    p->cpus = p->cpus ? p->cpus : 1;
    p->memory = p->memory ? p->memory : PLAN_MEMORY_DEFAULT;
    rc = plan_check_name(p, e);
    if (rc == 0)
        rc = plan_check_sizes(p, e);
    if (rc == 0)
        rc = plan_check_display(p, e);
    if (rc == 0)
        rc = plan_check_boot(p, e);
    if (rc == 0)
        plan_identity(p);
    return rc;
}

int plan_check(struct plan *p, struct err *e)
{
    int rc = plan_complete(p, e);

    /* Firmware that was asked for may start the guest from the network. */
    if (rc == 0 && !p->kernel && p->disks == 0 && !(p->firmware && p->nics))
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "there is nothing to start: give a disk image, --kernel FILE, or --firmware "
                      "bios and a --nic to start from");
    return rc;
}
