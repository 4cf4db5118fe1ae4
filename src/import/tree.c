/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - see tree.h. */
#include "import/tree.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"

enum { CHUNK = 64 << 10 };

struct tree_chunk {
    struct tree_chunk *next;
    size_t used, room;
    _Alignas(16) char bytes[];
};

void tree_init(struct tree *t, char separator)
{
    *t = (struct tree){.separator = separator, .top.name = ""};
}

void tree_free(struct tree *t)
{
    struct tree_chunk *next;

    for (struct tree_chunk *c = t->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    free(t->hash);
    tree_init(t, t->separator);
}

static size_t bucket(const struct node *up, const char *name)
{
    uint64_t h = (uint64_t)(uintptr_t)up * UINT64_C(0x9e3779b97f4a7c15);

    for (; *name; name++)
        h = (h ^ (uint8_t)tolower((unsigned char)*name)) * UINT64_C(0x100000001b3);
    return (size_t)(h >> 40) % TREE_HASH;
}

struct node *tree_find(const struct tree *t, const struct node *up, const char *name)
{
    struct node *n = t->hash ? t->hash[bucket(up, name)] : NULL;

    while (n && (n->up != up || strcasecmp(n->name, name) != 0))
        n = n->same;
    return n;
}

int tree_again(struct tree *t, struct node *n, const char *value, unsigned line, struct err *e)
{
    n->line = line;
    n->told = false;
    return tree_value(t, n, value, strlen(value), e);
}

static void *tree_take(struct tree *t, size_t n, struct err *e)
{
    struct tree_chunk *c = t->chunks;
    void *p;

    n = (size_t)align_up(n, 16);
    if (n > TREE_BYTES - t->bytes) {
        (void)err_exit(e, EX_BAD_INPUT, E2BIG,
                       "it holds more than %d MiB; that is no description of one machine",
                       TREE_BYTES >> 20);
        return NULL;
    }
    if (!c || n > c->room - c->used) {
        size_t room = n > CHUNK ? n : CHUNK;

        c = malloc(sizeof(*c) + room);
        if (!c) {
            (void)err_set(e, ENOMEM, "no memory for the description");
            return NULL;
        }
        *c = (struct tree_chunk){.next = t->chunks, .room = room};
        t->chunks = c;
    }
    p = c->bytes + c->used;
    c->used += n;
    t->bytes += n;
    return p;
}

/* How many bytes at s are one character of UTF-8; 0: none. */
static size_t character(const uint8_t *s, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    uint32_t c = len > 1 ? s[0] & (0x7fu >> len) : s[0];

    if (len == 0 || len > n || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    return c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : len;
}

/* All texts are UTF-8 from here on: what is none is taken as Latin-1, byte by byte. */
static const char *tree_text(struct tree *t, const char *text, size_t n, struct err *e)
{
    const uint8_t *from = (const uint8_t *)text;
    size_t extra = 0, used = 0, len;
    char *s;

    for (size_t i = 0; i < n; i += len ? len : 1) {
        len = character(from + i, n - i);
        extra += len == 0;
    }
    s = tree_take(t, n + extra + 1, e);
    if (!s)
        return NULL;
    for (size_t i = 0; i < n; i += len ? len : 1) {
        len = character(from + i, n - i);
        if (len) {
            memcpy(s + used, from + i, len);
            used += len;
        } else {
            s[used++] = (char)(0xc0 | from[i] >> 6);
            s[used++] = (char)(0x80 | (from[i] & 0x3f));
        }
    }
    s[used] = '\0';
    return s;
}

struct node *tree_add(struct tree *t, struct node *up, const char *name, const char *value,
                      unsigned line, struct err *e)
{
    unsigned depth = 1;
    struct node *n;

    for (const struct node *at = up->up; at; at = at->up)
        depth++;
    if (depth > TREE_DEPTH || t->nodes == TREE_NODES) {
        (void)err_exit(e, EX_BAD_INPUT, E2BIG, "line %u: %s: that is no description of one machine",
                       line, depth > TREE_DEPTH ? "nested too deeply" : "too many keys");
        return NULL;
    }
    n = tree_take(t, sizeof(*n), e);
    if (!n)
        return NULL;
    *n = (struct node){.up = up, .line = line};
    n->name = tree_text(t, name, strlen(name), e);
    n->value = value ? tree_text(t, value, strlen(value), e) : NULL;
    if (!n->name || (value && !n->value))
        return NULL;
    if (!t->hash && !(t->hash = calloc(TREE_HASH, sizeof(*t->hash)))) {
        (void)err_set(e, ENOMEM, "no memory for the description");
        return NULL;
    }
    n->same = t->hash[bucket(up, name)];
    t->hash[bucket(up, name)] = n;
    t->nodes++;
    if (up->last)
        up->last->next = n;
    else
        up->child = n;
    up->last = n;
    return n;
}

int tree_value(struct tree *t, struct node *n, const char *value, size_t len, struct err *e)
{
    const char *s = tree_text(t, value, strnlen(value, len), e);

    if (!s)
        return -e->code;
    n->value = s;
    return 0;
}

/* --- finding --- */

static struct node *find(struct node *n, const char *name, size_t len)
{
    for (; n; n = n->next) {
        if (strncasecmp(n->name, name, len) == 0 && n->name[len] == '\0')
            return n;
    }
    return NULL;
}

struct node *node_get(const struct node *n, const char *path)
{
    while (n && *path) {
        size_t len = strcspn(path, "/");

        n = find(n->child, path, len);
        path += len + (path[len] == '/');
    }
    return (struct node *)n;
}

const char *node_text(const struct node *n, const char *path)
{
    n = node_get(n, path);
    return n ? n->value : NULL;
}

struct node *node_first(const struct node *n, const char *name)
{
    if (!n || !n->child || !name)
        return n ? n->child : NULL;
    return find(n->child, name, strlen(name));
}

struct node *node_next(const struct node *n, const char *name)
{
    return name ? find(n->next, name, strlen(name)) : n->next;
}

bool node_is(const struct node *n, const char *value)
{
    return n && n->value && strcasecmp(n->value, value) == 0;
}

struct node *node_walk(const struct node *root, const struct node *at)
{
    if (!at)
        return root->child;
    if (at->child)
        return at->child;
    while (at && at != root && !at->next)
        at = at->up;
    return at && at != root ? at->next : NULL;
}

void node_path(const struct tree *t, const struct node *n, char out[TREE_PATH])
{
    size_t at = TREE_PATH - 1;

    out[at] = '\0';
    for (; n && n->up; n = n->up) {
        size_t len = strlen(n->name);

        if (out[at] && at > 0)
            out[--at] = t->separator;
        if (len > at)
            break;
        at -= len;
        memcpy(out + at, n->name, len);
    }
    memmove(out, out + at, TREE_PATH - at);
}
