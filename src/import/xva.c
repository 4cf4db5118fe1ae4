/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xva.c - an export of XenServer and XCP-ng: a tar archive with ova.xml and the disks in pieces.
 *
 * Document: "The XenServer VM import/export format" of the xapi project: ova.xml is an XML-RPC
 * value, a list of the database's records of VM, VBD, VIF, VDI and what belongs to them. A disk is
 * a folder named by its VDI's reference. The value becomes a tree of records, of which the report
 * tells, instead of one of XML's tags.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"
#include "import/archive.h"
#include "import/xml.h"
#include "storage/tar.h"

enum { XVA_TEXT_MAX = 4 << 20, XVA_FIRST = 16 };

/* --- from XML-RPC to a tree of records --- */

static int convert(struct reading *r, const struct node *v, struct node *up, const char *name,
                   unsigned depth);

static int convert_struct(struct reading *r, const struct node *s, struct node *to, unsigned depth)
{
    int rc = 0;

    for (const struct node *m = node_first(s, "member"); m && rc == 0; m = node_next(m, "member")) {
        const char *name = node_text(m, "name");

        rc = convert(r, node_first(m, "value"), to, name && *name ? name : "?", depth + 1);
    }
    return rc;
}

/* A record of the list of objects is named by its class and reference. */
static int convert_array(struct reading *r, const struct node *a, struct node *to, unsigned depth)
{
    const struct node *data = node_first(a, "data");
    unsigned count = 0;
    int rc = 0;

    for (const struct node *v = node_first(data, "value"); v && rc == 0;
         v = node_next(v, "value")) {
        char name[16];

        snprintf(name, sizeof(name), "%u", count++);
        rc = convert(r, v, to, name, depth + 1);
    }
    return rc;
}

static int convert(struct reading *r, const struct node *v, struct node *up, const char *name,
                   unsigned depth)
{
    const struct node *kind = v ? v->child : NULL;
    const char *text = v ? v->value : "";
    struct node *to;
    int rc = 0;

    if (kind && strcmp(kind->name, "struct") != 0 && strcmp(kind->name, "array") != 0)
        text = kind->value;
    to = tree_add(&r->t, up, name, NULL, v ? v->line : 0, r->e);
    if (!to)
        return -r->e->code;
    if (kind && strcmp(kind->name, "struct") == 0)
        rc = convert_struct(r, kind, to, depth);
    else if (kind && strcmp(kind->name, "array") == 0)
        rc = convert_array(r, kind, to, depth);
    else
        return tree_value(&r->t, to, text ? text : "", text ? strlen(text) : 0, r->e);
    if (rc == 0 && !to->child)
        rc = tree_value(&r->t, to, "", 0, r->e);
    return rc;
}

static int parse(struct reading *r)
{
    struct reading xml = {.f = r->f, .e = r->e};
    int rc;

    tree_init(&xml.t, '/');
    rc = xml_parse(&xml);
    if (rc == 0 && strcasecmp(xml.t.top.child->name, "value") != 0)
        rc = err_exit(r->e, EX_BAD_INPUT, EINVAL, "it is not the list of records that ova.xml is");
    if (rc == 0)
        rc = convert(r, xml.t.top.child, &r->t.top, "ova.xml", 0);
    tree_free(&xml.t);
    return rc;
}

/* --- records --- */

static struct node *objects(struct reading *r)
{
    return node_get(&r->t.top, "ova.xml/objects");
}

static bool is_class(const struct node *n, const char *class)
{
    return node_is(node_first(n, "class"), class);
}

static struct node *record(struct reading *r, const char *class, const char *id)
{
    for (struct node *n = node_first(objects(r), NULL); n; n = n->next) {
        const char *is = node_text(n, "id");

        if (is_class(n, class) && is && id && strcmp(is, id) == 0)
            return n;
    }
    return NULL;
}

/* The machine: the only VM that is neither a snapshot nor the host's own. */
static struct node *choose_vm(struct reading *r)
{
    const char *choice = r->f->wish.choice;
    struct node *hit = NULL;
    char all[400] = "";
    unsigned count = 0;

    for (struct node *n = node_first(objects(r), NULL); n; n = n->next) {
        struct node *vm = node_first(n, "snapshot");
        const char *name = node_text(vm, "name_label");
        size_t at = strlen(all);

        if (!is_class(n, "VM") || read_true(node_first(vm, "is_a_snapshot")) ||
            read_true(node_first(vm, "is_control_domain")))
            continue;
        if (choice && (!name || strcmp(name, choice) != 0))
            continue;
        hit = n;
        if (at < sizeof(all))
            snprintf(all + at, sizeof(all) - at, "%s%s", count ? ", " : "", name ? name : "?");
        count++;
    }
    if (count == 1)
        return hit;
    if (count == 0)
        read_fail(r, NULL,
                  choice ? "there is no machine of that name in it" : "there is no machine in it");
    else
        read_fail(r, NULL, "it holds %u machines; choose one by --pick: %s", count, all);
    return NULL;
}

