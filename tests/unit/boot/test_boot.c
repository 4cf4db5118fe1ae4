/* SPDX-License-Identifier: Apache-2.0 */
/* Loaders: what lands where in guest memory, and what is refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "abi/elf.h"
#include "abi/linux_boot.h"
#include "abi/multiboot.h"
#include "abi/pvh.h"
#include "board/boot/boot.h"
#include "core/err.h"
#include "core/gmem.h"
#include "images.h"
#include "unit.h"

#include <stdio.h>

#define RAM (64 * MiB)

struct bench {
    struct gmem *mem;
    struct board_range range[3];
    struct boot_env env;
    struct boot_cfg cfg;
    struct boot *boot;
    struct boot_start start;
    struct err e;
    struct image image;
    char kernel[32], initrd[32];
    int kernel_fd, initrd_fd;
};

static void bench_ram(struct bench *t, uint64_t ram)
{
    gmem_destroy(t->mem);
    assert_int_equal(gmem_create(&t->mem, &t->e), 0);
    assert_int_equal(gmem_add_ram(t->mem, 0, ram, false, &t->e), 0);
    t->range[0] = (struct board_range){0, 0x9fc00, BOARD_RANGE_RAM};
    t->range[1] = (struct board_range){0xf0000, 0x10000, BOARD_RANGE_RESERVED};
    t->range[2] = (struct board_range){0x100000, ram - 0x100000, BOARD_RANGE_RAM};
    t->env = (struct boot_env){t->mem, t->range, 3, 0xf0040};
    t->cfg.memory = ram;
}

static int set_up(void **state)
{
    struct bench *t = calloc(1, sizeof(*t));

    t->kernel_fd = t->initrd_fd = -1;
    bench_ram(t, RAM);
    image_bzimage(&t->image);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *t = *state;

    boot_close(t->boot);
    gmem_destroy(t->mem);
    if (t->kernel_fd >= 0)
        close(t->kernel_fd);
    if (t->initrd_fd >= 0)
        close(t->initrd_fd);
    free(t);
    return 0;
}

static int bench_open(struct bench *t)
{
    boot_close(t->boot);
    t->boot = NULL;
    if (t->kernel_fd >= 0)
        close(t->kernel_fd);
    t->kernel_fd = image_file(t->image.b, t->image.n, t->kernel);
    t->cfg.kernel = t->kernel;
    return boot_open(&t->cfg, &t->boot, &t->e);
}

static void bench_load(struct bench *t)
{
    if (bench_open(t) < 0 || boot_load(t->boot, &t->env, &t->start, &t->e) < 0)
        fail_msg("%s", t->e.msg);
}

static void bench_initrd(struct bench *t, size_t n)
{
    uint8_t *p = malloc(n);

    memset(p, 0x5a, n);
    t->initrd_fd = image_file(p, n, t->initrd);
    t->cfg.initrd = t->initrd;
    free(p);
}

static struct linux_setup_header *header(struct bench *t)
{
    return (void *)(t->image.b + LINUX_HEADER_AT);
}

static struct linux_boot_params zero_page(struct bench *t)
{
    struct linux_boot_params zero;

    assert_int_equal(gmem_read(t->mem, t->start.rsi, &zero, sizeof(zero)), 0);
    return zero;
}

static void assert_bytes(struct bench *t, gpa_t at, uint8_t byte, size_t n)
{
    uint8_t *p = malloc(n);

    assert_int_equal(gmem_read(t->mem, at, p, n), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], byte);
    free(p);
}

static void assert_text(struct bench *t, gpa_t at, const char *want)
{
    char got[256];

    assert_int_equal(gmem_read(t->mem, at, got, strlen(want) + 1), 0);
    assert_string_equal(got, want);
}

/* --- bzImage --- */

