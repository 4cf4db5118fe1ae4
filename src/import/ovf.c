/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ovf.c - the Open Virtualization Format: the envelope and what it says of the machine.
 *
 * Document: DMTF DSP0243 2.1.1, and the 0.9 and 1.x that products write; CIM resource types of
 * DMTF's CIM_ResourceAllocationSettingData. VMware's vmw:Config and ExtraConfig, VirtualBox'
 * vbox:Machine, Citrix' OtherSystemSettingData and the names of Microsoft's converters are taken by
 * what products write. The items are in ovf_item.c.
 *
 * Not modelled: several virtual systems as one fleet; localized message bundles; the signature in a
 * .cert file, as a person would have to decide whom to trust.
 */
#define _GNU_SOURCE
#include "import/ovf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/path.h"
#include "import/manifest.h"
#include "import/ovf_env.h"
#include "import/xml.h"

enum { OVF_MANIFEST_MAX = 1 << 20 };

bool ovf_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    while (list && *list) {
        size_t len;

        list += strspn(list, " ,;\t\n");
        len = strcspn(list, " ,;\t\n");
        if (len == n && strncasecmp(list, word, n) == 0)
            return true;
        list += len;
    }
    return false;
}

struct node *ovf_section(const struct node *n, const char *name)
{
    struct node *hit = node_first(n, name);
    char type[64];

    snprintf(type, sizeof(type), "%s_Type", name);
    for (struct node *at = hit ? NULL : node_first(n, "Section"); at;
         at = node_next(at, "Section")) {
        const char *is = node_text(at, "@type"), *colon = is ? strchr(is, ':') : NULL;

        if (is && strcasecmp(colon ? colon + 1 : is, type) == 0)
            return at;
    }
    return hit;
}

struct node *ovf_config(const struct node *n, const char *key)
{
    static const char *const names[] = {"Config", "ExtraConfig"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (struct node *at = node_first(n, names[i]); at; at = node_next(at, names[i])) {
            const char *is = node_text(at, "@key");

            if (is && strcasecmp(is, key) == 0)
                return node_get(at, "@value");
        }
    }
    return NULL;
}

/* --- which machine, which configuration --- */

static bool is_system(const struct node *n)
{
    const char *type = node_text(n, "@type");

    return strcasecmp(n->name, "VirtualSystem") == 0 ||
           (strcasecmp(n->name, "Content") == 0 && type && strcasestr(type, "VirtualSystem_Type"));
}

static void name_system(char *list, size_t room, const struct node *n)
{
    const char *id = node_text(n, "@id");
    size_t at = strlen(list);

    if (at < room)
        snprintf(list + at, room - at, "%s%s", at ? ", " : "", id ? id : "without a name");
}

static void choose_system(struct ovf *o)
{
    struct reading *r = o->r;
    const char *choice = r->f->wish.choice;
    struct node *only = NULL, *chosen = NULL;
    char all[400] = "";
    unsigned count = 0;

    for (struct node *n = node_walk(&r->t.top, NULL); n; n = node_walk(&r->t.top, n)) {
        const char *id = node_text(n, "@id");

        if (!is_system(n))
            continue;
        only = n;
        count++;
        name_system(all, sizeof(all), n);
        if (choice && id && ovf_word(choice, id))
            chosen = n;
    }
    o->system = chosen ? chosen : count == 1 ? only : NULL;
    if (count == 0)
        read_fail(r, o->envelope, "there is no virtual system in it");
    else if (!o->system)
        read_fail(r, o->envelope, "it holds %u machines; choose one by --pick: %s", count, all);
    if (r->rc < 0 || count == 1)
        return;
    for (struct node *n = node_walk(&r->t.top, NULL); n; n = node_walk(&r->t.top, n)) {
        if (is_system(n) && n != o->system)
            read_drop_all(r, n, "another machine of the same file was picked");
    }
}

static void choose_configuration(struct ovf *o)
{
    struct node *section = ovf_section(o->envelope, "DeploymentOptionSection"), *taken = NULL;
    const char *choice = o->r->f->wish.choice;

    for (struct node *n = node_first(section, "Configuration"); n;
         n = node_next(n, "Configuration")) {
        const char *id = node_text(n, "@id");

        if (!id)
            continue;
        if (choice && ovf_word(choice, id)) {
            taken = n;
            break;
        }
        if (!taken ||
            (read_true(node_get(n, "@default")) && !read_true(node_get(taken, "@default"))))
            taken = n;
    }
    if (!taken)
        return;
    o->configuration = node_text(taken, "@id");
    read_keep(o->r, node_get(taken, "@id"));
    read_keep(o->r, node_get(taken, "@default"));
    read_drop_all(o->r, section,
                  "a configuration that was not chosen, or words about one; choose by --pick");
}

