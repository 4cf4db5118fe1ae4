/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - what the parts of `hospes image` have in common. */
#ifndef HOSPES_CLI_IMAGE_H
#define HOSPES_CLI_IMAGE_H

#include "cli/cli.h"
#include "storage/image.h"

/* Options that most parts know; each part's table says which. */
struct image_args {
    const char *format, *out_format, *target, *options, *parent, *parent_format, *internal;
    bool json, repair, compress, shrink, outside, quiet, no_lock, write, chain, verify;
    const char *nbd, *fuse, *as;
    unsigned level;
};
int image_set_format(void *arg, const char *value, struct err *e);
int image_set_out_format(void *arg, const char *value, struct err *e);
int image_set_target(void *arg, const char *value, struct err *e);
int image_set_options(void *arg, const char *value, struct err *e);
int image_set_parent(void *arg, const char *value, struct err *e);
int image_set_parent_format(void *arg, const char *value, struct err *e);
int image_set_internal(void *arg, const char *value, struct err *e);
int image_set_json(void *arg, const char *value, struct err *e);
int image_set_repair(void *arg, const char *value, struct err *e);
int image_set_compress(void *arg, const char *value, struct err *e);
int image_set_level(void *arg, const char *value, struct err *e);
int image_set_shrink(void *arg, const char *value, struct err *e);
int image_set_outside(void *arg, const char *value, struct err *e);
int image_set_quiet(void *arg, const char *value, struct err *e);
int image_set_no_lock(void *arg, const char *value, struct err *e);
int image_set_chain(void *arg, const char *value, struct err *e);
int image_set_as(void *arg, const char *value, struct err *e);
int image_set_fuse(void *arg, const char *value, struct err *e);
int image_set_nbd(void *arg, const char *value, struct err *e);
int image_set_verify(void *arg, const char *value, struct err *e);
int image_set_write(void *arg, const char *value, struct err *e);

/* Rows of option tables. */
#define IMAGE_FORMAT                                                                               \
    {                                                                                              \
        "f", "FORMAT", "the image's format; otherwise it is found out", image_set_format           \
    }
#define IMAGE_JSON                                                                                 \
    {                                                                                              \
        "json", NULL, "print JSON", image_set_json                                                 \
    }
#define IMAGE_OUTSIDE                                                                              \
    {                                                                                              \
        "outside", NULL, "follow references outside the image's own directory", image_set_outside  \
    }
#define IMAGE_NO_LOCK                                                                              \
    {                                                                                              \
        "U", NULL, "read although another process writes", image_set_no_lock                       \
    }
#define IMAGE_QUIET                                                                                \
    {                                                                                              \
        "q", NULL, "no progress", image_set_quiet                                                  \
    }

/* Parses; wants between least and most operands. 1: help was printed. */
MUST int image_parse(const struct cli_command *c, int argc, char **argv, struct image_args *a,
                     int least, int most, struct err *e);
MUST int image_open(const struct image_args *a, const char *path, bool readonly, struct disk **out,
                    struct err *e);
/* Progress on a terminal; a no-op elsewhere. */
struct progress image_progress(const struct image_args *a, const char *what);
void image_progress_end(const struct image_args *a);

extern const struct cli_command image_info, image_check_command, image_repair_command,
    image_create_command, image_resize_command, image_commit, image_compact, image_convert,
    image_compare_command, image_map, image_serve;

#endif