static void a_bzimage_starts_at_its_64_bit_entry(void **state)
{
    struct bench *t = *state;
    struct linux_boot_params zero;
    uint64_t pml4;

    t->cfg.append = "console=ttyS0 quiet";
    bench_initrd(t, 5000);
    bench_load(t);
    assert_string_equal(boot_describe(t->boot), "Linux 9.8.7-made-by-hand");
    assert_true(t->start.longmode);
    assert_int_equal(t->start.rip, 16 * MiB + 0x200);
    assert_bytes(t, 16 * MiB, 0xc3, IMAGE_CODE);
    zero = zero_page(t);
    assert_int_equal(le32_get(zero.hdr.header), LINUX_HEADER_MAGIC);
    assert_int_equal(zero.hdr.type_of_loader, 0xff);
    assert_int_equal(zero.sentinel, 0);
    assert_int_equal(zero.screen_info.orig_video_cols, 0);
    assert_int_equal(le64_get(zero.acpi_rsdp_addr), 0xf0040);
    assert_text(t, le32_get(zero.hdr.cmd_line_ptr), "console=ttyS0 quiet");
    assert_int_equal(zero.e820_entries, 3);
    assert_int_equal(le64_get(zero.e820_table[2].addr), 0x100000);
    assert_int_equal(le64_get(zero.e820_table[2].size), RAM - 0x100000);
    assert_int_equal(le32_get(zero.hdr.ramdisk_size), 5000);
    assert_int_equal(le32_get(zero.hdr.ramdisk_image), RAM - 8192);
    assert_bytes(t, RAM - 8192, 0x5a, 5000);
    assert_int_equal(gmem_read(t->mem, t->start.cr3, &pml4, 8), 0);
    assert_int_equal(pml4 & 3, 3);
}

static void a_bzimage_moves_where_memory_is_small(void **state)
{
    struct bench *t = *state;

    bench_ram(t, 8 * MiB);
    bench_load(t);
    assert_int_equal(t->start.rip, 2 * MiB + 0x200);
}

static void a_bzimage_that_cannot_move_stays(void **state)
{
    struct bench *t = *state;

    header(t)->relocatable_kernel = 0;
    bench_load(t);
    assert_int_equal(t->start.rip, 16 * MiB + 0x200);
    bench_ram(t, 18 * MiB);
    assert_int_equal(bench_open(t), -EINVAL);
    assert_non_null(strstr(t->e.msg, "--memory"));
}

static void an_old_bzimage_starts_at_its_32_bit_entry(void **state)
{
    struct bench *t = *state;

    header(t)->version = le16_of(0x204);
    header(t)->jump = le16_of(0x32eb);
    bench_load(t);
    assert_false(t->start.longmode);
    assert_int_equal(t->start.rip, 1 * MiB);
    assert_bytes(t, 1 * MiB, 0xc3, IMAGE_CODE);
    /* such kernels unpack themselves to below the zero page before they let go of descriptors */
    assert_bytes(t, 0, 0, t->start.rsi);
    assert_int_equal(zero_page(t).screen_info.orig_video_cols, 80);
    /* fields that this header does not have are not copied from the code behind it */
    assert_int_equal(le64_get(zero_page(t).hdr.pref_address), 0);
}

static void a_bzimage_may_end_within_its_last_paragraph(void **state)
{
    struct bench *t = *state;

    t->image.n -= 15;
    bench_load(t);
    assert_bytes(t, 16 * MiB, 0xc3, IMAGE_CODE - 15);
}

static void the_initrd_keeps_below_the_kernels_limit(void **state)
{
    struct bench *t = *state;
    struct linux_boot_params zero;

    header(t)->initrd_addr_max = le32_of(32 * MiB - 1);
    bench_initrd(t, 4096);
    bench_load(t);
    zero = zero_page(t);
    assert_int_equal(le32_get(zero.hdr.ramdisk_image), 32 * MiB - 4096);
}

static void an_initrd_that_does_not_fit_is_refused(void **state)
{
    struct bench *t = *state;

    bench_initrd(t, 5 * MiB);
    bench_ram(t, 8 * MiB);
    assert_int_equal(bench_open(t), 0);
    assert_int_equal(boot_load(t->boot, &t->env, &t->start, &t->e), -EINVAL);
    assert_non_null(strstr(t->e.msg, "--memory"));
}

static void a_long_command_line_is_refused(void **state)
{
    struct bench *t = *state;
    char line[102];

    memset(line, 'x', sizeof(line));
    line[101] = '\0';
    t->cfg.append = line;
    assert_int_equal(bench_open(t), -EINVAL);
    assert_int_equal(t->e.exit, EX_USAGE_);
    line[100] = '\0';
    assert_int_equal(bench_open(t), 0);
}

/* --- ELF --- */

