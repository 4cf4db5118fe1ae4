/* SPDX-License-Identifier: Apache-2.0 */
/* What the front ends of other systems than Linux look for in the store, and what they do with it.
 */
#include "backend_kit.h"

#include "fakes/fake_pci.h"
#include "personas/xen/platform.h"
#include "personas/xen/vbd.h"
#include "personas/xen/vif.h"
#include "virtio/loopnet.h"
#include "virtio/memdisk.h"

#define FRONT "/local/domain/1/device/"
#define BACK "/local/domain/0/backend/"

static struct loopnet *net;

static void add_disk(unsigned n, bool cdrom)
{
    struct disk_spec s = {.id = "disk", .cdrom = cdrom};
    struct err e;

    s.disk = &memdisk_create(f.env.loop, 64 * KiB)->d;
    assert_int_equal(vbd_add(x, &s, n, &e), 0);
    run();
}

static void add_card(void)
{
    struct nic_spec s = {.id = "nic0", .mac = {2, 0, 0, 0, 0, 0x9a}};
    struct err e;

    net = loopnet_create(f.env.loop);
    s.netif = &net->n;
    assert_int_equal(vif_add(x, &s, 0, &e), 0);
    run();
}

static void says(const char *path, const char *value)
{
    char is[64];

    assert_int_equal(xs_get(x->store, path, is, sizeof(is)), 0);
    assert_string_equal(is, value);
}

/* OpenBSD's xbf(4) attaches no disk without type and dev; Windows reads removable. */
static void a_disk_has_what_the_toolstack_writes(void **state)
{
    (void)state;
    add_disk(0, false);
    says(BACK "vbd/1/51712/type", "qdisk");
    says(BACK "vbd/1/51712/dev", "xvda");
    says(BACK "vbd/1/51712/device-type", "disk");
    says(BACK "vbd/1/51712/removable", "0");
    says(BACK "vbd/1/51712/bootable", "1");
    says(FRONT "vbd/51712/virtual-device", "51712");
    add_disk(15, true);
    says(BACK "vbd/1/51952/dev", "xvdp");
    says(BACK "vbd/1/51952/device-type", "cdrom");
    says(BACK "vbd/1/51952/removable", "1");
    add_disk(27, false);
    says(BACK "vbd/1/268442368/dev", "xvdab");
}

/* OpenBSD's xnf(4) takes the address from the back end's directory. */
static void a_card_has_what_the_toolstack_writes(void **state)
{
    (void)state;
    add_card();
    says(BACK "vif/1/0/mac", "02:00:00:00:00:9a");
    says(BACK "vif/1/0/type", "vif");
    says(FRONT "vif/0/mac", "02:00:00:00:00:9a");
}

static void count_watch(void *arg, const char *path)
{
    (void)path;
    ++*(unsigned *)arg;
}

/* Windows' driver looks at its own directory for the state of the link, Linux at ours. */
static void a_link_that_is_down_is_seen_by_both(void **state)
{
    struct xs_watch *w;
    unsigned watched = 0;

    (void)state;
    add_card();
    w = xs_watch(x->store, FRONT "vif/0/disconnect", count_watch, &watched);
    run();
    watched = 0;
    says(FRONT "vif/0/disconnect", "0");
    net->ev->link(net->arg, false);
    assert_int_equal(watched, 1); /* nothing else may come that sends events */
    xs_unwatch(x->store, w);
    says(FRONT "vif/0/disconnect", "1");
    says(BACK "vif/1/0/carrier", "0");
    net->ev->link(net->arg, true);
    says(FRONT "vif/0/disconnect", "0");
}

static void count_unplug(void *arg, unsigned bits)
{
    *(unsigned *)arg |= bits;
}

/* SUSE's drivers of Linux, and of Windows before 1.7, write to the device itself. */
static void old_drivers_unplug_by_the_devices_ports(void **state)
{
    unsigned unplugged = 0, devfn = 0;
    struct xen_platform *p;
    uint64_t bar[6];
    struct err e;

    (void)state;
    assert_int_equal(xen_platform_add(&f.env, NULL, count_unplug, &unplugged, &p, &e), 0);
    while (fake_pci_read(&f, devfn, 0, 4) != 0x00015853)
        devfn += 8;
    fake_pci_map(&f, devfn, bar);
    fake_env_out(&f, bar[0] + 4, 4, 0);
    fake_env_out(&f, bar[0] + 8, 4, 3);
    fake_env_out(&f, bar[0] + 12, 4, 1);
    assert_int_equal(unplugged, 0);
    fake_env_out(&f, bar[0] + 8, 4, 2);
    assert_int_equal(unplugged, XEN_UNPLUG_NICS);
    unplugged = 0;
    fake_env_out(&f, bar[0] + 8, 1, 1);
    assert_int_equal(unplugged, XEN_UNPLUG_IDE_DISKS);
    unplugged = 0;
    fake_env_out(&f, bar[0] + 4, 4, 1);
    assert_int_equal(unplugged, XEN_UNPLUG_IDE_DISKS | XEN_UNPLUG_NICS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_disk_has_what_the_toolstack_writes),
        TEST(a_card_has_what_the_toolstack_writes),
        TEST(a_link_that_is_down_is_seen_by_both),
        TEST(old_drivers_unplug_by_the_devices_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
