/* SPDX-License-Identifier: Apache-2.0 */
/* xs_tree.c - see xs_tree.h: a tree of counted nodes, copied on write along one path. */
#include "personas/xen/xs_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xenstore.h"

static struct xs_node *node_new(const char *name, size_t n)
{
    struct xs_node *x = calloc(1, sizeof(*x) + n + 1);

    if (!x)
        return NULL;
    x->refs = 1;
    memcpy(x->name, name, n);
    return x;
}

static void node_put(struct xs_node *n)
{
    if (!n || --n->refs)
        return;
    for (size_t i = 0; i < n->children; i++)
        node_put(n->child[i]);
    free(n->child);
    free(n->value);
    free(n);
}

static struct xs_node *node_clone(const struct xs_node *from)
{
    struct xs_node *n = node_new(from->name, strlen(from->name));

    if (!n)
        return NULL;
    n->generation = from->generation;
    n->perms = from->perms;
    n->len = from->len;
    n->children = from->children;
    n->value = malloc(from->len + 1);
    n->child = calloc(from->children + 1, sizeof(struct xs_node *));
    if (!n->value || !n->child) {
        free(n->value);
        free(n->child);
        free(n);
        return NULL;
    }
    if (from->len)
        memcpy(n->value, from->value, from->len);
    for (size_t i = 0; i < n->children; i++) {
        n->child[i] = from->child[i];
        n->child[i]->refs++;
    }
    return n;
}

/* Makes *slot ours alone, so that it may be changed. */
static int own(struct xs_node **slot)
{
    struct xs_node *n;

    if ((*slot)->refs == 1)
        return 0;
    n = node_clone(*slot);
    if (!n)
        return -ENOMEM;
    node_put(*slot);
    *slot = n;
    return 0;
}

int xs_tree_init(struct xs_tree *t)
{
    t->owned = 0;
    t->root = node_new("", 0);
    if (!t->root)
        return -ENOMEM;
    t->root->perms.n = 1; /* domain 0, nothing for others */
    return 0;
}

void xs_tree_fini(struct xs_tree *t)
{
    node_put(t->root);
    t->root = NULL;
}

void xs_tree_copy(struct xs_tree *to, const struct xs_tree *from)
{
    *to = *from;
    to->root->refs++;
}

/* The next component of *path; returns its length, 0 at the end. */
static size_t component(const char **path, const char **name)
{
    const char *at = *path;
    size_t n;

    while (*at == '/')
        at++;
    n = strcspn(at, "/");
    *name = at;
    *path = at + n;
    return n;
}

/* Where a child is or would be. */
static size_t place(const struct xs_node *n, const char *name, size_t len, bool *found)
{
    size_t lo = 0, hi = n->children;

    *found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strncmp(n->child[mid]->name, name, len);

        if (c == 0 && n->child[mid]->name[len])
            c = 1;
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static const struct xs_node *descend(const struct xs_tree *t, const char *path, bool nearest)
{
    const struct xs_node *n = t->root;
    const char *name;
    size_t len;

    while ((len = component(&path, &name))) {
        bool found;
        size_t i = place(n, name, len, &found);

        if (!found)
            return nearest ? n : NULL;
        n = n->child[i];
    }
    return n;
}

const struct xs_node *xs_tree_find(const struct xs_tree *t, const char *path)
{
    return descend(t, path, false);
}

const struct xs_node *xs_tree_nearest(const struct xs_tree *t, const char *path)
{
    return descend(t, path, true);
}

/* A new child of parent (which is ours) at index i. */
static int insert(struct xs_tree *t, struct xs_node *parent, size_t i, const char *name, size_t len,
                  uint16_t creator, uint64_t generation)
{
    struct xs_node *n = node_new(name, len);
    struct xs_node **grown =
        reallocarray(parent->child, parent->children + 1, sizeof(struct xs_node *));

    if (grown)
        parent->child = grown;
    if (!n || !grown) {
        free(n);
        return -ENOMEM;
    }
    n->generation = generation;
    n->perms = parent->perms;
    if (creator)
        n->perms.p[0].domid = creator;
    t->owned += n->perms.p[0].domid != 0;
    memmove(grown + i + 1, grown + i, (parent->children - i) * sizeof(struct xs_node *));
    grown[i] = n;
    parent->children++;
    parent->generation = generation;
    return 0;
}

/* Makes every node down to path ours; creates missing ones. *out is the last one's slot. */
static int reach(struct xs_tree *t, const char *path, bool create, uint16_t creator,
                 uint64_t generation, struct xs_node ***out, bool *created)
{
    struct xs_node **slot = &t->root;
    const char *name;
    size_t len;
    int rc = own(slot);

    *created = false;
    while (rc == 0 && (len = component(&path, &name))) {
        bool found;
        size_t i = place(*slot, name, len, &found);

        if (!found && !create)
            return -ENOENT;
        if (!found)
            rc = insert(t, *slot, i, name, len, creator, generation);
        if (rc < 0)
            return rc;
        *created = !found;
        slot = &(*slot)->child[i];
        rc = own(slot);
    }
    *out = slot;
    return rc;
}

int xs_tree_write(struct xs_tree *t, const char *path, const void *value, size_t len,
                  uint16_t creator, uint64_t generation)
{
    struct xs_node **slot;
    uint8_t *copy = NULL;
    bool created;
    int rc;

    if (value) {
        copy = malloc(len + 1);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, value, len);
    }
    rc = reach(t, path, true, creator, generation, &slot, &created);
    if (rc < 0) {
        free(copy);
        return rc;
    }
    if (copy) {
        free((*slot)->value);
        (*slot)->value = copy;
        (*slot)->len = len;
        (*slot)->generation = generation;
    }
    return 0;
}

