/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - see describe.h. */
#define _GNU_SOURCE
#include "cli/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/line.h"
#include "core/err.h"
#include "core/file.h"
#include "core/ids.h"

enum { PLAN_MAX = 1 << 20, REPORT_INDENT = 15 };

static bool is_plan(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a pipe has no writer */
    char head[512];
    ssize_t n = fd < 0 ? -1 : file_read(fd, head, sizeof(head) - 1, 0);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    head[n] = '\0';
    return head[strspn(head, " \t\r\n")] == '{' && strlen(head) == (size_t)n;
}

bool describe_is(const char *path)
{
    return is_plan(path) || import_knows(path);
}

int describe_read(const char *path, const struct import_wish *wish, struct plan *p,
                  struct import_report *r, struct err *e)
{
    char *text = NULL;
    int rc;

    if (!is_plan(path) || (wish && wish->format))
        return import_read(path, wish, p, r, e);
    rc = import_slurp(path, PLAN_MAX, &text, e);
    if (rc == 0)
        rc = plan_from_json(p, text, e);
    free(text);
    return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* --- the report --- */

static void add(struct json_object *j, const char *key, const char *value)
{
    if (value)
        json_object_object_add(j, key, json_object_new_string(value));
}

static void print_json(const struct import_line *l)
{
    struct json_object *j = json_object_new_object();

    add(j, "fate", import_fate_name(l->fate));
    add(j, "key", l->key);
    add(j, "value", l->value);
    add(j, "to", l->to);
    add(j, "why", l->why);
    if (l->line)
        json_object_object_add(j, "line", json_object_new_int64(l->line));
    line_json(j);
}

static void print_text(const struct import_line *l)
{
    char number[16] = "";

    if (l->line)
        snprintf(number, sizeof(number), "%u:", l->line);
    line_print(REPORT_INDENT, "%-8s %5s %s = %s%s%s%s%s%s", import_fate_name(l->fate), number,
               l->key, l->value ? l->value : "", l->to ? " -> " : "", l->to ? l->to : "",
               l->why ? " (" : "", l->why ? l->why : "", l->why ? ")" : "");
}

/* What other files than the description said, or no line of it, comes last. */
static unsigned place(const struct import_line *l)
{
    if (!l->line || strncmp(l->key, "manifest", 8) == 0 || strncmp(l->key, "vmsd: ", 6) == 0)
        return UINT_MAX;
    return l->line;
}

static int by_line(const void *a, const void *b)
{
    const struct import_line *const *x = a, *const *y = b;

    if (place(*x) != place(*y))
        return place(*x) < place(*y) ? -1 : 1;
    return *x < *y ? -1 : *x > *y; /* as they were told */
}

int describe_report(const struct import_report *r, bool json, struct err *e)
{
    const struct import_line **order = calloc(r->count + 1, sizeof(*order));
    size_t fates[3] = {0};

    if (!order)
        return err_set(e, ENOMEM, "no memory for a report");
    for (size_t k = 0; k < r->count; k++)
        order[k] = &r->lines[k];
    qsort(order, r->count, sizeof(order[0]), by_line);
    for (size_t k = 0; k < r->count; k++) {
        fates[order[k]->fate]++;
        if (json)
            print_json(order[k]);
        else
            print_text(order[k]);
    }
    free(order);
    if (!json && r->format)
        printf("%s: %zu kept, %zu changed, %zu dropped\n", r->format, fates[IMPORT_KEPT],
               fates[IMPORT_CHANGED], fates[IMPORT_DROPPED]);
    return 0;
}

/* --- the machine --- */

static void place_words(const char *bus, int controller, int unit, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "%s", bus ? bus : "");

    if (controller >= 0 && n < room)
        n += (size_t)snprintf(out + n, room - n, " %d", controller);
    if (unit >= 0 && n < room)
        snprintf(out + n, room - n, "%s%d", controller >= 0 ? ":" : " ", unit);
}

/* What was not said is what plan_complete() makes of it. */
void describe_machine(const struct plan *p)
{
    unsigned cpus = p->cpus ? p->cpus : 1;
    uint64_t memory = p->memory ? p->memory : PLAN_MEMORY_DEFAULT;

    line_print(2, "machine %s: %u processor%s%s, %llu MiB%s%s%s%s%s",
               p->name ? p->name : "without a name", cpus, cpus == 1 ? "" : "s",
               p->cpus ? "" : " (not said)", (unsigned long long)(memory / MiB),
               p->memory ? "" : " (not said)", p->firmware ? ", firmware " : "",
               p->firmware ? p->firmware : "", p->persona ? ", persona " : "",
               p->persona ? p->persona : "");
    if (p->kernel)
        line_print(4, "  kernel %s", p->kernel);
    for (size_t i = 0; i < p->disks; i++) {
        const struct plan_disk *d = &p->disk[i];
        char at[80];

        place_words(d->bus, d->controller, d->unit, at, sizeof(at));
        line_print(4, "  %s %s%s%s", d->cdrom ? "disc" : "disk", at, at[0] ? ": " : "",
                   d->path ? d->path : "none");
    }
    for (size_t i = 0; i < p->nics; i++) {
        const struct plan_nic *n = &p->nic[i];
        char mac[24] = "";

        if (n->mac_said)
            snprintf(mac, sizeof(mac), " " MAC_FMT, MAC_ARGS(n->mac));
        line_print(4, "  card%s%s%s: network %s", mac, n->model ? " " : "",
                   n->model ? n->model : "", n->backend ? n->backend : "user");
    }
}

/* --- what it needs --- */

/* Behind a bridge a card was called enp1s0; here all sit on bus 0. */
static void other_bus(const struct plan *p, void (*tell)(void *arg, const char *text), void *arg)
{
    char text[200];

    for (size_t i = 0; i < p->nics; i++) {
        unsigned domain, bus, slot;
        const char *pci = p->nic[i].place.pci;

        if (!pci || sscanf(pci, "%4x:%2x:%2x", &domain, &bus, &slot) != 3 || (!domain && !bus))
            continue;
        snprintf(text, sizeof(text),
                 "nic%zu was at PCI %.20s and cannot be there: a guest that names cards by place "
                 "calls it enp%us%u no longer",
                 i, pci, bus, slot);
        tell(arg, text);
    }
}

void describe_needs(const struct plan *p, bool old_tpm, void (*tell)(void *arg, const char *text),
                    void *arg)
{
    bool lost = old_tpm && p->tpm && !p->tpm_state && strcmp(p->tpm, "none") != 0;

    if (lost && plan_tpm(p))
        tell(arg, "the machine has a TPM and here it finds another: what is sealed to the old one "
                  "(BitLocker, LUKS) asks for its recovery key once");
    else if (lost)
        tell(arg, "the machine has a TPM of an older kind and here it finds none: what is sealed "
                  "to it (BitLocker, LUKS) asks for its recovery key");
    if (p->secure_boot && plan_uefi(p))
        tell(arg, "the machine starts with Secure Boot, here with the keys of the installed "
                  "firmware: keys of its own are not brought along (off: --firmware "
                  "uefi,secure=off)");
    else if (p->secure_boot)
        tell(arg,
             "the machine starts with Secure Boot and here it starts without: what is bound to "
             "it (BitLocker, lockdown) may ask");
    other_bus(p, tell, arg);
}
