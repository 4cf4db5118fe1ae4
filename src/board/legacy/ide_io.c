/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ide_io.c - requests of an IDE channel to its disks, and the bus master (SFF-8038i).
 *
 * A request is tried on the thread that asks for it; what would wait is handed to the loop. While
 * one is in flight its memory belongs to it: a reset only marks it stale, and the channel stays
 * busy until it has ended.
 */
#include <errno.h>

#include "board/legacy/ide_priv.h"
#include "core/gmem.h"
#include "core/loop.h"

enum { BM_TABLE_MAX = 65536 / sizeof(struct bmide_region) };

/* --- requests --- */

static void ide_io_end(struct ide_channel *c, int res)
{
    c->flying = false;
    if (!c->stale) {
        c->then(c, res);
        return;
    }
    c->stale = false;
}

static void ide_io_late(struct ide_channel *c, int res)
{
    device_lock(&c->ide->pci.dev);
    ide_io_end(c, res);
    device_unlock(&c->ide->pci.dev);
}

static void ide_disk_done(struct disk_req *r, int res)
{
    ide_io_late(r->owner, res);
}

static void ide_packet_done(struct scsi_req *r)
{
    ide_io_late(r->owner, 0);
}

/* On the loop. */
static void ide_submit(void *arg)
{
    struct ide_channel *c = arg;

    if (c->packet)
        scsi_submit(c->target, &c->scsi);
    else
        disk_submit(c->req.disk, &c->req);
}

void ide_start_disk(struct ide_channel *c, enum disk_op op, uint64_t off, uint64_t len,
                    void (*then)(struct ide_channel *c, int res))
{
    struct disk *d = ide_active(c)->disk;
    int rc;

    c->req = (struct disk_req){.op = op,
                               .off = off,
                               .len = len,
                               .fua = c->s.fua,
                               .iov = c->iov,
                               .iovcnt = op <= DISK_WRITE ? (unsigned)c->iovcnt : 0,
                               .done = ide_disk_done,
                               .owner = c,
                               .disk = d};
    c->then = then;
    c->packet = false;
    c->flying = true;
    rc = disk_try(d, &c->req);
    if (rc == -EAGAIN)
        loop_post(c->ide->pci.dev.env.loop, ide_submit, c);
    else
        ide_io_end(c, rc);
}

void ide_start_packet(struct ide_channel *c, void (*then)(struct ide_channel *c, int res))
{
    c->scsi.iov = c->iov;
    c->scsi.iovcnt = (unsigned)c->iovcnt;
    c->scsi.lun = 0;
    c->scsi.done = ide_packet_done;
    c->scsi.owner = c;
    c->then = then;
    c->packet = true;
    c->target = ide_active(c)->target;
    c->flying = true;
    if (scsi_try(c->target, &c->scsi))
        ide_io_end(c, 0);
    else
        loop_post(c->ide->pci.dev.env.loop, ide_submit, c);
}

void ide_use_buffer(struct ide_channel *c, uint32_t len)
{
    c->iov[0] = (struct iovec){c->buf, len};
    c->iovcnt = 1;
}

/* --- the bus master --- */

void ide_dma_wait(struct ide_channel *c, void (*dma)(struct ide_channel *c))
{
    c->dma = dma;
    if (c->s.bm_command & BMIDE_START) {
        c->s.phase = IDE_WORKING;
        dma(c);
        return;
    }
    c->s.phase = IDE_DMA_READY;
    ide_active(c)->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}

int64_t ide_dma_map(struct ide_channel *c, uint64_t want, bool to_memory)
{
    struct gmem *m = c->ide->pci.dev.env.mem;
    uint64_t got = 0;

    c->iovcnt = 0;
    for (unsigned i = 0; i < BM_TABLE_MAX && got < want; i++) {
        struct bmide_region r;
        uint64_t n;

        if (gmem_read(m, c->s.bm_table + i * sizeof(r), &r, sizeof(r)) < 0)
            return -1;
        n = le16_get(r.count) & ~1u;
        n = min_u64(n ? n : 65536, want - got);
        if (gmem_map(m, le32_get(r.base) & ~1u, n, to_memory, c->iov, DISK_IOV_MAX, &c->iovcnt) < 0)
            return -1;
        got += n;
        if (le16_get(r.flags) & BMIDE_END_OF_TABLE)
            break;
    }
    return (int64_t)got;
}

void ide_dma_end(struct ide_channel *c, bool error)
{
    c->s.bm_status &= (uint8_t)~BMIDE_ACTIVE;
    if (error)
        c->s.bm_status |= BMIDE_ERROR;
}

static void ide_bm_command(struct ide_channel *c, uint8_t v)
{
    struct ide_channel_state *s = &c->s;
    bool starts = v & ~s->bm_command & BMIDE_START;

    s->bm_command = v & (BMIDE_START | BMIDE_TO_MEMORY);
    if (!(v & BMIDE_START)) {
        s->bm_status &= (uint8_t)~BMIDE_ACTIVE;
        return;
    }
    if (!starts)
        return;
    s->bm_status |= BMIDE_ACTIVE;
    if (s->phase != IDE_DMA_READY)
        return;
    s->phase = IDE_WORKING;
    ide_active(c)->s.status = ATA_BSY | ATA_DRDY;
    c->dma(c);
}

static void ide_bm_write(struct ide_channel *c, unsigned off, uint8_t v)
{
    struct ide_channel_state *s = &c->s;

    switch (off) {
    case BMIDE_COMMAND:
        ide_bm_command(c, v);
        break;
    case BMIDE_STATUS:
        s->bm_status = (uint8_t)((s->bm_status & BMIDE_ACTIVE) | (v & BMIDE_CAPABLE) |
                                 (s->bm_status & ~v & (BMIDE_ERROR | BMIDE_INTERRUPT)));
        break;
    case BMIDE_TABLE ... BMIDE_TABLE + 3:
        s->bm_table &= ~(UINT32_C(0xff) << 8 * (off - BMIDE_TABLE));
        s->bm_table |= (uint32_t)v << 8 * (off - BMIDE_TABLE);
        s->bm_table &= ~UINT32_C(3);
        break;
    default:
        break;
    }
}

void ide_bm_io(struct ide_channel *c, unsigned off, unsigned size, enum access dir, uint64_t *val)
{
    uint8_t r[16] = {[BMIDE_COMMAND] = c->s.bm_command, [BMIDE_STATUS] = c->s.bm_status};

    if (dir == ACC_WRITE) {
        for (unsigned i = 0; i < size && off + i < BMIDE_CHANNEL; i++)
            ide_bm_write(c, off + i, (uint8_t)(*val >> (8 * i)));
        return;
    }
    le32_put(r + BMIDE_TABLE, c->s.bm_table);
    *val = 0;
    for (unsigned i = 0; i < size; i++)
        *val |= (uint64_t)r[off + i] << (8 * i);
}
