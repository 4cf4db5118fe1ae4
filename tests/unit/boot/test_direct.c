/* SPDX-License-Identifier: Apache-2.0 */
/* The way past a bzImage's decompressor: payloads of each kind, relocation, and when not to. */
#define _GNU_SOURCE
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "abi/elf.h"
#include "abi/linux_boot.h"
#include "board/boot/boot.h"
#include "core/err.h"
#include "core/gmem.h"
#include "images.h"
#include "unit.h"

#define RAM (128 * MiB)
#define PREF (16 * MiB)
#define MAP UINT64_C(0xffffffff80000000)

enum {
    SEGMENT = 0x200000, /* where linkers put it */
    SECTIONS = 0x203000,
    ELF_END = SECTIONS + 64,
    ENTRY = 0x40,
    SECOND = 0x1000, /* of the second segment, from the first */
};

struct bench {
    struct gmem *mem;
    struct board_range range[1];
    struct boot_env env;
    struct image image;
    uint8_t plain[SECTIONS + 0x1000];
    size_t plain_n;
    struct boot_start start;
    struct linux_boot_params zero;
    struct err e;
};

static void put_table(struct bench *t, uint32_t v)
{
    le32_put(t->plain + t->plain_n, v);
    t->plain_n += 4;
}

/* A kernel of one segment at the preferred address. At 0x100 lies a 32-bit virtual address, at
 * 0x200 one that shrinks, at 0x300 a 64-bit one. */
static void make_plain(struct bench *t, bool inverse)
{
    struct elf64_ehdr *h = (void *)t->plain;
    struct elf64_phdr *p = (void *)(t->plain + sizeof(*h));

    memset(t->plain, 0, sizeof(t->plain));
    memcpy(h->ident.magic, "\177ELF", 4);
    h->ident.class = ELFCLASS64;
    h->ident.data = ELFDATA2LSB;
    h->machine = le16_of(EM_X86_64);
    h->entry = le64_of(PREF + ENTRY);
    h->phoff = le64_of(sizeof(*h));
    h->phentsize = le16_of(sizeof(*p));
    h->phnum = le16_of(1);
    h->shoff = le64_of(SECTIONS);
    h->shentsize = le16_of(64);
    h->shnum = le16_of(1);
    p->type = le32_of(PT_LOAD);
    p->offset = le64_of(SEGMENT);
    p->paddr = le64_of(PREF);
    p->filesz = p->memsz = le64_of(0x1000);
    memset(t->plain + SEGMENT, 0x77, 0x1000);
    le32_put(t->plain + SEGMENT + 0x100, (uint32_t)(MAP + PREF + 5));
    le32_put(t->plain + SEGMENT + 0x200, 0x40000000);
    le64_put(t->plain + SEGMENT + 0x300, MAP + PREF + 6);
    t->plain_n = ELF_END;
    put_table(t, 0);
    put_table(t, (uint32_t)(MAP + PREF + 0x300));
    put_table(t, 0);
    if (inverse) {
        put_table(t, (uint32_t)(MAP + PREF + 0x200));
        put_table(t, 0);
    }
    put_table(t, (uint32_t)(MAP + PREF + 0x100));
}

static size_t put_length(uint8_t *out, size_t n)
{
    size_t used = 0;

    for (; n >= 255; n -= 255)
        out[used++] = 255;
    out[used++] = (uint8_t)n;
    return used;
}

