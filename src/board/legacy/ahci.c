/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahci.c - a SATA controller, AHCI 1.3.1, in the PCI identity of Intel's ICH9 (8086:2922).
 *
 * BAR 5 has the registers. Each port with something on it has 32 command slots and native command
 * queueing. Not modelled: port multipliers, hot plug, power states, command completion coalescing,
 * staggered spin-up, the IDE compatible registers.
 *
 * Threads: io() on vCPU threads, completions on the loop, both under the device's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/legacy/ahci_priv.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"

enum {
    AHCI_DEVFN_Q35 = 31 << 3 | 2,
    /* function 2 of the ICH9 */ AHCI_BAR = 5,
    AHCI_BAR_SIZE = 4096,
    SSTS_UP = 0x113,
    SIG_DISK = 0x101,
    TFD_IDLE = 0x150
};
#define SIG_CDROM UINT32_C(0xeb140101)
/* What a guest may write of PxCMD. */
enum { CMD_WRITABLE = CMD_ST | CMD_SUD | CMD_POD | CMD_FRE };

/* --- interrupts --- */

void ahci_update(struct ahci *a)
{
    bool up = false;

    for (unsigned i = 0; i < AHCI_PORTS; i++)
        up |= (a->port[i].s.is & a->port[i].s.ie) != 0;
    up = up && (a->ghc & GHC_IE);
    if (!up || !pci_notify(&a->pci, 0))
        pci_intx(&a->pci, up);
}

static uint32_t ports_pending(const struct ahci *a)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < AHCI_PORTS; i++)
        bits |= (uint32_t)((a->port[i].s.is & a->port[i].s.ie) != 0) << i;
    return bits;
}

/* --- frames to the guest --- */

static void receive(struct ahci_unit *p, unsigned off, const void *fis, size_t n)
{
    if ((p->s.cmd & CMD_FRE) && p->s.received &&
        gmem_write(p->hba->pci.dev.env.mem, p->s.received + off, fis, n) < 0)
        guest_fault(&p->hba->pci.dev, "frames of port %u go outside memory", p->number);
}

static void tell_d2h(struct ahci_unit *p, const struct fis_h2d *f, uint8_t status, uint8_t error)
{
    uint8_t d[20] = {FIS_D2H, FIS_INTERRUPT, status, error};

    memcpy(d + 4, &f->low, 8); /* address and device, and their other halves */
    d[11] = 0;
    d[12] = f->count;
    d[13] = f->count_exp;
    receive(p, AHCI_FIS_D2H, d, sizeof(d));
    p->s.is |= IS_DHRS;
}

static void tell_pio(struct ahci_unit *p, const struct ahci_slot *s, uint8_t status)
{
    uint8_t d[20] = {FIS_PIO_SETUP, FIS_INTERRUPT | 0x20, ATA_DRDY | ATA_DSC | ATA_DRQ, 0};

    memcpy(d + 4, &s->fis.low, 7);
    d[12] = s->fis.count;
    d[15] = status;
    le16_put(d + 16, (uint16_t)s->bytes);
    receive(p, AHCI_FIS_PIO, d, sizeof(d));
    p->s.is |= IS_PSS;
}

static void tell_queued(struct ahci_unit *p, unsigned n, uint8_t status, uint8_t error)
{
    uint8_t d[8] = {FIS_SDB, FIS_INTERRUPT, status & 0x77, error};

    le32_put(d + 4, status & ATA_ERR ? 0 : UINT32_C(1) << n); /* what has ended well */
    receive(p, AHCI_FIS_SDB, d, sizeof(d));
    p->s.is |= IS_SDBS;
}

