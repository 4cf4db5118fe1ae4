/* SPDX-License-Identifier: Apache-2.0 */
/* The kvm and bare personas: CPUID, options, what they refuse. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/cfg.h"
#include "core/err.h"
#include "fakes/fake_pci.h"
#include "personas/persona.h"
#include "virtio/loopnet.h"
#include "virtio/memdisk.h"

static uint32_t offer_all(const struct host *h)
{
    return UINT32_MAX;
}

struct bench {
    struct fake_env f;
    struct host_ops ops;
    struct host host;
    struct persona_env env;
    struct cfg *opts;
    struct persona *p;
};

static int bench_try(struct bench *b, const char *name, const char *opts, struct err *e)
{
    const struct persona_ops *ops = persona_find(name);

    memset(b, 0, sizeof(*b));
    assert_non_null(ops);
    fake_env_create(&b->f, 1 << 20);
    b->ops.pv_features = offer_all;
    b->host.ops = &b->ops;
    assert_int_equal(cfg_create(&b->opts, e), 0);
    assert_int_equal(cfg_parse(b->opts, opts, NULL, e), 0);
    b->env = (struct persona_env){.dev = b->f.env, .host = &b->host, .cpus = 4, .opts = b->opts};
    return ops->create(&b->env, &b->p, e);
}

static void bench_open(struct bench *b, const char *name, const char *opts)
{
    struct err e = {0};

    assert_int_equal(bench_try(b, name, opts, &e), 0);
    assert_int_equal(cfg_finish(b->opts, "--persona", &e), 0);
}

static void bench_close(struct bench *b)
{
    if (b->p)
        b->p->ops->destroy(b->p);
    fake_env_destroy(&b->f);
    cfg_destroy(b->opts);
}

static const struct cpuid_leaf *leaf_of(const struct cpuid_leaf *l, size_t n, uint32_t fn)
{
    for (size_t i = 0; i < n; i++) {
        if (l[i].fn == fn)
            return &l[i];
    }
    return NULL;
}

static void kvm_shows_its_signature_and_what_the_host_has(void **state)
{
    struct cpuid_leaf l[4] = {{.fn = 1, .ecx = UINT32_MAX}};
    struct bench b;
    size_t n;

    bench_open(&b, "kvm", "");
    n = b.p->ops->cpuid(b.p, 0, l, 1, 4);
    assert_int_equal(n, 3);
    assert_memory_equal(&leaf_of(l, n, 0x40000000)->ebx, "KVMKVMKVM\0\0\0", 12);
    assert_int_equal(leaf_of(l, n, 0x40000000)->eax, 0x40000001);
    /* The clock yes; MMU_OP, HC_MAP_GPA_RANGE and MIGRATION_CONTROL no. */
    assert_int_equal(leaf_of(l, n, 0x40000001)->eax & 0x0103000d, 0x01000009);
    assert_int_equal(b.p->ops->cpuid(b.p, 0, l, 3, 4), 3); /* no room */
    bench_close(&b);
}

static void bare_hides_the_hypervisor(void **state)
{
    struct cpuid_leaf l[2] = {{.fn = 1, .ecx = UINT32_MAX}, {.fn = 2, .ecx = UINT32_MAX}};
    struct disk_spec d = {.id = "disk0"};
    struct nic_spec nic = {.id = "nic0"};
    struct err e = {0};
    struct bench b;

    bench_open(&b, "bare", "");
    assert_int_equal(b.p->ops->cpuid(b.p, 0, l, 2, 2), 2);
    assert_int_equal(l[0].ecx, 0x7fffffff);
    assert_int_equal(l[1].ecx, UINT32_MAX);
    d.bus = "scsi";
    assert_true(b.p->ops->add_disk(b.p, &d, &e) < 0);
    assert_int_equal(e.exit, EX_USAGE_);
    assert_non_null(strstr(e.msg, "disk0"));
    nic.model = "vmxnet3";
    assert_true(b.p->ops->add_nic(b.p, &nic, &e) < 0);
    assert_non_null(strstr(e.msg, "model=e1000, model=e1000e, model=rtl8139 or model=dec21140"));
    nic.model = NULL;
    nic.netif = &loopnet_create(b.f.env.loop)->n;
    assert_int_equal(b.p->ops->add_nic(b.p, &nic, &e), 0);
    assert_int_equal(fake_pci_read(&b.f, 1 << 3, 0, 4), 0x100e8086);
    assert_int_equal(b.p->ops->ask(b.p, ASK_SHUTDOWN, 0, &e), -ENOTSUP);
    bench_close(&b);
}