static void a_vmlinux_starts_with_a_zero_page(void **state)
{
    struct bench *t = *state;

    image_elf(&t->image, IMAGE_VMLINUX);
    t->cfg.append = "a";
    assert_int_equal(gmem_fill(t->mem, 2 * MiB, 0xee, 8 * KiB), 0);
    bench_load(t);
    assert_true(t->start.longmode);
    assert_int_equal(t->start.rip, 2 * MiB + 16);
    assert_bytes(t, 2 * MiB, 0x90, 0x100);
    assert_bytes(t, 2 * MiB + 0x100, 0, 8 * KiB - 0x100);
    assert_int_equal(le32_get(zero_page(t).hdr.header), LINUX_HEADER_MAGIC);
}

static void a_pvh_kernel_gets_start_info(void **state)
{
    struct bench *t = *state;
    struct hvm_start_info info;
    struct hvm_modlist_entry mod;
    struct hvm_memmap_table_entry map;

    image_elf(&t->image, IMAGE_PVH);
    t->cfg.append = "pvh words";
    bench_initrd(t, 100);
    bench_load(t);
    assert_false(t->start.longmode);
    assert_int_equal(t->start.rip, 2 * MiB + 32);
    assert_int_equal(gmem_read(t->mem, t->start.rbx, &info, sizeof(info)), 0);
    assert_int_equal(le32_get(info.magic), XEN_HVM_START_MAGIC_VALUE);
    assert_int_equal(le32_get(info.version), 1);
    assert_int_equal(le64_get(info.rsdp_paddr), 0xf0040);
    assert_text(t, le64_get(info.cmdline_paddr), "pvh words");
    assert_int_equal(le32_get(info.nr_modules), 1);
    assert_int_equal(gmem_read(t->mem, le64_get(info.modlist_paddr), &mod, sizeof(mod)), 0);
    assert_int_equal(le64_get(mod.size), 100);
    assert_bytes(t, le64_get(mod.paddr), 0x5a, 100);
    assert_int_equal(le32_get(info.memmap_entries), 3);
    assert_int_equal(gmem_read(t->mem, le64_get(info.memmap_paddr), &map, sizeof(map)), 0);
    assert_int_equal(le64_get(map.size), 0x9fc00);
}

static void a_multiboot_kernel_gets_its_module(void **state)
{
    struct bench *t = *state;
    struct multiboot_info info;
    struct multiboot_module mod;
    uint8_t gdt[24];
    char words[64];

    image_elf(&t->image, IMAGE_MULTIBOOT);
    bench_initrd(t, 100);
    t->cfg.append = "mb words";
    bench_load(t);
    assert_int_equal(t->start.rax, MULTIBOOT_BOOTLOADER_MAGIC);
    assert_int_equal(t->start.rip, 2 * MiB + 16);
    assert_int_equal(t->start.code, 0x08);
    assert_int_equal(gmem_read(t->mem, t->start.gdt, gdt, sizeof(gdt)), 0);
    assert_int_equal(gdt[8 + 5], 0x9b); /* code, and data behind it */
    assert_int_equal(gdt[16 + 5], 0x93);
    assert_int_equal(gmem_read(t->mem, t->start.rbx, &info, sizeof(info)), 0);
    assert_int_equal(le32_get(info.mem_upper), (RAM - MiB) / KiB);
    snprintf(words, sizeof(words), "%s mb words", strrchr(t->kernel, '/') + 1);
    assert_text(t, le32_get(info.cmdline), words);
    assert_int_equal(le32_get(info.mods_count), 1);
    assert_int_equal(gmem_read(t->mem, le32_get(info.mods_addr), &mod, sizeof(mod)), 0);
    assert_int_equal(le32_get(mod.mod_end) - le32_get(mod.mod_start), 100);
    assert_text(t, le32_get(mod.cmdline), strrchr(t->initrd, '/') + 1);
    assert_bytes(t, le32_get(mod.mod_start), 0x5a, 100);
    assert_int_equal(le32_get(info.mmap_length), 3 * sizeof(struct multiboot_mmap));
}

