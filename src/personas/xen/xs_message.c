/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xs_message.c - xenstore's wire requests (docs/misc/xenstore.txt), for one client.
 *
 * A request is checked whole (lengths, strings, path, transaction, permission) before anything
 * changes. Every request gets one answer, of its own type or XS_ERROR. Not offered to guests:
 * CONTROL, INTRODUCE, RELEASE, RESUME, SET_TARGET.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "personas/xen/xs_store.h"

/* One request being served. */
struct request {
    struct xs_client *c;
    struct xenstore *s;
    struct xs_txn *t;
    struct xsd_sockmsg head;
    const char *payload;
    size_t len;
};

/* --- answers --- */

static void out_queue(struct xs_client *c, uint32_t type, uint32_t req, uint32_t tx,
                      const void *payload, size_t n)
{
    struct xsd_sockmsg head = {le32_of(type), le32_of(req), le32_of(tx), le32_of((uint32_t)n)};
    struct xs_out *o = malloc(sizeof(*o) + sizeof(head) + n);

    if (!o)
        return;
    o->next = NULL;
    o->n = sizeof(head) + n;
    memcpy(o->msg, &head, sizeof(head));
    memcpy(o->msg + sizeof(head), payload, n);
    *c->out_end = o;
    c->out_end = &o->next;
    c->out_bytes += o->n;
    xs_client_flush(c);
}

static void answer(struct request *q, const void *payload, size_t n)
{
    out_queue(q->c, le32_get(q->head.type), le32_get(q->head.req_id), le32_get(q->head.tx_id),
              payload, n);
}

static void refuse(struct request *q, int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {EINVAL, "EINVAL"}, {EACCES, "EACCES"}, {EEXIST, "EEXIST"},       {EISDIR, "EISDIR"},
        {ENOENT, "ENOENT"}, {ENOMEM, "ENOMEM"}, {ENOSPC, "ENOSPC"},       {EIO, "EIO"},
        {ENOSYS, "ENOSYS"}, {EROFS, "EROFS"},   {EBUSY, "EBUSY"},         {EAGAIN, "EAGAIN"},
        {E2BIG, "E2BIG"},   {EPERM, "EPERM"},   {ENOTEMPTY, "ENOTEMPTY"}, {EISCONN, "EISCONN"},
    };
    const char *name = "EINVAL";

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].code == code)
            name = names[i].name;
    }
    out_queue(q->c, XS_ERROR, le32_get(q->head.req_id), le32_get(q->head.tx_id), name,
              strlen(name) + 1);
}

static void done(struct request *q, int rc)
{
    if (rc < 0)
        refuse(q, -rc);
    else
        answer(q, "OK", 3);
}

void xs_event_send(struct xs_client *c, const struct xs_watch *w, const char *path)
{
    char payload[XENSTORE_PAYLOAD_MAX];
    int n;

    if (strlen(path) >= w->relative)
        path += w->relative;
    if (c->out_bytes > XS_QUOTA_OUT) {
        c->dropped_events++; /* a guest that does not read cannot fill our memory */
        return;
    }
    n = snprintf(payload, sizeof(payload), "%s%c%s%c", path, 0, w->token, 0);
    if (n > 0 && (size_t)n < sizeof(payload))
        out_queue(c, XS_WATCH_EVENT, 0, 0, payload, (size_t)n);
}

/* --- arguments --- */

/* The string at *at; moves behind its NUL. NULL: there is none. */
static const char *string_at(const struct request *q, size_t *at)
{
    const char *s = q->payload + *at;
    const char *end = *at < q->len ? memchr(s, '\0', q->len - *at) : NULL;

    if (!end)
        return NULL;
    *at += (size_t)(end - s) + 1;
    return s;
}

/* Writes the absolute form; returns the bytes that were put before, -1 for a bad path. */
static int absolute(const struct request *q, const char *path, char out[XENSTORE_ABS_PATH_MAX + 1])
{
    size_t n = strlen(path);
    int before = 0, len;

    if (n == 0)
        return -1;
    if (path[0] == '/') {
        if (n > XENSTORE_ABS_PATH_MAX)
            return -1;
        memcpy(out, path, n + 1);
    } else {
        if (n > XENSTORE_REL_PATH_MAX)
            return -1;
        before = snprintf(out, XENSTORE_ABS_PATH_MAX + 1, "/local/domain/%u/", q->c->domid);
        len = snprintf(out + before, XENSTORE_ABS_PATH_MAX + 1 - (size_t)before, "%s", path);
        if (len < 0)
            return -1;
    }
    return xs_path_valid(out) ? before : -1;
}

