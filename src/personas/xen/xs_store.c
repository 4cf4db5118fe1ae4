/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xs_store.c - xenstore's state: changes, transactions, watches.
 *
 * A transaction works on a snapshot of the tree and remembers every node that it looked at, with
 * the generation it saw. It commits when all of those are still the same, and then its changes are
 * made again on the tree; otherwise the guest hears EAGAIN and tries again. Watches fire for
 * changes of the tree only, in the order of change.
 */
#include "personas/xen/xs_store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

int xenstore_create(struct xenstore **out, struct err *e)
{
    struct xenstore *s = calloc(1, sizeof(*s));

    if (!s || xs_tree_init(&s->tree) < 0) {
        free(s);
        return err_set(e, ENOMEM, "no memory for xenstore");
    }
    s->watch_end = &s->watches;
    s->event_end = &s->events;
    *out = s;
    return 0;
}

static void watch_free(struct xs_watch *w)
{
    free(w->path);
    free(w->token);
    free(w);
}

void xenstore_destroy(struct xenstore *s)
{
    if (!s)
        return;
    while (s->clients)
        xs_client_destroy(s->clients);
    while (s->events) {
        struct xs_event *ev = s->events;

        s->events = ev->next;
        free(ev);
    }
    while (s->watches) {
        struct xs_watch *w = s->watches;

        s->watches = w->next;
        watch_free(w);
    }
    xs_tree_fini(&s->tree);
    free(s);
}

/* xenstore.txt, "Store path format". */
bool xs_path_valid(const char *path)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@";
    size_t n = strlen(path);

    return path[0] == '/' && n <= XENSTORE_ABS_PATH_MAX && strspn(path, allowed) == n &&
           !strstr(path, "//") && (n == 1 || path[n - 1] != '/');
}

/* --- watches --- */

static void event_queue(struct xenstore *s, struct xs_watch *w, const char *path)
{
    size_t n = strlen(path) + 1,
           charged = w->client && w->client->domid ? sizeof(struct xs_event) + n : 0;
    struct xs_event *ev = NULL;

    /* A guest that used its quota up loses a hint, not data. */
    if (charged && s->queued + charged > XS_QUOTA_OUT)
        w->client->dropped_events++;
    else
        ev = malloc(sizeof(*ev) + n);
    if (!ev)
        return;
    ev->charged = charged;
    s->queued += charged;
    ev->next = NULL;
    ev->watch = w;
    memcpy(ev->path, path, n);
    *s->event_end = ev;
    s->event_end = &ev->next;
}

