/* SPDX-License-Identifier: Apache-2.0 */
/* site_guest.c - the page of one guest: an answer per persona first, then everything it rests on.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/site_priv.h"
#include "core/err.h"
#include "validation/vjson.h"

void site_record_name(const char *bundle, const char *cell, char out[SITE_RECORD])
{
    snprintf(out, SITE_RECORD, "%.16s-%.100s", bundle, cell);
}

void site_mark(struct vbuf *b, const struct cell *c)
{
    vbuf_print(b, "<span class=\"mark\"><span aria-hidden=\"true\">%s</span> %s</span>",
               cell_signs[c->state], cell_words[c->state]);
    if (c->flaky)
        vbuf_print(b, "<small>after a retry</small>");
    if (c->stale)
        vbuf_print(b, "<small class=\"stale\">stale: tested on %s</small>", c->host_version);
    if (c->disputed)
        vbuf_print(b, "<small class=\"disputed\">disputed</small>");
    if (c->preview)
        vbuf_print(b, "<small>preview</small>");
}

static const char *size_text(uint64_t bytes, char out[32])
{
    if (bytes == 0)
        out[0] = '\0';
    else
        snprintf(out, 32, "%llu MiB", (unsigned long long)(bytes / MiB));
    return out;
}

/* What a claim rests on, with links where the evidence is here. */
static void claim_evidence(const struct site *t, struct vbuf *b, const struct index_row *r)
{
    char path[STORE_PATH], name[SITE_RECORD];

    if (r->kind != CLAIM_TESTED) {
        html_text(b, r->evidence);
        return;
    }
    site_record_name(r->bundle, r->cell, name);
    if (store_bundle(t->s, r->bundle, path))
        vbuf_print(b,
                   "<a href=\"../record/%s.html\">checks and log</a>, <a "
                   "href=\"../bundles/%s.tar.zst\">signed bundle</a>",
                   name, r->bundle);
    else
        vbuf_print(b, "bundle <code>%.16s</code>, not kept here", r->bundle);
}

static void claim_row(const struct site *t, struct vbuf *b, const struct index_row *r)
{
    bool tested = r->kind == CLAIM_TESTED;
    char memory[32];

    vbuf_print(b,
               "<tr id=\"claim-%u\"><th class=\"number\" scope=\"row\">%u</th><td>%s</td><td "
               "class=\"whole\">%.10s</td>"
               "<td>",
               r->n, r->n, claim_kind_words[r->kind], r->made);
    if (tested)
        vbuf_print(b, "<span class=\"%s\">%s</span>%s", vstatus_word(r->verdict),
                   vstatus_word(r->verdict), r->validated ? ", validated" : "");
    else
        vbuf_print(b, "%s", claim_level_words[r->level]);
    vbuf_print(b, "</td><td>");
    html_text(b, r->host);
    vbuf_print(b, " ");
    html_text(b, r->host_version);
    vbuf_print(b, "</td><td class=\"whole\">");
    if (r->cpus) {
        html_count(b, r->cpus, "CPU");
        vbuf_print(b, ", %s", size_text(r->memory, memory));
    }
    vbuf_print(b, "<small>");
    html_text(b, strcmp(r->firmware, "none") == 0 ? "kernel started directly" : r->firmware);
    vbuf_print(b, "</small></td><td>");
    html_text(b, r->signer[0] ? r->who : "nobody who is trusted here");
    vbuf_print(b, "</td><td>");
    claim_evidence(t, b, r);
    vbuf_print(b, "</td></tr>\n");
}

static void notes_of(const struct site *t, struct vbuf *b, const struct site_row *row, size_t n)
{
    bool any = false;
    const struct note *note;

    for (size_t i = 0; (note = index_note(t->ix, i)); i++) {
        bool concerns = false;

        for (size_t k = 0; k < n && !concerns; k++)
            concerns = index_note_concerns(t->ix, i, &row[k].r);
        if (!concerns)
            continue;
        vbuf_print(b, "%s<li><a href=\"../errata.html#%s\">%s</a>: ",
                   any ? "" : "<h3>Notes</h3>\n<ul>\n", note->id, note->id);
        html_text(b, note->text);
        vbuf_print(b, "</li>\n");
        any = true;
    }
    if (any)
        vbuf_print(b, "</ul>\n");
}

static const char *owner_sentence(const struct cell *c)
{
    static const char *const words[CLAIM_OWNERS] = {
        [OWNER_HOST] = "The host's vendor supports this combination.",
        [OWNER_GUEST] = "The guest's vendor supports this combination.",
        [OWNER_BOTH] = "Both vendors support this combination together.",
        [OWNER_NOBODY] = "Nobody has said that they support this combination.",
    };

    return words[c->owner];
}