int xs_tree_set_perms(struct xs_tree *t, const char *path, const struct xs_perms *perms,
                      uint64_t generation)
{
    struct xs_node **slot;
    bool created;
    int rc = reach(t, path, false, 0, generation, &slot, &created);

    if (rc < 0)
        return rc;
    t->owned -= (*slot)->perms.p[0].domid != 0;
    t->owned += perms->p[0].domid != 0;
    (*slot)->perms = *perms;
    (*slot)->generation = generation;
    return 0;
}

static unsigned count_owned(const struct xs_node *n)
{
    unsigned sum = n->perms.p[0].domid != 0;

    for (size_t i = 0; i < n->children; i++)
        sum += count_owned(n->child[i]);
    return sum;
}

int xs_tree_remove(struct xs_tree *t, const char *path, uint64_t generation)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    const char *name = strrchr(path, '/');
    struct xs_node **slot, *gone;
    bool found, created;
    size_t i;
    int rc;

    if (!name || !name[1] || (size_t)(name - path) >= sizeof(parent))
        return -EINVAL;
    if (!xs_tree_find(t, path))
        return -ENOENT;
    memcpy(parent, path, (size_t)(name - path));
    parent[name - path] = '\0';
    rc = reach(t, parent, false, 0, generation, &slot, &created);
    if (rc < 0)
        return rc;
    i = place(*slot, name + 1, strlen(name + 1), &found);
    gone = (*slot)->child[i];
    t->owned -= count_owned(gone);
    (*slot)->children--;
    memmove(&(*slot)->child[i], &(*slot)->child[i + 1],
            ((*slot)->children - i) * sizeof(struct xs_node *));
    (*slot)->generation = generation;
    node_put(gone);
    return 0;
}

/* One buffer for the whole walk: paths are long and trees may be deep. */
static void walk(const struct xs_node *n, char *path, size_t len, xs_visit_fn *fn, void *arg)
{
    fn(arg, len ? path : "/", n);
    for (size_t i = 0; i < n->children; i++) {
        size_t more = strlen(n->child[i]->name);

        if (len + 1 + more > XENSTORE_ABS_PATH_MAX)
            continue;
        path[len] = '/';
        memcpy(path + len + 1, n->child[i]->name, more + 1);
        walk(n->child[i], path, len + 1 + more, fn, arg);
        path[len] = '\0';
    }
}

void xs_tree_walk(const struct xs_node *n, const char *path, xs_visit_fn *fn, void *arg)
{
    char buf[XENSTORE_ABS_PATH_MAX + 1] = "";
    size_t len = strlen(path);

    if (len > 1 && len < sizeof(buf))
        memcpy(buf, path, len + 1);
    walk(n, buf, len > 1 && len < sizeof(buf) ? len : 0, fn, arg);
}

unsigned xs_perm_of(const struct xs_node *n, uint16_t domid)
{
    if (domid == 0 || n->perms.p[0].domid == domid)
        return XS_PERM_READ | XS_PERM_WRITE;
    for (unsigned i = 1; i < n->perms.n; i++) {
        if (n->perms.p[i].domid == domid)
            return n->perms.p[i].bits;
    }
    return n->perms.p[0].bits;
}
