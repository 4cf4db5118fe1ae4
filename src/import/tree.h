/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - a description in memory: names, values and lines, whatever its syntax was.
 *
 * A leaf is a key: a node with a value. A node without one only holds others. Names are compared
 * without regard to case. All texts are UTF-8, whatever the file was in. Everything lies in the
 * tree's own memory, bounded by TREE_NODES and TREE_BYTES whatever the file says.
 */
#ifndef HOSPES_IMPORT_TREE_H
#define HOSPES_IMPORT_TREE_H

#include "core/core.h"

enum {
    TREE_NODES = 20000,
    TREE_HASH = 4096,
    TREE_BYTES = 12 << 20,
    TREE_DEPTH = 64,
    TREE_PATH = 512
};

struct node {
    const char *name;
    const char *value; /* NULL: no key, only a place for others */
    unsigned line;     /* 0: the format has none */
    bool told;         /* the report has it */
    struct node *up, *child, *last, *next;
    struct node *same; /* another of tree_find()'s chain */
};

struct tree {
    struct node top; /* without a name; what the file holds lies below */
    char separator;  /* of the parts of a path: '/' or '.' */
    size_t nodes, bytes;
    struct tree_chunk *chunks;
    struct node **hash;
};

/* Zeroed is an empty tree, but for the separator. */
void tree_init(struct tree *t, char separator);
void tree_free(struct tree *t);

/* Adds a node below `up` after its present ones; name and value are copied. NULL: too many nodes,
 * too many bytes, too deep or no memory, which e then says. */
MUST struct node *tree_add(struct tree *t, struct node *up, const char *name, const char *value,
                           unsigned line, struct err *e);
/* Sets or replaces a value of n bytes; a NUL inside ends it. -errno with e. */
MUST int tree_value(struct tree *t, struct node *n, const char *value, size_t len, struct err *e);

/* The last child of `up` that was added with that name; fast however many there are. */
struct node *tree_find(const struct tree *t, const struct node *up, const char *name);
/* Gives a key a new value and line, and takes it as not told: for a key that is there again. */
MUST int tree_again(struct tree *t, struct node *n, const char *value, unsigned line,
                    struct err *e);

/* The first node below n on the path "a/b/@c" (always with '/'); NULL: none, or n is NULL. */
struct node *node_get(const struct node *n, const char *path);
/* Its value; NULL when there is none. */
const char *node_text(const struct node *n, const char *path);
/* The children with that name, one after another; NULL: every one. */
struct node *node_first(const struct node *n, const char *name);
struct node *node_next(const struct node *n, const char *name);
bool node_is(const struct node *n, const char *value); /* without regard to case; NULL: false */

/* The next node of the whole tree below `root`, parents first; `at` NULL: the first. */
struct node *node_walk(const struct node *root, const struct node *at);

/* "devices/disk/source/@file" in `out`, cut on the left when it is too long. */
void node_path(const struct tree *t, const struct node *n, char out[TREE_PATH]);

#endif
