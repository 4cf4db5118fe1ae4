/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml.c - see xml.h. libxml2's SAX interface, so that no document of its own is built.
 *
 * A document type is refused before the parser sees it, so neither entity bombs nor external
 * entities can be. For that search to be right the text must be an extension of ASCII: UTF-16 is
 * converted first, and other encodings than a few known ones are refused.
 */
#define _GNU_SOURCE
#include "import/xml.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dl.h"
#include "core/err.h"
#include "storage/utf.h"

enum { XML_TEXT_MAX = 1 << 20 };

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(xmlCreatePushParserCtxt);
DL_DECLARE(xmlCtxtUseOptions);
DL_DECLARE(xmlFreeParserCtxt);
DL_DECLARE(xmlParseChunk);
DL_DECLARE(xmlStopParser);
DL_DECLARE(xmlSAX2GetLineNumber);
static const struct dl_symbol libxml2[] = {
    DL_SYMBOL(xmlCreatePushParserCtxt),
    DL_SYMBOL(xmlCtxtUseOptions),
    DL_SYMBOL(xmlFreeParserCtxt),
    DL_SYMBOL(xmlParseChunk),
    DL_SYMBOL(xmlStopParser),
    DL_SYMBOL(xmlSAX2GetLineNumber),
    {NULL, NULL},
};
#define xmlCreatePushParserCtxt dl_xmlCreatePushParserCtxt
#define xmlCtxtUseOptions dl_xmlCtxtUseOptions
#define xmlFreeParserCtxt dl_xmlFreeParserCtxt
#define xmlParseChunk dl_xmlParseChunk
#define xmlStopParser dl_xmlStopParser
#define xmlSAX2GetLineNumber dl_xmlSAX2GetLineNumber

struct xml {
    struct reading *r;
    xmlParserCtxtPtr ctx;
    struct node *at;
    char *text; /* of the element at hand */
    size_t len, room;
};

/* Does nothing when rc says that all is well. */
static void stop(struct xml *x, int rc)
{
    if (rc == 0)
        return;
    if (x->r->rc == 0)
        x->r->rc = rc;
    xmlStopParser(x->ctx);
}

static unsigned line_of(const struct xml *x)
{
    int n = xmlSAX2GetLineNumber(x->ctx);

    return n > 0 ? (unsigned)n : 0;
}

/* --- what the parser calls --- */

/* The text up to here belongs to the element at hand; only what is more than space is a value. */
static void flush(struct xml *x)
{
    size_t from = 0, to = x->len, old;
    char *joined;

    while (from < to && isspace((unsigned char)x->text[from]))
        from++;
    while (to > from && isspace((unsigned char)x->text[to - 1]))
        to--;
    x->len = 0;
    if (from == to || x->r->rc < 0)
        return;
    if (!x->at->value) {
        stop(x, tree_value(&x->r->t, x->at, x->text + from, to - from, x->r->e));
        return;
    }
    old = strlen(x->at->value); /* text on both sides of a child */
    joined = malloc(old + 1 + to - from);
    if (!joined) {
        stop(x, err_set(x->r->e, ENOMEM, "no memory for the description"));
        return;
    }
    memcpy(joined, x->at->value, old);
    joined[old] = ' ';
    memcpy(joined + old + 1, x->text + from, to - from);
    stop(x, tree_value(&x->r->t, x->at, joined, old + 1 + to - from, x->r->e));
    free(joined);
}

static void on_text(void *arg, const xmlChar *s, int n)
{
    struct xml *x = ((xmlParserCtxtPtr)arg)->_private;
    size_t add = n > 0 ? (size_t)n : 0;

    if (x->r->rc < 0)
        return;
    if (add > XML_TEXT_MAX - x->len) {
        stop(x, err_exit(x->r->e, EX_BAD_INPUT, E2BIG, "line %u: a text of more than 1 MiB",
                         line_of(x)));
        return;
    }
    if (x->len + add > x->room) {
        size_t room = (x->len + add) * 2;
        char *grown = realloc(x->text, room);

        if (!grown) {
            stop(x, err_set(x->r->e, ENOMEM, "no memory for the description"));
            return;
        }
        x->text = grown;
        x->room = room;
    }
    if (add)
        memcpy(x->text + x->len, s, add);
    x->len += add;
}

