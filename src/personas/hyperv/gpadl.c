/* SPDX-License-Identifier: Apache-2.0 */
/* gpadl.c - see gpadl.h. */
#include "gpadl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vmbus.h"
#include "core/gmem.h"

/* One range's head at *at; advances behind its page numbers. false: it does not fit the list. */
static bool range_head(const uint8_t *list, size_t n, size_t *at, uint32_t *off, uint32_t *len,
                       size_t *pages)
{
    struct gpa_range r;

    if (!range_in(*at, sizeof(r), n))
        return false;
    memcpy(&r, list + *at, sizeof(r));
    *at += sizeof(r);
    *off = le32_get(r.byte_offset);
    *len = le32_get(r.byte_count);
    if (*off >= VMBUS_PAGE || *len == 0)
        return false;
    *pages = (size_t)(((uint64_t)*off + *len + VMBUS_PAGE - 1) / VMBUS_PAGE);
    return *pages <= (n - *at) / 8;
}

static uint8_t *page_at(struct gmem *m, uint64_t pfn)
{
    return pfn < UINT64_C(1) << 40 ? gmem_shared(m, pfn * VMBUS_PAGE, VMBUS_PAGE) : NULL;
}

static int parse_range(struct gpadl *g, struct gmem *m, const uint8_t *list, size_t n, size_t *at)
{
    struct gpadl_range *r = &g->range[g->ranges];
    size_t pages;

    if (!range_head(list, n, at, &r->offset, &r->len, &pages))
        return -EINVAL;
    r->page = g->pages;
    for (size_t i = 0; i < pages; i++, *at += 8) {
        g->page[g->pages] = page_at(m, le64_at(list + *at));
        if (!g->page[g->pages++])
            return -EINVAL;
    }
    g->bytes += r->len;
    g->ranges++;
    return 0;
}

int gpadl_parse(struct gpadl *g, struct gmem *m, const uint8_t *list, size_t n, unsigned ranges)
{
    size_t at = 0;
    int rc = 0;

    if (ranges == 0 || ranges > n / 16)
        return -EINVAL;
    g->range = calloc(ranges, sizeof(*g->range));
    g->page = calloc(n / 8, sizeof(*g->page));
    if (!g->range || !g->page)
        return -ENOMEM;
    for (unsigned i = 0; i < ranges && rc == 0; i++)
        rc = parse_range(g, m, list, n, &at);
    return rc;
}

void gpadl_free(struct gpadl *g)
{
    free(g->list);
    free(g->range);
    free(g->page);
    free(g);
}

/* Appends, or grows the last vector. */
static bool put(struct iovec *iov, size_t max, size_t *count, void *p, size_t n)
{
    struct iovec *last = *count ? &iov[*count - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == (uint8_t *)p) {
        last->iov_len += n;
        return true;
    }
    if (*count == max)
        return false;
    iov[(*count)++] = (struct iovec){p, n};
    return true;
}

bool gpadl_map(const struct gpadl *g, uint64_t off, uint64_t n, struct iovec *iov, size_t max,
               size_t *count)
{
    if (!range_in(off, n, g->bytes))
        return false;
    for (unsigned i = 0; i < g->ranges && n; i++) {
        const struct gpadl_range *r = &g->range[i];
        uint64_t part, at;

        if (off >= r->len) {
            off -= r->len;
            continue;
        }
        part = min_u64(n, r->len - off);
        at = r->offset + off;
        n -= part;
        off = 0;
        while (part) {
            uint64_t in = at % VMBUS_PAGE, piece = min_u64(part, VMBUS_PAGE - in);

            if (!put(iov, max, count, g->page[r->page + at / VMBUS_PAGE] + in, piece))
                return false;
            at += piece;
            part -= piece;
        }
    }
    return true;
}

bool gpadl_direct(struct gmem *m, const uint8_t *list, size_t n, unsigned ranges, struct iovec *iov,
                  size_t max, size_t *count)
{
    size_t at = 0, pages;
    uint32_t off, len;

    for (unsigned i = 0; i < ranges; i++) {
        if (!range_head(list, n, &at, &off, &len, &pages))
            return false;
        for (; pages; pages--, at += 8) {
            uint32_t piece = (uint32_t)min_u64(len, VMBUS_PAGE - off);
            uint8_t *p = page_at(m, le64_at(list + at));

            if (!p || !put(iov, max, count, p + off, piece))
                return false;
            len -= piece;
            off = 0;
        }
    }
    return true;
}

bool gpadl_is_pages(const struct gpadl *g)
{
    return g->ranges == 1 && g->range[0].offset == 0 && g->bytes % VMBUS_PAGE == 0;
}
