/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that goes home: there and back in each format, and what has to be done to its disks. */
#include "fixture.h"

#include "import/export.h"

static void fill(struct plan *p, const char *persona, const char *bus, const char *card)
{
    struct plan_controller *c = plan_controller_new(p);
    struct plan_disk *d = plan_disk_new(p), *cd = plan_disk_new(p);
    struct plan_nic *n = plan_nic_new(p);
    char path[80];

    p->nics_said = true;
    assert_int_equal(plan_set(&p->name, "web--one-----", &e), 0);
    assert_int_equal(plan_set(&p->title, "web \"one\" <&>", &e), 0);
    assert_int_equal(plan_set(&p->notes, "first\nsecond", &e), 0);
    assert_int_equal(plan_set(&p->persona, persona, &e), 0);
    assert_int_equal(plan_set(&p->firmware, "uefi", &e), 0);
    p->cpus = 4;
    p->memory = GiB;
    p->uuid_said = p->genid.said = true;
    for (unsigned i = 0; i < 16; i++) {
        p->uuid[i] = (uint8_t)(0x80 + i);
        p->genid.b[i] = (uint8_t)(0xf0 - i);
    }
    p->secure_boot = true;
    assert_int_equal(plan_set(&c->bus, bus, &e), 0);
    assert_int_equal(plan_set(&d->bus, bus, &e), 0);
    assert_int_equal(plan_set(&cd->bus, bus, &e), 0);
    d->controller = cd->controller = 0;
    d->unit = 1;
    cd->unit = 2;
    cd->cdrom = true;
    d->boot = 2;
    n->boot = 1;
    snprintf(path, sizeof(path), "%s/a.%s", dir, strcmp(persona, "hyperv") == 0 ? "vhdx" : "vmdk");
    assert_int_equal(plan_set(&d->path, path, &e), 0);
    snprintf(path, sizeof(path), "%s/b.iso", dir);
    assert_int_equal(plan_set(&cd->path, path, &e), 0);
    assert_int_equal(plan_set(&n->backend, "user", &e), 0);
    assert_int_equal(plan_set(&n->model, card, &e), 0);
    assert_int_equal(plan_set(&n->lan, "lan & more", &e), 0);
    memcpy(n->mac, "\x52\x54\0\1\2\3", 6);
    n->mac_said = true;
}

static void add_floppy(struct plan *p, const char *name)
{
    struct plan_disk *d = plan_disk_new(p);
    char path[80];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (*name)
        assert_int_equal(plan_set(&d->path, path, &e), 0);
    assert_int_equal(plan_set(&d->bus, "floppy", &e), 0);
    d->unit = (int)p->disks - 3;
}

static char *plain(struct plan *p)
{
    char *text, *at;
    static const char *const folders[] = {"/Virtual Machines", ""};

    assert_int_equal(plan_set(&p->persona_why, NULL, &e), 0);
    assert_int_equal(plan_set(&p->hardware, NULL, &e), 0);
    assert_int_equal(plan_to_json(p, &text, &e), 0);
    for (size_t i = 0; i < 2; i++) {
        char cut[80];

        snprintf(cut, sizeof(cut), "%s%s", dir, folders[i]);
        while ((at = strstr(text, cut)))
            memmove(at, at + strlen(cut), strlen(at + strlen(cut)) + 1);
    }
    return text;
}

static void same_after(const char *format, struct plan *home)
{
    struct export x = {.dir = dir};
    char sub[80], *before, *after;

    assert_int_equal(exporter_find(format)->make(home, &x, &e), 0);
    snprintf(sub, sizeof(sub), "%s/Virtual Machines", dir);
    mkdir(sub, 0700);
    for (size_t i = 0; i < x.files; i++)
        put_bytes(x.file[i].name, x.file[i].text.s, x.file[i].text.len);
    if (take(x.file[0].name) < 0)
        fail_msg("%s: %s", format, e.msg);
    before = plain(home);
    after = plain(&plan);
    assert_string_equal(after, before);
    free(before);
    free(after);
    export_free(&x);
    plan_free(home);
}

