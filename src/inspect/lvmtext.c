/* SPDX-License-Identifier: Apache-2.0 */
/* lvmtext.c - see lvmtext.h. All nodes lie in one array, so that a tree is freed at once. */
#include "inspect/lvmtext.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_NODES = 20000, TEXT_DEPTH = 16 };

struct text {
    char *at;
    struct text_node *nodes;
    size_t n, room;
    char *pending; /* where a word's end must be cut once its follower is known */
};

static char *skip(struct text *t)
{
    for (;;) {
        while (isspace((unsigned char)*t->at))
            t->at++;
        if (*t->at != '#')
            return t->at;
        t->at += strcspn(t->at, "\n");
    }
}

/* Ends the word before the current character, which has been looked at. */
static void cut(struct text *t)
{
    if (t->pending)
        *t->pending = '\0';
    t->pending = NULL;
}

static struct text_node *node_new(struct text *t, struct text_node *parent, const char *name)
{
    struct text_node *n;

    if (t->n == t->room)
        return NULL;
    n = &t->nodes[t->n++];
    *n = (struct text_node){.name = name, .value = ""};
    if (parent && parent->last)
        parent->last->next = n;
    else if (parent)
        parent->first = n;
    if (parent)
        parent->last = n;
    return n;
}

static const char *word(struct text *t)
{
    char *from = t->at;

    if (*from == '"') {
        from = ++t->at;
        while (*t->at && *t->at != '"')
            t->at += 1 + (*t->at == '\\' && t->at[1]);
        if (*t->at != '"')
            return NULL;
        *t->at++ = '\0';
        return from;
    }
    while (isalnum((unsigned char)*t->at) || strchr("_-.+/@:", *t->at)) {
        if (!*t->at)
            break;
        t->at++;
    }
    if (t->at == from)
        return NULL;
    t->pending = t->at;
    return from;
}

static int list(struct text *t, struct text_node *n)
{
    for (t->at++;;) {
        struct text_node *item;
        char c = *skip(t);

        cut(t); /* which may put an end in the place of c */
        if (c == ']') {
            t->at++;
            return 0;
        }
        if (c == ',') {
            t->at++;
            continue;
        }
        item = node_new(t, n, "");
        if (!item)
            return -E2BIG;
        item->value = word(t);
        if (!item->value)
            return -EINVAL;
    }
}

static int section(struct text *t, struct text_node *n, unsigned depth)
{
    for (;;) {
        struct text_node *child;
        const char *name;
        char c = *skip(t);
        int rc = 0;

        cut(t);
        if (c == '\0' || c == '}') {
            if ((c == '}') != (depth > 0))
                return -EINVAL;
            t->at += c == '}';
            return 0;
        }
        name = word(t);
        c = name ? *skip(t) : '\0';
        cut(t);
        if (c != '=' && c != '{')
            return -EINVAL;
        child = node_new(t, n, name);
        t->at++;
        if (!child)
            return -E2BIG;
        if (c == '{')
            rc = depth == TEXT_DEPTH ? -E2BIG : section(t, child, depth + 1);
        else if (*skip(t) == '[')
            rc = list(t, child);
        else
            rc = (child->value = word(t)) ? 0 : -EINVAL;
        if (rc < 0) {
            child->value = "";
            return rc;
        }
    }
}

int text_parse(char *text, struct text_node **top)
{
    struct text t = {.at = text};
    int rc;

    /* Every node has a sign of its own in the text, so this is enough, and a small file is small.
     */
    t.room = 2;
    for (const char *c = text; *c && t.room < TEXT_NODES; c++)
        t.room += *c == '=' || *c == '{' || *c == ',' || *c == '[';
    t.nodes = calloc(t.room, sizeof(*t.nodes));
    if (!t.nodes)
        return -ENOMEM;
    rc = section(&t, node_new(&t, NULL, ""), 0);
    cut(&t);
    *top = t.nodes;
    if (rc < 0) {
        free(t.nodes);
        *top = NULL;
    }
    return rc;
}

void text_free(struct text_node *top)
{
    free(top);
}

const struct text_node *text_child(const struct text_node *n, const char *name)
{
    for (n = n ? n->first : NULL; n; n = n->next) {
        if (strcmp(n->name, name) == 0)
            return n;
    }
    return NULL;
}

const char *text_string(const struct text_node *n, const char *name)
{
    const struct text_node *c = text_child(n, name);

    return c && *c->value ? c->value : NULL;
}

uint64_t text_number(const struct text_node *n, const char *name)
{
    const char *s = text_string(n, name);

    return s ? strtoull(s, NULL, 10) : 0;
}
