/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unmap.c - UNMAP and WRITE SAME (SBC-3 5.28, 5.42): commands made of several disk requests.
 *
 * The parameter list is copied and checked whole before the first range is touched. Ranges then go
 * to the disk one after another; the first error ends the command.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/iov.h"
#include "storage/scsi/target.h"

enum {
    UNMAP_MAX_RANGES = 256, /* as VPD page B0h says */
    SAME_BUFFER = 64 << 10, /* bytes of repeated pattern per write */
};

struct unmap_job {
    unsigned at, count;
    struct {
        uint64_t off, len; /* bytes */
    } range[];
};

static void unmap_next(struct scsi_req *r);

static void job_end(struct scsi_req *r, int res)
{
    free(r->job);
    r->job = NULL;
    scsi_result(r, res, 0);
    scsi_complete(r);
}

static void unmap_done(struct disk_req *d, int res)
{
    struct scsi_req *r = container_of(d, struct scsi_req, disk);
    struct unmap_job *j = r->job;

    /* A disk that cannot give space back has still done what UNMAP asks: it is a hint. */
    if (res == -EOPNOTSUPP)
        res = 0;
    if (res < 0 || j->at == j->count)
        job_end(r, res);
    else
        unmap_next(r);
}

static void unmap_prepare(struct scsi_req *r)
{
    struct unmap_job *j = r->job;

    r->disk = (struct disk_req){.op = DISK_TRIM,
                                .off = j->range[j->at].off,
                                .len = j->range[j->at].len,
                                .done = unmap_done};
    j->at++;
}

static void unmap_next(struct scsi_req *r)
{
    unmap_prepare(r);
    disk_submit(r->l->disk, &r->disk);
}

/* 0, or the sense code that refuses the list. Empty ranges are dropped. */
static int unmap_parse(struct scsi_req *r, const uint8_t *list, unsigned n, struct unmap_job *j)
{
    uint64_t total = r->l->shape.bytes / r->l->shape.logical;

    for (unsigned i = 0; i < n; i++) {
        struct scsi_unmap_range w;
        uint64_t lba, blocks;

        memcpy(&w, list + 8 + i * sizeof(w), sizeof(w));
        lba = be64_get(w.lba);
        blocks = be32_get(w.blocks);
        if (!range_in(lba, blocks, total))
            return ASC_LBA_OUT_OF_RANGE;
        if (blocks == 0)
            continue;
        j->range[j->count].off = lba * r->l->shape.logical;
        j->range[j->count].len = blocks * r->l->shape.logical;
        j->count++;
    }
    return 0;
}

bool scsi_unmap(struct scsi_req *r)
{
    uint8_t list[8 + UNMAP_MAX_RANGES * sizeof(struct scsi_unmap_range)];
    size_t len = be16_at(r->cdb + 7);
    struct unmap_job *j;
    unsigned n;
    int asc;

    if (len == 0) {
        scsi_good(r, 0);
        return true;
    }
    if (len < 8 || len > sizeof(list)) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return true;
    }
    if (!scsi_param(r, list, len))
        return true;
    n = (unsigned)min_u64(be16_at(list + 2), len - 8) / sizeof(struct scsi_unmap_range);
    j = calloc(1, sizeof(*j) + n * sizeof(j->range[0]));
    if (!j) {
        scsi_status(r, SCSI_BUSY);
        return true;
    }
    asc = unmap_parse(r, list, n, j);
    if (asc || j->count == 0) {
        free(j);
        if (asc)
            scsi_fail(r, ILLEGAL_REQUEST, (enum sense_code)asc);
        else
            scsi_good(r, 0);
        return true;
    }
    r->job = j;
    unmap_prepare(r);
    return false;
}

/* --- WRITE SAME --- */

struct same_job {
    uint64_t off, left; /* bytes */
    struct iovec iov;
    uint8_t pattern[SAME_BUFFER];
};

static void same_done(struct disk_req *d, int res);

static void same_prepare(struct scsi_req *r)
{
    struct same_job *j = r->job;
    uint64_t n = min_u64(j->left, SAME_BUFFER);

    j->iov = (struct iovec){.iov_base = j->pattern, .iov_len = (size_t)n};
    r->disk = (struct disk_req){.op = DISK_WRITE,
                                .off = j->off,
                                .len = n,
                                .iov = &j->iov,
                                .iovcnt = 1,
                                .fua = !r->l->s.wce,
                                .done = same_done};
    j->off += n;
    j->left -= n;
}

static void same_done(struct disk_req *d, int res)
{
    struct scsi_req *r = container_of(d, struct scsi_req, disk);
    struct same_job *j = r->job;

    if (res < 0 || j->left == 0) {
        job_end(r, res);
        return;
    }
    same_prepare(r);
    disk_submit(r->l->disk, &r->disk);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

bool scsi_write_same(struct scsi_req *r, bool sixteen)
{
    uint32_t block = r->l->shape.logical;
    uint64_t lba = sixteen ? be64_at(r->cdb + 2) : be32_at(r->cdb + 2);
    uint64_t blocks = sixteen ? be32_at(r->cdb + 10) : be16_at(r->cdb + 7);
    uint64_t total = r->l->shape.bytes / block;
    bool no_data = sixteen && (r->cdb[1] & 0x01);
    uint8_t pattern[4096];
    struct same_job *j;

    if (r->cdb[1] & 0x10 || block > sizeof(pattern)) { /* ANCHOR is not offered */
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return true;
    }
    if (blocks == 0 && lba < total) /* WSNZ is 0: zero means up to the end */
        blocks = total - lba;
    if (!range_in(lba, blocks, total)) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
        return true;
    }
    memset(pattern, 0, sizeof(pattern));
    if (!no_data && !scsi_param(r, pattern, block))
        return true;
    if (all_zero(pattern, block)) {
        r->disk.op = DISK_ZERO;
        r->disk.off = lba * block;
        r->disk.len = blocks * block;
        r->disk.unmap = r->cdb[1] & 0x08;
        r->disk.fua = !r->l->s.wce;
        return false;
    }
    j = malloc(sizeof(*j));
    if (!j) {
        scsi_status(r, SCSI_BUSY);
        return true;
    }
    for (size_t i = 0; i + block <= SAME_BUFFER; i += block)
        memcpy(j->pattern + i, pattern, block);
    j->off = lba * block;
    j->left = blocks * block;
    r->job = j;
    same_prepare(r);
    return false;
}
