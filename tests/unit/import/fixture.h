/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - a folder with a description in it, and what became of it. */
#ifndef UNIT_IMPORT_FIXTURE_H
#define UNIT_IMPORT_FIXTURE_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "import/import.h"
#include "machine/plan.h"

static char dir[40];
static struct plan plan;
static struct import_report report;
static struct import_wish wish;
static struct err e;

static inline int fixture_setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hospes-import-XXXXXX");
    assert_non_null(mkdtemp(dir));
    plan_init(&plan);
    report = (struct import_report){0};
    wish = (struct import_wish){0};
    e = (struct err){0};
    return 0;
}

static inline int fixture_teardown(void **state)
{
    char command[64];

    (void)state;
    plan_free(&plan);
    import_report_free(&report);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static inline void put_bytes(const char *name, const void *p, size_t n)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static inline void put_text(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static inline int take(const char *name)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    plan_free(&plan);
    import_report_free(&report);
    plan_init(&plan);
    return import_read(path, &wish, &plan, &report, &e);
}

static inline int take_text(const char *name, const char *text)
{
    put_text(name, text);
    return take(name);
}

/* The report's line on a key that ends so. */
static inline const struct import_line *told(const char *key)
{
    size_t m = strlen(key);

    for (size_t i = 0; i < report.count; i++) {
        size_t n = strlen(report.lines[i].key);

        if (n >= m && strcasecmp(report.lines[i].key + n - m, key) == 0)
            return &report.lines[i];
    }
    return NULL;
}

static inline enum import_fate fate(const char *key)
{
    const struct import_line *l = told(key);

    if (!l)
        fail_msg("nothing is told of %s", key);
    return l ? l->fate : IMPORT_KEPT;
}

static inline const char *why(const char *key)
{
    const struct import_line *l = told(key);

    return l && l->why ? l->why : "";
}

static inline bool ends(const char *text, const char *end)
{
    size_t n = text ? strlen(text) : 0, m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

#endif