static const struct xs_tree *tree_of(const struct request *q)
{
    return q->t ? &q->t->tree : &q->s->tree;
}

/* The node, if the client may do `want` there. A missing node is judged by the one above it, so
 * that nobody learns names where he may not read. NULL: *rc says why. */
static const struct xs_node *node_for(struct request *q, const char *path, unsigned want, int *rc)
{
    const struct xs_node *n = xs_tree_find(tree_of(q), path);
    const struct xs_node *judge = n ? n : xs_tree_nearest(tree_of(q), path);

    *rc = q->t ? xs_txn_touch(q->t, path) : 0;
    if (*rc < 0)
        return NULL;
    if ((xs_perm_of(judge, q->c->domid) & want) != want) {
        *rc = -EACCES;
        return NULL;
    }
    if (!n)
        *rc = -ENOENT;
    return n;
}

/* First string of the payload as an absolute path; false: q is answered. */
static bool path_arg(struct request *q, size_t *at, char path[XENSTORE_ABS_PATH_MAX + 1])
{
    const char *text = string_at(q, at);

    if (text && absolute(q, text, path) >= 0)
        return true;
    refuse(q, EINVAL);
    return false;
}

/* --- requests --- */

static void do_read(struct request *q)
{
    char path[XENSTORE_ABS_PATH_MAX + 1];
    const struct xs_node *n;
    size_t at = 0;
    int rc;

    if (!path_arg(q, &at, path))
        return;
    n = node_for(q, path, XS_PERM_READ, &rc);
    if (!n)
        refuse(q, -rc);
    else if (n->len > XENSTORE_PAYLOAD_MAX)
        refuse(q, E2BIG);
    else
        answer(q, n->value ? n->value : (const uint8_t *)"", n->len);
}

/* Names of children from byte `skip` of the list on; returns the bytes, at most max and only whole
 * names. *all: the list ends here. */
static size_t list_children(const struct xs_node *n, size_t skip, char *out, size_t max, bool *all)
{
    size_t used = 0, pos = 0;

    *all = true;
    for (size_t i = 0; i < n->children; i++) {
        size_t len = strlen(n->child[i]->name) + 1;

        if (pos >= skip) {
            if (used + len > max) {
                *all = false;
                break;
            }
            memcpy(out + used, n->child[i]->name, len);
            used += len;
        }
        pos += len;
    }
    return used;
}

static void do_directory(struct request *q, bool part)
{
    char path[XENSTORE_ABS_PATH_MAX + 1], out[XENSTORE_PAYLOAD_MAX];
    const char *offset = "0";
    const struct xs_node *n;
    size_t at = 0, used = 0;
    bool all;
    int rc;

    if (!path_arg(q, &at, path))
        return;
    if (part)
        offset = string_at(q, &at);
    n = node_for(q, path, XS_PERM_READ, &rc);
    if (!n || !offset) {
        refuse(q, n ? EINVAL : -rc);
        return;
    }
    if (part)
        used = (size_t)snprintf(out, sizeof(out), "%llu", (unsigned long long)n->generation) + 1;
    used += list_children(n, strtoul(offset, NULL, 10), out + used, sizeof(out) - used - 1, &all);
    if (!part && !all) {
        refuse(q, E2BIG);
        return;
    }
    if (part && all)
        out[used++] = '\0'; /* an empty name ends the list */
    answer(q, out, used);
}

static void do_write(struct request *q, enum xs_change_kind kind)
{
    char path[XENSTORE_ABS_PATH_MAX + 1];
    struct xs_change x = {.kind = kind, .path = path};
    const struct xs_node *n;
    size_t at = 0;
    int rc;

    if (!path_arg(q, &at, path))
        return;
    if (kind == XS_CHANGE_WRITE) {
        x.value = (uint8_t *)q->payload + at;
        x.len = q->len - at;
        if (q->c->domid && x.len > XS_QUOTA_VALUE) {
            refuse(q, ENOSPC);
            return;
        }
    }
    n = node_for(q, path, XS_PERM_WRITE, &rc);
    if (!n && rc != -ENOENT)
        refuse(q, -rc);
    else if (n && kind == XS_CHANGE_MKDIR)
        done(q, 0);
    else
        done(q, xs_do(q->s, q->c, q->t, &x));
}

