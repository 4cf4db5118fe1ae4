/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varstore.h - the file that keeps a machine's UEFI variables: what is in its flash chip.
 *
 * The guest's changes are in memory at once and in the file soon after, by a thread of the store's
 * own. The file is replaced as a whole (written beside, synced, renamed), so it always holds the
 * chip as it was at one moment, as after a power cut; firmware is made to recover from those.
 *
 * Another file beside it, with ".lock" at its end, is locked while a machine has the store.
 */
#ifndef HOSPES_BOARD_VARSTORE_H
#define HOSPES_BOARD_VARSTORE_H

#include "core/core.h"

struct varstore;

/* file NULL: kept in memory, and forgotten. A file that is not there is made from the template at
 * the first change. EX_IN_USE: another machine has it. */
MUST int varstore_open(const char *file, const char *template, struct varstore **out,
                       struct err *e);
/* Writes what is not in the file yet. NULL is fine. */
void varstore_close(struct varstore *v);
/* Pages, for the guest to read. */
const uint8_t *varstore_bytes(const struct varstore *v, size_t *size);
/* Any thread, does not block for long. Bytes [off, off + n) lie inside. false: the file could not
 * be written since the last time. */
bool varstore_write(struct varstore *v, size_t off, const uint8_t *p, size_t n);

/* Takes the lock of a store alone; it goes away when *fd is closed. */
MUST int varstore_lock(const char *file, int *fd, struct err *e);
/* Where the store of machine `name` is when nobody says: $XDG_STATE_HOME/hospes/NAME.nvram, else
 * ~/.local/state/hospes/NAME.nvram. malloc()ed. make: its folder too. */
MUST int varstore_default(const char *name, bool make, char **out, struct err *e);

#endif
