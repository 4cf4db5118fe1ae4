/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci.c - VMware's VMCI device: registers, datagrams, calls to the hypervisor.
 *
 * Facts: Linux drivers/misc/vmw_vmci/ and include/linux/vmw_vmci_defs.h. A guest writes datagrams
 * byte by byte to DATA_OUT and finds what came of each in RESULT; those to context 0 are calls. It
 * reads datagrams from DATA_IN a page at a time, after an interrupt, up to a header of ones. Here
 * none crosses a page that the guest reads: it then asks again, by another interrupt. What fills
 * those pages is made when it is read; see vmci_sock.c.
 *
 * Modelled: I/O registers, MSI-X, MSI and INTx, the notification page with doorbells that a guest
 * rings itself, page numbers of 32 and 64 bits. Not modelled: datagrams by DMA and registers in
 * memory (a driver finds no BAR of that size), VMCI_RPC and other services of the hypervisor's.
 *
 * A driver that starts says which capabilities it will use: what an earlier kernel left, which may
 * not have had the time to stop, ends there. Without bus mastering no memory is touched, and
 * connections do not outlive its end.
 *
 * Threads: registers on vCPU threads, sockets on the loop; one device lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/pvscsi.h"
#include "core/err.h"
#include "personas/vmware/vmci_priv.h"

enum { BAR_PORTS, BAR_MSIX, PORTS = 64 };
enum {
    OFFERED = VMCI_CAPS_DATAGRAM | VMCI_CAPS_NOTIFICATIONS | VMCI_CAPS_PPN64,
    HEADER = sizeof(struct vmci_datagram),
};
#define CALLS                                                                                      \
    (1U << VMCI_RESOURCES_QUERY | 1U << VMCI_GET_CONTEXT_ID | 1U << VMCI_SET_NOTIFY_BITMAP |       \
     1U << VMCI_DOORBELL_LINK | 1U << VMCI_DOORBELL_UNLINK | 1U << VMCI_DOORBELL_NOTIFY |          \
     1U << VMCI_EVENT_SUBSCRIBE | 1U << VMCI_EVENT_UNSUBSCRIBE | 1U << VMCI_QUEUEPAIR_ALLOC |      \
     1U << VMCI_QUEUEPAIR_DETACH)

static struct vmci *of(struct device *d)
{
    return container_of(d, struct vmci, pci.dev);
}

/* --- interrupts --- */

/* Sends what is on and not masked, of these causes. */
static void signal_guest(struct vmci *v, uint32_t causes)
{
    if (!v->s.int_on)
        return;
    causes &= v->s.icr & v->s.imr;
    for (unsigned vector = 0; vector < VMCI_MAX_INTRS; vector++) {
        if (causes & 1U << vector && !pci_notify(&v->pci, vector))
            pci_intx(&v->pci, true);
    }
    if (pci_msix_enabled(&v->pci)) /* whose driver does not read the register */
        v->s.icr &= ~(uint32_t)VMCI_ICR_NOTIFICATION;
}

static void raise_cause(struct vmci *v, uint32_t cause)
{
    if (v->s.icr & cause)
        return;
    v->s.icr |= cause;
    signal_guest(v, cause);
}

static uint32_t acknowledge(struct vmci *v)
{
    uint32_t causes = v->s.icr & v->s.imr;

    v->s.icr &= ~causes;
    pci_intx(&v->pci, false);
    return causes;
}

void vmci_tell(struct vmci *v)
{
    raise_cause(v, VMCI_ICR_DATAGRAM);
}

bool vmci_up(const struct vmci *v)
{
    return v->s.int_on && v->s.imr & VMCI_ICR_DATAGRAM;
}

