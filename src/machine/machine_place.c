/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_place.c - where a guest finds what its plan gave a place or a name: slot numbers of PCI
 * devices, channels of VMBus, strings of the firmware's tables.
 *
 * Guests name cards after slots: Linux takes ens192 from a slot 192 that ACPI's _SUN (ACPI 6.4,
 * 6.1.13) gives a device. The number is the plan's own, or, in a machine that was an i440FX of
 * QEMU, that of the device on bus 0, as QEMU's firmware tells it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "board/aml.h"
#include "board/pci.h"
#include "core/cfg.h"
#include "core/log.h"
#include "machine/machine_priv.h"

/* The device number when the plan puts it on that bus, function 0; -1: elsewhere, or nowhere. */
static int device_number(const struct plan_place *place, unsigned on)
{
    unsigned domain, bus, slot, function;

    if (!place->pci ||
        sscanf(place->pci, "%4x:%2x:%2x.%1x", &domain, &bus, &slot, &function) != 4 || domain ||
        bus != on || function || slot > 31)
        return -1;
    return (int)slot;
}

/* Was it a PC whose devices all sat on bus 0, and whose firmware numbered slots by them? */
static bool was_i440fx(const struct plan *p)
{
    const char *h = p->hardware;

    return !plan_q35(p) && p->persona && strcmp(p->persona, "kvm") == 0 &&
           (!h || (strncmp(h, "pc", 2) == 0 && !strstr(h, "q35")));
}

static int slot_number(const struct plan *p, const struct plan_place *place)
{
    if (place->slot >= 0)
        return place->slot;
    return was_i440fx(p) ? device_number(place, 0) : -1;
}

/* Without taking the key as read. */
static bool said(const struct cfg *c, const char *key)
{
    const char *is, *value;

    for (size_t i = 0; cfg_at(c, i, &is, &value); i++) {
        if (strcmp(is, key) == 0)
            return true;
    }
    return false;
}

/* On a q35 bus N is behind port N: guests that call a card enp1s0 go on doing so. */
static int place_port(struct machine *m, const struct plan_place *place, struct cfg *opts,
                      struct err *e)
{
    char text[16];

    for (unsigned n = 1; n <= PCI_PORTS && !said(opts, "port") && !said(opts, "slot"); n++) {
        if (device_number(place, n) != 0 || pci_at(board_env(m->board)->pci, PCI_BEHIND + n))
            continue;
        snprintf(text, sizeof(text), "%u", n);
        return cfg_set(opts, "port", text, e);
    }
    return 0;
}

int place_slot(struct machine *m, const struct plan_place *place, const char *id, struct cfg *opts,
               struct err *e)
{
    int slot = device_number(place, 0);
    struct pci_bus *pci = board_env(m->board)->pci;
    char text[16];

    if (plan_q35(m->plan))
        return place_port(m, place, opts, e);
    if (slot <= 0 || !was_i440fx(m->plan) || said(opts, "slot"))
        return 0;
    for (unsigned f = 0; f < 8; f++) {
        if (pci && pci_at(pci, (unsigned)slot << 3 | f)) {
            log_line(LOG_INFO, "machine", "%s: slot %d is taken; the guest finds it elsewhere", id,
                     slot);
            return 0;
        }
    }
    snprintf(text, sizeof(text), "%d", slot);
    return cfg_set(opts, "slot", text, e);
}

const uint8_t *place_instance(const struct plan_guid *g, uint8_t out[16])
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

    if (!g->said)
        return NULL;
    for (unsigned i = 0; i < 16; i++)
        out[i] = g->b[order[i]];
    return out;
}

/* A run whose writes are thrown away starts from the same state as the one before it: to the guest
 * its state was put back, so that the id that it knows must not be shown again. */
static bool goes_back(const struct plan *p)
{
    for (size_t i = 0; i < p->disks; i++) {
        if (!p->disk[i].cdrom && p->disk[i].path && p->disk[i].write == PLAN_SNAPSHOT)
            return true;
    }
    return false;
}

const uint8_t *place_genid(const struct plan *p, uint8_t out[16])
{
    if (!goes_back(p) && place_instance(&p->genid, out))
        return out;
    if (p->genid.said)
        log_line(LOG_INFO, "machine",
                 "what this guest writes is thrown away, so it gets a new generation id, as after "
                 "a checkpoint was applied");
    return getrandom(out, 16, 0) == 16 ? out : NULL;
}

const struct plan_controller *place_controller(const struct plan *p, const struct plan_disk *d)
{
    for (size_t i = 0; i < p->ctls; i++) {
        if (d->bus && strcmp(p->ctl[i].bus, d->bus) == 0 && p->ctl[i].number == d->controller)
            return &p->ctl[i];
    }
    return NULL;
}

void place_names(const struct plan *p, struct smbios_id *out)
{
    const struct plan_smbios *s = &p->smbios;

    out->vendor = s->vendor ? s->vendor : out->vendor;
    out->product = s->product ? s->product : out->product;
    out->version = s->version ? s->version : out->version;
    out->serial = s->serial ? s->serial : out->serial;
    out->family = s->family ? s->family : out->family;
    out->sku = s->sku;
    out->board_serial = s->board_serial;
    out->chassis_serial = s->chassis_serial;
    out->asset_tag = s->asset_tag ? s->asset_tag : out->asset_tag;
}

/* --- ACPI --- */

static void put_device(struct machine *m, struct aml *out, const char *id, int slot)
{
    struct pci_bus *pci = board_env(m->board)->pci;

    for (unsigned devfn = 0; slot >= 0 && pci && devfn < PCI_PLACES; devfn++) {
        struct pci_dev *d = pci_at(pci, devfn);
        char name[5];

        if (!d || d->port || !d->dev.env.id || strcmp(d->dev.env.id, id) != 0)
            continue;
        snprintf(name, sizeof(name), "P%02X_", devfn & 0xff);
        aml_device(out, name);
        aml_name_int(out, "_ADR", (uint64_t)(devfn >> 3) << 16 | (devfn & 7));
        aml_name_int(out, "_SUN", (uint64_t)slot);
        aml_end(out);
    }
}

/* The plan's, or what the persona's own hypervisor would have given cards that were not placed. */
static int nic_slot(struct machine *m, size_t n)
{
    const struct persona_ops *ops = m->persona->ops;
    const struct plan *p = m->plan;

    for (size_t i = 0; i < p->nics; i++) {
        if (slot_number(p, &p->nic[i].place) >= 0)
            return slot_number(p, &p->nic[n].place);
    }
    return ops->nic_slot ? ops->nic_slot(m->persona, n) : -1;
}

void place_acpi(struct machine *m, struct aml *out)
{
    const struct plan *p = m->plan;
    bool any = false;
    char id[32];

    for (size_t i = 0; i < p->disks; i++)
        any |= slot_number(p, &p->disk[i].place) >= 0;
    for (size_t i = 0; i < p->nics; i++)
        any |= nic_slot(m, i) >= 0;
    if (!any)
        return;
    aml_scope(out, "PCI0");
    for (size_t i = 0; i < p->disks; i++) {
        snprintf(id, sizeof(id), "%s%zu", p->disk[i].cdrom ? "cdrom" : "disk", i);
        put_device(m, out, id, slot_number(p, &p->disk[i].place));
    }
    for (size_t i = 0; i < p->nics; i++) {
        snprintf(id, sizeof(id), "nic%zu", i);
        put_device(m, out, id, nic_slot(m, i));
    }
    aml_end(out);
}
