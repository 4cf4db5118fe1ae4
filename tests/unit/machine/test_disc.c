/* SPDX-License-Identifier: Apache-2.0 */
/* Another disc in the drive of a running machine: which drive, when not, and what it holds then. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boot/images.h"
#include "core/err.h"
#include "host/fake.h"
#include "machine/machine.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"
#include "unit.h"

enum { DISC = 65536, FLOPPY = 3 /* of the plan's disks */ };

static struct {
    struct plan plan;
    struct image kernel;
    struct machine *m;
    struct alarm next;
    unsigned step;
    char dir[32], first[64], second[64], third[64], kernel_path[32];
    struct disk_req req;
    struct iovec iov;
    uint8_t byte[512];
    bool opens;      /* the guest opens its drive when it is asked */
    bool read_first; /* what was in flight had the first disc */
} t;

static void guest_waits(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    (void)arg, (void)v, (void)s, (void)life;
}

static void done(struct disk_req *r, int res)
{
    (void)r;
    t.read_first = res == 0 && t.byte[0] == 1;
}

static void refused(const char *id, const char *spec, int want, enum exit_code code)
{
    struct err e;

    assert_int_equal(machine_disc(t.m, id, spec, false, &e), want);
    assert_int_equal(e.exit, code);
}

static void change(const char *id, const char *spec, bool force)
{
    struct err e;
    int rc = machine_disc(t.m, id, spec, force, &e);

    if (rc < 0)
        fail_msg("%s", e.msg);
}

/* What drive i of the plan holds: the disc's first byte, -1: none. */
static int holds(size_t i)
{
    uint8_t b[512];

    if (t.m->disk[i]->shape.bytes == 0)
        return -1;
    assert_int_equal(t.m->disk[i]->shape.bytes, DISC);
    assert_int_equal(disk_read(t.m->disk[i], 0, b, sizeof(b)), 0);
    return b[0];
}

static void begin(void)
{
    t.iov = (struct iovec){t.byte, sizeof(t.byte)};
    t.req = (struct disk_req){
        .op = DISK_READ, .len = sizeof(t.byte), .iov = &t.iov, .iovcnt = 1, .done = done};
    disk_submit(t.m->disk[0], &t.req);
    refused(NULL, t.second, -EINVAL, EX_USAGE_); /* which of the two? */
    refused("disk2", t.second, -ENOENT, EX_USAGE_);
    refused("cdrom0", "/nowhere.iso", -ENOENT, EX_MISSING);
    change("cdrom0", t.second, false);
    refused("cdrom1", t.second, -EBUSY, EX_USAGE_); /* one at a time */
}

static int first_byte(const char *path)
{
    FILE *f = fopen(path, "r");
    int c;

    assert_non_null(f);
    c = getc(f);
    assert_int_equal(fclose(f), 0);
    return c;
}

static void floppy_step(unsigned step)
{
    static const uint8_t three[512] = {3};
    char with[96];

    if (step == 6) {
        assert_int_equal(holds(0), -1);
        assert_string_equal(machine_disk_path(t.m, 0), "none");
        assert_int_equal(holds(FLOPPY), -1);
        assert_string_equal(machine_disk_path(t.m, FLOPPY), "none");
        snprintf(with, sizeof(with), "%s,write", t.third);
        change("disk3", with, false);
    } else {
        assert_int_equal(holds(FLOPPY), 4);
        assert_string_equal(t.m->disk_about[FLOPPY], "raw, written to");
        assert_int_equal(disk_write(t.m->disk[FLOPPY], 0, three, sizeof(three)), 0);
        change("disk3", t.second, false);
    }
}

