/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - disks over a disk. Each takes the disk below over on success only, and closes it.
 */
#ifndef HOSPES_STORAGE_FILTER_FILTER_H
#define HOSPES_STORAGE_FILTER_FILTER_H

#include "storage/disk.h"

/* Writes, zeroing and trimming stay in an unlinked file in dir (NULL: $TMPDIR or /var/tmp) that
 * goes away with the disk; the disk below is never written. Flush does nothing: nothing lasts. */
MUST int overlay_create(struct disk *below, const char *dir, struct loop *l, struct disk **out,
                        struct err *e);

/* Fails requests. op < 0: any. The first `skip` matching requests pass, the next `count` fail with
 * -code (count 0: all), later ones pass again. */
struct error_rule {
    int op;
    uint64_t skip, count;
    int code;
};
MUST int error_create(struct disk *below, const struct error_rule *rule, struct loop *l,
                      struct disk **out, struct err *e);

/* Starts each request `ns` later than it was asked for. */
MUST int delay_create(struct disk *below, uint64_t ns, struct loop *l, struct disk **out,
                      struct err *e);

/* Lets requests through at most at these speeds; 0 is no limit. */
MUST int rate_create(struct disk *below, uint64_t bytes_per_s, uint64_t ops_per_s, struct loop *l,
                     struct disk **out, struct err *e);

/* Appends one line to fd per request that starts and per one that ends: time in ns, "start" or
 * "end", operation, offset, length, result. fd becomes the filter's. */
MUST int log_create(struct disk *below, int fd, struct loop *l, struct disk **out, struct err *e);

/* The tray of a drive whose disc can be changed; disc NULL: there is none, and no bytes. */
MUST int tray_create(struct disk *disc, struct loop *l, struct disk **out, struct err *e);
/* Another disc, taken over, or NULL; the old one is closed. On the loop, with nothing in flight and
 * no other thread at the tray. The drive is not told: that is the caller's. */
void tray_change(struct disk *tray, struct disk *disc);

#endif
