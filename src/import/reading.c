/* SPDX-License-Identifier: Apache-2.0 */
/* reading.c - see reading.h. */
#define _GNU_SOURCE
#include "import/reading.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

enum { READ_TEXT_MAX = 60000, READ_FLOPPIES = 2 };

int read_tree(const struct import_file *f, struct plan *p, struct import_report *report,
              struct err *e, char separator, int (*parse)(struct reading *r),
              void (*take)(struct reading *r))
{
    struct reading r = {.f = f, .p = p, .r = report, .e = e};

    tree_init(&r.t, separator);
    r.rc = parse(&r);
    if (r.rc == 0)
        take(&r);
    tree_free(&r.t);
    return r.rc;
}

/* --- telling --- */

static void tell(struct reading *r, struct node *n, enum import_fate fate, const char *to,
                 const char *why)
{
    char path[TREE_PATH];

    if (!n || !n->value || n->told || r->rc < 0)
        return;
    n->told = true;
    node_path(&r->t, n, path);
    r->rc = import_tell(r->r, fate, n->line, path, n->value, to, why, r->e);
}

void read_keep(struct reading *r, struct node *n)
{
    tell(r, n, IMPORT_KEPT, NULL, NULL);
}

void read_change(struct reading *r, struct node *n, const char *to, const char *why)
{
    tell(r, n, IMPORT_CHANGED, to, why);
}

void read_drop(struct reading *r, struct node *n, const char *why)
{
    tell(r, n, IMPORT_DROPPED, NULL, why);
}

static void tell_all(struct reading *r, struct node *n, enum import_fate fate, const char *why)
{
    if (!n)
        return;
    tell(r, n, fate, NULL, why);
    for (struct node *at = node_walk(n, NULL); at && r->rc == 0; at = node_walk(n, at))
        tell(r, at, fate, NULL, why);
}

void read_drop_all(struct reading *r, struct node *n, const char *why)
{
    tell_all(r, n, IMPORT_DROPPED, why);
}

void read_keep_all(struct reading *r, struct node *n)
{
    tell_all(r, n, IMPORT_KEPT, NULL);
}

void read_fail(struct reading *r, const struct node *n, const char *fmt, ...)
{
    char why[512], path[TREE_PATH], line[32] = "";
    va_list ap;

    if (r->rc < 0)
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (!n) {
        r->rc = err_exit(r->e, EX_BAD_INPUT, EINVAL, "%s", why);
        return;
    }
    if (n->line)
        snprintf(line, sizeof(line), "line %u: ", n->line);
    node_path(&r->t, n, path);
    r->rc = err_exit(r->e, EX_BAD_INPUT, EINVAL, "%s%s%s%.100s%s: %s", line, path,
                     n->value ? " = \"" : "", n->value ? n->value : "", n->value ? "\"" : "", why);
}

/* "*x" fits when some part of the path begins with x. */
static bool fits(const struct tree *t, const char *path, const char *key)
{
    size_t n;

    if (*key != '*')
        return strncasecmp(path, key, strlen(key)) == 0;
    n = strlen(++key);
    while (path) {
        if (strncasecmp(path, key, n) == 0)
            return true;
        path = strchr(path, t->separator);
        path = path ? path + 1 : NULL;
    }
    return false;
}

void read_rest(struct reading *r, const struct read_rule *rules)
{
    char path[TREE_PATH];

    for (struct node *n = node_walk(&r->t.top, NULL); n && r->rc == 0;
         n = node_walk(&r->t.top, n)) {
        const char *why = "hospes does not know this key; what it meant to the guest is gone";

        if (!n->value || n->told)
            continue;
        node_path(&r->t, n, path);
        for (const struct read_rule *rule = rules; rule->key; rule++) {
            if (fits(&r->t, path, rule->key)) {
                why = rule->why;
                break;
            }
        }
        tell(r, n, IMPORT_DROPPED, NULL, why);
    }
}

/* --- taking --- */

void read_set(struct reading *r, char **at, const char *value)
{
    if (value && strlen(value) > READ_TEXT_MAX)
        read_fail(r, NULL, "a text of more than %d bytes (%.40s...) does not fit into a plan",
                  READ_TEXT_MAX, value);
    if (r->rc == 0)
        r->rc = plan_set(at, value, r->e);
}

void read_text(struct reading *r, char **at, struct node *n)
{
    if (n && n->value && *n->value)
        read_set(r, at, n->value);
    read_keep(r, n);
}

/* of: " of MiB", or "". */
static uint64_t number_of(struct reading *r, struct node *n, uint64_t min, uint64_t max,
                          uint64_t missing, const char *of)
{
    unsigned long long v;
    char *end;

    if (!n || !n->value)
        return missing;
    errno = 0;
    v = strtoull(n->value, &end, 10);
    if (!isdigit((unsigned char)n->value[0]) || *end || errno || v < min || v > max) {
        read_fail(r, n, "not a number%s from %llu to %llu", of, (unsigned long long)min,
                  (unsigned long long)max);
        return missing;
    }
    read_keep(r, n);
    return v;
}

