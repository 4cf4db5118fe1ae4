/* SPDX-License-Identifier: Apache-2.0 */
/* site_matrix.c - the table of guests and personas, the notes, and how to check the catalogue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/site_priv.h"
#include "core/err.h"

static void lower(struct vbuf *b, const char *text)
{
    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;

        html_bytes(b, &c, 1);
    }
}

static void matrix_cell(struct vbuf *b, const struct site_guest *g, unsigned p, const char *up)
{
    const struct cell *c = g->cell[p];

    if (!c) {
        vbuf_print(
            b,
            "<td class=\"none\" data-persona=\"%s\"><span aria-hidden=\"true\">\u2013</span> "
            "nothing said</td>",
            site_personas[p]);
        return;
    }
    vbuf_print(b, "<td class=\"%s\" data-persona=\"%s\"><a href=\"%sguest/%s.html#%s\">",
               cell_words[c->state], site_personas[p], up, g->slug, site_personas[p]);
    site_mark(b, c);
    vbuf_print(b, "</a></td>");
}

static void matrix_table(struct vbuf *b, const struct site_guest *g, size_t n, const char *up)
{
    vbuf_print(b, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Guests and "
                  "personas\"><table id=\"matrix\">\n<caption>What is known of each guest on each "
                  "persona</caption>\n<thead><tr><th scope=\"col\">Guest</th>");
    for (unsigned p = 0; p < SITE_PERSONAS; p++)
        vbuf_print(b, "<th scope=\"col\">%s</th>", site_personas[p]);
    vbuf_print(b, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        vbuf_print(b, "<tr data-name=\"");
        lower(b, g[i].name);
        vbuf_print(b, "\"><th scope=\"row\"><a href=\"%sguest/%s.html\">", up, g[i].slug);
        html_text(b, g[i].name);
        vbuf_print(b, "</a></th>");
        for (unsigned p = 0; p < SITE_PERSONAS; p++)
            matrix_cell(b, &g[i], p, up);
        vbuf_print(b, "</tr>\n");
    }
    vbuf_print(b, "</tbody></table></div>\n");
}

static void filter_form(struct vbuf *b)
{
    vbuf_print(b, "<form id=\"filter\" hidden><label>Guest<input name=\"text\" type=\"search\" "
                  "autocomplete=\"off\"></label><label>Persona<select name=\"persona\"><option "
                  "value=\"\">any</option>");
    for (unsigned p = 0; p < SITE_PERSONAS; p++)
        vbuf_print(b, "<option>%s</option>", site_personas[p]);
    vbuf_print(b, "</select></label><label>State<select name=\"state\"><option value=\"\">any"
                  "</option>");
    for (unsigned i = 0; i < CELL_STATES; i++)
        vbuf_print(b, "<option>%s</option>", cell_words[i]);
    vbuf_print(b, "</select></label></form>\n<p id=\"shown\" role=\"status\"></p>\n");
}

static void legend(struct vbuf *b)
{
    static const char *const means[CELL_STATES] = {
        "the newest test passed every mandatory check; its signed log is one click away",
        "the newest test failed a mandatory check, or the guest died in it",
        "tested, but a mandatory check could not be done: this counts for nobody",
        "follows from another claim by a rule; not tested itself",
        "a vendor says so; no log of it is here",
        "somebody intends to test it",
        "nobody knows, or nobody whom this catalogue trusts has said it",
    };

    vbuf_print(b, "<h2>What the words mean</h2>\n<dl class=\"facts\">\n");
    for (unsigned i = 0; i < CELL_STATES; i++)
        vbuf_print(b,
                   "<dt class=\"%s\"><span class=\"mark\"><span aria-hidden=\"true\">%s</span> %s"
                   "</span></dt><dd>%s</dd>\n",
                   cell_words[i], cell_signs[i], cell_words[i], means[i]);
    vbuf_print(b,
               "</dl>\n<p><strong>Stale</strong>: the host has a newer version than the one that "
               "was tested. <strong>Disputed</strong>: runners disagree.</p>\n");
}

static size_t family_end(const struct site *t, size_t from)
{
    size_t to = from + 1;

    while (to < t->guests && strcmp(t->guest[to].family, t->guest[from].family) == 0)
        to++;
    return to;
}

/* How many of these guests are validated on a persona, and of how many something is said. */
static void family_cell(struct vbuf *b, const struct site_guest *g, size_t n, unsigned p)
{
    size_t good = 0, said = 0;

    for (size_t i = 0; i < n; i++) {
        said += g[i].cell[p] != NULL;
        good += g[i].cell[p] && g[i].cell[p]->state == CELL_VALIDATED;
    }
    vbuf_print(b, "<td class=\"%s\" data-persona=\"%s\">",
               said == 0  ? "none"
               : good > 0 ? "validated"
                          : "unknown",
               site_personas[p]);
    if (said)
        vbuf_print(b, "<span class=\"mark\">%zu of %zu validated</span></td>", good, said);
    else
        vbuf_print(b, "nothing said</td>");
}

static int family_page(struct site *t, size_t from, size_t to, const char *slug)
{
    char name[HTML_SLUG + 16];
    struct vbuf b = {0};

    html_head(&b, t->guest[from].family, "../");
    matrix_table(&b, t->guest + from, to - from, "../");
    html_foot(&b, "../");
    snprintf(name, sizeof(name), "guests/%s.html", slug);
    return site_write(t, name, &b);
}