/* A choice that names nothing is a mistake of the user's. */
static void check_choice(struct ovf *o)
{
    const char *choice = o->r->f->wish.choice, *id = node_text(o->system, "@id");

    if (o->r->rc == 0 && choice && !(id && ovf_word(choice, id)) &&
        !(o->configuration && ovf_word(choice, o->configuration)))
        read_fail(o->r, o->envelope, "--pick %s names neither a machine nor a configuration in it",
                  choice);
}

/* --- the machine --- */

/* "vmx-08 vmx-13": the first that says whose it is; *hardware is that word. */
static const char *persona_of_type(const char *list, char *hardware, size_t room)
{
    static const struct {
        const char *begins, *persona;
    } known[] = {
        {"vmx-", "vmware"},      {"virtualbox", "bare"}, {"xen", "xen"}, {"hvm-", "xen"},
        {"microsoft", "hyperv"}, {"hyperv", "hyperv"},   {"kvm", "kvm"}, {"qemu", "kvm"},
        {"rhel", "kvm"},         {"pc-", "kvm"},
    };

    while (list && *list) {
        size_t len;

        list += strspn(list, " ,;\t\n");
        len = strcspn(list, " ,;\t\n");
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
            if (strncasecmp(list, known[i].begins, strlen(known[i].begins)) == 0) {
                snprintf(hardware, room, "%.*s", (int)len, list);
                return known[i].persona;
            }
        }
        list += len;
    }
    return NULL;
}

const char *ovf_type_of(const char *persona)
{
    static const struct {
        const char *persona, *type;
    } types[] = {
        {"vmware", "vmx-13"}, {"xen", "xen-3"}, {"hyperv", "microsoft-hyperv"}, {"kvm", "kvm"}};

    for (size_t i = 0; persona && i < ARRAY_SIZE(types); i++) {
        if (strcmp(types[i].persona, persona) == 0)
            return types[i].type;
    }
    return "virtualbox-2.2";
}

static void read_whose(struct ovf *o)
{
    struct reading *r = o->r;
    struct node *type = node_get(o->hardware, "System/VirtualSystemType");
    char hardware[64] = "", why[128];
    const char *persona = type ? persona_of_type(type->value, hardware, sizeof(hardware)) : NULL;
    const char *reason = why;

    snprintf(why, sizeof(why), "the OVF's virtual system type is %s", hardware);
    if (!persona)
        persona = ovf_persona_of_items(o, &reason);
    read_persona(r, persona, reason);
    if (!*hardware)
        read_set(r, &r->p->hardware, ovf_type_of(persona));
    if (!type)
        return;
    if (*hardware)
        read_set(r, &r->p->hardware, hardware);
    if (*hardware && strcmp(hardware, type->value) != 0)
        read_change(r, type, hardware, "the first that hospes knows of several");
    else if (*hardware)
        read_keep(r, type);
}

static void read_os(struct ovf *o)
{
    struct node *os = ovf_section(o->system, "OperatingSystemSection");
    struct node *word = node_get(os, "@osType"), *id = node_get(os, "@id");
    char text[32];

    if (!word)
        word = node_get(os, "OSType");
    if (word && word->value && *word->value) {
        read_text(o->r, &o->r->p->guest_os, word);
    } else if (id && id->value && strcmp(id->value, "1") != 0) { /* 1 is any other */
        snprintf(text, sizeof(text), "cim-%.20s", id->value);
        read_set(o->r, &o->r->p->guest_os, text);
    }
    read_keep(o->r, id);
}

/* VMware's keys of the whole machine. */
static void read_vmware(struct ovf *o)
{
    struct reading *r = o->r;
    struct node *firmware = ovf_config(o->hardware, "firmware");
    struct node *secure = ovf_config(o->hardware, "bootOptions.efiSecureBootEnabled");
    struct node *uuid = ovf_config(o->hardware, "uuid.bios");

    read_set(r, &r->p->firmware, node_is(firmware, "efi") ? "uefi" : "bios");
    read_keep(r, firmware);
    read_secure_boot(r, secure, read_true(secure));
    read_uuid(r, uuid);
    for (struct node *n = node_first(o->hardware, "ExtraConfig"); n;
         n = node_next(n, "ExtraConfig")) {
        struct node *key = node_get(n, "@key"), *value = node_get(n, "@value");

        if (!key || !value || strncasecmp(key->value, "guestinfo.", 10) != 0 ||
            strlen(key->value) > 200 || strpbrk(key->value, ",="))
            continue;
        read_option(r, key->value, value->value);
        read_keep(r, key);
        read_keep(r, value);
    }
}

