/* SPDX-License-Identifier: Apache-2.0 */
/* Whole small disks: systems, verdicts, the persona that is chosen; and that nothing is written. */
#include "images.h"

#include <errno.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "fakes/fake_hive.h"
#include "inspect/auto.h"
#include "inspect/fleet.h"
#include "machine/plan.h"

static struct inspect found;
static struct err e;

static void look(const char *name)
{
    struct inspect_cfg c = {.path = images_path(name)};

    assert_int_equal(inspect_file(&c, &found, &e), 0);
}

static bool noted(const char *text)
{
    for (unsigned i = 0; i < found.notes; i++) {
        if (strstr(found.note[i], text))
            return true;
    }
    return false;
}

/* A Debian of which only what counts is there; modules: words for the initrd. */
static void debian(const char *folder, const char *modules, const char *root)
{
    char text[600];

    assert_int_equal(
        images_run(
            "rm -rf %s i && mkdir -p %s/boot/grub %s/etc/network %s/lib/modules/6.1-t "
            "i/lib/modules/"
            "6.1-t/kernel && cd i && for m in %s; do touch lib/modules/6.1-t/kernel/$m.ko; done && "
            "find . | cpio -o -H newc | gzip > ../%s/boot/initrd.img-6.1-t && "
            "touch ../%s/boot/vmlinuz-6.1-t",
            folder, folder, folder, folder, modules, folder, folder),
        0);
    snprintf(text, sizeof(text), "%s/etc/os-release", folder);
    images_text(text, "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n");
    snprintf(text, sizeof(text), "%s/etc/fstab", folder);
    images_text(text, "# comment\nUUID=1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2\n");
    snprintf(text, sizeof(text), "%s/etc/network/interfaces", folder);
    images_text(text, "auto lo ens192\n#iface eth9\niface ens192 inet static\n");
    snprintf(text, sizeof(text), "%s/lib/modules/6.1-t/modules.builtin", folder);
    images_text(text, "kernel/drivers/ata/ata_piix.ko\n");
    snprintf(text, sizeof(text), "%s/lib/modules/6.1-t/modules.dep", folder);
    images_text(text, "kernel/vmxnet3.ko:\nkernel/virtio_net.ko: kernel/x.ko\n");
    snprintf(text, sizeof(text), "%s/boot/grub/grub.cfg", folder);
    images_run("printf 'menuentry Debian {\\nlinux /boot/vmlinuz-6.1-t root=%s ro\\n"
               "initrd /boot/initrd.img-6.1-t\\n}\\n' > %s",
               root, text);
}

static void sure_is(enum persona_no p, enum inspect_sure want)
{
    if (found.verdict[p].boots != want)
        fail_msg("%s: %s, not %s: %s", persona_names[p], sure_names[found.verdict[p].boots],
                 sure_names[want], found.verdict[p].why);
}