/* The first frame after a reset says what is there. */
static void tell_signature(struct ahci_unit *p)
{
    struct fis_h2d f = {.low = 1, .count = 1};

    if (p->cdrom) {
        f.mid = 0x14;
        f.high = 0xeb;
    }
    p->s.late = false;
    p->s.sig = p->cdrom ? SIG_CDROM : SIG_DISK;
    p->s.tfd = p->cdrom ? 0x100 : TFD_IDLE;
    p->s.unsent = !(p->s.cmd & CMD_FRE);
    tell_d2h(p, &f, (uint8_t)p->s.tfd, 1);
}

static void start_all(struct ahci_unit *p);

void ahci_end(struct ahci_slot *s, uint8_t status, uint8_t error)
{
    struct ahci_unit *p = s->port;
    unsigned n = (unsigned)(s - p->slot);
    uint32_t bit = UINT32_C(1) << n;

    s->busy = false;
    p->flying--;
    if (s->life != p->life) { /* a reset came first; the slot may be wanted again */
        if (p->s.late && !p->flying)
            tell_signature(p);
        start_all(p);
        ahci_update(p->hba);
        return;
    }
    le32_put(&s->head.moved, (uint32_t)s->bytes);
    if (!(s->fis.flags & FIS_COMMAND)) {
        if (!(s->fis.control & ATA_SRST))
            tell_signature(p);
    } else {
        if (!s->queued && !(status & ATA_ERR))
            (void)!gmem_write(p->hba->pci.dev.env.mem,
                              p->s.list + n * sizeof(s->head) + offsetof(struct ahci_header, moved),
                              &s->head.moved, sizeof(s->head.moved));
        p->s.tfd = (uint32_t)error << 8 | status;
        if (s->queued)
            tell_queued(p, n, status, error);
        else if (s->pio && !(status & ATA_ERR))
            tell_pio(p, s, status);
        else
            tell_d2h(p, &s->fis, status, error);
    }
    if (s->queued && !(status & ATA_ERR))
        p->s.sact &= ~bit;
    if (s->queued || !(status & ATA_ERR)) /* 5.5.3: one that failed stays issued */
        p->s.ci &= ~bit;
    if (status & ATA_ERR) {
        p->s.ccs = (uint8_t)n;
        p->s.error_tag = (uint8_t)(s->queued ? n : 0x80);
        p->s.error_status = status;
        p->s.error_error = error;
        p->s.is |= IS_TFES;
        p->s.halted = true;
    }
    ahci_update(p->hba);
}

/* --- ports --- */

static bool there(const struct ahci_unit *p)
{
    return p->slot != NULL;
}

static void start_all(struct ahci_unit *p)
{
    if (!there(p) || !(p->s.cmd & CMD_ST) || p->s.late)
        return;
    for (unsigned n = 0; n < AHCI_SLOTS; n++) {
        if ((p->s.ci >> n & 1) && !p->slot[n].busy && !p->s.halted)
            ahci_command(p, n);
    }
}

/* What is in flight ends for nobody. */
static void forget(struct ahci_unit *p)
{
    p->life++;
    p->s.ci = p->s.sact = 0;
    p->s.ccs = 0;
    p->s.halted = false;
}

/* The device is busy, and says nothing, until the guest's memory is its own again. */
static void link_reset(struct ahci_unit *p)
{
    forget(p);
    p->s.ssts = there(p) ? SSTS_UP : 0;
    p->s.tfd = 0x7f;
    p->s.sig = UINT32_MAX;
    if (!there(p))
        return;
    p->s.serr |= SERR_EXCHANGED; /* the link came up */
    p->s.is |= IS_PCS;
    p->s.late = p->flying;
    if (p->s.late)
        p->s.tfd = ATA_BSY;
    else
        tell_signature(p);
}

static void port_power_on(struct ahci_unit *p)
{
    forget(p);
    memset(&p->s, 0, sizeof(p->s));
    p->s.write_cache = true;
    p->s.cmd = CMD_SUD | CMD_POD;
    link_reset(p);
    p->s.is = p->s.serr = 0;
}