/* They are told of the text screen, whether they ask for one or for graphics. */
static void a_multiboot_kernel_may_want_a_video_mode(void **state)
{
    const uint32_t flags = MULTIBOOT_MEMORY_INFO | MULTIBOOT_VIDEO_MODE;
    struct bench *t = *state;
    struct multiboot_info info;
    struct multiboot_header h = {.magic = le32_of(MULTIBOOT_HEADER_MAGIC),
                                 .flags = le32_of(MULTIBOOT_MEMORY_INFO)},
                            *at;

    image_elf(&t->image, IMAGE_MULTIBOOT);
    at = memmem(t->image.b, t->image.n, &h, 8);
    assert_non_null(at);
    at->flags = le32_of(flags);
    at->checksum = le32_of(-(MULTIBOOT_HEADER_MAGIC + flags));
    bench_load(t);
    assert_int_equal(gmem_read(t->mem, t->start.rbx, &info, sizeof(info)), 0);
    assert_true(le32_get(info.flags) & MULTIBOOT_INFO_FRAMEBUFFER_INFO);
    assert_int_equal(le64_get(info.framebuffer_addr), 0xb8000);
    assert_int_equal(le32_get(info.framebuffer_pitch), 160);
    assert_int_equal(le32_get(info.framebuffer_height), 25);
    assert_int_equal(info.framebuffer_type, 2);
    at->flags = le32_of(flags | 8);
    at->checksum = le32_of(-(MULTIBOOT_HEADER_MAGIC + flags + 8));
    assert_int_equal(bench_open(t), -EINVAL);
}

/* The tag of that type in multiboot2 information, or NULL; its body behind it. */
static const struct multiboot2_tag *mb2_find(const uint8_t *info, uint32_t type)
{
    uint32_t total = le32_at(info);
    const struct multiboot2_tag *t = (const void *)(info + sizeof(struct multiboot2_info));

    while ((const uint8_t *)t < info + total && le32_get(t->type) != MULTIBOOT2_TAG_TYPE_END) {
        if (le32_get(t->type) == type)
            return t;
        t = (const void *)((const uint8_t *)t + align_up(le32_get(t->size), 8));
    }
    return NULL;
}

static void give_modules(struct bench *t)
{
    static struct boot_module extra[2];

    bench_initrd(t, 100);
    extra[0] = (struct boot_module){t->initrd, "second one"};
    extra[1] = (struct boot_module){t->initrd, NULL};
    t->cfg.module = extra;
    t->cfg.modules = 2;
    t->cfg.append = "words";
}

static void a_multiboot2_kernel_gets_tags(void **state)
{
    struct bench *t = *state;
    const struct multiboot2_module *mod;
    const struct multiboot2_tag *tag;
    uint8_t info[4096], rsdp[36] = "RSD PTR ";

    rsdp[15] = 2;
    assert_int_equal(gmem_write(t->mem, 0xf0040, rsdp, sizeof(rsdp)), 0);
    image_elf(&t->image, IMAGE_MULTIBOOT2);
    give_modules(t);
    bench_load(t);
    assert_int_equal(t->start.rax, MULTIBOOT2_BOOTLOADER_MAGIC);
    assert_int_equal(t->start.rip, 2 * MiB + 16);
    assert_int_equal(t->start.rbx % 8, 0);
    assert_int_equal(gmem_read(t->mem, t->start.rbx, info, sizeof(info)), 0);
    tag = mb2_find(info, MULTIBOOT2_TAG_TYPE_CMDLINE);
    assert_string_equal((const char *)(tag + 1), "words");
    tag = mb2_find(info, MULTIBOOT2_TAG_TYPE_MODULE);
    tag = (const void *)((const uint8_t *)tag + align_up(le32_get(tag->size), 8));
    mod = (const void *)(tag + 1);
    assert_int_equal(le32_get(tag->type), MULTIBOOT2_TAG_TYPE_MODULE);
    assert_string_equal((const char *)(mod + 1), "second one");
    assert_int_equal(le32_get(mod->mod_end) - le32_get(mod->mod_start), 100);
    assert_bytes(t, le32_get(mod->mod_start), 0x5a, 100);
    tag = mb2_find(info, MULTIBOOT2_TAG_TYPE_FRAMEBUFFER);
    assert_int_equal(le32_get(tag->size), 32);
    tag = mb2_find(info, MULTIBOOT2_TAG_TYPE_MMAP);
    assert_int_equal(le32_get(tag->size), 16 + 3 * sizeof(struct multiboot2_mmap_entry));
    assert_non_null(mb2_find(info, MULTIBOOT2_TAG_TYPE_ACPI_OLD));
    assert_non_null(mb2_find(info, MULTIBOOT2_TAG_TYPE_ACPI_NEW));
}

