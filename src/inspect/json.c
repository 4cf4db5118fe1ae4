/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - an inspection as one JSON object; docs/reference/inspect.md lists its keys. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/inspect.h"

static void text(struct json_object *o, const char *key, const char *value)
{
    if (value[0])
        json_object_object_add(o, key, json_object_new_string(value));
}

static void number(struct json_object *o, const char *key, uint64_t v)
{
    json_object_object_add(o, key, json_object_new_uint64(v));
}

static void flag(struct json_object *o, const char *key, bool v)
{
    json_object_object_add(o, key, json_object_new_boolean(v));
}

static struct json_object *list(struct json_object *o, const char *key)
{
    struct json_object *l = json_object_new_array();

    json_object_object_add(o, key, l);
    return l;
}

static struct json_object *item(struct json_object *l)
{
    struct json_object *o = json_object_new_object();

    json_object_array_add(l, o);
    return o;
}

static void drivers(struct json_object *o, const char *key, enum guest_family f, uint64_t set)
{
    struct json_object *l = list(o, key);

    for (unsigned d = 0; d < DRIVERS; d++) {
        if (set & DRV(d))
            json_object_array_add(l, json_object_new_string(driver_name(f, (enum driver)d)));
    }
}

static void kernel(struct json_object *o, const struct inspect_kernel *k)
{
    text(o, "title", k->title);
    text(o, "version", k->version);
    text(o, "path", k->path);
    text(o, "initrd", k->initrd);
    text(o, "append", k->append);
    flag(o, "first", k->first);
    flag(o, "in-menu", k->listed);
    flag(o, "found", k->found);
    text(o, "packed", k->packed);
    text(o, "made-by", k->tool);
    text(o, "unread", k->why);
    flag(o, "built-in-known", k->builtin_known);
    drivers(o, "built-in", GUEST_LINUX, k->builtin);
    drivers(o, "initramfs", GUEST_LINUX, k->initramfs);
    drivers(o, "installed", GUEST_LINUX, k->installed);
}

static void system_(struct json_object *o, const struct inspect_system *s)
{
    struct json_object *l;

    text(o, "family", family_names[s->family]);
    text(o, "name", s->name);
    text(o, "id", s->id);
    text(o, "version", s->version);
    text(o, "arch", s->arch);
    text(o, "place", s->root);
    text(o, "root", s->root_arg);
    text(o, "initramfs-settings", s->initrd_policy);
    text(o, "network-names", s->names_kept);
    text(o, "disk-names", s->fstab_names);
    if (s->family == GUEST_LINUX) {
        l = list(o, "kernels");
        for (unsigned i = 0; i < s->kernels; i++)
            kernel(item(l), &s->kernel[i]);
    } else {
        flag(o, "drivers-known", s->boot_known);
        drivers(o, "boot-drivers", s->family, s->boot);
        drivers(o, "installed", s->family, s->installed);
    }
    l = list(o, "agents");
    for (unsigned i = 0; i < AGENTS; i++) {
        if (s->agents >> i & 1)
            json_object_array_add(l, json_object_new_string(agents[i].name));
    }
}

static void disk(struct json_object *o, const struct inspect *i)
{
    struct json_object *l = list(o, "images"), *x;

    for (unsigned k = 0; k < i->images; k++) {
        x = item(l);
        text(x, "file", i->image[k].path);
        text(x, "format", i->image[k].format);
        number(x, "bytes", i->image[k].bytes);
        text(x, "creator", i->image[k].creator);
    }
    text(o, "table", i->table);
    text(o, "disk-id", i->disk_id);
    l = list(o, "partitions");
    for (unsigned k = 0; k < i->parts; k++) {
        const struct inspect_part *p = &i->part[k];

        x = item(l);
        number(x, "number", p->number);
        text(x, "name", p->name);
        text(x, "type", p->type);
        text(x, "use", p->use);
        number(x, "offset", p->off);
        number(x, "bytes", p->bytes);
        flag(x, "active", p->active);
        text(x, "file-system", p->fs);
        text(x, "label", p->label);
        text(x, "uuid", p->uuid);
        text(x, "unread", p->why);
    }
}

static void boot(struct json_object *o, const struct inspect *i)
{
    struct json_object *l = list(o, "boot-loaders"), *x;

    for (unsigned k = 0; k < i->loaders; k++) {
        x = item(l);
        text(x, "name", i->loader[k].name);
        text(x, "place", i->loader[k].where);
        text(x, "firmware", i->loader[k].uefi ? "uefi" : "bios");
    }
    l = list(o, "firmware");
    if (i->bios)
        json_object_array_add(l, json_object_new_string("bios"));
    if (i->uefi)
        json_object_array_add(l, json_object_new_string("uefi"));
}

char *inspect_json(const struct inspect *i, const char *persona, const char *why)
{
    struct json_object *o = json_object_new_object(), *l, *x;
    const char *s;
    char *copy;

    disk(o, i);
    boot(o, i);
    l = list(o, "systems");
    for (unsigned k = 0; k < i->systems; k++)
        system_(item(l), &i->system[k]);
    x = json_object_new_object();
    json_object_object_add(o, "personas", x);
    for (unsigned p = 0; p < PERSONAS; p++) {
        struct json_object *v = json_object_new_object();

        text(v, "boots", sure_names[i->verdict[p].boots]);
        text(v, "why", i->verdict[p].why);
        text(v, "lacks", i->verdict[p].lacks);
        text(v, "bus", i->verdict[p].bus);
        json_object_object_add(x, persona_names[p], v);
    }
    text(o, "persona", persona);
    text(o, "why", why);
    l = list(o, "notes");
    for (unsigned k = 0; k < i->notes; k++)
        json_object_array_add(l, json_object_new_string(i->note[k]));
    s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    copy = s ? strdup(s) : NULL;
    json_object_put(o);
    return copy;
}