static void a_guest_boots_where_its_initrd_drives_the_disk(void **state)
{
    static const struct {
        const char *modules;
        enum persona_no persona;
    } cases[] = {
        {"virtio_pci virtio_blk", PERSONA_KVM},
        {"hv_vmbus hv_storvsc sd_mod", PERSONA_HYPERV},
        {"xen-blkfront", PERSONA_XEN},
        {"vmw_pvscsi sd_mod", PERSONA_VMWARE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        debian("d", cases[i].modules, "UUID=1");
        assert_int_equal(images_run("rm -f d.img && truncate -s 20M d.img && mke2fs -q -d d d.img"),
                         0);
        look("d.img");
        assert_int_equal(found.systems, 1);
        assert_string_equal(found.system[0].id, "debian");
        assert_string_equal(found.system[0].version, "12");
        assert_string_equal(found.system[0].kernel[0].version, "6.1-t");
        for (unsigned p = PERSONA_KVM; p <= PERSONA_VMWARE; p++) {
            if (p == cases[i].persona)
                sure_is((enum persona_no)p, SURE_YES);
            else
                assert_true(found.verdict[p].boots <= SURE_LIKELY);
        }
    }
    assert_string_equal(found.system[0].names_kept, "ens192 in /etc/network/interfaces");
    assert_string_equal(found.system[0].fstab_names, "/dev/sdb1");
    assert_null(strstr(found.verdict[PERSONA_VMWARE].lacks, "network"));
    assert_non_null(strstr(found.verdict[PERSONA_HYPERV].lacks, "hv_netvsc"));
}

static void a_root_by_name_is_unlikely_elsewhere(void **state)
{
    (void)state;
    debian("d", "virtio_pci virtio_blk xen-blkfront hv_vmbus hv_storvsc sd_mod", "/dev/xvda1");
    assert_int_equal(images_run("rm -f d.img && truncate -s 20M d.img && mke2fs -q -d d d.img"), 0);
    look("d.img");
    sure_is(PERSONA_XEN, SURE_YES);
    sure_is(PERSONA_KVM, SURE_UNLIKELY);
    sure_is(PERSONA_HYPERV, SURE_UNLIKELY);
    assert_non_null(strstr(found.verdict[PERSONA_KVM].why, "/dev/xvda1"));
}

/* ESP, /boot and root on their own, found by what fstab says. */
static void systems_over_several_partitions(void **state)
{
    (void)state;
    if (!images_have("sfdisk") || !images_have("mcopy"))
        skip();
    debian("d", "hv_vmbus hv_storvsc sd_mod", "UUID=2");
    images_text("d/etc/fstab",
                "LABEL=rootfs / ext4 defaults 0 1\nLABEL=boot /boot ext4 defaults 0 2\n"
                "LABEL=ESP /boot/efi vfat defaults 0 0\n");
    assert_int_equal(
        images_run("mv d/boot b && mkdir d/boot && mkdir -p esp/EFI/BOOT esp/EFI/debian && "
                   "touch esp/EFI/BOOT/BOOTX64.EFI esp/EFI/debian/grubx64.efi && "
                   "sed -i 's,/boot/,/,' b/grub/grub.cfg && "
                   "mkfs.vfat -C -n ESP e.part 2048 && mcopy -s -i e.part esp/EFI :: && "
                   "truncate -s 8M b.part r.part && mke2fs -q -L boot -d b b.part && "
                   "mke2fs -q -t ext4 -L rootfs -d d r.part && truncate -s 24M g.img && "
                   "printf 'label: gpt\\nstart=1M,size=2M,type=U\\nstart=4M,size=8M\\n"
                   "start=12M,size=8M\\n' | sfdisk -q g.img && "
                   "dd if=e.part of=g.img bs=1M seek=1 conv=notrunc && "
                   "dd if=b.part of=g.img bs=1M seek=4 conv=notrunc && "
                   "dd if=r.part of=g.img bs=1M seek=12 conv=notrunc"),
        0);
    look("g.img");
    assert_string_equal(found.table, "gpt");
    assert_true(found.uefi);
    assert_false(found.bios);
    assert_int_equal(found.systems, 1);
    assert_string_equal(found.system[0].root, "partition 3");
    assert_int_equal(found.system[0].kernels, 1);
    assert_string_equal(found.system[0].kernel[0].initrd, "/initrd.img-6.1-t");
    assert_true(found.system[0].kernel[0].listed);
    sure_is(PERSONA_HYPERV, SURE_YES);
    sure_is(PERSONA_KVM, SURE_LIKELY); /* by IDE */
    sure_is(PERSONA_XEN, SURE_NO);
}

/* A program with sections, as far as anyone looks. */
static void unified_image(const char *out, const char *initrd)
{
    static const char *const names[] = {".linux", ".uname", ".cmdline", ".initrd"};
    static uint8_t b[1 << 16];
    size_t n, at = 0x400;
    uint8_t *rd = images_load(initrd, &n);
    const void *const data[] = {"kernel", "6.1-t", "root=LABEL=rootfs quiet\n", rd};
    const size_t sizes[] = {6, 5, 24, n};

    memset(b, 0, sizeof(b));
    memcpy(b, "MZ", 2);
    b[0x3c] = 0x80;
    memcpy(b + 0x80, "PE\0\0", 4);
    b[0x86] = 4;
    b[0x94] = 0xf0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *s = b + 0x80 + 24 + 0xf0 + i * 40;

        memcpy(s, names[i], strlen(names[i]));
        le32_put(s + 8, (uint32_t)sizes[i]);
        le32_put(s + 16, (uint32_t)sizes[i]);
        le32_put(s + 20, (uint32_t)at);
        assert_true(at + sizes[i] < sizeof(b));
        memcpy(b + at, data[i], sizes[i]);
        at += (sizes[i] + 511) / 512 * 512;
    }
    images_put(out, b, at);
    free(rd);
}

