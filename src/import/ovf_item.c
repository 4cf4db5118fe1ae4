/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ovf_item.c - the items of an OVF's virtual hardware: processors, memory, controllers, disks,
 * cards.
 *
 * Document: DSP0243 8, and CIM_ResourceAllocationSettingData for the resource types. A subtype is a
 * list of alternatives in practice; the first word that hospes knows counts.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "import/ovf.h"
#include "storage/member.h"

enum {
    CIM_OTHER = 1,
    CIM_PROCESSOR = 3,
    CIM_MEMORY = 4,
    CIM_IDE = 5,
    CIM_SCSI = 6,
    CIM_ETHERNET = 10,
    CIM_FLOPPY = 14,
    CIM_CDROM = 15,
    CIM_DVD = 16,
    CIM_DISK = 17,
    CIM_OTHER_STORAGE = 20,
};

struct word {
    const char *word, *model;
};

/* Subtypes as products write them; the longer one of two that begin alike first. */
static const struct word controllers[] = {
    {"lsilogicsas", "lsisas1068"},
    {"lsilogic", "lsilogic"},
    {"buslogic", "buslogic"},
    {"virtualscsi", "pvscsi"},
    {"pvscsi", "pvscsi"},
    {"virtioscsi", "virtio-scsi"},
    {"virtio-scsi", "virtio-scsi"},
    {"virtio", "virtio"},
    {"vmware.sata.ahci", "ahci"},
    {"ahci", "ahci"},
    {"vmware.nvme.controller", "nvme"},
    {"nvme", "nvme"},
    {"piix4", "ide"},
    {"piix3", "ide"},
    {"ich6", "ide"},
    {"synthetic", "scsi"}, /* Microsoft:Hyper-V:Synthetic SCSI Controller */
};

static const struct word cards[] = {
    {"e1000e", "e1000e"},     {"e1000", "e1000"},     {"pcnet32", "vlance"},
    {"vmxnet3", "vmxnet3"},   {"vmxnet2", "vmxnet2"}, {"vmxnet", "vmxnet"},
    {"virtio", "virtio"},     {"rtl8139", "rtl8139"}, {"synthetic", "netvsc"},
    {"emulated", "dec21140"}, {"netfront", "vif"},
};

/* NULL: none of its words is known. */
static const char *model_of(const char *list, const struct word *known, size_t count)
{
    while (list && *list) {
        size_t len;

        list += strspn(list, " ,;:\t\n");
        len = strcspn(list, " ,;:\t\n");
        for (size_t i = 0; i < count && len; i++) {
            if (strlen(known[i].word) == len && strncasecmp(list, known[i].word, len) == 0)
                return known[i].model;
        }
        list += len;
    }
    return NULL;
}

/* --- numbers and units --- */

/* "byte * 2^20", "byte*1024*1024", "MegaBytes", "MB", "KiB"; 0: none of them. */
static uint64_t unit_of(const char *s)
{
    static const struct {
        const char *word;
        unsigned shift;
    } words[] = {{"kilobytes", 10}, {"kb", 10},       {"kib", 10},       {"megabytes", 20},
                 {"mb", 20},        {"mib", 20},      {"gigabytes", 30}, {"gb", 30},
                 {"gib", 30},       {"terabytes", 40}};
    uint64_t unit = 1;

    while (isspace((unsigned char)*s))
        s++;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(s, words[i].word) == 0)
            return UINT64_C(1) << words[i].shift;
    }
    if (strncasecmp(s, "byte", 4) != 0)
        return *s ? 0 : 1;
    for (s += 4 + (s[4] == 's'); *s;) {
        unsigned long base, power = 1;
        char *end;

        s += strspn(s, " *");
        if (!isdigit((unsigned char)*s))
            break;
        base = strtoul(s, &end, 10);
        s = end + strspn(end, " ");
        if (*s == '^')
            power = strtoul(s + 1, &end, 10), s = end;
        for (; power && power <= 64; power--) {
            if (mul_overflows(unit, base, &unit))
                return 0;
        }
    }
    return *s ? 0 : unit;
}

