/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on the fake host: what a guest does, and how the run ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/hyperv.h"
#include "board/pci.h"
#include "boot/images.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/log.h"
#include "host/fake.h"
#include "machine/machine.h"
#include "machine/machine_priv.h"
#include "unit.h"

struct bench {
    struct plan plan;
    struct image image;
    struct err e;
    int fd;
    unsigned lives; /* that the guest resets before it powers off */
    struct machine *m;
};

static int set_up(void **state)
{
    struct bench *t = calloc(1, sizeof(*t));
    char path[32];

    image_bzimage(&t->image);
    t->fd = image_file(t->image.b, t->image.n, path);
    plan_init(&t->plan);
    assert_int_equal(plan_set(&t->plan.kernel, path, &t->e), 0);
    assert_int_equal(plan_set(&t->plan.serial, "none", &t->e), 0);
    assert_int_equal(plan_add_nic(&t->plan, "none", &t->e), 0);
    t->plan.memory = 64 * MiB;
    t->plan.cpus = 2;
    assert_int_equal(plan_check(&t->plan, &t->e), 0);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *t = *state;

    fake_host_script(NULL);
    plan_free(&t->plan);
    close(t->fd);
    free(t);
    return 0;
}

static void bench_script(struct bench *t, void (*guest)(void *arg, struct vcpu *v,
                                                        const struct host_sink *s, unsigned life))
{
    struct fake_script script = {.guest = guest, .arg = t};

    fake_host_script(&script);
}

static enum machine_end bench_run(struct bench *t, int *rc)
{
    enum machine_end end = END_FAILED;

    *rc = machine_create(&t->plan, &host_fake, &t->m, &t->e);
    if (*rc < 0)
        return end;
    *rc = machine_run(t->m, &end, &t->e);
    return end;
}

static void outb(const struct host_sink *s, uint16_t port, unsigned size, uint64_t val)
{
    s->access(s->bus[BUS_PIO], port, size, ACC_WRITE, &val);
}

/* ACPI S5 and the reset register, at the ports that the FADT names. */
static void power_off(const struct host_sink *s)
{
    outb(s, 0x604, 2, 0x2000);
}

static void reset(const struct host_sink *s)
{
    outb(s, 0xcf9, 1, 0x6);
}

static void guest_powers_off(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    if (v->index == 0)
        power_off(s);
}

static void a_guest_that_powers_off_ends_the_run(void **state)
{
    struct bench *t = *state;
    struct fake_told told;
    int rc;

    bench_script(t, guest_powers_off);
    assert_int_equal(bench_run(t, &rc), END_POWEROFF);
    assert_int_equal(rc, 0);
    machine_destroy(t->m);
    told = fake_host_told();
    assert_int_equal(told.vcpus, 2);
    assert_int_equal(told.opened, 1);
    assert_int_equal(told.closed, 1);
    assert_int_equal(told.host_resets, 0);
    /* the loader's registers reached the first processor */
    assert_int_equal(told.regs.rip, 16 * MiB + 0x200);
    assert_int_equal(told.sregs.cs.l, 1);
    assert_int_equal(told.sregs.efer, 0x500);
}

static void guest_resets(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    struct bench *t = arg;

    if (v->index != 0)
        return;
    if (life < t->lives)
        reset(s);
    else
        power_off(s);
}

static void nine_resets_are_no_crash(void **state)
{
    struct bench *t = *state;
    struct fake_told told;
    int rc;

    t->lives = 9;
    bench_script(t, guest_resets);
    assert_int_equal(bench_run(t, &rc), END_POWEROFF);
    machine_destroy(t->m);
    told = fake_host_told();
    assert_int_equal(told.host_resets, 9);
    assert_int_equal(told.vcpu_resets, 18);
    assert_int_equal(told.regs.rip, 16 * MiB + 0x200);
}

static void a_guest_that_does_nothing_but_reset_is_ended(void **state)
{
    struct bench *t = *state;
    int rc;

    t->lives = 1000;
    bench_script(t, guest_resets);
    assert_int_equal(bench_run(t, &rc), END_RESETS);
    assert_non_null(strstr(machine_why(t->m), "resetting"));
    machine_destroy(t->m);
    assert_true(fake_host_told().host_resets < 20);
}