static void a_unified_image_needs_no_menu(void **state)
{
    (void)state;
    if (!images_have("sfdisk") || !images_have("mcopy"))
        skip();
    debian("d", "vmw_pvscsi sd_mod", "UUID=2");
    images_run("rm -rf e && mkdir -p e/EFI/BOOT && touch e/EFI/BOOT/BOOTX64.EFI");
    unified_image("e/EFI/Linux/debian-6.1-t.efi", "d/boot/initrd.img-6.1-t");
    assert_int_equal(
        images_run(
            "rm -rf d/boot e.part r.part && mkfs.vfat -C e.part 2048 && mcopy -s -i e.part e/EFI "
            ":: && truncate -s 8M r.part && mke2fs -q -L rootfs -d d r.part && rm -f u.img && "
            "truncate -s 16M u.img && printf 'label: gpt\\nstart=1M,size=2M,type=U\\n"
            "start=4M,size=8M\\n' | sfdisk -q u.img && dd if=e.part of=u.img bs=1M seek=1 "
            "conv=notrunc && dd if=r.part of=u.img bs=1M seek=4 conv=notrunc"),
        0);
    look("u.img");
    assert_int_equal(found.systems, 1);
    assert_int_equal(found.system[0].kernels, 1);
    assert_string_equal(found.system[0].kernel[0].version, "6.1-t");
    assert_string_equal(found.system[0].root_arg, "LABEL=rootfs");
    sure_is(PERSONA_VMWARE, SURE_YES);
    sure_is(PERSONA_KVM, SURE_LIKELY); /* by IDE */
}

static void windows_by_its_hive(void **state)
{
    static const char *const services[] = {"vmbus=0",   "storvsc=0", "pvscsi=0/3", "netvsc=3",
                                           "viostor=3", "VMTools=2", "intelide=0", NULL};
    const char *helper = getenv("HOSPES_NTFS_TREE");

    (void)state;
    if (!helper || !images_have("mkntfs"))
        skip();
    assert_int_equal(images_run("mkdir -p w/Windows/System32/config && touch w/bootmgr"), 0);
    assert_int_equal(fake_hive(images_path("w/Windows/System32/config/SYSTEM"), services), 0);
    assert_int_equal(
        images_run("truncate -s 24M w.img && mkntfs -q -F w.img && python3 %s w.img w", helper), 0);
    look("w.img");
    assert_int_equal(found.systems, 1);
    assert_int_equal(found.system[0].family, GUEST_WINDOWS);
    assert_string_equal(found.system[0].name, "Windows Server");
    assert_string_equal(found.system[0].arch, "x86_64");
    assert_int_equal(found.system[0].boot, DRV(DRV_VMBUS) | DRV(DRV_STORVSC) | DRV(DRV_IDE));
    assert_true(found.system[0].agents & 1U << AGENT_VMWARE_TOOLS);
    sure_is(PERSONA_HYPERV, SURE_YES);
    sure_is(PERSONA_KVM, SURE_LIKELY);
    assert_string_equal(found.verdict[PERSONA_KVM].bus, "ide");
    sure_is(PERSONA_XEN, SURE_NO);
    sure_is(PERSONA_BARE, SURE_YES);
    assert_true(noted("pvscsi"));
}