static void take_memory(struct ovf *o, struct ovf_item *it)
{
    struct node *units = node_get(it->n, "AllocationUnits");
    uint64_t unit = units && units->value ? unit_of(units->value) : MiB;

    if (!unit) {
        read_fail(o->r, units, "not a unit of memory");
        return;
    }
    read_memory(o->r, node_get(it->n, "VirtualQuantity"), unit == 1 ? 1 : unit, 0);
    read_keep(o->r, units);
}

static void take_cpus(struct ovf *o, struct ovf_item *it)
{
    read_cpus(o->r, node_get(it->n, "VirtualQuantity"));
    read_cores(o->r, node_get(it->n, "CoresPerSocket"));
}

/* --- places --- */

/* What is not a plain number ("4 KB") counts as not said. */
static int small_number(const struct node *n)
{
    char *end;
    long v;

    if (!n || !n->value || !isdigit((unsigned char)n->value[0]))
        return -1;
    v = strtol(n->value, &end, 10);
    return *end || v > 255 ? -1 : (int)v;
}

static void read_slot(struct ovf *o, struct ovf_item *it, struct plan_place *place)
{
    struct node *slot = ovf_config(it->n, "slotInfo.pciSlotNumber");
    struct node *instance = node_get(it->n, "VirtualSystemIdentifiers");

    if (slot && slot->value && isdigit((unsigned char)slot->value[0])) {
        place->slot = (int)read_number(o->r, slot, 0, 4095, 0);
        read_keep(o->r, node_get(slot->up, "@key"));
    }
    if (instance && instance->value && *instance->value)
        read_guid(o->r, instance, &place->instance); /* Hyper-V's channel */
}

static void keep_item(struct ovf *o, struct ovf_item *it)
{
    static const char *const used[] = {"InstanceID",      "InstanceId", "ResourceType",
                                       "Parent",          "Address",    "AddressOnParent",
                                       "ResourceSubType", "BusNumber",  "@configuration"};

    for (size_t i = 0; i < ARRAY_SIZE(used); i++)
        read_keep(o->r, node_get(it->n, used[i]));
}

/* --- controllers --- */

static void take_controller(struct ovf *o, struct ovf_item *it)
{
    struct node *subtype = node_get(it->n, "ResourceSubType");
    int address = small_number(node_get(it->n, "Address"));
    const char *model = model_of(it->subtype, controllers, ARRAY_SIZE(controllers));
    struct plan_controller *c;
    int next = 0;

    if (it->type == CIM_IDE)
        model = "ide";
    if (!model && it->type == CIM_SCSI)
        model = "lsilogic";
    if (!model) {
        read_drop_all(o->r, it->n,
                      "hospes has no such controller; what is attached to it is gone, "
                      "too");
        return;
    }
    for (size_t i = 0; i < o->items; i++) {
        const struct ovf_item *other = &o->item[i];

        if (!other->model || other->type != it->type)
            continue;
        next = other->bus >= next ? other->bus + 1 : next;
        if (other->bus == address)
            address = -1;
    }
    it->model = model;
    it->bus = address >= 0 ? address : next;
    c = read_controller(o->r, model, it->bus);
    if (c)
        read_slot(o, it, &c->place);
    if (subtype && *it->subtype && strcasecmp(it->subtype, model) != 0)
        read_change(o->r, subtype, model, "the kind of controller in hospes' words");
    keep_item(o, it);
}

static struct ovf_item *controller_of(struct ovf *o, const struct ovf_item *it)
{
    for (size_t i = 0; i < o->items && it->parent; i++) {
        if (o->item[i].id && strcmp(o->item[i].id, it->parent) == 0 && &o->item[i] != it)
            return &o->item[i];
    }
    return NULL;
}

/* --- disks --- */

static struct node *with_attribute(struct node *section, const char *element, const char *attribute,
                                   const char *value)
{
    for (struct node *n = node_first(section, element); n; n = node_next(n, element)) {
        const char *is = node_text(n, attribute);

        if (is && strcmp(is, value) == 0)
            return n;
    }
    return NULL;
}

