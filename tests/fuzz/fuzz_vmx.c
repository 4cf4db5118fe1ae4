/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .vmx: refused or read, with every key told. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/import.h"
#include "machine/plan.h"

extern const struct importer_ops importer_vmx;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_file f = {.path = "fuzz.vmx", .dir = (char *)"/nowhere", .size = size};
    struct import_report report = {0};
    struct plan plan;
    struct err e;

    f.text = malloc(size + 1);
    if (!f.text)
        return 0;
    memcpy(f.text, data, size);
    f.text[size] = '\0';
    plan_init(&plan);
    (void)!importer_vmx.read(&f, &plan, &report, &e);
    plan_free(&plan);
    import_report_free(&report);
    free(f.text);
    return 0;
}
