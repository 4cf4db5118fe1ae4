/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - see fleet.h. */
#define _GNU_SOURCE
#include "inspect/fleet.h"

#include <errno.h>
#include <fts.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/path.h"
#include "import/import.h"
#include "inspect/auto.h"
#include "inspect/look.h"
#include "machine/plan.h"
#include "storage/disk.h"

enum { WORKERS = 4 };

/* One file of the folder. */
struct found {
    struct fleet_machine m;
    char *path;
    dev_t dev;
    ino_t ino;
    bool description;
    bool drop; /* a disk of another machine */
};

struct run {
    const char *folder;
    struct found *v;
    size_t n, room, next;
    bool descriptions; /* of the present pass */
    bool cut;
    pthread_mutex_t lock;
};

/* --- finding --- */

/* Pieces of a VMDK are no disks of their own. */
static bool is_image(const char *name)
{
    size_t n = strlen(name);
    static const char *const pieces[] = {"-flat.vmdk", "-delta.vmdk", "-sesparse.vmdk",
                                         "-rdmp.vmdk", "-rdm.vmdk",   "-ctk.vmdk"};

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        size_t len = strlen(pieces[i]);

        if (n > len && strcasecmp(name + n - len, pieces[i]) == 0)
            return false;
    }
    /* "web-s003.vmdk", "web-f001.vmdk" */
    if (n > 10 && strcasecmp(name + n - 5, ".vmdk") == 0 && name[n - 10] == '-' &&
        strchr("sf", name[n - 9]) && strspn(name + n - 8, "0123456789") == 3)
        return false;
    for (size_t i = 0; formats[i]; i++) {
        if (path_has_suffix(name, formats[i]->suffixes))
            return true;
    }
    return false;
}

static int add(struct run *r, const FTSENT *f, bool description)
{
    struct found *x;

    if (r->n == FLEET_MACHINES) {
        r->cut = true;
        return 0;
    }
    if (r->n == r->room) {
        size_t room = r->room ? r->room * 2 : 64;

        x = reallocarray(r->v, room, sizeof(*x));
        if (!x)
            return -ENOMEM;
        r->v = x;
        r->room = room;
    }
    x = &r->v[r->n++];
    *x = (struct found){.description = description,
                        .path = strdup(f->fts_path),
                        .dev = f->fts_statp->st_dev,
                        .ino = f->fts_statp->st_ino};
    x->m.persona = -1;
    return x->path ? 0 : -ENOMEM;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk(struct run *r, struct err *e)
{
    char *roots[] = {(char *)r->folder, NULL};
    FTS *t = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    unsigned entries = 0;
    FTSENT *f;
    int rc = 0;

    if (!t)
        return err_set(e, errno, "cannot read the folder %s: %s", r->folder, strerror(errno));
    while (rc == 0 && (f = fts_read(t)) != NULL) {
        if (f->fts_info == FTS_D && f->fts_level > FLEET_DEPTH)
            fts_set(t, f, FTS_SKIP);
        if (f->fts_level == 0 && f->fts_info != FTS_D && f->fts_info != FTS_DP)
            rc = err_exit(e, f->fts_errno == ENOENT ? EX_MISSING : EX_BAD_INPUT, ENOTDIR,
                          "%s is no folder that can be read", r->folder);
        else if (++entries > FLEET_ENTRIES)
            break;
        else if (f->fts_info == FTS_F && import_named(f->fts_name) && import_knows(f->fts_path))
            rc = add(r, f, true);
        else if (f->fts_info == FTS_F && is_image(f->fts_name))
            rc = add(r, f, false);
        if (rc == -ENOMEM)
            err_set(e, ENOMEM, "no memory for the list of machines");
    }
    r->cut |= entries > FLEET_ENTRIES;
    fts_close(t);
    return rc;
}

/* --- one machine --- */

static void set_text(char **at, const char *text)
{
    free(*at);
    *at = text && *text ? strdup(text) : NULL;
}

/* The disks of a machine are no machines of their own, and neither are the parents of a chain. */
static void claim(struct run *r, const struct found *owner, const char *path)
{
    struct stat st;

    if (!path || stat(path, &st) < 0)
        return;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        if (!r->v[i].description && &r->v[i] != owner && r->v[i].ino == st.st_ino &&
            r->v[i].dev == st.st_dev)
            r->v[i].drop = true;
    }
    pthread_mutex_unlock(&r->lock);
}

static void take_facts(struct fleet_machine *m, const struct plan *p, const struct inspect *i)
{
    const struct inspect_system *s = inspect_main(i);
    char text[160];

    m->cpus = p->cpus;
    m->memory = p->memory;
    m->disks = (unsigned)p->disks;
    if (i->images > 0)
        m->bytes = i->image[0].bytes;
    if (s) {
        snprintf(text, sizeof(text), "%s%s%s", s->name[0] ? s->name : family_names[s->family],
                 s->arch[0] ? ", " : "", s->arch);
        set_text(&m->system, text);
    }
    snprintf(m->firmware, sizeof(m->firmware), "%s", p->firmware ? p->firmware : "bios");
    m->persona = p->persona ? persona_no(p->persona) : -1;
    if (m->persona < 0)
        return;
    m->boots = i->verdict[m->persona].boots;
    set_text(&m->lacks, i->verdict[m->persona].lacks);
    set_text(&m->why, p->persona_why);
}