static void kvm_puts_devices_into_slots(void **state)
{
    struct disk_spec d = {.id = "disk0"};
    struct nic_spec nic = {.id = "nic0"};
    struct err e = {0};
    struct bench b;
    struct cfg *slot;

    bench_open(&b, "kvm", "no-rng,modern");
    assert_int_equal(cfg_create(&slot, &e), 0);
    assert_int_equal(cfg_parse(slot, "slot=7", NULL, &e), 0);
    d.disk = &memdisk_create(b.f.env.loop, 4096)->d;
    d.opts = slot;
    assert_int_equal(b.p->ops->add_disk(b.p, &d, &e), 0);
    nic.netif = &loopnet_create(b.f.env.loop)->n;
    assert_int_equal(b.p->ops->add_nic(b.p, &nic, &e), 0);
    assert_int_equal(b.p->ops->finish(b.p, &e), 0);
    assert_int_equal(fake_pci_read(&b.f, 7 << 3, 2, 2), 0x1042);
    assert_int_equal(fake_pci_read(&b.f, 1 << 3, 2, 2), 0x1041);
    assert_int_equal(fake_pci_read(&b.f, 2 << 3, 2, 2), 0x1045); /* the balloon */
    assert_int_equal(fake_pci_read(&b.f, 3 << 3, 2, 2), 0xffff);
    /* Taken, not there, or not said right. */
    d.disk = &memdisk_create(b.f.env.loop, 4096)->d;
    assert_int_equal(b.p->ops->add_disk(b.p, &d, &e), -EBUSY);
    d.bus = "esdi";
    assert_int_equal(b.p->ops->add_disk(b.p, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "ide"));
    d.bus = NULL;
    assert_int_equal(cfg_set(slot, "slto", "7", &e), 0);
    assert_true(b.p->ops->add_disk(b.p, &d, &e) < 0);
    assert_non_null(strstr(e.msg, "slto"));
    disk_close(d.disk);
    nic.netif = NULL;
    nic.model = "ne2000";
    assert_int_equal(b.p->ops->add_nic(b.p, &nic, &e), -EINVAL);
    cfg_destroy(slot);
    bench_close(&b);
}

static void disks_come_to_the_scsi_controller_and_go(void **state)
{
    struct disk_spec d = {.id = "disk1"};
    struct err e = {0};
    struct bench b;
    bool closed = false;

    bench_open(&b, "kvm", "no-rng,no-balloon");
    assert_int_equal(b.p->ops->finish(b.p, &e), 0);
    d.disk = &memdisk_create(b.f.env.loop, 4096)->d;
    assert_int_equal(b.p->ops->plug_disk(b.p, &d, &e), -ENODEV);
    assert_non_null(strstr(e.msg, "kvm,scsi"));
    disk_close(d.disk);
    bench_close(&b);

    bench_open(&b, "kvm", "no-rng,no-balloon,scsi,modern");
    assert_int_equal(b.p->ops->finish(b.p, &e), 0);
    assert_int_equal(fake_pci_read(&b.f, 1 << 3, 2, 2), 0x1048);
    d.disk = &memdisk_create(b.f.env.loop, 4096)->d;
    container_of(d.disk, struct memdisk, d)->closed = &closed;
    d.bus = "ide";
    assert_int_equal(b.p->ops->plug_disk(b.p, &d, &e), -EINVAL);
    d.bus = NULL;
    assert_int_equal(b.p->ops->plug_disk(b.p, &d, &e), 0);
    assert_int_equal(b.p->ops->unplug_disk(b.p, "disk0", &e), -ENOENT);
    assert_false(closed);
    assert_int_equal(b.p->ops->unplug_disk(b.p, "disk1", &e), 0);
    fake_env_run(&b.f);
    assert_true(closed);
    assert_int_equal(b.p->ops->unplug_disk(b.p, "disk1", &e), -ENOENT);
    bench_close(&b);
}

static void options_that_do_not_fit_are_errors(void **state)
{
    static const char *const bad[] = {"cid=3", "vsock=/tmp/x", "cid=2,vsock=/tmp/x", "cid=x"};
    struct err e;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct bench b;

        e = (struct err){0};
        assert_true(bench_try(&b, "kvm", bad[i], &e) < 0);
        assert_true(e.msg[0] != 0);
        bench_close(&b);
    }
    assert_null(persona_find("qemu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kvm_shows_its_signature_and_what_the_host_has),
        cmocka_unit_test(bare_hides_the_hypervisor),
        cmocka_unit_test(kvm_puts_devices_into_slots),
        cmocka_unit_test(disks_come_to_the_scsi_controller_and_go),
        cmocka_unit_test(options_that_do_not_fit_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