static void a_multiboot2_kernel_that_wants_more_is_refused(void **state)
{
    struct bench *t = *state;
    struct multiboot2_header *h = (void *)(t->image.b + 0x200);
    struct multiboot2_header_tag *tag = (void *)(h + 1);

    image_elf(&t->image, IMAGE_MULTIBOOT2);
    *tag = (struct multiboot2_header_tag){le16_of(99), le16_of(0), le32_of(8)};
    assert_int_equal(bench_open(t), -EINVAL);
    assert_non_null(strstr(t->e.msg, "tag 99"));
    tag->flags = le16_of(MULTIBOOT2_HEADER_TAG_OPTIONAL);
    assert_int_equal(bench_open(t), 0);
    tag->size = le32_of(4);
    assert_int_equal(bench_open(t), -EINVAL);
}

static void modules_follow_the_initrd(void **state)
{
    struct bench *t = *state;
    struct hvm_modlist_entry mod[3];
    struct multiboot_module old[3];
    struct multiboot_info mb;
    struct hvm_start_info info;

    image_elf(&t->image, IMAGE_PVH);
    give_modules(t);
    bench_load(t);
    assert_int_equal(gmem_read(t->mem, t->start.rbx, &info, sizeof(info)), 0);
    assert_int_equal(le32_get(info.nr_modules), 3);
    assert_int_equal(gmem_read(t->mem, le64_get(info.modlist_paddr), mod, sizeof(mod)), 0);
    assert_text(t, le64_get(mod[1].cmdline_paddr), "second one");
    assert_int_equal(le64_get(mod[2].cmdline_paddr), 0);
    assert_bytes(t, le64_get(mod[2].paddr), 0x5a, 100);
    image_elf(&t->image, IMAGE_MULTIBOOT);
    bench_load(t);
    assert_int_equal(gmem_read(t->mem, t->start.rbx, &mb, sizeof(mb)), 0);
    assert_int_equal(le32_get(mb.mods_count), 3);
    assert_int_equal(gmem_read(t->mem, le32_get(mb.mods_addr), old, sizeof(old)), 0);
    assert_bytes(t, le32_get(old[1].mod_start), 0x5a, 100);
    /* One after the other behind the kernel: what lies behind the last is taken for free. */
    assert_int_equal(le32_get(old[0].mod_start) % 4096, 0);
    assert_true(le32_get(old[0].mod_start) < RAM / 2);
    for (unsigned i = 1; i < 3; i++) {
        assert_true(le32_get(old[i - 1].mod_end) <= le32_get(old[i].mod_start));
        assert_true(le32_get(old[i].mod_start) - le32_get(old[i - 1].mod_end) < 4096);
    }
    image_bzimage(&t->image);
    assert_int_equal(bench_open(t), -EINVAL);
    assert_int_equal(t->e.exit, EX_USAGE_);
}

static void multiboot_kernels_find_a_bios_that_refuses(void **state)
{
    struct bench *t = *state;
    uint8_t low[0x600];

    for (int kind = IMAGE_MULTIBOOT; kind <= IMAGE_MULTIBOOT2; kind++) {
        bench_ram(t, RAM);
        image_elf(&t->image, (enum image_elf)kind);
        bench_load(t);
        assert_int_equal(gmem_read(t->mem, 0, low, sizeof(low)), 0);
        assert_int_equal(le32_at(low + 4 * 0x15), 0x500);
        assert_int_equal(low[le32_at(low + 4 * 0x08)], 0x50); /* the timer's has a push */
        assert_int_equal(low[le32_at(low + 4 * 0x70)], 0x50);
        assert_int_equal(le32_at(low + 4 * 0x10), 0x500);
        assert_int_equal(low[0x508], 0xcf); /* iret */
        assert_int_equal(low[0x40e] | low[0x40f] << 8, 0x9fc0);
        assert_int_equal(low[0x413] | low[0x414] << 8, 639);
        assert_int_equal(low[0x400] | low[0x401] << 8, 0x3f8);
        assert_int_equal(low[0x449], 3); /* the screen is in text mode */
        assert_int_equal(low[0x463] | low[0x464] << 8, 0x3d4);
        assert_int_equal(low[0x484], 24);
    }
}

