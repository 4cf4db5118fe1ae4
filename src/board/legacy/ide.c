/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ide.c - the IDE function of the PIIX3 (Intel 290550, section 2.3 and chapter 3), ATA/ATAPI-6
 * (T13 1410D) as its units speak it.
 *
 *   0x1f0-0x1f7, 0x3f6   primary channel, interrupt 14     BAR 4 + 0   its bus master
 *   0x170-0x177, 0x376   secondary channel, interrupt 15   BAR 4 + 8   its bus master
 *
 * The function is always in legacy mode and decodes both channels, as firmware leaves it. Not
 * modelled: timing registers beyond storage, overlapped and queued commands, S.M.A.R.T., security,
 * host protected areas.
 *
 * Threads: io() on vCPU threads, completions on the loop, both under the device's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/bus.h"
#include "board/legacy/ide_priv.h"
#include "core/err.h"
#include "core/loop.h"

enum { IDE_DEVFN = 1 << 3 | 1, IDE_BM_BAR = 4, IDETIM = 0x40, IDETIM_DECODE = 0x8000 };
/* Regions beyond the BARs, of channel n: + 2 n. */
enum { REGION_COMMAND = 16, REGION_CONTROL = 17 };
static const uint16_t command_port[2] = {0x1f0, 0x170}, control_port[2] = {0x3f6, 0x376};

/* --- interrupts and ends of commands --- */

static void ide_line(struct ide_channel *c)
{
    c->irq->set(c->irq, c->s.intrq && !(c->s.control & ATA_NIEN));
}

void ide_raise(struct ide_channel *c)
{
    c->s.intrq = true;
    if (!(c->s.control & ATA_NIEN))
        c->s.bm_status |= BMIDE_INTERRUPT;
    ide_line(c);
}

static void ide_lower(struct ide_channel *c)
{
    c->s.intrq = false;
    ide_line(c);
}

void ide_good(struct ide_channel *c, bool interrupt)
{
    c->s.phase = IDE_IDLE;
    ide_active(c)->s.status = ATA_DRDY | ATA_DSC;
    ide_active(c)->s.error = 0;
    if (interrupt)
        ide_raise(c);
}

void ide_fail(struct ide_channel *c, uint8_t error)
{
    c->s.phase = IDE_IDLE;
    ide_active(c)->s.status = ATA_DRDY | ATA_DSC | ATA_ERR;
    ide_active(c)->s.error = error;
    ide_raise(c);
}

/* --- PIO --- */

static void ide_pio_block(struct ide_channel *c, bool interrupt)
{
    struct ide_channel_state *s = &c->s;

    s->end = s->pos + (uint32_t)min_u64(s->block, s->len - s->pos);
    ide_active(c)->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    if (interrupt)
        ide_raise(c);
}

void ide_pio(struct ide_channel *c, bool out, uint32_t len, uint32_t block, bool interrupt,
             void (*drained)(struct ide_channel *c))
{
    c->s.phase = out ? IDE_PIO_OUT : IDE_PIO_IN;
    c->s.pos = 0;
    c->s.len = len;
    c->s.block = block;
    c->drained = drained;
    ide_pio_block(c, interrupt);
}

static void ide_pio_moved(struct ide_channel *c, uint32_t n)
{
    struct ide_channel_state *s = &c->s;

    s->pos += n;
    if (s->pos < s->end)
        return;
    if (s->end < s->len) {
        ide_pio_block(c, true);
        if (ide_active(c)->kind == IDE_CDROM)
            ide_packet_block(c);
        return;
    }
    ide_active(c)->s.status = ATA_BSY;
    c->drained(c);
}

static uint64_t ide_data_read(struct ide_channel *c, unsigned size)
{
    struct ide_channel_state *s = &c->s;
    uint64_t v = 0;
    uint32_t n;

    if (s->phase != IDE_PIO_IN)
        return 0;
    n = (uint32_t)min_u64(size, s->end - s->pos);
    memcpy(&v, c->buf + s->pos, n);
    ide_pio_moved(c, n);
    return v;
}

