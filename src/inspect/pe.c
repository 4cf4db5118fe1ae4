/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pe.c - sections of a program for UEFI: unified kernel images have kernel, initrd and command line
 * in them.
 *
 * Documents: the Microsoft PE format (headers, section table); UAPI.5, unified kernel images.
 */
#include <string.h>

#include "abi/bytes.h"
#include "inspect/look.h"

enum { PE_HEAD = 4096, PE_SECTION = 40, PE_SECTIONS = 64 };

bool look_pe_section(struct fs *fs, const struct fs_node *n, const char *name, uint64_t *off,
                     uint64_t *len)
{
    uint8_t b[PE_HEAD];
    ssize_t got = fs->ops->read(fs, n, 0, b, sizeof(b));
    uint64_t at, count;

    if (got < 64 || memcmp(b, "MZ", 2) != 0)
        return false;
    at = le32_at(b + 0x3c);
    if (!range_in(at, 24, (uint64_t)got) || memcmp(b + at, "PE\0\0", 4) != 0)
        return false;
    count = le16_at(b + at + 6);
    at += 24 + (uint64_t)le16_at(b + at + 20);
    for (unsigned i = 0; i < count && i < PE_SECTIONS; i++, at += PE_SECTION) {
        if (!range_in(at, PE_SECTION, (uint64_t)got))
            return false;
        if (strncmp((const char *)b + at, name, 8) != 0)
            continue;
        *off = le32_at(b + at + 20);
        *len = min_u64(le32_at(b + at + 8), le32_at(b + at + 16));
        return *len > 0 && range_in(*off, *len, n->size);
    }
    return false;
}
