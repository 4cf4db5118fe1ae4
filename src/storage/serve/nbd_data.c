/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd_data.c - the transmission phase of the NBD protocol.
 *
 * Threads of a connection take turns: the one that holds `reading` reads a request. If the page
 * cache can answer, it does so at once and reads the next one: no thread is woken. Otherwise it
 * lets another thread read on while it does the work, and sends the answer itself. No thread holds
 * more than NBD_PIECE bytes: longer requests go by pieces.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "storage/serve/nbd_impl.h"

enum { BLOCKS_MAX = 4096, TRY_MOST = 128 * 1024 };

/* A request, on the thread that does it. */
struct job {
    struct nbd_conn *k;
    uint16_t flags, type;
    uint64_t cookie, off;
    uint32_t len;
    uint8_t *buf; /* NBD_PIECE, once needed */
    int res;      /* of a write that was done while it was read */
    bool done;    /* likewise */
};

static uint32_t error_of(int rc)
{
    switch (-rc) {
    case 0:
        return 0;
    case EPERM:
    case EROFS:
        return NBD_EPERM;
    case ENOMEM:
        return NBD_ENOMEM;
    case EINVAL:
        return NBD_EINVAL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NBD_ENOSPC;
    case EOVERFLOW:
        return NBD_EOVERFLOW;
    case ENOTSUP:
        return NBD_ENOTSUP;
    default:
        return NBD_EIO;
    }
}

static bool fua(const struct job *j)
{
    return j->flags & NBD_CMD_FLAG_FUA;
}

/* --- answers --- */

static bool send_locked(struct nbd_conn *k, struct iovec *iov, unsigned cnt)
{
    bool ok;

    pthread_mutex_lock(&k->sending);
    ok = nbd_send(k->fd, iov, cnt);
    pthread_mutex_unlock(&k->sending);
    return ok;
}

static bool send_simple(const struct job *j, int rc, void *data, size_t n)
{
    struct nbd_simple_reply h = {
        .magic = be32_of(NBD_SIMPLE_REPLY_MAGIC),
        .error = be32_of(error_of(rc)),
        .cookie = be64_of(j->cookie),
    };
    struct iovec iov[2] = {{&h, sizeof(h)}, {data, n}};

    return send_locked(j->k, iov, n ? 2 : 1);
}

static struct nbd_chunk chunk(const struct job *j, unsigned flags, unsigned type, size_t len)
{
    return (struct nbd_chunk){
        .magic = be32_of(NBD_STRUCTURED_REPLY_MAGIC),
        .flags = be16_of((uint16_t)flags),
        .type = be16_of((uint16_t)type),
        .cookie = be64_of(j->cookie),
        .len = be32_of((uint32_t)len),
    };
}

/* The end of a request that gives no data. */
static bool send_result(const struct job *j, int rc)
{
    uint8_t body[6] = {0}; /* the error and an empty text */
    struct nbd_chunk h;
    struct iovec iov[2];

    if (!j->k->structured)
        return send_simple(j, rc, NULL, 0);
    h = chunk(j, NBD_REPLY_FLAG_DONE, rc < 0 ? NBD_REPLY_TYPE_ERROR : NBD_REPLY_TYPE_NONE,
              rc < 0 ? sizeof(body) : 0);
    be32_put(body, error_of(rc));
    iov[0] = (struct iovec){&h, sizeof(h)};
    iov[1] = (struct iovec){body, sizeof(body)};
    return send_locked(j->k, iov, rc < 0 ? 2 : 1);
}

/* `n` bytes at j->off + at, which are in j->buf. */
static bool send_data(const struct job *j, uint32_t at, uint32_t n, bool last)
{
    struct nbd_chunk h =
        chunk(j, last ? NBD_REPLY_FLAG_DONE : 0, NBD_REPLY_TYPE_OFFSET_DATA, sizeof(be64) + n);
    be64 off = be64_of(j->off + at);
    struct iovec iov[3] = {{&h, sizeof(h)}, {&off, sizeof(off)}, {j->buf, n}};

    return send_locked(j->k, iov, 3);
}

/* --- reads --- */

static bool read_structured(struct job *j)
{
    uint32_t at = 0;

    while (at < j->len) {
        uint32_t n = j->len - at < NBD_PIECE ? j->len - at : NBD_PIECE;
        int rc = bytes_read(&j->k->n->bytes, j->off + at, j->buf, n);

        if (rc < 0)
            return send_result(j, rc);
        if (!send_data(j, at, n, at + n == j->len))
            return false;
        at += n;
    }
    return true;
}