static bool below(const char *path, const char *top)
{
    size_t n = strlen(top);

    if (strcmp(top, "/") == 0)
        return path[0] == '/';
    return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* n is the node as it is now, or as it was when it is being removed. */
static void fire(struct xenstore *s, const char *path, const struct xs_node *n)
{
    for (struct xs_watch *w = s->watches; w; w = w->next) {
        if (w->dead || !below(path, w->path))
            continue;
        if (w->client && !(xs_perm_of(n, w->client->domid) & XS_PERM_READ))
            continue;
        event_queue(s, w, path);
    }
}

/* A removed node tells those who watch itself or below, with the path they watch. */
static void fire_removed(void *arg, const char *path, const struct xs_node *n)
{
    struct xenstore *s = arg;

    for (struct xs_watch *w = s->watches; w; w = w->next) {
        if (!w->dead && strcmp(path, w->path) == 0 &&
            (!w->client || xs_perm_of(n, w->client->domid) & XS_PERM_READ))
            event_queue(s, w, path);
    }
}

static unsigned watch_count(const struct xs_client *c)
{
    unsigned n = 0;

    for (const struct xs_watch *w = c->s->watches; w; w = w->next)
        n += w->client == c && !w->dead;
    return n;
}

static struct xs_watch *watch_find(struct xs_client *c, const char *path, const char *token)
{
    for (struct xs_watch *w = c->s->watches; w; w = w->next) {
        if (w->client == c && !w->dead && strcmp(w->path, path) == 0 &&
            strcmp(w->token, token) == 0)
            return w;
    }
    return NULL;
}

int xs_watch_add(struct xenstore *s, struct xs_client *c, const char *path, size_t relative,
                 const char *token, xs_watch_fn *fn, void *arg, struct xs_watch **out)
{
    struct xs_watch *w;

    if (c && watch_find(c, path, token))
        return -EEXIST;
    if (c && c->domid && watch_count(c) >= XS_QUOTA_WATCHES)
        return -E2BIG;
    w = calloc(1, sizeof(*w));
    if (!w || !(w->path = strdup(path)) || !(w->token = strdup(token))) {
        if (w)
            watch_free(w);
        return -ENOMEM;
    }
    w->client = c;
    w->relative = relative;
    w->fn = fn;
    w->arg = arg;
    *s->watch_end = w;
    s->watch_end = &w->next;
    event_queue(s, w, path);
    *out = w;
    return 0;
}

bool xs_guest_watches(const struct xenstore *s, const char *path)
{
    for (const struct xs_watch *w = s->watches; w; w = w->next) {
        if (w->client && !w->dead && strcmp(w->path, path) == 0)
            return true;
    }
    return false;
}

int xs_watch_del(struct xs_client *c, const char *path, const char *token)
{
    struct xs_watch *w = watch_find(c, path, token);

    if (!w)
        return -ENOENT;
    w->dead = true;
    return 0;
}

void xs_watches_drop(struct xs_client *c)
{
    for (struct xs_watch *w = c->s->watches; w; w = w->next)
        w->dead |= w->client == c;
}

struct xs_watch *xs_watch(struct xenstore *s, const char *path, xs_watch_fn *fn, void *arg)
{
    struct xs_watch *w = NULL;

    if (!xs_path_valid(path) || xs_watch_add(s, NULL, path, 0, "", fn, arg, &w) < 0)
        return NULL;
    return w;
}

void xs_unwatch(struct xenstore *s, struct xs_watch *w)
{
    (void)s;
    if (w)
        w->dead = true; /* freed by xenstore_run(), when no event names it any more */
}

static void bury(struct xenstore *s)
{
    struct xs_watch **at = &s->watches;

    while (*at) {
        struct xs_watch *w = *at;

        if (!w->dead) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        watch_free(w);
    }
    s->watch_end = at;
}

void xenstore_run(struct xenstore *s)
{
    if (s->running)
        return;
    s->running = true;
    while (s->events) {
        struct xs_event *ev = s->events;
        struct xs_watch *w = ev->watch;

        s->events = ev->next;
        if (!s->events)
            s->event_end = &s->events;
        s->queued -= ev->charged;
        if (!w->dead && w->client)
            xs_event_send(w->client, w, ev->path);
        else if (!w->dead)
            w->fn(w->arg, ev->path);
        free(ev);
    }
    bury(s);
    s->running = false;
}

/* --- changes --- */

static bool quota_left(const struct xs_tree *t, const struct xs_client *c)
{
    return !c || !c->domid || t->owned < XS_QUOTA_NODES;
}

static int apply(struct xs_tree *t, const struct xs_change *x, uint16_t domid, uint64_t generation)
{
    switch (x->kind) {
    case XS_CHANGE_WRITE:
        return xs_tree_write(t, x->path, x->value ? x->value : (const uint8_t *)"", x->len, domid,
                             generation);
    case XS_CHANGE_MKDIR:
        return xs_tree_write(t, x->path, NULL, 0, domid, generation);
    case XS_CHANGE_RM:
        return xs_tree_remove(t, x->path, generation);
    default:
        return xs_tree_set_perms(t, x->path, &x->perms, generation);
    }
}

/* On the tree itself, with events. */
static int apply_for_all(struct xenstore *s, const struct xs_change *x, uint16_t domid)
{
    const struct xs_node *n = xs_tree_find(&s->tree, x->path);
    int rc;

    if (x->kind == XS_CHANGE_RM && n) { /* while the node still says who may know */
        fire(s, x->path, n);
        for (size_t i = 0; i < n->children; i++) {
            char path[XENSTORE_ABS_PATH_MAX + 1];
            int len = snprintf(path, sizeof(path), "%s/%s", x->path, n->child[i]->name);

            if (len > 0 && (size_t)len < sizeof(path))
                xs_tree_walk(n->child[i], path, fire_removed, s);
        }
        return xs_tree_remove(&s->tree, x->path, ++s->generation);
    }
    rc = apply(&s->tree, x, domid, ++s->generation);
    if (rc == 0)
        fire(s, x->path, xs_tree_nearest(&s->tree, x->path));
    return rc;
}

static int txn_keep(struct xs_txn *t, const struct xs_change *x)
{
    struct xs_change *grown = reallocarray(t->change, t->changes + 1, sizeof(*grown));
    struct xs_change copy = *x;

    if (!grown)
        return -ENOMEM;
    t->change = grown;
    copy.path = strdup(x->path);
    copy.value = malloc(x->len + 1);
    if (!copy.path || !copy.value) {
        free(copy.path);
        free(copy.value);
        return -ENOMEM;
    }
    if (x->len)
        memcpy(copy.value, x->value, x->len);
    grown[t->changes++] = copy;
    return 0;
}

int xs_do(struct xenstore *s, struct xs_client *c, struct xs_txn *t, const struct xs_change *x)
{
    const struct xs_tree *tree = t ? &t->tree : &s->tree;
    uint16_t domid = c ? c->domid : 0;
    int rc;

    if ((x->kind == XS_CHANGE_WRITE || x->kind == XS_CHANGE_MKDIR) &&
        !xs_tree_find(tree, x->path) && !quota_left(tree, c))
        return -ENOSPC;
    if (!t)
        return apply_for_all(s, x, domid);
    if (t->changes >= XS_QUOTA_ACCESSES)
        return -ENOSPC;
    rc = txn_keep(t, x);
    if (rc == 0)
        rc = apply(&t->tree, x, domid, ++s->generation);
    t->failed |= rc == -ENOMEM;
    return rc;
}

/* --- transactions --- */

int xs_txn_start(struct xs_client *c, uint32_t *id)
{
    struct xs_txn *t;
    unsigned n = 0;

    for (t = c->txns; t; t = t->next)
        n++;
    if (n >= XS_QUOTA_TRANSACTIONS)
        return -ENOSPC;
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    if (++c->last_txn == 0)
        c->last_txn = 1;
    t->id = *id = c->last_txn;
    xs_tree_copy(&t->tree, &c->s->tree);
    xs_tree_copy(&t->base, &c->s->tree);
    t->next = c->txns;
    c->txns = t;
    return 0;
}

static void txn_free(struct xs_txn *t)
{
    for (size_t i = 0; i < t->accesses; i++)
        free(t->access[i].path);
    for (size_t i = 0; i < t->changes; i++) {
        free(t->change[i].path);
        free(t->change[i].value);
    }
    free(t->access);
    free(t->change);
    xs_tree_fini(&t->tree);
    xs_tree_fini(&t->base);
    free(t);
}

/* By how it was at the start: what t itself has made of it, or of a node above by a new child, is
 * no conflict. */
int xs_txn_touch(struct xs_txn *t, const char *path)
{
    const struct xs_node *n = xs_tree_find(&t->base, path);
    struct xs_access *grown;
    char *copy;

    for (size_t i = 0; i < t->accesses; i++) {
        if (strcmp(t->access[i].path, path) == 0)
            return 0;
    }
    if (t->accesses >= XS_QUOTA_ACCESSES)
        return -ENOSPC;
    grown = reallocarray(t->access, t->accesses + 1, sizeof(*grown));
    copy = strdup(path);
    if (grown)
        t->access = grown;
    if (!grown || !copy) {
        free(copy);
        t->failed = true;
        return -ENOMEM;
    }
    grown[t->accesses++] = (struct xs_access){copy, n ? n->generation : 0};
    return 0;
}

static bool conflicts(const struct xenstore *s, const struct xs_txn *t)
{
    for (size_t i = 0; i < t->accesses; i++) {
        const struct xs_node *n = xs_tree_find(&s->tree, t->access[i].path);

        if ((n ? n->generation : 0) != t->access[i].generation)
            return true;
    }
    return false;
}

int xs_txn_end(struct xs_client *c, struct xs_txn *t, bool commit)
{
    struct xs_txn **at = &c->txns;
    int rc = 0;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (commit && t->failed)
        rc = -ENOMEM;
    else if (commit && conflicts(c->s, t))
        rc = -EAGAIN;
    else if (commit && c->domid && t->changes && t->tree.owned > XS_QUOTA_NODES)
        rc = -ENOSPC;
    for (size_t i = 0; commit && rc == 0 && i < t->changes; i++) {
        int one = apply_for_all(c->s, &t->change[i], c->domid);

        if (one == -ENOMEM)
            rc = one;
    }
    txn_free(t);
    return rc;
}

/* --- domain 0 --- */

int xs_put(struct xenstore *s, const char *path, const char *fmt, ...)
{
    char value[XENSTORE_PAYLOAD_MAX];
    va_list ap;
    int n;

    if (!xs_path_valid(path))
        return -EINVAL;
    va_start(ap, fmt);
    n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(value))
        return -E2BIG;
    return xs_do(s, NULL, NULL,
                 &(struct xs_change){.kind = XS_CHANGE_WRITE,
                                     .path = (char *)path,
                                     .value = (uint8_t *)value,
                                     .len = (size_t)n});
}

