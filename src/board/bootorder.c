/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bootorder.c - see pci.h: what firmware can start from, by the names of Open Firmware as
 * SeaBIOS's docs/Runtime_config (file "bootorder") and OvmfPkg's QemuBootOrderLib know them.
 *
 * Not modelled: option ROMs with several entries, devices that are on no PCI function.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/pci_priv.h"

enum { BOOT_MAX = 128, BOOT_ID = 32, BOOT_TAIL = 40, BOOT_LINE = 96 };

struct pci_boot {
    const struct pci_dev *p;
    struct pci_boot *next; /* said later */
    char id[BOOT_ID];
    const char *node; /* a literal */
    char tail[BOOT_TAIL];
};

void pci_boots(struct pci_dev *p, const char *id, const char *node, const char *tail, ...)
{
    struct pci_boot *new = p && p->bus ? calloc(1, sizeof(*new)) : NULL, **at;
    unsigned n = 0;
    va_list ap;

    if (!new)
        return;
    new->p = p;
    new->node = node;
    snprintf(new->id, sizeof(new->id), "%s", id);
    va_start(ap, tail);
    vsnprintf(new->tail, sizeof(new->tail), tail, ap);
    va_end(ap);
    device_lock(&p->bus->host);
    for (at = &p->bus->boots; *at; at = &(*at)->next)
        n++;
    if (n < BOOT_MAX)
        *at = new;
    device_unlock(&p->bus->host);
    if (n >= BOOT_MAX)
        free(new);
}

void pci_boots_forget(struct pci_bus *b, const struct pci_dev *p)
{
    for (struct pci_boot **at = &b->boots, *gone; *at;) {
        gone = *at;
        if (gone->p == p) {
            *at = gone->next;
            free(gone);
        } else {
            at = &gone->next;
        }
    }
}

static size_t line(const struct pci_boot *boot, char *out, size_t room)
{
    unsigned slot = boot->p->devfn >> 3, fn = boot->p->devfn & 7;
    unsigned root = pci_root_devfn(boot->p);
    char unit[8] = "", bridge[24] = "";

    if (fn)
        snprintf(unit, sizeof(unit), ",%x", fn);
    if (boot->p->port && root & 7)
        snprintf(bridge, sizeof(bridge), "pci-bridge@%x,%x/", root >> 3, root & 7);
    else if (boot->p->port)
        snprintf(bridge, sizeof(bridge), "pci-bridge@%x/", root >> 3);
    return (size_t)snprintf(out, room, "/pci@i0cf8/%s%s@%x%s/%s", bridge, boot->node, slot, unit,
                            boot->tail);
}

char *pci_boot_order(struct pci_bus *b, const char *const *id, size_t n)
{
    char *out = calloc(BOOT_MAX, BOOT_LINE);
    size_t len = 0;

    if (!out)
        return NULL;
    device_lock(&b->host);
    for (size_t i = 0; i < n; i++) {
        for (const struct pci_boot *o = b->boots; o; o = o->next) {
            if (strcmp(o->id, id[i]) != 0 || len + BOOT_LINE > (size_t)BOOT_MAX * BOOT_LINE)
                continue;
            if (len)
                out[len++] = '\n';
            len += line(o, out + len, BOOT_LINE - 1);
        }
    }
    device_unlock(&b->host);
    return out;
}