static void a_machine_comes_back_as_it_went(void **state)
{
    struct plan p;

    (void)state;
    plan_init(&p);
    fill(&p, "vmware", "pvscsi", "vmxnet3");
    p.ctl[0].place.slot = 160;
    p.nic[0].place.slot = 192;
    same_after("vmx", &p);
    fill(&p, "vmware", "pvscsi", "vmxnet3");
    p.nic[0].place.slot = 192;
    p.genid.said = false; /* an OVF has no word for it */
    assert_int_equal(plan_set(&p.persona_opts, "guestinfo.a=b,,c", &e), 0);
    same_after("ovf", &p);
    fill(&p, "kvm", "virtio-scsi", "virtio");
    assert_int_equal(plan_set(&p.nic[0].place.pci, "0000:00:05.0", &e), 0);
    assert_int_equal(plan_set(&p.smbios.serial, "s < 1", &e), 0);
    assert_int_equal(plan_set(&p.tpm, "2.0", &e), 0);
    p.rtc_local = true;
    same_after("libvirt", &p);
    fill(&p, "kvm", "virtio-scsi", "virtio");
    p.secure_boot = false;
    assert_int_equal(plan_set(&p.firmware, "bios", &e), 0);
    assert_int_equal(plan_set(&p.firmware_opts, "menu=3", &e), 0);
    add_floppy(&p, "a.img");
    same_after("libvirt", &p);
    fill(&p, "bare", "ide", "e1000");
    same_after("libvirt", &p);
    fill(&p, "vmware", "pvscsi", "vmxnet3");
    add_floppy(&p, "a.img");
    same_after("vmx", &p);
    fill(&p, "hyperv", "scsi", "netvsc");
    memcpy(p.nic[0].place.instance.b, p.uuid, 16);
    p.nic[0].place.instance.said = true;
    p.ctl[0].place.instance = p.nic[0].place.instance;
    same_after("hyperv", &p);
    fill(&p, "hyperv", "scsi", "netvsc");
    assert_int_equal(plan_set(&p.firmware, "bios", &e), 0);
    add_floppy(&p, "a.vfd");
    p.disk[2].boot = 3;
    same_after("hyperv", &p);
    fill(&p, "hyperv", "scsi", "netvsc");
    assert_int_equal(plan_set(&p.firmware, "bios", &e), 0);
    add_floppy(&p, "");
    same_after("hyperv", &p);
    fill(&p, "vmware", "pvscsi", "vmxnet3");
    p.genid.said = false;
    add_floppy(&p, "a.img");
    add_floppy(&p, "");
    p.disk[2].boot = 3;
    same_after("ovf", &p);
}

/* As bhyve has it: a controller for each disk, and so one name for two of them. */
static void two_disks_of_one_name_come_back_as_they_went(void **state)
{
    static const char text[] =
        "<domain type='bhyve'><name>b</name><memory>65536</memory><vcpu>1</vcpu><os><type>hvm"
        "</type><boot dev='cdrom'/></os><devices>"
        "<disk type='file' device='disk'><driver type='raw'/><source file='b.img'/>"
        "<target dev='hda' bus='sata'/><address type='pci' bus='0x00' slot='0x02' function='0x0'/>"
        "</disk><disk type='file' device='cdrom'><source file='b.iso'/><target dev='hda' "
        "bus='sata'/><boot order='1'/><address type='pci' bus='0x00' slot='0x04' function='0x0'/>"
        "</disk><disk type='file' device='disk'><source file='c.img'/><target dev='hdb' "
        "bus='sata'/></disk><interface type='bridge'><model type='virtio'/><source bridge='v'/>"
        "</interface></devices></domain>";
    struct plan p;

    (void)state;
    assert_int_equal(take_text("b.xml", text), 0);
    assert_int_equal(plan.disks, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(plan.disk[i].controller, 0);
        assert_int_equal(plan.disk[i].unit, i);
    }
    assert_true(plan.disk[1].cdrom);
    assert_int_equal(plan.disk[1].boot, 1);
    p = plan;
    plan_init(&plan);
    same_after("libvirt", &p);
}

