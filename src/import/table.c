/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - all importers. */
#include "import/import.h"

extern const struct importer_ops importer_vmx;

const struct importer_ops *const importers[] = {
    &importer_vmx,
    NULL,
};