/* One attribute: libxml2 gives local name, prefix, URI, begin and end of the value. */
static int add_attribute(struct xml *x, const xmlChar **a)
{
    size_t len = (size_t)(a[4] - a[3]), used = 0;
    char name[256], *value = malloc(len + 1);
    struct node *n;
    int rc;

    if (!value)
        return err_set(x->r->e, ENOMEM, "no memory for the description");
    /* The parser leaves an ampersand in an attribute written as a reference. */
    for (size_t i = 0; i < len; used++) {
        bool reference = len - i >= 5 && memcmp(a[3] + i, "&#38;", 5) == 0;

        value[used] = (char)a[3][i];
        i += reference ? 5 : 1;
    }
    snprintf(name, sizeof(name), "@%s", (const char *)a[0]);
    n = tree_add(&x->r->t, x->at, name, "", line_of(x), x->r->e);
    rc = n ? tree_value(&x->r->t, n, value, used, x->r->e) : -x->r->e->code;
    free(value);
    return rc;
}

/* NOLINTNEXTLINE(readability-function-size): the signature is libxml2's */
static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespaces, const xmlChar **ns, int attributes, int defaulted,
                     const xmlChar **attribute)
{
    struct xml *x = ((xmlParserCtxtPtr)arg)->_private;
    struct node *n;

    if (x->r->rc < 0)
        return;
    flush(x);
    n = tree_add(&x->r->t, x->at, (const char *)name, NULL, line_of(x), x->r->e);
    if (!n) {
        stop(x, -x->r->e->code);
        return;
    }
    x->at = n;
    for (int i = 0; i < attributes && x->r->rc == 0; i++)
        stop(x, add_attribute(x, attribute + 5 * i));
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct xml *x = ((xmlParserCtxtPtr)arg)->_private;

    if (x->r->rc < 0)
        return;
    flush(x);
    if (x->r->rc == 0 && !x->at->value && !x->at->child)
        stop(x, tree_value(&x->r->t, x->at, "", 0, x->r->e));
    if (x->at->up)
        x->at = x->at->up;
}

static void on_subset(void *arg, const xmlChar *name, const xmlChar *external,
                      const xmlChar *system)
{
    struct xml *x = ((xmlParserCtxtPtr)arg)->_private;

    stop(x, err_exit(x->r->e, EX_BAD_INPUT, EINVAL,
                     "line %u: a document type is refused; machine descriptions have none",
                     line_of(x)));
}

static void on_error(void *arg, xmlErrorPtr error)
{
    struct xml *x = ((xmlParserCtxtPtr)arg)->_private;
    const char *text = error->message ? error->message : "broken XML";

    if (error->level < XML_ERR_ERROR || x->r->rc < 0)
        return;
    /* A prefix without a namespace does not matter: names are taken by their local part. */
    if (error->domain == XML_FROM_NAMESPACE)
        return;
    stop(x, err_exit(x->r->e, EX_BAD_INPUT, EINVAL, "line %d: broken XML: %.*s", error->line,
                     (int)strcspn(text, "\n"), text));
}

/* --- encodings --- */

static bool utf16(const char *s, size_t n, bool *big)
{
    *big = n >= 2 && (uint8_t)s[0] == 0xfe && (uint8_t)s[1] == 0xff;
    return *big || (n >= 2 && (uint8_t)s[0] == 0xff && (uint8_t)s[1] == 0xfe);
}

/* Does the declaration, if any, name an encoding in which ASCII is ASCII? */
static bool plain_encoding(const char *s)
{
    static const char *const known[] = {"utf-8",        "utf8",         "us-ascii", "ascii",
                                        "iso-8859-1",   "iso-8859-15",  "latin1",   "windows-1252",
                                        "windows-1250", "windows-1251", "cp1252",   "iso-8859-2"};
    const char *end = strncmp(s, "<?xml", 5) == 0 ? strstr(s, "?>") : NULL, *at;

    at = end ? memmem(s, (size_t)(end - s), "encoding", 8) : NULL;
    if (!at)
        return true;
    at += strcspn(at, "\"'>");
    at += *at == '"' || *at == '\'';
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        size_t n = strlen(known[i]);

        if (strncasecmp(at, known[i], n) == 0 && (at[n] == '"' || at[n] == '\''))
            return true;
    }
    return false;
}

