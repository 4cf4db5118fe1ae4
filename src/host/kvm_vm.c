/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_vm.c - a virtual machine on /dev/kvm: memory slots, capabilities, doorbells, MSR filter.
 *
 * Follows Documentation/virt/kvm/api.rst. Interrupt controllers are the kernel's. Threads: see
 * host.h; nothing here is on a hot path.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/kvm.h"

static int kvm_vm_extension(int fd, int cap)
{
    int n = ioctl(fd, KVM_CHECK_EXTENSION, cap);

    return n < 0 ? 0 : n;
}

static int kvm_vm_cap(const struct kvm_host *h, int cap)
{
    return kvm_vm_extension(h->vm >= 0 ? h->vm : h->sys, cap);
}

static int kvm_vm_enable(const struct kvm_host *h, uint32_t cap, uint64_t arg)
{
    struct kvm_enable_cap c = {.cap = cap, .args = {arg}};

    return ioctl(h->vm, KVM_ENABLE_CAP, &c) < 0 ? -errno : 0;
}

/* --- memory --- */

static int kvm_vm_slot(struct kvm_host *h, const struct gmem_region *r, uint64_t size)
{
    struct kvm_userspace_memory_region u = {
        .slot = r->slot,
        .flags = r->kind == GMEM_ROM && size ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = r->base,
        .memory_size = size,
        .userspace_addr = (uintptr_t)r->host,
    };
    int rc;

    kvm_gate_close(&h->gate);
    rc = ioctl(h->vm, KVM_SET_USER_MEMORY_REGION, &u) < 0 ? -errno : 0;
    kvm_gate_open(&h->gate);
    return rc;
}

static int kvm_vm_memory_added(void *arg, const struct gmem_region *r)
{
    return kvm_vm_slot(arg, r, r->size);
}

static void kvm_vm_memory_removed(void *arg, const struct gmem_region *r)
{
    (void)kvm_vm_slot(arg, r, 0);
}

/* --- doorbells --- */

static int kvm_vm_ioeventfd(struct kvm_host *h, enum bus_kind kind, uint64_t addr, unsigned size,
                            bool match, uint64_t value, int fd, uint32_t flags)
{
    struct kvm_ioeventfd io = {.addr = addr, .len = size, .fd = fd, .flags = flags};
    int rc;

    if (kind == BUS_PIO)
        io.flags |= KVM_IOEVENTFD_FLAG_PIO;
    if (match) {
        io.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
        io.datamatch = value;
    }
    kvm_gate_close(&h->gate);
    rc = ioctl(h->vm, KVM_IOEVENTFD, &io) < 0 ? -errno : 0;
    kvm_gate_open(&h->gate);
    return rc;
}

static int kvm_vm_bell_assign(void *arg, enum bus_kind kind, uint64_t addr, unsigned size,
                              bool match, uint64_t value, int fd)
{
    return kvm_vm_ioeventfd(arg, kind, addr, size, match, value, fd, 0);
}

