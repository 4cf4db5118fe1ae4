/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_multiboot2.c - Multiboot2 Specification 2.0 for i386: ELF images, and images whose header
 * says where they go. The initrd is the first module.
 *
 * Command lines hold what was given, without the name of the file, as GRUB 2 writes them.
 *
 * Kernels that want a framebuffer find the screen in text mode, and are told so.
 *
 * Not modelled: the EFI tags (these kernels start without firmware), VBE, APM, network information,
 * symbols, moving a relocatable image (it stays where it was linked).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/multiboot.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"
#include "core/gmem.h"

enum {
    MB2_INFO = BOOT_TABLES,
    MB2_INFO_MAX = BOOT_PAGES - BOOT_TABLES,
    MB2_RANGES = 256,
    MB2_HEADER_MAX = 4096,
    RSDP_V1 = 20,
    RSDP_V2 = 36,
};

/* What the header says. */
struct mb2 {
    uint64_t at;   /* in the file */
    uint32_t size; /* of the header with its tags */
    bool has_address, has_entry;
    struct multiboot2_address address;
    uint32_t entry;
};

/* 1: *out's place and size. 0: none. */
static int mb2_search(const struct boot_file *f, struct mb2 *out, struct err *e)
{
    uint8_t buf[MULTIBOOT2_SEARCH];
    size_t n = (size_t)min_u64(f->size, sizeof(buf));
    struct multiboot2_header h;
    int rc = boot_file_read(f, 0, buf, n, e);

    if (rc < 0)
        return rc;
    for (size_t at = 0; at + sizeof(h) <= n; at += MULTIBOOT2_HEADER_ALIGN) {
        memcpy(&h, buf + at, sizeof(h));
        if (le32_get(h.magic) != MULTIBOOT2_HEADER_MAGIC ||
            le32_get(h.architecture) != MULTIBOOT2_ARCHITECTURE_I386 ||
            le32_get(h.magic) + le32_get(h.architecture) + le32_get(h.header_length) +
                    le32_get(h.checksum) !=
                0)
            continue;
        out->at = at;
        out->size = le32_get(h.header_length);
        if (out->size < sizeof(h) || out->size > MB2_HEADER_MAX ||
            !range_in(at, out->size, f->size))
            return err_set(e, EINVAL, "the multiboot2 kernel %s has a broken header", f->path);
        return 1;
    }
    return 0;
}

static int mb2_refuse(const struct boot_file *f, unsigned type, struct err *e)
{
    return err_set(e, EINVAL, "the multiboot2 kernel %s requires what is not offered (tag %u)",
                   f->path, type);
}

/* One tag of the header; body has n bytes. */
static int mb2_tag(const struct boot_file *f, struct mb2 *out,
                   const struct multiboot2_header_tag *t, const uint8_t *body, size_t n,
                   struct err *e)
{
    unsigned type = le16_get(t->type);

    switch (type) {
    case MULTIBOOT2_HEADER_TAG_ADDRESS:
        if (n < sizeof(out->address))
            return mb2_refuse(f, type, e);
        memcpy(&out->address, body, sizeof(out->address));
        out->has_address = true;
        return 0;
    case MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS:
        if (n < 4)
            return mb2_refuse(f, type, e);
        out->entry = le32_at(body);
        out->has_entry = true;
        return 0;
    case MULTIBOOT2_HEADER_TAG_INFORMATION_REQUEST: /* all that exists here is always told */
    case MULTIBOOT2_HEADER_TAG_CONSOLE_FLAGS:
    case MULTIBOOT2_HEADER_TAG_FRAMEBUFFER:
    case MULTIBOOT2_HEADER_TAG_MODULE_ALIGN:
    case MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS_EFI32: /* for loaders that came by EFI */
    case MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS_EFI64:
    case MULTIBOOT2_HEADER_TAG_RELOCATABLE:
        return 0;
    default:
        return le16_get(t->flags) & MULTIBOOT2_HEADER_TAG_OPTIONAL ? 0 : mb2_refuse(f, type, e);
    }
}