/* --- the machine --- */

static void take_platform(struct reading *r, struct node *vm)
{
    struct node *platform = node_first(vm, "platform"), *id = node_first(platform, "device_id");
    struct node *secure = node_first(platform, "secureboot"), *tpm = node_first(platform, "vtpm");
    unsigned long device = id && id->value ? strtoul(id->value, NULL, 16) : 0;
    char text[8];

    if (device == 1 || device == 2) {
        snprintf(text, sizeof(text), "%lu", device);
        read_option(r, "device-id", text);
        read_keep(r, id);
    } else if (id) {
        read_drop(r, id, "the platform device is 0001 or 0002; drivers for others do not find it");
    }
    read_secure_boot(r, secure, read_true(secure));
    if (read_true(tpm))
        read_tpm(r, tpm, "2.0");
}

static void take_firmware(struct reading *r, struct node *vm)
{
    struct node *params = node_first(vm, "HVM_boot_params"), *firmware, *order;
    unsigned next = 1;

    firmware = node_first(params, "firmware");
    order = node_first(params, "order");
    read_set(r, &r->p->firmware, node_is(firmware, "uefi") ? "uefi" : "bios");
    read_keep(r, firmware);
    for (const char *c = order && order->value ? order->value : ""; *c; c++) {
        bool hd = *c == 'c', cd = *c == 'd';

        for (size_t i = 0; i < r->p->disks && (hd || cd); i++) {
            if (r->p->disk[i].cdrom == cd && !r->p->disk[i].boot)
                r->p->disk[i].boot = next++;
        }
        for (size_t i = 0; i < r->p->nics && *c == 'n'; i++) {
            if (!r->p->nic[i].boot)
                r->p->nic[i].boot = next++;
        }
    }
    read_keep(r, order);
    read_keep(r, node_first(vm, "HVM_boot_policy"));
}

static void take_smbios(struct reading *r, struct node *vm)
{
    struct node *b = node_first(vm, "bios_strings");
    struct plan_smbios *s = &r->p->smbios;

    read_text(r, &s->vendor, node_first(b, "system-manufacturer"));
    read_text(r, &s->product, node_first(b, "system-product-name"));
    read_text(r, &s->version, node_first(b, "system-version"));
    read_text(r, &s->serial, node_first(b, "system-serial-number"));
    read_text(r, &s->asset_tag, node_first(b, "enclosure-asset-tag"));
}

static void take_machine(struct reading *r, struct node *vm)
{
    struct node *state = node_first(vm, "power_state");

    if (node_is(state, "Suspended"))
        read_fail(r, state, "the machine is suspended; shut it down before it is exported");
    read_persona(r, "xen", "an export of XenServer or XCP-ng");
    read_name(r, node_first(vm, "name_label"));
    read_text(r, &r->p->notes, node_first(vm, "name_description"));
    read_uuid(r, node_first(vm, "uuid"));
    r->p->cpus = 1;
    read_cpus(r, node_first(vm, "VCPUs_max"));
    read_memory(r, node_first(vm, "memory_static_max"), 1, 0);
    take_platform(r, vm);
    take_smbios(r, vm);
}

/* --- disks and cards --- */

static void take_vdi(struct reading *r, struct node *vbd, struct plan_disk *d)
{
    struct node *ref = node_first(vbd, "VDI");
    struct node *object = record(r, "VDI", ref ? ref->value : NULL);

    if (!ref || !object || !r->f->archive) {
        read_fail(r, ref ? ref : vbd, "no disk has that reference");
        return;
    }
    free(d->path);
    d->path = NULL;
    if (asprintf(&d->path, "%s:%s", r->f->archive, ref->value) < 0) {
        d->path = NULL;
        r->rc = err_set(r->e, ENOMEM, "no memory for a file name");
        return;
    }
    read_keep(r, ref);
    read_keep(r, node_first(object, "id"));
    read_keep(r, node_first(object, "class"));
    read_keep(r, node_get(object, "snapshot/virtual_size"));
}

static void take_vbd(struct reading *r, struct node *object)
{
    struct node *vbd = node_first(object, "snapshot"), *mode = node_first(vbd, "mode");
    struct node *number = node_first(vbd, "userdevice"), *empty = node_first(vbd, "empty");
    bool cdrom = node_is(node_first(vbd, "type"), "CD");
    struct plan_disk *d;

    if (read_true(empty) && !cdrom) {
        read_drop_all(r, object, "the disk has no file");
        return;
    }
    d = read_disk(r, cdrom ? NULL : "xvd");
    if (!d)
        return;
    if (!cdrom)
        take_vdi(r, vbd, d);
    else if (read_true(empty))
        read_no_disc(r, empty, NULL, d);
    else
        read_no_disc(r, node_first(vbd, "VDI"), "the disc is not in the archive", d);
    if (number && number->value && isdigit((unsigned char)number->value[0]))
        d->unit = (int)read_number(r, number, 0, 255, 0);
    if (node_is(mode, "RO")) {
        d->write = PLAN_READONLY;
        d->write_said = true;
    }
    read_keep(r, mode);
    read_keep(r, node_first(vbd, "type"));
    read_keep(r, node_first(vbd, "device"));
    read_keep(r, node_first(vbd, "VM"));
    read_keep(r, node_first(object, "class"));
    read_keep(r, node_first(object, "id"));
}

