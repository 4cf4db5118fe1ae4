/* SPDX-License-Identifier: Apache-2.0 */
/* site_record.c - a page per record of a bundle, and its log with a place to link to at each line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue/site_priv.h"
#include "core/err.h"

enum { LOG_SHOWN = 4 << 20 }; /* bytes of a log that become a page; the bundle has all */

static void facts(struct vbuf *b, const char *prefix, const struct vfacts *f)
{
    char name[80];

    for (size_t i = 0; i < f->n; i++) {
        snprintf(name, sizeof(name), "%s %s", prefix, f->fact[i].key);
        html_fact(b, name, f->fact[i].value);
    }
}

static void record_facts(struct vbuf *b, const struct vrecord *r)
{
    char text[64];

    vbuf_print(b, "<h2>What was run</h2>\n<dl class=\"facts\">\n");
    html_fact(b, "Cell", r->cell);
    html_fact(b, "Plan", r->plan);
    facts(b, "Guest", &r->guest);
    html_fact(b, "Persona", r->persona);
    html_fact(b, "Persona options", r->persona_opts);
    snprintf(text, sizeof(text), "%u processor%s, %llu MiB", r->cpus, r->cpus == 1 ? "" : "s",
             (unsigned long long)(r->memory / MiB));
    html_fact(b, "Machine", text);
    html_fact(b, "Firmware",
              strcmp(r->firmware, "none") == 0 ? "none, the kernel is started directly"
                                               : r->firmware);
    html_fact(b, "Disk", r->disk);
    html_fact(b, "Network", r->network);
    facts(b, "Host", &r->host);
    html_fact(b, "Started", r->started);
    snprintf(text, sizeof(text), "%llu.%llu s", (unsigned long long)(r->ms / 1000),
             (unsigned long long)(r->ms % 1000 / 100));
    html_fact(b, "Took", text);
    html_fact(b, "Ended", r->end);
    for (size_t i = 0; i < r->inputs.n; i++) {
        char value[400];

        snprintf(value, sizeof(value), "%.200s, sha256 %s", r->inputs.file[i].name,
                 r->inputs.file[i].sha256);
        html_fact(b, r->inputs.file[i].role ? r->inputs.file[i].role : "Input", value);
    }
    vbuf_print(b, "</dl>\n<h2>How to repeat it</h2>\n<pre tabindex=\"0\">");
    html_text(b, r->command);
    vbuf_print(b, "</pre>\n");
}

static void attempt(struct vbuf *b, const struct vattempt *a, const char *name)
{
    vbuf_print(b, "<a href=\"../log/%s.html#L%u\">lines %u to %u</a>", name, a->from, a->from,
               a->to);
    if (a->ms < 1000)
        vbuf_print(b, " (%s, %u ms)", vstatus_word(a->status), (unsigned)a->ms);
    else
        vbuf_print(b, " (%s, %.1f s)", vstatus_word(a->status), (double)a->ms / 1000);
}

/* AREA.NAME, which may be broken behind its dots. */
static void check_id(struct vbuf *b, const char *id)
{
    for (const char *dot; (dot = strchr(id, '.')); id = dot + 1) {
        html_bytes(b, id, (size_t)(dot + 1 - id));
        vbuf_print(b, "<wbr>");
    }
    html_text(b, id);
}

static void record_checks(struct vbuf *b, const struct vrecord *r, const char *name)
{
    vbuf_print(b, "<h2>Checks</h2>\n<div class=\"wide\" role=\"region\" tabindex=\"0\" "
                  "aria-label=\"Checks\"><table>\n<caption>Every attempt is kept, exclusions too"
                  "</caption>\n<thead><tr><th scope=\"col\">Check</th><th scope=\"col\">Status</th>"
                  "<th scope=\"col\">Mandatory</th><th scope=\"col\">Log</th><th scope=\"col\">"
                  "Why</th><th scope=\"col\">Suite</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < r->checks; i++) {
        const struct vcheck *c = &r->check[i];

        vbuf_print(b, "<tr><th scope=\"row\">");
        check_id(b, c->id);
        vbuf_print(b,
                   "</th><td><span class=\"mark %s\">%s</span></td><td>%s</td><td class=\"whole\">",
                   vstatus_word(c->status), vstatus_word(c->status), c->mandatory ? "yes" : "no");
        for (size_t k = 0; k < c->attempts; k++) {
            vbuf_print(b, "%s", k ? "<br>" : "");
            attempt(b, &c->attempt[k], name);
        }
        vbuf_print(b, "</td><td>");
        if (c->issue) {
            html_text(b, c->issue);
            vbuf_print(b, " ");
        }
        html_text(b, c->why ? c->why : "");
        vbuf_print(b, "</td><td>");
        html_text(b, c->suite);
        vbuf_print(b, "</td></tr>\n");
    }
    vbuf_print(b, "</tbody></table></div>\n");
}

static void record_lead(struct vbuf *b, const struct vrecord *r)
{
    size_t mandatory = 0, good = 0;

    for (size_t i = 0; i < r->checks; i++) {
        const struct vcheck *c = &r->check[i];

        mandatory += c->mandatory;
        good += c->mandatory && (c->status == V_PASS || c->status == V_FLAKY);
    }
    vbuf_print(b,
               "<p class=\"lead\"><span class=\"mark %s\">%s</span>: %zu of %zu mandatory checks "
               "passed, so this machine is %svalidated.</p>\n",
               vstatus_word(r->verdict), vstatus_word(r->verdict), good, mandatory,
               r->validated ? "" : "not ");
}