static bool is_there(const struct import_file *f, const char *name)
{
    char path[4096];

    if (f->archive)
        return members_find(f->members, name) != NULL;
    return (size_t)snprintf(path, sizeof(path), "%s/%s", f->dir, name) < sizeof(path) &&
           access(path, F_OK) == 0;
}

/* A reference is a URI: %20 is a space, unless a file has just that name. */
static void read_reference(struct reading *r, struct node *href, struct plan_disk *d)
{
    char name[1024];

    if (!strchr(href->value, '%') || strlen(href->value) >= sizeof(name) ||
        is_there(r->f, href->value)) {
        read_file(r, href, d);
        return;
    }
    snprintf(name, sizeof(name), "%s", href->value);
    import_unescape(name, '%');
    read_file_as(r, href, name, d);
}

/* The File element with that id becomes the disk's file. */
static bool take_file(struct ovf *o, struct ovf_item *it, const char *id, struct plan_disk *d)
{
    struct node *references = ovf_section(o->envelope, "References");
    struct node *file = with_attribute(references, "File", "@id", id);
    struct node *href = node_get(file, "@href"), *pack = node_get(file, "@compression");
    struct node *chunk = node_get(file, "@chunkSize");

    if (!href || !href->value) {
        read_fail(o->r, it->n, "there is no file \"%s\" among the references", id);
        return false;
    }
    if (chunk) {
        read_fail(o->r, chunk, "the file is cut into pieces; join %s.000000000 and on by cat",
                  href->value);
        return false;
    }
    if (pack && pack->value && *pack->value && !node_is(pack, "identity") &&
        !node_is(pack, "gzip")) {
        read_fail(o->r, pack, "not a compression that hospes knows");
        return false;
    }
    if (strstr(href->value, "://")) {
        read_fail(o->r, href, "the file is on the network; fetch it, and give its name here");
        return false;
    }
    read_reference(o->r, href, d);
    read_keep(o->r, node_get(file, "@id"));
    read_keep(o->r, pack);
    read_drop(o->r, node_get(file, "@size"), "the file has its length itself");
    return true;
}

/* "ovf:/disk/ID", "/disk/ID", "ovf://disk/ID"; out: the ID, or NULL. */
static const char *resource(const char *value, const char *kind)
{
    size_t n = strlen(kind);

    if (strncmp(value, "ovf:", 4) == 0)
        value += 4;
    value += strspn(value, "/");
    return strncmp(value, kind, n) == 0 && value[n] == '/' ? value + n + 1 : NULL;
}

/* The Disk element: false when there is no file to it, which has been told. */
static bool take_image(struct ovf *o, struct ovf_item *it, const char *id, struct plan_disk **out)
{
    struct node *section = ovf_section(o->envelope, "DiskSection");
    struct node *disk = with_attribute(section, "Disk", "@diskId", id);
    const char *file = node_text(disk, "@fileRef");
    struct ovf_item *c = controller_of(o, it);

    if (!disk) {
        read_fail(o->r, it->n, "there is no disk \"%s\" in the DiskSection", id);
        return false;
    }
    if (!file) {
        read_drop_all(o->r, it->n,
                      "the disk is empty and has no file; make one by hospes image "
                      "create and add it by --disk");
        read_drop_all(o->r, disk,
                      "the disk is empty and has no file; make one by hospes image "
                      "create and add it by --disk");
        return false;
    }
    *out = read_disk(o->r, c && c->model ? c->model : NULL);
    if (!*out || !take_file(o, it, file, *out))
        return false;
    read_keep(o->r, node_get(disk, "@diskId"));
    read_keep(o->r, node_get(disk, "@fileRef"));
    read_drop(o->r, node_get(disk, "@format"), "the file says itself what it is");
    read_drop(o->r, node_get(disk, "@capacity"), "the file has its size itself");
    read_drop(o->r, node_get(disk, "@capacityAllocationUnits"), "the file has its size itself");
    read_drop(o->r, node_get(disk, "@parentRef"), "the file names its parent itself");
    read_drop_all(o->r, disk, "the file says itself what it holds");
    return true;
}