static void a_bsd_by_its_kernel(void **state)
{
    static const char kernel[] =
        "\x7f"
        "ELF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x3e\0vtblk\0vtnet\0storvsc\0pvscsix\0x";

    (void)state;
    if (!images_have("makefs"))
        skip();
    images_put("bsd/boot/kernel/kernel", kernel, sizeof(kernel));
    images_text("bsd/bin/freebsd-version", "USERLAND_VERSION=\"13.2-RELEASE\"\n");
    images_text("bsd/boot/loader.conf", "xbd_load=\"YES\"\n#ahci_load=\"YES\"\n");
    images_text("bsd/etc/fstab", "/dev/da0p2 / ufs rw 1 1\n/dev/gpt/swap none swap sw 0 0\n");
    assert_int_equal(images_run("makefs -t ffs -o version=2 -s 8m bsd.img bsd"), 0);
    look("bsd.img");
    assert_int_equal(found.system[0].family, GUEST_FREEBSD);
    assert_string_equal(found.system[0].version, "13.2-RELEASE");
    assert_string_equal(found.system[0].arch, "x86_64");
    assert_string_equal(found.system[0].fstab_names, "/dev/da0p2");
    sure_is(PERSONA_KVM, SURE_YES);
    sure_is(PERSONA_HYPERV, SURE_YES);
    sure_is(PERSONA_XEN, SURE_YES);
    sure_is(PERSONA_VMWARE, SURE_NO);
}

static void nothing_is_written(void **state)
{
    (void)state;
    debian("d", "virtio_pci virtio_blk", "UUID=1");
    assert_int_equal(
        images_run("rm -f d.img && truncate -s 20M d.img && mke2fs -q -t ext4 -d d d.img && "
                   "sha256sum d.img > sum && getfattr -d d.img > attr || true; "
                   "stat -c '%%Y %%Z %%s' d.img > times && chmod 400 d.img"),
        0);
    look("d.img");
    assert_int_equal(
        images_run("sha256sum -c sum && [ \"$(stat -c '%%Y %%s' d.img)\" = "
                   "\"$(cut -d' ' -f1,3 times)\" ] && [ -z \"$(getfattr -d d.img)\" ]"),
        0);
}

static void what_is_no_disk_is_refused_or_unknown(void **state)
{
    struct inspect_cfg c = {.path = "/nonexistent.img"};

    (void)state;
    assert_int_equal(inspect_file(&c, &found, &e), -ENOENT);
    assert_int_equal(e.exit, EX_MISSING);
    images_text("empty", "");
    c.path = images_path("empty");
    assert_int_equal(inspect_file(&c, &found, &e), -EINVAL);
    images_text("noise", "some text that is no disk\n");
    look("noise");
    assert_int_equal(found.systems, 0);
    for (unsigned p = 0; p < PERSONAS; p++)
        assert_int_equal(found.verdict[p].boots, SURE_UNKNOWN);
}

/* --- the choice --- */

static void boots(enum inspect_sure kvm, enum inspect_sure hyperv, enum inspect_sure xen,
                  enum inspect_sure vmware)
{
    enum inspect_sure all[] = {kvm, hyperv, xen, vmware, SURE_NO};

    memset(&found, 0, sizeof(found));
    for (unsigned p = 0; p < PERSONAS; p++) {
        found.verdict[p].boots = all[p];
        snprintf(found.verdict[p].why, sizeof(found.verdict[p].why), "<%s>", persona_names[p]);
    }
    found.systems = 1;
    found.images = 1;
}

