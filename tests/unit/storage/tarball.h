/* SPDX-License-Identifier: Apache-2.0 */
/* tarball.h - archives for tests, member by member. */
#ifndef HOSPES_TESTS_STORAGE_TARBALL_H
#define HOSPES_TESTS_STORAGE_TARBALL_H

#include "abi/tar.h"
#include "scratch.h"

static inline void tarball_header(FILE *f, const char *name, char type, uint64_t size)
{
    struct tar_header h = {.typeflag = type, .magic = "ustar", .version = "00"};
    unsigned sum = 0;

    assert_true(strlen(name) < sizeof(h.name));
    memcpy(h.name, name, strlen(name));
    snprintf(h.mode, sizeof(h.mode), "%07o", 0644);
    snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)size);
    memset(h.chksum, ' ', sizeof(h.chksum));
    for (size_t i = 0; i < sizeof(h); i++)
        sum += ((const uint8_t *)&h)[i];
    snprintf(h.chksum, sizeof(h.chksum), "%06o", sum);
    assert_int_equal(fwrite(&h, sizeof(h), 1, f), 1);
}

static inline void tarball_add(FILE *f, const char *name, char type, const void *data, size_t n)
{
    static const uint8_t pad[TAR_BLOCK];
    size_t rest = (TAR_BLOCK - n % TAR_BLOCK) % TAR_BLOCK;

    tarball_header(f, name, type, n);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fwrite(pad, 1, rest, f), rest);
}

static inline void tarball_end(FILE *f)
{
    static const uint8_t pad[2 * TAR_BLOCK];

    assert_int_equal(fwrite(pad, sizeof(pad), 1, f), 1);
    fclose(f);
}

#endif
