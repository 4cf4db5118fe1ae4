/* SPDX-License-Identifier: Apache-2.0 */
/* nbd_talk.c - the negotiation of the NBD protocol: what the client may ask before it transmits. */
#include <stdlib.h>
#include <string.h>

#include "storage/serve/nbd_impl.h"

enum { OPTION_MOST = 64 * 1024, PREFERRED_BLOCK = 4096 };

const char *const nbd_context_names[NBD_CONTEXTS] = {"base:allocation", "qemu:allocation-depth"};

/* The data of an option, taken from the front. */
struct words {
    const uint8_t *p;
    size_t left;
};

static bool take_u16(struct words *w, uint16_t *v)
{
    if (w->left < 2)
        return false;
    *v = be16_at(w->p);
    w->p += 2;
    w->left -= 2;
    return true;
}

/* A length of 32 bits and that many bytes. */
static bool take_text(struct words *w, const uint8_t **text, size_t *n)
{
    if (w->left < 4 || be32_at(w->p) > w->left - 4)
        return false;
    *n = be32_at(w->p);
    *text = w->p + 4;
    w->p += 4 + *n;
    w->left -= 4 + *n;
    return true;
}

uint16_t nbd_export_flags(const struct nbd *n)
{
    const struct disk_shape *s = &n->c.disk->shape;
    unsigned v = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_DF |
                 NBD_FLAG_CAN_MULTI_CONN | NBD_FLAG_SEND_CACHE;

    if (s->readonly)
        v |= NBD_FLAG_READ_ONLY;
    else
        v |= NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_TRIM;
    if (s->rotates)
        v |= NBD_FLAG_ROTATIONAL;
    return (uint16_t)v;
}

static bool answer(struct nbd_conn *k, uint32_t option, uint32_t type, const void *data, size_t n)
{
    struct nbd_option_reply h = {
        .magic = be64_of(NBD_REP_MAGIC),
        .option = be32_of(option),
        .type = be32_of(type),
        .len = be32_of((uint32_t)n),
    };
    struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)data, n}};

    return nbd_send(k->fd, iov, n ? 2 : 1);
}

/* An error with its reason in words. */
static bool refuse(struct nbd_conn *k, uint32_t option, uint32_t type, const char *why)
{
    return answer(k, option, type, why, strlen(why));
}

static bool is_ours(const struct nbd *n, const uint8_t *name, size_t len)
{
    return len == 0 || (len == strlen(n->c.name) && memcmp(name, n->c.name, len) == 0);
}

static bool export_name(struct nbd_conn *k, const struct words *w, bool zeroes)
{
    struct nbd_export x = {
        .size = be64_of(k->n->c.disk->shape.bytes),
        .flags = be16_of(nbd_export_flags(k->n)),
    };
    uint8_t pad[124] = {0};
    struct iovec iov[2] = {{&x, sizeof(x)}, {pad, sizeof(pad)}};

    return is_ours(k->n, w->p, w->left) && nbd_send(k->fd, iov, zeroes ? 2 : 1);
}