/* A block of LZ4: runs of one byte as matches, everything else as literals. */
static size_t pack_lz4(const struct bench *t, uint8_t *out, size_t room)
{
    size_t n = 8, from = 0, at = 0;

    le32_put(out, 0x184c2102);
    for (;;) {
        size_t run = 0, literals;
        uint8_t *token = out + n++;

        for (; at < t->plain_n; at++) {
            for (run = 0;
                 at > 0 && at + run + 5 < t->plain_n && t->plain[at + run] == t->plain[at - 1];)
                run++;
            if (run >= 8)
                break;
        }
        literals = at - from;
        *token = (uint8_t)(min_u64(literals, 15) << 4);
        if (literals >= 15)
            n += put_length(out + n, literals - 15);
        memcpy(out + n, t->plain + from, literals);
        n += literals;
        assert_true(n + 64 < room);
        if (at == t->plain_n)
            break;
        le16_put(out + n, 1);
        n += 2;
        *token |= (uint8_t)min_u64(run - 4, 15);
        if (run - 4 >= 15)
            n += put_length(out + n, run - 4 - 15);
        from = at = at + run;
    }
    le32_put(out + 4, (uint32_t)(n - 8));
    return n;
}

static size_t pack_zstd(const struct bench *t, uint8_t *out, size_t room)
{
    size_t n = ZSTD_compress(out, room, t->plain, t->plain_n, 3);

    assert_false(ZSTD_isError(n));
    return n;
}

static size_t pack_xz(const struct bench *t, uint8_t *out, size_t room)
{
    size_t n = 0;

    assert_int_equal(
        lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, t->plain, t->plain_n, out, &n, room),
        LZMA_OK);
    return n;
}

static size_t pack_gzip(const struct bench *t, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = (Bytef *)t->plain,
                  .avail_in = (uInt)t->plain_n,
                  .next_out = out,
                  .avail_out = (uInt)room};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out - 4; /* its own trailer repeats the size */
}

typedef size_t pack_fn(const struct bench *t, uint8_t *out, size_t room);

static void make_image(struct bench *t, pack_fn *pack)
{
    struct linux_setup_header *h;
    size_t n, total;

    image_bzimage(&t->image);
    h = (void *)(t->image.b + LINUX_HEADER_AT);
    n = pack(t, t->image.b + IMAGE_SETUP + IMAGE_CODE, IMAGE_MAX - IMAGE_SETUP - IMAGE_CODE - 64);
    le32_put(t->image.b + IMAGE_SETUP + IMAGE_CODE + n, (uint32_t)t->plain_n);
    h->payload_offset = le32_of(IMAGE_CODE);
    h->payload_length = le32_of((uint32_t)n + 4);
    total = align_up(IMAGE_CODE + n + 4, 16);
    h->syssize = le32_of((uint32_t)(total / 16));
    t->image.n = IMAGE_SETUP + total;
}

static int set_up(void **state)
{
    struct bench *t = calloc(1, sizeof(*t));

    assert_int_equal(gmem_create(&t->mem, &t->e), 0);
    assert_int_equal(gmem_add_ram(t->mem, 0, RAM, false, &t->e), 0);
    t->range[0] = (struct board_range){0, RAM, BOARD_RANGE_RAM};
    t->env = (struct boot_env){t->mem, t->range, 1, 0xf0000};
    make_plain(t, true);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *t = *state;

    gmem_destroy(t->mem);
    free(t);
    return 0;
}

static void bench_load(struct bench *t, const char *append)
{
    char path[32];
    int fd = image_file(t->image.b, t->image.n, path);
    struct boot_cfg c = {.kernel = path, .append = append, .memory = RAM};
    struct boot *b;

    if (boot_open(&c, &b, &t->e) < 0 || boot_load(b, &t->env, &t->start, &t->e) < 0)
        fail_msg("%s", t->e.msg);
    assert_int_equal(gmem_read(t->mem, t->start.rsi, &t->zero, sizeof(t->zero)), 0);
    boot_close(b);
    close(fd);
}

static bool is_ordinary(const struct bench *t)
{
    return t->start.rip == PREF + 0x200;
}

static uint64_t read64(struct bench *t, gpa_t at)
{
    uint64_t v;

    assert_int_equal(gmem_read(t->mem, at, &v, sizeof(v)), 0);
    return v;
}

