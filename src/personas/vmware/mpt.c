/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpt.c - LSI Logic's 53C1030 (parallel SCSI) and SAS1068 controllers: registers and life.
 *
 * Document: LSI's Fusion-MPT headers, MPI 1.5 (abi/mpt.h), and what the Linux drivers mptspi and
 * mptsas and SeaBIOS do with them. Modelled: doorbell and its handshake, message queues, resets,
 * SCSI I/O with chained scatter lists, task management, configuration pages, events, MSI and INTx;
 * 16 targets with LUN 0. Not modelled: RAID, firmware up- and download, target mode, SMP and SATA
 * pass-through, diagnostic memory, coalescing of replies (each one interrupts).
 *
 * Threads: registers on vCPU threads, units and completions on the loop; one device lock.
 */
#include "personas/vmware/mpt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/gmem.h"
#include "personas/vmware/mpt_priv.h"

enum {
    REGISTERS_IO = 0x100,
    REGISTERS_MEM = 0x4000,
    DIAG_MEM = 0x10000,
    FAULT_FIFO_FULL = 0x0005, /* in the doorbell of a controller that gave up */
    SUBSYSTEM_VMWARE = 0x1976,
    VENDOR_VMWARE = 0x15ad,
};

/* --- queues --- */

static unsigned fifo_count(const struct mpt_fifo *f)
{
    return f->put - f->got;
}

static bool fifo_put(struct mpt_fifo *f, uint32_t word)
{
    if (fifo_count(f) == MPT_QUEUE)
        return false;
    f->word[f->put++ % MPT_QUEUE] = word;
    return true;
}

static uint32_t fifo_get(struct mpt_fifo *f)
{
    return f->word[f->got++ % MPT_QUEUE];
}

void mpt_interrupt(struct mpt *p, bool fresh)
{
    if (!(p->s.intr_status & ~p->s.intr_mask))
        pci_intx(&p->pci, false);
    else if (fresh && !pci_notify(&p->pci, 0))
        pci_intx(&p->pci, true);
}

void mpt_fault(struct mpt *p, uint16_t code, const char *why)
{
    guest_fault(&p->pci.dev, "%s; the controller waits for a reset", why);
    p->s.ioc_state = MPI_IOC_STATE_FAULT;
    p->s.fault = code;
}

static void post(struct mpt *p, uint32_t word)
{
    if (!fifo_put(&p->s.posted, word)) {
        mpt_fault(p, FAULT_FIFO_FULL, "the driver does not read its replies");
        return;
    }
    p->s.intr_status |= MPI_HIS_REPLY_MESSAGE_INTERRUPT;
    mpt_interrupt(p, true);
}

void mpt_post_context(struct mpt *p, uint32_t context)
{
    post(p, context & ~MPI_ADDRESS_REPLY_A_BIT);
}

bool mpt_post_frame(struct mpt *p, const uint8_t *reply, unsigned size)
{
    uint32_t frame;

    if (fifo_count(&p->s.free) == 0)
        return false;
    frame = fifo_get(&p->s.free);
    if (size > p->s.reply_frame_size)
        size = p->s.reply_frame_size;
    if (gmem_write(p->pci.dev.env.mem, (gpa_t)p->s.host_mfa_high << 32 | frame, reply, size) < 0)
        mpt_fault(p, FAULT_FIFO_FULL, "a reply frame is not in memory");
    else
        post(p, frame >> 1 | MPI_ADDRESS_REPLY_A_BIT);
    return true;
}

bool mpt_has_credit(struct mpt *p)
{
    if (p->s.ioc_state == MPI_IOC_STATE_FAULT)
        return false;
    if (p->outstanding + fifo_count(&p->s.posted) < MPT_QUEUE - MPT_EVENTS)
        return true;
    mpt_fault(p, FAULT_FIFO_FULL, "more requests than the controller has credits for");
    return false;
}

static void request_written(struct mpt *p, uint32_t word)
{
    /* The low bits say how much of the frame is worth fetching at first. */
    gpa_t at = (gpa_t)p->s.host_mfa_high << 32 | (word & ~3u);
    uint8_t frame[MPT_FRAME] = {0};
    unsigned n = sizeof(frame);

    while (n && gmem_read(p->pci.dev.env.mem, at, frame, n) < 0)
        n /= 2; /* a frame may end where memory does */
    if (n < sizeof(struct mpi_request_header)) {
        mpt_fault(p, FAULT_FIFO_FULL, "a request is not in memory");
        return;
    }
    mpt_request(p, frame, n);
}