static void multiboot_kernels_find_the_controllers_as_a_bios_leaves_them(void **state)
{
    struct bench *t = *state;
    uint8_t code[128];
    size_t at = 0, outs = 0;

    for (int kind = IMAGE_MULTIBOOT; kind <= IMAGE_MULTIBOOT2; kind++) {
        image_elf(&t->image, (enum image_elf)kind);
        bench_load(t);
        assert_int_equal(gmem_read(t->mem, t->start.first, code, sizeof(code)), 0);
        for (at = outs = 0; code[at] == 0xb0; at += 4, outs++)
            assert_int_equal(code[at + 2], 0xe6);
        assert_int_equal(outs, 13);
        assert_memory_equal(code + at, "\x66\xba\xd1\x04\xb0\x0e\xee", 7); /* ELCR2: 9 to 11 */
        at += 7;
        assert_int_equal(code[at], 0xb8);
        assert_int_equal(le32_at(code + at + 1), t->start.rax);
        assert_int_equal(code[at + 5], 0xb9);
        assert_int_equal(le32_at(code + at + 6), t->start.rip);
    }
    image_elf(&t->image, IMAGE_PVH);
    bench_load(t);
    assert_int_equal(t->start.first, 0);
}

static void a_flat_image_goes_where_its_header_says(void **state)
{
    struct bench *t = *state;

    for (int kind = IMAGE_MULTIBOOT; kind <= IMAGE_MULTIBOOT2; kind++) {
        image_flat(&t->image, (enum image_elf)kind);
        assert_int_equal(gmem_fill(t->mem, 2 * MiB, 0xee, 8 * KiB), 0);
        bench_load(t);
        assert_int_equal(t->start.rip, 2 * MiB + 16);
        assert_bytes(t, 2 * MiB, 0x90, 64);
        assert_bytes(t, 2 * MiB + 0x100, 0, 8 * KiB - 0x100);
    }
}

static void a_flat_image_that_makes_no_sense_is_refused(void **state)
{
    static const uint32_t bad[][4] = {
        {2 * MiB + 64, 64 * KiB, 0, 0},              /* below 1 MiB */
        {2 * MiB + 65, 2 * MiB, 0, 0},               /* begins before the file */
        {2 * MiB, 2 * MiB + 4, 0, 0},                /* its header lies before it */
        {2 * MiB + 64, 2 * MiB, 2 * MiB - 1, 0},     /* ends before it begins */
        {2 * MiB + 64, 2 * MiB, 2 * MiB + 0x101, 0}, /* more than there is */
        {2 * MiB + 64, 2 * MiB, 0, RAM + 1},         /* more than memory */
    };
    struct bench *t = *state;
    struct multiboot_address *a = (void *)(t->image.b + 64 + sizeof(struct multiboot_header));

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        image_flat(&t->image, IMAGE_MULTIBOOT);
        *a = (struct multiboot_address){le32_of(bad[i][0]), le32_of(bad[i][1]), le32_of(bad[i][2]),
                                        le32_of(bad[i][3]), le32_of(2 * MiB)};
        if (bench_open(t) == 0)
            fail_msg("image %zu is taken", i);
        assert_int_equal(t->e.exit, EX_BAD_INPUT);
    }
}

static void a_multiboot_entry_may_be_virtual(void **state)
{
    struct bench *t = *state;
    struct elf64_ehdr *h = (void *)t->image.b;
    struct elf64_phdr *p = (void *)(t->image.b + sizeof(*h));

    image_elf(&t->image, IMAGE_MULTIBOOT);
    p->vaddr = le64_of(UINT64_C(0xffffffff80200000));
    h->entry = le64_of(UINT64_C(0xffffffff80200010));
    bench_load(t);
    assert_int_equal(t->start.rip, 2 * MiB + 16);
}

static void elf_at(struct bench *t, enum image_elf kind, uint64_t at, uint64_t size)
{
    struct elf64_phdr *p = (void *)(t->image.b + sizeof(struct elf64_ehdr));

    image_elf(&t->image, kind);
    p->paddr = le64_of(at);
    p->memsz = le64_of(size);
}

