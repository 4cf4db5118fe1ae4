/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - any bytes as a description of one kind: refused in a sentence, or read with every key
 * told; what was read is exported in every way.
 */
#ifndef FUZZ_IMPORT_H
#define FUZZ_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "import/import.h"

int fuzz_import(const struct importer_ops *o, const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_IMPORTER(importer)                                                                    \
    extern const struct importer_ops importer;                                                     \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                   \
    {                                                                                              \
        return fuzz_import(&(importer), data, size);                                               \
    }

#endif
