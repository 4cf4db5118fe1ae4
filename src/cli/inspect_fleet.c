/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_fleet.c - `hospes inspect --fleet`: a folder of machines as a table, CSV or JSON. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/inspect.h"
#include "cli/line.h"
#include "inspect/fleet.h"

/* --- table --- */

static void print_table(const struct fleet *f)
{
    unsigned sure[SURE_YES + 1] = {0}, unread = 0;
    size_t wide = 7;

    for (size_t i = 0; i < f->n; i++) {
        size_t n = strlen(f->v[i].name);

        wide = n > wide ? n : wide;
    }
    wide = wide > 32 ? 32 : wide;
    printf("%-*s  %-8s  %-8s  %-8s  %-38s  %s\n", (int)wide, "machine", "from", "persona", "boots",
           "system", "file");
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_machine *m = &f->v[i];

        if (m->persona < 0)
            unread++;
        else
            sure[m->boots]++;
        line_row("%-*.*s  %-8s  %-8s  %-8s  %-38.38s  %s", (int)wide, (int)wide, m->name, m->from,
                 m->persona < 0 ? "-" : persona_names[m->persona],
                 m->persona < 0 ? "-" : sure_names[m->boots], m->system ? m->system : "-", m->file);
        if (m->problem)
            line_row("%-*s  problem: %s", (int)wide, "", m->problem);
        else if (m->boots < SURE_LIKELY && m->why)
            line_row("%-*s  %s", (int)wide, "", m->why);
    }
    printf("\n%zu machines: %u boot, %u likely, %u unknown, %u unlikely, %u not; %u cannot be "
           "read%s\n",
           f->n, sure[SURE_YES], sure[SURE_LIKELY], sure[SURE_UNKNOWN], sure[SURE_UNLIKELY],
           sure[SURE_NO], unread, f->cut ? "; there is more than was looked at" : "");
}

/* --- CSV, RFC 4180 --- */

/* A cell that a spreadsheet would run as a formula gets a quote before it. */
static void cell(const char *text, bool last)
{
    putchar('"');
    if (text && *text && strchr("=+-@", *text))
        putchar('\'');
    for (; text && *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    printf(last ? "\"\r\n" : "\",");
}

static void number(uint64_t v)
{
    printf("%llu,", (unsigned long long)v);
}

static void print_csv(const struct fleet *f)
{
    printf("machine,file,from,persona,boots,firmware,system,cpus,memory,disks,bytes,why,lacks,"
           "problem\r\n");
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_machine *m = &f->v[i];

        cell(m->name, false);
        cell(m->file, false);
        cell(m->from, false);
        cell(m->persona < 0 ? "" : persona_names[m->persona], false);
        cell(m->persona < 0 ? "" : sure_names[m->boots], false);
        cell(m->firmware, false);
        cell(m->system, false);
        number(m->cpus);
        number(m->memory);
        number(m->disks);
        number(m->bytes);
        cell(m->why, false);
        cell(m->lacks, false);
        cell(m->problem, true);
    }
}

/* --- JSON, one machine a line --- */

static void text(struct json_object *o, const char *key, const char *value)
{
    if (value && *value)
        json_object_object_add(o, key, json_object_new_string(value));
}

static void count(struct json_object *o, const char *key, uint64_t v)
{
    if (v)
        json_object_object_add(o, key, json_object_new_uint64(v));
}

static void print_json(const struct fleet *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fleet_machine *m = &f->v[i];
        struct json_object *o = json_object_new_object();

        text(o, "machine", m->name);
        text(o, "file", m->file);
        text(o, "from", m->from);
        text(o, "persona", m->persona < 0 ? NULL : persona_names[m->persona]);
        text(o, "boots", m->persona < 0 ? NULL : sure_names[m->boots]);
        text(o, "firmware", m->firmware);
        text(o, "system", m->system);
        count(o, "cpus", m->cpus);
        count(o, "memory", m->memory);
        count(o, "disks", m->disks);
        count(o, "bytes", m->bytes);
        text(o, "why", m->why);
        text(o, "lacks", m->lacks);
        text(o, "problem", m->problem);
        line_json(o);
    }
}

int inspect_fleet(const struct inspect_args *a, struct err *e)
{
    struct fleet f;
    int rc = fleet_look(a->fleet, &f, e);

    if (rc < 0)
        return rc;
    if (a->form == INSPECT_JSON)
        print_json(&f);
    else if (a->form == INSPECT_CSV)
        print_csv(&f);
    else if (a->form == INSPECT_HTML)
        inspect_html(a->fleet, &f);
    else
        print_table(&f);
    fleet_free(&f);
    return 0;
}
