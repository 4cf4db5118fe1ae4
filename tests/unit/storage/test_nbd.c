/* SPDX-License-Identifier: Apache-2.0 */
/* test_nbd.c - the NBD server, seen through a socket by a client of this file. */
#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "abi/nbd.h"
#include "fakes/fake_mem_disk.h"
#include "storage/serve/nbd.h"

enum { BYTES = 4 << 20 };

struct client {
    struct mem_disk *m;
    struct nbd *n;
    struct err e;
    pthread_t t;
    int fd, far;
    uint64_t cookie;
};

static void *serve(void *arg)
{
    struct client *c = arg;

    nbd_serve_fd(c->n, c->far);
    return NULL;
}

static void out(struct client *c, const void *p, size_t n)
{
    assert_int_equal(send(c->fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void in(struct client *c, void *p, size_t n)
{
    if (n) /* for nothing, recv() would wait all the same */
        assert_int_equal(recv(c->fd, p, n, MSG_WAITALL), (ssize_t)n);
}

/* Connects, up to the client's flags. */
static void begin(struct client *c)
{
    struct nbd_cfg cfg = {.name = "disk", .about = "a disk"};
    struct nbd_greeting hello;
    be32 flags = be32_of(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES);
    int fds[2];

    *c = (struct client){.m = mem_disk_create(NULL, BYTES)};
    cfg.disk = &c->m->disk;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    c->fd = fds[0];
    c->far = fds[1];
    assert_int_equal(nbd_create_deaf(&cfg, &c->n, &c->e), 0);
    assert_int_equal(pthread_create(&c->t, NULL, serve, c), 0);
    in(c, &hello, sizeof(hello));
    assert_int_equal(be64_get(hello.magic), NBD_INIT_MAGIC);
    assert_int_equal(be16_get(hello.flags), 3);
    out(c, &flags, sizeof(flags));
}

static void end(struct client *c)
{
    close(c->fd);
    pthread_join(c->t, NULL);
    nbd_destroy(c->n);
    disk_close(&c->m->disk);
}

static void option(struct client *c, uint32_t what, const void *data, size_t n)
{
    struct nbd_option h = {be64_of(NBD_OPTS_MAGIC), be32_of(what), be32_of((uint32_t)n)};

    out(c, &h, sizeof(h));
    if (data && n)
        out(c, data, n);
}

/* The next reply's type; its data in buf. */
static uint32_t reply(struct client *c, uint8_t *buf, size_t *n)
{
    struct nbd_option_reply h;

    in(c, &h, sizeof(h));
    assert_int_equal(be64_get(h.magic), NBD_REP_MAGIC);
    *n = be32_get(h.len);
    assert_true(*n < 512);
    in(c, buf, *n);
    return be32_get(h.type);
}

static uint32_t bare_reply(struct client *c)
{
    uint8_t buf[512];
    size_t n;

    return reply(c, buf, &n);
}

/* "", or the name given, without information requests. */
static size_t go_data(uint8_t *buf, const char *name)
{
    size_t n = strlen(name);

    be32_put(buf, (uint32_t)n);
    memcpy(buf + 4, name, n);
    be16_put(buf + 4 + n, 0);
    return n + 6;
}

static void go(struct client *c, bool structured)
{
    uint8_t buf[512];
    size_t n;

    if (structured) {
        option(c, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
        assert_int_equal(bare_reply(c), NBD_REP_ACK);
    }
    option(c, NBD_OPT_GO, buf, go_data(buf, ""));
    assert_int_equal(reply(c, buf, &n), NBD_REP_INFO);
    assert_int_equal(be16_at(buf), NBD_INFO_EXPORT);
    assert_int_equal(be64_at(buf + 2), BYTES);
    assert_int_equal(reply(c, buf, &n), NBD_REP_INFO);
    assert_int_equal(be16_at(buf), NBD_INFO_BLOCK_SIZE);
    assert_int_equal(be32_at(buf + 2), 1);
    assert_int_equal(reply(c, buf, &n), NBD_REP_ACK);
}

static void request(struct client *c, unsigned type, unsigned flags, uint64_t off, uint32_t len)
{
    struct nbd_request r = {be32_of(NBD_REQUEST_MAGIC),
                            be16_of((uint16_t)flags),
                            be16_of((uint16_t)type),
                            be64_of(++c->cookie),
                            be64_of(off),
                            be32_of(len)};

    out(c, &r, sizeof(r));
}

/* A simple reply to the last request: its error. */
static uint32_t simple(struct client *c)
{
    struct nbd_simple_reply r;

    in(c, &r, sizeof(r));
    assert_int_equal(be32_get(r.magic), NBD_SIMPLE_REPLY_MAGIC);
    assert_int_equal(be64_get(r.cookie), c->cookie);
    return be32_get(r.error);
}

static struct nbd_chunk chunk(struct client *c)
{
    struct nbd_chunk h;

    in(c, &h, sizeof(h));
    assert_int_equal(be32_get(h.magic), NBD_STRUCTURED_REPLY_MAGIC);
    assert_int_equal(be64_get(h.cookie), c->cookie);
    return h;
}

/* Every answer without data, in both modes. */
static uint32_t result(struct client *c, bool structured)
{
    struct nbd_chunk h;
    uint8_t body[64] = {0};

    if (!structured)
        return simple(c);
    h = chunk(c);
    assert_int_equal(be16_get(h.flags), NBD_REPLY_FLAG_DONE);
    assert_true(be32_get(h.len) <= sizeof(body));
    in(c, body, be32_get(h.len));
    return be16_get(h.type) == NBD_REPLY_TYPE_ERROR ? be32_at(body) : 0;
}

/* --- tests --- */

static void the_old_way_in_still_works(void **state)
{
    struct client c;
    struct nbd_export x;

    (void)state;
    begin(&c);
    option(&c, NBD_OPT_EXPORT_NAME, "disk", 4);
    in(&c, &x, sizeof(x));
    assert_int_equal(be64_get(x.size), BYTES);
    assert_true(be16_get(x.flags) & NBD_FLAG_SEND_FLUSH);
    assert_true(be16_get(x.flags) & NBD_FLAG_SEND_FUA);
    request(&c, NBD_CMD_FLUSH, 0, 0, 0);
    assert_int_equal(simple(&c), 0);
    assert_int_equal(c.m->flushes, 1);
    end(&c);
}

static void options_are_answered_or_refused(void **state)
{
    uint8_t buf[512];
    struct client c;
    size_t n;

    (void)state;
    begin(&c);
    option(&c, NBD_OPT_STARTTLS, NULL, 0);
    assert_int_equal(bare_reply(&c), NBD_REP_ERR_UNSUP);
    option(&c, 77, "abc", 3);
    assert_int_equal(bare_reply(&c), NBD_REP_ERR_UNSUP);
    option(&c, NBD_OPT_LIST, NULL, 0);
    assert_int_equal(reply(&c, buf, &n), NBD_REP_SERVER);
    assert_int_equal(n, 8);
    assert_memory_equal(buf + 4, "disk", 4);
    assert_int_equal(bare_reply(&c), NBD_REP_ACK);
    option(&c, NBD_OPT_GO, buf, go_data(buf, "other"));
    assert_int_equal(bare_reply(&c), NBD_REP_ERR_UNKNOWN);
    be32_put(buf, 400); /* longer than the option */
    option(&c, NBD_OPT_INFO, buf, 6);
    assert_int_equal(bare_reply(&c), NBD_REP_ERR_INVALID);
    option(&c, NBD_OPT_SET_META_CONTEXT, buf, 6); /* before structured replies */
    assert_int_equal(bare_reply(&c), NBD_REP_ERR_INVALID);
    go(&c, true);
    end(&c);
}

static void writes_come_back(struct client *c, bool structured)
{
    uint8_t data[1000], back[1000];

    memset(data, 0x5a, sizeof(data));
    request(c, NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, 100, sizeof(data)); /* no sectors */
    out(c, data, sizeof(data));
    assert_int_equal(result(c, structured), 0);
    assert_int_equal(c->m->flushes, 1);
    assert_int_equal(c->m->data[99], 0);
    assert_int_equal(c->m->data[100], 0x5a);
    assert_int_equal(c->m->data[1099], 0x5a);
    assert_int_equal(c->m->data[1100], 0);
    request(c, NBD_CMD_READ, 0, 100, sizeof(back));
    if (structured) {
        struct nbd_chunk h = chunk(c);
        be64 off;

        assert_int_equal(be16_get(h.type), NBD_REPLY_TYPE_OFFSET_DATA);
        assert_int_equal(be16_get(h.flags), NBD_REPLY_FLAG_DONE);
        in(c, &off, sizeof(off));
        assert_int_equal(be64_get(off), 100);
    } else {
        assert_int_equal(simple(c), 0);
    }
    in(c, back, sizeof(back));
    assert_memory_equal(back, data, sizeof(back));
}

static void data_is_read_and_written(void **state)
{
    struct client c;

    (void)state;
    for (int structured = 0; structured < 2; structured++) {
        begin(&c);
        go(&c, structured);
        writes_come_back(&c, structured);
        memset(c.m->data, 0xff, 8192);
        request(&c, NBD_CMD_WRITE_ZEROES, 0, 1, 4096);
        assert_int_equal(result(&c, structured), 0);
        assert_int_equal(c.m->data[0], 0xff);
        assert_int_equal(c.m->data[1] | c.m->data[4096], 0);
        assert_int_equal(c.m->data[4097], 0xff);
        request(&c, NBD_CMD_TRIM, 0, 4097, 2000); /* whole sectors inside: 4608 to 5632 */
        assert_int_equal(result(&c, structured), 0);
        assert_int_equal(c.m->trims, 1);
        assert_int_equal(c.m->data[4607], 0xff);
        assert_int_equal(c.m->data[4608] | c.m->data[5631], 0);
        request(&c, NBD_CMD_CACHE, 0, 0, BYTES);
        assert_int_equal(result(&c, structured), 0);
        end(&c);
    }
}

static void mistakes_get_an_error_and_nothing_else(void **state)
{
    uint8_t data[512] = {1};
    struct client c;

    (void)state;
    for (int structured = 0; structured < 2; structured++) {
        begin(&c);
        go(&c, structured);
        request(&c, NBD_CMD_READ, 0, BYTES - 100, 101);
        assert_int_equal(result(&c, structured), NBD_EINVAL);
        request(&c, NBD_CMD_READ, 0, UINT64_MAX, 2);
        assert_int_equal(result(&c, structured), NBD_EINVAL);
        request(&c, NBD_CMD_WRITE, 0, BYTES, sizeof(data));
        out(&c, data, sizeof(data));
        assert_int_equal(result(&c, structured), NBD_ENOSPC);
        request(&c, NBD_CMD_BLOCK_STATUS, 0, 0, 512); /* no context was chosen */
        assert_int_equal(result(&c, structured), NBD_EINVAL);
        request(&c, 99, 0, 0, 0);
        assert_int_equal(result(&c, structured), NBD_EINVAL);
        c.m->fail = -EIO;
        request(&c, NBD_CMD_READ, 0, 0, 512);
        assert_int_equal(result(&c, structured), NBD_EIO);
        request(&c, NBD_CMD_FLUSH, 0, 0, 0);
        assert_int_equal(result(&c, structured), NBD_EIO);
        end(&c);
    }
}

static void a_read_only_disk_says_so(void **state)
{
    uint8_t data[512] = {1};
    struct client c;
    struct nbd_export x;

    (void)state;
    begin(&c);
    c.m->disk.shape.readonly = true;
    option(&c, NBD_OPT_EXPORT_NAME, NULL, 0);
    in(&c, &x, sizeof(x));
    assert_true(be16_get(x.flags) & NBD_FLAG_READ_ONLY);
    assert_false(be16_get(x.flags) & NBD_FLAG_SEND_TRIM);
    request(&c, NBD_CMD_WRITE, 0, 0, sizeof(data));
    out(&c, data, sizeof(data));
    assert_int_equal(simple(&c), NBD_EPERM);
    end(&c);
}

static void long_reads_come_in_pieces(void **state)
{
    uint8_t *got = malloc(BYTES);
    uint32_t left = BYTES;
    struct client c;

    (void)state;
    assert_non_null(got);
    begin(&c);
    for (size_t i = 0; i < BYTES; i++)
        c.m->data[i] = (uint8_t)(i * 7 >> 5);
    go(&c, true);
    request(&c, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, BYTES);
    assert_int_equal(result(&c, true), NBD_EOVERFLOW);
    request(&c, NBD_CMD_READ, 0, 0, BYTES);
    while (left) {
        struct nbd_chunk h = chunk(&c);
        uint32_t n = be32_get(h.len) - 8;
        be64 off;

        in(&c, &off, sizeof(off));
        assert_true(n <= left && be64_get(off) + n <= BYTES);
        in(&c, got + be64_get(off), n);
        left -= n;
        assert_int_equal(be16_get(h.flags), left ? 0 : NBD_REPLY_FLAG_DONE);
    }
    assert_memory_equal(got, c.m->data, BYTES);
    end(&c);
    free(got);
}

static void block_status_tells_of_extents(void **state)
{
    static const char query[] = "\0\0\0\0\0\0\0\1\0\0\0\17base:allocation";
    struct client c;
    struct nbd_chunk h;
    uint8_t buf[512];
    size_t n;

    (void)state;
    begin(&c);
    option(&c, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(bare_reply(&c), NBD_REP_ACK);
    option(&c, NBD_OPT_SET_META_CONTEXT, query, sizeof(query) - 1);
    assert_int_equal(reply(&c, buf, &n), NBD_REP_META_CONTEXT);
    assert_memory_equal(buf + 4, "base:allocation", 15);
    assert_int_equal(bare_reply(&c), NBD_REP_ACK);
    go(&c, false);
    request(&c, NBD_CMD_BLOCK_STATUS, 0, 512, 4096); /* a mem_disk is all data */
    h = chunk(&c);
    assert_int_equal(be16_get(h.type), NBD_REPLY_TYPE_BLOCK_STATUS);
    assert_int_equal(be32_get(h.len), 12);
    in(&c, buf, 12);
    assert_int_equal(be32_at(buf), 1);
    assert_int_equal(be32_at(buf + 4), 4096);
    assert_int_equal(be32_at(buf + 8), 0);
    end(&c);
}

static void many_requests_at_once_are_all_answered(void **state)
{
    struct nbd_simple_reply r;
    uint8_t data[512];
    bool seen[65] = {0};
    struct client c;

    (void)state;
    begin(&c);
    c.m->slow = true; /* so that other threads take them */
    go(&c, false);
    for (unsigned i = 1; i <= 64; i++) {
        memset(data, (int)i, sizeof(data));
        request(&c, NBD_CMD_WRITE, 0, i * 4096, sizeof(data));
        out(&c, data, sizeof(data));
    }
    for (unsigned i = 1; i <= 64; i++) {
        in(&c, &r, sizeof(r));
        assert_int_equal(be32_get(r.error), 0);
        assert_in_range(be64_get(r.cookie), 1, 64);
        assert_false(seen[be64_get(r.cookie)]);
        seen[be64_get(r.cookie)] = true;
    }
    for (unsigned i = 1; i <= 64; i++)
        assert_int_equal(c.m->data[i * 4096 + 511], i);
    end(&c);
}

static void nonsense_ends_the_connection(void **state)
{
    struct client c;
    uint8_t junk[28] = "this is no request at all..";

    (void)state;
    begin(&c);
    go(&c, false);
    out(&c, junk, sizeof(junk));
    assert_int_equal(recv(c.fd, junk, 1, 0), 0);
    end(&c);
    begin(&c);
    go(&c, false);
    request(&c, NBD_CMD_WRITE, 0, 0, UINT32_MAX); /* whose data nobody wants to read */
    assert_int_equal(recv(c.fd, junk, 1, 0), 0);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_old_way_in_still_works),
        cmocka_unit_test(options_are_answered_or_refused),
        cmocka_unit_test(data_is_read_and_written),
        cmocka_unit_test(mistakes_get_an_error_and_nothing_else),
        cmocka_unit_test(a_read_only_disk_says_so),
        cmocka_unit_test(long_reads_come_in_pieces),
        cmocka_unit_test(block_status_tells_of_extents),
        cmocka_unit_test(many_requests_at_once_are_all_answered),
        cmocka_unit_test(nonsense_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