/* The data follows one header: an error after the first piece can only end the connection. */
static bool read_simple(struct job *j)
{
    uint32_t n = j->len < NBD_PIECE ? j->len : NBD_PIECE, at = n;
    struct nbd_simple_reply h = {
        .magic = be32_of(NBD_SIMPLE_REPLY_MAGIC),
        .cookie = be64_of(j->cookie),
    };
    struct iovec iov[2] = {{&h, sizeof(h)}, {j->buf, n}};
    int rc = bytes_read(&j->k->n->bytes, j->off, j->buf, n);
    bool ok;

    if (rc < 0)
        return send_simple(j, rc, NULL, 0);
    pthread_mutex_lock(&j->k->sending);
    ok = nbd_send(j->k->fd, iov, 2);
    while (ok && at < j->len) {
        n = j->len - at < NBD_PIECE ? j->len - at : NBD_PIECE;
        iov[0] = (struct iovec){j->buf, n};
        ok = bytes_read(&j->k->n->bytes, j->off + at, j->buf, n) == 0 && nbd_send(j->k->fd, iov, 1);
        at += n;
    }
    pthread_mutex_unlock(&j->k->sending);
    return ok;
}

static bool do_read(struct job *j)
{
    if (!range_in(j->off, j->len, j->k->n->c.disk->shape.bytes) || j->len > NBD_REQUEST_MOST)
        return send_result(j, -EINVAL);
    if (j->len == 0)
        return send_result(j, 0);
    if (!j->k->structured)
        return read_simple(j);
    if (j->flags & NBD_CMD_FLAG_DF && j->len > NBD_PIECE)
        return send_result(j, -EOVERFLOW);
    return read_structured(j);
}

/* Into the page cache, and nowhere else. */
static int do_cache(struct job *j)
{
    int rc = range_in(j->off, j->len, j->k->n->c.disk->shape.bytes) ? 0 : -EINVAL;
    uint32_t at = 0;

    while (at < j->len && rc == 0) {
        uint32_t n = j->len - at < NBD_PIECE ? j->len - at : NBD_PIECE;

        rc = bytes_read(&j->k->n->bytes, j->off + at, j->buf, n);
        at += n;
    }
    return rc;
}

/* --- block status --- */

struct status {
    struct nbd_block *v; /* BLOCKS_MAX */
    size_t n, most;
    enum nbd_context context;
};

static uint32_t flags_of(const struct extent *x, enum nbd_context c)
{
    if (c == NBD_CONTEXT_DEPTH)
        return x->kind == EXTENT_HOLE ? 0 : x->depth + 1;
    if (x->kind == EXTENT_DATA)
        return 0;
    return x->file_off == UINT64_MAX ? NBD_STATE_HOLE | NBD_STATE_ZERO : NBD_STATE_ZERO;
}

static int add_status(void *arg, const struct extent *x)
{
    struct status *s = arg;
    uint32_t flags = flags_of(x, s->context);
    struct nbd_block *last = s->n ? &s->v[s->n - 1] : NULL;

    assert(s->v); /* take_request() saw to that */
    if (last && be32_get(last->flags) == flags) {
        last->len = be32_of(be32_get(last->len) + (uint32_t)x->len);
        return 0;
    }
    if (s->n == s->most)
        return 1; /* enough */
    s->v[s->n++] = (struct nbd_block){be32_of((uint32_t)x->len), be32_of(flags)};
    return 0;
}

static bool send_status(const struct job *j, const struct status *s, bool last)
{
    struct nbd_chunk h = chunk(j, last ? NBD_REPLY_FLAG_DONE : 0, NBD_REPLY_TYPE_BLOCK_STATUS,
                               sizeof(be32) + s->n * sizeof(s->v[0]));
    be32 id = be32_of(s->context + 1);
    struct iovec iov[3] = {{&h, sizeof(h)}, {&id, sizeof(id)}, {s->v, s->n * sizeof(s->v[0])}};

    return send_locked(j->k, iov, 3);
}

static bool do_status(struct job *j)
{
    struct status s = {.v = (struct nbd_block *)j->buf};
    struct disk *d = j->k->n->c.disk;
    unsigned left = 0;
    int rc = 0;

    for (unsigned c = 0; c < NBD_CONTEXTS; c++)
        left += j->k->chosen[c];
    if (!j->k->structured || left == 0 || j->len == 0 || !range_in(j->off, j->len, d->shape.bytes))
        return send_result(j, -EINVAL);
    for (unsigned c = 0; c < NBD_CONTEXTS && rc >= 0; c++) {
        if (!j->k->chosen[c])
            continue;
        s.context = c;
        s.n = 0;
        s.most = j->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : BLOCKS_MAX;
        rc = disk_extents(d, j->off, j->len, add_status, &s);
        if (rc >= 0 && !send_status(j, &s, --left == 0))
            return false;
    }
    return rc >= 0 || send_result(j, rc);
}

/* --- what has no data to give --- */

