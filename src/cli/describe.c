/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - see describe.h. */
#define _GNU_SOURCE
#include "cli/describe.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

enum { PLAN_MAX = 1 << 20 };

static bool is_plan(const char *path)
{
    FILE *f = fopen(path, "rbe");
    char head[512];
    size_t n = f ? fread(head, 1, sizeof(head) - 1, f) : 0;

    if (f)
        fclose(f);
    head[n] = '\0';
    return head[strspn(head, " \t\r\n")] == '{' && strlen(head) == n;
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
    printf("%s\n", json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(j);
}

/* A value may hold anything; what would move the cursor does not reach the terminal. */
static void print_plain(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void print_text(const struct import_line *l)
{
    printf("%-8s ", import_fate_name(l->fate));
    if (l->line)
        printf("%4u: ", l->line);
    else
        printf("      ");
    print_plain(l->key);
    printf(" = ");
    print_plain(l->value ? l->value : "");
    if (l->to) {
        printf(" -> ");
        print_plain(l->to);
    }
    if (l->why)
        printf(" (%s)", l->why);
    putchar('\n');
}

void describe_report(const struct import_report *r, bool json)
{
    size_t fates[3] = {0};

    for (size_t k = 0; k < r->count; k++) {
        fates[r->lines[k].fate]++;
        if (json)
            print_json(&r->lines[k]);
        else
            print_text(&r->lines[k]);
    }
    if (!json && r->format)
        printf("%s: %zu kept, %zu changed, %zu dropped\n", r->format, fates[IMPORT_KEPT],
               fates[IMPORT_CHANGED], fates[IMPORT_DROPPED]);
}

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

void describe_needs(const struct plan *p, void (*tell)(void *arg, const char *text), void *arg)
{
    if (p->tpm)
        tell(arg, "the machine has a TPM and here it finds none: what is sealed to it (BitLocker, "
                  "LUKS) asks for its recovery key");
    if (p->secure_boot)
        tell(arg,
             "the machine starts with Secure Boot and here it starts without: what is bound to "
             "it (BitLocker, lockdown) may ask");
    other_bus(p, tell, arg);
}
