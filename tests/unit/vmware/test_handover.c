/* SPDX-License-Identifier: Apache-2.0 */
/* What a vCPU could not finish: its order on the loop, what flies, what never begins. */
#include "unit.h"

#include <stdlib.h>

#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "personas/vmware/handover.h"

enum { MANY = 5 };

static struct fake_env f;
static struct scsi_target *target;
static struct mem_disk *disk;
static struct handover late;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct handed req[MANY], other;
static unsigned done, turns, flew, dropped;

static void note_done(struct handed *h)
{
    assert_int_equal(h->scsi.status, SCSI_GOOD);
    done++;
}

static void note_turn(struct handed *h)
{
    assert_ptr_equal(h, &other);
    for (struct handed *k = late.flying; k; k = k->next)
        flew++;
    turns++;
}

static void note_drop(struct handed *h)
{
    (void)h;
    dropped++;
}

static int setup(void **state)
{
    static const struct scsi_target_cfg cfg = {.max_transfer = 0};
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct err e;

    (void)state;
    fake_env_create(&f, 16 * MiB);
    disk = mem_disk_create(f.env.loop, MiB);
    c.disk = &disk->disk;
    assert_int_equal(scsi_target_create(f.env.loop, &cfg, &target, &e), 0);
    assert_int_equal(scsi_attach(target, 0, &c, &e), 0);
    late = (struct handover){.done = note_done, .turn = note_turn};
    assert_int_equal(handover_init(&late, f.env.loop, &lock), 0);
    done = turns = flew = dropped = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_run(&f);
    scsi_target_destroy(target);
    fake_env_destroy(&f);
    return 0;
}

/* One that a disk answers from its state and that no unit attention holds up. */
static void give(struct handed *h, uint8_t op)
{
    *h = (struct handed){.target = target, .scsi = {.cdb = {op}}};
    pthread_mutex_lock(&lock);
    handover_give(&late, h);
    pthread_mutex_unlock(&lock);
}

static void what_waits_keeps_its_order(void **state)
{
    (void)state;
    give(&req[0], REQUEST_SENSE); /* takes the unit attention */
    fake_env_run(&f);
    assert_int_equal(done, 1);
    disk->hold = true;
    give(&req[0], SYNCHRONIZE_CACHE_10);
    give(&req[1], SYNCHRONIZE_CACHE_10);
    other = (struct handed){.target = NULL};
    handover_give(&late, &other);
    give(&req[2], SYNCHRONIZE_CACHE_10);
    assert_int_equal(late.inflight, 4);
    fake_env_run(&f);
    assert_int_equal(turns, 1);
    assert_int_equal(flew, 2);
    assert_int_equal(late.inflight, 4);
    handover_end(&late);
    assert_int_equal(mem_disk_release(disk), 3);
    fake_env_run(&f);
    assert_int_equal(done, 4);
    assert_int_equal(late.served, 4);
    assert_int_equal(late.inflight, 0);
    assert_null(late.flying);
    handover_destroy(&late, note_drop);
    assert_int_equal(dropped, 0);
}

static void what_never_began_is_dropped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        give(&req[i], INQUIRY);
    handover_destroy(&late, note_drop);
    assert_int_equal(dropped, MANY);
    assert_int_equal(done, 0);
}

/* Ended ones leave no gap in the list of those that fly, wherever they stood. */
static void those_that_fly_land_in_any_order(void **state)
{
    (void)state;
    give(&req[0], REQUEST_SENSE);
    fake_env_run(&f);
    disk->hold = true;
    for (unsigned i = 0; i < MANY; i++)
        give(&req[i], i % 2 ? SYNCHRONIZE_CACHE_10 : TEST_UNIT_READY);
    fake_env_run(&f); /* the latter need no disk */
    assert_int_equal(done, 1 + 3);
    flew = 0;
    for (struct handed *k = late.flying; k; k = k->next)
        flew++;
    assert_int_equal(flew, 2);
    assert_int_equal(mem_disk_release(disk), 2);
    fake_env_run(&f);
    assert_int_equal(done, 1 + MANY);
    handover_destroy(&late, note_drop);
}

static void machine_resets(void *arg)
{
    pthread_mutex_lock(&lock);
    handover_drain(&late);
    *(unsigned *)arg = late.inflight;
    pthread_mutex_unlock(&lock);
    loop_stop(f.env.loop);
}

/* The guest's memory is another's after a reset: nothing may be under way then. */
static void a_reset_of_the_machine_waits_for_what_is_out(void **state)
{
    unsigned left = 99;
    struct err e;

    (void)state;
    give(&req[0], REQUEST_SENSE);
    fake_env_run(&f);
    disk->hold = true;
    give(&req[0], SYNCHRONIZE_CACHE_10);
    fake_env_run(&f);
    give(&req[1], SYNCHRONIZE_CACHE_10); /* the loop has not seen it */
    assert_int_equal(late.inflight, 2);
    mem_disk_release_soon(disk);
    loop_post(f.env.loop, machine_resets, &left);
    assert_int_equal(loop_run(f.env.loop, &e), 0);
    assert_int_equal(left, 0);
    assert_int_equal(done, 3);
    handover_destroy(&late, note_drop);
    assert_int_equal(dropped, 0);
}

/* Whole pages of memory, then a place that is none. */
static void data_grows_by_pieces(void **state)
{
    struct handed h = {.target = NULL};
    size_t count = 0;

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(handed_add(&h, f.env.mem, i * 8192, 4096, true, 32, &count), 0);
    assert_int_equal(count, 20);
    assert_int_equal(h.iov_room, 32);
    assert_true(handed_add(&h, f.env.mem, UINT64_C(1) << 60, 4096, true, 32, &count) < 0);
    for (unsigned i = 20; i < 32; i++)
        assert_int_equal(handed_add(&h, f.env.mem, i * 8192, 4096, true, 32, &count), 0);
    assert_true(handed_add(&h, f.env.mem, 0, 4096, true, 32, &count) < 0);
    free(h.iov);
    handover_destroy(&late, note_drop);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_waits_keeps_its_order),
        T(what_never_began_is_dropped),
        T(those_that_fly_land_in_any_order),
        T(a_reset_of_the_machine_waits_for_what_is_out),
        T(data_grows_by_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
