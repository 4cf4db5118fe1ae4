/* SPDX-License-Identifier: Apache-2.0 */
/* xenstore as a guest meets it: messages, transactions, watches, permissions, quotas, the ring. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi/xenstore.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "personas/xen/xenstore.h"
#include "personas/xen/xs_tree.h"

static struct fake_env f;
static struct xenstore *store;
static struct xs_client *guest;
static uint8_t got[64][sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
static size_t got_len[64], count, taken;

static unsigned *flooded; /* counts what comes, which is then not kept */

static bool collect(void *arg, const uint8_t *msg, size_t n)
{
    (void)arg;
    if (flooded) {
        ++*flooded;
        return true;
    }
    assert_true(count < 64);
    memcpy(got[count], msg, n);
    got_len[count++] = n;
    return true;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    count = taken = 0;
    fake_env_create(&f, 4096);
    assert_int_equal(xenstore_create(&store, &e), 0);
    assert_int_equal(xs_client_create(store, XS_GUEST, collect, NULL, &guest, &e), 0);
    assert_int_equal(xs_put(store, "/local/domain/1/name", "vm"), 0);
    assert_int_equal(xs_guest_may(store, "/local/domain/1", false, XS_PERM_READ), 0);
    assert_int_equal(xs_guest_may(store, "/local/domain/1/name", false, XS_PERM_READ), 0);
    assert_int_equal(xs_put(store, "/local/domain/1/data", "%s", ""), 0);
    assert_int_equal(xs_guest_may(store, "/local/domain/1/data", true, 0), 0);
    assert_int_equal(xs_put(store, "/secret", "s"), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xenstore_destroy(store);
    fake_env_destroy(&f);
    return 0;
}

/* One request; returns the type of its answer, whose payload is then in reply. */
static char reply[XENSTORE_PAYLOAD_MAX + 1];
static size_t reply_len;

static uint32_t take(void)
{
    assert_true(taken < count);
    reply_len = got_len[taken] - 16;
    memcpy(reply, got[taken] + 16, reply_len);
    reply[reply_len] = '\0';
    return le32_at(got[taken++]);
}

static uint32_t ask(uint32_t type, uint32_t tx, const char *payload, size_t n)
{
    uint8_t msg[16 + XENSTORE_PAYLOAD_MAX];

    count = taken = 0;
    le32_put(msg, type);
    le32_put(msg + 4, 77);
    le32_put(msg + 8, tx);
    le32_put(msg + 12, (uint32_t)n);
    memcpy(msg + 16, payload, n);
    xs_client_message(guest, msg, 16 + n);
    assert_true(count >= 1);
    assert_int_equal(le32_at(got[0] + 4), 77);
    return take();
}
#define ASK(type, tx, text) ask(type, tx, text, sizeof(text))
#define ASK_WRITE(tx, text) ask(XS_WRITE, tx, text, sizeof(text) - 1)

static void values_and_directories(void **state)
{
    (void)state;
    assert_int_equal(ASK(XS_READ, 0, "name"), XS_READ);
    assert_string_equal(reply, "vm");
    assert_int_equal(ASK_WRITE(0, "data/a/b\0hello"), XS_WRITE);
    assert_int_equal(ASK(XS_READ, 0, "/local/domain/1/data/a/b"), XS_READ);
    assert_string_equal(reply, "hello");
    assert_int_equal(ASK(XS_DIRECTORY, 0, "data"), XS_DIRECTORY);
    assert_int_equal(reply_len, 2);
    assert_int_equal(ASK(XS_DIRECTORY, 0, "data/a/b"), XS_DIRECTORY);
    assert_int_equal(reply_len, 0); /* a leaf is an empty directory */
    assert_int_equal(ASK(XS_MKDIR, 0, "data/a/b"), XS_MKDIR);
    assert_int_equal(ASK(XS_READ, 0, "data/a/b"), XS_READ);
    assert_string_equal(reply, "hello");
    assert_int_equal(ASK(XS_RM, 0, "data/a"), XS_RM);
    assert_int_equal(ASK(XS_READ, 0, "data/a/b"), XS_ERROR);
    assert_string_equal(reply, "ENOENT");
    assert_int_equal(ASK(XS_RM, 0, "data/a"), XS_RM); /* again: fine, there is a parent */
    assert_int_equal(ASK(XS_RM, 0, "data/x/y"), XS_ERROR);
    assert_int_equal(ASK(XS_GET_DOMAIN_PATH, 0, "1"), XS_GET_DOMAIN_PATH);
    assert_string_equal(reply, "/local/domain/1");
}

static void bad_messages_are_refused(void **state)
{
    static const char *const paths[] = {"", "//", "/a//b", "/a/", "/a b", "/\x80", "a/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        assert_int_equal(ask(XS_READ, 0, paths[i], strlen(paths[i]) + 1), XS_ERROR);
        assert_string_equal(reply, "EINVAL");
    }
    assert_int_equal(ask(XS_READ, 0, "name", 4), XS_ERROR); /* no NUL */
    assert_int_equal(ask(XS_WATCH, 0, "name", 5), XS_ERROR);
    assert_int_equal(ASK(XS_READ, 9, "name"), XS_ERROR);
    assert_string_equal(reply, "ENOENT");
    assert_int_equal(ASK(99, 0, "name"), XS_ERROR);
    assert_string_equal(reply, "ENOSYS");
    assert_int_equal(ASK(XS_CONTROL, 0, "print"), XS_ERROR);
    assert_string_equal(reply, "EACCES");
    assert_int_equal(ASK(XS_RM, 0, "/"), XS_ERROR);
}

static void permissions_hold(void **state)
{
    (void)state;
    assert_int_equal(ASK(XS_READ, 0, "/secret"), XS_ERROR);
    assert_string_equal(reply, "EACCES");
    assert_int_equal(ASK(XS_READ, 0, "/no/such"), XS_ERROR);
    assert_string_equal(reply, "EACCES"); /* names are not told either */
    assert_int_equal(ASK_WRITE(0, "name\0me"), XS_ERROR);
    assert_int_equal(ASK(XS_RM, 0, "name"), XS_ERROR);
    assert_int_equal(ASK_WRITE(0, "/local/domain/1/new\0x"), XS_ERROR);
    assert_int_equal(ASK_WRITE(0, "data/mine\0x"), XS_WRITE);
    assert_int_equal(ASK(XS_GET_PERMS, 0, "data/mine"), XS_GET_PERMS);
    assert_string_equal(reply, "n1");
    assert_int_equal(ASK(XS_SET_PERMS, 0, "data/mine\0n1\0r0"), XS_SET_PERMS);
    assert_int_equal(ASK(XS_SET_PERMS, 0, "data/mine\0n0"), XS_ERROR);
    assert_string_equal(reply, "EPERM");
    assert_int_equal(ASK(XS_SET_PERMS, 0, "name\0n1"), XS_ERROR);
}

static void a_transaction_commits_or_is_undone(void **state)
{
    (void)state;
    assert_int_equal(ASK(XS_TRANSACTION_START, 0, ""), XS_TRANSACTION_START);
    assert_string_equal(reply, "1");
    assert_int_equal(ASK_WRITE(1, "data/k\0v"), XS_WRITE);
    assert_int_equal(ASK(XS_READ, 1, "data/k"), XS_READ);
    assert_int_equal(ASK(XS_READ, 0, "data/k"), XS_ERROR); /* not yet for others */
    assert_int_equal(ASK(XS_TRANSACTION_END, 1, "T"), XS_TRANSACTION_END);
    assert_int_equal(ASK(XS_READ, 0, "data/k"), XS_READ);
    assert_int_equal(ASK(XS_TRANSACTION_START, 0, ""), XS_TRANSACTION_START);
    assert_int_equal(ASK(XS_RM, 2, "data/k"), XS_RM);
    assert_int_equal(ASK(XS_TRANSACTION_END, 2, "F"), XS_TRANSACTION_END);
    assert_int_equal(ASK(XS_READ, 0, "data/k"), XS_READ);
    assert_int_equal(ASK(XS_TRANSACTION_END, 2, "T"), XS_ERROR);
}

/* Its own changes are no conflict, whatever it looks at afterwards. */
static void a_transaction_looks_at_what_it_made(void **state)
{
    uint32_t tx;

    (void)state;
    assert_int_equal(ASK(XS_TRANSACTION_START, 0, ""), XS_TRANSACTION_START);
    tx = (uint32_t)strtoul(reply, NULL, 10);
    assert_int_equal(ASK_WRITE(tx, "data/dir/key\0one"), XS_WRITE);
    assert_int_equal(ASK(XS_DIRECTORY, tx, "data"), XS_DIRECTORY); /* a child was made in it */
    assert_string_equal(reply, "dir");
    assert_int_equal(ASK(XS_READ, tx, "data/dir"), XS_READ); /* made on the way */
    assert_int_equal(ASK(XS_TRANSACTION_END, tx, "T"), XS_TRANSACTION_END);
    assert_int_equal(ASK(XS_READ, 0, "data/dir/key"), XS_READ);
    assert_string_equal(reply, "one");
}

static void conflicting_transactions_try_again(void **state)
{
    (void)state;
    assert_int_equal(ASK_WRITE(0, "data/n\0001"), XS_WRITE);
    assert_int_equal(ASK(XS_TRANSACTION_START, 0, ""), XS_TRANSACTION_START);
    assert_int_equal(ASK(XS_READ, 1, "data/n"), XS_READ);
    assert_int_equal(ASK_WRITE(1, "data/n\0002"), XS_WRITE);
    assert_int_equal(xs_put(store, "/local/domain/1/data/n", "9"), 0);
    assert_int_equal(ASK(XS_TRANSACTION_END, 1, "T"), XS_ERROR);
    assert_string_equal(reply, "EAGAIN");
    assert_int_equal(ASK(XS_READ, 0, "data/n"), XS_READ);
    assert_string_equal(reply, "9");
    /* A change elsewhere is none. */
    assert_int_equal(ASK(XS_TRANSACTION_START, 0, ""), XS_TRANSACTION_START);
    assert_int_equal(ASK(XS_READ, 2, "data/n"), XS_READ);
    assert_int_equal(xs_put(store, "/secret", "t"), 0);
    assert_int_equal(ASK(XS_TRANSACTION_END, 2, "T"), XS_TRANSACTION_END);
}

static void watches_fire_with_the_path_as_written(void **state)
{
    (void)state;
    assert_int_equal(ASK(XS_WATCH, 0, "data\0tok"), XS_WATCH);
    assert_int_equal(take(), XS_WATCH_EVENT); /* once at registration */
    assert_memory_equal(reply, "data\0tok", 9);
    assert_int_equal(ASK(XS_WATCH, 0, "data\0tok"), XS_ERROR);
    assert_string_equal(reply, "EEXIST");
    assert_int_equal(ASK_WRITE(0, "data/x/y\0z"), XS_WRITE);
    assert_int_equal(take(), XS_WATCH_EVENT);
    assert_memory_equal(reply, "data/x/y\0tok", 13);
    assert_int_equal(ASK(XS_WATCH, 0, "/local/domain/1/data/x/y\0deep"), XS_WATCH);
    take();
    assert_int_equal(ASK(XS_RM, 0, "data/x"), XS_RM);
    assert_int_equal(count, 3); /* the one above and the one below both hear of it */
    assert_int_equal(ASK(XS_UNWATCH, 0, "data\0tok"), XS_UNWATCH);
    assert_int_equal(ASK(XS_UNWATCH, 0, "data\0tok"), XS_ERROR);
    assert_int_equal(ASK(XS_RESET_WATCHES, 0, ""), XS_RESET_WATCHES);
    assert_int_equal(ASK_WRITE(0, "data/x/y\0z"), XS_WRITE);
    assert_int_equal(count, 1);
}

static void watches_do_not_tell_secrets(void **state)
{
    (void)state;
    assert_int_equal(ASK(XS_WATCH, 0, "/\0all"), XS_WATCH);
    count = 0;
    assert_int_equal(xs_put(store, "/secret/more", "x"), 0);
    xenstore_run(store);
    assert_int_equal(count, 0);
}

static int calls;
static char last[64];

static void called(void *arg, const char *path)
{
    calls++;
    snprintf(last, sizeof(last), "%s", path);
    if (arg)
        xs_put(store, "/answer", "%d", calls); /* a back end writes from its watch */
}

static void back_ends_watch_too(void **state)
{
    struct xs_watch *w = xs_watch(store, "/local/domain/1/data", called, &calls);

    (void)state;
    calls = 0;
    xenstore_run(store);
    assert_int_equal(calls, 1);
    assert_int_equal(ASK_WRITE(0, "data/state\0003"), XS_WRITE);
    assert_int_equal(calls, 2);
    assert_string_equal(last, "/local/domain/1/data/state");
    assert_int_equal(xs_get_u64(store, "/answer", 0), 2);
    xs_unwatch(store, w);
    assert_int_equal(ASK_WRITE(0, "data/state\0004"), XS_WRITE);
    assert_int_equal(calls, 2);
    assert_int_equal(xs_get_u64(store, "/local/domain/1/name", 5), 5);
}

static void quotas_bound_a_guest(void **state)
{
    static char big[16 + 2049] = "data/big";
    char path[32];
    unsigned made = 0;

    (void)state;
    assert_int_equal(ask(XS_WRITE, 0, big, 9 + 2049), XS_ERROR);
    assert_string_equal(reply, "ENOSPC");
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(path, sizeof(path), "data/%d", i);

        made += ask(XS_MKDIR, 0, path, (size_t)n + 1) == XS_MKDIR;
    }
    assert_in_range(made, 900, 1000);
    for (int i = 0; i < 20; i++)
        ASK(XS_TRANSACTION_START, 0, "");
    assert_string_equal(reply, "ENOSPC");
    for (int i = 0; i < 200; i++) {
        int n = snprintf(path, sizeof(path), "data%c%d", 0, i);

        ask(XS_WATCH, 0, path, (size_t)n + 1);
    }
    assert_string_equal(reply, "E2BIG");
}