/* --- the doorbell --- */

static void hs_finished(struct mpt *p)
{
    uint8_t function = p->s.hs_request[3];

    if (function == MPI_FUNCTION_SCSI_IO_REQUEST || function == MPI_FUNCTION_SCSI_TASK_MGMT) {
        p->s.handshake = MPT_IDLE; /* the answer comes as to any request */
        mpt_request(p, p->s.hs_request, p->s.hs_want);
        return;
    }
    p->s.hs_size = mpt_message(p, p->s.hs_request, p->s.hs_reply);
    p->s.hs_at = 0;
    p->s.handshake = MPT_READING;
    p->s.intr_status |= MPI_HIS_DOORBELL_INTERRUPT;
    mpt_interrupt(p, true);
}

/* All that was asked is forgotten; what a disk is at work on is waited for. */
static void soft_reset(struct mpt *p)
{
    handover_drain(&p->late);
    p->epoch++;
    mpt_drop_starved(p);
    p->s.handshake = MPT_IDLE;
    p->s.free = p->s.posted = (struct mpt_fifo){.put = 0};
    p->s.intr_status = 0;
    p->s.ioc_state = MPI_IOC_STATE_READY;
    p->s.events = false;
    p->s.fault = 0;
    p->s.host_mfa_high = p->s.sense_high = 0;
    mpt_interrupt(p, false);
}

static void hard_reset(struct mpt *p)
{
    uint32_t mask = p->s.intr_mask;

    soft_reset(p);
    memset(&p->s, 0, sizeof(p->s));
    p->s.ioc_state = MPI_IOC_STATE_READY;
    p->s.intr_mask = mask;
    p->s.max_devices = MPT_TARGETS;
    p->s.max_buses = 1;
    mpt_config_reset(p);
}

static void doorbell_written(struct mpt *p, uint32_t v)
{
    unsigned function = v >> MPI_DOORBELL_FUNCTION_SHIFT;

    if (p->s.handshake == MPT_WRITING) {
        le32_put(p->s.hs_request + p->s.hs_have, v);
        p->s.hs_have += 4;
        if (p->s.hs_have == p->s.hs_want)
            hs_finished(p);
        return;
    }
    if (function == MPI_FUNCTION_IOC_MESSAGE_UNIT_RESET || function == MPI_FUNCTION_IO_UNIT_RESET) {
        soft_reset(p);
        return;
    }
    p->s.hs_want = (v >> MPI_DOORBELL_ADD_DWORDS_SHIFT & 0xff) * 4;
    if (function != MPI_FUNCTION_HANDSHAKE || p->s.hs_want > MPT_FRAME ||
        p->s.hs_want < sizeof(struct mpi_request_header)) {
        guest_fault(&p->pci.dev, "doorbell function %#x of %u bytes is not known", function,
                    p->s.hs_want);
        return;
    }
    memset(p->s.hs_request, 0, sizeof(p->s.hs_request));
    p->s.hs_have = 0;
    p->s.handshake = MPT_WRITING;
    p->s.intr_status |= MPI_HIS_DOORBELL_INTERRUPT;
    mpt_interrupt(p, true);
}

static uint32_t doorbell_read(struct mpt *p)
{
    uint32_t v = p->s.ioc_state | (uint32_t)p->s.who_init << MPI_DOORBELL_WHO_INIT_SHIFT;

    if (p->s.ioc_state == MPI_IOC_STATE_FAULT)
        v |= p->s.fault;
    if (p->s.handshake != MPT_IDLE)
        v |= MPI_DOORBELL_ACTIVE;
    if (p->s.handshake == MPT_READING && p->s.hs_at < p->s.hs_size) {
        v = (v & ~0xffffu) | le16_at(p->s.hs_reply + p->s.hs_at);
        p->s.hs_at += 2;
    }
    return v;
}

/* While a reply is read the interrupt stays up: the next half-word is always there. After the last
 * one it comes once more. */