/* As mb2_search(), with what its tags say. */
static int mb2_header(const struct boot_file *f, struct mb2 *out, struct err *e)
{
    uint8_t buf[MB2_HEADER_MAX];
    size_t at = sizeof(struct multiboot2_header);
    int rc;

    memset(out, 0, sizeof(*out));
    rc = mb2_search(f, out, e);
    if (rc <= 0)
        return rc;
    rc = boot_file_read(f, out->at, buf, out->size, e);
    while (rc == 0 && out->size - at >= sizeof(struct multiboot2_header_tag)) {
        struct multiboot2_header_tag t;
        size_t size;

        memcpy(&t, buf + at, sizeof(t));
        size = le32_get(t.size);
        if (size < sizeof(t) || size > out->size - at)
            return err_set(e, EINVAL, "the multiboot2 kernel %s has a broken header", f->path);
        if (le16_get(t.type) == MULTIBOOT2_HEADER_TAG_END)
            break;
        rc = mb2_tag(f, out, &t, buf + at + sizeof(t), size - sizeof(t), e);
        at = min_u64(align_up(at + size, 8), out->size);
    }
    return rc < 0 ? rc : 1;
}

int boot_multiboot2_find(const struct boot_file *f, bool *image, struct err *e)
{
    struct mb2 h;
    int rc = mb2_header(f, &h, e);

    *image = rc > 0 && h.has_address && h.has_entry;
    return rc;
}

int boot_multiboot2_image(const struct boot_file *f, struct boot_elf *out, struct err *e)
{
    struct mb2 h;
    int rc = mb2_header(f, &h, e);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(e, EINVAL, "the multiboot2 kernel %s is being changed", f->path);
    if (h.has_address && h.has_entry)
        return boot_address_read(f,
                                 &(struct boot_address){h.at, le32_get(h.address.header_addr),
                                                        le32_get(h.address.load_addr),
                                                        le32_get(h.address.load_end_addr),
                                                        le32_get(h.address.bss_end_addr), h.entry},
                                 out, e);
    rc = boot_elf_read(f, out, e);
    if (rc == 0 && h.has_entry)
        out->entry = out->entry_at = h.entry;
    return rc;
}

/* --- what the kernel is told --- */

struct mb2_info {
    uint8_t *p;
    size_t n; /* tags begin at multiples of 8 */
    bool full;
};

/* A tag whose body is head and then tail. */
static void mb2_put(struct mb2_info *i, uint32_t type, const void *head, size_t n, const void *tail,
                    size_t m)
{
    struct multiboot2_tag t = {le32_of(type), le32_of((uint32_t)(sizeof(t) + n + m))};
    size_t size = align_up(sizeof(t) + n + m, 8);

    if (i->full || size > MB2_INFO_MAX - i->n) {
        i->full = true;
        return;
    }
    memset(i->p + i->n, 0, size);
    memcpy(i->p + i->n, &t, sizeof(t));
    if (n)
        memcpy(i->p + i->n + sizeof(t), head, n);
    if (m)
        memcpy(i->p + i->n + sizeof(t) + n, tail, m);
    i->n += size;
}

static void mb2_put_text(struct mb2_info *i, uint32_t type, const char *text)
{
    mb2_put(i, type, NULL, 0, text, strlen(text) + 1);
}

static void mb2_put_memory(struct mb2_info *i, const struct boot_env *env)
{
    struct multiboot2_mmap head = {le32_of(sizeof(struct multiboot2_mmap_entry)), le32_of(0)};
    struct multiboot2_meminfo basic = {
        le32_of(BOOT_LOWER_KIB), le32_of((uint32_t)((boot_low_end(env) - BOOT_IMAGE_MIN) / KiB))};
    struct multiboot2_mmap_entry map[MB2_RANGES];
    size_t n = env->ranges < MB2_RANGES ? env->ranges : MB2_RANGES;

    memset(map, 0, sizeof(map));
    for (size_t k = 0; k < n; k++) {
        map[k].addr = le64_of(env->range[k].base);
        map[k].len = le64_of(env->range[k].size);
        map[k].type = le32_of(env->range[k].type);
    }
    mb2_put(i, MULTIBOOT2_TAG_TYPE_BASIC_MEMINFO, NULL, 0, &basic, sizeof(basic));
    mb2_put(i, MULTIBOOT2_TAG_TYPE_MMAP, &head, sizeof(head), map, n * sizeof(map[0]));
}

