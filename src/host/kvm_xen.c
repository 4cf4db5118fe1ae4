/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_xen.c - what a KVM with CONFIG_KVM_XEN does for Xen guests by itself.
 *
 * Follows Documentation/virt/kvm/api.rst, sections 4.126 to 4.131. The kernel knows the 2-level ABI
 * of event channels alone. It keeps the clock in vcpu_info and the run states, sends what is sent
 * on a routed port and runs the single-shot timer, all without an exit.
 *
 * Threads: struct kvm_xen_hvm_attr from any, struct kvm_xen_vcpu_attr from the vCPU's own, which
 * would wait for the guest otherwise.
 */
#include <errno.h>
#include <string.h>

#include "host/kvm.h"

enum {
    XEN_EVTCHNSTAT_INTERDOMAIN = 2, /* Xen public/event_channel.h */
    XEN_EVTCHNSTAT_IPI = 5,
};
#define XEN_PRIO_2LEVEL UINT32_MAX

static int kvm_xen_hvm(struct host *h, struct kvm_xen_hvm_attr *a)
{
    return ioctl(kvm_host_of(h)->vm, KVM_XEN_HVM_SET_ATTR, a) < 0 ? -errno : 0;
}

static int kvm_xen_attr(struct vcpu *v, struct kvm_xen_vcpu_attr *a)
{
    return ioctl(kvm_vcpu_of(v)->fd, KVM_XEN_VCPU_SET_ATTR, a) < 0 ? -errno : 0;
}

static int kvm_xen_shared(struct host *h, gpa_t at, bool longmode)
{
    struct kvm_xen_hvm_attr width = {.type = KVM_XEN_ATTR_TYPE_LONG_MODE, .u.long_mode = longmode};
    struct kvm_xen_hvm_attr a = {.type = KVM_XEN_ATTR_TYPE_SHARED_INFO};
    int rc = at == HOST_XEN_NOWHERE ? 0 : kvm_xen_hvm(h, &width);

    a.u.shared_info.gfn = at == HOST_XEN_NOWHERE ? UINT64_MAX : at / 4096;
    return rc < 0 ? rc : kvm_xen_hvm(h, &a);
}

/* Taking a route back waits for all vCPUs. */
static void kvm_xen_unroute(struct host *h, struct kvm_xen_hvm_attr *a)
{
    struct kvm_gate *g = &kvm_host_of(h)->gate;

    kvm_gate_close(g);
    (void)kvm_xen_hvm(h, a);
    kvm_gate_open(g);
}

/* The kernel does not let a port's kind change, so it is taken back first. */
static int kvm_xen_route(struct host *h, uint32_t send_port, const struct host_xen_route *r)
{
    struct kvm_xen_hvm_attr a = {.type = KVM_XEN_ATTR_TYPE_EVTCHN};

    a.u.evtchn.send_port = send_port;
    a.u.evtchn.flags = KVM_XEN_EVTCHN_DEASSIGN;
    kvm_xen_unroute(h, &a);
    if (r->kind == HOST_XEN_ROUTE_NONE)
        return 0;
    a.u.evtchn.flags = 0;
    a.u.evtchn.type = r->ipi ? XEN_EVTCHNSTAT_IPI : XEN_EVTCHNSTAT_INTERDOMAIN;
    if (r->kind == HOST_XEN_ROUTE_FD) {
        a.u.evtchn.deliver.eventfd.fd = r->fd;
    } else {
        a.u.evtchn.deliver.port.port = r->port;
        a.u.evtchn.deliver.port.vcpu = r->vcpu;
        a.u.evtchn.deliver.port.priority = XEN_PRIO_2LEVEL;
    }
    return kvm_xen_hvm(h, &a);
}

static void kvm_xen_unroute_all(struct host *h)
{
    struct kvm_xen_hvm_attr a = {.type = KVM_XEN_ATTR_TYPE_EVTCHN};

    a.u.evtchn.flags = KVM_XEN_EVTCHN_RESET;
    kvm_xen_unroute(h, &a);
}

static int kvm_xen_raise(struct host *h, uint32_t port, unsigned vcpu)
{
    struct kvm_irq_routing_xen_evtchn e = {.port = port, .vcpu = vcpu, .priority = XEN_PRIO_2LEVEL};

    return ioctl(kvm_host_of(h)->vm, KVM_XEN_HVM_EVTCHN_SEND, &e) < 0 ? -errno : 0;
}

static int kvm_xen_vector(struct host *h, uint8_t vector)
{
    struct kvm_xen_hvm_attr a = {.type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, .u.vector = vector};

    return kvm_xen_hvm(h, &a);
}

static int kvm_xen_vcpu(struct vcpu *v, const struct host_xen_vcpu *s)
{
    struct kvm_xen_vcpu_attr id = {.type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID, .u.vcpu_id = v->index};
    struct kvm_xen_vcpu_attr info = {.type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, .u.gpa = s->info};
    struct kvm_xen_vcpu_attr run = {.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
                                    .u.gpa = s->runstate};
    struct kvm_xen_vcpu_attr timer = {.type = KVM_XEN_VCPU_ATTR_TYPE_TIMER};
    struct kvm_xen_vcpu_attr vector = {.type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
                                       .u.vector = s->vector};
    struct kvm_xen_vcpu_attr now = timer;
    int rc = kvm_xen_attr(v, &id);

    if (rc == 0)
        rc = kvm_xen_attr(v, &info);
    if (rc == 0)
        rc = kvm_xen_attr(v, &vector);
    /* Setting the port again would stop a timer that runs. */
    timer.u.timer.port = s->timer;
    timer.u.timer.priority = XEN_PRIO_2LEVEL;
    if (rc == 0 && ioctl(kvm_vcpu_of(v)->fd, KVM_XEN_VCPU_GET_ATTR, &now) < 0)
        rc = -errno;
    if (rc == 0 && now.u.timer.port != s->timer)
        rc = kvm_xen_attr(v, &timer);
    if (rc == 0)
        rc = kvm_xen_attr(v, &run);
    return rc;
}

static int kvm_xen_runstate(struct vcpu *v, uint64_t out[6])
{
    struct kvm_xen_vcpu_attr a = {.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA};

    if (ioctl(kvm_vcpu_of(v)->fd, KVM_XEN_VCPU_GET_ATTR, &a) < 0)
        return -errno;
    memcpy(out, &a.u.runstate, 6 * sizeof(*out));
    return 0;
}

const struct host_xen kvm_xen = {
    .shared = kvm_xen_shared,
    .route = kvm_xen_route,
    .unroute_all = kvm_xen_unroute_all,
    .raise = kvm_xen_raise,
    .vector = kvm_xen_vector,
    .vcpu = kvm_xen_vcpu,
    .runstate = kvm_xen_runstate,
};

/* The SynIC is what KVM's local APIC has for it: an interrupt source of its own, never signalled,
 * says that the vector needs no end. */
int kvm_xen_auto_eoi(struct vcpu *v, uint8_t vector)
{
    enum { SCONTROL = 0x40000080, SINT15 = 0x4000009f, AUTO_EOI = 1 << 17 };
    int rc = kvm_vcpu_enable(kvm_vcpu_of(v), KVM_CAP_HYPERV_SYNIC2, 0);

    if (rc == 0)
        rc = kvm_state_set_msr(v, SCONTROL, 1);
    return rc < 0 ? -ENOTSUP : kvm_state_set_msr(v, SINT15, AUTO_EOI | vector);
}