static void take_vif(struct reading *r, struct node *object)
{
    struct node *vif = node_first(object, "snapshot"), *network = node_first(vif, "network");
    struct plan_nic *nic = read_nic(r, "vif");
    struct node *lan = record(r, "network", network ? network->value : NULL);

    if (!nic)
        return;
    read_mac(r, node_first(vif, "MAC"), nic);
    read_lan(r, node_get(lan, "snapshot/name_label"), nic);
    read_lan(r, network, nic);
    read_keep(r, node_first(vif, "device"));
    read_keep(r, node_first(vif, "VM"));
    read_keep(r, node_first(object, "class"));
    read_keep(r, node_first(object, "id"));
}

static int by_unit(const void *a, const void *b)
{
    return ((const struct plan_disk *)a)->unit - ((const struct plan_disk *)b)->unit;
}

static void take_devices(struct reading *r, const char *id)
{
    for (struct node *n = node_first(objects(r), NULL); n && r->rc == 0; n = n->next) {
        const char *owner = node_text(n, "snapshot/VM");

        if (!owner || !id || strcmp(owner, id) != 0)
            continue;
        if (is_class(n, "VBD"))
            take_vbd(r, n);
        else if (is_class(n, "VIF"))
            take_vif(r, n);
    }
    if (r->rc == 0)
        qsort(r->p->disk, r->p->disks, sizeof(r->p->disk[0]), by_unit);
    r->p->nics_said = true;
}

static const struct read_rule rules[] = {
    {"ova.xml/version", "which XenServer wrote the archive"},
    {"*platform", "the persona and the board have their own features"},
    {"*VCPUs_params", "shares, limits and placing belong to the host"},
    {"*memory_", "the guest starts with all of its memory; the balloon can take some back"},
    {"*PV_", "a paravirtual guest starts by firmware, or by --kernel"},
    {"*other_config", "how the host kept the machine"},
    {"*blobs", "how the host kept the machine"},
    {"*xenstore_data", "what the host told guests about itself"},
    {"ova.xml", "how the host kept the machine"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    struct node *object = choose_vm(r), *vm = node_first(object, "snapshot");

    if (!object)
        return;
    take_machine(r, vm);
    read_keep(r, node_first(object, "class"));
    read_keep(r, node_first(object, "id"));
    take_devices(r, node_text(object, "id"));
    take_firmware(r, vm);
    read_rest(r, rules);
}

/* --- the archive --- */

static int find_description(const struct import_file *f, struct disk *archive, char **text,
                            size_t *len, struct err *e)
{
    struct tar t = {.file = archive};
    struct tar_member x;
    struct member m = {.name = x.name};
    int rc = 1;

    for (unsigned i = 0; i < XVA_FIRST && rc > 0; i++) {
        rc = tar_next(&t, &x);
        if (rc <= 0 || strcmp(x.name, "ova.xml") != 0 || !x.file)
            continue;
        m.at = x.at;
        m.size = x.size;
        return member_text(archive, &m, XVA_TEXT_MAX, text, len, e);
    }
    return err_exit(e, EX_BAD_INPUT, EINVAL,
                    rc < 0 ? "the archive is damaged or cut off; fetch it again"
                           : "there is no ova.xml at its beginning");
}

static int xva_read(const struct import_file *f, struct plan *p, struct import_report *r,
                    struct err *e)
{
    struct import_file inner = *f;
    struct disk *archive;
    int rc = archive_open(f, &archive, e);

    if (rc < 0)
        return rc;
    inner.archive = f->path;
    inner.text = NULL;
    rc = find_description(f, archive, &inner.text, &inner.size, e);
    disk_close(archive);
    if (rc == 0) {
        rc = read_tree(&inner, p, r, e, '/', parse, take);
        if (rc < 0)
            err_wrap(e, "ova.xml");
    }
    free(inner.text);
    return rc;
}

static int xva_probe(const char *head, size_t n)
{
    char name[TAR_NAME_MAX];

    if (n < 512 || !tar_probe((const uint8_t *)head, n))
        return 0;
    tar_first_name((const uint8_t *)head, name, sizeof(name));
    return strcmp(name, "ova.xml") == 0 ? 95 : 10;
}

const struct importer_ops importer_xva = {
    .name = "xva",
    .about = "XenServer and XCP-ng",
    .suffixes = ".xva",
    .max_size = 0,
    .probe = xva_probe,
    .read = xva_read,
};