static void status_written(struct mpt *p)
{
    if (p->s.handshake == MPT_READING) {
        if (p->s.hs_at >= p->s.hs_size)
            p->s.handshake = MPT_IDLE;
        return;
    }
    p->s.intr_status &= ~(uint32_t)MPI_HIS_DOORBELL_INTERRUPT;
    mpt_interrupt(p, false);
}

static void sequence_written(struct mpt *p, uint32_t v)
{
    static const uint8_t key[] = {0x4, 0xb, 0x2, 0x7, 0xd};

    v &= MPI_WRSEQ_KEY_VALUE_MASK;
    if (p->s.key < ARRAY_SIZE(key) && v == key[p->s.key])
        p->s.key++;
    else
        p->s.key = v == key[0];
    if (p->s.key == ARRAY_SIZE(key))
        p->s.diag |= MPI_DIAG_DRWE;
    else
        p->s.diag &= ~(uint32_t)MPI_DIAG_DRWE;
}

static void diag_written(struct mpt *p, uint32_t v)
{
    if (!(p->s.diag & MPI_DIAG_DRWE))
        return;
    if (v & MPI_DIAG_RESET_ADAPTER) {
        hard_reset(p);
        p->s.diag = MPI_DIAG_RESET_HISTORY;
        return;
    }
    p->s.diag = (p->s.diag & (MPI_DIAG_DRWE | MPI_DIAG_RESET_HISTORY)) | (v & MPI_DIAG_RW_ENABLE);
    if (!(v & MPI_DIAG_RESET_HISTORY))
        p->s.diag &= ~(uint32_t)MPI_DIAG_RESET_HISTORY;
}

/* --- registers --- */

static void reg_write(struct mpt *p, uint64_t off, uint32_t v)
{
    switch (off) {
    case MPI_DOORBELL_OFFSET:
        doorbell_written(p, v);
        break;
    case MPI_WRITE_SEQUENCE_OFFSET:
        sequence_written(p, v);
        break;
    case MPI_DIAGNOSTIC_OFFSET:
        diag_written(p, v);
        break;
    case MPI_HOST_INTERRUPT_STATUS_OFFSET:
        status_written(p);
        break;
    case MPI_HOST_INTERRUPT_MASK_OFFSET:
        p->s.intr_mask = v & (MPI_HIS_REPLY_MESSAGE_INTERRUPT | MPI_HIS_DOORBELL_INTERRUPT);
        mpt_interrupt(p, true);
        break;
    case MPI_REQUEST_POST_FIFO_OFFSET:
    case MPI_HI_PRI_REQUEST_QUEUE_OFFSET:
        request_written(p, v);
        break;
    case MPI_REPLY_FIFO_OFFSET:
        if (!fifo_put(&p->s.free, v))
            guest_fault(&p->pci.dev, "more than %d reply frames: one is dropped", MPT_QUEUE);
        mpt_flush_starved(p);
        break;
    default:
        break; /* holes: nothing happens */
    }
}

static uint32_t reply_read(struct mpt *p)
{
    if (fifo_count(&p->s.posted))
        return fifo_get(&p->s.posted);
    p->s.intr_status &= ~(uint32_t)MPI_HIS_REPLY_MESSAGE_INTERRUPT;
    mpt_interrupt(p, false);
    return MPI_REPLY_EMPTY;
}

static uint32_t reg_read(struct mpt *p, uint64_t off)
{
    switch (off) {
    case MPI_DOORBELL_OFFSET:
        return doorbell_read(p);
    case MPI_DIAGNOSTIC_OFFSET:
        return p->s.diag;
    case MPI_HOST_INTERRUPT_STATUS_OFFSET:
        return p->s.intr_status;
    case MPI_HOST_INTERRUPT_MASK_OFFSET:
        return p->s.intr_mask;
    case MPI_REPLY_FIFO_OFFSET:
        return reply_read(p);
    default:
        return 0;
    }
}

static void mpt_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct mpt *p = container_of(d, struct mpt, pci.dev);

    if (region > 1 || size != 4)
        return; /* diagnostic memory is empty */
    if (dir == ACC_WRITE)
        reg_write(p, off, (uint32_t)*val);
    else
        *val = reg_read(p, off);
}

/* --- life --- */