/* 128 watches on each of 900 paths that change at once: far more than the guest could read. */
static void a_transaction_queues_no_more_than_a_quota(void **state)
{
    uint8_t msg[18] = {[16] = 'T'};
    unsigned flood;
    char path[300];
    uint32_t tx;
    int n;

    (void)state;
    for (int i = 0; i < 128; i++) {
        n = snprintf(path, sizeof(path), "data%c%d", 0, i);
        assert_int_equal(ask(XS_WATCH, 0, path, (size_t)n + 1), XS_WATCH);
    }
    assert_int_equal(ASK(XS_TRANSACTION_START, 0, ""), XS_TRANSACTION_START);
    tx = (uint32_t)strtoul(reply, NULL, 10);
    for (int i = 0; i < 900; i++) {
        n = snprintf(path, sizeof(path), "data/%0250d", i);
        assert_int_equal(ask(XS_MKDIR, tx, path, (size_t)n + 1), XS_MKDIR);
    }
    le32_put(msg, XS_TRANSACTION_END);
    le32_put(msg + 8, tx);
    le32_put(msg + 12, 2);
    flood = 0;
    flooded = &flood;
    xs_client_message(guest, msg, sizeof(msg));
    flooded = NULL;
    assert_in_range(flood, 1000, 3000);
}