static void each_kind_of_payload_is_entered(void **state)
{
    static pack_fn *const packs[] = {pack_lz4, pack_zstd, pack_xz, pack_gzip};
    struct bench *t = *state;

    for (size_t i = 0; i < ARRAY_SIZE(packs); i++) {
        make_image(t, packs[i]);
        bench_load(t, "nokaslr");
        assert_int_equal(t->start.rip, PREF + ENTRY);
        assert_int_equal(read64(t, PREF + 0x300), MAP + PREF + 6);
        assert_int_equal(t->zero.hdr.loadflags & KASLR_FLAG, 0);
    }
}

/* The three places moved by the same amount, and by one that the alignment allows. */
static void assert_moved(struct bench *t, bool inverse)
{
    gpa_t phys = t->start.rip - ENTRY;
    uint64_t by = read64(t, phys + 0x300) - (MAP + PREF + 6);

    assert_int_equal(phys % (2 * MiB), 0);
    assert_in_range(phys, PREF, RAM - 4 * MiB);
    assert_int_equal(by % (2 * MiB), 0);
    assert_in_range(by, 0, GiB - PREF - 4 * MiB);
    assert_int_equal((uint32_t)read64(t, phys + 0x100), (uint32_t)(MAP + PREF + 5 + by));
    assert_int_equal((uint32_t)read64(t, phys + 0x200),
                     inverse ? (uint32_t)(0x40000000 - by) : 0x40000000);
    assert_int_equal(t->zero.hdr.loadflags & KASLR_FLAG, KASLR_FLAG);
}

/* The second segment lies further into the file than into memory, as a kernel's does that begins
 * with per-CPU data. */
static void a_segment_that_lies_elsewhere_is_moved(void **state)
{
    struct bench *t = *state;
    struct elf64_ehdr *h = (void *)t->plain;
    struct elf64_phdr *p = (void *)(t->plain + sizeof(*h));

    h->phnum = le16_of(2);
    p[1] = p[0];
    p[1].offset = le64_of(SEGMENT + SECOND + 0x1000);
    p[1].paddr = le64_of(PREF + SECOND);
    memset(t->plain + SEGMENT + SECOND + 0x1000, 0x33, 0x1000);
    make_image(t, pack_lz4);
    bench_load(t, "nokaslr");
    assert_int_equal(t->start.rip, PREF + ENTRY);
    assert_int_equal(read64(t, PREF + SECOND - 8), UINT64_C(0x7777777777777777));
    assert_int_equal(read64(t, PREF + SECOND), UINT64_C(0x3333333333333333));
    assert_int_equal(read64(t, PREF + SECOND + 0xff8), UINT64_C(0x3333333333333333));
}

static void a_segment_that_would_move_up_is_not_ours(void **state)
{
    struct bench *t = *state;
    struct elf64_phdr *p = (void *)(t->plain + sizeof(struct elf64_ehdr));

    p->paddr = le64_of(PREF + 0x1000);
    make_image(t, pack_lz4);
    bench_load(t, "nokaslr");
    assert_true(is_ordinary(t));
}

/* What runs beside the making of the machine, and a file that changes meanwhile. */
static void the_first_load_may_begin_early(void **state)
{
    struct bench *t = *state;
    char path[32];
    int fd;

    make_image(t, pack_lz4);
    fd = image_file(t->image.b, t->image.n, path);
    for (unsigned round = 0; round < 4; round++) {
        struct boot_cfg c = {.kernel = path, .append = "", .memory = RAM};
        struct boot *b;
        uint32_t cut = (uint32_t)(t->image.n - IMAGE_SETUP) / 16 - 1;

        assert_int_equal(boot_open(&c, &b, &t->e), 0);
        boot_begin(b, t->mem, RAM);
        if (round == 2) /* another syssize: still a good image */
            assert_int_equal(pwrite(fd, &cut, 4, LINUX_HEADER_AT + 3), 4);
        if (round < 3) {
            assert_int_equal(boot_load(b, &t->env, &t->start, &t->e), 0);
            assert_int_equal(gmem_read(t->mem, t->start.rsi, &t->zero, sizeof(t->zero)), 0);
            if (!is_ordinary(t))
                assert_moved(t, true);
        }
        boot_close(b); /* round 3: nobody ever asked for it */
    }
    close(fd);
}