static void guest_both_reset(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    if (life < 3)
        reset(s);
    else if (v->index == 0)
        power_off(s);
}

static void two_processors_that_reset_at_once_reset_once(void **state)
{
    struct bench *t = *state;
    int rc;

    bench_script(t, guest_both_reset);
    assert_int_equal(bench_run(t, &rc), END_POWEROFF);
    machine_destroy(t->m);
    assert_int_equal(fake_host_told().host_resets, 3);
}

static void guest_triple_faults(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    struct host_event_info info = {{0}, {0}};

    if (v->index == 1)
        s->event(s->arg, v, HOST_EVENT_SHUTDOWN, &info);
}

static void a_triple_fault_is_a_crash(void **state)
{
    struct bench *t = *state;
    int rc;

    bench_script(t, guest_triple_faults);
    assert_int_equal(bench_run(t, &rc), END_CRASHED);
    assert_non_null(strstr(machine_why(t->m), "processor 1 hit a triple fault"));
    machine_destroy(t->m);
}

/* Maps 0x200000 to 0x400000 and dies in there. */
static void guest_dies_with_paging_on(void *arg, struct vcpu *v, const struct host_sink *s,
                                      unsigned life)
{
    static const struct {
        gpa_t at;
        uint64_t e;
    } table[] = {{0x310000, 0x311003}, {0x311000, 0x312003}, {0x312008, 0x400083}};
    static const uint8_t code[] = {0x0f, 0x0b, 0xcc};
    struct machine *m = ((struct bench *)arg)->m;
    struct sregs sr = {.cr0 = 0x80000001, .cr3 = 0x310000, .cr4 = 0x20, .efer = 0x500};
    struct regs r = {.rip = 0x200010, .rsp = 0x600000, .rax = 0x1234};
    struct host_event_info info = {{0}, {0}};

    if (v->index != 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        assert_int_equal(gmem_write(m->mem, table[i].at, &table[i].e, 8), 0);
    assert_int_equal(gmem_write(m->mem, 0x400010, code, sizeof(code)), 0);
    m->ops->vcpu_set_regs(v, &r);
    m->ops->vcpu_set_sregs(v, &sr);
    s->event(s->arg, v, HOST_EVENT_SHUTDOWN, &info);
}

static void the_log_keeps_what_a_triple_fault_left(void **state)
{
    static const char *const said[] = {"rax=1234",
                                       "cr3=310000",
                                       "code at 0x200010: 0f 0b cc",
                                       "stack at 0x600000: --",
                                       "as it was at the exit before",
                                       "exits -0: port 80"};
    char path[] = "/tmp/crash-XXXXXX", text[16384];
    struct bench *t = *state;
    int fd = mkstemp(path), rc;
    ssize_t n;

    assert_int_equal(log_open(path, LOG_TRACE, &t->e), 0);
    bench_script(t, guest_dies_with_paging_on);
    assert_int_equal(bench_run(t, &rc), END_CRASHED);
    machine_destroy(t->m);
    log_close();
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        if (!strstr(text, said[i]))
            fail_msg("no '%s' in:\n%s", said[i], text);
    }
    close(fd);
    unlink(path);
}

static unsigned after_notice;

static void guest_gives_notice(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    struct host_event_info info = {{1, 2, 3, 4, 5}, {0}};

    if (v->index != 0)
        return;
    s->event(s->arg, v, HOST_EVENT_CRASH, &info);
    usleep(20000); /* what ends a machine at once would have ended it by now */
    after_notice = 1;
    reset(s);
}

static void a_crash_notice_lets_the_guest_save_its_memory(void **state)
{
    struct bench *t = *state;
    int rc;

    after_notice = 0;
    bench_script(t, guest_gives_notice);
    assert_int_equal(bench_run(t, &rc), END_CRASHED);
    assert_int_equal(after_notice, 1);
    assert_non_null(strstr(machine_why(t->m), "crash notice: 0x1 0x2 0x3"));
    machine_destroy(t->m);
}

static bool waited_for[2];