static void do_rm(struct request *q)
{
    char path[XENSTORE_ABS_PATH_MAX + 1], above[XENSTORE_ABS_PATH_MAX + 1];
    const struct xs_node *n;
    size_t at = 0;
    int rc;

    if (!path_arg(q, &at, path))
        return;
    if (strcmp(path, "/") == 0) {
        refuse(q, EINVAL);
        return;
    }
    n = node_for(q, path, XS_PERM_WRITE, &rc);
    if (n) {
        done(q, xs_do(q->s, q->c, q->t, &(struct xs_change){.kind = XS_CHANGE_RM, .path = path}));
        return;
    }
    /* A node that is not there is removed, if there is one above it. */
    memcpy(above, path, sizeof(above));
    *strrchr(above, '/') = '\0';
    done(q, rc == -ENOENT && xs_tree_find(tree_of(q), above) ? 0 : rc);
}

static char perm_letter(unsigned bits)
{
    static const char letters[] = "nrwb";

    return letters[bits & 3];
}

static void do_get_perms(struct request *q)
{
    char path[XENSTORE_ABS_PATH_MAX + 1], out[XS_MAX_PERMS * 8];
    const struct xs_node *n;
    size_t at = 0, used = 0;
    int rc;

    if (!path_arg(q, &at, path))
        return;
    n = node_for(q, path, XS_PERM_READ, &rc);
    if (!n) {
        refuse(q, -rc);
        return;
    }
    for (unsigned i = 0; i < n->perms.n; i++)
        used += (size_t)snprintf(out + used, sizeof(out) - used, "%c%u",
                                 perm_letter(n->perms.p[i].bits), n->perms.p[i].domid) +
                1;
    answer(q, out, used);
}

static bool perm_parse(const char *text, struct xs_perms *p)
{
    static const char letters[] = "nrwb";
    const char *bits = text[0] ? strchr(letters, text[0]) : NULL;
    unsigned long domid;
    char *end;

    if (!bits || text[1] < '0' || text[1] > '9' || p->n == XS_MAX_PERMS)
        return false;
    domid = strtoul(text + 1, &end, 10);
    if (*end || domid > 0x7fff)
        return false;
    p->p[p->n].domid = (uint16_t)domid;
    p->p[p->n++].bits = (uint8_t)(bits - letters);
    return true;
}

static void do_set_perms(struct request *q)
{
    char path[XENSTORE_ABS_PATH_MAX + 1];
    struct xs_change x = {.kind = XS_CHANGE_PERMS, .path = path};
    const struct xs_node *n;
    const char *text;
    size_t at = 0;
    int rc;

    if (!path_arg(q, &at, path))
        return;
    while (at < q->len) {
        text = string_at(q, &at);
        if (!text || !perm_parse(text, &x.perms)) {
            refuse(q, EINVAL);
            return;
        }
    }
    n = node_for(q, path, XS_PERM_WRITE, &rc);
    if (!n)
        refuse(q, -rc);
    else if (x.perms.n == 0)
        refuse(q, EINVAL);
    else if (q->c->domid &&
             (n->perms.p[0].domid != q->c->domid || x.perms.p[0].domid != q->c->domid))
        refuse(q, EPERM); /* only the owner, and nobody gives a node away */
    else
        done(q, xs_do(q->s, q->c, q->t, &x));
}

static void do_watch(struct request *q, bool add)
{
    char path[XENSTORE_ABS_PATH_MAX + 1];
    const char *text, *token;
    struct xs_watch *w;
    size_t at = 0;
    int before = 0;

    text = string_at(q, &at);
    token = text ? string_at(q, &at) : NULL;
    if (!token) {
        refuse(q, EINVAL);
        return;
    }
    if (text[0] == '@' && strlen(text) <= XENSTORE_REL_PATH_MAX)
        memcpy(path, text, strlen(text) + 1);
    else
        before = absolute(q, text, path);
    if (before < 0) {
        refuse(q, EINVAL);
        return;
    }
    /* The answer precedes the first event. */
    done(q, add ? xs_watch_add(q->s, q->c, path, (size_t)before, token, NULL, NULL, &w)
                : xs_watch_del(q->c, path, token));
}

static void do_txn_start(struct request *q)
{
    char out[16];
    uint32_t id;
    int rc = q->t ? -EBUSY : xs_txn_start(q->c, &id);

    if (rc < 0)
        refuse(q, -rc);
    else
        answer(q, out, (size_t)snprintf(out, sizeof(out), "%u", id) + 1);
}

static void do_txn_end(struct request *q)
{
    size_t at = 0;
    const char *text = string_at(q, &at);
    struct xs_txn *t = q->t;

    if (!t || !text || (strcmp(text, "T") != 0 && strcmp(text, "F") != 0)) {
        refuse(q, t ? EINVAL : ENOENT);
        return;
    }
    q->t = NULL;
    done(q, xs_txn_end(q->c, t, text[0] == 'T'));
}

