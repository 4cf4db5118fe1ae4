/* SPDX-License-Identifier: Apache-2.0 */
/* vhd_make.c - new VHD images, and other sizes for old ones. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/path.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/format/vhd.h"
#include "storage/utf.h"

const struct format_option vhd_options[] = {
    {"subformat", "dynamic (default) or fixed"},
    {"block_size", "bytes of a block of a dynamic image, default 2M"},
    {NULL, NULL},
};

static const uint64_t bytes_max = UINT64_C(2040) << 30;
enum { EPOCH_2000 = 946684800 };

/* "CHS Calculation" of the document. */
void vhd_geometry(uint64_t bytes, struct vhd_footer *f)
{
    uint64_t n = min_u64(bytes / VHD_SECTOR, UINT64_C(65535) * 16 * 255), cth;
    uint32_t spt, heads;

    if (n >= UINT64_C(65535) * 16 * 63) {
        spt = 255;
        heads = 16;
        cth = n / spt;
    } else {
        spt = 17;
        cth = n / spt;
        heads = (uint32_t)max_u64(4, (cth + 1023) / 1024);
        if (cth >= (uint64_t)heads * 1024 || heads > 16) {
            spt = 31;
            heads = 16;
            cth = n / spt;
        }
        if (cth >= (uint64_t)heads * 1024) {
            spt = 63;
            heads = 16;
            cth = n / spt;
        }
    }
    f->cylinders = be16_of((uint16_t)(cth / heads));
    f->heads = (uint8_t)heads;
    f->sectors_per_track = (uint8_t)spt;
}

static void new_footer(struct vhd_footer *f, uint64_t bytes, uint32_t type)
{
    *f = (struct vhd_footer){
        .features = be32_of(VHD_RESERVED),
        .file_format_version = be32_of(VHD_VERSION),
        .data_offset = be64_of(type == VHD_FIXED ? UINT64_MAX : sizeof(*f)),
        .time_stamp = be32_of((uint32_t)(time(NULL) - EPOCH_2000)),
        .creator_version = be32_of(0x000a0000),
        .creator_host_os = be32_of(VHD_HOST_WINDOWS),
        .original_size = be64_of(bytes),
        .current_size = be64_of(bytes),
        .disk_type = be32_of(type),
    };
    memcpy(f->cookie, "conectix", 8);
    memcpy(f->creator_application, "win ", 4); /* QEMU's readers trust the size of few creators */
    if (getrandom(f->unique_id, sizeof(f->unique_id), 0) < 0)
        memcpy(f->unique_id, &f->time_stamp, 4);
    vhd_geometry(bytes, f);
    vhd_seal_footer(f);
}

static int io_error(const struct image_make *k, int rc, struct err *e)
{
    return err_set(e, -rc, "cannot write VHD image '%s': %s", k->path, strerror(-rc));
}

static int create_fixed(struct disk *file, const struct image_make *k, struct err *e)
{
    struct vhd_footer f;
    int rc;

    new_footer(&f, k->bytes, VHD_FIXED);
    rc = disk_write(file, k->bytes, &f, sizeof(f));
    if (rc == 0)
        rc = disk_flush(file);
    return rc < 0 ? io_error(k, rc, e) : 0;
}

/* Names the parent three ways. The texts lie at `at`; returns where they end. */
static uint64_t name_parent(struct disk *file, struct vhd_dynamic *h, const struct image_make *k,
                            uint64_t at, int *rc)
{
    static const uint32_t codes[] = {VHD_W2RU, VHD_W2KU};
    struct map *pm = map_of(k->parent);
    char *full = realpath(k->backing, NULL);

    if (k->parent->format == &vhd_format)
        memcpy(h->parent_unique_id, container_of(pm, struct vhd, m)->footer.unique_id, 16);
    utf16_from(path_last(k->backing), (uint8_t *)h->parent_unicode_name, 256, true);
    for (unsigned i = 0; i < 2 && *rc == 0; i++) {
        const char *name = i == 0 || !full ? k->backing : full;
        uint8_t text[VHD_SECTOR * 4] = {0};
        size_t n = utf16_from(name, text, sizeof(text) / 2, false);

        for (size_t c = 0; c < n; c++) {
            if (le16_at(text + 2 * c) == '/')
                le16_put(text + 2 * c, '\\');
        }
        h->locator[i].platform_code = be32_of(codes[i]);
        h->locator[i].platform_data_space = be32_of(sizeof(text));
        h->locator[i].platform_data_length = be32_of((uint32_t)n * 2);
        h->locator[i].platform_data_offset = be64_of(at);
        *rc = disk_write(file, at, text, sizeof(text));
        at += sizeof(text);
    }
    free(full);
    return at;
}

