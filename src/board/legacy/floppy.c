/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floppy.c - the floppy controller of the PC, an Intel 82078 (290468) in AT mode, interrupt 6, DMA
 * channel 2.
 *
 * Data moves by DMA, a command at a time: what the guest asks for is read or written in one request
 * to the image, which is a raw disk whose size gives the format. Not modelled: transfers by
 * programmed I/O, formatting (it reports success and writes zeroes), scan commands, timing, tapes.
 *
 * Threads: io() on vCPU threads, completions on the loop, both under the device's lock.
 */
#include "board/legacy/floppy_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "board/legacy/dma.h"
#include "core/err.h"
#include "core/loop.h"
#include "storage/disk.h"

enum region { REGION_LOW, REGION_DIR, REGIONS };
enum { FLOPPY_GSI = 6, FLOPPY_DMA = 2 };

enum floppy_register { FD_DOR = 2, FD_TDR = 3, FD_MSR = 4, FD_FIFO = 5 };
enum floppy_bits {
    DOR_NORESET = 0x04,
    DOR_GATE = 0x08,
    MSR_RQM = 0x80,
    MSR_DIO = 0x40,
    MSR_BUSY = 0x10,
    DSR_RESET = 0x80,
    DIR_CHANGED = 0x80,
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_POLLED = 0xc0,
    ST0_SEEK = 0x20,
    ST1_MISSING = 0x01,
    ST1_WRITE_PROTECTED = 0x02,
    ST1_NO_DATA = 0x04,
    ST1_DATA_ERROR = 0x20,
    ST1_END = 0x80,
    ST3_READY = 0x28, /* and two-sided */
    ST3_TRACK0 = 0x10,
    ST3_PROTECTED = 0x40,
    CONFIGURE_IMPLIED_SEEK = 0x40,
    SEEK_RELATIVE = 0x80,
    SEEK_INWARDS = 0x40,
};

/* 82078, table 5: commands by their low five bits. */
enum floppy_command {
    FD_SPECIFY = 0x03,
    FD_SENSE_DRIVE = 0x04,
    FD_WRITE = 0x05,
    FD_READ = 0x06,
    FD_RECALIBRATE = 0x07,
    FD_SENSE_INTERRUPT = 0x08,
    FD_READ_ID = 0x0a,
    FD_READ_DELETED = 0x0c,
    FD_FORMAT = 0x0d,
    FD_DUMPREG = 0x0e,
    FD_SEEK = 0x0f,
    FD_VERSION = 0x10,
    FD_PERPENDICULAR = 0x12,
    FD_CONFIGURE = 0x13,
    FD_LOCK = 0x14,
    FD_VERIFY = 0x16,
    FD_PART_ID = 0x18,
};

static void interrupt(struct floppy *f, bool up)
{
    f->irq->set(f->irq, up && (f->s.dor & DOR_GATE));
}

/* --- results --- */

static void result(struct floppy *f, const uint8_t *p, uint8_t n)
{
    memcpy(f->s.fifo, p, n);
    f->s.at = 0;
    f->s.left = n;
    f->s.n = f->s.want = 0;
    f->s.working = false;
}

static void nothing(struct floppy *f)
{
    f->s.n = f->s.want = 0;
    f->s.left = 0;
}

/* The seven bytes after reading and writing, with the address behind what was moved. */
static void transfer_end(struct floppy *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    const uint8_t *c = f->s.fifo;
    uint8_t drive = c[1] & 7, where[4] = {c[2], c[3], c[4], c[5]};

    result(f, (uint8_t[]){(uint8_t)(st0 | drive), st1, st2, where[0], where[1], where[2], where[3]},
           7);
    interrupt(f, true);
}

/* --- transfers --- */

static struct floppy_drive *drive_of(struct floppy *f, uint8_t select)
{
    struct floppy_drive *d = (select & 3) < FLOPPY_DRIVES ? &f->drive[select & 3] : NULL;

    return d && d->disk ? d : NULL;
}

static void step(struct floppy_drive *d, uint8_t cylinder)
{
    d->cylinder = cylinder;
    d->changed = !d->format; /* without a disk the line stays */
}

/* The sector that the command names, counted from the first of the disk. */
static unsigned sector_of(const struct floppy *f, const struct floppy_format *m)
{
    const uint8_t *c = f->s.fifo;

    return ((unsigned)c[2] * m->heads + c[3]) * m->sectors + c[4] - 1u;
}