static void cmd_write(struct ahci_unit *p, uint32_t v)
{
    struct ahci_port_state *s = &p->s;
    uint32_t was = s->cmd;

    s->cmd = (v & CMD_WRITABLE) | (v & CMD_FRE ? CMD_FR : 0);
    if (v & CMD_CLO)
        s->tfd &= ~(uint32_t)(ATA_BSY | ATA_DRQ);
    if ((was & CMD_ST) && !(v & CMD_ST))
        forget(p);
    if ((v & CMD_FRE) && s->unsent)
        tell_signature(p);
    start_all(p);
}

static void port_write(struct ahci_unit *p, unsigned reg, uint32_t v)
{
    struct ahci_port_state *s = &p->s;

    switch (reg) {
    case PX_CLB:
        s->list = (s->list & ~UINT64_C(0xffffffff)) | (v & ~UINT32_C(0x3ff));
        break;
    case PX_CLBU:
        s->list = (s->list & 0xffffffff) | (uint64_t)v << 32;
        break;
    case PX_FB:
        s->received = (s->received & ~UINT64_C(0xffffffff)) | (v & ~UINT32_C(0xff));
        break;
    case PX_FBU:
        s->received = (s->received & 0xffffffff) | (uint64_t)v << 32;
        break;
    case PX_IS:
        s->is &= ~v;
        break;
    case PX_IE:
        s->ie = v & 0xfdc000ff;
        break;
    case PX_CMD:
        cmd_write(p, v);
        break;
    case PX_SCTL:
        if ((s->sctl & 15) == 1 && (v & 15) == 0)
            link_reset(p);
        s->sctl = v & 0xfff;
        break;
    case PX_SERR:
        s->serr &= ~v;
        if (!(s->serr & SERR_EXCHANGED))
            s->is &= ~(uint32_t)IS_PCS; /* it shows that bit */
        break;
    case PX_SACT:
        if (s->cmd & CMD_ST)
            s->sact |= v;
        break;
    case PX_CI:
        if (s->cmd & CMD_ST)
            s->ci |= v;
        start_all(p);
        break;
    default:
        break;
    }
    ahci_update(p->hba);
}

static uint32_t port_read(const struct ahci_unit *p, unsigned reg)
{
    const struct ahci_port_state *s = &p->s;

    switch (reg) {
    case PX_CLB:
        return (uint32_t)s->list;
    case PX_CLBU:
        return (uint32_t)(s->list >> 32);
    case PX_FB:
        return (uint32_t)s->received;
    case PX_FBU:
        return (uint32_t)(s->received >> 32);
    case PX_IS:
        return s->is;
    case PX_IE:
        return s->ie;
    case PX_CMD: /* it runs on until the guest's memory is its own again */
        return s->cmd | (uint32_t)s->ccs << CMD_CCS |
               (s->cmd & CMD_ST || p->flying ? (uint32_t)CMD_CR : 0);
    case PX_TFD:
        return s->tfd;
    case PX_SIG:
        return s->sig;
    case PX_SSTS:
        return s->ssts;
    case PX_SCTL:
        return s->sctl;
    case PX_SERR:
        return s->serr;
    case PX_SACT:
        return s->sact;
    case PX_CI:
        return s->ci;
    default:
        return 0;
    }
}

/* --- the host's registers --- */

static void hba_reset(struct ahci *a)
{
    a->ghc = GHC_AE;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        port_power_on(&a->port[i]);
    ahci_update(a);
}

static uint32_t hba_read(const struct ahci *a, unsigned reg)
{
    switch (reg) {
    case HBA_CAP:
        return (AHCI_PORTS - 1) | (AHCI_SLOTS - 1) << 8 | CAP_SAM | 1u << 20 | CAP_NCQ | CAP_64BIT;
    case HBA_GHC:
        return a->ghc;
    case HBA_IS:
        return ports_pending(a);
    case HBA_PI:
        return (1u << AHCI_PORTS) - 1;
    case HBA_VS:
        return 0x00010300;
    default:
        return 0;
    }
}

