/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvscsi.c - VMware's paravirtual SCSI adapter: registers, commands, units.
 *
 * Document: the public guest drivers and their headers (vmw_pvscsi.h). Modelled: all commands but
 * DEVICE_UNPLUG and ISSUE_SCSI, scatter lists with chains, messages, the request call threshold,
 * MSI-X, MSI and INTx, several targets with LUN 0. Not modelled: the I/O BAR of the real adapter,
 * out-of-band CDBs, several completion rings.
 *
 * Threads: registers on vCPU threads, units and completions on the loop; one device lock.
 */
#include "personas/vmware/pvscsi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/err.h"
#include "core/gmem.h"
#include "personas/vmware/pvscsi_priv.h"

/* --- commands --- */

/* Words of argument that follow each command. */
static uint32_t words_of(uint32_t command)
{
    switch (command) {
    case PVSCSI_CMD_SETUP_RINGS:
        return sizeof(struct pvscsi_setup_rings) / 4;
    case PVSCSI_CMD_RESET_DEVICE:
        return sizeof(struct pvscsi_reset_device) / 4;
    case PVSCSI_CMD_ABORT_CMD:
        return sizeof(struct pvscsi_abort) / 4;
    case PVSCSI_CMD_CONFIG:
        return sizeof(struct pvscsi_config) / 4;
    case PVSCSI_CMD_SETUP_MSG_RING:
        return sizeof(struct pvscsi_setup_msg_ring) / 4;
    case PVSCSI_CMD_SETUP_REQCALLTHRESHOLD:
        return 1;
    default:
        return 0;
    }
}

/* A unit reset belongs to the loop; it says so by unit attentions, which need no hurry. */
static void reset_units(struct task *t)
{
    units_reset(&container_of(t, struct pvscsi, reset_units)->units);
}

static void adapter_reset(struct pvscsi *p)
{
    handover_drain(&p->late);
    pvscsi_rings_stop(p);
    memset(&p->s, 0, sizeof(p->s));
    pci_intx(&p->pci, false);
}

static uint32_t copy_ppns(uint64_t *out, const le64 *in, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++) {
        out[i] = le64_get(in[i]);
        if (out[i] >= UINT64_C(1) << 40)
            return 0;
    }
    return pages;
}

static bool pages_valid(uint32_t n, uint32_t max)
{
    return n && n <= max && is_pow2(n);
}

static uint32_t setup_rings(struct pvscsi *p)
{
    struct pvscsi_setup_rings c;
    uint32_t req, cmp;

    memcpy(&c, p->s.words, sizeof(c));
    req = le32_get(c.req_pages);
    cmp = le32_get(c.cmp_pages);
    if (p->s.rings || !pages_valid(req, PVSCSI_SETUP_RINGS_MAX_NUM_PAGES) ||
        !pages_valid(cmp, PVSCSI_SETUP_RINGS_MAX_NUM_PAGES) ||
        !copy_ppns(p->s.req_ppn, c.req_ppn, req) || !copy_ppns(p->s.cmp_ppn, c.cmp_ppn, cmp) ||
        le64_get(c.state_ppn) >= UINT64_C(1) << 40) {
        guest_fault(&p->pci.dev, "rings of %u and %u pages are not acceptable", req, cmp);
        return (uint32_t)PVSCSI_COMMAND_PROCESSING_FAILED;
    }
    p->s.state_at = le64_get(c.state_ppn) * PVSCSI_PAGE_SIZE;
    p->shared = gmem_shared(p->pci.dev.env.mem, p->s.state_at, PVSCSI_PAGE_SIZE);
    if (!p->shared) {
        guest_fault(&p->pci.dev, "the ring state page is not in memory");
        return (uint32_t)PVSCSI_COMMAND_PROCESSING_FAILED;
    }
    p->s.req_entries = req * PVSCSI_REQS_PER_PAGE;
    p->s.cmp_entries = cmp * PVSCSI_CMPS_PER_PAGE;
    pvscsi_rings_start(p);
    if (p->driven)
        p->driven(p->driven_arg);
    return PVSCSI_COMMAND_PROCESSING_SUCCEEDED;
}