/* "key=value;key=value" as XenServer writes platform and boot parameters. */
static bool xen_pair(const char *list, const char *key, char *out, size_t room)
{
    size_t n = strlen(key);

    for (; list && *list; list = strchr(list, ';') ? strchr(list, ';') + 1 : NULL) {
        list += strspn(list, " ");
        if (strncasecmp(list, key, n) == 0 && list[n] == '=') {
            snprintf(out, room, "%.*s", (int)strcspn(list + n + 1, ";"), list + n + 1);
            return true;
        }
    }
    return false;
}

static void read_xen(struct ovf *o)
{
    struct reading *r = o->r;
    char text[32];

    for (struct node *n = node_first(o->hardware, "OtherSystemSettingData"); n;
         n = node_next(n, "OtherSystemSettingData")) {
        const char *name = node_text(n, "@Name");

        if (!name || !n->value)
            continue;
        if (strcasecmp(name, "platform") == 0) {
            if (xen_pair(n->value, "device_id", text, sizeof(text)))
                read_option(r, "device-id", text);
            if (xen_pair(n->value, "secureboot", text, sizeof(text)) && strcmp(text, "true") == 0)
                r->p->secure_boot = true;
            read_change(r, n, "device-id and Secure Boot",
                        "of the platform's settings a guest sees these; the others are the "
                        "persona's own");
        } else if (strcasecmp(name, "HVM_boot_params") == 0) {
            if (xen_pair(n->value, "firmware", text, sizeof(text)) && strcmp(text, "uefi") == 0)
                read_set(r, &r->p->firmware, "uefi");
            read_keep(r, n);
        }
        if (n->told)
            read_keep(r, node_get(n, "@Name"));
    }
}

/* Microsoft's names of settings, as converters write them into System. */
static void read_hyperv(struct ovf *o)
{
    struct node *s = node_first(o->hardware, "System");
    struct node *type = node_first(s, "VirtualSystemSubType");
    struct plan_smbios *names = &o->r->p->smbios;

    if (type && type->value && strstr(type->value, "SubType:2")) {
        read_set(o->r, &o->r->p->firmware, "uefi");
        read_keep(o->r, type);
    }
    read_uuid(o->r, node_first(s, "BIOSGUID"));
    read_text(o->r, &names->serial, node_first(s, "BIOSSerialNumber"));
    read_text(o->r, &names->board_serial, node_first(s, "BaseBoardSerialNumber"));
    read_text(o->r, &names->chassis_serial, node_first(s, "ChassisSerialNumber"));
    read_text(o->r, &names->asset_tag, node_first(s, "ChassisAssetTag"));
    read_secure_boot(o->r, node_first(s, "SecureBootEnabled"),
                     read_true(node_first(s, "SecureBootEnabled")));
}

static void read_names(struct ovf *o)
{
    struct node *name = node_first(o->system, "Name"), *id = node_get(o->system, "@id");
    struct node *said = node_get(o->hardware, "System/VirtualSystemIdentifier");
    struct node *notes = ovf_section(o->system, "AnnotationSection");

    if (name && name->value && *name->value)
        read_name(o->r, name);
    else if (id && id->value && *id->value)
        read_name(o->r, id);
    else
        read_name(o->r, said);
    read_keep(o->r, id);
    read_keep(o->r, said);
    read_text(o->r, &o->r->p->notes, node_first(notes, "Annotation"));
}

/* --- the rest --- */

