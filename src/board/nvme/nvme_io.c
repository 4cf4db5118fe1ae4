/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme_io.c - the NVM command set: NVM Express 1.4 chapter 6, and PRP lists of chapter 4.3.
 *
 * Data goes straight between disk and guest pages.
 */
#include <errno.h>
#include <string.h>

#include "board/nvme/nvme_priv.h"
#include "core/gmem.h"
#include "core/iov.h"

/* --- where the data is --- */

static uint16_t map_piece(struct nvme_request *r, gpa_t at, uint32_t n, bool to_memory)
{
    return gmem_map(r->ctl->pci.dev.env.mem, at, n, to_memory, r->u.iov, NVME_IOV, &r->iovcnt) < 0
               ? NVME_DATA_TRANSFER_ERROR | NVME_DNR
               : NVME_SUCCESS;
}

/* Entries from `at` to its page's end, the last of which is the next list if there is more. */
static uint16_t map_list(struct nvme_request *r, gpa_t at, uint32_t len, bool to_memory)
{
    le64 list[NVME_PAGE / 8];
    uint16_t rc = NVME_SUCCESS;

    if (at % 8)
        return NVME_INVALID_PRP_OFFSET | NVME_DNR;
    while (len && rc == NVME_SUCCESS) {
        unsigned room = (unsigned)(NVME_PAGE - at % NVME_PAGE) / 8;
        unsigned pages = (len + NVME_PAGE - 1) / NVME_PAGE;
        unsigned n = pages > room ? room : pages;

        if (gmem_read(r->ctl->pci.dev.env.mem, at, list, n * sizeof(list[0])) < 0)
            return NVME_DATA_TRANSFER_ERROR | NVME_DNR;
        if (pages > room && room < 2 && at % NVME_PAGE == 0)
            return NVME_INVALID_FIELD | NVME_DNR;
        for (unsigned i = 0; i < (pages > room ? n - 1 : n) && rc == NVME_SUCCESS; i++) {
            uint32_t here = len < NVME_PAGE ? len : NVME_PAGE;

            rc = le64_get(list[i]) % NVME_PAGE ? NVME_INVALID_PRP_OFFSET | NVME_DNR
                                               : map_piece(r, le64_get(list[i]), here, to_memory);
            len -= here;
        }
        if (pages <= room)
            break;
        at = le64_get(list[n - 1]);
        if (at % NVME_PAGE)
            return NVME_INVALID_PRP_OFFSET | NVME_DNR;
    }
    return rc;
}

uint16_t nvme_map(struct nvme_request *r, const struct nvme_sqe *c, uint32_t len, bool to_memory)
{
    gpa_t one = le64_get(c->prp1), two = le64_get(c->prp2);
    uint32_t first = NVME_PAGE - (uint32_t)(one % NVME_PAGE);
    uint16_t rc;

    r->iovcnt = 0;
    if (len == 0)
        return NVME_SUCCESS;
    if (one % 4)
        return NVME_INVALID_PRP_OFFSET | NVME_DNR;
    first = len < first ? len : first;
    rc = map_piece(r, one, first, to_memory);
    len -= first;
    if (rc != NVME_SUCCESS || len == 0)
        return rc;
    if (len > NVME_PAGE)
        return map_list(r, two, len, to_memory);
    return two % NVME_PAGE ? NVME_INVALID_PRP_OFFSET | NVME_DNR : map_piece(r, two, len, to_memory);
}

/* --- ends --- */

static uint16_t status_of(const struct disk_req *q, int res)
{
    switch (res) {
    case 0:
        return NVME_SUCCESS;
    case -EROFS:
        return NVME_WRITE_PROTECTED | NVME_DNR;
    case -EINVAL:
        return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
    default:
        return q->op == DISK_READ ? NVME_UNRECOVERED_READ : NVME_WRITE_FAULT;
    }
}

static void start(struct nvme_request *r);

/* true: another range follows. */
static bool next_range(struct nvme_request *r)
{
    while (r->range < r->ranges) {
        const struct nvme_dsm_range *d = &r->u.dsm[r->range++];
        uint64_t blocks = le32_get(d->blocks);

        if (!blocks)
            continue;
        r->req = (struct disk_req){.op = DISK_TRIM,
                                   .off = le64_get(d->lba) << r->ns->shift,
                                   .len = blocks << r->ns->shift};
        return true;
    }
    return false;
}

static void ended(struct nvme_request *r, int res)
{
    if (res == 0 && r->ranges && next_range(r))
        start(r);
    else
        nvme_end(r, status_of(&r->req, res), 0);
}

static void done(struct disk_req *q, int res)
{
    struct nvme_request *r = q->owner;
    struct nvme *n = r->ctl;

    device_lock(&n->pci.dev);
    ended(r, res);
    nvme_go_on(n);
    device_unlock(&n->pci.dev);
}

/* r->req is set. At once if that needs no waiting, or by the loop. */
static void start(struct nvme_request *r)
{
    int rc;

    r->req.done = done;
    r->req.owner = r;
    rc = r->ranges ? -EAGAIN : disk_try(r->ns->disk, &r->req);
    if (rc == -EAGAIN)
        nvme_later(r);
    else
        ended(r, rc);
}

/* --- commands --- */