static int xml_run(struct xml *x, const char *text, size_t n)
{
    static const xmlSAXHandler handler = {
        .initialized = XML_SAX2_MAGIC,
        .internalSubset = on_subset,
        .characters = on_text,
        .ignorableWhitespace = on_text,
        .cdataBlock = on_text,
        .startElementNs = on_start,
        .endElementNs = on_end,
        .serror = on_error,
    };
    xmlSAXHandler sax = handler; /* is copied */
    bool whole;
    int rc = dl_load("libxml2.so.2", "libxml2", libxml2, x->r->e);

    if (rc < 0)
        return rc;
    x->ctx = xmlCreatePushParserCtxt(&sax, NULL, NULL, 0, NULL);
    if (!x->ctx)
        return err_set(x->r->e, ENOMEM, "no memory for the description");
    x->ctx->_private = x;
    xmlCtxtUseOptions(x->ctx, XML_PARSE_NONET);
    x->ctx->_private = x;
    (void)xmlParseChunk(x->ctx, text, (int)n, 1);
    whole = x->ctx->wellFormed && x->r->t.top.child;
    xmlFreeParserCtxt(x->ctx);
    if (x->r->rc == 0 && !whole)
        return err_exit(x->r->e, EX_BAD_INPUT, EINVAL, "it holds no whole XML document");
    return x->r->rc;
}

int xml_parse(struct reading *r)
{
    struct xml x = {.r = r, .at = &r->t.top};
    const char *text = r->f->text;
    size_t n = r->f->size;
    char *made = NULL;
    bool big;

    if (utf16(text, n, &big)) {
        made = utf16_text((const uint8_t *)text + 2, (n - 2) / 2, big);
        if (!made)
            return err_set(r->e, ENOMEM, "no memory for the description");
        text = made;
        n = strlen(made);
        /* The declaration still says UTF-16; blank it. */
        if (strncmp(made, "<?xml", 5) == 0) {
            char *end = strstr(made, "?>");

            memset(made, ' ', end ? (size_t)(end + 2 - made) : 0);
        }
    } else if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n -= 3;
    }
    if (memchr(text, '\0', n))
        r->rc = err_exit(r->e, EX_BAD_INPUT, EINVAL, "there is a NUL in it, so it is no text");
    else if (!plain_encoding(text))
        r->rc = err_exit(r->e, EX_BAD_INPUT, EINVAL,
                         "its character encoding is not known; save it as UTF-8");
    else if (strcasestr(text, "<!DOCTYPE") || strcasestr(text, "<!ENTITY"))
        r->rc = err_exit(r->e, EX_BAD_INPUT, EINVAL,
                         "a document type is refused; machine descriptions have none");
    else
        r->rc = xml_run(&x, text, n);
    free(x.text);
    free(made);
    return r->rc;
}

bool xml_probe(const char *head, size_t n, const char *element)
{
    size_t len = strlen(element);
    char *made = NULL, *text;
    bool big, hit = false;

    if (utf16(head, n, &big))
        made = utf16_text((const uint8_t *)head + 2, (n - 2) / 2, big);
    else
        made = strndup(head, n);
    if (!made)
        return false;
    text = made;
    while ((text = strchr(text, '<'))) {
        if (strncmp(text, "<!--", 4) == 0) {
            text = strstr(text, "-->");
            if (!text)
                break;
        } else if (text[1] == '?' || text[1] == '!') {
            text++;
        } else {
            size_t name = strcspn(++text, " \t\r\n/>"), prefix = strcspn(text, ":");

            if (prefix < name) {
                text += prefix + 1;
                name -= prefix + 1;
            }
            hit = name == len && strncasecmp(text, element, len) == 0;
            break;
        }
    }
    free(made);
    return hit;
}
