/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_json.c - a plan as JSON and back; docs/reference/plan.md describes the form.
 *
 * The text may come from anyone: every type, size and count is checked, a key that is not known is
 * an error, and what was read is only used after plan_check().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/ids.h"
#include "machine/plan.h"

enum {
    PLAN_VERSION = 1,
    PLAN_DEPTH = 8,
    PLAN_JSON_MAX = 1 << 20,
    PLAN_TEXT_MAX = 64 << 10,
    PLAN_INDEX_MAX = 255,
    PLAN_SLOT_MAX = 4095
};

/* --- fields --- */

enum field_kind {
    FIELD_TEXT,
    FIELD_NUMBER,
    FIELD_ORDER, /* a number that 0 leaves out */
    FIELD_SIZE,
    FIELD_INDEX,
    FIELD_SLOT,
    FIELD_FLAG,
    FIELD_GUID,
    FIELD_WRITE,
};

/* One key of an object and where its value lives in the struct. */
struct field {
    const char *key;
    enum field_kind kind;
    size_t at;
};

static const struct field plan_fields[] = {
    {"name", FIELD_TEXT, offsetof(struct plan, name)},
    {"title", FIELD_TEXT, offsetof(struct plan, title)},
    {"notes", FIELD_TEXT, offsetof(struct plan, notes)},
    {"guest-os", FIELD_TEXT, offsetof(struct plan, guest_os)},
    {"hardware", FIELD_TEXT, offsetof(struct plan, hardware)},
    {"machine", FIELD_TEXT, offsetof(struct plan, machine)},
    {"persona", FIELD_TEXT, offsetof(struct plan, persona)},
    {"persona-options", FIELD_TEXT, offsetof(struct plan, persona_opts)},
    {"why", FIELD_TEXT, offsetof(struct plan, persona_why)},
    {"cpus", FIELD_NUMBER, offsetof(struct plan, cpus)},
    {"cpus-max", FIELD_NUMBER, offsetof(struct plan, cpus_max)},
    {"cores", FIELD_ORDER, offsetof(struct plan, cores)},
    {"memory", FIELD_SIZE, offsetof(struct plan, memory)},
    {"kernel", FIELD_TEXT, offsetof(struct plan, kernel)},
    {"initrd", FIELD_TEXT, offsetof(struct plan, initrd)},
    {"append", FIELD_TEXT, offsetof(struct plan, append)},
    {"firmware", FIELD_TEXT, offsetof(struct plan, firmware)},
    {"firmware-options", FIELD_TEXT, offsetof(struct plan, firmware_opts)},
    {"nvram", FIELD_TEXT, offsetof(struct plan, nvram)},
    {"serial", FIELD_TEXT, offsetof(struct plan, serial)},
    {"display", FIELD_TEXT, offsetof(struct plan, display)},
    {"log", FIELD_TEXT, offsetof(struct plan, log)},
    {"rtc-local", FIELD_FLAG, offsetof(struct plan, rtc_local)},
    {"secure-boot", FIELD_FLAG, offsetof(struct plan, secure_boot)},
    {"tpm", FIELD_TEXT, offsetof(struct plan, tpm)},
    {"tpm-state", FIELD_TEXT, offsetof(struct plan, tpm_state)},
    {"generation-id", FIELD_GUID, offsetof(struct plan, genid)},
    {"testdev", FIELD_FLAG, offsetof(struct plan, testdev)},
    {"hugepages", FIELD_FLAG, offsetof(struct plan, hugepages)},
    {NULL, FIELD_TEXT, 0},
};

#define SMBIOS(key, member)                                                                        \
    {                                                                                              \
        key, FIELD_TEXT, offsetof(struct plan_smbios, member)                                      \
    }
static const struct field smbios_fields[] = {
    SMBIOS("vendor", vendor),
    SMBIOS("product", product),
    SMBIOS("version", version),
    SMBIOS("serial", serial),
    SMBIOS("sku", sku),
    SMBIOS("family", family),
    SMBIOS("board-serial", board_serial),
    SMBIOS("chassis-serial", chassis_serial),
    SMBIOS("asset-tag", asset_tag),
    {NULL, FIELD_TEXT, 0},
};