/* Moves the command's address on by n sectors, as the controller does. */
static void advance(struct floppy *f, const struct floppy_format *m, unsigned n)
{
    uint8_t *c = f->s.fifo;
    unsigned at = sector_of(f, m) + n;

    c[4] = (uint8_t)(at % m->sectors + 1);
    c[3] = (uint8_t)(at / m->sectors % m->heads);
    c[2] = (uint8_t)(at / m->sectors / m->heads);
}

static void transferred(struct floppy *f, int res)
{
    struct floppy_drive *d = drive_of(f, f->s.fifo[1]);
    bool write = (f->s.fifo[0] & 0x1f) != FD_READ, end = false;

    if (res == 0 && !(d && d->format))
        res = -ENOMEDIUM; /* it was taken out under the request */
    if (res < 0) {
        transfer_end(f, ST0_ABNORMAL, res == -EROFS ? ST1_WRITE_PROTECTED : ST1_DATA_ERROR,
                     res == -EROFS ? 0 : ST1_DATA_ERROR);
        return;
    }
    if (!write)
        (void)dma_move(f->dma, FLOPPY_DMA, f->buf, f->len, true, &end);
    advance(f, d->format, (unsigned)((f->len + FLOPPY_SECTOR - 1) / FLOPPY_SECTOR));
    transfer_end(f, 0, 0, 0);
}

static void request_end(struct floppy *f, int res)
{
    f->flying = false;
    if (!f->stale)
        transferred(f, res);
    f->stale = false;
}

static void request_done(struct disk_req *r, int res)
{
    struct floppy *f = r->owner;

    device_lock(&f->d);
    request_end(f, res);
    device_unlock(&f->d);
}

static void request_submit(void *arg)
{
    struct floppy *f = arg;

    disk_submit(f->req.disk, &f->req);
}

/* What a short image has no bytes for is zeroes, and cannot be written. */
static void request(struct floppy *f, struct disk *disk, bool write, uint64_t off, size_t len)
{
    size_t there = off < disk->shape.bytes ? (size_t)min_u64(len, disk->shape.bytes - off) : 0;
    int rc;

    if (there < len && write) {
        request_end(f, disk->shape.readonly ? -EROFS : -EIO);
        return;
    }
    memset(f->buf + there, 0, len - there);
    if (there == 0) {
        request_end(f, 0);
        return;
    }
    len = there;
    f->iov = (struct iovec){f->buf, len};
    f->req = (struct disk_req){.op = write ? DISK_WRITE : DISK_READ,
                               .off = off,
                               .len = len,
                               .iov = &f->iov,
                               .iovcnt = 1,
                               .done = request_done,
                               .owner = f,
                               .disk = disk};
    f->s.working = f->flying = true;
    rc = disk_try(disk, &f->req);
    if (rc == -EAGAIN)
        loop_post(f->d.env.loop, request_submit, f);
    else
        request_end(f, rc);
}

/* Nothing is found on a disk at another disk's rate, which is how drivers tell them apart. */
static bool readable(const struct floppy *f, const struct floppy_drive *d)
{
    return d->format && (d->format->rates & 1u << f->s.rate);
}

/* The drive whose sector the command names, its head over it; NULL: there is none, and the command
 * has failed. */
static struct floppy_drive *addressed(struct floppy *f)
{
    const uint8_t *c = f->s.fifo;
    struct floppy_drive *d = drive_of(f, c[1]);
    const struct floppy_format *m;
    unsigned head = c[1] >> 2 & 1;

