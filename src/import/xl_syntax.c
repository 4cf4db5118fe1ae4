/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xl_syntax.c - see xl.h.
 *
 * Document: xl.cfg(5) and xl-disk-configuration(5) of Xen 4.17. The older xm files were Python
 * programs; those that only assign values are read, the others are refused.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/xl.h"

enum { XL_DEPTH = 8, XL_WORD = 16 << 10 };

struct lexer {
    struct reading *r;
    const char *at;
    unsigned line;
};

static int bad(struct lexer *x, const char *what)
{
    return err_exit(x->r->e, EX_BAD_INPUT, EINVAL, "line %u: %s", x->line, what);
}

/* Spaces and comments; line ends only where `lines` says that they do not matter. */
static void skip(struct lexer *x, bool lines)
{
    for (;; x->at++) {
        if (*x->at == '#')
            x->at += strcspn(x->at, "\n");
        if (*x->at == '\\' && x->at[1] == '\n')
            x->at++;
        else if (*x->at == '\n' && !lines)
            return;
        if (*x->at == '\n')
            x->line++;
        else if (*x->at != ' ' && *x->at != '\t' && *x->at != '\r')
            return;
    }
}

static int quoted(struct lexer *x, char *out)
{
    char quote = *x->at++, three[3] = "";
    size_t n = 0;

    if (x->at[0] == quote && x->at[1] == quote) {
        three[0] = three[1] = quote;
        x->at += 2;
    }
    for (; *x->at != quote || strncmp(x->at + 1, three, strlen(three)) != 0; x->at++) {
        char c = *x->at;

        if (c == '\0' || (c == '\n' && !*three))
            return bad(x, "a text has no end");
        x->line += c == '\n';
        if (c == '\\' && x->at[1] && x->at[1] != '\n') {
            c = *++x->at;
            c = (char)(c == 'n' ? '\n' : c == 't' ? '\t' : c);
        }
        if (n == XL_WORD - 1)
            return bad(x, "a text is too long");
        out[n++] = c;
    }
    x->at += 1 + strlen(three);
    out[n] = '\0';
    return 0;
}

static int bare(struct lexer *x, char *out)
{
    size_t n = strspn(x->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.");

    if (n == 0 || n >= XL_WORD)
        return bad(x, "a value is neither a text in quotes, a number nor a list");
    memcpy(out, x->at, n);
    out[n] = '\0';
    x->at += n;
    if (!isdigit((unsigned char)out[0]) && out[0] != '-' && strcmp(out, "True") != 0 &&
        strcmp(out, "False") != 0 && strcmp(out, "None") != 0)
        return bad(x, "nothing is computed or executed; write the value itself");
    return 0;
}

/* --- parts of a value --- */

int xl_split(struct reading *r, struct node *n, const char *text, const char *word)
{
    char *copy = strdup(text), *save, *part;
    int rc = copy ? 0 : err_set(r->e, ENOMEM, "no memory for the description");

    for (part = copy ? strtok_r(copy, ",", &save) : NULL; part && rc == 0;
         part = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(part, '=');

        part += strspn(part, " ");
        if (eq)
            *eq = '\0';
        if (!tree_add(&r->t, n,
                      eq     ? part
                      : word ? word
                             : "flag",
                      eq ? eq + 1 : part, n->line, r->e))
            rc = -r->e->code;
        if (!eq)
            word = NULL;
    }
    free(copy);
    return rc;
}

static int put(struct reading *r, struct node *n, const char *name, const char *value)
{
    return tree_add(&r->t, n, name, value, n->line, r->e) ? 0 : -r->e->code;
}

/* "tap2:aio:/x.img": what stands before the file names programs of old. */
static int put_target(struct reading *r, struct node *n, char *text)
{
    static const char *const kinds[] = {
        "phy:", "file:", "tap:", "tap2:", "aio:", "raw:", "qcow:", "qcow2:", "vhd:", "qdisk:"};
    bool again = true;
    int rc = 0;

    while (again && rc == 0) {
        again = false;
        for (size_t i = 0; i < ARRAY_SIZE(kinds) && !again && rc == 0; i++) {
            size_t len = strlen(kinds[i]);

            if (strncmp(text, kinds[i], len) != 0)
                continue;
            text[len - 1] = '\0';
            rc = put(r, n, "driver", text);
            text += len;
            again = true;
        }
    }
    return rc < 0 ? rc : put(r, n, "target", text);
}

static bool is_format(const char *word)
{
    static const char *const formats[] = {"raw", "qcow", "qcow2", "vhd", "qed", "vdi", "vmdk"};

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (strcmp(word, formats[i]) == 0)
            return true;
    }
    return false;
}

/* The next positional part: target, format, vdev, access; old files leave the format out. */
static int put_positional(struct reading *r, struct node *n, char *word, unsigned *place)
{
    char *colon;
    int rc;

    if (*place == 1 && !is_format(word) && *word)
        (*place)++;
    switch ((*place)++) {
    case 0:
        return put_target(r, n, word);
    case 1:
        return put(r, n, "format", word);
    case 2:
        colon = strchr(word, ':');
        if (colon)
            *colon = '\0';
        rc = put(r, n, "vdev", word);
        return rc < 0 || !colon ? rc : put(r, n, "devtype", colon + 1);
    case 3:
        return put(r, n, "access", word);
    default:
        return put(r, n, "flag", word);
    }
}

