/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue_show.c - `hospes catalogue` build, why, diff, stale and serve: what reads a catalogue.
 */
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue/cell.h"
#include "catalogue/serve.h"
#include "catalogue/site.h"
#include "cli/catalogue.h"
#include "cli/line.h"
#include "core/file.h"
#include "validation/text.h"
#include "validation/vjson.h"

static void name_of(const struct cell *c, char *out, size_t room)
{
    snprintf(out, room, "%s%s%s%s%s on %s", c->guest, *c->version ? " " : "", c->version,
             *c->arch ? " " : "", c->arch, c->persona);
}

/* --- build --- */

static void build_tell(const struct site_told *t, const char *out)
{
    printf("%s: %zu guest%s, %zu combination%s, %zu claim%s, %zu record%s with logs\n", out,
           t->guests, t->guests == 1 ? "" : "s", t->cells, t->cells == 1 ? "" : "s", t->claims,
           t->claims == 1 ? "" : "s", t->records, t->records == 1 ? "" : "s");
    if (t->bundles_missing)
        printf("%zu claim%s on bundles that this catalogue does not hold\n", t->bundles_missing,
               t->bundles_missing == 1 ? " rests" : "s rest");
}

static int build_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct site_told told;
    struct catalogue c;
    struct err e = {0};
    int rc = catalogue_begin(&catalogue_build, argc, argv, &a, 2, &c, &e);

    if (rc)
        return rc < 0 ? cli_fail(&e) : EX_OK;
    rc = site_build(&c.s, c.ix, argv[2], a.host_version, &told, &e);
    catalogue_close(&c);
    if (rc == 0)
        build_tell(&told, argv[2]);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option build_options[] = {
    {"host-version", "VERSION", "the newest host version; default: the newest one tested",
     catalogue_set_host_version},
    {"db", "WHERE", "the index: a file, or postgresql://...", catalogue_set_db},
    {NULL},
};

const struct cli_command catalogue_build = {
    .name = "catalogue build",
    .args = "[OPTION...] FOLDER SITE",
    .about = "Makes a web site that needs no server.",
    .more =
        "Real tables, readable without JavaScript; every tick leads to its log and to the command\n"
        "that repeats it. The same facts as JSON and CSV lie beside.",
    .options = build_options,
    .run = build_main,
};

/* --- why --- */

enum { WHY_SEEN = 256 };

struct why {
    struct catalogue *c;
    const char *guest;
    bool json;
    size_t cells;
    char seen[WHY_SEEN][V_SHA_TEXT]; /* records that were shown */
    size_t seens, again;             /* claims that rest on one of them once more */
};

static void why_note(const struct why *w, const struct index_row *r)
{
    const struct note *n;

    for (size_t i = 0; (n = index_note(w->c->ix, i)); i++) {
        if (index_note_concerns(w->c->ix, i, r))
            line_print(8, "      %s %s: %s", n->erratum ? "erratum" : "note", n->id, n->text);
    }
}

/* A bundle that holds what an older one held already says nothing new. */
static bool why_seen(struct why *w, const char *record)
{
    for (size_t i = 0; i < w->seens; i++) {
        if (strcmp(w->seen[i], record) == 0)
            return true;
    }
    if (w->seens < WHY_SEEN)
        snprintf(w->seen[w->seens++], V_SHA_TEXT, "%s", record);
    return false;
}

static void why_test(const struct index_row *r)
{
    line_print(8, "  %6u  %-13s %.10s  %s%s on %s %s, %llu processor%s, %llu MiB%s%s", r->n,
               claim_kind_words[r->kind], r->made, vstatus_word(r->verdict),
               r->validated ? " (validated)" : "", r->host, r->host_version,
               (unsigned long long)r->cpus, r->cpus == 1 ? "" : "s",
               (unsigned long long)(r->memory / MiB), strcmp(r->firmware, "none") == 0 ? "" : ", ",
               strcmp(r->firmware, "none") == 0 ? "" : r->firmware);
}