/* Without a disk that can be looked into, the description's word is all there is. */
static void take_word(struct fleet_machine *m, struct plan *p, const struct err *e)
{
    struct auto_sign sign = {.persona = p->persona ? persona_no(p->persona) : -1};
    struct inspect *none = calloc(1, sizeof(*none));
    char why[AUTO_WHY];
    struct err e2;

    text_copy(sign.what, sizeof(sign.what), p->persona_why ? p->persona_why : "");
    if (!none)
        return;
    inspect_judge(none);
    if (plan_set(&p->persona, persona_names[auto_choose(NULL, &sign, why)], &e2) == 0 &&
        plan_set(&p->persona_why, why, &e2) == 0)
        take_facts(m, p, none);
    set_text(&m->lacks, NULL);
    set_text(&m->problem, e->msg);
    free(none);
}

static void decide(struct run *r, struct found *x, struct plan *p)
{
    struct inspect *i = calloc(1, sizeof(*i));
    struct err e = {.msg = "no memory for an inspection"};

    if (i && auto_decide(p, i, &e) == 0)
        take_facts(&x->m, p, i);
    else
        take_word(&x->m, p, &e);
    for (unsigned k = 1; i && k < i->images; k++)
        claim(r, x, i->image[k].path);
    free(i);
}

static void look_description(struct run *r, struct found *x)
{
    const struct import_wish wish = {.quick = true, .unchecked = true};
    struct import_report report = {0};
    struct plan p;
    struct err e;

    plan_init(&p);
    snprintf(x->m.from, sizeof(x->m.from), "?");
    if (import_read(x->path, &wish, &p, &report, &e) == 0) {
        snprintf(x->m.from, sizeof(x->m.from), "%s", report.format ? report.format : "?");
        text_copy(x->m.name, sizeof(x->m.name), p.name ? p.name : "");
        for (size_t d = 0; d < p.disks; d++)
            claim(r, x, p.disk[d].path);
        decide(r, x, &p);
    } else {
        set_text(&x->m.problem, e.msg);
    }
    import_report_free(&report);
    plan_free(&p);
}

static void look_image(struct run *r, struct found *x)
{
    struct plan p;
    struct err e;
    int rc;

    plan_init(&p);
    snprintf(x->m.from, sizeof(x->m.from), "disk");
    p.disks = 1;
    rc = plan_set(&p.disk[0].path, x->path, &e);
    p.disk[0].cdrom = path_has_suffix(x->path, ".iso");
    if (rc == 0)
        decide(r, x, &p);
    plan_free(&p);
}

/* --- all of them --- */

static void *worker(void *arg)
{
    struct run *r = arg;

    for (;;) {
        struct found *x = NULL;

        pthread_mutex_lock(&r->lock);
        while (r->next < r->n && !x) {
            struct found *at = &r->v[r->next++];

            if (at->description == r->descriptions && !at->drop)
                x = at;
        }
        pthread_mutex_unlock(&r->lock);
        if (!x)
            return NULL;
        if (x->description)
            look_description(r, x);
        else
            look_image(r, x);
    }
}

static void pass(struct run *r, bool descriptions)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t t[WORKERS];
    unsigned n = 0;

    r->next = 0;
    r->descriptions = descriptions;
    for (; n < WORKERS && (long)n + 1 < cpus; n++) {
        if (pthread_create(&t[n], NULL, worker, r) != 0)
            break;
    }
    worker(r);
    for (unsigned i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

static void name_after_file(const struct run *r, struct found *x)
{
    const char *base = path_last(x->path), *below = x->path + strlen(r->folder);

    if (!x->m.name[0]) {
        char cut[65];

        snprintf(cut, sizeof(cut), "%.*s", (int)min_u64(strcspn(base, "."), 64), base);
        text_copy(x->m.name, sizeof(x->m.name), cut);
    }
    below += strspn(below, "/");
    set_text(&x->m.file, below);
}

static int by_file(const void *a, const void *b)
{
    const struct fleet_machine *x = a, *y = b;

    return strcmp(x->file ? x->file : "", y->file ? y->file : "");
}

static void machine_free(struct fleet_machine *m)
{
    free(m->file);
    free(m->system);
    free(m->why);
    free(m->lacks);
    free(m->problem);
}

int fleet_look(const char *folder, struct fleet *f, struct err *e)
{
    struct run r = {.folder = folder, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc = walk(&r, e);

    *f = (struct fleet){.n = 0};
    if (rc == 0) {
        pass(&r, true);
        pass(&r, false);
        f->v = calloc(r.n + 1, sizeof(*f->v));
        if (!f->v)
            rc = err_set(e, ENOMEM, "no memory for the list of machines");
    }
    for (size_t i = 0; i < r.n; i++) {
        if (rc == 0 && !r.v[i].drop) {
            name_after_file(&r, &r.v[i]);
            f->v[f->n++] = r.v[i].m;
        } else {
            machine_free(&r.v[i].m);
        }
        free(r.v[i].path);
    }
    if (f->v && f->n > 1)
        qsort(f->v, f->n, sizeof(*f->v), by_file);
    f->cut = r.cut;
    free(r.v);
    return rc;
}

void fleet_free(struct fleet *f)
{
    for (size_t i = 0; i < f->n; i++)
        machine_free(&f->v[i]);
    free(f->v);
    *f = (struct fleet){.n = 0};
}
