/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h - disks and texts inside archives (OVA and other tar files), read where they lie.
 *
 * A path "DIR/FILE.ova:MEMBER" names a member: disk_open(), `hospes image` and --disk take it
 * wherever they take an image that is only read. An existing file whose name has that colon wins.
 * An .ova that holds one disk needs no MEMBER. Members refer to nothing outside: a parent or extent
 * that one of them names is refused.
 *
 * Threads: any; a call owns its archive.
 */
#ifndef HOSPES_STORAGE_MEMBER_H
#define HOSPES_STORAGE_MEMBER_H

#include "storage/disk.h"

struct member {
    char *name;
    uint64_t at, size; /* in the archive; bytes */
    bool disk;         /* named as disk images are; see member_is_disk() */
};

struct members {
    struct member *v; /* in the archive's order, regular files only */
    size_t n, room;
};

/* true when the open file begins like a tar archive. */
bool archive_is(struct disk *file);
/* The same, and its first member's name ends in `suffix`: ".ovf" in an OVA, "ova.xml" in an XVA. */
bool archive_begins(struct disk *file, const char *suffix);

/* Lists an archive; path is for messages. Frees nothing on failure: members_free() in any case.
 * -EINVAL: no archive, damaged, cut off, or more than 4096 members. */
MUST int members_list(struct disk *file, const char *path, struct members *out, struct err *e);
void members_free(struct members *m);
/* NULL: no such member. */
const struct member *members_find(const struct members *m, const char *name);

/* Does the name end like a disk image's (".vmdk", ".vhd", ..., each also with ".gz")? */
bool member_is_disk(const char *name);

/* A member's text with a closing NUL, malloc'd; *len without it. -EFBIG with e: longer than most.
 */
MUST int member_text(struct disk *file, const struct member *x, size_t most, char **text,
                     size_t *len, struct err *e);

/* [at, at+len) of file as a disk that can only be read, like a host file. Takes file over on
 * success only. */
MUST int slice_create(struct disk *file, uint64_t at, uint64_t len, struct loop *l,
                      struct disk **out, struct err *e);

/* The member `name` of an open archive as a host file; NULL: its only disk. Takes the archive over
 * on success only. *found, when not NULL, is its name, malloc'd. */
MUST int member_open(struct disk *file, const char *path, const char *name, struct loop *l,
                     struct disk **out, char **found, struct err *e);

/* "x.ova:disk.vmdk" when "x.ova:disk.vmdk" is no file and "x.ova" is one: the length of "x.ova";
 * otherwise 0. */
size_t member_split(const char *path);

#endif