static void ide_data_write(struct ide_channel *c, unsigned size, uint64_t v)
{
    struct ide_channel_state *s = &c->s;
    uint32_t n;

    if (s->phase != IDE_PIO_OUT)
        return;
    n = (uint32_t)min_u64(size, s->end - s->pos);
    memcpy(c->buf + s->pos, &v, n);
    ide_pio_moved(c, n);
}

/* --- registers --- */

static bool ide_there(const struct ide_unit *u)
{
    return u->kind != IDE_NONE && !u->hidden;
}

static struct ide_unit *ide_selected(struct ide_channel *c)
{
    return &c->unit[c->s.device & ATA_DEV ? 1 : 0];
}

void ide_signature(struct ide_unit *u)
{
    bool cd = u->kind == IDE_CDROM;

    u->s.count[0] = u->s.low[0] = 1;
    u->s.mid[0] = cd ? 0x14 : 0;
    u->s.high[0] = cd ? 0xeb : 0;
    u->s.error = 1; /* diagnostic: no error */
    u->s.status = cd ? 0 : ATA_DRDY | ATA_DSC;
}

static void ide_reset_channel(struct ide_channel *c)
{
    c->stale = c->flying;
    c->s.phase = IDE_IDLE;
    c->s.device = 0;
    for (unsigned i = 0; i < 2; i++) {
        c->unit[i].s.multiple = 0;
        ide_signature(&c->unit[i]);
    }
}

/* A unit that is not there while the other one is: the other one answers with zeroes. */
static uint8_t ide_status(struct ide_channel *c)
{
    const struct ide_unit *u = ide_selected(c);

    if (!ide_there(u))
        return 0;
    if (c->stale || (c->s.control & ATA_SRST))
        return ATA_BSY;
    return u->s.status;
}

static void ide_command(struct ide_channel *c, uint8_t command)
{
    struct ide_unit *u = ide_selected(c);
    bool known;

    if (!ide_there(u) || ((ide_status(c) & ATA_BSY) && command != ATA_DEVICE_RESET))
        return;
    if (c->flying && u != ide_active(c))
        return;
    ide_lower(c);
    if (c->flying) { /* DEVICE RESET ends what is under way */
        c->stale = true;
        ide_signature(u);
        c->s.phase = IDE_IDLE;
        return;
    }
    c->s.unit = u == &c->unit[1];
    c->s.phase = IDE_WORKING;
    u->s.status = ATA_BSY | ATA_DRDY;
    u->s.error = 0;
    if (command == ATA_EXECUTE_DIAGNOSTIC) {
        ide_reset_channel(c);
        ide_raise(c);
        return;
    }
    known = u->kind == IDE_DISK ? ide_disk_command(c, command) : ide_packet_command(c, command);
    if (!known)
        ide_fail(c, ATA_ABRT);
}

static void ide_push(uint8_t *r, uint8_t v)
{
    r[1] = r[0];
    r[0] = v;
}

/* Where a register that has a second, older value is kept; NULL: it has none. */
static uint8_t *ide_pair(struct ide_unit_state *s, unsigned reg)
{
    switch (reg) {
    case ATA_FEATURE:
        return s->feature;
    case ATA_COUNT:
        return s->count;
    case ATA_LBA_LOW:
        return s->low;
    case ATA_LBA_MID:
        return s->mid;
    case ATA_LBA_HIGH:
        return s->high;
    default:
        return NULL;
    }
}

/* Both units listen to the command block. */
static void ide_register_write(struct ide_channel *c, unsigned reg, uint8_t v)
{
    if (reg == ATA_COMMAND) {
        ide_command(c, v);
        return;
    }
    if (ide_status(c) & (ATA_BSY | ATA_DRQ))
        return;
    if (reg == ATA_DEVICE)
        c->s.device = v;
    c->s.control &= (uint8_t)~ATA_HOB;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *r = ide_pair(&c->unit[i].s, reg);

        if (r)
            ide_push(r, v);
    }
}