bool vmci_masters(const struct vmci *v)
{
    return pci_config_get16(&v->pci, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* --- calls --- */

static int32_t resources_query(const uint8_t *p, size_t n)
{
    struct vmci_resource_query_hdr h;
    uint32_t there = 0;

    if (n < sizeof(h))
        return VMCI_ERROR_INVALID_ARGS;
    memcpy(&h, p, sizeof(h));
    if (le32_get(h.num_resources) > VMCI_RESOURCE_QUERY_MAX_NUM ||
        (n - sizeof(h)) / 4 < le32_get(h.num_resources))
        return VMCI_ERROR_INVALID_ARGS;
    for (uint32_t i = 0; i < le32_get(h.num_resources); i++) {
        uint32_t resource = le32_at(p + sizeof(h) + 4 * (size_t)i);

        there |= resource < 32 && CALLS >> resource & 1 ? 1U << i : 0;
    }
    return (int32_t)there;
}

static int32_t set_bitmap(struct vmci *v, const uint8_t *p, size_t n)
{
    bool wide = v->s.caps & VMCI_CAPS_PPN64;
    uint64_t ppn;

    if (n < (wide ? 8 : 4))
        return VMCI_ERROR_INVALID_ARGS;
    ppn = wide ? le64_at(p) : le32_at(p);
    if (ppn == 0 || ppn >= UINT64_C(1) << 40 ||
        !gmem_shared(v->pci.dev.env.mem, ppn * VMCI_PAGE_SIZE, VMCI_PAGE_SIZE))
        return VMCI_ERROR_INVALID_ARGS;
    v->s.bitmap = ppn * VMCI_PAGE_SIZE;
    return VMCI_SUCCESS;
}

static struct vmci_doorbell *doorbell_find(struct vmci *v, const struct vmci_handle *h)
{
    for (unsigned i = 0; i < v->s.doorbells; i++) {
        struct vmci_doorbell *b = &v->s.doorbell[i];

        if (b->context == le32_get(h->context) && b->resource == le32_get(h->resource))
            return b;
    }
    return NULL;
}

static int32_t doorbell_link(struct vmci *v, const uint8_t *p, size_t n)
{
    struct vmci_doorbell_link_msg m;
    size_t at;

    if (n < sizeof(m))
        return VMCI_ERROR_INVALID_ARGS;
    memcpy(&m, p, sizeof(m));
    if (le32_get(m.handle.context) != v->cid ||
        !idx_in(le64_get(m.notify_idx), VMCI_PAGE_SIZE, &at))
        return VMCI_ERROR_INVALID_ARGS;
    if (doorbell_find(v, &m.handle))
        return VMCI_ERROR_ALREADY_EXISTS;
    if (v->s.doorbells == VMCI_DOORBELLS)
        return VMCI_ERROR_NO_RESOURCES;
    v->s.doorbell[v->s.doorbells++] = (struct vmci_doorbell){
        le32_get(m.handle.context), le32_get(m.handle.resource), (uint32_t)at};
    return VMCI_SUCCESS;
}

/* A doorbell is taken away, or rung. */
static int32_t doorbell_use(struct vmci *v, const uint8_t *p, size_t n, bool ring)
{
    struct vmci_doorbell *b;
    struct vmci_handle h;
    static const uint8_t rung = 1;

    if (n < sizeof(h))
        return VMCI_ERROR_INVALID_ARGS;
    memcpy(&h, p, sizeof(h));
    b = doorbell_find(v, &h);
    if (!b || (ring && !v->s.bitmap))
        return VMCI_ERROR_NOT_FOUND;
    if (ring && !vmci_masters(v))
        return VMCI_ERROR_UNAVAILABLE;
    if (!ring) {
        *b = v->s.doorbell[--v->s.doorbells];
        return VMCI_SUCCESS;
    }
    if (gmem_write(v->pci.dev.env.mem, v->s.bitmap + b->index, &rung, 1) < 0)
        return VMCI_ERROR_INVALID_ARGS;
    raise_cause(v, VMCI_ICR_NOTIFICATION);
    return VMCI_SUCCESS;
}

/* All events go to every driver, which has a list of its own. */
static int32_t event_subscribe(const uint8_t *p, size_t n)
{
    uint32_t event = n >= 4 ? le32_at(p) : VMCI_EVENT_MAX;

    return event < VMCI_EVENT_MEM_ACCESS_ON ? VMCI_SUCCESS : VMCI_ERROR_EVENT_UNKNOWN;
}

static int32_t call(struct vmci *v, uint32_t what, const uint8_t *p, size_t n)
{
    switch (what) {
    case VMCI_RESOURCES_QUERY:
        return resources_query(p, n);
    case VMCI_GET_CONTEXT_ID:
        return (int32_t)v->cid;
    case VMCI_SET_NOTIFY_BITMAP:
        return set_bitmap(v, p, n);
    case VMCI_DOORBELL_LINK:
        return doorbell_link(v, p, n);
    case VMCI_DOORBELL_UNLINK:
        return doorbell_use(v, p, n, false);
    case VMCI_DOORBELL_NOTIFY:
        return doorbell_use(v, p, n, true);
    case VMCI_EVENT_SUBSCRIBE:
    case VMCI_EVENT_UNSUBSCRIBE:
        return event_subscribe(p, n);
    case VMCI_QUEUEPAIR_ALLOC:
        return vmci_qp_alloc(v, p, n);
    case VMCI_QUEUEPAIR_DETACH:
        return vmci_qp_detach(v, p, n);
    default:
        return VMCI_ERROR_INVALID_RESOURCE;
    }
}

/* --- datagrams from the guest --- */

static int32_t control_packet(struct vmci *v, size_t n)
{
    struct vmci_transport_packet p;

    if (n < sizeof(p) - HEADER)
        return VMCI_ERROR_INVALID_ARGS;
    memcpy(&p, v->out, sizeof(p));
    return vmci_sock_packet(v, &p);
}

static int32_t datagram(struct vmci *v, const struct vmci_datagram *h)
{
    uint32_t context = le32_get(h->dst.context), resource = le32_get(h->dst.resource);
    size_t n = le64_get(h->payload_size);

    v->datagrams_in++;
    if (le32_get(h->src.context) != v->cid && le32_get(h->src.context) != VMCI_INVALID_ID)
        return VMCI_ERROR_NO_ACCESS;
    if (context == VMCI_HYPERVISOR_CONTEXT_ID && resource == VMCI_TRANSPORT_HYPERVISOR_PACKET_RID)
        return control_packet(v, n);
    if (context == VMCI_HYPERVISOR_CONTEXT_ID)
        return call(v, resource, v->out + HEADER, n);
    if (context == VMCI_HOST_CONTEXT_ID && resource == VMCI_TRANSPORT_PACKET_RID)
        return control_packet(v, n);
    return context == VMCI_HOST_CONTEXT_ID ? VMCI_ERROR_INVALID_RESOURCE
                                           : VMCI_ERROR_DST_UNREACHABLE;
}

static void out_byte(struct vmci *v, uint8_t byte)
{
    struct vmci_datagram h;
    uint64_t n;

    if (v->s.out_skip) {
        v->s.out_skip--;
        return;
    }
    v->out[v->s.out_have++] = byte;
    if (v->s.out_have < HEADER)
        return;
    memcpy(&h, v->out, sizeof(h));
    n = le64_get(h.payload_size);
    if (n > VMCI_MAX_DG_SIZE - HEADER) {
        guest_fault(&v->pci.dev, "a datagram of %llu bytes is too long", (unsigned long long)n);
        v->s.out_skip = n;
        v->s.out_have = 0;
        v->s.result = VMCI_ERROR_PAYLOAD_TOO_LARGE;
    } else if (v->s.out_have == HEADER + n) {
        v->s.out_have = 0;
        v->s.result = datagram(v, &h);
    }
}

/* --- datagrams for the guest --- */

static uint8_t in_byte(struct vmci *v)
{
    uint8_t byte = 0xff;

    if (v->s.in_at == 0) {
        v->s.in_rest = false;
        v->s.icr &= ~(uint32_t)VMCI_ICR_DATAGRAM; /* all that is there now will be read */
        if (!(v->s.icr & v->s.imr))
            pci_intx(&v->pci, false);
    }
    if (v->s.in_sent == v->s.in_len && !v->s.in_rest) {
        v->s.in_sent = v->s.in_len = 0;
        if (VMCI_PAGE_SIZE - v->s.in_at >= VMCI_IN_MAX)
            v->s.in_len = vmci_sock_next(v, v->s.in);
        v->s.in_rest = v->s.in_len == 0;
        v->datagrams_out += v->s.in_len != 0;
    }
    if (v->s.in_sent < v->s.in_len)
        byte = v->s.in[v->s.in_sent++];
    v->s.in_at = (v->s.in_at + 1) % VMCI_PAGE_SIZE;
    if (v->s.in_at == 0 && vmci_sock_owes(v))
        vmci_tell(v);
    return byte;
}

/* --- registers --- */

/* Everything ends that a driver has begun. */
static void stop(struct vmci *v)
{
    vmci_sock_stop(v);
    vmci_qp_free_all(v);
    memset(&v->s, 0, sizeof(v->s));
    pci_intx(&v->pci, false);
}

static void control(struct vmci *v, uint32_t what)
{
    if (what & VMCI_CONTROL_RESET)
        stop(v);
    if (what & VMCI_CONTROL_INT_DISABLE) {
        v->s.int_on = false;
        pci_intx(&v->pci, false);
    }
    if (what & VMCI_CONTROL_INT_ENABLE) {
        v->s.int_on = true;
        signal_guest(v, v->s.icr);
    }
}

static void reg_write(struct vmci *v, uint64_t off, uint32_t value)
{
    switch (off) {
    case VMCI_CONTROL_ADDR:
        control(v, value);
        break;
    case VMCI_IMR_ADDR:
        v->s.imr = value & (VMCI_ICR_DATAGRAM | VMCI_ICR_NOTIFICATION);
        if (!(v->s.icr & v->s.imr))
            pci_intx(&v->pci, false);
        signal_guest(v, v->s.icr);
        break;
    case VMCI_CAPS_ADDR:
        stop(v);
        v->s.caps = value & OFFERED;
        break;
    default:
        break;
    }
}

static uint32_t reg_read(struct vmci *v, uint64_t off)
{
    switch (off) {
    case VMCI_STATUS_ADDR:
        return v->s.int_on ? VMCI_STATUS_INT_ON : 0;
    case VMCI_ICR_ADDR:
        return acknowledge(v);
    case VMCI_IMR_ADDR:
        return v->s.imr;
    case VMCI_CAPS_ADDR:
        return OFFERED;
    case VMCI_RESULT_LOW_ADDR:
        return (uint32_t)v->s.result;
    case VMCI_RESULT_HIGH_ADDR:
        return v->s.result < 0 ? UINT32_MAX : 0;
    default:
        return 0;
    }
}

/* String instructions come here one by one. */
static void vmci_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct vmci *v = of(d);

    if (region != BAR_PORTS)
        return;
    if (off == VMCI_DATA_OUT_ADDR && dir == ACC_WRITE) {
        for (unsigned i = 0; i < size; i++)
            out_byte(v, (uint8_t)(*val >> 8 * i));
    } else if (off == VMCI_DATA_IN_ADDR && dir == ACC_READ) {
        for (unsigned i = 0; i < size; i++)
            *val |= (uint64_t)in_byte(v) << 8 * i;
    } else if (size == 4 && dir == ACC_WRITE) {
        reg_write(v, off, (uint32_t)*val);
    } else if (size == 4) {
        *val = reg_read(v, off);
    }
}

/* --- life --- */

/* Its queues are not the device's any more: a kernel that is left for another one switches bus
 * mastering off, and the next one switches it on before it says anything to the device. */
static void vmci_config_written(struct pci_dev *p, unsigned off, unsigned size)
{
    struct vmci *v = container_of(p, struct vmci, pci);

    (void)size;
    if (off > PCI_COMMAND + 1 || vmci_masters(v))
        return;
    for (struct vmci_conn *c = v->conns; c; c = c->next) {
        if (c->qp)
            vmci_conn_reset(c);
    }
}

static void vmci_reset(struct device *d)
{
    device_lock(d);
    stop(of(d));
    device_unlock(d);
}

static void vmci_destroy(struct device *d)
{
    struct vmci *v = of(d);

    vmci_sock_stop(v);
    vmci_qp_free_all(v);
    vmci_host_close(v);
    pthread_mutex_destroy(&d->lock);
    free(v);
}

static void vmci_describe(struct device *d, struct dump *out)
{
    struct vmci *v = of(d);

    dump_add(out, "driver", "%s", vmci_up(v) ? "bound" : "not bound");
    dump_add(out, "cid", "%u", v->cid);
    dump_add(out, "socket", "%s, %u connections, %u queue pairs", v->path, v->count, v->qp_count);
    dump_add(out, "datagrams", "%llu from the guest, %llu to it",
             (unsigned long long)v->datagrams_in, (unsigned long long)v->datagrams_out);
}

static const struct device_ops vmci_ops = {
    .name = "vmci",
    .destroy = vmci_destroy,
    .reset = vmci_reset,
    .io = vmci_io,
    .describe = vmci_describe,
};

int vmci_create(const struct env *env, uint32_t cid, const char *path, struct err *e)
{
    static const struct pci_id id = {PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_VMCI,
                                     PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_VMCI, 0x08800010};
    struct vmci *v = calloc(1, sizeof(*v));
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory for VMCI");
    pci_init(&v->pci, &vmci_ops, env, &id);
    v->pci.dev.env.id = "vmci0";
    v->pci.config_written = vmci_config_written;
    v->pci.bar[BAR_PORTS] = (struct pci_bar){.kind = PCI_BAR_IO, .size = PORTS};
    v->cid = cid;
    rc = vmci_host_listen(v, path, e);
    if (rc == 0)
        rc = pci_add_msix(&v->pci, BAR_MSIX, VMCI_MAX_INTRS, e);
    if (rc == 0)
        rc = pci_add_msi(&v->pci, 1, e);
    if (rc == 0)
        rc = pci_add(env->pci, &v->pci, -1, e);
    if (rc < 0) {
        pci_remove(&v->pci);
        vmci_destroy(&v->pci.dev);
    }
    return rc;
}