static int why_row(void *arg, const struct index_row *r)
{
    struct why *w = arg;

    if (r->kind == CLAIM_TESTED && why_seen(w, r->record)) {
        w->again++;
        return 0;
    }
    if (r->kind == CLAIM_TESTED)
        why_test(r);
    else
        line_print(8, "  %6u  %-13s %.10s  %s: %s", r->n, claim_kind_words[r->kind], r->made,
                   claim_level_words[r->level], r->evidence);
    line_print(8, "      signed by %s%s%.16s", r->signer[0] ? r->who : "nobody who is trusted here",
               r->signer[0] ? ", key " : "", r->signer);
    if (r->kind == CLAIM_TESTED)
        line_print(8, "      cell %s, record %.16s, bundle %s", r->cell, r->record, r->bundle);
    why_note(w, r);
    return 0;
}

static int why_cell(void *arg, const struct cell *c)
{
    char name[500], text[700];
    struct why *w = arg;

    w->cells++;
    if (w->json) {
        line_json(cell_to_json(c));
        return 0;
    }
    name_of(c, name, sizeof(name));
    cell_sentence(c, text, sizeof(text));
    line_print(2, "%s %s: %s", cell_signs[c->state], name, text);
    return 0;
}

static int why_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct catalogue c;
    struct why w = {.c = &c};
    struct err e = {0};
    int rc = catalogue_begin(&catalogue_why, argc, argv, &a, 2, &c, &e);

    if (rc)
        return rc < 0 ? cli_fail(&e) : EX_OK;
    w.json = a.json;
    rc = cells_each(c.ix, argv[2], a.persona, a.host_version, why_cell, &w, &e);
    if (rc == 0 && !a.json && w.cells) {
        printf("\nWhat this rests on:\n");
        rc = index_rows(c.ix, argv[2], a.persona, why_row, &w, &e);
    }
    if (rc == 0 && w.again)
        line_print(2, "%zu more claim%s on the same records", w.again,
                   w.again == 1 ? " rests" : "s rest");
    if (rc == 0 && w.cells == 0)
        rc =
            err_exit(&e, EX_MISSING, ENOENT,
                     "%s says nothing of \"%s\"%s%s: not validated and not refused, simply unknown",
                     argv[1], argv[2], a.persona ? " on " : "", a.persona ? a.persona : "");
    catalogue_close(&c);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option why_options[] = {
    {"persona", "NAME", "of this persona only", catalogue_set_persona},
    {"host-version", "VERSION", "the host version that you have", catalogue_set_host_version},
    {"json", NULL, "one JSON object per combination", catalogue_set_json},
    {"db", "WHERE", "the index: a file, or postgresql://...", catalogue_set_db},
    {NULL},
};

const struct cli_command catalogue_why = {
    .name = "catalogue why",
    .args = "[OPTION...] FOLDER GUEST",
    .about = "Says what is known of a guest, and how it is known.",
    .more = "GUEST is any words of its name, version and architecture: \"debian 12 amd64\".",
    .options = why_options,
    .run = why_main,
};

/* --- diff --- */

struct cells {
    struct cell *c;
    size_t n, room;
};

static int cells_keep(void *arg, const struct cell *c)
{
    struct cells *all = arg;

    if (all->n == all->room) {
        size_t room = all->room ? 2 * all->room : 256;
        struct cell *more = realloc(all->c, room * sizeof(*more));

        if (!more)
            return -ENOMEM;
        all->c = more;
        all->room = room;
    }
    all->c[all->n++] = *c;
    return 0;
}

static int cells_of(const char *dir, const struct catalogue_args *a, struct cells *out,
                    struct err *e)
{
    struct catalogue c;
    int rc = catalogue_open(&c, dir, a, e);

    if (rc < 0)
        return rc;
    rc = cells_each(c.ix, NULL, a->persona, a->host_version, cells_keep, out, e);
    if (rc == -ENOMEM)
        rc = err_set(e, ENOMEM, "no memory for the cells of %s", dir);
    catalogue_close(&c);
    return rc;
}

static int cell_order(const struct cell *a, const struct cell *b)
{
    int rc = strcmp(a->guest, b->guest);

    if (rc == 0)
        rc = strcmp(a->version, b->version);
    if (rc == 0)
        rc = strcmp(a->arch, b->arch);
    return rc ? rc : strcmp(a->persona, b->persona);
}

static int cell_cmp(const void *a, const void *b)
{
    return cell_order(a, b);
}

