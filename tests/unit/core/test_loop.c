/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: alarm order, unwatch during a round, posts from another thread. */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"

struct timed {
    struct alarm a;
    int id;
};
static int order[8], fired;

static void note(struct alarm *a)
{
    order[fired++] = container_of(a, struct timed, a)->id;
}

static void alarms_fire_in_order(void **state)
{
    struct timed t[4] = {{.id = 0}, {.id = 1}, {.id = 2}, {.id = 3}};
    static const uint64_t due[] = {40, 10, 30, 20};
    struct loop *l;
    struct err e;

    (void)state;
    fired = 0;
    assert_int_equal(loop_create_fake(&l, &e), 0);
    for (int i = 0; i < 4; i++) {
        t[i].a.fire = note;
        loop_arm(l, &t[i].a, due[i]);
    }
    loop_disarm(l, &t[2].a);
    loop_arm(l, &t[1].a, 50);
    loop_advance(l, 60);
    assert_int_equal(loop_step(l, 0), 3);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 1);
    loop_destroy(l);
}

static struct watch pair[2];
static int readies;

static void drop_the_other(struct watch *w, uint32_t got)
{
    (void)got;
    readies++;
    loop_unwatch(w->loop, w == &pair[0] ? &pair[1] : &pair[0]);
}

static void unwatch_holds_within_a_round(void **state)
{
    struct loop *l;
    struct err e;

    (void)state;
    readies = 0;
    assert_int_equal(loop_create_fake(&l, &e), 0);
    for (int i = 0; i < 2; i++) {
        pair[i] = (struct watch){.fd = eventfd(1, 0), .want = EPOLLIN, .ready = drop_the_other};
        assert_int_equal(loop_watch(l, &pair[i]), 0);
    }
    assert_true(loop_step(l, 0) >= 0);
    assert_int_equal(readies, 1);
    close(pair[0].fd);
    close(pair[1].fd);
    loop_destroy(l);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void stop(void *arg)
{
    loop_stop(arg);
}

struct poster {
    struct loop *l;
    int *n;
};

static void *post_some(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < 100; i++)
        loop_post(p->l, count, p->n);
    loop_post_wait(p->l, count, p->n);
    loop_post(p->l, stop, p->l);
    return NULL;
}

static void posts_come_from_other_threads(void **state)
{
    struct poster p;
    pthread_t t;
    struct err e;
    int n = 0;

    (void)state;
    assert_int_equal(loop_create(&p.l, &e), 0);
    p.n = &n;
    pthread_create(&t, NULL, post_some, &p);
    assert_int_equal(loop_run(p.l, &e), 0);
    pthread_join(t, NULL);
    assert_int_equal(n, 101);
    loop_destroy(p.l);
}

struct again {
    struct task t;
    struct loop *l;
    int ran;
};

static void ask_again(struct task *t)
{
    struct again *a = container_of(t, struct again, t);

    a->ran++;
    loop_ask(a->l, t);
}

static void tasks_run_once_a_round(void **state)
{
    struct again a = {.t.run = ask_again}, b = a, never = a;
    struct err e;

    (void)state;
    assert_int_equal(loop_create_fake(&a.l, &e), 0);
    b.l = never.l = a.l;
    for (int i = 0; i < 1000; i++) {
        loop_ask(a.l, &a.t);
        loop_ask(a.l, &b.t);
        loop_ask(a.l, &never.t);
    }
    loop_forget(a.l, &never.t);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(loop_step(a.l, -1), 2); /* whoever asks again waits for the next */
        assert_int_equal(a.ran, i);
        assert_int_equal(b.ran, i);
    }
    loop_forget(a.l, &a.t);
    loop_forget(a.l, &b.t);
    loop_forget(a.l, &b.t);
    assert_int_equal(loop_step(a.l, 0), 0);
    loop_ask(a.l, &never.t);
    assert_int_equal(loop_step(a.l, 0), 1);
    assert_int_equal(never.ran, 1);
    assert_int_equal(a.ran, 9);
    loop_destroy(a.l); /* with one that was asked */
}

static void post_again(void *arg)
{
    struct again *a = arg;

    a->ran++;
    loop_post(a->l, post_again, a);
}

static void posts_leave_time_for_alarms(void **state)
{
    struct timed t = {.a.fire = note};
    struct again a = {0};
    struct err e;

    (void)state;
    fired = 0;
    assert_int_equal(loop_create_fake(&a.l, &e), 0);
    loop_post(a.l, post_again, &a);
    loop_arm(a.l, &t.a, 0);
    assert_int_equal(loop_step(a.l, -1), 2);
    assert_int_equal(a.ran, 1);
    assert_int_equal(fired, 1);
    assert_int_equal(loop_step(a.l, -1), 1);
    loop_destroy(a.l);
}