static void big_directories_come_in_parts(void **state)
{
    char path[64], seen[2000] = {0}, part[32];
    size_t offset = 0, names = 0;

    (void)state;
    for (int i = 0; i < 900; i++) {
        int n = snprintf(path, sizeof(path), "data/name-%04d", i);

        assert_int_equal(ask(XS_MKDIR, 0, path, (size_t)n + 1), XS_MKDIR);
    }
    assert_int_equal(ASK(XS_DIRECTORY, 0, "data"), XS_ERROR);
    assert_string_equal(reply, "E2BIG");
    for (;;) {
        int n = snprintf(part, sizeof(part), "data%c%zu", 0, offset);
        size_t at;

        assert_int_equal(ask(XS_DIRECTORY_PART, 0, part, (size_t)n + 1), XS_DIRECTORY_PART);
        for (at = strlen(reply) + 1; at < reply_len && reply[at]; at += strlen(reply + at) + 1) {
            seen[atoi(reply + at + 5)]++;
            offset += strlen(reply + at) + 1;
            names++;
        }
        if (at < reply_len)
            break;
    }
    assert_int_equal(names, 900);
    assert_int_equal(seen[899], 1);
}

/* --- the ring --- */

static struct xenstore_domain_interface page;
static int notified;

static void note(void *arg)
{
    ++*(int *)arg;
}

