/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - what the files of the SCSI target share. Not for front ends. */
#ifndef HOSPES_STORAGE_SCSI_TARGET_H
#define HOSPES_STORAGE_SCSI_TARGET_H

#include <pthread.h>

#include "core/core.h"
#include "storage/scsi.h"

enum { SCSI_NAME_MAX = 24 };

/* MMC-6 table 315, event codes of the media class. */
enum scsi_media_event { MEDIA_NO_CHANGE, MEDIA_EJECT_REQUEST, MEDIA_NEW, MEDIA_REMOVAL };

/* What a guest can change; plain data. Written on the loop; scsi_try() reads wce, tray_open and
 * attention on any thread, a little too early or late. */
struct scsi_lun_state {
    bool wce;     /* write cache enabled: caching mode page */
    bool prevent; /* medium removal prevented */
    bool tray_open;
    uint8_t media_event; /* enum scsi_media_event that GET EVENT STATUS has not told yet */
    uint16_t attention;  /* pending unit attention (asc << 8 | ascq), 0 none */
    uint64_t pr_key;     /* persistent reservation: our one nexus's key, 0 not registered */
    uint32_t pr_generation;
    uint8_t pr_type; /* 0: not reserved */
};

struct scsi_lun {
    struct scsi_target *t;
    unsigned number;
    struct disk *disk; /* NULL: no disc */
    struct disk_shape shape;
    bool cdrom, packet;
    bool gone; /* detached; freed with the last reference */
    unsigned refs;
    struct scsi_lun_state s;
    char vendor[9], product[17], revision[5];
    char serial[SCSI_NAME_MAX + 1];
    uint64_t naa;
};

struct scsi_target {
    struct loop *loop;
    pthread_mutex_t lock; /* unit table and references, against scsi_try() */
    struct scsi_lun *lun[SCSI_MAX_LUNS];
    struct scsi_target_cfg cfg;
    char vendor[9], product[17], revision[5];
    struct scsi_events events;
    struct scsi_req *later, **later_tail; /* finished, done() not called yet */
};

/* Is there something to read: any disk, or a disc in a closed drive? */
static inline bool scsi_medium(const struct scsi_lun *u)
{
    return u->disk && (!u->cdrom || (u->shape.bytes && !READ_ONCE(u->s.tray_open)));
}
/* The unit attention that is pending from now on; 0: none. On the loop. */
void scsi_attend(struct scsi_lun *u, uint16_t asc);

/* Every handler either finishes r with one of these, once, or passes it to a disk whose completion
 * does. They only mark r finished: target.c calls done() later. */
void scsi_good(struct scsi_req *r, uint64_t moved);
void scsi_fail(struct scsi_req *r, enum sense_key key, enum sense_code asc);
void scsi_status(struct scsi_req *r, enum scsi_status status);
/* Copies a reply of n bytes, cut to the allocation length and the guest's buffer. */
void scsi_reply(struct scsi_req *r, const void *buf, size_t n, size_t allocation);
/* Reads a parameter list of exactly n bytes; false: r is finished with a length error. */
bool scsi_param(struct scsi_req *r, void *buf, size_t n);
/* Maps a disk's -errno to sense data; 0 is good. */
void scsi_result(struct scsi_req *r, int res, uint64_t moved);
/* For commands of several disk requests: from a disk's completion, gives r back to its caller. */
void scsi_complete(struct scsi_req *r);

/* block.c: true when r is finished now. */
bool scsi_block_command(struct scsi_req *r);
/* The part of r that is plain reading or writing: fills r->disk. 1: it is, 0: another command,
 * -1: it is, and r is finished with an error. */
int scsi_block_transfer(struct scsi_req *r);
/* unmap.c */
bool scsi_unmap(struct scsi_req *r);
bool scsi_write_same(struct scsi_req *r, bool sixteen);
/* inquiry.c */
void scsi_inquiry(struct scsi_req *r);
void scsi_inquiry_absent(struct scsi_req *r);
void scsi_report_luns(struct scsi_req *r);
/* mode.c */
void scsi_mode_sense(struct scsi_req *r, bool ten);
void scsi_mode_select(struct scsi_req *r, bool ten);
/* reserve.c */
void scsi_reserve_in(struct scsi_req *r);
void scsi_reserve_out(struct scsi_req *r);
/* cdrom.c: true when the command was one of the multimedia ones, and r is finished. */
bool scsi_cdrom_command(struct scsi_req *r);
/* The disc in the drive is another one, or none. */
void scsi_disc_changed(struct scsi_lun *u);
/* The guest wants the disc to stay, or does not mind. Of a disk: nothing. */
void scsi_prevent(struct scsi_lun *u, bool on);
void scsi_start_stop(struct scsi_req *r);

#endif