static void the_choice_follows_its_rule(void **state)
{
    struct auto_sign none = {.persona = -1}, vmx = {PERSONA_VMWARE, "a.vmx describes it"};
    char why[AUTO_WHY];

    (void)state;
    boots(SURE_YES, SURE_YES, SURE_YES, SURE_YES);
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_KVM);
    assert_string_equal(why, "persona kvm: <kvm>; would also boot under hyperv, xen, vmware");
    assert_int_equal(auto_choose(&found, &vmx, why), PERSONA_VMWARE);
    strcpy(found.image[0].format, "vhdx");
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_HYPERV);
    found.system[0].agents = 1U << AGENT_XE_GUEST | 1U << AGENT_CLOUD_INIT;
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_XEN);
    found.system[0].agents |= 1U << AGENT_QEMU_GUEST; /* two contradict each other */
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_HYPERV);
    boots(SURE_YES, SURE_NO, SURE_NO, SURE_NO);
    assert_int_equal(auto_choose(&found, &vmx, why), PERSONA_KVM);
    assert_string_equal(why, "persona kvm: <kvm>; though a.vmx describes it, there <vmware>");
    boots(SURE_LIKELY, SURE_YES, SURE_NO, SURE_NO);
    strcpy(found.image[0].format, "qcow2"); /* too weak a sign for the worse way */
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_HYPERV);
    boots(SURE_UNKNOWN, SURE_UNKNOWN, SURE_UNKNOWN, SURE_UNKNOWN);
    strcpy(found.stage, "initrd /boot/a");
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_KVM);
    assert_string_equal(why, "persona kvm: the look at it was ended early, at initrd /boot/a; name "
                             "the persona if you know it");
    found.stage[0] = '\0';
    strcpy(found.image[0].format, "vhd");
    strcpy(found.image[0].creator, "tap");
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_XEN);
    boots(SURE_NO, SURE_UNLIKELY, SURE_NO, SURE_NO);
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_HYPERV);
    boots(SURE_UNKNOWN, SURE_UNKNOWN, SURE_UNKNOWN, SURE_UNKNOWN);
    found.verdict[PERSONA_BARE].boots = SURE_UNKNOWN;
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_KVM);
    found.bios = true;
    found.systems = 0; /* a boot loader, and nothing that is known */
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_BARE);
    assert_non_null(strstr(why, "persona bare: no system that is known was found"));
    assert_int_equal(auto_choose(&found, &vmx, why), PERSONA_VMWARE);
    strcpy(found.image[0].format, "qcow2");
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_KVM);
    strcpy(found.image[0].format, "raw");
    found.parts = 1;
    strcpy(found.part[0].fs, "iso9660");
    assert_int_equal(auto_choose(&found, &none, why), PERSONA_KVM);
    assert_int_equal(auto_choose(NULL, &none, why), PERSONA_KVM);
    assert_int_equal(auto_choose(NULL, &vmx, why), PERSONA_VMWARE);
}

static void a_plan_gets_persona_and_reason(void **state)
{
    struct plan p;

    (void)state;
    debian("d", "vmw_pvscsi sd_mod hv_vmbus hv_storvsc", "UUID=1");
    assert_int_equal(
        images_run("rm -rf v && mkdir v && truncate -s 20M v/a.img && mke2fs -q -d d v/a.img"), 0);
    plan_init(&p);
    assert_int_equal(plan_add_disk(&p, images_path("v/a.img"), &e), 0);
    assert_int_equal(auto_decide(&p, NULL, &e), 0);
    assert_string_equal(p.persona, "hyperv");
    images_text("v/m.vmx", ".encoding = \"UTF-8\"\nscsi0.present = \"TRUE\"\n"
                           "scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"a.img\"\n");
    images_text("v/other.vmx", ".encoding = \"UTF-8\"\n");
    free(p.persona);
    free(p.persona_why);
    p.persona = p.persona_why = NULL;
    assert_int_equal(auto_decide(&p, NULL, &e), 0);
    assert_string_equal(p.persona, "vmware");
    assert_non_null(strstr(p.persona_why, "m.vmx beside it"));
    plan_free(&p);
    /* An empty disk, and the system on the second one. */
    assert_int_equal(images_run("truncate -s 1M empty.img"), 0);
    assert_int_equal(plan_add_disk(&p, images_path("empty.img"), &e), 0);
    assert_int_equal(plan_add_disk(&p, images_path("v/a.img"), &e), 0);
    assert_int_equal(auto_decide(&p, NULL, &e), 0);
    assert_string_equal(p.persona, "hyperv");
    plan_free(&p);
}

