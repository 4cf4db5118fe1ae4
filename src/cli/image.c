/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - `hospes image`: its parts, their common options, info and check. */
#include "cli/image.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "storage/map.h"

static const struct cli_command *const parts[] = {
    &image_info,           &image_create_command,  &image_convert, &image_check_command,
    &image_repair_command, &image_compare_command, &image_map,     &image_resize_command,
    &image_compact,        &image_commit,          &image_serve,   NULL,
};

/* --- common options --- */

#define SET_TEXT(name)                                                                             \
    int image_set_##name(void *arg, const char *value, struct err *e)                              \
    {                                                                                              \
        ((struct image_args *)arg)->name = value;                                                  \
        return 0;                                                                                  \
    }
#define SET_FLAG(name)                                                                             \
    int image_set_##name(void *arg, const char *value, struct err *e)                              \
    {                                                                                              \
        ((struct image_args *)arg)->name = true;                                                   \
        return 0;                                                                                  \
    }
SET_TEXT(format)
SET_TEXT(out_format)
SET_TEXT(target)
SET_TEXT(options)
SET_TEXT(parent)
SET_TEXT(parent_format)
SET_TEXT(internal)
SET_FLAG(json)
SET_FLAG(repair)
SET_FLAG(compress)
SET_FLAG(shrink)
SET_FLAG(outside)
SET_FLAG(quiet)
SET_FLAG(no_lock)
SET_FLAG(chain)
SET_TEXT(as)
SET_TEXT(fuse)
SET_TEXT(nbd)
SET_FLAG(verify)
SET_FLAG(write)

int image_set_level(void *arg, const char *value, struct err *e)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (value[0] < '1' || value[0] > '9' || *end || n > 99)
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' is no level of compression; 1 to 19 are",
                        value);
    ((struct image_args *)arg)->level = (unsigned)n;
    return 0;
}

int image_parse(const struct cli_command *c, int argc, char **argv, struct image_args *a, int least,
                int most, struct err *e)
{
    int n, rc = cli_parse(c, argc, argv, a, &n, e);

    if (rc != 0)
        return rc;
    if (n < least || n > most)
        return err_exit(e, EX_USAGE_, EINVAL, "usage: hospes %s %s", c->name, c->args);
    argv[n + 1] = NULL;
    return 0;
}

int image_open(const struct image_args *a, const char *path, bool readonly, struct disk **out,
               struct err *e)
{
    struct disk_cfg c = {
        .path = path,
        .format = a->format,
        .readonly = readonly,
        .no_lock = a->no_lock,
        .allow_outside = a->outside,
        .internal = a->internal,
    };

    return disk_open(&c, NULL, out, e);
}

/* --- progress --- */

static void show(void *arg, uint64_t done, uint64_t total)
{
    static unsigned last = UINT32_MAX;
    unsigned now = total ? (unsigned)(done * 1000 / total) : 1000;

    if (now == last)
        return;
    last = now;
    fprintf(stderr, "\r%s %u.%u %%", (const char *)arg, now / 10, now % 10);
}

struct progress image_progress(const struct image_args *a, const char *what)
{
    struct progress p = {0};

    if (!a->quiet && isatty(STDERR_FILENO))
        p = (struct progress){show, (void *)what};
    return p;
}