static void take_disk(struct ovf *o, struct ovf_item *it)
{
    struct node *host = node_get(it->n, "HostResource");
    const char *disk = host && host->value ? resource(host->value, "disk") : NULL;
    const char *file = host && host->value ? resource(host->value, "file") : NULL;
    struct ovf_item *c = controller_of(o, it);
    bool cdrom = it->type != CIM_DISK;
    struct plan_disk *d = NULL;

    if (!disk && !file && !cdrom) {
        if (host && host->value && *host->value)
            read_fail(o->r, host, "not like ovf:/disk/ID");
        read_drop_all(o->r, it->n, "the disk has no file");
        return;
    }
    if (c && !c->model) {
        read_drop_all(o->r, it->n, "its controller is none that hospes has");
        return;
    }
    if (disk && !take_image(o, it, disk, &d))
        return;
    if (!disk) {
        d = read_disk(o->r, c ? c->model : NULL);
        if (!d || (file && !take_file(o, it, file, d)))
            return;
    }
    if (!d)
        return;
    d->cdrom = cdrom;
    d->controller = c ? c->bus : -1;
    d->unit = small_number(node_get(it->n, "AddressOnParent"));
    it->disk = (unsigned)o->r->p->disks;
    read_keep(o->r, host);
    keep_item(o, it);
}

/* Its file is one of the package's; what an OVF says of a host's own drive is not here. */
static void take_floppy(struct ovf *o, struct ovf_item *it)
{
    struct node *host = node_get(it->n, "HostResource");
    const char *file = host && host->value ? resource(host->value, "file") : NULL;
    struct plan_disk *d =
        read_floppy(o->r, file ? NULL : host,
                    !file && host && host->value && *host->value ? READ_HOST_DRIVE : NULL);

    if (!d) {
        read_drop_all(o->r, it->n, "a PC has two floppy drives");
        return;
    }
    if (file && !take_file(o, it, file, d))
        return;
    it->disk = (unsigned)o->r->p->disks;
    read_keep(o->r, host);
    keep_item(o, it);
}

/* --- network cards --- */

static void take_card(struct ovf *o, struct ovf_item *it)
{
    struct node *subtype = node_get(it->n, "ResourceSubType"), *mac = node_get(it->n, "Address");
    const char *model = model_of(it->subtype, cards, ARRAY_SIZE(cards));
    struct plan_nic *n = read_nic(o->r, model);

    if (!n)
        return;
    it->card = (unsigned)o->r->p->nics;
    if (mac && mac->value && strlen(mac->value) >= 12)
        read_mac(o->r, mac, n);
    read_lan(o->r, node_get(it->n, "Connection"), n);
    read_slot(o, it, &n->place);
    if (subtype && *it->subtype && !model)
        read_change(o->r, subtype, "the persona's own card", "hospes knows none of these cards");
    else if (subtype && model && strcasecmp(it->subtype, model) != 0)
        read_change(o->r, subtype, model, "the first that hospes knows of several, in its words");
    keep_item(o, it);
}

/* --- all of them --- */

static const char *text_of(const struct node *n, const char *a, const char *b)
{
    const char *s = node_text(n, a);

    return s ? s : node_text(n, b);
}

static bool is_item(const struct node *n)
{
    return strcasecmp(n->name, "Item") == 0 || strcasecmp(n->name, "StorageItem") == 0 ||
           strcasecmp(n->name, "EthernetPortItem") == 0;
}

/* Is it for another configuration, or only a bound? Then it has been told. */
static bool left_out(struct ovf *o, struct node *n)
{
    const char *list = node_text(n, "@configuration"), *bound = node_text(n, "@bound");
    const char *id = text_of(n, "InstanceID", "InstanceId");

    if (list && *list && !(o->configuration && ovf_word(list, o->configuration))) {
        read_drop_all(o->r, n, "it belongs to a configuration that was not chosen");
        return true;
    }
    if (bound && strcasecmp(bound, "normal") != 0) {
        read_drop_all(o->r, n, "a bound of what a person may choose");
        return true;
    }
    /* One that is for this configuration alone goes before one for all. */
    for (struct node *at = list ? NULL : node_first(o->hardware, NULL); at; at = at->next) {
        const char *theirs = node_text(at, "@configuration");
        const char *other = text_of(at, "InstanceID", "InstanceId");

        if (at != n && is_item(at) && theirs && id && other && strcmp(id, other) == 0 &&
            o->configuration && ovf_word(theirs, o->configuration)) {
            read_drop_all(o->r, n, "the chosen configuration has its own");
            return true;
        }
    }
    return false;
}