/* Sets off and len from the command's first block and count. */
static uint16_t blocks(struct nvme_request *r, const struct nvme_sqe *c)
{
    uint64_t lba = le32_get(c->cdw10) | (uint64_t)le32_get(c->cdw11) << 32;
    uint64_t n = (le32_get(c->cdw12) & 0xffff) + UINT64_C(1);

    if (!range_in(lba, n, r->ns->blocks))
        return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
    r->req.off = lba << r->ns->shift;
    r->req.len = n << r->ns->shift;
    return NVME_SUCCESS;
}

static uint16_t read_write(struct nvme_request *r, const struct nvme_sqe *c, bool write)
{
    struct nvme *n = r->ctl;
    bool through = le32_get(c->cdw12) & NVME_RW_FUA || !(n->s.feature[NVME_FEAT_WRITE_CACHE] & 1);
    uint16_t rc;

    r->req = (struct disk_req){.op = write ? DISK_WRITE : DISK_READ, .fua = write && through};
    rc = blocks(r, c);
    if (rc != NVME_SUCCESS)
        return rc;
    if (write && r->ns->disk->shape.readonly)
        return NVME_WRITE_PROTECTED | NVME_DNR;
    if (r->req.len > NVME_DATA)
        return NVME_INVALID_FIELD | NVME_DNR;
    rc = nvme_map(r, c, (uint32_t)r->req.len, !write);
    r->req.iov = r->u.iov;
    r->req.iovcnt = (unsigned)r->iovcnt;
    n->count.reads += !write;
    n->count.writes += write;
    *(write ? &n->count.written_blocks : &n->count.read_blocks) += r->req.len / 512;
    return rc;
}

static uint16_t write_zeroes(struct nvme_request *r, const struct nvme_sqe *c)
{
    uint32_t cdw12 = le32_get(c->cdw12);
    uint16_t rc;

    r->req = (struct disk_req){.op = DISK_ZERO,
                               .fua = cdw12 & NVME_RW_FUA ||
                                      !(r->ctl->s.feature[NVME_FEAT_WRITE_CACHE] & 1),
                               .unmap = cdw12 & NVME_WZ_DEAC};
    rc = blocks(r, c);
    return rc == NVME_SUCCESS && r->ns->disk->shape.readonly ? NVME_WRITE_PROTECTED | NVME_DNR : rc;
}

/* Takes the ranges over; the first one is r->req. */
static uint16_t manage(struct nvme_request *r, const struct nvme_sqe *c)
{
    unsigned n = (le32_get(c->cdw10) & 0xff) + 1;
    struct nvme_dsm_range copy[NVME_RANGES];
    uint16_t rc = nvme_map(r, c, (uint32_t)(n * sizeof(copy[0])), false);

    if (rc != NVME_SUCCESS)
        return rc;
    iov_read(r->u.iov, (unsigned)r->iovcnt, 0, copy, n * sizeof(copy[0]));
    for (unsigned i = 0; i < n; i++) {
        if (!range_in(le64_get(copy[i].lba), le32_get(copy[i].blocks), r->ns->blocks))
            return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
    }
    if (r->ns->disk->shape.readonly)
        return NVME_WRITE_PROTECTED | NVME_DNR;
    memcpy(r->u.dsm, copy, sizeof(copy[0]) * n);
    r->ranges = le32_get(c->cdw11) & NVME_DSM_DEALLOCATE ? n : 0;
    return NVME_SUCCESS;
}

static void flush(struct nvme_request *r)
{
    r->req = (struct disk_req){.op = DISK_FLUSH};
    start(r);
}

void nvme_io_command(struct nvme_request *r, const struct nvme_sqe *c)
{
    uint32_t nsid = le32_get(c->nsid);
    uint16_t rc;
    size_t i;

    if (c->opcode == NVME_FLUSH && nsid == NVME_NSID_ALL && r->ctl->namespaces == 1)
        nsid = 1;
    if (!idx_in(nsid - UINT64_C(1), r->ctl->namespaces, &i)) {
        nvme_end(r, NVME_INVALID_NAMESPACE | NVME_DNR, 0);
        return;
    }
    r->ns = &r->ctl->ns[i];
    switch (c->opcode) {
    case NVME_FLUSH:
        flush(r);
        return;
    case NVME_WRITE:
    case NVME_READ:
        rc = read_write(r, c, c->opcode == NVME_WRITE);
        break;
    case NVME_WRITE_ZEROES:
        rc = write_zeroes(r, c);
        break;
    case NVME_DSM:
        rc = manage(r, c);
        if (rc == NVME_SUCCESS && !next_range(r)) {
            nvme_end(r, NVME_SUCCESS, 0);
            return;
        }
        break;
    default:
        rc = NVME_INVALID_OPCODE | NVME_DNR;
    }
    if (rc == NVME_SUCCESS)
        start(r);
    else
        nvme_end(r, rc, 0);
}

void nvme_shutdown(struct nvme *n)
{
    n->flushes = 1;
    for (unsigned i = 0; i < n->namespaces; i++) {
        struct nvme_request *r = nvme_take(n, 0);

        if (!r)
            break; /* the guest has commands in flight: it wants no order kept */
        r->shutdown = true;
        r->ns = &n->ns[i];
        n->flushes++;
        flush(r);
    }
    if (--n->flushes == 0)
        n->s.csts = (n->s.csts & ~NVME_CSTS_SHST_OCCURRING) | NVME_CSTS_SHST_COMPLETE;
}
