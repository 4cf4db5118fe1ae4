/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.c - Linux bzImage: 64-bit entry, or 32-bit for kernels that have no other.
 *
 * Documentation/x86/boot.rst of Linux 6.1, protocol 2.00 and later, kernels that load high. Not
 * modelled: real-mode entry, zImage, EFI handover.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi/linux_boot.h"
#include "board/boot/boot_priv.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/gmem.h"

enum { BZ_SECTOR = 512, BZ_ENTRY64 = 0x200, BZ_LOADER_UNKNOWN = 0xff, BZ_CMDLINE_OLD = 255 };

/* What the setup header says, checked. */
struct bz {
    struct linux_setup_header hdr;
    unsigned version;
    size_t hdr_len;   /* bytes of hdr that the image has */
    uint64_t setup;   /* bytes before the protected-mode part */
    uint64_t bytes;   /* of that part */
    uint64_t span;    /* memory it needs while it starts */
    gpa_t at;         /* where it is loaded */
    gpa_t initrd_end; /* first address that no initrd byte may have */
    size_t cmdline;   /* characters */
    bool longmode;
};

bool boot_bzimage_is(const uint8_t *head, size_t n)
{
    const struct linux_setup_header *hdr = (const void *)(head + LINUX_HEADER_AT);

    return n >= LINUX_HEADER_AT + sizeof(*hdr) && le16_get(hdr->boot_flag) == LINUX_BOOT_FLAG &&
           le32_get(hdr->header) == LINUX_HEADER_MAGIC;
}

static int bz_size(const struct boot *b, struct bz *z, struct err *e)
{
    unsigned sects = z->hdr.setup_sects ? z->hdr.setup_sects : 4;
    uint64_t said = (uint64_t)le32_get(z->hdr.syssize) * 16;

    z->setup = (uint64_t)(sects + 1) * BZ_SECTOR;
    if (z->setup >= b->kernel.size)
        return err_set(e, EINVAL, "the kernel %s is truncated: it ends in its setup code",
                       b->kernel.path);
    z->bytes = b->kernel.size - z->setup;
    if (z->version < 0x204)
        return 0; /* the field had 16 bits and may have wrapped */
    /* The field counts paragraphs, and some images end within their last one. */
    if (said > align_up(z->bytes, 16))
        return err_set(e, EINVAL, "the kernel %s is truncated: %llu bytes are missing",
                       b->kernel.path, (unsigned long long)(said - z->bytes));
    /* What follows is a signature. */
    if (said)
        z->bytes = min_u64(said, z->bytes);
    return 0;
}

/* The preferred address if it fits below `end`, else as low as the alignment allows. */
static int bz_place(const struct boot *b, struct bz *z, gpa_t end, struct err *e)
{
    bool moves = z->version >= 0x205 && z->hdr.relocatable_kernel;
    uint64_t alignment = z->version >= 0x205 ? le32_get(z->hdr.kernel_alignment) : 0;
    uint64_t top;

    z->at = z->version >= 0x20a ? le64_get(z->hdr.pref_address) : BOOT_IMAGE_MIN;
    z->span = z->version >= 0x20a ? le32_get(z->hdr.init_size) : 3 * z->bytes;
    z->span = max_u64(z->span, z->bytes);
    if (!is_pow2(alignment) || alignment > GiB)
        alignment = 2 * MiB;
    if (!moves)
        z->at = z->longmode ? z->at : BOOT_IMAGE_MIN;
    else if (add_overflows(z->at, z->span, &top) || top > end)
        z->at = align_up(BOOT_IMAGE_MIN, alignment);
    if (z->at < BOOT_IMAGE_MIN || add_overflows(z->at, z->span, &top) || top > end)
        return err_set(e, EINVAL,
                       "the kernel %s needs %llu MiB from %#llx to start: give the guest more "
                       "--memory",
                       b->kernel.path, (unsigned long long)((z->span + MiB - 1) / MiB),
                       (unsigned long long)z->at);
    return 0;
}

