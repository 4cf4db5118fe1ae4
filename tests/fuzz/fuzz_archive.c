/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: listed, their members opened as disks and as texts; XVA among them. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"
#include "storage/member.h"

static struct disk *file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("x.ova", MFD_CLOEXEC);
    struct disk *file;
    struct err e;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        file_adopt(fd, "x.ova", true, NULL, &file, &e) < 0)
        abort();
    return file;
}

static void look(struct disk *file, const struct member *x)
{
    uint8_t buf[600];
    struct err e = {0};
    size_t len;
    char *text;

    assert(range_in(x->at, x->size, file->shape.bytes));
    if (member_text(file, x, 4096, &text, &len, &e) == 0) {
        assert(len == x->size && text[len] == '\0');
        free(text);
    }
    (void)!disk_read(file, x->at, buf, min_u64(sizeof(buf), x->size));
}

static void verify(struct disk *file, const struct disk_cfg *c)
{
    struct image_report rep = {0};
    const struct format_ops *f;
    struct err e = {0};

    if (format_choose(file, c, &f, &e) == 0 && f->check && f->check(file, c, false, &rep, &e) < 0)
        assert(e.code > 0 && e.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk_cfg c = {.path = "x.ova", .no_chain = true, .no_lock = true, .readonly = true};
    struct disk *file, *d;
    struct members m;
    struct err e = {0};

    if (size < 2)
        return 0;
    file = file_of(data, size);
    if (members_list(file, "x.ova", &m, &e) < 0)
        assert(e.code > 0 && e.msg[0]);
    for (size_t i = 0; i < m.n; i++)
        look(file, &m.v[i]);
    members_free(&m);
    e = (struct err){0};
    if (member_open(file, "x.ova", NULL, NULL, &d, NULL, &e) == 0) {
        uint8_t buf[1024];

        (void)!disk_read(d, align_down(d->shape.bytes, 512), buf, sizeof(buf));
        disk_close(d);
        file = file_of(data, size);
    } else {
        assert(e.code > 0 && e.msg[0]);
    }
    verify(file, &c);
    if (disk_open_file(file, &c, NULL, &d, &e) == 0) {
        uint8_t buf[4096];

        if (d->shape.bytes >= sizeof(buf))
            (void)!disk_read(d, 0, buf, sizeof(buf));
        disk_close(d);
    }
    return 0;
}
