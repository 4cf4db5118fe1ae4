/* SPDX-License-Identifier: Apache-2.0 */
/* ide_priv.h - what the ide*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_LEGACY_IDE_PRIV_H
#define HOSPES_BOARD_LEGACY_IDE_PRIV_H

#include "abi/ata.h"
#include "board/legacy/ide.h"
#include "board/pci.h"
#include "storage/disk.h"
#include "storage/scsi.h"

enum {
    IDE_SECTOR = 512,
    IDE_BUFFER = 128 << 10, /* bytes of PIO data held at once */
    IDE_MULTIPLE_MAX = 16,  /* sectors of a READ MULTIPLE block */
    IDE_CDB = 12,
    CD_SECTOR = 2048,
};

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CDROM };

/* What a guest can change in one unit; plain data. */
struct ide_unit_state {
    /* [1] holds what a second write pushed out: the high halves of 48-bit commands. */
    uint8_t feature[2], count[2], low[2], mid[2], high[2];
    uint8_t status, error;
    uint16_t heads, sectors; /* translation set by INITIALIZE DEVICE PARAMETERS */
    uint8_t multiple;        /* sectors of a block, 0: READ MULTIPLE is off */
    uint8_t transfer_mode;   /* SET FEATURES 03h */
    bool write_cache;
    uint8_t sense[SCSI_SENSE_MAX]; /* CD-ROM: of the last failed command */
    bool sense_valid;
};

struct ide_unit {
    enum ide_kind kind;
    bool borrowed, hidden;
    struct disk *disk;          /* disks */
    struct scsi_target *target; /* CD-ROM drives, unit 0 */
    uint64_t size;              /* sectors */
    char serial[21];
    struct ide_unit_state s;
};

enum ide_phase {
    IDE_IDLE,
    IDE_PIO_IN,    /* the guest reads buf[pos..end) */
    IDE_PIO_OUT,   /* the guest writes it */
    IDE_DMA_READY, /* a DMA command waits for the bus master to be started */
    IDE_WORKING,   /* a request is in flight */
};

struct ide_channel_state {
    uint8_t device, control;
    bool intrq;
    uint8_t bm_command, bm_status;
    uint32_t bm_table;

    enum ide_phase phase;
    unsigned unit;          /* whose command it is */
    uint32_t pos, end, len; /* bytes of buf: next, end of this block, end of data */
    uint32_t block;         /* bytes between two DRQs */
    uint64_t lba;           /* what is to be moved yet, in sectors (of a CD for packets) */
    uint32_t left;
    bool write, fua, dma;
    uint8_t cdb[IDE_CDB]; /* packet commands */
};

struct ide_channel {
    struct ide *ide;
    struct irq *irq;
    struct ide_unit unit[2];
    struct ide_channel_state s;
    uint8_t *buf; /* IDE_BUFFER */
    /* The guest's data is through: the next block, or the end. Set with a PIO phase. */
    void (*drained)(struct ide_channel *c);
    /* The bus master was started. Set with IDE_DMA_READY. */
    void (*dma)(struct ide_channel *c);

    /* One request. */
    bool flying, stale; /* stale: of a command that a reset ended */
    bool packet;        /* scsi, not req */
    struct scsi_target *target;
    struct disk_req req;
    struct scsi_req scsi;
    struct iovec iov[DISK_IOV_MAX];
    size_t iovcnt;
    void (*then)(struct ide_channel *c, int res);
};

struct ide {
    struct pci_dev pci; /* first */
    struct ide_channel channel[2];
};

static inline struct ide_unit *ide_active(struct ide_channel *c)
{
    return &c->unit[c->s.unit];
}

/* ide.c */
void ide_raise(struct ide_channel *c);
/* Ends the command: status without errors, and an interrupt if asked for. */
void ide_good(struct ide_channel *c, bool interrupt);
/* Ends it with ATA_ERR, the error register and an interrupt. */
void ide_fail(struct ide_channel *c, uint8_t error);
/* Lets the guest move buf[0..len) in blocks, then calls drained. interrupt: for the first block;
 * the others always have one. */
void ide_pio(struct ide_channel *c, bool out, uint32_t len, uint32_t block, bool interrupt,
             void (*drained)(struct ide_channel *c));
/* The signature that tells disks and CD-ROM drives apart after a reset. */
void ide_signature(struct ide_unit *u);

/* ide_io.c. Start c->req or c->scsi; then(c, 0 or -errno) comes at once or from the loop. */
void ide_start_disk(struct ide_channel *c, enum disk_op op, uint64_t off, uint64_t len,
                    void (*then)(struct ide_channel *c, int res));
void ide_start_packet(struct ide_channel *c, void (*then)(struct ide_channel *c, int res));
/* One buffer as the request's data. */
void ide_use_buffer(struct ide_channel *c, uint32_t len);
/* Waits for the bus master, then calls dma(c). */
void ide_dma_wait(struct ide_channel *c, void (*dma)(struct ide_channel *c));
/* The guest's memory in the table as the request's data, at most `want` bytes. The bytes that the
 * table has room for, or -1: the table leads outside memory. */
int64_t ide_dma_map(struct ide_channel *c, uint64_t want, bool to_memory);
/* The transfer is over; error: sets the bus master's error bit. */
void ide_dma_end(struct ide_channel *c, bool error);
void ide_bm_io(struct ide_channel *c, unsigned off, unsigned size, enum access dir, uint64_t *val);

/* ide_disk.c: a command for a disk; ide_packet.c: for a CD-ROM drive. false: unknown. */
bool ide_disk_command(struct ide_channel *c, uint8_t command);
bool ide_packet_command(struct ide_channel *c, uint8_t command);
/* A block begins: the byte count registers say how long it is. */
void ide_packet_block(struct ide_channel *c);
/* ide_disk.c, for both: fields of IDENTIFY data. */
void ide_identify_text(uint8_t *id, unsigned word, unsigned words, const char *text);
void ide_identify_modes(uint8_t *id, const struct ide_unit *u);
bool ide_set_features(struct ide_channel *c);

#endif