static uint8_t ide_register_read(struct ide_channel *c, unsigned reg)
{
    const struct ide_unit_state *s = &ide_selected(c)->s;
    unsigned hob = c->s.control & ATA_HOB ? 1 : 0;

    if (reg == ATA_COMMAND) {
        uint8_t status = ide_status(c);

        ide_lower(c);
        return status;
    }
    if (!ide_there(ide_selected(c)))
        return 0;
    switch (reg) {
    case ATA_FEATURE:
        return hob ? s->feature[1] : s->error;
    case ATA_COUNT:
        return s->count[hob];
    case ATA_LBA_LOW:
        return s->low[hob];
    case ATA_LBA_MID:
        return s->mid[hob];
    case ATA_LBA_HIGH:
        return s->high[hob];
    default:
        return c->s.device | ATA_DEVICE_ONES;
    }
}

static void ide_control_write(struct ide_channel *c, uint8_t v)
{
    uint8_t was = c->s.control;

    c->s.control = v;
    if (v & ~was & ATA_SRST) {
        c->s.intrq = false;
        ide_reset_channel(c);
    }
    ide_line(c);
}

static void ide_io_command(struct ide_channel *c, unsigned off, unsigned size, enum access dir,
                           uint64_t *val)
{
    uint64_t all = 0;

    if (off == ATA_DATA && dir == ACC_READ) {
        *val = ide_data_read(c, size);
        return;
    }
    if (off == ATA_DATA) {
        ide_data_write(c, size, *val);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        if (dir == ACC_WRITE)
            ide_register_write(c, off + i, (uint8_t)(*val >> (8 * i)));
        else
            all |= (uint64_t)ide_register_read(c, off + i) << (8 * i);
    }
    if (dir == ACC_READ)
        *val = all;
}

static void ide_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct ide *i = (struct ide *)d;
    struct ide_channel *c =
        &i->channel[region >= REGION_COMMAND ? (region >> 1) & 1 : off >> 3 & 1];

    if (region == IDE_BM_BAR)
        ide_bm_io(c, off & 7, size, dir, val);
    else if (region < REGION_COMMAND)
        *val = UINT64_MAX;
    else if (!(region & 1))
        ide_io_command(c, (unsigned)off, size, dir, val);
    else if (dir == ACC_WRITE)
        ide_control_write(c, (uint8_t)*val);
    else
        *val = ide_status(c); /* the alternate status leaves the interrupt alone */
}

/* --- units --- */

static int ide_pick(const struct ide *i, int unit, bool cdrom)
{
    static const uint8_t disks[IDE_UNITS] = {0, 1, 2, 3}, discs[IDE_UNITS] = {2, 3, 1, 0};

    if (unit >= 0)
        return unit < IDE_UNITS && i->channel[unit / 2].unit[unit % 2].kind == IDE_NONE ? unit : -1;
    for (unsigned k = 0; k < IDE_UNITS; k++) {
        unsigned n = cdrom ? discs[k] : disks[k];

        if (i->channel[n / 2].unit[n % 2].kind == IDE_NONE)
            return (int)n;
    }
    return -1;
}

static int ide_attach_cdrom(struct ide *i, struct ide_unit *u, const struct ide_unit_cfg *c,
                            struct err *e)
{
    struct scsi_target_cfg t = {"HOSPES", "DVD-ROM", "1.0", 0};
    struct scsi_lun_cfg l = {.disk = c->disk, .cdrom = true, .packet = true, .id = c->id};
    int rc = scsi_target_create(i->pci.dev.env.loop, &t, &u->target, e);

    if (rc == 0)
        rc = scsi_attach(u->target, 0, &l, e);
    if (rc < 0) {
        scsi_target_destroy(u->target);
        u->target = NULL;
        disk_close(c->disk);
    }
    return rc;
}