static int write_table(struct disk *file, uint64_t at, uint64_t len)
{
    uint8_t unused[4096];
    int rc = 0;

    memset(unused, 0xff, sizeof(unused));
    for (uint64_t i = 0; i < len && rc == 0; i += sizeof(unused))
        rc = disk_write(file, at + i, unused, min_u64(sizeof(unused), len - i));
    return rc;
}

static int create_dynamic(struct disk *file, const struct image_make *k, uint64_t block,
                          struct err *e)
{
    uint64_t entries = (k->bytes + block - 1) / block;
    uint64_t bat = sizeof(struct vhd_footer) + sizeof(struct vhd_dynamic);
    uint64_t end = bat + align_up(entries * 4, VHD_SECTOR);
    struct vhd_dynamic h = {
        .data_offset = be64_of(UINT64_MAX),
        .table_offset = be64_of(bat),
        .header_version = be32_of(VHD_VERSION),
        .max_table_entries = be32_of((uint32_t)entries),
        .block_size = be32_of((uint32_t)block),
    };
    struct vhd_footer f;
    int rc = write_table(file, bat, end - bat);

    memcpy(h.cookie, "cxsparse", 8);
    new_footer(&f, k->bytes, k->parent ? VHD_DIFFERENCING : VHD_DYNAMIC);
    if (rc == 0 && k->parent)
        end = name_parent(file, &h, k, end, &rc);
    vhd_seal_dynamic(&h);
    if (rc == 0)
        rc = disk_write(file, sizeof(f), &h, sizeof(h));
    if (rc == 0)
        rc = disk_write(file, end, &f, sizeof(f));
    if (rc == 0)
        rc = disk_write(file, 0, &f, sizeof(f));
    if (rc == 0)
        rc = disk_flush(file);
    return rc < 0 ? io_error(k, rc, e) : 0;
}

int vhd_create(struct disk *file, const struct image_make *k, struct err *e)
{
    const char *sub = cfg_get(k->opts, "subformat");
    uint64_t block = VHD_BLOCK_DEFAULT;

    if (cfg_size(k->opts, "block_size", &block, e) < 0)
        return -e->code;
    if (k->bytes == 0 || k->bytes % VHD_SECTOR || k->bytes > bytes_max)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a VHD image holds whole sectors of 512 bytes and at most 2040 GiB; choose "
                        "another size or the format vhdx");
    if (!is_pow2(block) || block < 64 * KiB || block > VHD_BLOCK_MAX)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "block_size is a power of two from 64K to 256M; 2M is what others expect");
    if (sub && !strcmp(sub, "fixed") && !k->parent)
        return create_fixed(file, k, e);
    if (sub && strcmp(sub, "dynamic") != 0 && strcmp(sub, "differencing") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a VHD image's subformat is fixed or dynamic, or differencing with a "
                        "parent; '%s' is none",
                        sub);
    return create_dynamic(file, k, block, e);
}

/* --- resizing --- */

static void set_size(struct vhd *v, uint64_t bytes)
{
    v->footer.current_size = be64_of(bytes);
    vhd_geometry(bytes, &v->footer);
    /* From now on the size field counts, whoever made the image. */
    memcpy(v->footer.creator_application, "win ", 4);
    vhd_seal_footer(&v->footer);
}