static void persona_part(const struct site *t, struct vbuf *b, const struct cell *c,
                         const struct site_row *row, size_t n)
{
    char text[700];

    cell_sentence(c, text, sizeof(text));
    vbuf_print(b, "<section aria-labelledby=\"");
    html_text(b, c->persona);
    vbuf_print(b, "\">\n<h2 id=\"");
    html_text(b, c->persona);
    vbuf_print(b, "\">As a guest of ");
    html_text(b, c->persona);
    vbuf_print(b, "</h2>\n<p class=\"lead %s\">", cell_words[c->state]);
    vbuf_print(b, "<span class=\"mark\" aria-hidden=\"true\">%s</span> ", cell_signs[c->state]);
    html_text(b, text);
    vbuf_print(b,
               ".</p>\n<p>%s Level: %s. <code>hospes support who</code> tells whom to call.</p>\n",
               owner_sentence(c), claim_level_words[c->level]);
    vbuf_print(b, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Claims for ");
    html_text(b, c->persona);
    vbuf_print(b, "\"><table>\n<caption>");
    html_count(b, n, "claim");
    vbuf_print(b, ", the newest first");
    vbuf_print(b, "</caption>\n<thead><tr><th "
                  "scope=\"col\">No.</th><th scope=\"col\">Kind</th><th scope=\"col\">Date</th><th "
                  "scope=\"col\">Says</th><th scope=\"col\">Host</th><th scope=\"col\">Machine</th>"
                  "<th scope=\"col\">Signed by</th><th scope=\"col\">Evidence</th></tr></thead>\n"
                  "<tbody>\n");
    for (size_t i = 0; i < n; i++)
        claim_row(t, b, &row[i].r);
    vbuf_print(b, "</tbody></table></div>\n");
    notes_of(t, b, row, n);
    vbuf_print(b, "</section>\n");
}

/* --- the same as data --- */

static void csv_text(struct vbuf *b, const char *text)
{
    vbuf_print(b, "\"");
    /* A cell that begins like a formula would be one in a spreadsheet. */
    if (*text && strchr("=+-@", *text))
        vbuf_print(b, "'");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            vbuf_print(b, "\"");
        vbuf_add(b, p, 1);
    }
    vbuf_print(b, "\",");
}

static void cell_csv(struct vbuf *b, const struct cell *c, const char *slug)
{
    const char *const texts[] = {
        c->guest, c->version,      c->arch,   c->persona, cell_words[c->state],
        c->host,  c->host_version, c->tested, c->runner};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        csv_text(b, texts[i]);
    vbuf_print(b, "%llu,%llu,", (unsigned long long)c->max_cpus, (unsigned long long)c->max_memory);
    csv_text(b, claim_level_words[c->level]);
    csv_text(b, claim_owner_words[c->owner]);
    vbuf_print(b, "%d,%d,%u,guest/%s.html\n", c->stale, c->disputed, c->claims, slug);
}

static void cell_json(struct vbuf *b, const struct cell *c, const char *slug)
{
    struct json_object *o = cell_to_json(c);
    char page[HTML_SLUG + 64];

    snprintf(page, sizeof(page), "guest/%s.html#%s", slug, c->persona);
    vjson_add_text(o, "page", page);
    vbuf_print(
        b, "%s\n%s", b->len > 1 ? "," : "",
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

/* --- the guest --- */

static struct site_guest *guest_new(struct site *t, const struct index_row *r)
{
    struct site_guest *more = realloc(t->guest, (t->guests + 1) * sizeof(*more)), *g;
    char name[4 * CELL_TEXT];

    if (!more)
        return NULL;
    t->guest = more;
    g = &more[t->guests];
    *g = (struct site_guest){.family = strdup(r->guest_name)};
    snprintf(name, sizeof(name), "%s%s%s%s%s", r->guest_name, *r->guest_version ? " " : "",
             r->guest_version, *r->arch ? " " : "", r->arch);
    g->name = strdup(name);
    if (!g->family || !g->name) {
        free(g->family);
        free(g->name);
        return NULL;
    }
    html_slug(name, g->slug);
    t->guests++;
    return g;
}

static int guest_cell(struct site *t, struct site_guest *g, const struct cell *c)
{
    for (unsigned p = 0; p < SITE_PERSONAS; p++) {
        if (strcmp(site_personas[p], c->persona) != 0)
            continue;
        g->cell[p] = malloc(sizeof(*c));
        if (!g->cell[p])
            return err_set(t->e, ENOMEM, "no memory for a cell");
        *g->cell[p] = *c;
    }
    t->told->cells++;
    cell_json(&t->json, c, g->slug);
    cell_csv(&t->csv, c, g->slug);
    return 0;
}

static int guest_bundles(struct site *t)
{
    int rc = 0;

    for (size_t i = 0; i < t->rows && rc >= 0; i++) {
        if (t->row[i].r.kind != CLAIM_TESTED)
            continue;
        rc = site_bundle(t, t->row[i].r.bundle);
        t->told->bundles_missing += rc > 0;
    }
    return rc < 0 ? rc : 0;
}

int site_guest_done(struct site *t)
{
    struct site_guest *g = guest_new(t, &t->row[0].r);
    struct vbuf b = {0};
    char name[HTML_SLUG + 16];
    int rc = g ? guest_bundles(t) : err_set(t->e, ENOMEM, "no memory for a guest");

    if (rc < 0)
        return rc;
    t->told->guests++;
    html_head(&b, g->name, "../");
    for (size_t from = 0, to; from < t->rows && rc == 0; from = to) {
        struct cell c;

        cell_begin(&c, &t->row[from].r);
        for (to = from + 1; to < t->rows && cell_same(&c, &t->row[to].r); to++)
            cell_add(&c, &t->row[to].r);
        cell_end(&c, t->ix, t->current);
        persona_part(t, &b, &c, t->row + from, to - from);
        rc = guest_cell(t, g, &c);
    }
    html_foot(&b, "../");
    snprintf(name, sizeof(name), "guest/%s.html", g->slug);
    if (rc < 0)
        vbuf_free(&b);
    return rc < 0 ? rc : site_write(t, name, &b);
}