static size_t ring_take(uint8_t *out)
{
    uint32_t cons = le32_get(page.rsp_cons), prod = le32_get(page.rsp_prod);
    size_t n = 0;

    while (cons != prod)
        out[n++] = page.rsp[cons++ % 1024];
    page.rsp_cons = le32_of(cons);
    return n;
}

static void ring_put(const void *p, size_t n)
{
    uint32_t prod = le32_get(page.req_prod);

    for (size_t i = 0; i < n; i++)
        page.req[prod++ % 1024] = ((const uint8_t *)p)[i];
    page.req_prod = le32_of(prod);
}

static void the_ring_carries_messages_in_pieces(void **state)
{
    static const uint8_t msg[] = {2, 0, 0, 0, 5, 0,   0,   0,   0,   0, 0,
                                  0, 5, 0, 0, 0, 'n', 'a', 'm', 'e', 0};
    uint8_t out[4096];
    struct xs_ring *r;
    struct err e;

    (void)state;
    assert_int_equal(xs_ring_create(store, f.env.loop, &page, note, &notified, &r, &e), 0);
    for (size_t i = 0; i < sizeof(msg); i++) {
        assert_int_equal(ring_take(out), 0);
        ring_put(msg + i, 1);
        xs_ring_kick(r);
    }
    assert_int_equal(ring_take(out), 18);
    assert_memory_equal(out + 16, "vm", 2);
    /* An answer longer than the ring waits for the reader. */
    xs_put(store, "/local/domain/1/name", "%01500d", 7);
    ring_put(msg, sizeof(msg));
    xs_ring_kick(r);
    assert_int_equal(ring_take(out), 1024);
    xs_ring_kick(r);
    assert_int_equal(ring_take(out), 1516 - 1024);
    xs_ring_destroy(r);
}