static void an_initrd_of_this_machine(void **state)
{
    struct inspect_cfg c = {0};

    (void)state;
    debian("d", "xen-blkfront", "UUID=1");
    assert_int_equal(images_run("cp d/boot/initrd.img-6.1-t initrd && truncate -s 4096 kernel"), 0);
    c.kernel = strdup(images_path("kernel"));
    c.initrd = images_path("initrd");
    assert_int_equal(inspect_file(&c, &found, &e), 0);
    free((char *)c.kernel);
    assert_int_equal(found.system[0].kernel[0].initramfs, DRV(DRV_XENVBD));
    sure_is(PERSONA_XEN, SURE_YES);
    sure_is(PERSONA_KVM, SURE_UNKNOWN);
}

/* --- fleets --- */

static const struct fleet_machine *machine(const struct fleet *f, const char *file)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->v[i].file, file) == 0)
            return &f->v[i];
    }
    return NULL;
}

static void a_fleet_has_each_machine_once(void **state)
{
    const struct fleet_machine *m;
    struct fleet f;

    (void)state;
    debian("d", "virtio_pci virtio_blk", "UUID=1");
    assert_int_equal(
        images_run("mkdir -p fleet/a fleet/b && truncate -s 20M fleet/a/a.raw && "
                   "mke2fs -q -d d fleet/a/a.raw && cp fleet/a/a.raw fleet/b/lone.img && "
                   "touch fleet/b/x-flat.vmdk fleet/b/x-s001.vmdk fleet/b/readme && "
                   "ln -s ../a/a.raw fleet/b/link.img"),
        0);
    images_text("fleet/a/m.vmx", ".encoding = \"UTF-8\"\ndisplayName = \"web\"\nmemsize = \"512\"\n"
                                 "scsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\n"
                                 "scsi0:0.fileName = \"a.raw\"\n");
    images_text("fleet/a/gone.vmx", ".encoding = \"UTF-8\"\nscsi0.present = \"TRUE\"\n"
                                    "scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"no.vmdk\"\n");
    images_text("fleet/a/bad.vmx", ".encoding = \"UTF-8\"\nnumvcpus = \"many\"\n");
    assert_int_equal(fleet_look(images_path("fleet"), &f, &e), 0);
    assert_int_equal(f.n, 4);
    m = machine(&f, "a/m.vmx");
    assert_string_equal(m->name, "web");
    assert_int_equal(m->persona, PERSONA_KVM);
    assert_int_equal(m->boots, SURE_YES);
    assert_int_equal(m->memory, 512 * MiB);
    assert_non_null(strstr(m->why, "though"));
    m = machine(&f, "b/lone.img");
    assert_string_equal(m->from, "disk");
    assert_string_equal(m->name, "lone");
    m = machine(&f, "a/gone.vmx");
    assert_int_equal(m->persona, PERSONA_VMWARE);
    assert_int_equal(m->boots, SURE_UNKNOWN);
    assert_non_null(strstr(m->problem, "no.vmdk"));
    m = machine(&f, "a/bad.vmx");
    assert_int_equal(m->persona, -1);
    assert_non_null(strstr(m->problem, "many"));
    fleet_free(&f);
    assert_int_equal(fleet_look("/nonexistent", &f, &e), -ENOTDIR);
    assert_int_equal(fleet_look(images_path("d.img"), &f, &e), -ENOTDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_boots_where_its_initrd_drives_the_disk),
        cmocka_unit_test(a_root_by_name_is_unlikely_elsewhere),
        cmocka_unit_test(systems_over_several_partitions),
        cmocka_unit_test(a_unified_image_needs_no_menu),
        cmocka_unit_test(windows_by_its_hive),
        cmocka_unit_test(a_bsd_by_its_kernel),
        cmocka_unit_test(nothing_is_written),
        cmocka_unit_test(what_is_no_disk_is_refused_or_unknown),
        cmocka_unit_test(the_choice_follows_its_rule),
        cmocka_unit_test(a_plan_gets_persona_and_reason),
        cmocka_unit_test(an_initrd_of_this_machine),
        cmocka_unit_test(a_fleet_has_each_machine_once),
    };
    return cmocka_run_group_tests(tests, images_setup, images_teardown);
}