    if (!d || !readable(f, d) || f->flying) {
        transfer_end(f, ST0_ABNORMAL, ST1_MISSING, 0);
        return NULL;
    }
    m = d->format;
    if ((f->s.configure & CONFIGURE_IMPLIED_SEEK) && c[2] < m->cylinders)
        step(d, c[2]);
    if (c[2] != d->cylinder || c[3] != head || c[4] == 0 || c[4] > m->sectors || c[5] != 2 ||
        head >= m->heads || c[2] >= m->cylinders) {
        transfer_end(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
        return NULL;
    }
    return d;
}

/* From the sector named to the end of the track, on the other side too when asked. */
static unsigned sectors_named(const struct floppy *f, const struct floppy_format *m)
{
    const uint8_t *c = f->s.fifo;
    unsigned last = c[6] < m->sectors && c[6] >= c[4] ? c[6] : m->sectors;
    bool on = c[0] & 0x80 && c[3] == 0 && m->heads == 2;

    return last - c[4] + 1u + (on ? m->sectors : 0);
}

/* What a transfer may move: with MT it goes on in the next cylinders, because a firmware makes one
 * command of a call for more than a cylinder. */
static unsigned sectors_within(const struct floppy *f, const struct floppy_format *m)
{
    const uint8_t *c = f->s.fifo;
    bool whole = c[6] >= m->sectors || c[6] < c[4];

    return c[0] & 0x80 && whole ? (unsigned)m->cylinders * m->heads * m->sectors - sector_of(f, m)
                                : sectors_named(f, m);
}

static void transfer(struct floppy *f, bool write)
{
    struct floppy_drive *d = addressed(f);
    const struct floppy_format *m;
    size_t n, wanted;
    bool end;

    if (!d)
        return;
    m = d->format;
    n = sectors_within(f, m) * (size_t)FLOPPY_SECTOR;
    wanted = dma_wanted(f->dma, FLOPPY_DMA, !write);
    if (wanted == 0) {
        guest_fault(&f->d, "a transfer without DMA");
        transfer_end(f, ST0_ABNORMAL, ST1_END, 0);
        return;
    }
    f->len = (size_t)min_u64(min_u64(n, wanted), sizeof(f->buf));
    if (write) {
        memset(f->buf, 0, sizeof(f->buf));
        f->len = dma_move(f->dma, FLOPPY_DMA, f->buf, f->len, false, &end);
    }
    request(f, d->disk, write, sector_of(f, m) * (uint64_t)FLOPPY_SECTOR,
            (f->len + FLOPPY_SECTOR - 1) / FLOPPY_SECTOR * FLOPPY_SECTOR);
}

/* Every sector of an image can be read. */
static void verify(struct floppy *f)
{
    struct floppy_drive *d = addressed(f);

    if (!d)
        return;
    advance(f, d->format, sectors_named(f, d->format));
    transfer_end(f, 0, 0, 0);
}

/* --- other commands --- */

static void seek(struct floppy *f, uint8_t select, uint8_t cylinder)
{
    struct floppy_drive *d = drive_of(f, select);

    nothing(f);
    if (d)
        step(d, cylinder);
    f->s.st0 = (uint8_t)(ST0_SEEK | (d ? 0 : ST0_ABNORMAL | 0x10) | (select & 7));
    f->s.pending = true;
    interrupt(f, true);
}

/* RELATIVE SEEK: so many cylinders out, as far as there are some, or in. */
static void seek_by(struct floppy *f, uint8_t command, uint8_t select, uint8_t n)
{
    const struct floppy_drive *d = drive_of(f, select);
    uint8_t at = d ? d->cylinder : 0;

    if (command & SEEK_INWARDS)
        at = (uint8_t)min_u64(at + (uint64_t)n, UINT8_MAX);
    else
        at = at > n ? (uint8_t)(at - n) : 0;
    seek(f, select, at);
}

static void sense_interrupt(struct floppy *f)
{
    uint8_t drive = 4 - f->s.polled;

    interrupt(f, false);
    if (f->s.polled) {
        f->s.polled--;
        result(f, (uint8_t[]){(uint8_t)(ST0_POLLED | drive), 0}, 2);
    } else if (f->s.pending) {
        const struct floppy_drive *d = drive_of(f, f->s.st0);

        f->s.pending = false;
        result(f, (uint8_t[]){f->s.st0, d ? d->cylinder : 0}, 2);
    } else {
        result(f, (uint8_t[]){ST0_INVALID}, 1);
    }
}

static void sense_drive(struct floppy *f)
{
    uint8_t select = f->s.fifo[1] & 7;
    const struct floppy_drive *d = drive_of(f, select);
    uint8_t st3 = (uint8_t)(select | ST3_READY | (d && d->cylinder == 0 ? ST3_TRACK0 : 0) |
                            (d && d->disk->shape.readonly ? ST3_PROTECTED : 0));

    result(f, &st3, 1);
}

static void read_id(struct floppy *f)
{
    uint8_t select = f->s.fifo[1] & 7;
    const struct floppy_drive *d = drive_of(f, select);
    bool there = d && readable(f, d);
    const uint8_t id[7] = {(uint8_t)(select | (there ? 0 : ST0_ABNORMAL)),
                           there ? 0 : ST1_MISSING,
                           0,
                           d ? d->cylinder : 0,
                           select >> 2 & 1,
                           1,
                           2};

    result(f, id, sizeof(id));
    interrupt(f, true);
}

static void format(struct floppy *f)
{
    const uint8_t *c = f->s.fifo;
    struct floppy_drive *d = drive_of(f, c[1]);
    unsigned head = c[1] >> 2 & 1;

    if (!d || !readable(f, d) || f->flying || head >= d->format->heads ||
        d->cylinder >= d->format->cylinders) {
        transfer_end(f, ST0_ABNORMAL, ST1_MISSING, 0);
        return;
    }
    memset(f->buf, 0, sizeof(f->buf));
    f->len = (size_t)d->format->sectors * FLOPPY_SECTOR;
    request(f, d->disk, true,
            ((uint64_t)d->cylinder * d->format->heads + head) * d->format->sectors * FLOPPY_SECTOR,
            f->len);
}

static void dump_registers(struct floppy *f)
{
    const struct floppy_state *s = &f->s;
    const uint8_t r[10] = {
        f->drive[0].cylinder, f->drive[1].cylinder, 0,  0,
        s->specify[0],        s->specify[1],        18, (uint8_t)(s->lock << 7 | s->perpendicular),
        s->configure,         s->precompensation};

    result(f, r, sizeof(r));
}

static void run_simple(struct floppy *f)
{
    struct floppy_state *s = &f->s;

    switch (s->fifo[0] & 0x1f) {
    case FD_SPECIFY:
        memcpy(s->specify, s->fifo + 1, 2);
        nothing(f);
        break;
    case FD_PERPENDICULAR:
        s->perpendicular = s->fifo[1] & 0x7f;
        nothing(f);
        break;
    case FD_CONFIGURE:
        s->configure = s->fifo[2];
        s->precompensation = s->fifo[3];
        nothing(f);
        break;
    case FD_VERSION:
        result(f, (uint8_t[]){0x90}, 1); /* enhanced */
        break;
    case FD_PART_ID:
        result(f, (uint8_t[]){0x41}, 1);
        break;
    case FD_LOCK:
        s->lock = s->fifo[0] >> 7;
        result(f, (uint8_t[]){(uint8_t)(s->lock << 4)}, 1);
        break;
    case FD_DUMPREG:
        dump_registers(f);
        break;
    default:
        result(f, (uint8_t[]){ST0_INVALID}, 1);
    }
}

static void run(struct floppy *f)
{
    struct floppy_state *s = &f->s;

    switch (s->fifo[0] & 0x1f) {
    case FD_READ:
    case FD_READ_DELETED:
        s->fifo[0] = (uint8_t)((s->fifo[0] & 0xe0) | FD_READ);
        transfer(f, false);
        break;
    case FD_WRITE:
        transfer(f, true);
        break;
    case FD_FORMAT:
        format(f);
        break;
    case FD_RECALIBRATE:
        seek(f, s->fifo[1] & 3, 0);
        break;
    case FD_SEEK:
        if (s->fifo[0] & SEEK_RELATIVE)
            seek_by(f, s->fifo[0], s->fifo[1], s->fifo[2]);
        else
            seek(f, s->fifo[1], s->fifo[2]);
        break;
    case FD_VERIFY:
        verify(f);
        break;
    case FD_SENSE_INTERRUPT:
        sense_interrupt(f);
        break;
    case FD_SENSE_DRIVE:
        sense_drive(f);
        break;
    case FD_READ_ID:
        read_id(f);
        break;
    default:
        run_simple(f);
    }
}

/* Bytes of a command in all. */
static uint8_t length(uint8_t command)
{
    switch (command & 0x1f) {
    case FD_READ:
    case FD_READ_DELETED:
    case FD_WRITE:
    case FD_VERIFY:
        return 9;
    case FD_FORMAT:
        return 6;
    case FD_CONFIGURE:
        return 4;
    case FD_SPECIFY:
    case FD_SEEK:
        return 3;
    case FD_SENSE_DRIVE:
    case FD_RECALIBRATE:
    case FD_READ_ID:
    case FD_PERPENDICULAR:
        return 2;
    default:
        return 1;
    }
}

/* --- registers --- */

static void reset_controller(struct floppy *f)
{
    struct floppy_state *s = &f->s;

    f->stale = f->flying;
    s->n = s->want = s->left = 0;
    s->working = s->pending = false;
    if (!s->lock)
        s->configure = s->precompensation = 0;
    s->polled = 4;
    interrupt(f, true);
}

static void dor_write(struct floppy *f, uint8_t v)
{
    uint8_t was = f->s.dor;

    f->s.dor = v;
    if (!(v & DOR_NORESET))
        interrupt(f, false);
    else if (!(was & DOR_NORESET))
        reset_controller(f);
}

static void dsr_write(struct floppy *f, uint8_t v)
{
    f->s.rate = v & 3;
    if (v & DSR_RESET)
        reset_controller(f);
}

static void fifo_write(struct floppy *f, uint8_t v)
{
    struct floppy_state *s = &f->s;

    if (s->working || s->left || !(s->dor & DOR_NORESET))
        return;
    if (s->n == 0)
        s->want = length(v);
    s->fifo[s->n++] = v;
    if (s->n == s->want)
        run(f);
}

static uint8_t fifo_read(struct floppy *f)
{
    struct floppy_state *s = &f->s;

    if (s->left == 0)
        return 0;
    if (s->at == 0)
        interrupt(f, false);
    s->left--;
    return s->fifo[s->at++];
}

static uint8_t status(const struct floppy *f)
{
    const struct floppy_state *s = &f->s;

    if (!(s->dor & DOR_NORESET))
        return 0;
    if (s->working)
        return MSR_BUSY;
    return (uint8_t)(MSR_RQM | (s->left ? MSR_DIO | MSR_BUSY : 0) | (s->n ? MSR_BUSY : 0));
}

static uint8_t register_read(struct floppy *f, unsigned reg)
{
    const struct floppy_drive *d = &f->drive[f->s.dor & 1];

    switch (reg) {
    case FD_DOR:
        return f->s.dor;
    case FD_TDR:
        return f->s.tdr;
    case FD_MSR:
        return status(f);
    case FD_FIFO:
        return fifo_read(f);
    case 7:
        return d->disk && d->changed ? DIR_CHANGED : 0;
    default:
        return 0;
    }
}

static void floppy_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                      enum access dir, uint64_t *val)
{
    struct floppy *f = (struct floppy *)d;
    unsigned reg = region == REGION_DIR ? 7 : (unsigned)off;

    if (size != 1)
        chipset_bytes(d, region, off, size, dir, val);
    else if (dir == ACC_READ)
        *val = register_read(f, reg);
    else if (reg == FD_DOR)
        dor_write(f, (uint8_t)*val);
    else if (reg == FD_TDR)
        f->s.tdr = *val & 3;
    else if (reg == FD_MSR)
        dsr_write(f, (uint8_t)*val);
    else if (region == REGION_DIR)
        f->s.rate = *val & 3;
    else if (reg == FD_FIFO)
        fifo_write(f, (uint8_t)*val);
}