uint64_t read_number(struct reading *r, struct node *n, uint64_t min, uint64_t max,
                     uint64_t missing)
{
    return number_of(r, n, min, max, missing, "");
}

bool read_true(const struct node *n)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (node_is(n, yes[i]))
            return true;
    }
    return false;
}

/* A machine's name is also a file name and a word on the command line. */
void read_name(struct reading *r, struct node *n)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
    char cut[65];
    size_t len = 0;

    if (!n || !n->value || !n->value[0])
        return;
    for (const char *c = n->value; *c && len < sizeof(cut) - 1; c++)
        cut[len++] = strchr(allowed, *c) ? *c : '-';
    cut[len] = '\0';
    if (cut[0] == '.' || cut[0] == '-')
        cut[0] = '_';
    read_set(r, &r->p->name, cut);
    if (strcmp(cut, n->value) == 0) {
        read_keep(r, n);
        return;
    }
    read_set(r, &r->p->title, n->value);
    read_change(r, n, cut,
                "names of machines have letters, digits and . _ - + only; this one stays as title");
}

void read_uuid(struct reading *r, struct node *n)
{
    if (!n || !n->value)
        return;
    if (!import_uuid(n->value, r->p->uuid)) {
        read_fail(r, n, "not 16 bytes in hexadecimal");
        return;
    }
    r->p->uuid_said = true;
    read_keep(r, n);
}

void read_guid(struct reading *r, struct node *n, struct plan_guid *out)
{
    if (!n || !n->value)
        return;
    if (!import_uuid(n->value, out->b)) {
        read_fail(r, n, "not 16 bytes in hexadecimal");
        return;
    }
    out->said = true;
    read_keep(r, n);
}

void read_mac(struct reading *r, struct node *n, struct plan_nic *nic)
{
    static const uint8_t none[6];

    if (!n || !n->value || r->rc < 0)
        return;
    if (!import_mac(n->value, nic->mac)) {
        read_fail(r, n, "not an Ethernet address");
    } else if (memcmp(nic->mac, none, 6) == 0) {
        read_change(r, n, "one of hospes' own", "it is zero: the address was still to be chosen");
    } else if (nic->mac[0] & 1) {
        read_fail(r, n, "a multicast address cannot be a card's own");
    } else {
        nic->mac_said = true;
        read_keep(r, n);
    }
}

void read_cpus(struct reading *r, struct node *n)
{
    r->p->cpus = (unsigned)read_number(r, n, 1, PLAN_MAX_CPUS, 1);
}

void read_cores(struct reading *r, struct node *n)
{
    unsigned cores;

    if (!n || !n->value)
        return;
    cores = (unsigned)strtoul(n->value, NULL, 10);
    if (cores == 0 || cores > PLAN_MAX_CPUS || r->p->cpus % cores != 0) {
        read_drop(r, n, "it does not divide the number of processors");
        return;
    }
    r->p->cores = cores;
    read_keep(r, n);
}

void read_memory(struct reading *r, struct node *n, uint64_t unit, uint64_t missing)
{
    uint64_t max = (UINT64_C(1) << 42) / unit;

    r->p->memory = number_of(r, n, 1, max, missing,
                             unit == MiB   ? " of MiB"
                             : unit == KiB ? " of KiB"
                                           : "") *
                   unit;
    if (r->rc == 0 && n && r->p->memory < 4 * MiB)
        read_fail(r, n, "a machine has at least 4 MiB of memory");
    /* libvirt counts in KiB and may leave a part of a page. */
    r->p->memory = align_down(r->p->memory, 4096);
}

void read_persona(struct reading *r, const char *persona, const char *why)
{
    read_set(r, &r->p->persona, persona);
    read_set(r, &r->p->persona_why, why);
}

void read_plain_pc(struct reading *r, const char *product)
{
    bool virtio = false;
    char why[80];

    for (size_t i = 0; i < r->p->disks; i++)
        virtio |= r->p->disk[i].bus && strncmp(r->p->disk[i].bus, "virtio", 6) == 0;
    for (size_t i = 0; i < r->p->nics; i++)
        virtio |= r->p->nic[i].model && strcmp(r->p->nic[i].model, "virtio") == 0;
    snprintf(why, sizeof(why),
             virtio ? "the machine of %.24s has virtio devices"
                    : "a machine of %.24s is a plain PC to its guest",
             product);
    read_persona(r, virtio ? "kvm" : "bare", why);
}

void read_option(struct reading *r, const char *key, const char *value)
{
    char **at = &r->p->persona_opts, *grown;
    size_t old = *at ? strlen(*at) : 0;

    if (old + strlen(key) + 2 * strlen(value) > READ_TEXT_MAX)
        read_fail(r, NULL, "what the guest may ask for (%.40s...) does not fit into a plan", key);
    if (r->rc < 0)
        return;
    grown = realloc(*at, old + strlen(key) + 2 * strlen(value) + 3);
    if (!grown) {
        r->rc = err_set(r->e, ENOMEM, "no memory for the plan");
        return;
    }
    *at = grown;
    grown += old;
    if (old)
        *grown++ = ',';
    grown = stpcpy(stpcpy(grown, key), "=");
    for (; *value; value++) { /* two commas stand for one */
        *grown++ = *value;
        if (*value == ',')
            *grown++ = ',';
    }
    *grown = '\0';
}