static int families(struct site *t, struct vbuf *b)
{
    int rc = 0;

    vbuf_print(b, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Guests and "
                  "personas\"><table id=\"matrix\">\n<caption>Guests by product; each leads to its "
                  "versions</caption>\n<thead><tr><th scope=\"col\">Guest</th>");
    for (unsigned p = 0; p < SITE_PERSONAS; p++)
        vbuf_print(b, "<th scope=\"col\">%s</th>", site_personas[p]);
    vbuf_print(b, "</tr></thead>\n<tbody>\n");
    for (size_t from = 0, to; from < t->guests && rc == 0; from = to) {
        char slug[HTML_SLUG];

        to = family_end(t, from);
        html_slug(t->guest[from].family, slug);
        vbuf_print(b, "<tr data-name=\"");
        lower(b, t->guest[from].family);
        vbuf_print(b, "\"><th scope=\"row\"><a href=\"guests/%s.html\">", slug);
        html_text(b, t->guest[from].family);
        vbuf_print(b, "</a></th>");
        for (unsigned p = 0; p < SITE_PERSONAS; p++)
            family_cell(b, t->guest + from, to - from, p);
        vbuf_print(b, "</tr>\n");
        rc = family_page(t, from, to, slug);
    }
    vbuf_print(b, "</tbody></table></div>\n");
    return rc;
}

int site_matrix(struct site *t)
{
    struct vbuf b = {0};
    char title[300];
    int rc = 0;

    snprintf(title, sizeof(title), "%s: what runs, and how it is known", t->s->name);
    html_head(&b, title, "");
    vbuf_print(&b, "<p class=\"lead\">");
    html_count(&b, t->told->guests, "guest");
    vbuf_print(&b, ", ");
    html_count(&b, t->told->cells, "combination");
    vbuf_print(&b, ", ");
    html_count(&b, t->told->claims, "signed claim");
    vbuf_print(&b, ". Every tick leads to its log and to the command that repeats it.</p>\n");
    filter_form(&b);
    if (t->guests <= SITE_SPLIT)
        matrix_table(&b, t->guest, t->guests, "");
    else
        rc = families(t, &b);
    legend(&b);
    vbuf_print(&b, "<script src=\"filter.js\"></script>\n");
    html_foot(&b, "");
    if (rc < 0)
        vbuf_free(&b);
    return rc < 0 ? rc : site_write(t, "index.html", &b);
}

int site_errata(struct site *t)
{
    const struct note *n;
    struct vbuf b = {0};
    size_t i = 0;

    html_head(&b, "Notes and errata", "");
    for (; (n = index_note(t->ix, i)); i++) {
        vbuf_print(&b, "<section id=\"%s\"><h2>%s%s</h2>\n<p>", n->id,
                   n->erratum ? "Erratum " : "Note ", n->id);
        html_text(&b, n->text);
        vbuf_print(&b, "</p>\n<dl class=\"facts\">\n");
        for (size_t k = 0; k < n->scope.n; k++)
            html_fact(&b, n->scope.fact[k].key, n->scope.fact[k].value);
        html_fact(&b, "since", n->since);
        html_fact(&b, "resolved in", n->resolved_in);
        html_fact(&b, "issue", n->issue);
        html_fact(&b, "written", n->made);
        vbuf_print(&b, "</dl></section>\n");
    }
    if (i == 0)
        vbuf_print(&b, "<p>There are none.</p>\n");
    html_foot(&b, "");
    return site_write(t, "errata.html", &b);
}

int site_about(struct site *t)
{
    struct vbuf b = {0};
    char link[V_SHA_TEXT], name[100];

    store_link(t->s, t->s->count, link);
    html_head(&b, "How to check this catalogue", "");
    vbuf_print(&b,
               "<p>Every claim is a signed record in a chain: each line of the chain holds the "
               "digest of all lines before, so nothing can be taken out or changed unseen. A test "
               "result rests on a signed bundle that holds its whole log.</p>\n<dl "
               "class=\"facts\">\n");
    html_fact(&b, "Catalogue", t->s->name);
    html_fact(&b, "End of the chain", link);
    for (size_t i = 0; i < t->s->trust.n; i++) {
        snprintf(name, sizeof(name), "Key of %.80s", t->s->trust.key[i].name);
        html_fact(&b, name, t->s->trust.key[i].key.id);
    }
    vbuf_print(
        &b, "</dl>\n<h2>With hospes</h2>\n<pre tabindex=\"0\">hospes catalogue verify FOLDER SITE\n"
            "hospes validate verify --trust KEY.pub BUNDLE.tar.zst\nhospes validate replay "
            "BUNDLE.tar.zst</pre>\n<h2>Without</h2>\n<p>A bundle is a tar archive that zstd "
            "unpacks. Its <code>SHA256SUMS</code> is signed for minisign:</p>\n<pre "
            "tabindex=\"0\">tar --zstd -xf BUNDLE.tar.zst\nminisign -Vm SHA256SUMS -x "
            "signatures/*.minisig -p KEY.pub\nsha256sum -c SHA256SUMS</pre>\n");
    html_foot(&b, "");
    return site_write(t, "about.html", &b);
}