/* A guest that looked at our index too early sends no event for what it has written, or has freed.
 */
static void what_no_event_told_is_found_a_while_later(void **state)
{
    static const uint8_t msg[] = {2, 0, 0, 0, 5, 0,   0,   0,   0,   0, 0,
                                  0, 5, 0, 0, 0, 'n', 'a', 'm', 'e', 0};
    uint8_t out[4096];
    struct xs_ring *r;
    struct err e;

    (void)state;
    assert_int_equal(xs_ring_create(store, f.env.loop, &page, note, &notified, &r, &e), 0);
    ring_put(msg, 16);
    xs_ring_kick(r);
    ring_put(msg + 16, sizeof(msg) - 16);
    assert_int_equal(ring_take(out), 0);
    notified = 0;
    fake_env_advance(&f, 20 * 1000 * 1000);
    assert_int_equal(ring_take(out), 18);
    assert_int_equal(notified, 1);
    xs_put(store, "/local/domain/1/name", "%01500d", 7);
    ring_put(msg, sizeof(msg));
    xs_ring_kick(r);
    assert_int_equal(ring_take(out), 1024);
    fake_env_advance(&f, 20 * 1000 * 1000);
    assert_int_equal(ring_take(out), 1516 - 1024);
    notified = 0;
    fake_env_advance(&f, 1000 * 1000 * 1000); /* and then it rests */
    assert_int_equal(notified, 0);
    xs_ring_destroy(r);
}

/* A guest that asks and never reads the answers. */
static void no_request_is_taken_before_answers_are_read(void **state)
{
    static const uint8_t msg[] = {2, 0, 0, 0, 5, 0,   0,   0,   0,   0, 0,
                                  0, 5, 0, 0, 0, 'n', 'a', 'm', 'e', 0};
    enum { VALUE = 1500, ANSWER = 16 + VALUE, MANY = 2000 };
    uint8_t out[4096];
    size_t read = 0, sent = 0;
    struct xs_ring *r;
    struct err e;

    (void)state;
    xs_put(store, "/local/domain/1/name", "%01500d", 7);
    assert_int_equal(xs_ring_create(store, f.env.loop, &page, note, &notified, &r, &e), 0);
    for (; sent < MANY; sent++) {
        if (le32_get(page.req_prod) - le32_get(page.req_cons) + sizeof(msg) > 1024)
            break;
        ring_put(msg, sizeof(msg));
        xs_ring_kick(r);
    }
    assert_in_range(sent, 300, 500); /* 512 KiB of answers and a full ring */
    while (read < sent * ANSWER) {
        read += ring_take(out);
        xs_ring_kick(r);
    }
    assert_int_equal(read, sent * ANSWER);
    xs_ring_destroy(r);
}