static void record_bundle(struct vbuf *b, const struct bundle *bundle)
{
    const struct dsse *d = bundle_statement(bundle);

    vbuf_print(b,
               "<h2>Evidence</h2>\n<dl class=\"facts\">\n<dt>Signed bundle</dt><dd><a "
               "href=\"../bundles/%s.tar.zst\">",
               bundle_sha256(bundle));
    html_text(b, bundle_name(bundle));
    vbuf_print(b, "</a></dd>\n");
    html_fact(b, "Its SHA-256", bundle_sha256(bundle));
    html_fact(b, "Finished", bundle_finished(bundle));
    for (size_t i = 0; i < d->sigs; i++)
        html_fact(b, "Signed by key", d->sig[i].keyid);
    vbuf_print(b,
               "</dl>\n<p><a href=\"../about.html\">How to check it</a> without this site.</p>\n");
}

static int record_page(struct site *t, const struct bundle *bundle, const struct vrecord *r)
{
    char name[SITE_RECORD], file[SITE_RECORD + 32];
    struct vbuf b = {0};

    site_record_name(bundle_sha256(bundle), r->cell, name);
    html_head(&b, r->cell, "../");
    record_lead(&b, r);
    record_checks(&b, r, name);
    record_facts(&b, r);
    record_bundle(&b, bundle);
    html_foot(&b, "../");
    snprintf(file, sizeof(file), "record/%s.html", name);
    t->told->records++;
    return site_write(t, file, &b);
}

static void log_lines(struct vbuf *b, const char *log, size_t len)
{
    unsigned line = 1;

    for (size_t at = 0; at < len; line++) {
        const char *end = memchr(log + at, '\n', len - at);
        size_t n = end ? (size_t)(end - log) - at : len - at;

        vbuf_print(b, "<span id=\"L%u\"><a href=\"#L%u\" aria-label=\"line %u\">%u</a>", line, line,
                   line, line);
        html_bytes(b, log + at, n);
        vbuf_print(b, "</span>\n");
        at += n + 1;
    }
}

static int log_page(struct site *t, const struct bundle *bundle, const struct vrecord *r)
{
    char name[SITE_RECORD], file[SITE_RECORD + 32], member[V_NAME_MAX + 32], title[200];
    const char *log;
    struct vbuf b = {0};
    size_t len;

    snprintf(member, sizeof(member), "cells/%s/run.log", r->cell);
    if (!bundle_file(bundle, member, &log, &len))
        return 0;
    site_record_name(bundle_sha256(bundle), r->cell, name);
    snprintf(title, sizeof(title), "Log of %s", r->cell);
    html_head(&b, title, "../");
    vbuf_print(&b,
               "<p>Lines that begin with <code>|</code> are the guest's console, those with "
               "<code>#</code> the runner's. <a href=\"../record/%s.html\">Back to the "
               "checks</a></p>\n<pre class=\"log\" tabindex=\"0\">",
               name);
    log_lines(&b, log, len < LOG_SHOWN ? len : LOG_SHOWN);
    vbuf_print(&b, "</pre>\n");
    if (len > LOG_SHOWN)
        vbuf_print(&b, "<p>The bundle has %zu bytes more.</p>\n", len - LOG_SHOWN);
    html_foot(&b, "../");
    snprintf(file, sizeof(file), "log/%s.html", name);
    return site_write(t, file, &b);
}

/* The bundle itself goes with the pages: a link where the file systems allow it, else a copy. */
static int bundle_copy(struct site *t, const char *from, const char *sha256)
{
    char to[STORE_PATH + 128], *data;
    struct vbuf b = {0};
    size_t len;
    int rc;

    snprintf(to, sizeof(to), "%s/bundles/%s.tar.zst", t->dir, sha256);
    if (link(from, to) == 0)
        return 0;
    rc = vtext_read(from, BUNDLE_BYTES_MAX, &data, &len, t->e);
    if (rc < 0)
        return rc;
    b = (struct vbuf){.data = data, .len = len, .room = len};
    snprintf(to, sizeof(to), "bundles/%s.tar.zst", sha256);
    return site_write(t, to, &b);
}

static int bundle_remember(struct site *t, const char *sha256)
{
    char(*more)[V_SHA_TEXT] = realloc(t->done, (t->dones + 1) * sizeof(*more));

    if (!more)
        return err_set(t->e, ENOMEM, "no memory for a bundle's name");
    t->done = more;
    memcpy(more[t->dones++], sha256, V_SHA_TEXT);
    return 0;
}

int site_bundle(struct site *t, const char *sha256)
{
    char path[STORE_PATH];
    struct bundle *bundle;
    int rc;

    /* The newest first: rows of one bundle come together. */
    for (size_t i = t->dones; i-- > 0;) {
        if (strcmp(t->done[i], sha256) == 0)
            return 0;
    }
    if (strlen(sha256) != V_SHA_TEXT - 1 || !store_bundle(t->s, sha256, path))
        return 1;
    rc = bundle_read(path, &bundle, t->e);
    if (rc < 0)
        return err_wrap(t->e, "%s", path);
    rc = bundle_copy(t, path, sha256);
    for (size_t i = 0; rc == 0 && i < bundle_records(bundle); i++) {
        rc = record_page(t, bundle, bundle_record(bundle, i));
        if (rc == 0)
            rc = log_page(t, bundle, bundle_record(bundle, i));
    }
    bundle_free(bundle);
    return rc < 0 ? rc : bundle_remember(t, sha256);
}