static int bz_read(const struct boot *b, gpa_t end, struct bz *z, struct err *e)
{
    int rc;

    memset(z, 0, sizeof(*z));
    rc = boot_file_read(&b->kernel, LINUX_HEADER_AT, &z->hdr, sizeof(z->hdr), e);
    if (rc < 0)
        return rc;
    z->version = le16_get(z->hdr.version);
    if (le32_get(z->hdr.header) != LINUX_HEADER_MAGIC || z->version < 0x200 ||
        !(z->hdr.loadflags & LOADED_HIGH))
        return err_set(e, EINVAL, "the kernel %s is a zImage of the 1990s: give a bzImage",
                       b->kernel.path);
    z->hdr_len = min_u64(sizeof(z->hdr), 0x202u + (le16_get(z->hdr.jump) >> 8) - LINUX_HEADER_AT);
    /* Fields beyond the image's own header are code, not settings. */
    memset((uint8_t *)&z->hdr + z->hdr_len, 0, sizeof(z->hdr) - z->hdr_len);
    z->longmode = z->version >= 0x20c && (le16_get(z->hdr.xloadflags) & XLF_KERNEL_64);
    z->initrd_end = 0x38000000;
    if (z->version >= 0x203)
        z->initrd_end = (gpa_t)le32_get(z->hdr.initrd_addr_max) + 1;
    z->cmdline = z->version >= 0x206 ? le32_get(z->hdr.cmdline_size) : BZ_CMDLINE_OLD;
    rc = bz_size(b, z, e);
    return rc < 0 ? rc : bz_place(b, z, end, e);
}

/* "Linux 6.1.0-50-cloud-amd64" from the version string, printable part only. */
static void bz_about(struct boot *b, const struct bz *z)
{
    uint64_t at = (uint64_t)le16_get(z->hdr.kernel_version) + BZ_SECTOR;
    char text[80] = "";
    struct err ignored;
    size_t n = 0;

    if (le16_get(z->hdr.kernel_version) == 0 || at + sizeof(text) > z->setup ||
        boot_file_read(&b->kernel, at, text, sizeof(text) - 1, &ignored) < 0)
        text[0] = '\0';
    while (text[n] > ' ' && text[n] < 0x7f)
        n++;
    text[n] = '\0';
    snprintf(b->about, sizeof(b->about), "Linux %s%s", n ? text : "of unknown version",
             z->longmode ? "" : ", 32-bit entry");
}

int boot_bzimage_check(struct boot *b, uint64_t memory, struct err *e)
{
    struct bz z;
    int rc = bz_read(b, layout_ram_low(memory, true), &z, e);

    if (rc < 0)
        return rc;
    if (strlen(b->append) > z.cmdline)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--append has %zu characters, %s takes at most %zu: shorten it",
                        strlen(b->append), b->kernel.path, z.cmdline);
    b->kind = BOOT_BZIMAGE;
    bz_about(b, &z);
    return 0;
}

static void bz_e820(struct linux_boot_params *zero, const struct boot_env *env)
{
    size_t n = 0;

    for (size_t i = 0; i < env->ranges && n < LINUX_E820_MAX; i++, n++) {
        zero->e820_table[n].addr = le64_of(env->range[i].base);
        zero->e820_table[n].size = le64_of(env->range[i].size);
        zero->e820_table[n].type = le32_of(env->range[i].type);
    }
    zero->e820_entries = (uint8_t)n;
}

int boot_linux_params(struct boot *b, const struct boot_env *env, struct linux_boot_params *zero,
                      gpa_t initrd, struct err *e)
{
    zero->acpi_rsdp_addr = le64_of(env->rsdp);
    zero->alt_mem_k = le32_of((uint32_t)((boot_low_end(env) - BOOT_IMAGE_MIN) / KiB));
    zero->hdr.vid_mode = le16_of(0xffff); /* "normal" */
    zero->hdr.type_of_loader = BZ_LOADER_UNKNOWN;
    zero->hdr.cmd_line_ptr = le32_of(BOOT_CMDLINE);
    zero->hdr.ramdisk_image = le32_of((uint32_t)initrd);
    zero->hdr.ramdisk_size = le32_of(initrd ? (uint32_t)b->initrd.size : 0);
    bz_e820(zero, env);
    return boot_put(env, BOOT_PARAMS, zero, sizeof(*zero), e);
}

