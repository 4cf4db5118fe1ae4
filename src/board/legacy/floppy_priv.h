/* SPDX-License-Identifier: Apache-2.0 */
/* floppy_priv.h - what floppy.c (the controller) and floppy_media.c (what its drives hold) share.
 */
#ifndef HOSPES_BOARD_LEGACY_FLOPPY_PRIV_H
#define HOSPES_BOARD_LEGACY_FLOPPY_PRIV_H

#include "board/legacy/floppy.h"
#include "storage/disk.h"

enum { FLOPPY_SECTOR = 512, FLOPPY_BUFFER = 0x10000 /* what a DMA channel moves at most */ };

enum { RATE_500K = 1, RATE_300K = 2, RATE_250K = 4, RATE_1M = 8 }; /* 1 << the rate's two bits */

struct floppy_format {
    uint32_t kib;
    uint8_t cylinders, heads, sectors, cmos;
    uint8_t rates; /* at which it is read and written */
};

struct floppy_drive {
    struct disk *disk;                  /* NULL: no drive */
    const struct floppy_format *format; /* NULL: nothing is in it */
    uint8_t cmos;                       /* its type, which stays */
    uint8_t cylinder;
    bool changed; /* nobody has stepped since the disk was put in */
};

/* Plain data. */
struct floppy_state {
    uint8_t dor, tdr;
    uint8_t fifo[16]; /* command, or result */
    uint8_t n, want;  /* bytes of a command so far, and in all; 0: none begun */
    uint8_t at, left; /* result bytes */
    bool working;     /* a request is in flight */
    uint8_t polled;   /* SENSE INTERRUPT answers that a reset has left */
    uint8_t st0;      /* of the last seek */
    bool pending;     /* an interrupt that SENSE INTERRUPT takes */
    uint8_t configure, precompensation, perpendicular, lock, specify[2];
    uint8_t rate; /* two bits, of CCR or DSR */
};

struct floppy {
    struct device d; /* first */
    struct floppy_state s;
    struct floppy_drive drive[FLOPPY_DRIVES];
    struct device *dma;
    struct irq *irq;
    uint8_t buf[FLOPPY_BUFFER];
    size_t len;
    bool stale, flying; /* stale: of a command that a reset ended */
    struct disk_req req;
    struct iovec iov;
};

#endif