static void diff_json(const char *change, const struct cell *c, const char *was, const char *is)
{
    struct json_object *o = json_object_new_object();

    vjson_add_text(o, "change", change);
    vjson_add_text(o, "guest", c->guest);
    vjson_add_text(o, "version", c->version);
    vjson_add_text(o, "arch", c->arch);
    vjson_add_text(o, "persona", c->persona);
    vjson_add_text(o, "was", was);
    vjson_add_text(o, "is", is);
    line_json(o);
}

/* c: either of them, one of which may be NULL: then that catalogue says nothing of it. */
static void diff_line(bool json, const struct cell *c, const struct cell *was,
                      const struct cell *is)
{
    char name[500], text[700] = "", before[700] = "";

    name_of(c, name, sizeof(name));
    if (is)
        cell_sentence(is, text, sizeof(text));
    if (was)
        cell_sentence(was, before, sizeof(before));
    if (json)
        diff_json(!was ? "new" : is ? "changed" : "gone", c, was ? before : NULL, is ? text : NULL);
    else if (was && is)
        line_print(2, "! %s: was %s; is %s", name, before, text);
    else
        line_print(2, "%c %s: %s", is ? '+' : '-', name, is ? text : before);
}

static void sort_cells(struct cells *c)
{
    if (c->n)
        qsort(c->c, c->n, sizeof(*c->c), cell_cmp);
}

/* Returns the number of differences. */
static size_t diff_cells(bool json, struct cells *a, struct cells *b)
{
    size_t i = 0, k = 0, found = 0;

    sort_cells(a);
    sort_cells(b);
    while (i < a->n || k < b->n) {
        int order = i == a->n ? 1 : k == b->n ? -1 : cell_order(&a->c[i], &b->c[k]);

        if (order < 0) {
            diff_line(json, &a->c[i], &a->c[i], NULL);
            i++;
            found++;
        } else if (order > 0) {
            diff_line(json, &b->c[k], NULL, &b->c[k]);
            k++;
            found++;
        } else {
            const struct cell *x = &a->c[i++], *y = &b->c[k++];

            if (x->state != y->state || x->stale != y->stale || x->disputed != y->disputed ||
                x->level != y->level || strcmp(x->host_version, y->host_version) != 0) {
                diff_line(json, y, x, y);
                found++;
            }
        }
    }
    return found;
}

static int diff_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct cells left = {.n = 0}, right = {.n = 0};
    struct err e = {0};
    size_t found;
    int n, rc = catalogue_parse(&catalogue_diff, argc, argv, &a, 2, 2, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = cells_of(argv[1], &a, &left, &e);
    if (rc == 0)
        rc = cells_of(argv[2], &a, &right, &e);
    if (rc == 0) {
        found = diff_cells(a.json, &left, &right);
        if (!a.json)
            printf("%zu difference%s\n", found, found == 1 ? "" : "s");
        rc = found > 0;
    }
    free(left.c);
    free(right.c);
    return rc < 0 ? cli_fail(&e) : rc;
}

static const struct cli_option diff_options[] = {
    {"persona", "NAME", "of this persona only", catalogue_set_persona},
    {"json", NULL, "one JSON object per combination", catalogue_set_json},
    {NULL},
};

const struct cli_command catalogue_diff = {
    .name = "catalogue diff",
    .args = "[OPTION...] FOLDER OTHER",
    .about = "Says where two catalogues differ.",
    .more = "Exit codes: 0 they say the same, 1 they differ.",
    .options = diff_options,
    .run = diff_main,
};

/* --- stale --- */

static int stale_cell(void *arg, const struct cell *c)
{
    struct why *w = arg;
    char name[500];

    if (!c->stale)
        return 0;
    w->cells++;
    name_of(c, name, sizeof(name));
    if (w->json)
        line_json(cell_to_json(c));
    else
        line_print(2, "%s: tested on %s %s, %.10s (entry %u)", name, c->host, c->host_version,
                   c->tested, c->newest);
    return 0;
}