#define PLACE(type)                                                                                \
    {"slot", FIELD_SLOT, offsetof(struct type, place.slot)},                                       \
        {"pci", FIELD_TEXT, offsetof(struct type, place.pci)},                                     \
    {                                                                                              \
        "instance", FIELD_GUID, offsetof(struct type, place.instance)                              \
    }

static const struct field disk_fields[] = {
    {"file", FIELD_TEXT, offsetof(struct plan_disk, path)},
    {"format", FIELD_TEXT, offsetof(struct plan_disk, format)},
    {"bus", FIELD_TEXT, offsetof(struct plan_disk, bus)},
    {"options", FIELD_TEXT, offsetof(struct plan_disk, opts)},
    {"mode", FIELD_WRITE, 0},
    {"cdrom", FIELD_FLAG, offsetof(struct plan_disk, cdrom)},
    {"outside", FIELD_FLAG, offsetof(struct plan_disk, outside)},
    {"within", FIELD_TEXT, offsetof(struct plan_disk, within)},
    {"loop", FIELD_NUMBER, offsetof(struct plan_disk, loop)},
    {"controller", FIELD_INDEX, offsetof(struct plan_disk, controller)},
    {"unit", FIELD_INDEX, offsetof(struct plan_disk, unit)},
    {"serial", FIELD_TEXT, offsetof(struct plan_disk, serial)},
    {"boot", FIELD_ORDER, offsetof(struct plan_disk, boot)},
    PLACE(plan_disk),
    {NULL, FIELD_TEXT, 0},
};

static const struct field module_fields[] = {
    {"file", FIELD_TEXT, offsetof(struct plan_module, path)},
    {"append", FIELD_TEXT, offsetof(struct plan_module, append)},
    {NULL, FIELD_TEXT, 0},
};

static const struct field controller_fields[] = {
    {"bus", FIELD_TEXT, offsetof(struct plan_controller, bus)},
    {"number", FIELD_INDEX, offsetof(struct plan_controller, number)},
    PLACE(plan_controller),
    {NULL, FIELD_TEXT, 0},
};

static const struct field nic_fields[] = {
    {"network", FIELD_TEXT, offsetof(struct plan_nic, backend)},
    {"model", FIELD_TEXT, offsetof(struct plan_nic, model)},
    {"options", FIELD_TEXT, offsetof(struct plan_nic, opts)},
    {"lan", FIELD_TEXT, offsetof(struct plan_nic, lan)},
    {"boot", FIELD_ORDER, offsetof(struct plan_nic, boot)},
    PLACE(plan_nic),
    {NULL, FIELD_TEXT, 0},
};

static const char *const plan_modes[] = {
    [PLAN_SNAPSHOT] = "snapshot", [PLAN_WRITE] = "write", [PLAN_READONLY] = "readonly"};

/* --- to JSON --- */

static struct json_object *json_guid(const uint8_t u[16])
{
    char text[37];

    snprintf(text, sizeof(text), UUID_FMT, UUID_ARGS(u));
    return json_object_new_string(text);
}

static void json_put(struct json_object *o, const struct field *f, const void *base)
{
    const void *at = (const char *)base + f->at;
    const struct plan_disk *d = base;
    const struct plan_guid *g = at;
    const char *text;

    switch (f->kind) {
    case FIELD_TEXT:
        memcpy(&text, at, sizeof(text));
        if (text)
            json_object_object_add(o, f->key, json_object_new_string(text));
        break;
    case FIELD_NUMBER:
        json_object_object_add(o, f->key, json_object_new_uint64(*(const unsigned *)at));
        break;
    case FIELD_ORDER:
        if (*(const unsigned *)at)
            json_object_object_add(o, f->key, json_object_new_uint64(*(const unsigned *)at));
        break;
    case FIELD_SIZE:
        json_object_object_add(o, f->key, json_object_new_uint64(*(const uint64_t *)at));
        break;
    case FIELD_GUID:
        if (g->said)
            json_object_object_add(o, f->key, json_guid(g->b));
        break;
    case FIELD_INDEX:
    case FIELD_SLOT:
        if (*(const int *)at >= 0)
            json_object_object_add(o, f->key, json_object_new_int(*(const int *)at));
        break;
    case FIELD_FLAG:
        if (*(const bool *)at)
            json_object_object_add(o, f->key, json_object_new_boolean(1));
        break;
    case FIELD_WRITE:
        if (d->write_said)
            json_object_object_add(o, f->key, json_object_new_string(plan_modes[d->write]));
        break;
    }
}