static void ahci_write(struct ahci *a, unsigned off, uint32_t v)
{
    if (off >= HBA_PORTS) {
        unsigned port = (off - HBA_PORTS) / HBA_PORT_SIZE;

        if (port < AHCI_PORTS)
            port_write(&a->port[port], off % HBA_PORT_SIZE, v);
    } else if (off == HBA_GHC && (v & GHC_HR)) {
        hba_reset(a);
    } else if (off == HBA_GHC) {
        a->ghc = GHC_AE | (v & GHC_IE);
        ahci_update(a);
    }
}

static uint32_t ahci_read(const struct ahci *a, unsigned off)
{
    unsigned port = (off - HBA_PORTS) / HBA_PORT_SIZE;

    if (off < HBA_PORTS)
        return hba_read(a, off);
    return port < AHCI_PORTS ? port_read(&a->port[port], off % HBA_PORT_SIZE) : 0;
}

static void ahci_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct ahci *a = (struct ahci *)d;
    unsigned at = (unsigned)off & ~3u;

    if (dir == ACC_WRITE) { /* registers are 32 bits wide */
        if (size >= 4 && !(off & 3))
            ahci_write(a, at, (uint32_t)*val);
        if (size == 8)
            ahci_write(a, at + 4, (uint32_t)(*val >> 32));
        return;
    }
    *val = (uint64_t)ahci_read(a, at) >> 8 * (off & 3);
    if (size == 8)
        *val |= (uint64_t)ahci_read(a, at + 4) << 32;
}

/* --- life --- */

static bool port_busy(void *arg)
{
    return ((const struct ahci_unit *)arg)->flying;
}

/* Waits for what writes the guest's memory: a new kernel is loaded there next. */
static void ahci_reset(struct device *d)
{
    struct ahci *a = (struct ahci *)d;

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        forget(&a->port[i]);
        a->port[i].s.cmd = 0; /* nothing starts any more */
        loop_drain(d->env.loop, d->env.id, port_busy, &a->port[i]);
        if (a->port[i].target)
            scsi_reset(a->port[i].target, -1); /* its tray may be locked */
    }
    hba_reset(a);
    WRITE_ONCE(a->used, false);
}

static void ahci_destroy(struct device *d)
{
    struct ahci *a = (struct ahci *)d;

    for (unsigned i = 0; i < AHCI_PORTS; i++)
        ahci_detach(a, i);
    pthread_mutex_destroy(&d->lock);
    free(a);
}

void ahci_detach(struct ahci *a, unsigned port)
{
    struct ahci_unit *p = &a->port[port];

    p->s.cmd = 0; /* nothing starts any more */
    loop_drain(a->pci.dev.env.loop, a->pci.dev.env.id, port_busy, p);
    if (!p->borrowed)
        disk_close(p->disk);
    scsi_target_destroy(p->target);
    free(p->slot);
    p->disk = NULL;
    p->target = NULL;
    p->slot = NULL;
}

bool ahci_used(const struct ahci *a)
{
    return READ_ONCE(a->used);
}

void ahci_hide(struct ahci *a)
{
    pci_hide(&a->pci, true);
}

/* What is not borrowed does not come back to the caller. */
static void refuse(const struct ahci_port_cfg *c)
{
    if (!c->borrowed)
        disk_close(c->disk);
}

static void ahci_describe(struct device *d, struct dump *out)
{
    struct ahci *a = (struct ahci *)d;
    char key[32];

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        snprintf(key, sizeof(key), "ahci.port%u", i);
        if (there(&a->port[i]))
            dump_add(out, key, "%s", a->port[i].cdrom ? "CD-ROM drive" : "disk");
    }
}

static const struct device_ops ahci_ops = {
    .name = "ahci",
    .destroy = ahci_destroy,
    .reset = ahci_reset,
    .io = ahci_io,
    .describe = ahci_describe,
};