static const struct read_rule rules[] = {
    {"*Info", "words for people"},
    {"*Label", "words for people"},
    {"*Description", "words for people"},
    {"*ElementName", "words for people"},
    {"*Caption", "words for people"},
    {"*Annotation", "words for people"},
    {"*EulaSection", "the licence's words; who imports the machine has to agree to them"},
    {"*License", "the licence's words; who imports the machine has to agree to them"},
    {"*ProductSection", "what the product says of itself"},
    {"*NetworkSection", "networks of the host that it came from"},
    {"*Network", "networks of the host that it came from"},
    {"*BootOrderSection", "of a device that hospes does not start from"},
    {"*StartupSection", "the order in which several machines start"},
    {"*ResourceAllocationSection", "shares and limits belong to the host that schedules"},
    {"*Reservation", "shares and limits belong to the host that schedules"},
    {"*Limit", "shares and limits belong to the host that schedules"},
    {"*Weight", "shares and limits belong to the host that schedules"},
    {"*AutomaticAllocation", "what is there is connected"},
    {"*Strings", "translations of words for people"},
    {"*InstallSection", "how an installation would have gone on"},
    {"*GuestCustomizationSection", "changes that the old manager would have made in the guest"},
    {"*CustomizationSection", "changes that the old manager would have made in the guest"},
    {"*Config", "a setting of VMware's own host side"},
    {"*ExtraConfig", "a setting of VMware's own host side"},
    {"*AllocationUnits", "the unit is part of the number"},
    {"*populatedSize", "how much of the disk was in use"},
    {"*System/", "the system's own identity among others; guests do not see it"},
    {"*Machine/", "VirtualBox' own settings, beside those that were taken"},
    {"*@required", "whether another host may leave it out"},
    {"*@type", "the form of the file"},
    {"*@version", "the form of the file"},
    {"*@lang", "the form of the file"},
    {"*@msgid", "translations of words for people"},
    {"*@buildId", "who wrote the file"},
    {"*Item/", "of a device that hospes does not have, or a detail that it does not need"},
    {"*StorageItem/", "of a device that hospes does not have, or a detail that it does not need"},
    {"*EthernetPortItem/",
     "of a device that hospes does not have, or a detail that it does not need"},
    {"*References", "a file that no disk of this machine uses"},
    {"*DiskSection", "a disk that this machine does not use"},
    {NULL, NULL},
};

static void take_system(struct ovf *o)
{
    o->hardware = ovf_section(o->system, "VirtualHardwareSection");
    if (!o->hardware)
        read_fail(o->r, o->system, "the machine has no VirtualHardwareSection");
    if (o->r->rc < 0)
        return;
    read_names(o);
    read_os(o);
    read_vmware(o);
    ovf_items(o);
    read_whose(o);
    read_xen(o);
    read_hyperv(o);
    if (node_first(o->system, "Machine"))
        vbox_inside_ovf(o->r, node_first(o->system, "Machine"));
    ovf_environment(o);
    read_rest(o->r, rules);
}

static void take(struct reading *r)
{
    struct ovf *o = calloc(1, sizeof(*o));

    if (!o) {
        r->rc = err_set(r->e, ENOMEM, "no memory for the description");
        return;
    }
    o->r = r;
    o->envelope = r->t.top.child;
    r->p->nics_said = true;
    choose_system(o);
    choose_configuration(o);
    check_choice(o);
    if (r->rc == 0)
        take_system(o);
    free(o);
}

/* The manifest of an OVF that lies as files in a folder: NAME.mf beside NAME.ovf. */
static int check_manifest(const struct import_file *f, struct import_report *r, struct err *e)
{
    const char *base = path_last(f->path);
    struct manifest_source s = {.descriptor = base};
    const char *suffix = path_suffix(base);
    char *path = NULL, *text = NULL;
    int rc;

    if (f->archive || f->fd < 0 || !*suffix)
        return 0;
    if (asprintf(&path, "%s/%.*s.mf", f->dir, (int)(suffix - base), base) < 0)
        return err_set(e, ENOMEM, "no memory for a file name");
    rc = import_slurp(path, OVF_MANIFEST_MAX, &text, e);
    if (rc == 0)
        rc = manifest_check(f, &s, text, r, e);
    free(text);
    free(path);
    return rc == -ENOENT ? 0 : rc;
}

static int ovf_read(const struct import_file *f, struct plan *p, struct import_report *r,
                    struct err *e)
{
    int rc = check_manifest(f, r, e);

    return rc < 0 ? rc : read_tree(f, p, r, e, '/', xml_parse, take);
}

static int ovf_probe(const char *head, size_t n)
{
    return xml_probe(head, n, "Envelope") ? 90 : 0;
}

const struct importer_ops importer_ovf = {
    .name = "ovf",
    .about = "Open Virtualization Format of VMware, VirtualBox, Citrix and others",
    .suffixes = ".ovf",
    .max_size = 4 << 20,
    .probe = ovf_probe,
    .read = ovf_read,
};