void image_progress_end(const struct image_args *a)
{
    if (!a->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

/* --- info --- */

struct sums {
    uint64_t data, packed, zero;
};

static int sum_up(void *arg, const struct extent *x)
{
    struct sums *s = arg;

    if (x->depth == 0 && x->kind == EXTENT_DATA)
        *(x->compressed ? &s->packed : &s->data) += x->len;
    else if (x->depth == 0 && x->kind == EXTENT_ZERO)
        s->zero += x->len;
    return 0;
}

static void print_facts(const struct facts *f, bool json)
{
    struct json_object *o = json ? json_object_new_object() : NULL;

    for (size_t i = 0; i < f->n; i++) {
        const struct fact *x = &f->v[i];

        if (!json && x->text)
            line_print(19, "%-18s %s", x->key, x->text);
        else if (!json)
            printf("%-18s %" PRIu64 "\n", x->key, x->number);
        else
            json_object_object_add(o, x->key,
                                   x->text ? json_object_new_string(x->text)
                                           : json_object_new_uint64(x->number));
    }
    if (json)
        line_json(o);
}

static void gather(struct disk *d, const char *path, struct facts *f)
{
    struct sums s = {0};
    struct stat st;

    facts_text(f, "image", "%s", path);
    facts_text(f, "format", "%s", d->format->name);
    facts_number(f, "virtual-size", d->shape.bytes);
    if (stat(path, &st) == 0) {
        facts_number(f, "file-size", (uint64_t)st.st_size);
        facts_number(f, "disk-size", (uint64_t)st.st_blocks * 512);
    }
    facts_number(f, "sector-size", d->shape.logical);
    if (d->format->facts)
        d->format->facts(d, f);
    if (disk_extents(d, 0, d->shape.bytes, sum_up, &s) == 0) {
        facts_number(f, "allocated", s.data);
        if (s.packed)
            facts_number(f, "compressed", s.packed);
        if (s.zero)
            facts_number(f, "zero", s.zero);
    }
    facts_text(f, "made-by-hospes", "%s", disk_made_by_hospes(path) ? "yes" : "no");
}

static int info_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct disk *d, *at;
    struct err e;
    int rc = image_parse(&image_info, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0) {
        struct disk_cfg c = {.path = argv[1], .format = a.format, .readonly = true};

        c.no_lock = true;
        c.no_chain = !a.chain;
        c.allow_outside = a.outside;
        rc = disk_open(&c, NULL, &d, &e);
    }
    if (rc < 0)
        return cli_fail(&e);
    for (at = d; at; at = map_of(at) ? map_of(at)->parent : NULL) {
        struct facts f = {0};

        gather(at, at->path ? at->path : argv[1], &f);
        print_facts(&f, a.json);
        facts_free(&f);
        if (!a.chain)
            break;
        if (!a.json && map_of(at) && map_of(at)->parent)
            printf("\n");
    }
    disk_close(d);
    return EX_OK;
}

static const struct cli_option info_options[] = {
    IMAGE_FORMAT,
    IMAGE_JSON,
    {"backing-chain", NULL, "tell of the parents too, which opens them", image_set_chain},
    IMAGE_OUTSIDE,
    {NULL},
};

const struct cli_command image_info = {
    .name = "image info",
    .args = "[OPTION...] IMG",
    .about = "Shows what an image says of itself.",
    .more = "Nothing that the image refers to is opened, unless --backing-chain is given.",
    .options = info_options,
    .run = info_main,
};

/* --- check --- */

enum { CHECK_ERRORS = 2, CHECK_LEAKS = 3, CHECK_UNSUPPORTED = 63 };

static void tell(void *arg, enum finding kind, bool fixed, const char *text)
{
    static const char *const words[] = {"note", "leak", "error"};
    const struct image_args *a = arg;

    if (!a->json)
        line_print(2, "%s: %s%s", fixed ? "repaired" : words[kind], text,
                   fixed && kind == FINDING_LEAK ? " (leak)" : "");
}

static void print_report(const struct image_report *r, const char *path, const char *format,
                         bool json)
{
    struct facts f = {0};

    facts_text(&f, "image", "%s", path);
    facts_text(&f, "format", "%s", format);
    facts_number(&f, "errors", r->errors);
    facts_number(&f, "leaks", r->leaks);
    facts_number(&f, "errors-repaired", r->errors_fixed);
    facts_number(&f, "leaks-repaired", r->leaks_fixed);
    facts_number(&f, "clusters", r->clusters);
    facts_number(&f, "allocated-clusters", r->allocated);
    facts_number(&f, "compressed-clusters", r->packed);
    facts_number(&f, "image-end", r->image_end);
    print_facts(&f, json);
    facts_free(&f);
}

static int check(const struct cli_command *cmd, bool repair, int argc, char **argv)
{
    struct image_args a = {.repair = repair};
    struct image_report rep = {.tell = tell, .arg = &a};
    const struct format_ops *f = NULL;
    struct disk_cfg c = {0};
    struct err e;
    int rc = image_parse(cmd, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0) {
        c = (struct disk_cfg){.path = argv[1], .format = a.format, .no_lock = a.no_lock};
        c.allow_outside = a.outside;
        c.readonly = !a.repair;
        rc = image_check(&c, a.repair, &rep, &f, &e);
    }
    if (rc == -ENOTSUP) {
        cli_fail(&e);
        return CHECK_UNSUPPORTED;
    }
    if (rc < 0)
        return cli_fail(&e);
    print_report(&rep, argv[1], f->name, a.json);
    return rep.errors ? CHECK_ERRORS : rep.leaks ? CHECK_LEAKS : EX_OK;
}

static int check_main(int argc, char **argv)
{
    return check(&image_check_command, false, argc, argv);
}

static int repair_main(int argc, char **argv)
{
    return check(&image_repair_command, true, argc, argv);
}

static const struct cli_option check_options[] = {
    IMAGE_FORMAT,
    {"repair", NULL, "mend what can be mended; nothing that is readable is lost", image_set_repair},
    {"r", "WHAT", "the same, as qemu-img spells it", image_set_repair},
    IMAGE_JSON,
    IMAGE_OUTSIDE,
    IMAGE_NO_LOCK,
    {NULL},
};

const struct cli_command image_check_command = {
    .name = "image check",
    .args = "[OPTION...] IMG",
    .about = "Looks at every table of an image, and repairs them.",
    .more = "Ends with 0 if all is well, 2 with errors, 3 with nothing but lost space, 63 if the\n"
            "format has nothing to check.",
    .options = check_options,
    .run = check_main,
};

static const struct cli_option repair_options[] = {
    IMAGE_FORMAT,
    IMAGE_JSON,
    IMAGE_OUTSIDE,
    {NULL},
};

const struct cli_command image_repair_command = {
    .name = "image repair",
    .args = "[OPTION...] IMG",
    .about = "Mends the tables of an image: check --repair.",
    .more = "Nothing that is readable is lost. Ends as check does, with what could not be mended.",
    .options = repair_options,
    .run = repair_main,
};

/* --- the command --- */

/* What --help says beside the commands. */
static void list_formats(FILE *out)
{
    fprintf(out, "\nFormats:\n");
    for (size_t i = 0; formats[i]; i++)
        fprintf(out, "  %-9s %s%s\n", formats[i]->name, formats[i]->about,
                formats[i]->create ? "" : " (read-only)");
}

static int image_main(int argc, char **argv)
{
    static const struct cli_group group = {
        .name = "image", .parts = parts, .column = 9, .more = list_formats};

    return cli_group_run(&group, argc, argv);
}

const struct cli_command cli_image = {
    .name = "image",
    .args = "COMMAND [OPTION...] [ARGUMENT...]",
    .about = "Makes, converts, checks and describes disk images.",
    .more =
        "Commands: info, create, convert, check, repair, compare, map, resize, compact, commit, "
        "serve.\n"
        "hospes image --help lists them with the formats; each has its own --help.",
    .run = image_main,
};