struct grace_look {
    struct bench *t;
    bool *armed;
};

static void look_at_grace(void *arg)
{
    struct grace_look *g = arg;

    *g->armed = g->t->m->grace.at != 0;
}

/* Linux switches its SynIC off before it jumps into the crash kernel, which is long silent. */
static void guest_hands_over(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    struct host_event_info crash = {{1, 2, 3, 4, 5}, {0}}, off = {{HV_X64_MSR_SCONTROL}, {0}};
    struct bench *t = arg;

    if (v->index != 0)
        return;
    s->event(s->arg, v, HOST_EVENT_CRASH, &crash);
    usleep(20000);
    loop_post_wait(t->m->loop, look_at_grace, &(struct grace_look){t, &waited_for[0]});
    s->event(s->arg, v, HOST_EVENT_SYNIC, &off);
    usleep(20000);
    loop_post_wait(t->m->loop, look_at_grace, &(struct grace_look){t, &waited_for[1]});
    power_off(s);
}

static void a_guest_that_hands_over_to_its_crash_kernel_is_let_be(void **state)
{
    struct bench *t = *state;
    int rc;

    assert_int_equal(plan_set(&t->plan.persona, "hyperv", &t->e), 0);
    bench_script(t, guest_hands_over);
    assert_int_equal(bench_run(t, &rc), END_CRASHED);
    assert_true(waited_for[0]);
    assert_false(waited_for[1]);
    machine_destroy(t->m);
}

static void guest_panics(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    if (v->index == 0) {
        outb(s, 0x505, 1, 1);
        if (((struct bench *)arg)->lives)
            reset(s);
    }
}

static void a_panic_ends_the_run_even_if_the_guest_hangs(void **state)
{
    struct bench *t = *state;
    int rc;

    bench_script(t, guest_panics);
    assert_int_equal(bench_run(t, &rc), END_CRASHED);
    machine_destroy(t->m);
}

static void a_reset_after_a_panic_is_no_new_life(void **state)
{
    struct bench *t = *state;
    int rc;

    t->lives = 1;
    bench_script(t, guest_panics);
    assert_int_equal(bench_run(t, &rc), END_CRASHED);
    machine_destroy(t->m);
    assert_int_equal(fake_host_told().host_resets, 0);
}

static void guest_breaks_the_host(void *arg, struct vcpu *v, const struct host_sink *s,
                                  unsigned life)
{
    struct host_event_info info = {{0}, "it broke"};

    if (v->index == 0)
        s->event(s->arg, v, HOST_EVENT_INTERNAL, &info);
}

static void what_the_host_cannot_do_is_told(void **state)
{
    struct bench *t = *state;
    int rc;

    bench_script(t, guest_breaks_the_host);
    assert_int_equal(bench_run(t, &rc), END_FAILED);
    assert_true(rc < 0);
    assert_string_equal(t->e.msg, "it broke");
    assert_int_equal(t->e.exit, EX_NO_HOST);
    machine_destroy(t->m);
}

static void guest_interrupted(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    if (v->index == 0)
        machine_interrupt(((struct bench *)arg)->m);
}

static void an_interrupt_ends_the_run(void **state)
{
    struct bench *t = *state;
    int rc;

    bench_script(t, guest_interrupted);
    assert_int_equal(bench_run(t, &rc), END_INTERRUPTED);
    machine_destroy(t->m);
}

static void a_host_that_fails_leaves_nothing_behind(void **state)
{
    const struct fake_script fails[] = {
        {.fail_open = ENOENT}, {.fail_vcpu = ENOMEM}, {.fail_run = EIO}};
    struct bench *t = *state;

    for (size_t i = 0; i < ARRAY_SIZE(fails); i++) {
        int rc;

        t->m = NULL;
        fake_host_script(&fails[i]);
        assert_int_equal(bench_run(t, &rc), END_FAILED);
        assert_true(rc < 0);
        assert_int_equal(t->e.exit, EX_NO_HOST);
        machine_destroy(t->m);
        assert_int_equal(fake_host_told().opened, fake_host_told().closed);
    }
}