static void mpt_reset(struct device *d)
{
    struct mpt *p = container_of(d, struct mpt, pci.dev);

    device_lock(d);
    hard_reset(p);
    p->s.intr_mask = 0;
    device_unlock(d);
    units_reset(&p->units);
}

static void mpt_destroy(struct device *d)
{
    struct mpt *p = container_of(d, struct mpt, pci.dev);

    if (p->late.loop)
        handover_finish(&p->late);
    handover_destroy(&p->late, mpt_request_free);
    units_destroy(&p->units);
    mpt_drop_starved(p);
    mpt_reqs_free(p);
    free(p);
}

static const char *state_name(const struct mpt *p)
{
    return p->s.ioc_state == MPI_IOC_STATE_OPERATIONAL ? "operational"
           : p->s.ioc_state == MPI_IOC_STATE_FAULT     ? "at fault"
                                                       : "ready";
}

static void mpt_describe(struct device *d, struct dump *out)
{
    struct mpt *p = container_of(d, struct mpt, pci.dev);

    dump_add(out, "driver", "%s",
             p->s.ioc_state == MPI_IOC_STATE_OPERATIONAL ? "bound" : "not bound");
    dump_add(out, "state", "%s", state_name(p));
    dump_add(out, "events", "%s", p->s.events ? "on" : "off");
    dump_add(out, "served on the vCPU", "%llu", (unsigned long long)p->served_inline);
    dump_add(out, "served on the loop", "%llu", (unsigned long long)p->late.served);
}

#define MPT_OPS(word)                                                                              \
    {                                                                                              \
        .name = (word), .destroy = mpt_destroy, .reset = mpt_reset, .io = mpt_io,                  \
        .describe = mpt_describe,                                                                  \
    }
static const struct device_ops ops[] = {
    [MPT_53C1030] = MPT_OPS("lsilogic"),
    [MPT_SAS1068] = MPT_OPS("lsisas1068"),
};

static int set_up(struct mpt *p, const struct env *env, struct err *e)
{
    static const struct pci_id id[] = {
        [MPT_53C1030] = {PCI_VENDOR_ID_LSI_LOGIC, MPI_MANUFACTPAGE_DEVID_53C1030, VENDOR_VMWARE,
                         SUBSYSTEM_VMWARE, 0x01000001},
        [MPT_SAS1068] = {PCI_VENDOR_ID_LSI_LOGIC, MPI_MANUFACTPAGE_DEVID_SAS1068, VENDOR_VMWARE,
                         SUBSYSTEM_VMWARE, 0x01070001},
    };
    int rc;

    pci_init(&p->pci, &ops[p->kind], env, &id[p->kind]);
    p->pci.bar[0] = (struct pci_bar){.kind = PCI_BAR_IO, .size = REGISTERS_IO};
    p->pci.bar[1] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = REGISTERS_MEM};
    p->pci.bar[2] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = DIAG_MEM};
    p->units = (struct units){.pci = &p->pci,
                              .name = ops[p->kind].name,
                              .revision = "1.0",
                              .count = MPT_TARGETS,
                              .tell = mpt_tell};
    p->starved_end = &p->starved;
    p->late.what = env->id;
    p->late.done = mpt_request_done;
    p->late.turn = mpt_request_turn;
    rc = handover_init(&p->late, env->loop, &p->pci.dev.lock);
    if (rc < 0)
        return err_set(e, -rc, "cannot make an eventfd for %s: %s", ops[p->kind].name,
                       strerror(-rc));
    hard_reset(p);
    return pci_add_msi(&p->pci, 1, e);
}

int mpt_create(const struct env *env, enum mpt_kind kind, unsigned number, struct mpt **out,
               struct err *e)
{
    struct mpt *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for a SCSI controller");
    p->kind = kind;
    p->number = number;
    rc = set_up(p, env, e);
    if (rc < 0) {
        pci_remove(&p->pci);
        mpt_destroy(&p->pci.dev);
        return rc;
    }
    *out = p;
    return 0;
}

struct pci_dev *mpt_pci(struct mpt *p)
{
    return &p->pci;
}

struct units *mpt_units(struct mpt *p)
{
    return &p->units;
}

void mpt_on_driven(struct mpt *p, void (*fn)(void *arg), void *arg)
{
    p->driven = fn;
    p->driven_arg = arg;
}