/* --- devices --- */

struct plan_disk *read_disk(struct reading *r, const char *bus)
{
    struct plan_disk *d = r->rc == 0 ? plan_disk_new(r->p) : NULL;

    if (r->rc == 0 && !d)
        read_fail(r, NULL, "it has more than %d disks", PLAN_MAX_DISKS);
    if (d)
        read_set(r, &d->bus, bus);
    return d;
}

static void read_empty(struct reading *r, struct node *n, const char *why)
{
    if (why)
        read_change(r, n, "none", why);
    else
        read_keep(r, n);
}

struct plan_disk *read_floppy(struct reading *r, struct node *n, const char *gone)
{
    struct plan_disk *d;
    int have = 0;

    for (size_t i = 0; i < r->p->disks; i++)
        have += plan_floppy(&r->p->disk[i]);
    if (have == READ_FLOPPIES) {
        read_drop(r, n, "a PC has two floppy drives");
        return NULL;
    }
    d = read_disk(r, "floppy");
    if (!d)
        return NULL;
    d->unit = have;
    if (gone || !n || !n->value || !*n->value)
        read_empty(r, n, gone);
    else
        read_file(r, n, d);
    return d;
}

struct plan_nic *read_nic(struct reading *r, const char *model)
{
    struct plan_nic *n = r->rc == 0 ? plan_nic_new(r->p) : NULL;

    if (r->rc == 0 && !n)
        read_fail(r, NULL, "it has more than %d network cards", PLAN_MAX_NICS);
    if (!n)
        return NULL;
    read_set(r, &n->backend, "user");
    read_set(r, &n->model, model);
    return n;
}

struct plan_controller *read_controller(struct reading *r, const char *bus, int number)
{
    struct plan_controller *c;

    for (size_t i = 0; i < r->p->ctls; i++) {
        c = &r->p->ctl[i];
        if (c->number == number && c->bus && strcmp(c->bus, bus) == 0)
            return c;
    }
    c = r->rc == 0 ? plan_controller_new(r->p) : NULL;
    if (r->rc == 0 && !c)
        read_fail(r, NULL, "it has more than %d disk controllers", PLAN_MAX_CONTROLLERS);
    if (!c)
        return NULL;
    read_set(r, &c->bus, bus);
    c->number = number;
    return c;
}

void read_boot_kind(struct reading *r, char kind, unsigned *next)
{
    for (size_t i = 0; i < r->p->disks; i++) {
        struct plan_disk *d = &r->p->disk[i];

        if (kind == (plan_floppy(d) ? 'a' : d->cdrom ? 'd' : 'c') && !d->boot)
            d->boot = (*next)++;
    }
    for (size_t i = 0; kind == 'n' && i < r->p->nics; i++) {
        if (!r->p->nic[i].boot)
            r->p->nic[i].boot = (*next)++;
    }
}

void read_boot_word(struct reading *r, const char *word, unsigned *next)
{
    static const struct {
        const char *word;
        char kind;
    } words[] = {{"hd", 'c'},  {"hdd", 'c'}, {"HardDisk", 'c'}, {"cdrom", 'd'},
                 {"DVD", 'd'}, {"fd", 'a'},  {"floppy", 'a'},   {"network", 'n'}};

    for (size_t i = 0; word && i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(word, words[i].word) == 0)
            read_boot_kind(r, words[i].kind, next);
    }
}

void read_file_as(struct reading *r, struct node *n, const char *name, struct plan_disk *d)
{
    struct err e = {0};
    char *path = NULL;
    bool moved = false;
    int rc;

    if (r->rc < 0 || !d)
        return;
    rc = import_reference(r->f, name, &path, &moved, &e);
    if (rc < 0) {
        read_fail(r, n, "%s", e.msg);
        return;
    }
    free(d->path);
    d->path = path;
    if (moved)
        read_change(r, n, path, "files are looked for beside the description only; see --trust");
    else
        read_keep(r, n);
}

void read_file(struct reading *r, struct node *n, struct plan_disk *d)
{
    if (n && n->value)
        read_file_as(r, n, n->value, d);
}

void read_no_disc(struct reading *r, struct node *n, const char *why, struct plan_disk *d)
{
    if (!d)
        return;
    d->cdrom = true;
    read_empty(r, n, why);
}

void read_lan(struct reading *r, struct node *n, struct plan_nic *nic)
{
    if (!n || !n->value)
        return;
    if (n->value[0] && !nic->lan)
        read_set(r, &nic->lan, n->value);
    read_change(r, n, "user", "that network is not here; choose another by --nic when running");
}

void read_secure_boot(struct reading *r, struct node *n, bool on)
{
    if (on)
        r->p->secure_boot = true;
    read_keep(r, n);
}

void read_tpm(struct reading *r, struct node *n, const char *version)
{
    read_set(r, &r->p->tpm, version);
    read_keep(r, n);
}