static unsigned refills;

/* Another processor of the guest, that fills the ring as fast as it is emptied. */
static void refill(void *arg, const char *path)
{
    static const uint8_t msg[] = {XS_WRITE, 0, 0, 0, 5,   0,   0,   0,   0,   0,   0, 0,
                                  8,        0, 0, 0, 'd', 'a', 't', 'a', '/', 'a', 0, 'x'};
    uint8_t out[4096];

    (void)arg;
    (void)path;
    ring_take(out);
    if (refills++ < 5000)
        ring_put(msg, sizeof(msg));
}

static void a_turn_of_the_ring_ends(void **state)
{
    struct xs_watch *w;
    struct xs_ring *r;
    struct err e;

    (void)state;
    refills = 0;
    w = xs_watch(store, "/local/domain/1/data", refill, NULL);
    assert_non_null(w);
    assert_int_equal(xs_ring_create(store, f.env.loop, &page, note, &notified, &r, &e), 0);
    xenstore_run(store);
    xs_ring_kick(r);
    assert_in_range(refills, 10, 200);
    fake_env_run(&f); /* and goes on without a kick */
    assert_in_range(refills, 5000, 5200);
    xs_ring_destroy(r);
    xs_unwatch(store, w);
}

static void a_broken_ring_says_so_and_reconnects(void **state)
{
    struct xsd_sockmsg head = {.len = le32_of(5000)};
    uint8_t out[64];
    struct xs_ring *r;
    struct err e;

    (void)state;
    assert_int_equal(xs_ring_create(store, f.env.loop, &page, note, &notified, &r, &e), 0);
    ring_put(&head, sizeof(head));
    xs_ring_kick(r);
    assert_int_equal(le32_get(page.error), XENSTORE_ERROR_PROTO);
    page.connection = le32_of(XENSTORE_RECONNECT);
    xs_ring_kick(r);
    assert_int_equal(le32_get(page.connection), XENSTORE_CONNECTED);
    page.req_prod = le32_of(5000);
    notified = 0;
    xs_ring_kick(r);
    assert_int_equal(le32_get(page.error), XENSTORE_ERROR_RINGIDX);
    assert_int_equal(notified, 1);
    assert_int_equal(ring_take(out), 0);
    xs_ring_destroy(r);
}

static void any_message_gets_one_answer(void **state)
{
    uint32_t x = 5;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        static const char words[] = "data/a\0/\0T\0n1\0name\0@x\0//\0tok\0data";
        char payload[64];
        size_t n;

        x = x * 1664525 + 1013904223;
        n = (x >> 9) % sizeof(payload);
        for (size_t k = 0; k < n; k++)
            payload[k] = words[(k + (x >> 16)) % sizeof(words)];
        ask(x >> 26, (x >> 20) & 1 ? (x >> 13) & 3 : 0, payload, n);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(values_and_directories),
        T(bad_messages_are_refused),
        T(permissions_hold),
        T(a_transaction_commits_or_is_undone),
        T(a_transaction_looks_at_what_it_made),
        T(conflicting_transactions_try_again),
        T(watches_fire_with_the_path_as_written),
        T(watches_do_not_tell_secrets),
        T(back_ends_watch_too),
        T(quotas_bound_a_guest),
        T(a_transaction_queues_no_more_than_a_quota),
        T(big_directories_come_in_parts),
        T(the_ring_carries_messages_in_pieces),
        T(what_no_event_told_is_found_a_while_later),
        T(no_request_is_taken_before_answers_are_read),
        T(a_turn_of_the_ring_ends),
        T(a_broken_ring_says_so_and_reconnects),
        T(any_message_gets_one_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
