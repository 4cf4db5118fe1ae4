/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi.h - one SCSI target for every SCSI front end: storvsc, pvscsi, LSI Logic, virtio-scsi,
 * ATAPI.
 *
 * A target holds up to SCSI_MAX_LUNS logical units, each a disk or a CD-ROM drive over a disk.
 * There is one initiator, the guest. Block front ends (virtio-blk, Xen) use disk.h directly.
 *
 * Threads: a target belongs to one loop. Everything is for that loop's thread, except scsi_try(),
 * which any thread may call at any time.
 */
#ifndef HOSPES_STORAGE_SCSI_H
#define HOSPES_STORAGE_SCSI_H

#include "abi/scsi.h"
#include "core/core.h"
#include "storage/disk.h"

enum { SCSI_MAX_LUNS = 256, SCSI_CDB_MAX = 32, SCSI_SENSE_MAX = 18 };

struct scsi_target;
struct scsi_lun;

/* The caller owns the request, and iov until done(); the target may shorten iov. */
struct scsi_req {
    uint8_t cdb[SCSI_CDB_MAX]; /* the caller's copy: the guest cannot reach it */
    uint16_t lun;
    struct iovec *iov; /* where data goes to or comes from */
    unsigned iovcnt;

    uint8_t status; /* enum scsi_status */
    uint8_t sense_len;
    uint8_t sense[SCSI_SENSE_MAX];
    uint64_t moved; /* bytes of data transferred; the rest of iov is the residue */

    /* Once, on the loop, never from inside scsi_submit(). */
    void (*done)(struct scsi_req *r);
    void *owner;

    /* the target's own */
    struct scsi_target *t;
    struct scsi_lun *l;
    struct disk_req disk;
    void *job; /* state of a command made of several disk requests */
    struct scsi_req *next;
};

struct scsi_lun_cfg {
    struct disk *disk; /* taken over; NULL only for a CD-ROM drive that never gets a disc */
    bool cdrom;
    bool packet; /* spoken to by ATAPI: mode pages have no block descriptor before them */
    const char *vendor, *product, *revision; /* INQUIRY; NULL: the target's */
    const char *serial;                      /* NULL: made from the id */
    const char *id;                          /* "disk0"; a stable name gives a stable NAA */
};

/* Told on the loop. May be NULL members. */
struct scsi_events {
    /* A unit came, went, or changed its size: the front end tells the guest its way. */
    void (*changed)(void *arg, unsigned lun, bool present);
    void *arg;
};

struct scsi_target_cfg {
    const char *vendor, *product, *revision; /* INQUIRY defaults: "Msft    ", "Virtual Disk    " */
    unsigned max_transfer;                   /* bytes, VPD B0h; 0: not said */
};

MUST int scsi_target_create(struct loop *l, const struct scsi_target_cfg *c,
                            struct scsi_target **out, struct err *e);
/* No request is in flight. Closes the disks. NULL is fine. */
void scsi_target_destroy(struct scsi_target *t);
void scsi_target_listen(struct scsi_target *t, const struct scsi_events *ev);

/* -EBUSY: the LUN exists; -EINVAL: no such LUN number. On failure the disk stays the caller's. */
MUST int scsi_attach(struct scsi_target *t, unsigned lun, const struct scsi_lun_cfg *c,
                     struct err *e);
/* New requests see no unit at once; the disk is closed when the last request in flight is done. */
MUST int scsi_detach(struct scsi_target *t, unsigned lun, struct err *e);
/* The disk grew: unit attention, and changed(). Of a CD-ROM drive: another disc lies in it, or none
 * (no bytes), with nothing in flight and no scsi_try() under way; the tray is closed. */
void scsi_resized(struct scsi_target *t, unsigned lun);
/* The same for the unit that is this disk; false: none of the target's is. */
bool scsi_grew(struct scsi_target *t, const struct disk *disk);

bool scsi_lun_present(struct scsi_target *t, unsigned lun);
/* The lowest LUN at or after `from`, -1 when there is none. */
int scsi_lun_next(struct scsi_target *t, unsigned from);

void scsi_submit(struct scsi_target *t, struct scsi_req *r);
/* true: r is finished (status, sense, moved) and done() is not called. false: submit it. */
bool scsi_try(struct scsi_target *t, struct scsi_req *r);

/* Task management. Abort: done() still runs once, with TASK ABORTED if the command had not begun.
 * Reset: unit attention for that LUN (or all, -1); requests in flight complete as they are. */
void scsi_reset(struct scsi_target *t, int lun);

/* Bytes that the command in cdb will move, by its own fields, for front ends that must tell
 * direction or length: > 0 to the guest, < 0 from the guest, 0 none. block: bytes per block. */
int64_t scsi_cdb_bytes(const uint8_t *cdb, uint32_t block);
/* Length of a CDB by its group code, 0 when it is not known. */
unsigned scsi_cdb_len(uint8_t op);

#endif
