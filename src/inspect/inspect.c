/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c - see inspect.h: opening, the child, and putting its facts in order. */
#define _GNU_SOURCE
#include "inspect/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "inspect/child.h"
#include "inspect/look.h"
#include "storage/disk.h"
#include "storage/file.h"
#include "storage/image.h"
#include "storage/map.h"

enum { SECONDS = 20 };

const char *const sure_names[] = {"no", "unlikely", "unknown", "likely", "yes"};

const struct inspect_system *inspect_main(const struct inspect *i)
{
    return i->systems > 0 ? &i->system[0] : NULL;
}

const struct inspect_kernel *inspect_first(const struct inspect_system *s)
{
    for (unsigned k = 0; k < s->kernels; k++) {
        if (s->kernel[k].first)
            return &s->kernel[k];
    }
    return s->kernels > 0 ? &s->kernel[0] : NULL;
}

/* --- the chain --- */

static void image_creator(struct disk *d, struct inspect_image *m)
{
    struct facts f = {.n = 0};

    if (d->format && d->format->facts)
        d->format->facts(d, &f);
    for (size_t i = 0; i < f.n; i++) {
        if (f.v[i].text &&
            (strcmp(f.v[i].key, "creator") == 0 || strcmp(f.v[i].key, "producer") == 0))
            text_copy(m->creator, sizeof(m->creator), f.v[i].text);
    }
    facts_free(&f);
}

static void look_chain(struct disk *d, struct inspect *out)
{
    for (; d && out->images < INSPECT_IMAGES; d = map_of(d) ? map_of(d)->parent : NULL) {
        struct inspect_image *m = &out->image[out->images++];

        text_copy(m->path, sizeof(m->path), d->path ? d->path : "");
        text_copy(m->format, sizeof(m->format), d->format ? d->format->name : "");
        m->bytes = d->shape.bytes;
        image_creator(d, m);
    }
}

static int open_image(const struct inspect_cfg *c, struct disk **out, struct err *e)
{
    struct disk_cfg dc = {.path = c->path,
                          .format = c->format,
                          .readonly = true,
                          .no_lock = true,
                          .internal = c->internal,
                          .allow_outside = c->outside,
                          .within = c->within,
                          .threads = true};

    return disk_open(&dc, NULL, out, e);
}

int inspect_here(const struct inspect_cfg *c, struct inspect *out, struct err *e)
{
    struct disk *d;
    int rc;

    memset(out, 0, sizeof(*out));
    if (c->path) {
        rc = open_image(c, &d, e);
        if (rc < 0)
            return rc;
        look_chain(d, out);
        inspect_disk(d, out);
        disk_close(d);
    }
    rc = c->kernel ? look_direct(c, out, e) : 0;
    inspect_judge(out);
    return rc;
}

/* --- in a child --- */

struct shared {
    struct inspect out;
    struct inspect_cfg cfg;
    struct err e;
    int rc;
    bool opened;
};

static void child_look(void *arg)
{
    struct shared *s = arg;
    struct disk *d = NULL;

    if (s->cfg.path) {
        s->rc = open_image(&s->cfg, &d, &s->e);
        if (s->rc < 0)
            return;
        look_chain(d, &s->out);
    }
    s->opened = true;
    child_lock();
    if (d)
        inspect_disk(d, &s->out);
    if (s->cfg.kernel)
        s->rc = look_direct(&s->cfg, &s->out, &s->e);
}

/* A child that was taken over may have left anything. */
static void end_text(char *text, size_t room)
{
    text[room - 1] = '\0';
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    }
}
#define END(x) end_text((x), sizeof(x))

static unsigned clamp(unsigned v, unsigned max)
{
    return v < max ? v : max;
}

static void tidy_kernel(struct inspect_kernel *k)
{
    END(k->title);
    END(k->version);
    END(k->path);
    END(k->initrd);
    END(k->append);
    END(k->packed);
    END(k->tool);
    END(k->why);
}

static void tidy_system(struct inspect_system *s)
{
    s->family = clamp(s->family, GUEST_FAMILIES - 1);
    s->kernels = clamp(s->kernels, INSPECT_KERNELS);
    END(s->name);
    END(s->id);
    END(s->version);
    END(s->arch);
    END(s->root);
    END(s->root_arg);
    END(s->initrd_policy);
    END(s->names_kept);
    END(s->fstab_names);
    for (unsigned k = 0; k < s->kernels; k++)
        tidy_kernel(&s->kernel[k]);
}

static void tidy_part(struct inspect_part *p)
{
    END(p->name);
    END(p->type);
    END(p->use);
    END(p->fs);
    END(p->label);
    END(p->uuid);
    END(p->why);
}

static void tidy(struct inspect *o)
{
    o->images = clamp(o->images, INSPECT_IMAGES);
    o->parts = clamp(o->parts, INSPECT_PARTS);
    o->loaders = clamp(o->loaders, INSPECT_LOADERS);
    o->systems = clamp(o->systems, INSPECT_SYSTEMS);
    o->notes = clamp(o->notes, INSPECT_NOTES);
    END(o->table);
    END(o->disk_id);
    END(o->stage);
    for (unsigned i = 0; i < o->images; i++) {
        END(o->image[i].path);
        END(o->image[i].format);
        END(o->image[i].creator);
    }
    for (unsigned i = 0; i < o->parts; i++)
        tidy_part(&o->part[i]);
    for (unsigned i = 0; i < o->loaders; i++) {
        END(o->loader[i].name);
        END(o->loader[i].where);
    }
    for (unsigned i = 0; i < o->systems; i++)
        tidy_system(&o->system[i]);
    for (unsigned i = 0; i < o->notes; i++)
        END(o->note[i]);
}

int inspect_file(const struct inspect_cfg *c, struct inspect *out, struct err *e)
{
    unsigned seconds = c->seconds ? c->seconds : SECONDS;
    struct shared *s = child_share(sizeof(*s));
    enum child_end end = CHILD_DONE;
    int rc;

    if (!s)
        return err_set(e, ENOMEM, "no memory for an inspection");
    s->cfg = *c;
    rc = child_run(child_look, s, seconds, &end);
    if (rc < 0) {
        err_set(e, -rc, "cannot start a process to look into %s: %s", c->path ? c->path : c->kernel,
                strerror(-rc));
    } else if (end == CHILD_DONE && s->rc < 0) {
        END(s->e.msg);
        *e = s->e;
        rc = e->code > 0 ? -e->code : -EIO;
    } else if (!s->opened) {
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "cannot open %s: %s", c->path ? c->path : c->kernel,
                      end == CHILD_LATE ? "reading its tables takes too long"
                                        : "reading its tables takes too much memory");
    }
    if (rc == 0) {
        *out = s->out;
        tidy(out);
        if (end != CHILD_DONE) {
            if (!out->stage[0])
                snprintf(out->stage, sizeof(out->stage), "its start");
            inspect_note(out, "the look was ended at %s: %s", out->stage,
                         end == CHILD_LATE ? "it takes too long" : "it asks for too much");
        }
        inspect_judge(out);
    }
    child_unshare(s, sizeof(*s));
    return rc;
}
