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

/* Makes the site anew in $TMPDIR, from a sound catalogue's entries alone, and compares each file
 * with those in `site`. each() gets one sentence for every one that differs, is missing or does not
 * belong. Returns the number of faults or -errno. */
MUST int site_verify(const struct store *s, const char *site, const char *current,
                     void (*each)(void *arg, const char *fault), void *arg, struct err *e);

#endif