static int resize_fixed(struct vhd *v, uint64_t bytes)
{
    uint64_t old = v->m.d.shape.bytes;
    int rc;

    set_size(v, bytes);
    rc = disk_write(v->m.file, bytes, &v->footer, sizeof(v->footer));
    if (rc == 0)
        rc = disk_flush(v->m.file);
    if (rc == 0 && bytes > old) /* the old footer is inside now */
        rc = disk_zero(v->m.file, old, min_u64(sizeof(v->footer), bytes - old), false);
    if (rc == 0 && bytes < old)
        rc = file_resize(v->m.file, bytes + sizeof(v->footer));
    return rc == 0 ? disk_flush(v->m.file) : rc;
}

/* A longer table goes to the end of the file; the header's first sector switches to it. */
static int grow_table(struct vhd *v, uint64_t entries)
{
    uint64_t old = align_up((uint64_t)be32_get(v->dyn.max_table_entries) * 4, VHD_SECTOR);
    uint64_t at = align_up(v->m.end, 4096), new = align_up(entries * 4, VHD_SECTOR);
    uint8_t buf[4096];
    int rc = 0;

    if (new > old) {
        for (uint64_t i = 0; i < old && rc == 0; i += sizeof(buf)) {
            size_t n = min_u64(sizeof(buf), old - i);

            rc = disk_read(v->m.file, v->bat_off + i, buf, n);
            if (rc == 0)
                rc = disk_write(v->m.file, at + i, buf, n);
        }
        if (rc == 0)
            rc = write_table(v->m.file, at + old, new - old);
        if (rc == 0)
            rc = disk_write(v->m.file, at + new, &v->footer, sizeof(v->footer));
        if (rc == 0)
            rc = disk_flush(v->m.file);
        if (rc < 0)
            return rc;
        v->dyn.table_offset = be64_of(at);
        v->bat_off = at;
        v->m.end = at + new;
        v->m.virgin = max_u64(v->m.virgin, v->m.end);
    }
    v->dyn.max_table_entries = be32_of((uint32_t)entries);
    vhd_seal_dynamic(&v->dyn);
    rc = disk_write(v->m.file, be64_get(v->footer.data_offset), &v->dyn, VHD_SECTOR);
    return rc == 0 ? disk_flush(v->m.file) : rc;
}

static int resize_dynamic(struct vhd *v, uint64_t bytes)
{
    uint64_t old = v->m.d.shape.bytes, entries = (bytes + v->m.cluster - 1) / v->m.cluster;
    int rc = map_flush(&v->m);

    if (rc == 0 && bytes < old)
        rc = disk_zero(&v->m.d, bytes, old - bytes, true);
    if (rc == 0)
        rc = map_flush(&v->m);
    if (rc == 0 && entries > be32_get(v->dyn.max_table_entries))
        rc = grow_table(v, entries);
    if (rc < 0)
        return rc;
    set_size(v, bytes);
    rc = disk_write(v->m.file, v->m.end, &v->footer, sizeof(v->footer));
    if (rc == 0)
        rc = disk_flush(v->m.file);
    if (rc == 0)
        rc = disk_write(v->m.file, 0, &v->footer, sizeof(v->footer));
    if (rc == 0)
        rc = file_resize(v->m.file, v->m.end + sizeof(v->footer));
    return rc == 0 ? disk_flush(v->m.file) : rc;
}

int vhd_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    struct vhd *v = container_of(map_of(d), struct vhd, m);
    int rc;

    if (bytes == 0 || bytes % VHD_SECTOR || bytes > bytes_max)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a VHD image holds whole sectors of 512 bytes and at most 2040 GiB; choose "
                        "another size");
    rc = v->type == VHD_FIXED ? resize_fixed(v, bytes) : resize_dynamic(v, bytes);
    if (rc < 0)
        return err_set(e, -rc, "cannot resize the VHD image: %s", strerror(-rc));
    d->shape.bytes = bytes;
    v->blocks = (uint32_t)((bytes + v->m.cluster - 1) / v->m.cluster);
    return 0;
}