/* The answer to a bare SETUP_MSG_RING (a probe) and to a good one is the number of words. */
static uint32_t setup_msg_ring(struct pvscsi *p)
{
    struct pvscsi_setup_msg_ring c;
    uint32_t pages;

    memcpy(&c, p->s.words, sizeof(c));
    pages = le32_get(c.pages);
    if (!p->s.rings || p->s.msg_ring || !pages_valid(pages, PVSCSI_SETUP_MSG_RING_MAX_NUM_PAGES) ||
        !copy_ppns(p->s.msg_ppn, c.ppn, pages))
        return (uint32_t)PVSCSI_COMMAND_PROCESSING_FAILED;
    p->s.msg_entries = pages * PVSCSI_MSGS_PER_PAGE;
    p->s.msg_prod = 0;
    shared_store32(&p->shared->msg_prod_idx, 0);
    shared_store32(&p->shared->msg_num_entries_log2, (uint32_t)__builtin_ctz(p->s.msg_entries));
    p->s.msg_ring = true;
    return sizeof(c) / 4;
}

/* Drivers read the answer as a bool: 0 means that it is not done. */
static uint32_t setup_threshold(struct pvscsi *p)
{
    if (!p->s.rings)
        return (uint32_t)PVSCSI_COMMAND_PROCESSING_FAILED;
    pvscsi_batch_start(p, p->s.words[0] != 0);
    return 1;
}

static void utf16(le16 *out, size_t n, const char *text)
{
    for (size_t i = 0; i < n && text[i]; i++)
        out[i] = le16_of((uint8_t)text[i]);
}

static uint32_t config(struct pvscsi *p)
{
    struct pvscsi_config_controller page = {.num_phys = le32_of(PVSCSI_TARGETS)};
    struct pvscsi_config c;
    size_t n = sizeof(page);

    memcpy(&c, p->s.words, sizeof(c));
    page.header.page_num = c.config_page_num;
    if (le32_get(c.config_page_num) == PVSCSI_CONFIG_PAGE_CONTROLLER) {
        page.node_wwn = le64_of(UINT64_C(0x5005056000000000));
        utf16(page.manufacturer, ARRAY_SIZE(page.manufacturer), "VMware, Inc.");
    } else {
        n = sizeof(page.header);
        page.header.host_status = le16_of(BTSTAT_INVPARAM);
        page.header.scsi_status = le16_of(SCSI_CHECK_CONDITION);
    }
    page.header.num_dwords = le16_of((uint16_t)(n / 4));
    if (gmem_write(p->pci.dev.env.mem, le64_get(c.cmp_addr), &page, n) < 0) {
        guest_fault(&p->pci.dev, "the configuration page goes outside memory");
        return (uint32_t)PVSCSI_COMMAND_PROCESSING_FAILED;
    }
    return PVSCSI_COMMAND_PROCESSING_SUCCEEDED;
}

static uint32_t run(struct pvscsi *p)
{
    struct pvscsi_abort abort_cmd;

    switch (p->s.command) {
    case PVSCSI_CMD_ADAPTER_RESET:
        adapter_reset(p);
        loop_ask(p->pci.dev.env.loop, &p->reset_units);
        return PVSCSI_COMMAND_PROCESSING_SUCCEEDED;
    case PVSCSI_CMD_SETUP_RINGS:
        return setup_rings(p);
    case PVSCSI_CMD_RESET_BUS:
    case PVSCSI_CMD_RESET_DEVICE:
        handover_drain(&p->late);
        loop_ask(p->pci.dev.env.loop, &p->reset_units);
        return PVSCSI_COMMAND_PROCESSING_SUCCEEDED;
    case PVSCSI_CMD_ABORT_CMD:
        memcpy(&abort_cmd, p->s.words, sizeof(abort_cmd));
        pvscsi_abort(p, le64_get(abort_cmd.context));
        return PVSCSI_COMMAND_PROCESSING_SUCCEEDED;
    case PVSCSI_CMD_CONFIG:
        return config(p);
    case PVSCSI_CMD_SETUP_MSG_RING:
        return setup_msg_ring(p);
    case PVSCSI_CMD_SETUP_REQCALLTHRESHOLD:
        return setup_threshold(p);
    case PVSCSI_CMD_GET_MAX_TARGETS:
        return PVSCSI_TARGETS;
    default:
        return (uint32_t)PVSCSI_COMMAND_PROCESSING_FAILED;
    }
}

