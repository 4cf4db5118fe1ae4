/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.c - SBC-3: commands that move or describe the medium.
 *
 * One command becomes one disk request, filled into r->disk. A transfer that is longer than the
 * guest's buffer moves as many whole blocks as fit and reports the residue by `moved`.
 */
#include <string.h>

#include "core/iov.h"
#include "storage/scsi/target.h"

unsigned scsi_cdb_len(uint8_t op)
{
    static const uint8_t by_group[8] = {6, 10, 10, 0, 16, 12, 0, 0};

    return by_group[op >> 5];
}

struct extent_cdb {
    uint64_t lba, blocks;
    bool fua;
};

/* Where each CDB form keeps address, length and FUA. */
static void parse_extent(const uint8_t *cdb, struct extent_cdb *x)
{
    switch (scsi_cdb_len(cdb[0])) {
    case 6:
        x->lba = (uint64_t)(cdb[1] & 0x1f) << 16 | be16_at(cdb + 2);
        x->blocks = cdb[4] ? cdb[4] : 256;
        x->fua = false;
        break;
    case 10:
        x->lba = be32_at(cdb + 2);
        x->blocks = be16_at(cdb + 7);
        x->fua = cdb[1] & 0x08;
        break;
    case 12:
        x->lba = be32_at(cdb + 2);
        x->blocks = be32_at(cdb + 6);
        x->fua = cdb[1] & 0x08;
        break;
    default:
        x->lba = be64_at(cdb + 2);
        x->blocks = be32_at(cdb + 10);
        x->fua = cdb[1] & 0x08;
        break;
    }
}

static bool is_read(uint8_t op)
{
    return op == READ_6 || op == READ_10 || op == READ_12 || op == READ_16;
}

static bool is_write(uint8_t op)
{
    return op == WRITE_6 || op == WRITE_10 || op == WRITE_12 || op == WRITE_16 ||
           op == WRITE_AND_VERIFY_10 || op == WRITE_AND_VERIFY_16;
}

int64_t scsi_cdb_bytes(const uint8_t *cdb, uint32_t block)
{
    struct extent_cdb x;

    if (!is_read(cdb[0]) && !is_write(cdb[0]))
        return 0;
    parse_extent(cdb, &x);
    return is_read(cdb[0]) ? (int64_t)(x.blocks * block) : -(int64_t)(x.blocks * block);
}

/* false: r is finished. Blocks fit into 32 bits and a block is at most 4096 bytes, so nothing
 * wraps once the address is inside the disk. */
static bool in_range(struct scsi_req *r, const struct extent_cdb *x)
{
    uint64_t total = r->l->shape.bytes / r->l->shape.logical;

    if (range_in(x->lba, x->blocks, total))
        return true;
    scsi_fail(r, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
    return false;
}

static bool writable(struct scsi_req *r)
{
    if (!r->l->shape.readonly && !r->l->cdrom)
        return true;
    scsi_fail(r, DATA_PROTECT, ASC_WRITE_PROTECTED);
    return false;
}

int scsi_block_transfer(struct scsi_req *r)
{
    uint32_t block = r->l->cdrom ? 2048 : r->l->shape.logical;
    struct extent_cdb x;
    uint64_t fits;

    if (!is_read(r->cdb[0]) && !is_write(r->cdb[0]))
        return 0;
    parse_extent(r->cdb, &x);
    if (r->l->cdrom) {
        if (!range_in(x.lba, x.blocks, r->l->shape.bytes / block)) {
            scsi_fail(r, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
            return -1;
        }
    } else if (!in_range(r, &x)) {
        return -1;
    }
    if (is_write(r->cdb[0]) && !writable(r))
        return -1;
    fits = iov_len(r->iov, r->iovcnt) / block;
    x.blocks = min_u64(x.blocks, fits);
    r->iovcnt = iov_trim(r->iov, r->iovcnt, x.blocks * block);
    if (x.blocks == 0) {
        scsi_good(r, 0);
        return -1;
    }
    r->disk.op = is_read(r->cdb[0]) ? DISK_READ : DISK_WRITE;
    r->disk.off = x.lba * block;
    r->disk.len = x.blocks * block;
    r->disk.iov = r->iov;
    r->disk.iovcnt = r->iovcnt;
    /* With the write cache off, every write is as durable as one with FUA. */
    r->disk.fua = r->disk.op == DISK_WRITE && (x.fua || !READ_ONCE(r->l->s.wce));
    return 1;
}

static void read_capacity_10(struct scsi_req *r)
{
    uint32_t block = r->l->cdrom ? 2048 : r->l->shape.logical;
    uint64_t last = r->l->shape.bytes / block - (r->l->shape.bytes >= block);
    uint8_t out[8];

    be32_put(out, (uint32_t)min_u64(last, UINT32_MAX));
    be32_put(out + 4, block);
    scsi_reply(r, out, sizeof(out), sizeof(out));
}

static void read_capacity_16(struct scsi_req *r)
{
    const struct disk_shape *s = &r->l->shape;
    uint8_t out[32] = {0};

    if ((r->cdb[1] & 0x1f) != SAI_READ_CAPACITY_16) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    be64_put(out, s->bytes / s->logical - (s->bytes >= s->logical));
    be32_put(out + 8, s->logical);
    if (s->physical > s->logical && is_pow2(s->physical / s->logical))
        out[13] = (uint8_t)__builtin_ctz(s->physical / s->logical);
    if (s->trims && !s->readonly)
        out[14] = 0x80 | 0x40; /* LBPME, LBPRZ: unmapped blocks read as zeroes */
    scsi_reply(r, out, sizeof(out), be32_at(r->cdb + 10));
}

static bool flush(struct scsi_req *r)
{
    r->disk.op = DISK_FLUSH;
    if (!r->l->shape.readonly)
        return false;
    scsi_good(r, 0);
    return true;
}

/* BYTCHK = 0 asks only whether the blocks can be read; comparing is refused. */
static bool verify(struct scsi_req *r)
{
    struct extent_cdb x;

    parse_extent(r->cdb, &x);
    if (r->cdb[1] & 0x06)
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    else if (in_range(r, &x))
        scsi_good(r, 0);
    return true;
}

bool scsi_block_command(struct scsi_req *r)
{
    int rc = scsi_block_transfer(r);

    if (rc)
        return rc < 0;
    switch (r->cdb[0]) {
    case TEST_UNIT_READY:
    case SEEK_10:
        scsi_good(r, 0);
        return true;
    case READ_CAPACITY_10:
        read_capacity_10(r);
        return true;
    case SERVICE_ACTION_IN_16:
        read_capacity_16(r);
        return true;
    case SYNCHRONIZE_CACHE_10:
    case SYNCHRONIZE_CACHE_16:
        return flush(r);
    case VERIFY_10:
    case VERIFY_16:
        return verify(r);
    case UNMAP:
        return !writable(r) || scsi_unmap(r);
    case WRITE_SAME_10:
    case WRITE_SAME_16:
        return !writable(r) || scsi_write_same(r, r->cdb[0] == WRITE_SAME_16);
    default:
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_COMMAND_OPERATION_CODE);
        return true;
    }
}