static void a_table_that_points_at_itself_ends(void **state)
{
    struct bench *t = *state;

    /* The zero before the last list becomes a number: the list must not go on below it. */
    for (uint32_t at = 0; at < 32; at += 4) {
        make_plain(t, true);
        le32_put(t->plain + t->plain_n - 4, (uint32_t)(MAP + PREF + ELF_END - SEGMENT + at));
        make_image(t, pack_lz4);
        bench_load(t, "");
    }
}

static void addresses_are_drawn_anew_each_time(void **state)
{
    struct bench *t = *state;
    unsigned phys = 0, virt = 0;
    uint64_t last_phys = 0, last_virt = 0;

    for (unsigned i = 0; i < 32; i++) {
        make_plain(t, i % 2 == 0);
        make_image(t, pack_zstd);
        bench_load(t, "quiet");
        assert_moved(t, i % 2 == 0);
        phys += t->start.rip != last_phys;
        last_phys = t->start.rip;
        virt += read64(t, t->start.rip - ENTRY + 0x300) != last_virt;
        last_virt = read64(t, t->start.rip - ENTRY + 0x300);
    }
    assert_true(phys > 16);
    assert_true(virt > 24);
}

static void a_command_line_that_the_decompressor_reads_is_left_to_it(void **state)
{
    struct bench *t = *state;

    make_image(t, pack_zstd);
    bench_load(t, "quiet mem=64M");
    assert_true(is_ordinary(t));
    bench_load(t, "no5lvl");
    assert_true(is_ordinary(t));
    bench_load(t, "xmem=64M no5lvlx nokaslr");
    assert_false(is_ordinary(t));
}

static void a_broken_payload_is_left_to_the_kernel(void **state)
{
    struct bench *t = *state;

    make_image(t, pack_zstd);
    for (size_t at = IMAGE_SETUP + IMAGE_CODE; at < t->image.n; at += 3) {
        uint8_t old = t->image.b[at];

        t->image.b[at] ^= 0xff;
        bench_load(t, ""); /* whichever way, it must not fail */
        t->image.b[at] = old;
    }
    t->image.b[IMAGE_SETUP + IMAGE_CODE] ^= 1;
    bench_load(t, "");
    assert_true(is_ordinary(t));
}

static void places_outside_the_kernel_are_not_written(void **state)
{
    static const uint32_t bad[] = {1, 0x7fffffff, (uint32_t)(MAP + PREF + 4 * MiB - 3),
                                   (uint32_t)(MAP + PREF - 4)};
    struct bench *t = *state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        make_plain(t, true);
        le32_put(t->plain + t->plain_n - 4, bad[i]);
        make_image(t, pack_zstd);
        bench_load(t, "");
        /* nothing to relocate is the only other way out, and it is one draw in hundreds */
        if (!is_ordinary(t))
            assert_int_equal(read64(t, t->start.rip - ENTRY + 0x300), MAP + PREF + 6);
    }
}

static void a_table_of_four_lists_is_not_understood(void **state)
{
    struct bench *t = *state;

    put_table(t, 0);
    put_table(t, (uint32_t)(MAP + PREF));
    make_image(t, pack_zstd);
    bench_load(t, "");
    assert_true(is_ordinary(t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_of_payload_is_entered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_segment_that_lies_elsewhere_is_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_segment_that_would_move_up_is_not_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_first_load_may_begin_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_table_that_points_at_itself_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_are_drawn_anew_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_line_that_the_decompressor_reads_is_left_to_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_payload_is_left_to_the_kernel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_outside_the_kernel_are_not_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_table_of_four_lists_is_not_understood, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