/* A step each time nothing is under way any more. */
static void next(struct alarm *a)
{
    char with[96];

    if (t.m->quiet.act && t.m->disk[0]->door.asked) {
        if (t.opens)
            t.m->disk[0]->door.locked = false;
        else
            t.m->quiet.until = 1; /* long past */
    }
    if (!t.m->quiet.act) {
        switch (t.step++) {
        case 0:
            begin();
            break;
        case 1:
            assert_true(t.read_first);
            assert_int_equal(holds(0), 2);
            assert_string_equal(machine_disk_path(t.m, 0), t.second);
            assert_string_equal(t.m->disk_about[0], "raw, read-only");
            assert_int_equal(holds(1), -1);
            assert_string_equal(machine_disk_path(t.m, 1), "none");
            snprintf(with, sizeof(with), "%s,bus=scsi", t.first);
            refused("cdrom1", with, -EINVAL, EX_USAGE_);
            change("cdrom1", t.first, false);
            break;
        case 2:
            assert_int_equal(holds(1), 1);
            t.m->disk[0]->door.locked = true;
            change("cdrom0", "none", false);
            break;
        case 3: /* the guest did not open it */
            assert_int_equal(holds(0), 2);
            assert_false(t.m->disk[0]->door.asked);
            change("cdrom0", t.first, false);
            t.opens = true;
            break;
        case 4:
            assert_int_equal(holds(0), 1);
            t.m->disk[0]->door.locked = true;
            change("cdrom0", "none", true);
            break;
        case 5:
        case 6:
            floppy_step(t.step);
            break;
        case 7:
            assert_int_equal(holds(FLOPPY), 2);
            assert_string_equal(t.m->disk_about[FLOPPY], "raw, changes are thrown away");
            change("cdrom0", t.first, true); /* the machine ends before */
            machine_stop(t.m);
            return;
        }
    }
    loop_arm(t.m->loop, a, loop_now(t.m->loop) + 1000000);
}

static void posted(void *arg)
{
    (void)arg;
    t.next.fire = next;
    loop_arm(t.m->loop, &t.next, 0);
}

static void make_disc(const char *path, int byte)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (int i = 0; i < DISC; i++)
        assert_int_equal(putc(byte, f), byte);
    assert_int_equal(fclose(f), 0);
}

static void make_plan(int *fd)
{
    struct err e;

    image_bzimage(&t.kernel);
    *fd = image_file(t.kernel.b, t.kernel.n, t.kernel_path);
    plan_init(&t.plan);
    assert_int_equal(plan_set(&t.plan.kernel, t.kernel_path, &e), 0);
    assert_int_equal(plan_set(&t.plan.serial, "none", &e), 0);
    assert_int_equal(plan_add_drive(&t.plan, t.first, &e), 0);
    assert_int_equal(plan_add_drive(&t.plan, "none", &e), 0);
    assert_null(t.plan.disk[1].path);
    assert_int_equal(plan_add_disk(&t.plan, t.second, &e), 0);
    assert_int_equal(plan_add_floppy(&t.plan, "none", &e), 0);
    assert_null(t.plan.disk[FLOPPY].path);
    assert_int_equal(plan_add_nic(&t.plan, "none", &e), 0);
    assert_int_equal(plan_set(&t.plan.persona, "bare", &e), 0);
    t.plan.memory = 64 * MiB;
    t.plan.cpus = 2;
    assert_int_equal(plan_check(&t.plan, &e), 0);
}

static void a_disc_is_changed_after_what_is_in_flight(void **state)
{
    struct fake_script script = {.guest = guest_waits};
    enum machine_end end;
    struct err e;
    int fd, rc;

    (void)state;
    strcpy(t.dir, "/tmp/hospes-disc-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    snprintf(t.first, sizeof(t.first), "%s/first", t.dir);
    snprintf(t.second, sizeof(t.second), "%s/second", t.dir);
    snprintf(t.third, sizeof(t.third), "%s/third", t.dir);
    make_disc(t.first, 1);
    make_disc(t.second, 2);
    make_disc(t.third, 4);
    make_plan(&fd);
    fake_host_script(&script);
    rc = machine_create(&t.plan, &host_fake, &t.m, &e);
    if (rc < 0)
        fail_msg("%s", e.msg);
    loop_post(t.m->loop, posted, NULL);
    assert_int_equal(machine_run(t.m, &end, &e), 0);
    assert_int_equal(end, END_STOPPED);
    assert_int_equal(t.step, 8);
    assert_int_equal(first_byte(t.third), 3);
    machine_destroy(t.m);
    fake_host_script(NULL);
    plan_free(&t.plan);
    close(fd);
    unlink(t.first);
    unlink(t.second);
    unlink(t.third);
    rmdir(t.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disc_is_changed_after_what_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
