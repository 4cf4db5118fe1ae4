/* SPDX-License-Identifier: Apache-2.0 */
/* A disk of a running machine grows: when, when not, and what its guest is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boot/images.h"
#include "core/cfg.h"
#include "core/err.h"
#include "host/fake.h"
#include "machine/machine.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"
#include "storage/image.h"
#include "unit.h"

enum { OLD = 4 * 1024 * 1024, NEW = 64 * 1024 * 1024, REQUESTS = 64, PIECE = 4096 };

static struct {
    struct plan plan;
    struct image kernel;
    struct machine *m;
    struct alarm look;
    struct disk_req req[REQUESTS];
    struct iovec iov[REQUESTS];
    unsigned ended, failed, early; /* requests that ended before it grew */
    int rc[6];
    struct err e[6];
    bool alike;
} t;
static uint8_t data[REQUESTS][PIECE];

static void guest_waits(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    (void)arg, (void)v, (void)s, (void)life;
}

static void done(struct disk_req *r, int res)
{
    t.ended++;
    t.failed += res < 0;
    t.early += t.m->disk[0]->shape.bytes == OLD;
    (void)r;
}

/* All of the disk: what was written is there, and the rest is zero. */
static bool alike(struct disk *d)
{
    static uint8_t buf[PIECE], zero[PIECE];

    for (uint64_t off = 0; off < NEW; off += PIECE) {
        size_t i = off / PIECE / 8;
        bool written = off / PIECE % 8 == 0 && i < REQUESTS;

        if (disk_read(d, off, buf, PIECE) < 0)
            return false;
        if (memcmp(buf, written ? data[i % REQUESTS] : zero, PIECE) != 0)
            return false;
    }
    return true;
}

static void look(struct alarm *a)
{
    if (t.m->quiet.act) {
        loop_arm(t.m->loop, a, loop_now(t.m->loop) + 1000000);
        return;
    }
    t.alike = t.m->disk[0]->shape.bytes == NEW && alike(t.m->disk[0]);
    machine_stop(t.m);
}

static void begin(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < REQUESTS; i++) {
        memset(data[i], (int)i + 1, PIECE);
        t.iov[i] = (struct iovec){data[i], PIECE};
        t.req[i] = (struct disk_req){.op = DISK_WRITE,
                                     .off = (uint64_t)i * 8 * PIECE,
                                     .len = PIECE,
                                     .iov = &t.iov[i],
                                     .iovcnt = 1,
                                     .done = done};
        disk_submit(t.m->disk[0], &t.req[i]);
    }
    t.rc[0] = machine_resize(t.m, "disk7", NEW, &t.e[0]);
    t.rc[1] = machine_resize(t.m, "disk0", OLD, &t.e[1]);
    t.rc[2] = machine_resize(t.m, "disk1", NEW, &t.e[2]);
    t.rc[3] = machine_resize(t.m, "disk0", NEW + 1, &t.e[3]);
    t.rc[4] = machine_resize(t.m, "disk0", NEW, &t.e[4]);
    t.rc[5] = machine_resize(t.m, "disk0", NEW, &t.e[5]);
    t.look.fire = look;
    loop_arm(t.m->loop, &t.look, 0);
}

static void make_disk(const char *path, const char *format)
{
    struct image_make k = {.path = path, .bytes = OLD};
    struct err e;

    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(image_create(format_by_name(format), &k, true, &e), 0);
    cfg_destroy(k.opts);
}

static void a_disk_grows_after_what_is_in_flight(void **state)
{
    static const int want[6] = {-ENOENT, -EINVAL, -EROFS, -EINVAL, 0, -EBUSY};
    const char *const format = *state;
    struct fake_script script = {.guest = guest_waits};
    char dir[] = "/tmp/hospes-resize-XXXXXX", path[64], spec[96], kernel[32];
    enum machine_end end;
    struct err e;
    int fd, rc;

    memset(&t, 0, sizeof(t));
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/disk", dir);
    make_disk(path, format);
    image_bzimage(&t.kernel);
    fd = image_file(t.kernel.b, t.kernel.n, kernel);
    plan_init(&t.plan);
    assert_int_equal(plan_set(&t.plan.kernel, kernel, &e), 0);
    assert_int_equal(plan_set(&t.plan.serial, "none", &e), 0);
    snprintf(spec, sizeof(spec), "%s,write", path);
    assert_int_equal(plan_add_disk(&t.plan, spec, &e), 0);
    snprintf(spec, sizeof(spec), "%s,format=raw,snapshot", kernel);
    assert_int_equal(plan_add_disk(&t.plan, spec, &e), 0);
    assert_int_equal(plan_add_nic(&t.plan, "none", &e), 0);
    t.plan.memory = 64 * MiB;
    t.plan.cpus = 2;
    assert_int_equal(plan_check(&t.plan, &e), 0);
    fake_host_script(&script);
    rc = machine_create(&t.plan, &host_fake, &t.m, &e);
    if (rc < 0)
        fail_msg("%s", e.msg);
    loop_post(t.m->loop, begin, NULL);
    assert_int_equal(machine_run(t.m, &end, &e), 0);
    assert_int_equal(end, END_STOPPED);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_int_equal(t.rc[i], want[i]);
    assert_non_null(strstr(t.e[2].msg, ",write"));
    assert_int_equal(t.ended, REQUESTS);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.early, REQUESTS);
    assert_true(t.alike);
    snprintf(spec, sizeof(spec), "%s, written to", format);
    assert_string_equal(t.m->disk_about[0], spec);
    assert_string_equal(t.m->disk_about[1], "raw, changes are thrown away");
    machine_destroy(t.m);
    fake_host_script(NULL);
    plan_free(&t.plan);
    close(fd);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    static const char *const formats_[] = {"raw", "qcow2", "vhdx", "vhd", "vmdk", "vdi"};
    struct CMUnitTest tests[ARRAY_SIZE(formats_)];

    for (size_t i = 0; i < ARRAY_SIZE(formats_); i++)
        tests[i] = (struct CMUnitTest){.name = formats_[i],
                                       .test_func = a_disk_grows_after_what_is_in_flight,
                                       .initial_state = (void *)formats_[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
