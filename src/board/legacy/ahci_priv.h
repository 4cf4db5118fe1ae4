/* SPDX-License-Identifier: Apache-2.0 */
/* ahci_priv.h - what the ahci*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_LEGACY_AHCI_PRIV_H
#define HOSPES_BOARD_LEGACY_AHCI_PRIV_H

#include "abi/ahci.h"
#include "abi/ata.h"
#include "board/legacy/ahci.h"
#include "board/pci.h"
#include "storage/disk.h"
#include "storage/scsi.h"

enum {
    AHCI_SLOTS = 32,
    AHCI_IOV = 256,
    AHCI_SECTOR = 512,
    AHCI_DATA = 512,
    AHCI_MULTIPLE_MAX = 16, /* sectors of a READ MULTIPLE block */
};

/* A command on its way. */
struct ahci_slot {
    struct ahci_unit *port;
    uint64_t life; /* of the port, when it began: a reset makes it stale */
    bool busy, queued, packet, pio;
    struct fis_h2d fis;
    struct ahci_header head;
    uint64_t bytes; /* that the command moves */
    struct disk_req req;
    struct scsi_req scsi;
    struct iovec iov[AHCI_IOV];
    size_t iovcnt;
    uint8_t data[AHCI_DATA]; /* IDENTIFY, log pages */
};

/* Registers and what a guest can change; plain data. */
struct ahci_port_state {
    uint64_t list, received;
    uint32_t is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    bool unsent;                   /* the signature's frame, while the guest receives none */
    bool late;                     /* after a reset of the link: what is in flight ends first */
    bool halted;                   /* by an error, until the guest stops the port */
    uint8_t ccs;                   /* the slot begun last, or the one whose command failed */
    bool write_cache;              /* of the disk */
    uint8_t multiple;              /* sectors of a block, 0: READ MULTIPLE is off */
    uint8_t sense[SCSI_SENSE_MAX]; /* CD-ROM: of the last failed command */
    bool sense_kept;
    uint8_t error_tag, error_status, error_error; /* log page 10h */
};

struct ahci_unit {
    struct ahci *hba;
    unsigned number;
    struct disk *disk;
    struct scsi_target *target; /* CD-ROM drives, unit 0 */
    bool cdrom, borrowed;
    uint64_t size; /* sectors */
    char serial[21];
    uint64_t life;
    unsigned flying;
    struct ahci_port_state s;
    struct ahci_slot *slot; /* AHCI_SLOTS, when something is attached */
};

struct ahci {
    struct pci_dev pci; /* first */
    uint32_t ghc;
    bool used; /* atomic */
    struct ahci_unit port[AHCI_PORTS];
};

/* ahci.c */
void ahci_update(struct ahci *a); /* the interrupt, after any IS or IE changed */
/* The slot's command has ended. */
void ahci_end(struct ahci_slot *s, uint8_t status, uint8_t error);

/* ahci_command.c: starts what the guest has put into slot n. */
void ahci_command(struct ahci_unit *p, unsigned n);

#endif