static void a_kernel_that_changed_ends_the_run_at_the_reset(void **state)
{
    struct bench *t = *state;
    enum machine_end end;

    t->lives = 1;
    bench_script(t, guest_resets);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_int_equal(ftruncate(t->fd, 700), 0);
    assert_int_equal(machine_run(t->m, &end, &t->e), -EINVAL);
    assert_int_equal(t->e.exit, EX_BAD_INPUT);
    machine_destroy(t->m);
}

static void an_unknown_persona_is_refused(void **state)
{
    struct bench *t = *state;
    int rc;

    assert_int_equal(plan_set(&t->plan.persona, "bochs", &t->e), 0);
    bench_run(t, &rc);
    assert_int_equal(rc, -EINVAL);
    assert_int_equal(t->e.exit, EX_USAGE_);
}

/* Is the text somewhere in the guest's memory? */
static bool in_memory(struct bench *t, const void *text, size_t n)
{
    uint8_t *all = malloc(64 * MiB);
    bool hit = false;

    assert_non_null(all);
    for (uint64_t at = 0; at < 64 * MiB; at += 4096) {
        if (gmem_read(t->m->mem, at, all + at, 4096) < 0)
            memset(all + at, 0, 4096);
    }
    hit = memmem(all, 64 * MiB, text, n) != NULL;
    free(all);
    return hit;
}

/* Linux calls the card ens192 by the number of its slot. */
static void places_and_names_of_a_plan_reach_the_tables(void **state)
{
    struct bench *t = *state;
    struct plan_nic *n = plan_nic_new(&t->plan);

    assert_int_equal(plan_set(&t->plan.persona, "vmware", &t->e), 0);
    assert_int_equal(plan_set(&t->plan.smbios.sku, "web-sku", &t->e), 0);
    assert_int_equal(plan_set(&t->plan.smbios.serial, "web-serial", &t->e), 0);
    assert_int_equal(plan_set(&n->backend, "user", &t->e), 0);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_true(in_memory(t, "_SUN\x0a\xa0", 6)); /* as ESXi would have placed it */
    assert_true(in_memory(t, "web-sku", 8));
    assert_true(in_memory(t, "web-serial", 11));
    machine_destroy(t->m);
    n->place.slot = 192;
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_true(in_memory(t, "_SUN\x0a\xc0", 6));
    machine_destroy(t->m);
}

static unsigned count_pci(struct bench *t, uint16_t vendor, uint16_t device)
{
    struct pci_bus *pci = board_env(t->m->board)->pci;
    unsigned n = 0;

    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_dev *d = pci_at(pci, devfn);

        n += d && pci_config_get16(d, PCI_VENDOR_ID) == vendor &&
             pci_config_get16(d, PCI_DEVICE_ID) == device;
    }
    return n;
}

/* As importers of VMware's descriptions fill it in. */
static void disks_go_to_the_controllers_of_their_plan(void **state)
{
    static const char *const spec[] = {
        "bus=lsilogic,controller=0,unit=0", "bus=lsilogic,controller=0,unit=9",
        "bus=lsilogic,controller=1", "bus=lsisas1068,controller=2,unit=15", "bus=pvscsi"};
    static const int bad[] = {0 /* taken */, 7 /* the controller's own */, 16 /* none */};
    static const char zero[4096];
    struct bench *t = *state;
    char text[256], path[32];
    int fd = image_file(zero, sizeof(zero), path);

    assert_int_equal(plan_set(&t->plan.persona, "vmware", &t->e), 0);
    for (size_t i = 0; i < ARRAY_SIZE(spec); i++) {
        snprintf(text, sizeof(text), "%s,format=raw,readonly,%s", path, spec[i]);
        assert_int_equal(plan_add_disk(&t->plan, text, &t->e), 0);
    }
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_int_equal(count_pci(t, 0x1000, 0x30), 2);
    assert_int_equal(count_pci(t, 0x1000, 0x54), 1);
    assert_int_equal(count_pci(t, 0x15ad, 0x7c0), 1);
    machine_destroy(t->m);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        t->plan.disk[1].unit = bad[i];
        assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), -EINVAL);
        assert_int_equal(t->e.exit, EX_USAGE_);
    }
    close(fd);
}

