/* SPDX-License-Identifier: Apache-2.0 */
/* extents.c - see extents.h. */
#include "inspect/fs/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int extents_add(struct extents *x, uint64_t at, uint64_t len, uint64_t off, bool zero)
{
    if (x->n == EXTENTS_MAX)
        return -E2BIG;
    if (x->n == x->room) {
        size_t room = x->room ? x->room * 2 : 16;
        struct extent_run *v = reallocarray(x->v, room, sizeof(*v));

        if (!v)
            return -ENOMEM;
        x->v = v;
        x->room = room;
    }
    if (len > UINT64_MAX - at)
        return -EIO;
    x->v[x->n++] = (struct extent_run){at, len, off, zero};
    return 0;
}

static int run_order(const void *a, const void *b)
{
    const struct extent_run *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

void extents_sort(struct extents *x)
{
    if (x->n > 1)
        qsort(x->v, x->n, sizeof(*x->v), run_order);
}

void extents_clear(struct extents *x)
{
    free(x->v);
    *x = (struct extents){.n = 0};
}

/* The first run that ends after off; x->n: none. */
static size_t run_after(const struct extents *x, uint64_t off)
{
    size_t lo = 0, hi = x->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (x->v[mid].at + x->v[mid].len <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

ssize_t extents_read(const struct extents *x, const struct vol *v, uint64_t off, void *buf,
                     size_t len)
{
    uint8_t *to = buf;
    size_t done = 0;

    for (size_t i = run_after(x, off); done < len; i++) {
        uint64_t at = off + done;
        size_t n = len - done;

        if (i < x->n && x->v[i].at <= at && at - x->v[i].at >= x->v[i].len)
            continue; /* runs that overlap: the first one counts */
        if (i >= x->n || x->v[i].at > at) {
            n = i < x->n ? (size_t)min_u64(n, x->v[i].at - at) : n;
            memset(to + done, 0, n);
            i--; /* look at the same run again */
        } else {
            uint64_t in = at - x->v[i].at;

            n = (size_t)min_u64(n, x->v[i].len - in);
            if (x->v[i].zero)
                memset(to + done, 0, n);
            else {
                int rc = vol_read(v, x->v[i].off + in, to + done, n);

                if (rc < 0)
                    return rc;
            }
        }
        done += n;
    }
    return (ssize_t)done;
}
