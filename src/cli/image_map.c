/* SPDX-License-Identifier: Apache-2.0 */
/* image_map.c - `hospes image map`: which parts of a disk lie where. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/image.h"

struct mapping {
    struct extent last; /* len 0: none yet */
    bool json, any;
};

static void print_extent(struct mapping *k, const struct extent *x)
{
    bool data = x->kind == EXTENT_DATA;

    if (!k->json) {
        printf("%#18" PRIx64 " %#16" PRIx64 "  %-5s depth %u", x->off, x->len,
               data                     ? "data"
               : x->kind == EXTENT_ZERO ? "zero"
                                        : "hole",
               x->depth);
        if (x->file_off != UINT64_MAX)
            printf("  at %#" PRIx64, x->file_off);
        printf("%s\n", x->compressed ? "  compressed" : "");
        return;
    }
    printf("%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, \"present\": %s, "
           "\"zero\": %s, \"data\": %s, \"compressed\": %s",
           k->any ? ",\n" : "[", x->off, x->len, x->depth,
           x->kind == EXTENT_HOLE ? "false" : "true", data ? "false" : "true",
           data ? "true" : "false", x->compressed ? "true" : "false");
    if (x->file_off != UINT64_MAX)
        printf(", \"offset\": %" PRIu64, x->file_off);
    printf("}");
    k->any = true;
}

static bool joins(const struct extent *a, const struct extent *b)
{
    return a->kind == b->kind && a->depth == b->depth && a->compressed == b->compressed &&
           a->file == b->file &&
           (a->file_off == UINT64_MAX ? b->file_off == UINT64_MAX
                                      : a->file_off + a->len == b->file_off);
}

static int map_extent(void *arg, const struct extent *x)
{
    struct mapping *k = arg;

    if (k->last.len && joins(&k->last, x)) {
        k->last.len += x->len;
        return 0;
    }
    if (k->last.len)
        print_extent(k, &k->last);
    k->last = *x;
    return 0;
}

static int map_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct mapping k = {0};
    struct disk *d = NULL;
    struct err e;
    int rc = image_parse(&image_map, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = image_open(&a, argv[1], true, &d, &e);
    k.json = a.json;
    if (rc == 0) {
        rc = disk_extents(d, 0, d->shape.bytes, map_extent, &k);
        if (rc < 0)
            rc = err_set(&e, -rc, "cannot read the tables of '%s': %s", argv[1], strerror(-rc));
        else if (k.last.len)
            print_extent(&k, &k.last);
        if (a.json)
            printf("%s]\n", k.any ? "" : "[");
    }
    disk_close(d);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option map_options[] = {
    IMAGE_FORMAT,  IMAGE_JSON,    {"l", "SNAPSHOT", "of an internal snapshot", image_set_internal},
    IMAGE_OUTSIDE, IMAGE_NO_LOCK, {NULL},
};

const struct cli_command image_map = {
    .name = "image map",
    .args = "[OPTION...] IMG",
    .about = "Shows which parts of a disk are stored, and where.",
    .options = map_options,
    .run = map_main,
};