struct mill {
    struct alarm a;
    struct loop *l;
    struct mill *other;
    int turns;
};

static void turn(struct alarm *a)
{
    struct mill *m = container_of(a, struct mill, a);

    if (++m->turns < 1000)
        loop_arm(m->l, &m->other->a, 0);
}

static void step_within(struct alarm *a)
{
    struct mill *m = container_of(a, struct mill, a);

    loop_arm(m->l, &m->other->a, 0);
    assert_int_equal(loop_step(m->l, 0), 1);
    m->turns++;
}

static void alarms_leave_time_for_others(void **state)
{
    struct timed last = {.a.fire = note};
    struct mill m[2] = {{.a.fire = turn}, {.a.fire = turn}};
    struct err e;

    (void)state;
    fired = 0;
    assert_int_equal(loop_create_fake(&m[0].l, &e), 0);
    m[1].l = m[0].l;
    m[0].other = &m[1];
    m[1].other = &m[0];
    loop_arm(m[0].l, &m[0].a, 0);
    loop_arm(m[0].l, &last.a, 5);
    loop_advance(m[0].l, 10);
    assert_int_equal(loop_step(m[0].l, 0), 2);
    assert_int_equal(m[0].turns + m[1].turns, 1);
    assert_int_equal(fired, 1);
    loop_arm(m[0].l, &last.a, 5);
    assert_int_equal(loop_step(m[0].l, -1), 2); /* both, and without waiting */
    assert_int_equal(m[0].turns + m[1].turns, 2);
    assert_int_equal(fired, 2);

    /* A device that waits for its requests steps the loop from an alarm. */
    m[0].a.fire = step_within;
    assert_int_equal(loop_step(m[0].l, 0), 1);
    assert_int_equal(m[0].turns, 2);
    assert_int_equal(m[1].turns, 2);
    loop_destroy(m[0].l);
}

/* --- waiting for requests --- */

struct slow {
    struct loop *l;
    struct watch bell;
    unsigned left;
    unsigned calls, last;
};

/* Each look at it is a second later. */
static bool slow_busy(void *arg)
{
    struct slow *s = arg;

    if (s->left == 0)
        return false;
    s->left--;
    loop_advance(s->l, 1000000000);
    bell_ring(s->bell.fd);
    return true;
}

static void slow_ready(struct watch *w, uint32_t got)
{
    (void)got;
    bell_take(w->fd);
}

static void slow_waits(void *arg, const char *what, unsigned seconds)
{
    struct slow *s = arg;

    assert_string_equal(what, "disk0");
    s->calls++;
    s->last = seconds;
}

static void a_long_wait_is_told(void **state)
{
    char path[] = "/tmp/loop-XXXXXX", text[4096] = "";
    int fd = mkstemp(path), lines = 0;
    struct slow s = {.bell = {.want = EPOLLIN, .ready = slow_ready}};
    struct err e = {0};

    (void)state;
    assert_int_equal(loop_create_fake(&s.l, &e), 0);
    s.bell.fd = bell_make();
    assert_int_equal(loop_watch(s.l, &s.bell), 0);
    assert_int_equal(log_open(path, LOG_INFO, &e), 0);
    loop_on_wait(s.l, slow_waits, &s);
    s.left = 4;
    loop_drain(s.l, "disk0", slow_busy, &s);
    assert_int_equal(s.calls, 4);
    assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 0); /* not long enough */
    s.left = 25;
    loop_stop(s.l); /* who stops the loop does not end what still uses memory */
    loop_drain(s.l, "disk0", slow_busy, &s);
    log_close();
    assert_int_equal(s.calls, 4 + 25);
    assert_int_equal(s.last, 25);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 4); /* after 5, 10 and 20 s, and the end */
    assert_non_null(strstr(text, "disk0"));
    close(fd);
    unlink(path);
    loop_unwatch(s.l, &s.bell);
    close(s.bell.fd);
    loop_destroy(s.l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alarms_fire_in_order),
        cmocka_unit_test(unwatch_holds_within_a_round),
        cmocka_unit_test(posts_come_from_other_threads),
        cmocka_unit_test(tasks_run_once_a_round),
        cmocka_unit_test(posts_leave_time_for_alarms),
        cmocka_unit_test(alarms_leave_time_for_others),
        cmocka_unit_test(a_long_wait_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