static void collect(struct ovf *o)
{
    for (struct node *n = node_first(o->hardware, NULL); n && o->r->rc == 0; n = n->next) {
        struct node *type = node_get(n, "ResourceType");
        const char *subtype = node_text(n, "ResourceSubType");
        int number = small_number(type);

        if (!is_item(n) || left_out(o, n))
            continue;
        if (number < 0) {
            read_fail(o->r, type ? type : n, "an item without a resource type");
            return;
        }
        if (o->items == OVF_ITEMS) {
            read_fail(o->r, n, "more than %d items", OVF_ITEMS);
            return;
        }
        o->item[o->items] = (struct ovf_item){
            .n = n,
            .type = (unsigned)number,
            .id = text_of(n, "InstanceID", "InstanceId"),
            .parent = node_text(n, "Parent"),
            .subtype = subtype ? subtype : "",
            .bus = -1,
        };
        o->items++;
    }
}

static void take_others(struct ovf *o, struct ovf_item *it)
{
    if (it->type == CIM_PROCESSOR)
        take_cpus(o, it);
    else if (it->type == CIM_MEMORY)
        take_memory(o, it);
    else if (it->type == CIM_ETHERNET)
        take_card(o, it);
    else if (it->type == CIM_DISK || it->type == CIM_CDROM || it->type == CIM_DVD)
        take_disk(o, it);
    else if (it->type == CIM_OTHER && strcasestr(it->subtype, "vtpm"))
        read_tpm(o->r, node_get(it->n, "ResourceSubType"), "2.0");
    if (it->type == CIM_PROCESSOR || it->type == CIM_MEMORY)
        keep_item(o, it);
}

/* VMware's: one section for each item, in the order of the sections. */
static void take_boot(struct ovf *o)
{
    unsigned next = 1;

    for (struct node *n = node_first(o->system, "BootOrderSection"); n;
         n = node_next(n, "BootOrderSection")) {
        struct node *id = node_get(n, "@instanceId");

        for (size_t i = 0; id && id->value && i < o->items; i++) {
            const struct ovf_item *it = &o->item[i];

            if (!it->id || strcmp(it->id, id->value) != 0 || (!it->disk && !it->card))
                continue;
            if (it->disk)
                o->r->p->disk[it->disk - 1].boot = next++;
            else
                o->r->p->nic[it->card - 1].boot = next++;
            read_keep(o->r, id);
            read_keep(o->r, node_get(n, "@type"));
        }
    }
}

void ovf_items(struct ovf *o)
{
    collect(o);
    for (size_t i = 0; i < o->items; i++) {
        unsigned type = o->item[i].type;

        if (type == CIM_IDE || type == CIM_SCSI || type == CIM_OTHER_STORAGE)
            take_controller(o, &o->item[i]);
    }
    for (size_t i = 0; i < o->items; i++)
        take_others(o, &o->item[i]);
    for (size_t i = 0; i < o->items; i++) {
        if (o->item[i].type == CIM_FLOPPY)
            take_floppy(o, &o->item[i]);
    }
    take_boot(o);
}

const char *ovf_persona_of_items(const struct ovf *o, const char **why)
{
    for (size_t i = 0; i < o->items; i++) {
        const char *s = o->item[i].subtype;

        if (strcasestr(s, "microsoft")) {
            *why = "the OVF has devices of Hyper-V";
            return "hyperv";
        }
        if (strcasestr(s, "vmxnet") || strcasestr(s, "virtualscsi") || strcasestr(s, "vmware.")) {
            *why = "the OVF has devices of VMware";
            return "vmware";
        }
        if (strcasestr(s, "virtio")) {
            *why = "the OVF has virtio devices";
            return "kvm";
        }
    }
    *why = "nothing in the OVF says which hypervisor it was made for";
    return "bare";
}
