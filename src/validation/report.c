/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - see report.h. */
#include "validation/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What XML 1.0 can hold: the rest becomes a question mark. */
static void xml_text(struct vbuf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            vbuf_print(out, "&amp;");
            break;
        case '<':
            vbuf_print(out, "&lt;");
            break;
        case '>':
            vbuf_print(out, "&gt;");
            break;
        case '"':
            vbuf_print(out, "&quot;");
            break;
        default:
            vbuf_add(out, (unsigned char)*text < ' ' || *text == 0x7f ? "?" : text, 1);
        }
    }
}

static const char *junit_tag(enum vstatus s)
{
    switch (s) {
    case V_FAIL:
    case V_MISS:
        return "failure";
    case V_ERROR:
        return "error";
    case V_SKIP:
    case V_KNOWN:
        return "skipped";
    default:
        return NULL;
    }
}

static uint64_t check_ms(const struct vcheck *c)
{
    uint64_t ms = 0;

    for (size_t i = 0; i < c->attempts; i++)
        ms += c->attempt[i].ms;
    return ms;
}

static void junit_case(struct vbuf *out, const struct vrecord *r, const struct vcheck *c)
{
    const char *tag = junit_tag(c->status);
    uint64_t ms = check_ms(c);

    vbuf_print(out, "    <testcase classname=\"%s\" name=\"%s\" time=\"%" PRIu64 ".%03u\"", r->cell,
               c->id, ms / 1000, (unsigned)(ms % 1000));
    if (!tag && c->status == V_PASS) {
        vbuf_print(out, "/>\n");
        return;
    }
    vbuf_print(out, ">\n      <%s", tag ? tag : "system-out");
    if (tag) {
        vbuf_print(out, " message=\"%s", vstatus_word(c->status));
        if (c->issue) {
            vbuf_print(out, " ");
            xml_text(out, c->issue);
        }
        if (c->why) {
            vbuf_print(out, ": ");
            xml_text(out, c->why);
        }
        vbuf_print(out, "\"/>\n    </testcase>\n");
    } else {
        vbuf_print(out, ">%s, passed at attempt %zu</system-out>\n    </testcase>\n",
                   vstatus_word(c->status), c->attempts);
    }
}

static void junit_suite(struct vbuf *out, const struct vrecord *r)
{
    unsigned n[V_STATUSES] = {0};

    for (size_t i = 0; i < r->checks; i++)
        n[r->check[i].status]++;
    vbuf_print(out,
               "  <testsuite name=\"%s\" tests=\"%zu\" failures=\"%u\" errors=\"%u\" "
               "skipped=\"%u\" timestamp=\"%.19s\" time=\"%" PRIu64 ".%03u\">\n",
               r->cell, r->checks, n[V_FAIL] + n[V_MISS], n[V_ERROR], n[V_SKIP] + n[V_KNOWN],
               r->started, r->ms / 1000, (unsigned)(r->ms % 1000));
    for (size_t i = 0; i < r->checks; i++)
        junit_case(out, r, &r->check[i]);
    vbuf_print(out, "  </testsuite>\n");
}

void report_junit(const struct vrecord *r, size_t n, struct vbuf *out)
{
    vbuf_print(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < n; i++)
        junit_suite(out, &r[i]);
    vbuf_print(out, "</testsuites>\n");
}

/* '#' would begin a directive. */
static void tap_text(struct vbuf *out, const char *text)
{
    for (; *text; text++)
        vbuf_add(out, *text == '#' || (unsigned char)*text < ' ' ? "-" : text, 1);
}

static void tap_line(struct vbuf *out, size_t number, const struct vrecord *r,
                     const struct vcheck *c)
{
    bool good = c->status >= V_KNOWN;

    vbuf_print(out, "%sok %zu - %s %s", good ? "" : "not ", number, r->cell, c->id);
    if (c->status == V_SKIP)
        vbuf_print(out, " # SKIP ");
    else if (c->status == V_KNOWN)
        vbuf_print(out, " # TO"
                        "DO "); /* the directive for what is known to fail */
    else if (c->status != V_PASS)
        vbuf_print(out, " (%s) ", vstatus_word(c->status));
    if (c->issue && c->status == V_KNOWN) {
        tap_text(out, c->issue);
        vbuf_print(out, " ");
    }
    if (c->why && c->status != V_PASS)
        tap_text(out, c->why);
    vbuf_print(out, "\n");
}

void report_tap(const struct vrecord *r, size_t n, struct vbuf *out)
{
    size_t all = 0, number = 0;

    for (size_t i = 0; i < n; i++)
        all += r[i].checks;
    vbuf_print(out, "TAP version 13\n1..%zu\n", all);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < r[i].checks; k++)
            tap_line(out, ++number, &r[i], &r[i].check[k]);
    }
}

void report_counts(const struct vrecord *r, struct vbuf *out)
{
    unsigned n[V_STATUSES] = {0};
    const char *between = "";

    for (size_t i = 0; i < r->checks; i++)
        n[r->check[i].status]++;
    for (int s = V_STATUSES - 1; s >= 0; s--) {
        if (n[s])
            vbuf_print(out, "%s%u %s", between, n[s], vstatus_word((enum vstatus)s));
        if (n[s])
            between = ", ";
    }
}