static void long_notes_lie_far_away_in_a_vmcx(void **state)
{
    static char notes[9000];
    struct plan p;

    (void)state;
    memset(notes, 'n', sizeof(notes) - 1);
    plan_init(&p);
    fill(&p, "hyperv", "scsi", "netvsc");
    assert_int_equal(plan_set(&p.notes, notes, &e), 0);
    same_after("hyperv", &p);
}

static void foreign_images_and_buses_are_told(void **state)
{
    struct export x = {.dir = dir};
    bool convert = false, bus = false;
    struct plan p;

    (void)state;
    plan_init(&p);
    fill(&p, "kvm", "virtio", "virtio");
    assert_int_equal(plan_set(&p.disk[0].path, "/images/a.qcow2", &e), 0);
    assert_int_equal(exporter_find("vmx")->make(&p, &x, &e), 0);
    for (size_t i = 0; i < x.report.count; i++) {
        const struct import_line *l = &x.report.lines[i];

        convert |= l->to && l->why && strcmp(l->to, "a.vmdk") == 0 &&
                   strstr(l->why, "hospes image convert -O vmdk \"/images/a.qcow2\"");
        bus |=
            l->key && l->to && strcmp(l->key, "disk0 bus") == 0 && strncmp(l->to, "sata", 4) == 0;
    }
    assert_true(convert && bus);
    assert_non_null(strstr(x.file[0].text.s, ".fileName = \"a.vmdk\""));
    export_free(&x);
    plan_free(&p);
}

/* Whoever reads the export would cut such a name off. */
static void a_disk_beside_the_folder_keeps_its_whole_name(void **state)
{
    struct export x = {.dir = dir};
    char path[80], line[120];
    struct plan p;

    (void)state;
    plan_init(&p);
    fill(&p, "vmware", "pvscsi", "vmxnet3");
    snprintf(path, sizeof(path), "%s/../a.vmdk", dir);
    assert_int_equal(plan_set(&p.disk[0].path, path, &e), 0);
    assert_int_equal(exporter_find("vmx")->make(&p, &x, &e), 0);
    snprintf(line, sizeof(line), ".fileName = \"%s\"\n", path);
    assert_non_null(strstr(x.file[0].text.s, line));
    export_free(&x);
    plan_free(&p);
}

/* Hyper-V has one drive, in machines with a BIOS: told, and the rest is as it was without. */
static void a_floppy_that_cannot_go_is_told(void **state)
{
    (void)state;
    for (int uefi = 0; uefi < 2; uefi++) {
        struct export x = {.dir = dir};
        unsigned gone = 0, renamed = 0;
        struct plan p;

        plan_init(&p);
        fill(&p, "hyperv", "scsi", "netvsc");
        assert_int_equal(plan_set(&p.firmware, uefi ? "uefi" : "bios", &e), 0);
        add_floppy(&p, "a.img");
        add_floppy(&p, "b.img");
        assert_int_equal(exporter_find("hyperv")->make(&p, &x, &e), 0);
        for (size_t i = 0; i < x.report.count; i++) {
            const struct import_line *l = &x.report.lines[i];

            gone += l->fate == IMPORT_DROPPED && strstr(l->value, ".img");
            renamed += l->to && strcmp(l->to, "a.vfd") == 0;
        }
        assert_int_equal(gone, 1 + uefi);
        assert_int_equal(renamed, 1 - uefi);
        assert_true(x.files > 0);
        export_free(&x);
        plan_free(&p);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_machine_comes_back_as_it_went),
        T(two_disks_of_one_name_come_back_as_they_went),
        T(long_notes_lie_far_away_in_a_vmcx),
        T(foreign_images_and_buses_are_told),
        T(a_disk_beside_the_folder_keeps_its_whole_name),
        T(a_floppy_that_cannot_go_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
