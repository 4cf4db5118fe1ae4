/* SPDX-License-Identifier: Apache-2.0 */
/* boot_priv.h - what the loaders share; no file outside this folder includes it. */
#ifndef HOSPES_BOARD_BOOT_PRIV_H
#define HOSPES_BOARD_BOOT_PRIV_H

#include <pthread.h>

#include "board/boot/boot.h"
#include "board/layout.h"
#include "core/err.h"

/* Low memory that loaders fill; all of it is the kernel's to reuse. Nothing lies below BOOT_PARAMS:
 * kernels before 2.6.20 unpack themselves to there while they still need all the rest. All of it
 * moves up by the same distance, see boot_at(), for kernels that lie there themselves. */
enum boot_place {
    BOOT_PARAMS = 0x7000, /* Linux zero page, PVH start info or multiboot info */
    BOOT_TABLES = 0x8000, /* lists that those point to, 32 KiB */
    BOOT_PAGES = 0x10000, /* six pages: identity map of the low 4 GiB */
    BOOT_GDT = 0x18000,
    BOOT_CMDLINE = 0x20000,
    BOOT_CMDLINE_MAX = 0x10000,
    BOOT_END = BOOT_CMDLINE + BOOT_CMDLINE_MAX,
    BOOT_IMAGE_MIN = 0x100000, /* nothing of a Linux kernel goes below */
    BOOT_IMAGE_LOW = 0x600,    /* nor of any other below this: vectors, BIOS data area */
};

struct boot_file {
    int fd;
    uint64_t size;
    char *path;
};

enum boot_kind { BOOT_BZIMAGE, BOOT_LINUX_ELF, BOOT_PVH, BOOT_MULTIBOOT, BOOT_MULTIBOOT2 };

/* A bzImage's compressed kernel, and where it may go. */
struct boot_payload {
    uint64_t off, len;  /* of the compressed kernel in the file */
    uint64_t pref;      /* physical address that it was linked for */
    uint64_t span;      /* bytes of memory that it needs from there */
    uint64_t alignment; /* of its physical address */
    gpa_t end;          /* it must end here */
};

/* boot_early.c's: the thread that unpacks, and what it found. */
struct boot_early {
    pthread_t thread;
    bool running; /* not joined yet; the rest is the thread's until it is */
    struct gmem *mem;
    struct boot_payload k;
    struct boot_start start;
    bool random;
    int rc;
    struct err err;
};

struct boot {
    enum boot_kind kind;
    struct boot_file kernel, initrd; /* initrd.fd -1: none, or it is the first module */
    struct boot_file module[BOOT_MODULES];
    char *module_text[BOOT_MODULES];
    size_t modules;
    char *append;
    char about[160];
    gpa_t shift; /* boot_make_room()'s */
    struct boot_early early;
};

/* boot_file.c */
MUST int boot_file_open(struct boot_file *f, const char *path, const char *what, struct err *e);
void boot_file_close(struct boot_file *f);
/* The last part of its path. */
const char *boot_file_name(const struct boot_file *f);
/* Replaces a file that is compressed as a whole by what is in it; other files stay. */
MUST int boot_file_unpack(struct boot_file *f, struct err *e);
/* All or an error. */
MUST int boot_file_read(const struct boot_file *f, uint64_t off, void *buf, size_t len,
                        struct err *e);
MUST int boot_file_load(const struct boot_file *f, uint64_t off, uint64_t len, struct gmem *m,
                        gpa_t at, struct err *e);

/* boot.c: for loaders. */
/* End of the RAM range that holds 1 MiB. */
gpa_t boot_low_end(const struct boot_env *env);
/* Where the initrd goes: as high as it fits below `limit` and above `floor`; 0 without one. */
MUST int boot_place_initrd(const struct boot *b, gpa_t low_end, gpa_t floor, gpa_t limit, gpa_t *at,
                           struct err *e);
/* Puts the initrd as high as it goes below `limit` and above `floor`; *at is 0 without one. */
MUST int boot_load_initrd(const struct boot *b, const struct boot_env *env, gpa_t floor,
                          gpa_t limit, gpa_t *at, struct err *e);
MUST int boot_load_cmdline(const struct boot *b, const struct boot_env *env, size_t max,
                           struct err *e);
/* Page tables and descriptors for a 64-bit entry, or descriptors for a 32-bit one. */
MUST int boot_load_entry(const struct boot *b, const struct boot_env *env, bool longmode,
                         struct err *e);
/* Where a place is in this load. */
static inline gpa_t boot_at(const struct boot *b, unsigned place)
{
    return b->shift + place;
}
MUST int boot_put(const struct boot_env *env, gpa_t at, const void *p, size_t n, struct err *e);

/* bzimage.c */
bool boot_bzimage_is(const uint8_t *head, size_t n);
MUST int boot_bzimage_check(struct boot *b, uint64_t memory, struct err *e);
/* See boot_begin(). low_end: of the RAM that holds 1 MiB. */
void boot_bzimage_begin(struct boot *b, struct gmem *mem, gpa_t low_end);
MUST int boot_bzimage_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                           struct err *e);

struct linux_boot_params;
/* The parts of the zero page that do not depend on the image; then writes it. */
MUST int boot_linux_params(struct boot *b, const struct boot_env *env,
                           struct linux_boot_params *zero, gpa_t initrd, struct err *e);

