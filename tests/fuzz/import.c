/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - see import.h. */
#define _GNU_SOURCE
#include "import.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "import/export.h"
#include "machine/plan.h"

static void export_all(struct plan *p)
{
    for (size_t i = 0; exporters[i]; i++) {
        struct export x = {.dir = "/nowhere"};
        struct err e = {0};

        (void)!exporters[i]->make(p, &x, &e);
        export_free(&x);
    }
}

int fuzz_import(const struct importer_ops *o, const uint8_t *data, size_t size)
{
    /* Checksums would keep everything behind them out of reach. */
    struct import_file f = {
        .path = "/nowhere/fuzz", .dir = (char *)"/nowhere", .size = size, .wish.unchecked = true};
    struct import_report report = {0};
    struct plan plan, again;
    struct err e = {0};
    char *json;

    f.fd = memfd_create("fuzz", MFD_CLOEXEC);
    f.text = malloc(size + 1);
    if (!f.text || f.fd < 0 || write(f.fd, data, size) != (ssize_t)size)
        abort();
    memcpy(f.text, data, size);
    f.text[size] = '\0';
    plan_init(&plan);
    (void)o->probe(f.text, size);
    if (o->read(&f, &plan, &report, &e) == 0) {
        for (size_t i = 0; i < report.count; i++)
            assert(report.lines[i].fate == IMPORT_KEPT || report.lines[i].why);
        if (plan_to_json(&plan, &json, &e) == 0) {
            if (plan_from_json(&again, json, &e) == 0)
                plan_free(&again);
            free(json);
        }
        export_all(&plan);
    } else {
        assert(e.msg[0]);
    }
    plan_free(&plan);
    import_report_free(&report);
    free(f.text);
    close(f.fd);
    return 0;
}
