/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reading.h - what importers share: a tree that becomes a plan, with each key told.
 *
 * An importer parses into r->t, then takes the keys that it knows: a call here both uses a key and
 * tells of it. read_rest() tells of all that are left, so no key can be forgotten. The first
 * failure stays in r->rc; after it every call does nothing.
 */
#ifndef HOSPES_IMPORT_READING_H
#define HOSPES_IMPORT_READING_H

#include "import/import.h"
#include "import/tree.h"
#include "machine/plan.h"

struct reading {
    const struct import_file *f;
    struct plan *p;
    struct import_report *r;
    struct err *e;
    struct tree t;
    int rc;
};

/* Runs an importer's two halves around a tree of its own. */
MUST int read_tree(const struct import_file *f, struct plan *p, struct import_report *r,
                   struct err *e, char separator, int (*parse)(struct reading *r),
                   void (*take)(struct reading *r));

/* --- telling: n may be NULL, and one that was told stays as it is --- */
void read_keep(struct reading *r, struct node *n);
void read_change(struct reading *r, struct node *n, const char *to, const char *why);
void read_drop(struct reading *r, struct node *n, const char *why);
/* Every key at and below n that was not told. */
void read_drop_all(struct reading *r, struct node *n, const char *why);
void read_keep_all(struct reading *r, struct node *n);
/* "line N: key = value: why"; n NULL: the file as a whole. */
void read_fail(struct reading *r, const struct node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);

struct read_rule {
    const char *key; /* the path begins so; "*x": some part of it begins so */
    const char *why;
};
/* What is left: told as dropped by the first rule that fits. Rules end with a NULL key. */
void read_rest(struct reading *r, const struct read_rule *rules);

/* --- taking --- */
void read_set(struct reading *r, char **at, const char *value);
/* The same, and n is kept. An empty value sets nothing. */
void read_text(struct reading *r, char **at, struct node *n);
/* missing when n is NULL; a failure when it is no such number. Keeps n. */
uint64_t read_number(struct reading *r, struct node *n, uint64_t min, uint64_t max,
                     uint64_t missing);
bool read_true(const struct node *n); /* true, yes, on, 1 */
/* The machine's name, made fit for one; the original becomes its title. */
void read_name(struct reading *r, struct node *n);
void read_uuid(struct reading *r, struct node *n); /* the machine's */
void read_guid(struct reading *r, struct node *n, struct plan_guid *out);
void read_mac(struct reading *r, struct node *n, struct plan_nic *nic);
void read_cpus(struct reading *r, struct node *n);
/* Cores to a socket; after read_cpus(), whose number they have to divide. */
void read_cores(struct reading *r, struct node *n);
/* n units of memory. */
void read_memory(struct reading *r, struct node *n, uint64_t unit, uint64_t missing);
void read_persona(struct reading *r, const char *persona, const char *why);
/* The persona of a machine of `product`, which is a plain PC unless it was given virtio; after
 * disks and cards. */
void read_plain_pc(struct reading *r, const char *product);
/* Adds key=value to the persona's options. */
void read_option(struct reading *r, const char *key, const char *value);

/* Why what another host's own drive holds is not taken. */
#define READ_HOST_DRIVE "the drive of another host is not here"

struct plan_disk *read_disk(struct reading *r, const char *bus); /* NULL: failed, told in r */
/* A floppy drive with the file that n names, after the disks read so far. Nothing is in it when n
 * names none, or is NULL, or for the reason `gone`. NULL: failed, or hospes has no more drives, and
 * n is dropped. */
struct plan_disk *read_floppy(struct reading *r, struct node *n, const char *gone);
struct plan_nic *read_nic(struct reading *r, const char *model); /* on the user network */
/* Floppies ('a'), disks ('c'), discs ('d') or cards ('n') are next in the order of starting; the
 * letters are those of QEMU's, xl's and Proxmox VE's `boot`. After disks and cards. */
void read_boot_kind(struct reading *r, char kind, unsigned *next);
/* The same by a word of libvirt ("hd"), VMware ("hdd") or VirtualBox ("HardDisk"). What is none of
 * them, or NULL, starts nothing. */
void read_boot_word(struct reading *r, const char *word, unsigned *next);
/* The controller with that bus and number, made when it is new. */
struct plan_controller *read_controller(struct reading *r, const char *bus, int number);
/* The disk's file by import_reference(). */
void read_file(struct reading *r, struct node *n, struct plan_disk *d);
/* The same with a name that is only a part of the value, or made of it. */
void read_file_as(struct reading *r, struct node *n, const char *name, struct plan_disk *d);
/* d is a CD-ROM drive without a disc. The node that would name one, which may be NULL, is kept, or
 * became "none" for that reason, which may be NULL. */
void read_no_disc(struct reading *r, struct node *n, const char *why, struct plan_disk *d);
/* A network that is not here: n is told as changed to "user". */
void read_lan(struct reading *r, struct node *n, struct plan_nic *nic);

/* Needs that a guest has of its firmware, for every format the same words. */
void read_secure_boot(struct reading *r, struct node *n, bool on);
void read_tpm(struct reading *r, struct node *n, const char *version);

#endif
