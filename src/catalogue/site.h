/* SPDX-License-Identifier: Apache-2.0 */
/* site.h - a catalogue as web pages that need no server: docs/reference/catalogue.md. */
#ifndef HOSPES_CATALOGUE_SITE_H
#define HOSPES_CATALOGUE_SITE_H

#include "catalogue/index.h"

struct site_told {
    size_t guests, cells, claims, records, bundles_missing;
};

/* Writes the site into out, a new folder or one that a site was built into before, which it
 * replaces at the end. current: as in cells_each(). */
MUST int site_build(const struct store *s, struct index *ix, const char *out, const char *current,
                    struct site_told *told, struct err *e);

#endif