int xs_rm(struct xenstore *s, const char *path)
{
    if (!xs_path_valid(path))
        return -EINVAL;
    return xs_do(s, NULL, NULL, &(struct xs_change){.kind = XS_CHANGE_RM, .path = (char *)path});
}

int xs_get(struct xenstore *s, const char *path, char *buf, size_t size)
{
    const struct xs_node *n = xs_path_valid(path) ? xs_tree_find(&s->tree, path) : NULL;
    size_t len;

    if (!n)
        return -ENOENT;
    len = (size_t)min_u64(n->len, size - 1);
    if (len)
        memcpy(buf, n->value, len);
    buf[len] = '\0';
    return 0;
}

uint64_t xs_get_u64(struct xenstore *s, const char *path, uint64_t otherwise)
{
    unsigned long long v;
    char text[24], *end;

    if (xs_get(s, path, text, sizeof(text)) < 0 || text[0] < '0' || text[0] > '9')
        return otherwise;
    errno = 0;
    v = strtoull(text, &end, 10);
    return errno || *end ? otherwise : v;
}

int xs_guest_may(struct xenstore *s, const char *path, bool owns, unsigned bits)
{
    struct xs_perms p = {.n = 1};

    if (!xs_path_valid(path))
        return -EINVAL;
    if (owns) {
        p.p[0].domid = XS_GUEST;
    } else {
        p.n = 2;
        p.p[1].domid = XS_GUEST;
        p.p[1].bits = (uint8_t)bits;
    }
    return xs_do(s, NULL, NULL,
                 &(struct xs_change){.kind = XS_CHANGE_PERMS, .path = (char *)path, .perms = p});
}

struct lister {
    xs_list_fn *fn;
    void *arg;
};

static void list_one(void *arg, const char *path, const struct xs_node *n)
{
    struct lister *l = arg;

    l->fn(l->arg, path, n->value, n->len);
}

void xs_list(struct xenstore *s, const char *path, xs_list_fn *fn, void *arg)
{
    const struct xs_node *n = xs_path_valid(path) ? xs_tree_find(&s->tree, path) : NULL;
    struct lister l = {fn, arg};

    if (n)
        xs_tree_walk(n, path, list_one, &l);
}