/* The domain id in a request, -1 when it is none. */
static long domid_arg(const struct request *q)
{
    size_t at = 0;
    const char *text = string_at(q, &at);
    unsigned long v;
    char *end;

    if (!text || text[0] < '0' || text[0] > '9')
        return -1;
    v = strtoul(text, &end, 10);
    return *end || v > 0x7fff ? -1 : (long)v;
}

static void do_domain(struct request *q)
{
    long id = domid_arg(q);
    char out[40];

    if (id < 0)
        refuse(q, EINVAL);
    else if (le32_get(q->head.type) == XS_IS_DOMAIN_INTRODUCED)
        answer(q, id <= XS_GUEST ? "T" : "F", 2);
    else
        answer(q, out, (size_t)snprintf(out, sizeof(out), "/local/domain/%ld", id) + 1);
}

static void dispatch(struct request *q)
{
    switch (le32_get(q->head.type)) {
    case XS_DIRECTORY:
    case XS_DIRECTORY_PART:
        do_directory(q, le32_get(q->head.type) == XS_DIRECTORY_PART);
        break;
    case XS_READ:
        do_read(q);
        break;
    case XS_GET_PERMS:
        do_get_perms(q);
        break;
    case XS_SET_PERMS:
        do_set_perms(q);
        break;
    case XS_WATCH:
    case XS_UNWATCH:
        do_watch(q, le32_get(q->head.type) == XS_WATCH);
        break;
    case XS_TRANSACTION_START:
        do_txn_start(q);
        break;
    case XS_TRANSACTION_END:
        do_txn_end(q);
        break;
    case XS_WRITE:
        do_write(q, XS_CHANGE_WRITE);
        break;
    case XS_MKDIR:
        do_write(q, XS_CHANGE_MKDIR);
        break;
    case XS_RM:
        do_rm(q);
        break;
    case XS_GET_DOMAIN_PATH:
    case XS_IS_DOMAIN_INTRODUCED:
        do_domain(q);
        break;
    case XS_RESET_WATCHES:
        xs_client_reset(q->c);
        done(q, 0);
        break;
    case XS_CONTROL:
    case XS_INTRODUCE:
    case XS_RELEASE:
    case XS_RESUME:
    case XS_SET_TARGET:
        refuse(q, EACCES);
        break;
    default:
        refuse(q, ENOSYS);
        break;
    }
}

static struct xs_txn *txn_find(struct xs_client *c, uint32_t id)
{
    struct xs_txn *t = c->txns;

    while (t && t->id != id)
        t = t->next;
    return t;
}

void xs_client_message(struct xs_client *c, const uint8_t *msg, size_t n)
{
    struct request q = {.c = c, .s = c->s};
    uint32_t tx;

    if (n < sizeof(q.head))
        return;
    memcpy(&q.head, msg, sizeof(q.head));
    q.payload = (const char *)msg + sizeof(q.head);
    q.len = (size_t)min_u64(n - sizeof(q.head), le32_get(q.head.len));
    tx = le32_get(q.head.tx_id);
    q.t = tx ? txn_find(c, tx) : NULL;
    if (tx && !q.t)
        refuse(&q, ENOENT);
    else
        dispatch(&q);
    xenstore_run(c->s);
}

/* --- life --- */

int xs_client_create(struct xenstore *s, uint16_t domid, xs_send_fn *send, void *arg,
                     struct xs_client **out, struct err *e)
{
    struct xs_client *c = calloc(1, sizeof(*c));

    if (!c)
        return err_set(e, ENOMEM, "no memory for a xenstore connection");
    *c = (struct xs_client){.s = s, .domid = domid, .send = send, .arg = arg, .next = s->clients};
    c->out_end = &c->out;
    s->clients = c;
    *out = c;
    return 0;
}

void xs_client_flush(struct xs_client *c)
{
    while (c->out && c->send(c->arg, c->out->msg, c->out->n)) {
        struct xs_out *o = c->out;

        c->out = o->next;
        if (!c->out)
            c->out_end = &c->out;
        c->out_bytes -= o->n;
        free(o);
    }
}

bool xs_client_reads(const struct xs_client *c)
{
    return c->out_bytes <= XS_QUOTA_OUT;
}

void xs_client_reset(struct xs_client *c)
{
    xs_watches_drop(c);
    while (c->txns)
        xs_txn_end(c, c->txns, false);
}

void xs_client_destroy(struct xs_client *c)
{
    struct xs_client **at;

    if (!c)
        return;
    xs_client_reset(c);
    for (at = &c->s->clients; *at != c; at = &(*at)->next)
        ;
    *at = c->next;
    while (c->out) {
        struct xs_out *o = c->out;

        c->out = o->next;
        free(o);
    }
    xenstore_run(c->s); /* nothing may name the client's watches any more */
    free(c);
}