/* boot_unpack.c */
struct boot_packed {
    const struct boot_file *file;
    uint64_t off, len;
};
/* The first bytes of something that boot_unpack() knows. */
bool boot_unpack_is(const uint8_t magic[6]);
/* 1: *done bytes at out. 0: nothing that we can unpack into that room. -errno: the file. */
MUST int boot_unpack(const struct boot_packed *in, uint8_t *out, size_t room, size_t *done,
                     struct err *e);

/* boot_lz4.c: one block. -EINVAL when it is broken or does not fit. */
MUST int boot_lz4_block(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done);

/* boot_direct.c */
/* 1: loaded, start at *out, *random: at a random address. 0: start the image the ordinary way. */
MUST int boot_direct_load(const struct boot *b, struct gmem *mem, const struct boot_payload *k,
                          struct boot_start *out, bool *random, struct err *e);

/* boot_early.c: boot_direct_load() on a thread of its own. */
void boot_early_start(struct boot *b, struct gmem *mem, const struct boot_payload *k);
/* Waits for it. true: it did the same job; *rc and the rest are as of boot_direct_load(). */
bool boot_early_take(struct boot *b, struct gmem *mem, const struct boot_payload *k,
                     struct boot_start *out, bool *random, int *rc, struct err *e);
void boot_early_end(struct boot *b);

/* boot_elf.c */
enum { BOOT_ELF_SEGMENTS = 32 };
struct boot_segment {
    uint64_t off, filesz, memsz;
    gpa_t at;
};
struct boot_elf {
    bool is64, pvh;
    uint64_t entry, pvh_entry;
    gpa_t entry_at; /* the entry where the segment with that virtual address is loaded */
    struct boot_segment seg[BOOT_ELF_SEGMENTS];
    size_t segs;
    gpa_t lo, hi; /* all segments lie in [lo, hi) */
};
bool boot_elf_is(const uint8_t *head, size_t n);
MUST int boot_elf_read(const struct boot_file *f, struct boot_elf *out, struct err *e);
MUST int boot_elf_load(const struct boot_file *f, const struct boot_elf *x,
                       const struct boot_env *env, struct err *e);
/* Moves the loader's own places out of the way of an image that has parts in conventional memory.
 * -EINVAL: the image wants what is not to be had. */
MUST int boot_make_room(struct boot *b, const struct boot_elf *x, struct err *e);
MUST int boot_elf_check(struct boot *b, uint64_t memory, struct err *e);
MUST int boot_linux_elf_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                             struct err *e);

/* boot_pvh.c */
MUST int boot_pvh_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                       struct err *e);

/* boot_modules.c */
struct boot_placed {
    gpa_t at;
    uint64_t size;
    const char *name, *text; /* owned by the boot */
};
/* Opens what the configuration names. */
MUST int boot_modules_open(struct boot *b, const struct boot_cfg *c, struct err *e);
void boot_modules_close(struct boot *b);
/* Puts all of them below 4 GiB, at pages, as high as they go above `floor`. */
MUST int boot_modules_load(const struct boot *b, const struct boot_env *env, gpa_t floor,
                           struct boot_placed out[BOOT_MODULES], struct err *e);
/* All of a kernel that is entered in 32-bit flat mode and takes modules, but for what it is told:
 * room, its segments, the modules above them, descriptors. */
MUST int boot_load_image(struct boot *b, const struct boot_elf *x, const struct boot_env *env,
                         struct boot_placed placed[BOOT_MODULES], struct err *e);

/* boot_bios.c: what it leaves in memory, and in out->first the code that leaves the rest. */
MUST int boot_load_bios(const struct boot_env *env, struct boot_start *out, struct err *e);

/* Conventional memory, as BIOSes and loaders tell of it. */
enum { BOOT_LOWER_KIB = LAYOUT_EBDA / KiB };

/* The screen that multiboot kernels find. */
enum { BOOT_TEXT = 0xb8000, BOOT_TEXT_COLUMNS = 80, BOOT_TEXT_ROWS = 25 };

/* boot_multiboot.c */
/* 1: has a header, 0: none, -errno with e: a header that cannot be served. *image: whether the
 * header itself says where the image goes, so that it need not be an ELF file. */
MUST int boot_multiboot_find(const struct boot_file *f, bool *image, struct err *e);
/* b->kind and the rest for a kernel that is no ELF file; 0: not one of these, 1: it is. */
MUST int boot_multiboot_check(struct boot *b, uint64_t memory, struct err *e);
MUST int boot_multiboot_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                             struct err *e);
/* One segment as address fields describe it; `at`: where in the file the header lies. */
struct boot_address {
    uint64_t at, header, load, load_end, bss_end, entry;
};
MUST int boot_address_read(const struct boot_file *f, const struct boot_address *a,
                           struct boot_elf *out, struct err *e);

/* boot_multiboot2.c: likewise. */
MUST int boot_multiboot2_image(const struct boot_file *f, struct boot_elf *out, struct err *e);
MUST int boot_multiboot2_find(const struct boot_file *f, bool *image, struct err *e);
MUST int boot_multiboot2_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                              struct err *e);

#endif