/* --- life --- */

static bool floppy_busy(void *arg)
{
    return ((const struct floppy *)arg)->flying;
}

static void floppy_reset(struct device *d)
{
    struct floppy *f = (struct floppy *)d;

    f->stale = f->flying;
    /* Or the first command finds it busy. */
    loop_drain(d->env.loop, "floppy", floppy_busy, f);
    f->s = (struct floppy_state){.dor = DOR_NORESET | DOR_GATE};
    for (unsigned i = 0; i < FLOPPY_DRIVES; i++) {
        f->drive[i].cylinder = 0;
        f->drive[i].changed = true;
    }
    interrupt(f, false);
}

static void floppy_destroy(struct device *d)
{
    struct floppy *f = (struct floppy *)d;

    loop_drain(d->env.loop, "floppy", floppy_busy, f);
    for (unsigned i = 0; i < FLOPPY_DRIVES; i++)
        disk_close(f->drive[i].disk);
    chipset_free(d, REGIONS, f->irq);
    free(f);
}

static void floppy_describe(struct device *d, struct dump *out)
{
    struct floppy *f = (struct floppy *)d;

    for (unsigned i = 0; i < FLOPPY_DRIVES; i++) {
        const struct floppy_drive *drive = &f->drive[i];

        if (drive->disk)
            dump_add(out, i ? "floppy.b" : "floppy.a", "%u KiB, cylinder %u",
                     drive->format ? drive->format->kib : 0, drive->cylinder);
    }
}

static const struct device_ops floppy_ops = {
    .name = "floppy",
    .destroy = floppy_destroy,
    .reset = floppy_reset,
    .io = floppy_io,
    .describe = floppy_describe,
};

int floppy_create(const struct env *env, struct device *dma, struct device **out, struct err *e)
{
    struct floppy *f = calloc(1, sizeof(*f));
    int rc;

    if (!f)
        return err_set(e, ENOMEM, "no memory for the floppy controller");
    device_init(&f->d, &floppy_ops, env);
    f->dma = dma;
    rc = chipset_line(env, FLOPPY_GSI, &f->irq, e);
    if (rc == 0)
        rc = chipset_claim(env, 0x3f0, 6, &f->d, REGION_LOW, e);
    if (rc == 0)
        rc = chipset_claim(env, 0x3f7, 1, &f->d, REGION_DIR, e);
    if (rc < 0) {
        floppy_destroy(&f->d);
        return rc;
    }
    floppy_reset(&f->d);
    *out = &f->d;
    return 0;
}