static void what_a_low_kernel_is_handed_lies_beside_it(void **state)
{
    static const uint64_t at[] = {0x600, 0x6ff0, 0x8000, 0x1f000, 0x2fff0, 0x50000, 0x9fc00 - 8192};
    struct bench *t = *state;
    struct multiboot_info mb;

    give_modules(t);
    t->cfg.append = "words";
    for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
        for (int kind = IMAGE_PVH; kind <= IMAGE_MULTIBOOT2; kind++) {
            bench_ram(t, RAM);
            elf_at(t, (enum image_elf)kind, at[i], 8 * KiB);
            bench_load(t);
            assert_bytes(t, at[i] + 128, 0x90, 128);
            assert_bytes(t, at[i] + 256, 0, 8 * KiB - 256);
            assert_true(t->start.rbx - at[i] >= 8 * KiB);
            assert_true(t->start.gdt - at[i] >= 8 * KiB);
            if (kind == IMAGE_PVH)
                continue;
            assert_int_equal(t->start.rip, at[i] + 16);
            if (kind == IMAGE_MULTIBOOT2)
                continue;
            assert_int_equal(gmem_read(t->mem, t->start.rbx, &mb, sizeof(mb)), 0);
            assert_true(le32_get(mb.cmdline) >= t->start.rbx);
            assert_true(le32_get(mb.mmap_addr) >= t->start.rbx);
            assert_int_equal(le32_get(mb.mods_count), 3);
        }
    }
}

/* As ld puts them there: in a segment of their own, or with the code behind them. */
static void the_files_headers_need_no_memory(void **state)
{
    static const uint64_t at[] = {0, 0xff000, 1 * MiB - 0x200};
    struct bench *t = *state;
    struct elf64_ehdr *h = (void *)t->image.b;
    struct elf64_phdr *p = (void *)(h + 1);
    uint8_t there[4];

    for (int kind = IMAGE_PVH; kind <= IMAGE_MULTIBOOT2; kind++) {
        for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
            uint64_t size = i == 2 ? 0x300 : 0x200, code = 1 * MiB + (i == 2 ? 0 : 0x200);

            bench_ram(t, RAM);
            image_elf(&t->image, (enum image_elf)kind);
            h->phnum = le16_of(3);
            memmove(p + 2, p + 1, sizeof(*p));
            p[1] = (struct elf64_phdr){.type = le32_of(PT_LOAD), .paddr = le64_of(at[i])};
            p[1].filesz = p[1].memsz = le64_of(size);
            p[1].vaddr = p[1].paddr;
            p[0].paddr = le64_of(4 * MiB);
            bench_load(t);
            assert_bytes(t, 4 * MiB + 128, 0x90, 128);
            assert_int_equal(gmem_read(t->mem, at[i], there, sizeof(there)), 0);
            assert_memory_not_equal(there, h, sizeof(there));
            assert_bytes(t, code + 128, i == 2 ? 0x90 : 0, 128);
            h->entry = p[1].vaddr; /* but code does */
            assert_int_equal(bench_open(t), -EINVAL);
        }
    }
}

static void a_low_kernel_without_room_is_refused(void **state)
{
    static const uint64_t bad[][2] = {
        {0, 8192},         {0x5ff, 8192},      {0x9fc00 - 8191, 8192},
        {0xa0000, 8192},   {0xfffff, 8192},    {0x20000, UINT64_C(1) << 40},
        {0x8000, 0x90000}, {0x20000, 0x60000},
    };
    struct bench *t = *state;

    for (int kind = IMAGE_VMLINUX; kind <= IMAGE_MULTIBOOT2; kind++) {
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            elf_at(t, (enum image_elf)kind, bad[i][0], bad[i][1]);
            if (bench_open(t) == 0)
                fail_msg("kind %d is taken at %#llx", kind, (unsigned long long)bad[i][0]);
            assert_int_equal(t->e.exit, EX_BAD_INPUT);
        }
    }
    elf_at(t, IMAGE_VMLINUX, 0x50000, 8192);
    assert_int_equal(bench_open(t), -EINVAL);
}

static void a_compressed_kernel_is_unpacked(void **state)
{
    struct bench *t = *state;
    z_stream z = {0};
    struct image packed;

    image_elf(&t->image, IMAGE_MULTIBOOT);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = t->image.b;
    z.avail_in = (uInt)t->image.n;
    z.next_out = packed.b;
    z.avail_out = sizeof(packed.b);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.n = z.total_out;
    deflateEnd(&z);
    t->image = packed;
    bench_load(t);
    assert_int_equal(t->start.rip, 2 * MiB + 16);
    t->image.n = packed.n / 2;
    assert_int_equal(bench_open(t), -EINVAL);
    assert_non_null(strstr(t->e.msg, "unpacked"));
}