static struct json_object *json_of(const struct field *f, const void *base)
{
    struct json_object *o = json_object_new_object();

    for (; f->key; f++)
        json_put(o, f, base);
    return o;
}

static void json_nics(struct json_object *top, const struct plan *p)
{
    struct json_object *list = json_object_new_array();
    char mac[18];

    for (size_t i = 0; i < p->nics; i++) {
        const uint8_t *m = p->nic[i].mac;
        struct json_object *o = json_of(nic_fields, &p->nic[i]);

        snprintf(mac, sizeof(mac), MAC_FMT, MAC_ARGS(m));
        if (p->nic[i].mac_said)
            json_object_object_add(o, "mac", json_object_new_string(mac));
        json_object_array_add(list, o);
    }
    json_object_object_add(top, "nics", list);
}

static struct json_object *json_modules_of(const struct plan *p)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < p->modules; i++)
        json_object_array_add(list, json_of(module_fields, &p->module[i]));
    return list;
}

int plan_to_json(const struct plan *p, char **out, struct err *e)
{
    struct json_object *top = json_of(plan_fields, p), *disks = json_object_new_array();
    struct json_object *ctls = json_object_new_array(),
                       *smbios = json_of(smbios_fields, &p->smbios);

    json_object_object_add(top, "hospes-plan", json_object_new_int(PLAN_VERSION));
    if (p->uuid_said)
        json_object_object_add(top, "uuid", json_guid(p->uuid));
    if (json_object_object_length(smbios))
        json_object_object_add(top, "smbios", smbios);
    else
        json_object_put(smbios);
    if (p->modules)
        json_object_object_add(top, "modules", json_modules_of(p));
    for (size_t i = 0; i < p->ctls; i++)
        json_object_array_add(ctls, json_of(controller_fields, &p->ctl[i]));
    if (p->ctls)
        json_object_object_add(top, "controllers", ctls);
    else
        json_object_put(ctls);
    for (size_t i = 0; i < p->disks; i++)
        json_object_array_add(disks, json_of(disk_fields, &p->disk[i]));
    json_object_object_add(top, "disks", disks);
    if (p->nics_said)
        json_nics(top, p);
    *out = strdup(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(top);
    return *out ? 0 : err_set(e, ENOMEM, "no memory for the plan");
}

/* --- from JSON --- */

static int json_bad(const char *key, const char *want, struct err *e)
{
    return err_set(e, EINVAL, "the plan's \"%s\" is not %s", key, want);
}

static int json_text(const char *key, struct json_object *v, const char **out, struct err *e)
{
    if (!json_object_is_type(v, json_type_string))
        return json_bad(key, "a text", e);
    *out = json_object_get_string(v);
    /* A NUL inside would make the text that is checked another than the one that is used. */
    if (strlen(*out) != (size_t)json_object_get_string_len(v) || strlen(*out) > PLAN_TEXT_MAX)
        return json_bad(key, "a text without NUL of at most 64 KiB", e);
    return 0;
}

static int json_number(const char *key, struct json_object *v, uint64_t max, uint64_t *out,
                       struct err *e)
{
    if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
        return json_bad(key, "a whole number from 0 on", e);
    *out = json_object_get_uint64(v);
    return *out <= max ? 0 : json_bad(key, "that small", e);
}

static int json_mode(struct plan_disk *d, struct json_object *v, struct err *e)
{
    const char *text;
    int rc = json_text("mode", v, &text, e);

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(plan_modes); i++) {
        if (strcmp(text, plan_modes[i]) == 0) {
            d->write = (enum plan_write)i;
            d->write_said = true;
            return 0;
        }
    }
    return rc < 0 ? rc : json_bad("mode", "snapshot, write or readonly", e);
}

static int json_guid_take(const struct field *f, struct plan_guid *g, struct json_object *v,
                          struct err *e)
{
    const char *text;
    int rc = json_text(f->key, v, &text, e);

    g->said = true;
    if (rc == 0 && !uuid_read(text, g->b))
        rc = json_bad(f->key, "like 01234567-89ab-cdef-0123-456789abcdef", e);
    return rc;
}