int xl_split_disk(struct reading *r, struct node *n, const char *text)
{
    char *copy = strdup(text), *at = copy;
    unsigned place = 0;
    int rc = copy ? 0 : err_set(r->e, ENOMEM, "no memory for the description");

    while (at && rc == 0) {
        char *end, *eq;

        at += strspn(at, " ");
        if (strncmp(at, "target=", 7) == 0) { /* the rest of the text, commas and all */
            rc = put_target(r, n, at + 7);
            break;
        }
        end = strchr(at, ',');
        if (end)
            *end = '\0';
        eq = strchr(at, '=');
        if (eq && strchr(at, '/') && strchr(at, '/') < eq)
            eq = NULL; /* of a file's name */
        if (eq) {
            *eq = '\0';
            rc = put(r, n, at, eq + 1);
        } else if (strcmp(at, "cdrom") == 0 && place > 0) {
            rc = put(r, n, "devtype", at);
        } else {
            rc = put_positional(r, n, at, &place);
        }
        at = end ? end + 1 : NULL;
    }
    free(copy);
    return rc;
}

/* A text in a list; n is its node, up to now without a value. */
static int take_text(struct reading *r, struct node *n, const char *text)
{
    const char *list = n->up->name;

    if (n->up->up == &r->t.top && strcmp(list, "disk") == 0)
        return xl_split_disk(r, n, text);
    if (*text && n->up->up == &r->t.top && (strcmp(list, "vif") == 0 || strcmp(list, "vfb") == 0))
        return xl_split(r, n, text, NULL);
    return tree_value(&r->t, n, text, strlen(text), r->e);
}

/* --- values and statements --- */

static int value(struct lexer *x, struct node *n, char *word, unsigned depth);

static int list(struct lexer *x, struct node *n, char *word, unsigned depth)
{
    unsigned count = 0;
    int rc = 0;

    if (depth == XL_DEPTH)
        return bad(x, "lists are nested too deeply");
    x->at++;
    for (;;) {
        char name[16];
        struct node *item;

        skip(x, true);
        if (*x->at == ']') {
            x->at++;
            return n->child ? 0 : tree_value(&x->r->t, n, "", 0, x->r->e);
        }
        snprintf(name, sizeof(name), "%u", count++);
        item = tree_add(&x->r->t, n, name, NULL, x->line, x->r->e);
        rc = item ? value(x, item, word, depth + 1) : -x->r->e->code;
        if (rc < 0)
            return rc;
        skip(x, true);
        if (*x->at == ',')
            x->at++;
        else if (*x->at != ']')
            return bad(x, "a list goes on without a comma");
    }
}

static int value(struct lexer *x, struct node *n, char *word, unsigned depth)
{
    int rc;

    if (*x->at == '[')
        return list(x, n, word, depth);
    rc = *x->at == '"' || *x->at == '\'' ? quoted(x, word) : bare(x, word);
    if (rc == 0)
        rc = take_text(x->r, n, word);
    /* 'a' 'b' and 'a' % x are Python. */
    skip(x, depth > 0);
    if (rc == 0 && *x->at && !strchr(",];\n", *x->at))
        rc = bad(x, "nothing is computed or executed; write the value itself");
    return rc;
}

static int statement(struct lexer *x, char *word)
{
    size_t n = strspn(x->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    struct node *node, *old;
    char name[128];
    int rc;

    if (n == 0 || n >= sizeof(name))
        return bad(x, "not `key = value`");
    memcpy(name, x->at, n);
    name[n] = '\0';
    x->at += n;
    skip(x, false);
    if (x->at[0] != '=' || x->at[1] == '=')
        return bad(x, "not `key = value`; programs are not executed");
    x->at++;
    skip(x, false);
    old = tree_find(&x->r->t, &x->r->t.top, name);
    if (old)
        read_drop_all(x->r, old, "the key is there again; the last one counts");
    if (old)
        old->name = "";
    if (x->r->rc < 0)
        return x->r->rc;
    node = tree_add(&x->r->t, &x->r->t.top, name, NULL, x->line, x->r->e);
    rc = node ? value(x, node, word, 0) : -x->r->e->code;
    if (rc < 0)
        return rc;
    skip(x, false);
    if (*x->at == ';')
        x->at++;
    else if (*x->at && *x->at != '\n')
        return bad(x, "something follows the value");
    return 0;
}

int xl_parse(struct reading *r)
{
    struct lexer x = {.r = r, .at = r->f->text, .line = 1};
    char *word = malloc(XL_WORD);
    int rc = word ? 0 : err_set(r->e, ENOMEM, "no memory for the description");

    if (rc == 0 && strlen(r->f->text) != r->f->size)
        rc = err_exit(r->e, EX_BAD_INPUT, EINVAL, "there is a NUL in it, so it is no text");
    while (rc == 0) {
        skip(&x, true);
        if (!*x.at)
            break;
        rc = statement(&x, word);
    }
    free(word);
    return rc;
}