static int stale_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct catalogue c;
    struct why w = {.c = &c};
    struct err e = {0};
    int rc = catalogue_begin(&catalogue_stale, argc, argv, &a, 1, &c, &e);

    if (rc)
        return rc < 0 ? cli_fail(&e) : EX_OK;
    w.json = a.json;
    rc = cells_each(c.ix, NULL, a.persona, a.host_version, stale_cell, &w, &e);
    catalogue_close(&c);
    if (rc == 0 && !a.json)
        printf("%zu combination%s must be tested again\n", w.cells, w.cells == 1 ? "" : "s");
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option stale_options[] = {
    {"host-version", "VERSION", "the newest host version; default: the newest one tested",
     catalogue_set_host_version},
    {"persona", "NAME", "of this persona only", catalogue_set_persona},
    {"json", NULL, "one JSON object per combination", catalogue_set_json},
    {"db", "WHERE", "the index: a file, or postgresql://...", catalogue_set_db},
    {NULL},
};

const struct cli_command catalogue_stale = {
    .name = "catalogue stale",
    .args = "[OPTION...] FOLDER",
    .about = "Lists what must be tested again.",
    .options = stale_options,
    .run = stale_main,
};

/* --- serve --- */

/* ADDRESS:PORT, an address of IPv6 in brackets if there is doubt. */
static int serve_where(const char *at, char host[64], uint16_t *port, struct err *e)
{
    const char *colon = strrchr(at, ':');
    size_t n = colon ? (size_t)(colon - at) : 0;
    unsigned long number;
    char *end;

    if (!colon || colon[1] < '0' || colon[1] > '9' || n >= 64)
        return err_exit(e, EX_USAGE_, EINVAL, "--http wants ADDRESS:PORT, not %s", at);
    number = strtoul(colon + 1, &end, 10);
    if (*end || number > UINT16_MAX)
        return err_exit(e, EX_USAGE_, EINVAL, "--http wants a port from 0 to %u, not %s",
                        UINT16_MAX, colon + 1);
    if (n > 2 && *at == '[' && at[n - 1] == ']') {
        at++;
        n -= 2;
    }
    snprintf(host, 64, "%.*s", (int)n, at);
    *port = (uint16_t)number;
    return 0;
}

static int serve_until_signal(const char *site, const char *at, struct err *e)
{
    struct server *s;
    uint16_t port;
    char host[64];
    sigset_t set;
    bool v6;
    int sig, rc = serve_where(at, host, &port, e);

    if (rc < 0)
        return rc;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);            /* the terminal was closed */
    sigprocmask(SIG_BLOCK, &set, NULL); /* inherited by the server's thread */
    rc = server_start(site, host, &port, &s, e);
    if (rc < 0)
        return rc;
    v6 = strchr(host, ':') != NULL;
    printf("http://%s%s%s:%u/\n", v6 ? "[" : "", host, v6 ? "]" : "", port);
    fflush(stdout);
    sigwait(&set, &sig);
    server_stop(s);
    return 0;
}

static int serve_main(int argc, char **argv)
{
    struct catalogue_args a = {.http = "127.0.0.1:8080"};
    char base[V_PATH], site[V_PATH];
    struct site_told told;
    struct catalogue c;
    struct err e = {0};
    int rc = catalogue_begin(&catalogue_serve, argc, argv, &a, 1, &c, &e);

    if (rc)
        return rc < 0 ? cli_fail(&e) : EX_OK;
    rc = vtext_mktemp(base, file_tmp(), "hospes-site", &e);
    if (rc == 0)
        rc = vpath(site, base, "site", &e);
    if (rc == 0)
        rc = site_build(&c.s, c.ix, site, a.host_version, &told, &e);
    catalogue_close(&c);
    if (rc == 0)
        rc = serve_until_signal(site, a.http, &e);
    if (base[0])
        vtext_remove(base);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option serve_options[] = {
    {"http", "ADDRESS:PORT", "where (default 127.0.0.1:8080; port 0: any)", catalogue_set_http},
    {"host-version", "VERSION", "the newest host version; default: the newest one tested",
     catalogue_set_host_version},
    {"db", "WHERE", "the index: a file, or postgresql://...", catalogue_set_db},
    {NULL},
};

const struct cli_command catalogue_serve = {
    .name = "catalogue serve",
    .args = "[OPTION...] FOLDER",
    .about = "Shows the web site on this machine.",
    .more = "Runs until it is interrupted. To publish, copy what catalogue build makes.",
    .options = serve_options,
    .run = serve_main,
};