/* A machine that was an i440FX finds its devices where they were, and the slots named after them.
 */
static void an_i440fx_keeps_its_addresses(void **state)
{
    struct bench *t = *state;
    struct plan_nic *n = plan_nic_new(&t->plan);

    assert_int_equal(plan_set(&t->plan.persona, "kvm", &t->e), 0);
    assert_int_equal(plan_set(&t->plan.hardware, "pc-i440fx-7.2", &t->e), 0);
    assert_int_equal(plan_set(&n->backend, "user", &t->e), 0);
    assert_int_equal(plan_set(&n->place.pci, "0000:00:12.0", &t->e), 0);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_true(in_memory(t, "_SUN\x0a\x12", 6));
    assert_true(in_memory(t, "P90_", 4));
    machine_destroy(t->m);
    assert_int_equal(plan_set(&t->plan.hardware, "pc-q35-7.2", &t->e), 0);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_false(in_memory(t, "_SUN", 4));
    machine_destroy(t->m);
}

/* On a q35 a card stays on its bus, and what comes goes behind another port. */
static void a_q35_keeps_buses_and_takes_cards(void **state)
{
    struct bench *t = *state;
    struct plan_nic *n = plan_nic_new(&t->plan);
    struct pci_bus *pci;
    const char *id;

    assert_int_equal(plan_set(&t->plan.persona, "kvm", &t->e), 0);
    assert_int_equal(plan_set(&t->plan.machine, "q35", &t->e), 0);
    assert_int_equal(plan_set(&n->backend, "user", &t->e), 0);
    assert_int_equal(plan_set(&n->place.pci, "0000:01:00.0", &t->e), 0);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    pci = board_env(t->m->board)->pci;
    assert_string_equal(pci_at(pci, PCI_BEHIND + 1)->dev.env.id, "nic0");
    assert_int_equal(machine_attach_nic(t->m, "none", &id, &t->e), -EINVAL);
    assert_int_equal(machine_attach_nic(t->m, "user,model=dec21140", &id, &t->e), -EINVAL);
    assert_int_equal(machine_attach_nic(t->m, "user", &id, &t->e), 0);
    assert_string_equal(id, "nic1");
    assert_string_equal(pci_at(pci, PCI_BEHIND + 2)->dev.env.id, "nic1");
    assert_int_equal(machine_attach_nic(t->m, "user,model=e1000", &id, &t->e), 0);
    assert_string_equal(pci_at(pci, PCI_BEHIND + 3)->dev.env.id, "nic2");
    assert_int_equal(machine_detach(t->m, "nic1", &t->e), 1); /* asked */
    machine_ejected(t->m, PCI_PLACE_PORT + 2);
    assert_null(pci_at(pci, PCI_BEHIND + 2));
    assert_true(machine_detach(t->m, "nic0", &t->e) < 0);
    machine_destroy(t->m);
    assert_int_equal(plan_set(&t->plan.machine, NULL, &t->e), 0);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_int_equal(machine_attach_nic(t->m, "user", &id, &t->e), -ENOTSUP);
    machine_destroy(t->m);
    assert_int_equal(plan_set(&t->plan.persona, "xen", &t->e), 0);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_int_equal(machine_attach_nic(t->m, "user", &id, &t->e), -ENOTSUP);
    machine_destroy(t->m);
}

static void a_guest_whose_writes_are_thrown_away_gets_a_new_generation_id(void **state)
{
    static const struct plan_guid id = {.said = true, .b = {0x56, 0x4d, 0x17, 0x83, 0x79, 0x92}};
    static const uint8_t kept[16] = {0x83, 0x17, 0x4d, 0x56, 0x92, 0x79};
    struct bench *t = *state;
    uint8_t first[16], second[16];

    t->plan.genid = id;
    assert_ptr_equal(place_genid(&t->plan, first), first);
    assert_memory_equal(first, kept, 16);
    assert_int_equal(plan_add_disk(&t->plan, "a.img,write", &t->e), 0);
    assert_int_equal(plan_add_disk(&t->plan, "b.iso,cdrom", &t->e), 0);
    place_genid(&t->plan, first);
    assert_memory_equal(first, kept, 16);
    assert_int_equal(plan_add_disk(&t->plan, "c.img", &t->e), 0);
    place_genid(&t->plan, first);
    place_genid(&t->plan, second);
    assert_memory_not_equal(first, kept, 16);
    assert_memory_not_equal(first, second, 16);
}