/* --- bad input --- */

static void a_cut_file_is_refused_at_every_byte(void **state)
{
    struct bench *t = *state;

    for (int kind = -1; kind <= IMAGE_MULTIBOOT2; kind++) {
        size_t full;

        if (kind < 0)
            image_bzimage(&t->image);
        else
            image_elf(&t->image, (enum image_elf)kind);
        full = t->image.n;
        assert_int_equal(bench_open(t), 0);
        /* A bzImage counts in paragraphs of 16 bytes and need not fill the last one. */
        full -= kind < 0 ? 15 : 0;
        for (size_t n = 0; n < full; n++) {
            t->image.n = n;
            if (bench_open(t) == 0)
                fail_msg("kind %d is taken with %zu of %zu bytes", kind, n, full);
            assert_int_equal(t->e.exit, EX_BAD_INPUT);
        }
    }
}

static void a_file_that_shrinks_later_is_refused(void **state)
{
    struct bench *t = *state;

    bench_load(t);
    for (off_t n = (off_t)t->image.n - 1; n > 0; n -= 97) {
        assert_int_equal(ftruncate(t->kernel_fd, n), 0);
        assert_int_equal(boot_load(t->boot, &t->env, &t->start, &t->e), -EINVAL);
    }
}

static void what_is_no_file_is_named(void **state)
{
    struct bench *t = *state;

    t->cfg.kernel = "/nowhere/vmlinuz";
    assert_int_equal(boot_open(&t->cfg, &t->boot, &t->e), -ENOENT);
    assert_int_equal(t->e.exit, EX_MISSING);
    t->cfg.kernel = "/tmp";
    assert_int_equal(boot_open(&t->cfg, &t->boot, &t->e), -EINVAL);
    assert_non_null(strstr(t->e.msg, "directory"));
    t->cfg.kernel = "/dev/null";
    assert_int_equal(boot_open(&t->cfg, &t->boot, &t->e), -EINVAL);
    memset(t->image.b, 'x', 4096);
    assert_int_equal(bench_open(t), -EINVAL);
    assert_non_null(strstr(t->e.msg, "not a kernel"));
    t->cfg.kernel = "/proc/self/exe";
    assert_int_equal(boot_open(&t->cfg, &t->boot, &t->e), -EINVAL);
    assert_non_null(strstr(t->e.msg, "program"));
    image_bzimage(&t->image);
    t->cfg.initrd = "/tmp";
    assert_int_equal(bench_open(t), -EINVAL);
    assert_non_null(strstr(t->e.msg, "initrd"));
}

static void segments_outside_memory_are_refused(void **state)
{
    static const uint64_t bad[] = {0, 0xff000, RAM - 4096, UINT64_MAX - 4096, UINT64_C(1) << 40};
    struct bench *t = *state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        image_elf(&t->image, IMAGE_VMLINUX);
        le64_put(t->image.b + 64 + 24, bad[i]);
        if (bench_open(t) == 0)
            fail_msg("a segment at %#llx is taken", (unsigned long long)bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bzimage_starts_at_its_64_bit_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bzimage_moves_where_memory_is_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bzimage_that_cannot_move_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bzimage_may_end_within_its_last_paragraph, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_old_bzimage_starts_at_its_32_bit_entry, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_initrd_keeps_below_the_kernels_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_initrd_that_does_not_fit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_command_line_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_vmlinux_starts_with_a_zero_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pvh_kernel_gets_start_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_multiboot_kernel_gets_its_module, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_multiboot_kernel_may_want_a_video_mode, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_multiboot2_kernel_gets_tags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_multiboot2_kernel_that_wants_more_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(modules_follow_the_initrd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(multiboot_kernels_find_a_bios_that_refuses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            multiboot_kernels_find_the_controllers_as_a_bios_leaves_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flat_image_goes_where_its_header_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flat_image_that_makes_no_sense_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_multiboot_entry_may_be_virtual, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_low_kernel_is_handed_lies_beside_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_files_headers_need_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_low_kernel_without_room_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_compressed_kernel_is_unpacked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_file_is_refused_at_every_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_shrinks_later_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(segments_outside_memory_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