static int ide_attach_disk(struct ide_unit *u, const struct ide_unit_cfg *c, struct err *e)
{
    int rc = 0;

    if (c->disk->shape.logical != IDE_SECTOR)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "%s has sectors of %u bytes and IDE disks have 512: use another bus=", c->id,
                      c->disk->shape.logical);
    if (rc < 0 && !c->borrowed)
        disk_close(c->disk);
    if (rc < 0)
        return rc;
    u->disk = c->disk;
    u->borrowed = c->borrowed;
    u->size = min_u64(c->disk->shape.bytes / IDE_SECTOR, (UINT64_C(1) << 48) - 1);
    return 0;
}

static void ide_unit_power_on(struct ide_unit *u)
{
    u->s = (struct ide_unit_state){.heads = 16, .sectors = 63, .write_cache = true};
    u->s.transfer_mode = 0x22; /* multiword DMA 2 */
    ide_signature(u);
}

int ide_attach(struct ide *i, int unit, const struct ide_unit_cfg *c, struct err *e)
{
    int at = ide_pick(i, unit, c->cdrom), rc;
    struct ide_unit *u;

    if (at < 0) {
        if (!c->borrowed)
            disk_close(c->disk);
        return err_exit(e, EX_USAGE_, ENOSPC,
                        "%s: its IDE unit is taken, there are %d: use fewer disks or another bus=",
                        c->id, IDE_UNITS);
    }
    u = &i->channel[at / 2].unit[at % 2];
    rc = c->cdrom ? ide_attach_cdrom(i, u, c, e) : ide_attach_disk(u, c, e);
    if (rc < 0)
        return rc;
    u->kind = c->cdrom ? IDE_CDROM : IDE_DISK;
    snprintf(u->serial, sizeof(u->serial), "%s%s", c->serial ? "" : "hospes-",
             c->serial ? c->serial : c->id);
    ide_unit_power_on(u);
    pci_boots(&i->pci, c->id, "ide", "drive@%x/disk@%x", (unsigned)at / 2, (unsigned)at % 2);
    return at;
}

int ide_add(const struct env *env, struct ide **i, const struct ide_unit_cfg *c, struct err *e)
{
    int rc = *i ? 0 : ide_create(env, i, e);

    if (rc < 0 && !c->borrowed)
        disk_close(c->disk);
    return rc < 0 ? rc : ide_attach(*i, -1, c, e);
}

bool ide_disc_changed(struct ide *i, const struct disk *disk)
{
    for (unsigned n = 0; i && n < IDE_UNITS; n++) {
        if (scsi_grew(i->channel[n / 2].unit[n % 2].target, disk))
            return true;
    }
    return false;
}

static bool channel_busy(void *arg)
{
    return ((const struct ide_channel *)arg)->flying;
}

void ide_detach(struct ide *i, unsigned unit)
{
    struct ide_channel *c = &i->channel[unit / 2 % 2];
    struct ide_unit *u = &c->unit[unit % 2];

    loop_drain(i->pci.dev.env.loop, i->pci.dev.env.id, channel_busy, c);
    if (u->kind == IDE_DISK && !u->borrowed)
        disk_close(u->disk);
    scsi_target_destroy(u->target);
    u->disk = NULL;
    u->target = NULL;
    u->kind = IDE_NONE;
}

void ide_hide(struct ide *i, unsigned units)
{
    device_lock(&i->pci.dev);
    for (unsigned n = 0; n < IDE_UNITS; n++) {
        struct ide_unit *u = &i->channel[n / 2].unit[n % 2];

        if ((units >> n & 1) && u->kind == IDE_DISK)
            u->hidden = true;
    }
    device_unlock(&i->pci.dev);
}

/* --- life --- */

/* Waits for what writes the guest's memory: a new kernel is loaded there next. */
static void ide_reset(struct device *d)
{
    struct ide *i = (struct ide *)d;

    for (unsigned n = 0; n < 2; n++) {
        struct ide_channel *c = &i->channel[n];

        c->stale = c->flying;
        loop_drain(d->env.loop, d->env.id, channel_busy, c);
        c->s = (struct ide_channel_state){0};
        for (unsigned k = 0; k < 2; k++) {
            c->unit[k].hidden = false;
            if (c->unit[k].target)
                scsi_reset(c->unit[k].target, -1); /* its tray may be locked */
            ide_unit_power_on(&c->unit[k]);
        }
        ide_line(c);
        pci_config_set16(&i->pci, IDETIM + 2 * n, IDETIM_DECODE);
    }
}