static int json_take(const struct field *f, void *base, struct json_object *v, struct err *e)
{
    void *at = (char *)base + f->at;
    const char *text;
    uint64_t n = 0;
    int rc;

    switch (f->kind) {
    case FIELD_TEXT:
        rc = json_text(f->key, v, &text, e);
        return rc < 0 ? rc : plan_set(at, text, e);
    case FIELD_NUMBER:
    case FIELD_ORDER:
        rc = json_number(f->key, v, 65535, &n, e);
        *(unsigned *)at = (unsigned)n;
        return rc;
    case FIELD_SIZE:
        rc = json_number(f->key, v, INT64_MAX, &n, e);
        *(uint64_t *)at = n;
        return rc;
    case FIELD_INDEX:
    case FIELD_SLOT:
        rc = json_number(f->key, v, f->kind == FIELD_SLOT ? PLAN_SLOT_MAX : PLAN_INDEX_MAX, &n, e);
        *(int *)at = (int)n;
        return rc;
    case FIELD_FLAG:
        if (!json_object_is_type(v, json_type_boolean))
            return json_bad(f->key, "true or false", e);
        *(bool *)at = json_object_get_boolean(v) != 0;
        return 0;
    case FIELD_GUID:
        return json_guid_take(f, at, v, e);
    case FIELD_WRITE:
        return json_mode(base, v, e);
    }
    return 0;
}

static const struct field *json_find(const struct field *f, const char *key)
{
    for (; f->key; f++) {
        if (strcmp(f->key, key) == 0)
            return f;
    }
    return NULL;
}

static int json_unknown(const char *key, struct err *e)
{
    return err_set(e, EINVAL, "the plan has a key \"%.60s\" that is not known", key);
}

static int json_members(const struct field *fields, void *base, const char *what,
                        struct json_object *o, struct err *e)
{
    int rc = 0;

    if (!json_object_is_type(o, json_type_object))
        return json_bad(what, "an object", e);
    json_object_object_foreach(o, key, v)
    {
        const struct field *f = json_find(fields, key);

        rc = f ? json_take(f, base, v, e) : json_unknown(key, e);
        if (rc < 0)
            break;
    }
    return rc;
}

static int json_disk(struct plan_disk *d, struct json_object *o, struct err *e)
{
    int rc = json_members(disk_fields, d, "disks", o, e);

    if (rc < 0 || d->path || plan_drive(d)) /* which may be empty */
        return rc;
    return err_set(e, EINVAL, "a disk of the plan has no \"file\"");
}

static int json_nic(struct plan_nic *n, struct json_object *o, struct err *e)
{
    const char *text;
    int rc = 0;

    if (!json_object_is_type(o, json_type_object))
        return json_bad("nics", "a list of objects", e);
    json_object_object_foreach(o, key, v)
    {
        const struct field *f = json_find(nic_fields, key);

        if (f)
            rc = json_take(f, n, v, e);
        else if (strcmp(key, "mac") == 0) {
            rc = json_text(key, v, &text, e);
            n->mac_said = true;
            if (rc == 0 && (!mac_read(text, n->mac) || n->mac[0] & 1))
                rc = json_bad(key, "an address like 52:54:00:12:34:56", e);
        } else
            rc = json_unknown(key, e);
        if (rc < 0)
            return rc;
    }
    return n->backend ? 0 : err_set(e, EINVAL, "a NIC of the plan has no \"network\"");
}

static int json_disks(struct plan *p, struct json_object *list, struct err *e)
{
    int rc = 0;

    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > PLAN_MAX_DISKS)
        return json_bad("disks", "a list of at most 64", e);
    for (size_t i = 0; i < json_object_array_length(list) && rc == 0; i++)
        rc = json_disk(plan_disk_new(p), json_object_array_get_idx(list, i), e);
    return rc;
}

static int json_nic_list(struct plan *p, struct json_object *list, struct err *e)
{
    int rc = 0;

    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > PLAN_MAX_NICS)
        return json_bad("nics", "a list of at most 16", e);
    p->nics_said = true;
    for (size_t i = 0; i < json_object_array_length(list) && rc == 0; i++)
        rc = json_nic(plan_nic_new(p), json_object_array_get_idx(list, i), e);
    return rc;
}