static void kvm_vm_bell_deassign(void *arg, enum bus_kind kind, uint64_t addr, unsigned size,
                                 bool match, uint64_t value, int fd)
{
    (void)kvm_vm_ioeventfd(arg, kind, addr, size, match, value, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

/* --- set-up --- */

static int kvm_vm_no_host(struct err *e, int code)
{
    if (code == ENOENT)
        return err_exit(e, EX_NO_HOST, code,
                        "there is no /dev/kvm here: load the module kvm_intel or kvm_amd, or use "
                        "--host soft");
    if (code == EACCES || code == EPERM)
        return err_exit(e, EX_NO_HOST, code,
                        "no permission on /dev/kvm: add yourself to the group that owns it "
                        "(usually `adduser NAME kvm`) and log in again, or use --host soft");
    return err_exit(e, EX_NO_HOST, code, "cannot use /dev/kvm: %s; see `hospes doctor`",
                    strerror(code));
}

static bool kvm_vm_backdoor_param(void)
{
    char c = 'N';
    int fd = open("/sys/module/kvm/parameters/enable_vmware_backdoor", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    if (read(fd, &c, 1) != 1)
        c = 'N';
    close(fd);
    return c == 'Y' || c == '1';
}

uint32_t kvm_caps(int fd)
{
    int xen = kvm_vm_extension(fd, KVM_CAP_XEN_HVM);
    uint32_t caps = 0;

    if (kvm_vm_extension(fd, KVM_CAP_HYPERV_SYNIC2) && kvm_vm_extension(fd, KVM_CAP_HYPERV_EVENTFD))
        caps |= HOST_CAP_HYPERV_SYNIC;
    if (kvm_vm_extension(fd, KVM_CAP_HYPERV_ENFORCE_CPUID))
        caps |= HOST_CAP_HYPERV_ENFORCE;
    if (xen & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL)
        caps |= HOST_CAP_XEN_HCALL;
    if (xen & KVM_XEN_HVM_CONFIG_EVTCHN_SEND)
        caps |= HOST_CAP_XEN_EVTCHN;
    if (kvm_vm_extension(fd, KVM_CAP_X86_USER_SPACE_MSR) &&
        kvm_vm_extension(fd, KVM_CAP_X86_MSR_FILTER))
        caps |= HOST_CAP_USER_MSR;
    if (kvm_vm_backdoor_param())
        caps |= HOST_CAP_VMWARE_PORT;
    if (kvm_vm_extension(fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS)
        caps |= HOST_CAP_SYNC_REGS;
    return caps;
}

static int kvm_vm_create(struct kvm_host *h, struct err *e)
{
    uint64_t identity = HOST_RESERVED;
    int size;

    do {
        h->vm = ioctl(h->sys, KVM_CREATE_VM, 0);
    } while (h->vm < 0 && errno == EINTR);
    if (h->vm < 0)
        return kvm_vm_no_host(e, errno);
    size = ioctl(h->sys, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run))
        return err_exit(e, EX_NO_HOST, EINVAL, "this KVM gives no run area for processors");
    h->run_size = (size_t)size;
    if (!kvm_vm_cap(h, KVM_CAP_IRQ_ROUTING) || !kvm_vm_cap(h, KVM_CAP_IRQFD) ||
        !kvm_vm_cap(h, KVM_CAP_SIGNAL_MSI) || !kvm_vm_cap(h, KVM_CAP_IMMEDIATE_EXIT) ||
        !kvm_vm_cap(h, KVM_CAP_READONLY_MEM))
        return err_exit(e, EX_NO_HOST, ENOTSUP,
                        "this KVM is too old: Linux 5.10 or newer is needed");
    if (h->cfg.cpus > (unsigned)kvm_vm_cap(h, KVM_CAP_MAX_VCPUS))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "this host runs at most %d processors in one machine: use fewer --cpus",
                        kvm_vm_cap(h, KVM_CAP_MAX_VCPUS));
    /* Intel needs both on processors without unrestricted guests; elsewhere they do nothing. */
    if (ioctl(h->vm, KVM_SET_TSS_ADDR, HOST_RESERVED + 0x1000) < 0 ||
        ioctl(h->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
        return kvm_vm_no_host(e, errno);
    return 0;
}

static int kvm_vm_chips(struct kvm_host *h, struct err *e)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (ioctl(h->vm, KVM_CREATE_IRQCHIP, 0) < 0)
        return err_exit(e, EX_NO_HOST, errno, "this KVM has no interrupt controllers: %s",
                        strerror(errno));
    if (!h->cfg.no_pit && ioctl(h->vm, KVM_CREATE_PIT2, &pit) < 0)
        return err_exit(e, EX_NO_HOST, errno, "this KVM has no timer 8254: %s", strerror(errno));
    for (unsigned i = 0; i < ARRAY_SIZE(h->chip); i++) {
        h->chip[i].chip_id = i;
        if (ioctl(h->vm, KVM_GET_IRQCHIP, &h->chip[i]) < 0)
            return err_exit(e, EX_NO_HOST, errno, "cannot read KVM's interrupt controllers: %s",
                            strerror(errno));
    }
    if (!h->cfg.no_pit && ioctl(h->vm, KVM_GET_PIT2, &h->pit) < 0)
        return err_exit(e, EX_NO_HOST, errno, "cannot read KVM's timer: %s", strerror(errno));
    return 0;
}

static int kvm_vm_hypercalls(struct kvm_host *h, struct err *e)
{
    struct kvm_xen_hvm_config xen = {.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
                                     .msr = 0x40000000};

    if (h->caps & HOST_CAP_XEN_EVTCHN)
        xen.flags |= KVM_XEN_HVM_CONFIG_EVTCHN_SEND;
    h->gate.used = h->cfg.xen_hcall && h->caps & HOST_CAP_XEN_EVTCHN;
    if (h->cfg.xen_hcall && h->caps & HOST_CAP_XEN_HCALL &&
        ioctl(h->vm, KVM_XEN_HVM_CONFIG, &xen) < 0)
        return err_exit(e, EX_NO_HOST, errno,
                        "this KVM does not hand over Xen hypercalls (CONFIG_KVM_XEN): %s",
                        strerror(errno));
    return 0;
}

static int kvm_vm_attach(struct kvm_host *h, struct err *e)
{
    struct gmem_hook hook = {kvm_vm_memory_added, kvm_vm_memory_removed, h};
    int rc = kvm_vm_create(h, e);

    if (rc == 0)
        h->caps = kvm_caps(h->vm);
    if (rc == 0)
        rc = kvm_vm_chips(h, e);
    if (rc == 0)
        rc = kvm_vm_hypercalls(h, e);
    if (rc == 0)
        rc = kvm_cpuid_open(h, e);
    if (rc == 0)
        rc = kvm_state_list(h, e);
    if (rc == 0)
        rc = kvm_irq_open(h, e);
    if (rc == 0)
        rc = gmem_set_hook(h->mem, &hook, e);
    return rc;
}

static void kvm_vm_close(struct host *base)
{
    struct kvm_host *h = kvm_host_of(base);
    struct gmem_hook none = {NULL, NULL, NULL};
    struct err ignored;

    if (h->mem)
        (void)!gmem_set_hook(h->mem, &none, &ignored);
    kvm_irq_close(h);
    if (h->vm >= 0)
        close(h->vm);
    if (h->sys >= 0)
        close(h->sys);
    kvm_gate_fini(&h->gate);
    free(h->cpuid);
    free(h->msrs);
    free(h);
}

static int kvm_vm_open(const struct host_cfg *c, struct gmem *m, struct loop *l, struct host **out,
                       struct err *e)
{
    struct kvm_host *h = calloc(1, sizeof(*h));
    int rc;

    if (!h)
        return err_set(e, ENOMEM, "no memory for the virtual machine");
    h->base.ops = &host_kvm;
    h->cfg = *c;
    h->vm = -1;
    h->loop = l;
    kvm_gate_init(&h->gate);
    h->bells = (struct doorbells){kvm_vm_bell_assign, kvm_vm_bell_deassign, h};
    h->sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (h->sys < 0)
        rc = kvm_vm_no_host(e, errno);
    else if (ioctl(h->sys, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        rc = err_exit(e, EX_NO_HOST, ENOTSUP, "/dev/kvm speaks another version of its interface");
    else {
        h->mem = m;
        rc = kvm_vm_attach(h, e);
    }
    if (rc < 0)
        kvm_vm_close(&h->base);
    else
        *out = &h->base;
    return rc;
}

/* --- facts --- */

static uint32_t kvm_vm_caps(const struct host *h)
{
    return kvm_host_of(h)->caps;
}

static struct irqs *kvm_vm_irqs(struct host *h)
{
    return &kvm_host_of(h)->irqs;
}

static const struct doorbells *kvm_vm_doorbells(struct host *h)
{
    return &kvm_host_of(h)->bells;
}

static uint64_t kvm_vm_tsc_khz(const struct host *h)
{
    int khz = ioctl(kvm_host_of(h)->vm, KVM_GET_TSC_KHZ, 0);

    return khz > 0 ? (uint64_t)khz : 0;
}

static uint64_t kvm_vm_clock_ns(const struct host *h)
{
    struct kvm_clock_data now = {0};

    return ioctl(kvm_host_of(h)->vm, KVM_GET_CLOCK, &now) < 0 ? 0 : now.clock;
}

static uint32_t kvm_vm_pv_features(const struct host *h)
{
    return kvm_host_of(h)->pv_features;
}

static void kvm_vm_reset(struct host *base)
{
    struct kvm_host *h = kvm_host_of(base);

    for (unsigned i = 0; i < ARRAY_SIZE(h->chip); i++)
        (void)ioctl(h->vm, KVM_SET_IRQCHIP, &h->chip[i]);
    if (!h->cfg.no_pit)
        (void)ioctl(h->vm, KVM_SET_PIT2, &h->pit);
}

/* --- MSR filter, ports --- */

/* KVM wants "allowed" bits: what is watched is cleared. One filter range per entry. */
static int kvm_vm_filter(struct kvm_msr_filter_range *f, const struct msr_range *r, struct err *e)
{
    size_t bytes = (r->count + 7) / 8;

    if (r->count == 0 || bytes > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
        return err_set(e, EINVAL, "a range of %u watched MSRs is more than KVM takes", r->count);
    f->bitmap = calloc(1, (bytes + 7) & ~(size_t)7);
    if (!f->bitmap)
        return err_set(e, ENOMEM, "no memory for the MSR filter");
    f->base = r->base;
    f->nmsrs = r->count;
    f->flags = (r->read ? KVM_MSR_FILTER_READ : 0) | (r->write ? KVM_MSR_FILTER_WRITE : 0);
    return 0;
}

static int kvm_vm_watch_msrs(struct host *base, const struct msr_range *r, size_t n, struct err *e)
{
    struct kvm_host *h = kvm_host_of(base);
    struct kvm_msr_filter f = {.flags = KVM_MSR_FILTER_DEFAULT_ALLOW};
    int rc = 0;

    if (n == 0)
        return 0;
    if (!(h->caps & HOST_CAP_USER_MSR))
        return err_exit(e, EX_NO_HOST, ENOTSUP, "this KVM cannot hand MSRs over: use Linux 5.10");
    if (n > ARRAY_SIZE(f.ranges))
        return err_set(e, EINVAL, "%zu ranges of watched MSRs are more than KVM takes", n);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = kvm_vm_filter(&f.ranges[i], &r[i], e);
    if (rc == 0) {
        rc = kvm_vm_enable(h, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
        if (rc == 0 && ioctl(h->vm, KVM_X86_SET_MSR_FILTER, &f) < 0)
            rc = -errno;
        if (rc < 0)
            rc = err_exit(e, EX_NO_HOST, -rc, "KVM refuses the MSR filter: %s", strerror(-rc));
    }
    for (size_t i = 0; i < n; i++)
        free(f.ranges[i].bitmap);
    return rc;
}

static void kvm_vm_watch_port(struct host *base, uint16_t port)
{
    struct kvm_host *h = kvm_host_of(base);

    h->ports[port / 64] |= UINT64_C(1) << (port % 64);
    h->port_watched = true;
}

const struct host_ops host_kvm = {
    .name = "kvm",
    .open = kvm_vm_open,
    .close = kvm_vm_close,
    .caps = kvm_vm_caps,
    .irqs = kvm_vm_irqs,
    .tsc_khz = kvm_vm_tsc_khz,
    .clock_ns = kvm_vm_clock_ns,
    .pv_features = kvm_vm_pv_features,
    .reset = kvm_vm_reset,
    .cpuid = kvm_cpuid_list,
    .hyperv_cpuid = kvm_cpuid_hyperv,
    .doorbells = kvm_vm_doorbells,
    .watch_msrs = kvm_vm_watch_msrs,
    .watch_port = kvm_vm_watch_port,
    .hyperv_signal = kvm_irq_signal,
    .hyperv_sint = kvm_irq_sint,
    .msi_send = kvm_irq_msi_send,
    .xen = &kvm_xen,
    .vcpu_auto_eoi = kvm_xen_auto_eoi,
    .vcpu_create = kvm_vcpu_create,
    .vcpu_destroy = kvm_vcpu_destroy,
    .vcpu_set_cpuid = kvm_cpuid_set,
    .vcpu_run = kvm_vcpu_run,
    .vcpu_kick = kvm_vcpu_kick,
    .vcpu_attend = kvm_vcpu_attend,
    .vcpu_reset = kvm_state_reset,
    .vcpu_get_regs = kvm_state_get_regs,
    .vcpu_set_regs = kvm_state_set_regs,
    .vcpu_get_sregs = kvm_state_get_sregs,
    .vcpu_set_sregs = kvm_state_set_sregs,
    .vcpu_get_msr = kvm_state_get_msr,
    .vcpu_set_msr = kvm_state_set_msr,
    .vcpu_translate = kvm_state_translate,
    .nmi = kvm_state_nmi,
    .vcpu_exits = kvm_vcpu_exits,
    .vcpu_last = kvm_vcpu_last,
    .vcpu_before = kvm_state_before,
};