static void command_write(struct pvscsi *p, uint32_t command)
{
    p->s.command = command;
    p->s.have = 0;
    if (words_of(command) == 0)
        p->s.command_status = run(p);
    else if (command == PVSCSI_CMD_SETUP_MSG_RING || command == PVSCSI_CMD_SETUP_REQCALLTHRESHOLD)
        p->s.command_status = words_of(command);
    else
        p->s.command_status = (uint32_t)PVSCSI_COMMAND_NOT_ENOUGH_DATA;
}

static void command_data(struct pvscsi *p, uint32_t word)
{
    uint32_t need = words_of(p->s.command);
    size_t at;

    if (!idx_in(p->s.have, need, &at))
        return; /* data that no command asked for */
    p->s.words[at] = word;
    p->s.have++;
    p->s.command_status = (uint32_t)PVSCSI_COMMAND_NOT_ENOUGH_DATA;
    if (p->s.have == need) {
        p->s.command_status = run(p);
        p->s.have = need; /* further words are ignored until the next command */
    }
}

/* --- registers --- */

static void reg_write(struct pvscsi *p, uint64_t off, uint32_t v)
{
    switch (off) {
    case PVSCSI_REG_OFFSET_COMMAND:
        command_write(p, v);
        break;
    case PVSCSI_REG_OFFSET_COMMAND_DATA:
        command_data(p, v);
        break;
    case PVSCSI_REG_OFFSET_INTR_STATUS:
        p->s.intr_status &= ~v;
        pvscsi_interrupt(p, 0);
        break;
    case PVSCSI_REG_OFFSET_INTR_MASK:
        p->s.intr_mask = v & PVSCSI_INTR_ALL_SUPPORTED;
        pvscsi_interrupt(p, p->s.intr_status);
        break;
    case PVSCSI_REG_OFFSET_KICK_NON_RW_IO:
    case PVSCSI_REG_OFFSET_KICK_RW_IO:
        pvscsi_doorbell(p);
        break;
    default:
        break; /* DEBUG and holes: nothing happens, as on the real adapter */
    }
}

static uint32_t reg_read(struct pvscsi *p, uint64_t off)
{
    switch (off) {
    case PVSCSI_REG_OFFSET_COMMAND_STATUS:
        return p->s.command_status;
    case PVSCSI_REG_OFFSET_INTR_STATUS:
        return p->s.intr_status;
    case PVSCSI_REG_OFFSET_INTR_MASK:
        return p->s.intr_mask;
    default:
        return 0;
    }
}

static void pvscsi_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                      enum access dir, uint64_t *val)
{
    struct pvscsi *p = container_of(d, struct pvscsi, pci.dev);

    if (region != 0 || size != 4)
        return;
    if (dir == ACC_WRITE)
        reg_write(p, off, (uint32_t)*val);
    else
        *val = reg_read(p, off);
}

/* --- life --- */

static void pvscsi_reset(struct device *d)
{
    struct pvscsi *p = container_of(d, struct pvscsi, pci.dev);

    device_lock(d);
    adapter_reset(p);
    device_unlock(d);
    units_reset(&p->units);
}

