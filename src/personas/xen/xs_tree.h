/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xs_tree.h - the tree of xenstore as a value.
 *
 * A tree is a reference to a root. Copying the reference is a snapshot: a change copies only the
 * nodes between the root and the place of change that somebody else also refers to. A transaction
 * is therefore a second reference, and dropping it undoes it.
 *
 * Paths here are absolute and valid (see xs_path_valid). Everything runs on the loop's thread.
 */
#ifndef HOSPES_PERSONAS_XEN_XS_TREE_H
#define HOSPES_PERSONAS_XEN_XS_TREE_H

#include "core/core.h"

enum { XS_MAX_PERMS = 8 };
enum xs_perm_bits { XS_PERM_NONE = 0, XS_PERM_READ = 1, XS_PERM_WRITE = 2 };

/* The first entry names the owner, and what everybody else may do. */
struct xs_perms {
    unsigned n;
    struct {
        uint16_t domid;
        uint8_t bits;
    } p[XS_MAX_PERMS];
};

struct xs_node {
    unsigned refs;
    uint64_t generation; /* changes with value, permissions and the list of children */
    struct xs_perms perms;
    uint8_t *value;
    size_t len;
    struct xs_node **child; /* sorted by name */
    size_t children;
    char name[];
};

struct xs_tree {
    struct xs_node *root;
    unsigned owned; /* nodes that belong to guests */
};

/* -ENOMEM. */
MUST int xs_tree_init(struct xs_tree *t);
void xs_tree_fini(struct xs_tree *t);
/* Makes *to a snapshot of *from; *to is uninitialised before. */
void xs_tree_copy(struct xs_tree *to, const struct xs_tree *from);

const struct xs_node *xs_tree_find(const struct xs_tree *t, const char *path);
/* The node, or where it is missing the nearest one above it. Never NULL. */
const struct xs_node *xs_tree_nearest(const struct xs_tree *t, const char *path);

/* Writes a value; creates the node and missing ones above it, each with the permissions of the one
 * above but owned by `creator` (domain 0 leaves the owner). generation is what changed nodes get.
 * value NULL: keep an existing node as it is (MKDIR). -ENOMEM. */
MUST int xs_tree_write(struct xs_tree *t, const char *path, const void *value, size_t len,
                       uint16_t creator, uint64_t generation);
MUST int xs_tree_set_perms(struct xs_tree *t, const char *path, const struct xs_perms *perms,
                           uint64_t generation);
/* Removes the node and all below. -ENOENT. */
MUST int xs_tree_remove(struct xs_tree *t, const char *path, uint64_t generation);

/* Runs fn on every node of the subtree, with its full path. */
typedef void xs_visit_fn(void *arg, const char *path, const struct xs_node *n);
void xs_tree_walk(const struct xs_node *n, const char *path, xs_visit_fn *fn, void *arg);

/* What a domain may do with a node; domain 0 may do all. */
unsigned xs_perm_of(const struct xs_node *n, uint16_t domid);

#endif