static void powers_off(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life)
{
    (void)arg;
    (void)v;
    (void)life;
    power_off(s);
}

static void notices_do_not_add_up(void **state)
{
    struct bench *t = *state;
    enum machine_end end;

    bench_script(t, powers_off);
    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    for (unsigned i = 0; i < 1000; i++)
        machine_persona_event(t->m, MACHINE_ALIVE, NULL);
    assert_in_range(loop_step(t->m->loop, 0), 1, 100);
    machine_persona_event(t->m, MACHINE_ALIVE, NULL);
    assert_int_equal(loop_step(t->m->loop, 0), 1);
    assert_int_equal(machine_run(t->m, &end, &t->e), 0);
    machine_destroy(t->m);
}

/* Without firmware and --display: a multiboot kernel was made for machines whose BIOS has set a
 * text mode, and resets the floppy controller before it looks for drives, and waits for IDE to be
 * ready. Others get none of that. */
static void multiboot_kernels_find_a_pc(void **state)
{
    static const uint8_t blank[2] = {' ', 0x07}, nothing[2];
    uint64_t status = 0;
    struct bench *t = *state;
    struct image image;
    uint8_t cell[2];
    char path[32];
    int fd;

    assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
    assert_int_equal(gmem_read(t->m->mem, 0xb8000, cell, sizeof(cell)), 0); /* RAM */
    assert_memory_equal(cell, nothing, sizeof(cell));
    bus_access(board_bus(t->m->board, BUS_PIO), 0x3f4, 1, ACC_READ, &status);
    assert_int_equal(status, 0xff);
    bus_access(board_bus(t->m->board, BUS_PIO), 0x1f7, 1, ACC_READ, &status);
    assert_int_equal(status, 0xff);
    machine_destroy(t->m);
    image_elf(&image, IMAGE_MULTIBOOT);
    fd = image_file(image.b, image.n, path);
    assert_int_equal(plan_set(&t->plan.kernel, path, &t->e), 0);
    for (int bare = 0; bare < 2; bare++) {
        assert_int_equal(plan_set(&t->plan.persona, bare ? "bare" : "kvm", &t->e), 0);
        assert_int_equal(machine_create(&t->plan, &host_fake, &t->m, &t->e), 0);
        assert_int_equal(gmem_read(t->m->mem, 0xb8000, cell, sizeof(cell)), 0);
        assert_memory_equal(cell, blank, sizeof(cell));
        bus_access(board_bus(t->m->board, BUS_PIO), 0x3f4, 1, ACC_READ, &status);
        assert_int_equal(status, 0x80);
        bus_access(board_bus(t->m->board, BUS_PIO), 0x1f7, 1, ACC_READ, &status);
        assert_int_equal(status, 0);
        bus_access(board_bus(t->m->board, BUS_PIO), 0x177, 1, ACC_READ, &status);
        assert_int_equal(status, 0);
        machine_destroy(t->m);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_guest_whose_writes_are_thrown_away_gets_a_new_generation_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_q35_keeps_buses_and_takes_cards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guest_that_powers_off_ends_the_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notices_do_not_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nine_resets_are_no_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guest_that_does_nothing_but_reset_is_ended, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_processors_that_reset_at_once_reset_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_triple_fault_is_a_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_log_keeps_what_a_triple_fault_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guest_that_hands_over_to_its_crash_kernel_is_let_be,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_notice_lets_the_guest_save_its_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_panic_ends_the_run_even_if_the_guest_hangs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reset_after_a_panic_is_no_new_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_host_cannot_do_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interrupt_ends_the_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_host_that_fails_leaves_nothing_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kernel_that_changed_ends_the_run_at_the_reset, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_persona_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_and_names_of_a_plan_reach_the_tables, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(disks_go_to_the_controllers_of_their_plan, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_i440fx_keeps_its_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(multiboot_kernels_find_a_pc, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