static int json_controllers(struct plan *p, struct json_object *list, struct err *e)
{
    int rc = 0;

    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > PLAN_MAX_CONTROLLERS)
        return json_bad("controllers", "a list of at most 32", e);
    for (size_t i = 0; i < json_object_array_length(list) && rc == 0; i++) {
        struct plan_controller *c = plan_controller_new(p);

        rc = json_members(controller_fields, c, "controllers", json_object_array_get_idx(list, i),
                          e);
        if (rc == 0 && !c->bus)
            rc = err_set(e, EINVAL, "a controller of the plan has no \"bus\"");
    }
    return rc;
}

static int json_modules(struct plan *p, struct json_object *list, struct err *e)
{
    int rc = 0;

    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > PLAN_MAX_MODULES)
        return json_bad("modules", "a list of at most 31", e);
    for (size_t i = 0; i < json_object_array_length(list) && rc == 0; i++) {
        struct plan_module *m = plan_module_new(p);

        if (!m)
            return json_bad("modules", "there once", e);
        rc = json_members(module_fields, m, "modules", json_object_array_get_idx(list, i), e);
        if (rc == 0 && !m->path)
            rc = err_set(e, EINVAL, "a module of the plan has no \"file\"");
    }
    return rc;
}

static int json_key(struct plan *p, const char *key, struct json_object *v, struct err *e)
{
    const struct field *f = json_find(plan_fields, key);
    const char *text;
    uint64_t version;
    int rc;

    if (f)
        return json_take(f, p, v, e);
    if (strcmp(key, "disks") == 0)
        return json_disks(p, v, e);
    if (strcmp(key, "nics") == 0)
        return json_nic_list(p, v, e);
    if (strcmp(key, "controllers") == 0)
        return json_controllers(p, v, e);
    if (strcmp(key, "modules") == 0)
        return json_modules(p, v, e);
    if (strcmp(key, "smbios") == 0)
        return json_members(smbios_fields, &p->smbios, key, v, e);
    if (strcmp(key, "hospes-plan") == 0) {
        rc = json_number(key, v, INT64_MAX, &version, e);
        if (rc == 0 && version != PLAN_VERSION)
            rc = err_set(e, EINVAL, "the plan has version %llu and this hospes reads version %d",
                         (unsigned long long)version, PLAN_VERSION);
        return rc;
    }
    if (strcmp(key, "uuid") == 0) {
        rc = json_text(key, v, &text, e);
        p->uuid_said = true;
        if (rc == 0 && !uuid_read(text, p->uuid))
            rc = json_bad(key, "like 01234567-89ab-cdef-0123-456789abcdef", e);
        return rc;
    }
    return json_unknown(key, e);
}

static struct json_object *json_parse(const char *json, struct err *e)
{
    struct json_tokener *t = json_tokener_new_ex(PLAN_DEPTH);
    size_t n = strnlen(json, PLAN_JSON_MAX + 1);
    struct json_object *top = NULL;

    if (!t) {
        (void)err_set(e, ENOMEM, "no memory for the plan");
        return NULL;
    }
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    if (n <= PLAN_JSON_MAX)
        top = json_tokener_parse_ex(t, json, (int)n + 1);
    if (n > PLAN_JSON_MAX)
        (void)err_set(e, EINVAL, "a plan of more than 1 MiB is not read");
    else if (!top)
        (void)err_set(e, EINVAL, "the plan is not JSON: %s at byte %zu",
                      json_tokener_error_desc(json_tokener_get_error(t)),
                      json_tokener_get_parse_end(t));
    else if (!json_object_is_type(top, json_type_object) ||
             !json_object_object_get_ex(top, "hospes-plan", NULL)) {
        (void)err_set(e, EINVAL, "this JSON is not a plan: it has no \"hospes-plan\"");
        json_object_put(top);
        top = NULL;
    }
    json_tokener_free(t);
    return top;
}

int plan_from_json(struct plan *p, const char *json, struct err *e)
{
    struct json_object *top = json_parse(json, e);
    int rc = top ? 0 : -e->code;

    plan_init(p);
    if (!top)
        return rc;
    json_object_object_foreach(top, key, v)
    {
        rc = json_key(p, key, v, e);
        if (rc < 0)
            break;
    }
    json_object_put(top);
    if (rc < 0)
        plan_free(p);
    return rc;
}