/* What boot_direct_load() wants to know. false: the image has no payload that we know. */
static bool bz_payload(const struct bz *z, gpa_t end, struct boot_payload *k)
{
    *k = (struct boot_payload){
        .off = z->setup + le32_get(z->hdr.payload_offset),
        .len = le32_get(z->hdr.payload_length),
        .pref = le64_get(z->hdr.pref_address),
        .span = z->span,
        .alignment = le32_get(z->hdr.kernel_alignment),
        .end = end,
    };
    return z->longmode && z->hdr.relocatable_kernel && is_pow2(k->alignment) &&
           range_in(le32_get(z->hdr.payload_offset), k->len, z->bytes);
}

void boot_bzimage_begin(struct boot *b, struct gmem *mem, gpa_t low_end)
{
    struct boot_payload k;
    struct err ignored; /* boot_load() finds and says it again */
    gpa_t initrd;
    struct bz z;

    if (bz_read(b, low_end, &z, &ignored) == 0 &&
        boot_place_initrd(b, low_end, z.at + z.span, z.initrd_end, &initrd, &ignored) == 0 &&
        bz_payload(&z, initrd ? initrd : low_end, &k))
        boot_early_start(b, mem, &k);
}

/* The way past the decompressor; same answers as boot_direct_load(). */
static int bz_direct(struct boot *b, const struct boot_env *env, const struct bz *z, gpa_t initrd,
                     struct boot_start *out, bool *random, struct err *e)
{
    struct boot_payload k;
    int rc;

    if (!bz_payload(z, initrd ? initrd : boot_low_end(env), &k))
        return 0;
    if (boot_early_take(b, env->mem, &k, out, random, &rc, e))
        return rc;
    return boot_direct_load(b, env->mem, &k, out, random, e);
}

static int bz_ordinary(struct boot *b, const struct boot_env *env, const struct bz *z,
                       struct boot_start *out, struct err *e)
{
    *out = (struct boot_start){
        .longmode = z->longmode,
        .rip = z->at + (z->longmode ? BZ_ENTRY64 : 0),
        .rsi = BOOT_PARAMS,
        .cr3 = z->longmode ? BOOT_PAGES : 0,
    };
    return boot_file_load(&b->kernel, z->setup, z->bytes, env->mem, z->at, e);
}

/* Kernels before 2.6.24 believe the size of the screen even where there is none, and stop at one of
 * no columns. */
static void bz_old_screen(const struct bz *z, struct linux_screen_info *s)
{
    if (z->version >= 0x207)
        return;
    s->orig_video_mode = 3;
    s->orig_video_cols = 80;
    s->orig_video_lines = 25;
    s->orig_video_points = le16_of(16);
}

int boot_bzimage_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                      struct err *e)
{
    struct linux_boot_params zero;
    bool random = false;
    gpa_t initrd = 0;
    struct bz z;
    int rc = bz_read(b, boot_low_end(env), &z, e);

    if (rc == 0)
        rc = boot_load_initrd(b, env, z.at + z.span, z.initrd_end, &initrd, e);
    if (rc == 0)
        rc = boot_load_cmdline(b, env, z.cmdline, e);
    if (rc == 0)
        rc = boot_load_entry(b, env, z.longmode, e);
    if (rc < 0)
        return rc;
    rc = bz_direct(b, env, &z, initrd, out, &random, e);
    if (rc == 0)
        rc = bz_ordinary(b, env, &z, out, e);
    if (rc < 0)
        return rc;
    memset(&zero, 0, sizeof(zero));
    memcpy(&zero.hdr, &z.hdr, z.hdr_len);
    bz_old_screen(&z, &zero.screen_info);
    zero.hdr.code32_start = le32_of((uint32_t)z.at);
    if (random)
        zero.hdr.loadflags |= KASLR_FLAG;
    return boot_linux_params(b, env, &zero, initrd, e);
}