static void pvscsi_destroy(struct device *d)
{
    struct pvscsi *p = container_of(d, struct pvscsi, pci.dev);

    loop_unwatch(d->env.loop, &p->look);
    loop_forget(d->env.loop, &p->reset_units);
    loop_forget(d->env.loop, &p->full);
    loop_forget(d->env.loop, &p->more);
    loop_disarm(d->env.loop, &p->retry);
    close(p->look.fd);
    if (p->late.loop)
        handover_finish(&p->late);
    handover_destroy(&p->late, pvscsi_request_free);
    units_destroy(&p->units);
    pvscsi_reqs_free(p);
    free(p);
}

static void pvscsi_describe(struct device *d, struct dump *out)
{
    struct pvscsi *p = container_of(d, struct pvscsi, pci.dev);

    dump_add(out, "driver", "%s", p->s.rings ? "bound" : "not bound");
    dump_add(out, "ring entries", "%u", p->s.req_entries);
    dump_add(out, "messages", "%s", p->s.msg_ring ? "on" : "off");
    dump_add(out, "requests a doorbell", "%u", p->s.gathers ? p->batch.at : 1);
    dump_add(out, "served on the vCPU", "%llu", (unsigned long long)p->served_inline);
    dump_add(out, "served on the loop", "%llu", (unsigned long long)p->late.served);
}

static const struct device_ops pvscsi_ops = {
    .name = "pvscsi",
    .destroy = pvscsi_destroy,
    .reset = pvscsi_reset,
    .io = pvscsi_io,
    .describe = pvscsi_describe,
};

static void tell(struct units *u, unsigned target, bool there)
{
    struct pvscsi *p = container_of(u, struct pvscsi, units);

    pvscsi_message(p, there ? PVSCSI_MSG_DEV_ADDED : PVSCSI_MSG_DEV_REMOVED, target);
}

static int set_up(struct pvscsi *p, const struct env *env, struct err *e)
{
    static const struct pci_id id = {PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_PVSCSI,
                                     PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_PVSCSI, 0x01000002};
    int rc;

    pci_init(&p->pci, &pvscsi_ops, env, &id);
    p->pci.bar[0] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = PVSCSI_MEM_SPACE_SIZE};
    p->units = (struct units){
        .pci = &p->pci, .name = "pvscsi", .revision = "2.0", .count = PVSCSI_TARGETS, .tell = tell};
    p->retry.fire = pvscsi_retry;
    p->reset_units.run = reset_units;
    p->full.run = pvscsi_retry_soon;
    p->more.run = pvscsi_serve_more;
    p->look = (struct watch){.fd = -1, .want = EPOLLIN, .ready = pvscsi_look};
    p->late.what = env->id;
    p->late.done = pvscsi_request_done;
    rc = handover_init(&p->late, env->loop, &p->pci.dev.lock);
    if (rc < 0)
        return err_set(e, -rc, "cannot make an eventfd for pvscsi: %s", strerror(-rc));
    p->look.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->look.fd < 0)
        return err_set(e, errno, "cannot make a timer for pvscsi: %s", strerror(errno));
    rc = loop_watch(env->loop, &p->look);
    if (rc < 0)
        return err_set(e, -rc, "cannot watch pvscsi's doorbell: %s", strerror(-rc));
    rc = pci_add_msix(&p->pci, 1, 1, e);
    return rc < 0 ? rc : pci_add_msi(&p->pci, 1, e);
}

int pvscsi_create(const struct env *env, struct pvscsi **out, struct err *e)
{
    struct pvscsi *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for a pvscsi adapter");
    rc = set_up(p, env, e);
    if (rc < 0) {
        pci_remove(&p->pci);
        pvscsi_destroy(&p->pci.dev);
        return rc;
    }
    *out = p;
    return 0;
}

struct pci_dev *pvscsi_pci(struct pvscsi *p)
{
    return &p->pci;
}

struct units *pvscsi_units(struct pvscsi *p)
{
    return &p->units;
}

void pvscsi_on_driven(struct pvscsi *p, void (*fn)(void *arg), void *arg)
{
    p->driven = fn;
    p->driven_arg = arg;
}