static bool list(struct nbd_conn *k, const struct words *w)
{
    size_t n = strlen(k->n->c.name);
    uint8_t *data;
    bool ok;

    if (w->left)
        return refuse(k, NBD_OPT_LIST, NBD_REP_ERR_INVALID, "a list is asked for without data");
    data = malloc(4 + n);
    if (!data)
        return false;
    be32_put(data, (uint32_t)n);
    memcpy(data + 4, k->n->c.name, n);
    ok = answer(k, NBD_OPT_LIST, NBD_REP_SERVER, data, 4 + n);
    free(data);
    return ok && answer(k, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

/* NBD_INFO_NAME and NBD_INFO_DESCRIPTION. */
static bool info_text(struct nbd_conn *k, uint32_t option, uint16_t info, const char *text)
{
    size_t n = strlen(text);
    uint8_t *data = malloc(2 + n);
    bool ok;

    if (!data)
        return false;
    be16_put(data, info);
    memcpy(data + 2, text, n);
    ok = answer(k, option, NBD_REP_INFO, data, 2 + n);
    free(data);
    return ok;
}

static bool infos(struct nbd_conn *k, uint32_t option, struct words *w, uint16_t count)
{
    struct nbd_info_export x = {
        .info = be16_of(NBD_INFO_EXPORT),
        .size = be64_of(k->n->c.disk->shape.bytes),
        .flags = be16_of(nbd_export_flags(k->n)),
    };
    struct nbd_info_block_size b = {
        .info = be16_of(NBD_INFO_BLOCK_SIZE),
        .least = be32_of(1),
        .preferred = be32_of(PREFERRED_BLOCK),
        .most = be32_of(NBD_REQUEST_MOST),
    };
    bool ok = answer(k, option, NBD_REP_INFO, &x, sizeof(x)) &&
              answer(k, option, NBD_REP_INFO, &b, sizeof(b));

    while (ok && count--) {
        uint16_t info;

        ok = take_u16(w, &info);
        if (ok && info == NBD_INFO_NAME)
            ok = info_text(k, option, info, k->n->c.name);
        else if (ok && info == NBD_INFO_DESCRIPTION && k->n->c.about)
            ok = info_text(k, option, info, k->n->c.about);
    }
    return ok;
}

/* NBD_OPT_INFO and NBD_OPT_GO. *go: transmission begins. */
static bool info(struct nbd_conn *k, uint32_t option, struct words *w, bool *go)
{
    const uint8_t *name;
    uint16_t count;
    size_t n;

    if (!take_text(w, &name, &n) || !take_u16(w, &count) || w->left != count * 2u)
        return refuse(k, option, NBD_REP_ERR_INVALID, "the request is malformed");
    if (!is_ours(k->n, name, n))
        return refuse(k, option, NBD_REP_ERR_UNKNOWN, "there is no disk of that name here");
    *go = option == NBD_OPT_GO;
    return infos(k, option, w, count) && answer(k, option, NBD_REP_ACK, NULL, 0);
}

/* Does a client's query name context c? "base:" alone asks for all of that kind, when listing. */
static bool asks_for(const uint8_t *q, size_t n, enum nbd_context c, bool listing)
{
    const char *name = nbd_context_names[c];
    size_t kind = (size_t)(strchr(name, ':') - name) + 1;

    if (n == strlen(name) && memcmp(q, name, n) == 0)
        return true;
    return listing && n == kind && memcmp(q, name, n) == 0;
}

static bool queries(struct words *w, bool listing, bool *chosen)
{
    uint32_t count;

    if (w->left < 4)
        return false;
    count = be32_at(w->p);
    w->p += 4;
    w->left -= 4;
    for (unsigned c = 0; c < NBD_CONTEXTS; c++)
        chosen[c] = listing && count == 0;
    while (count--) {
        const uint8_t *q;
        size_t n;

        if (!take_text(w, &q, &n))
            return false;
        for (unsigned c = 0; c < NBD_CONTEXTS; c++)
            chosen[c] = chosen[c] || asks_for(q, n, c, listing);
    }
    return w->left == 0;
}

static bool contexts(struct nbd_conn *k, uint32_t option, struct words *w)
{
    bool listing = option == NBD_OPT_LIST_META_CONTEXT, chosen[NBD_CONTEXTS], ok = true;
    const uint8_t *name;
    size_t n;

    if (!listing)
        memset(k->chosen, 0, sizeof(k->chosen));
    if (!listing && !k->structured)
        return refuse(k, option, NBD_REP_ERR_INVALID, "structured replies come first");
    if (!take_text(w, &name, &n) || !queries(w, listing, chosen))
        return refuse(k, option, NBD_REP_ERR_INVALID, "the request is malformed");
    if (!is_ours(k->n, name, n))
        return refuse(k, option, NBD_REP_ERR_UNKNOWN, "there is no disk of that name here");
    for (unsigned c = 0; c < NBD_CONTEXTS && ok; c++) {
        uint8_t data[64];
        size_t len = strlen(nbd_context_names[c]);

        if (!chosen[c])
            continue;
        be32_put(data, c + 1);
        memcpy(data + 4, nbd_context_names[c], len);
        ok = answer(k, option, NBD_REP_META_CONTEXT, data, 4 + len);
    }
    if (!listing)
        memcpy(k->chosen, chosen, sizeof(chosen));
    return ok && answer(k, option, NBD_REP_ACK, NULL, 0);
}

static bool structured(struct nbd_conn *k, const struct words *w)
{
    if (w->left)
        return refuse(k, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID,
                      "structured replies are asked for without data");
    k->structured = true;
    return answer(k, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
}

/* false: drop the client. */
static bool option_now(struct nbd_conn *k, uint32_t option, struct words *w, bool zeroes, bool *go)
{
    switch (option) {
    case NBD_OPT_EXPORT_NAME:
        *go = true;
        return export_name(k, w, zeroes);
    case NBD_OPT_ABORT:
        (void)!answer(k, option, NBD_REP_ACK, NULL, 0);
        return false;
    case NBD_OPT_LIST:
        return list(k, w);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return info(k, option, w, go);
    case NBD_OPT_STRUCTURED_REPLY:
        return structured(k, w);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return contexts(k, option, w);
    default:
        return refuse(k, option, NBD_REP_ERR_UNSUP, "that is not offered here");
    }
}

/* Throws an option's data away: it is too long to be one of ours. */
static bool skip(struct nbd_conn *k, uint8_t *buf, uint32_t len)
{
    while (len) {
        uint32_t n = len < OPTION_MOST ? len : OPTION_MOST;

        if (!nbd_recv(k->fd, buf, n))
            return false;
        len -= n;
    }
    return true;
}

bool nbd_talk(struct nbd_conn *k)
{
    struct nbd_greeting hello = {
        .magic = be64_of(NBD_INIT_MAGIC),
        .opts_magic = be64_of(NBD_OPTS_MAGIC),
        .flags = be16_of(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES),
    };
    struct iovec iov = {&hello, sizeof(hello)};
    uint8_t *buf = malloc(OPTION_MOST);
    bool go = false, ok;
    be32 flags;

    ok = buf && nbd_send(k->fd, &iov, 1) && nbd_recv(k->fd, &flags, sizeof(flags)) &&
         !(be32_get(flags) & ~(unsigned)(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES));
    while (ok && !go) {
        struct nbd_option h;
        struct words w = {.p = buf};

        ok = nbd_recv(k->fd, &h, sizeof(h)) && be64_get(h.magic) == NBD_OPTS_MAGIC;
        if (!ok)
            break;
        w.left = be32_get(h.len);
        if (w.left > OPTION_MOST)
            ok = skip(k, buf, be32_get(h.len)) &&
                 refuse(k, be32_get(h.option), NBD_REP_ERR_TOO_BIG, "that is too long");
        else
            ok = nbd_recv(k->fd, buf, w.left) &&
                 option_now(k, be32_get(h.option), &w, !(be32_get(flags) & NBD_FLAG_C_NO_ZEROES),
                            &go);
    }
    free(buf);
    return ok && go;
}