static int ahci_create(const struct env *env, struct ahci **out, struct err *e)
{
    static const struct pci_id id = {0x8086, 0x2922, 0x1af4, 0x1100, 0x01060102};
    struct ahci *a = calloc(1, sizeof(*a));
    int rc;

    if (!a)
        return err_set(e, ENOMEM, "no memory for a SATA controller");
    pci_init(&a->pci, &ahci_ops, env, &id);
    a->pci.dev.env.id = "ahci";
    a->pci.bar[AHCI_BAR] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = AHCI_BAR_SIZE};
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        a->port[i].hba = a;
        a->port[i].number = i;
    }
    rc = pci_add_msi(&a->pci, 1, e);
    if (rc == 0)
        rc = pci_add(env->pci, &a->pci, pci_is_q35(env->pci) ? AHCI_DEVFN_Q35 : -1, e);
    if (rc < 0) {
        pci_remove(&a->pci);
        ahci_destroy(&a->pci.dev);
        return rc;
    }
    hba_reset(a);
    *out = a;
    return 0;
}

static int attach_cdrom(struct ahci_unit *p, const struct ahci_port_cfg *c, struct err *e)
{
    struct scsi_target_cfg t = {"HOSPES", "DVD-ROM", "1.0", 0};
    struct scsi_lun_cfg l = {.disk = c->disk, .cdrom = true, .packet = true, .id = c->id};
    int rc = scsi_target_create(p->hba->pci.dev.env.loop, &t, &p->target, e);

    if (rc == 0)
        rc = scsi_attach(p->target, 0, &l, e);
    if (rc < 0)
        disk_close(c->disk);
    return rc;
}

static int attach(struct ahci_unit *p, const struct ahci_port_cfg *c, struct err *e)
{
    int rc = 0;

    p->slot = calloc(AHCI_SLOTS, sizeof(*p->slot));
    if (!p->slot)
        rc = err_set(e, ENOMEM, "no memory for %s", c->id);
    else if (!c->cdrom && c->disk->shape.logical != AHCI_SECTOR)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "%s has sectors of %u bytes and SATA disks have 512: use another bus=", c->id,
                      c->disk->shape.logical);
    if (rc < 0) {
        refuse(c);
        return rc;
    }
    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        p->slot[i].port = p;
    p->cdrom = c->cdrom;
    snprintf(p->serial, sizeof(p->serial), "%s%s", c->serial ? "" : "hospes-",
             c->serial ? c->serial : c->id);
    if (c->cdrom)
        return attach_cdrom(p, c, e);
    p->disk = c->disk;
    p->borrowed = c->borrowed;
    p->size = min_u64(c->disk->shape.bytes / AHCI_SECTOR, (UINT64_C(1) << 48) - 1);
    return 0;
}

int ahci_add(const struct env *env, struct ahci **a, const struct ahci_port_cfg *c, struct err *e)
{
    int rc = *a ? 0 : ahci_create(env, a, e);
    unsigned n = 0;

    while (rc == 0 && n < AHCI_PORTS && there(&(*a)->port[n]))
        n++;
    if (rc == 0 && n == AHCI_PORTS)
        rc = err_exit(e, EX_USAGE_, ENOSPC, "%s: all %d SATA ports are taken", c->id, AHCI_PORTS);
    if (rc < 0) {
        refuse(c);
        return rc;
    }
    rc = attach(&(*a)->port[n], c, e);
    if (rc < 0)
        return rc;
    port_power_on(&(*a)->port[n]);
    pci_boots(&(*a)->pci, c->id, "pci8086,2922", "drive@%x/disk@0", n);
    return 0;
}

bool ahci_disc_changed(struct ahci *a, const struct disk *disk)
{
    for (unsigned n = 0; a && n < AHCI_PORTS; n++) {
        if (scsi_grew(a->port[n].target, disk))
            return true;
    }
    return false;
}