static void ide_destroy(struct device *d)
{
    struct ide *i = (struct ide *)d;

    for (unsigned n = 0; n < IDE_UNITS; n++)
        ide_detach(i, n);
    for (unsigned n = 0; n < 2; n++) {
        bus_release(d->env.pio, d, REGION_COMMAND + 2 * n);
        bus_release(d->env.pio, d, REGION_CONTROL + 2 * n);
        if (i->channel[n].irq)
            d->env.irqs->ops->release(d->env.irqs, i->channel[n].irq);
        free(i->channel[n].buf);
    }
    pthread_mutex_destroy(&d->lock);
    free(i);
}

static void ide_describe(struct device *d, struct dump *out)
{
    static const char *const what[] = {"nothing", "disk", "CD-ROM drive"};
    struct ide *i = (struct ide *)d;

    for (unsigned n = 0; n < IDE_UNITS; n++) {
        const struct ide_unit *u = &i->channel[n / 2].unit[n % 2];
        char key[32];

        snprintf(key, sizeof(key), "ide.unit%u", n);
        dump_add(out, key, "%s%s", what[u->kind], u->hidden ? ", unplugged by the guest" : "");
    }
}

static const struct device_ops ide_ops = {
    .name = "ide",
    .destroy = ide_destroy,
    .reset = ide_reset,
    .io = ide_io,
    .describe = ide_describe,
};

static int ide_channel_create(struct ide *i, unsigned n, struct err *e)
{
    const struct env *env = &i->pci.dev.env;
    struct ide_channel *c = &i->channel[n];
    int rc;

    c->ide = i;
    c->buf = malloc(IDE_BUFFER);
    if (!c->buf)
        return err_set(e, ENOMEM, "no memory for an IDE channel");
    rc = env->irqs->ops->line(env->irqs, 14 + n, NULL, NULL, &c->irq, e);
    if (rc < 0)
        return rc;
    if (bus_claim(env->pio, command_port[n], 8, &i->pci.dev, REGION_COMMAND + 2 * n) < 0 ||
        bus_claim(env->pio, control_port[n], 1, &i->pci.dev, REGION_CONTROL + 2 * n) < 0)
        return err_set(e, EEXIST, "the ports of IDE channel %u are taken by another device", n);
    return 0;
}

int ide_create(const struct env *env, struct ide **out, struct err *e)
{
    static const struct pci_id id = {0x8086, 0x7010, 0x1af4, 0x1100, 0x01018000};
    struct ide *i;
    int rc;

    if (pci_is_q35(env->pci))
        return err_exit(e, EX_USAGE_, ENODEV,
                        "a q35 has no IDE channels: use bus=sata, or leave --machine out");
    i = calloc(1, sizeof(*i));
    if (!i)
        return err_set(e, ENOMEM, "no memory for the IDE controller");
    pci_init(&i->pci, &ide_ops, env, &id);
    i->pci.dev.env.id = "ide";
    i->pci.config[PCI_INTERRUPT_PIN] = 0; /* legacy mode: interrupts 14 and 15 */
    memset(&i->pci.writable[IDETIM], 0xff, 4);
    i->pci.bar[IDE_BM_BAR] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 16};
    rc = ide_channel_create(i, 0, e);
    if (rc == 0)
        rc = ide_channel_create(i, 1, e);
    if (rc == 0)
        ide_reset(&i->pci.dev);
    if (rc == 0)
        rc = pci_add(env->pci, &i->pci, IDE_DEVFN, e);
    if (rc < 0) {
        pci_remove(&i->pci);
        ide_destroy(&i->pci.dev);
        return rc;
    }
    *out = i;
    return 0;
}