/* Without waiting; false: not possible. */
static bool tried(struct job *j)
{
    struct bytes *b = &j->k->n->bytes;
    int rc = -EAGAIN;

    if (j->len == 0 || j->len > TRY_MOST || fua(j))
        return false;
    if (j->type == NBD_CMD_READ)
        rc = bytes_try(b, DISK_READ, j->off, j->buf, j->len);
    else if (j->type == NBD_CMD_WRITE)
        rc = bytes_try(b, DISK_WRITE, j->off, j->buf, j->len);
    if (rc < 0)
        return false;
    j->done = true;
    return true;
}

static bool finish(struct job *j)
{
    if (j->type != NBD_CMD_READ)
        return send_result(j, j->res);
    return j->k->structured ? send_data(j, 0, j->len, true) : send_simple(j, 0, j->buf, j->len);
}

static bool perform(struct job *j)
{
    struct bytes *b = &j->k->n->bytes;

    if (j->done)
        return finish(j);
    switch (j->type) {
    case NBD_CMD_READ:
        return do_read(j);
    case NBD_CMD_BLOCK_STATUS:
        return do_status(j);
    case NBD_CMD_WRITE:
        return send_result(j, bytes_write(b, j->off, j->buf, j->len, fua(j)));
    case NBD_CMD_FLUSH:
        return send_result(j, disk_flush(b->d));
    case NBD_CMD_TRIM:
        return send_result(j, bytes_trim(b, j->off, j->len, fua(j)));
    case NBD_CMD_WRITE_ZEROES:
        return send_result(
            j, bytes_zero(b, j->off, j->len, !(j->flags & NBD_CMD_FLAG_NO_HOLE), fua(j)));
    case NBD_CMD_CACHE:
        return send_result(j, do_cache(j));
    default:
        return send_result(j, -EINVAL);
    }
}

/* --- reading requests; with k->reading held --- */

/* A write's data; longer than a piece, it is written as it comes. */
static bool take_payload(struct job *j)
{
    uint32_t at = 0;

    if (j->type != NBD_CMD_WRITE)
        return true;
    if (j->len > NBD_REQUEST_MOST)
        return false;
    if (j->len <= NBD_PIECE)
        return nbd_recv(j->k->fd, j->buf, j->len);
    while (at < j->len) {
        uint32_t n = j->len - at < NBD_PIECE ? j->len - at : NBD_PIECE;

        if (!nbd_recv(j->k->fd, j->buf, n))
            return false;
        if (j->res == 0)
            j->res = bytes_write(&j->k->n->bytes, j->off + at, j->buf, n, false);
        at += n;
    }
    if (j->res == 0 && fua(j))
        j->res = disk_flush(j->k->n->c.disk);
    j->done = true;
    return true;
}

/* false: the client goes, or makes no sense. */
static bool take_request(struct job *j)
{
    struct nbd_request r;

    if (!nbd_recv(j->k->fd, &r, sizeof(r)) || be32_get(r.magic) != NBD_REQUEST_MAGIC)
        return false;
    j->flags = be16_get(r.flags);
    j->type = be16_get(r.type);
    j->cookie = be64_get(r.cookie);
    j->off = be64_get(r.off);
    j->len = be32_get(r.len);
    j->res = 0;
    j->done = false;
    if (!j->buf)
        j->buf = malloc(NBD_PIECE);
    return j->buf && j->type != NBD_CMD_DISC && take_payload(j);
}

/* Somebody else reads on while this thread works. */
static void hand_over(struct nbd_conn *k)
{
    if (__atomic_load_n(&k->waiting, __ATOMIC_SEQ_CST) == 0)
        nbd_conn_help(k);
    pthread_mutex_unlock(&k->reading);
}

/* Reads requests, and does those that need no waiting, until one comes that may wait. */
static bool next_job(struct nbd_conn *k, struct job *j)
{
    bool ok = true;

    __atomic_add_fetch(&k->waiting, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&k->reading);
    __atomic_sub_fetch(&k->waiting, 1, __ATOMIC_SEQ_CST);
    while (ok && !k->dead) {
        ok = take_request(j);
        if (ok && !j->done && !tried(j)) {
            hand_over(k);
            return true;
        }
        ok = ok && perform(j);
    }
    k->dead = true;
    pthread_mutex_unlock(&k->reading);
    return false;
}

void nbd_transmit(struct nbd_conn *k)
{
    struct job j = {.k = k};

    while (next_job(k, &j)) {
        if (!perform(&j)) { /* half an answer may be out: nothing sane can follow */
            pthread_mutex_lock(&k->sending);
            (void)shutdown(k->fd, SHUT_RDWR);
            pthread_mutex_unlock(&k->sending);
            break;
        }
    }
    free(j.buf);
}