static void mb2_put_screen(struct mb2_info *i)
{
    struct multiboot2_framebuffer f = {.addr = le64_of(BOOT_TEXT),
                                       .pitch = le32_of(2 * BOOT_TEXT_COLUMNS),
                                       .width = le32_of(BOOT_TEXT_COLUMNS),
                                       .height = le32_of(BOOT_TEXT_ROWS),
                                       .bpp = 16,
                                       .type = MULTIBOOT_FRAMEBUFFER_TYPE_EGA_TEXT};

    mb2_put(i, MULTIBOOT2_TAG_TYPE_FRAMEBUFFER, NULL, 0, &f, sizeof(f));
}

/* Copies of the RSDP: kernels that do not search find the tables by them. */
static void mb2_put_acpi(struct mb2_info *i, const struct boot_env *env)
{
    uint8_t rsdp[RSDP_V2];

    if (gmem_read(env->mem, env->rsdp, rsdp, sizeof(rsdp)) < 0 || memcmp(rsdp, "RSD PTR ", 8) != 0)
        return;
    mb2_put(i, MULTIBOOT2_TAG_TYPE_ACPI_OLD, NULL, 0, rsdp, RSDP_V1);
    if (rsdp[15] >= 2)
        mb2_put(i, MULTIBOOT2_TAG_TYPE_ACPI_NEW, NULL, 0, rsdp, RSDP_V2);
}

static int mb2_info(const struct boot *b, const struct boot_env *env,
                    const struct boot_placed *placed, struct err *e)
{
    struct mb2_info i = {malloc(MB2_INFO_MAX), sizeof(struct multiboot2_info), false};
    struct multiboot2_info head = {le32_of(0), le32_of(0)};
    int rc;

    if (!i.p)
        return err_set(e, ENOMEM, "no memory to start a kernel");
    mb2_put_text(&i, MULTIBOOT2_TAG_TYPE_CMDLINE, b->append);
    mb2_put_text(&i, MULTIBOOT2_TAG_TYPE_BOOT_LOADER_NAME, "hospes");
    for (size_t k = 0; k < b->modules; k++) {
        struct multiboot2_module mod = {le32_of((uint32_t)placed[k].at),
                                        le32_of((uint32_t)(placed[k].at + placed[k].size))};

        mb2_put(&i, MULTIBOOT2_TAG_TYPE_MODULE, &mod, sizeof(mod), placed[k].text,
                strlen(placed[k].text) + 1);
    }
    mb2_put_memory(&i, env);
    mb2_put_screen(&i);
    mb2_put_acpi(&i, env);
    mb2_put(&i, MULTIBOOT2_TAG_TYPE_END, NULL, 0, NULL, 0);
    head.total_size = le32_of((uint32_t)i.n);
    memcpy(i.p, &head, sizeof(head));
    if (i.full)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "the command lines of the kernel and its modules are too long: shorten them");
    else
        rc = boot_put(env, boot_at(b, MB2_INFO), i.p, i.n, e);
    free(i.p);
    return rc;
}

int boot_multiboot2_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                         struct err *e)
{
    struct boot_placed placed[BOOT_MODULES];
    struct boot_elf x;
    int rc = boot_multiboot2_image(&b->kernel, &x, e);

    if (rc == 0)
        rc = boot_load_image(b, &x, env, placed, e);
    if (rc == 0)
        rc = mb2_info(b, env, placed, e);
    if (rc < 0)
        return rc;
    *out = (struct boot_start){
        .rip = x.entry_at, .rax = MULTIBOOT2_BOOTLOADER_MAGIC, .rbx = boot_at(b, MB2_INFO)};
    return boot_load_bios(env, out, e);
}
