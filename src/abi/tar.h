/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - the header of a tar archive's member, as POSIX.1-2001 (pax) and GNU tar have it. Numbers
 * are octal text, or big-endian binary with the first byte's highest bit set.
 */
#ifndef HOSPES_ABI_TAR_H
#define HOSPES_ABI_TAR_H

#include "abi/bytes.h"

enum { TAR_BLOCK = 512 };

struct tar_header {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12], mtime[12];
    char chksum[8]; /* the sum of all bytes, these eight taken as spaces */
    char typeflag;
    char linkname[100];
    char magic[6]; /* "ustar" and a NUL; GNU tar before POSIX: "ustar " */
    char version[2];
    char uname[32], gname[32];
    char devmajor[8], devminor[8];
    char prefix[155]; /* POSIX: goes before the name, with a slash between */
    char unused[12];
};
WIRE_SIZE(struct tar_header, TAR_BLOCK);
WIRE_OFFSET(struct tar_header, chksum, 148);
WIRE_OFFSET(struct tar_header, magic, 257);
WIRE_OFFSET(struct tar_header, prefix, 345);

#define TAR_FILE '0' /* and NUL, and '7' */
#define TAR_LINK '1' /* a second name of an earlier member */
#define TAR_DIR '5'
#define TAR_PAX 'x'      /* "LEN KEY=VALUE\n" lines about the member that follows */
#define TAR_PAX_ALL 'g'  /* the same about all that follow */
#define TAR_GNU_NAME 'L' /* the name of the member that follows */
#define TAR_GNU_LINK 'K'
#define TAR_GNU_SPARSE 'S'

#endif
