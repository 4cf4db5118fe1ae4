/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smbios.c - see smbios.h. One socket with a core per vCPU, memory devices of at most 16 GiB each,
 * one mapped range per piece of RAM. Both entry points name the same structures.
 */
#include "board/smbios.h"

#include <errno.h>
#include <string.h>

#include "abi/smbios.h"
#include "board/layout.h"
#include "board/tables.h"
#include "core/err.h"

enum { SMBIOS_ROOM = 8192, SMBIOS_DIMMS_MAX = 64, SMBIOS_STRING_MAX = 64 };

enum smbios_handle {
    HANDLE_BIOS = 0x0000,
    HANDLE_SYSTEM = 0x0100,
    HANDLE_BASEBOARD = 0x0200,
    HANDLE_CHASSIS = 0x0300,
    HANDLE_PROCESSOR = 0x0400,
    HANDLE_ARRAY = 0x1000,
    HANDLE_DEVICE = 0x1100,
    HANDLE_MAPPED = 0x1300,
    HANDLE_BOOT = 0x2000,
    HANDLE_END = 0x7f00,
};

struct smbios {
    uint8_t b[SMBIOS_ROOM];
    size_t len;
    size_t largest;
    unsigned count;
    const char *string[16]; /* of the open structure */
    unsigned strings;
    bool full;
};

/* The number of a string in the structure that is being filled, 0: no such string. */
static uint8_t say(struct smbios *s, const char *text)
{
    if (!text || !*text || s->strings == ARRAY_SIZE(s->string))
        return 0;
    s->string[s->strings++] = text;
    return (uint8_t)s->strings;
}

static void append(struct smbios *s, const void *p, size_t n)
{
    if (!range_in(s->len, n, sizeof(s->b))) {
        s->full = true;
        return;
    }
    memcpy(s->b + s->len, p, n);
    s->len += n;
}

/* Closes a structure: h is its first member, filled but for the header. */
static void put(struct smbios *s, struct smbios_header *h, uint8_t type, unsigned handle, size_t n)
{
    size_t from = s->len;

    h->type = type;
    h->length = (uint8_t)n;
    h->handle = le16_of((uint16_t)handle);
    append(s, h, n);
    for (unsigned i = 0; i < s->strings; i++) {
        append(s, s->string[i], strnlen(s->string[i], SMBIOS_STRING_MAX));
        append(s, "", 1);
    }
    append(s, "\0", s->strings ? 1 : 2);
    if (s->len - from > s->largest)
        s->largest = s->len - from;
    s->strings = 0;
    s->count++;
}

static const char * or (const char *text, const char *other)
{
    return text ? text : other;
}

static void put_bios(struct smbios *s, const struct smbios_id *id)
{
    struct smbios_bios t = {
        .vendor = say(s, or (id->bios_vendor, "hospes")),
        .version = say(s, or (id->bios_version, "1.0")),
        .segment = le16_of(0xf000),
        .date = say(s, or (id->bios_date, "01/01/2024")),
        .characteristics = le64_of(1 << 3), /* nothing of the list is told */
        /* ACPI; targeted content, a virtual machine */
        .extension = {0x01, (uint8_t)(0x04 | (id->physical ? 0 : 0x10))},
        .release = {0, 0, 0xff, 0xff},
    };

    put(s, &t.header, 0, HANDLE_BIOS, sizeof(t));
}

static void put_system(struct smbios *s, const struct smbios_id *id, const uint8_t uuid[16])
{
    /* The first three fields are little-endian here. */
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    struct smbios_system t = {
        .manufacturer = say(s, or (id->vendor, "hospes")),
        .product = say(s, or (id->product, "PC")),
        .version = say(s, or (id->version, "1.0")),
        .serial = say(s, id->serial),
        .wake_up = 6, /* power switch */
        .sku = say(s, id->sku),
        .family = say(s, id->family),
    };

    for (unsigned i = 0; i < 16; i++)
        t.uuid[i] = uuid[order[i]];
    put(s, &t.header, 1, HANDLE_SYSTEM, sizeof(t));
}

static void put_boards(struct smbios *s, const struct smbios_id *id)
{
    struct smbios_baseboard b = {
        .manufacturer = say(s, or (id->board_vendor, or (id->vendor, "hospes"))),
        .product = say(s, or (id->board_product, or (id->product, "PC"))),
        .version = say(s, id->version),
        .serial = say(s, or (id->board_serial, id->serial)),
        .features = 1, /* hosts the processors */
        .chassis = le16_of(HANDLE_CHASSIS),
        .type = 10, /* motherboard */
    };
    struct smbios_chassis c = {
        .type = 1, /* other */
        .boot_up = 3,
        .power = 3,
        .thermal = 3,
        .security = 2,
    };

    put(s, &b.header, 2, HANDLE_BASEBOARD, sizeof(b));
    c.manufacturer = say(s, or (id->chassis_vendor, or (id->vendor, "hospes")));
    c.version = say(s, id->version);
    c.serial = say(s, or (id->chassis_serial, id->serial));
    c.asset_tag = say(s, id->asset_tag);
    put(s, &c.header, 3, HANDLE_CHASSIS, sizeof(c));
}

static void put_processor(struct smbios *s, const struct smbios_id *id, unsigned cpus)
{
    uint8_t few = (uint8_t)(cpus < 255 ? cpus : 255);
    struct smbios_processor t = {
        .socket = say(s, "CPU 0"),
        .type = 3,   /* central processor */
        .family = 1, /* other */
        .manufacturer = say(s, or (id->vendor, "hospes")),
        .version = say(s, id->version),
        .max_speed = le16_of(2000),
        .speed = le16_of(2000),
        .status = 0x41, /* populated, enabled */
        .upgrade = 1,
        .l1 = le16_of(0xffff),
        .l2 = le16_of(0xffff),
        .l3 = le16_of(0xffff),
        .cores = few,
        .cores_enabled = few,
        .threads = few,
        .characteristics = le16_of(0x0004), /* 64 bits */
        .family2 = le16_of(1),
        .cores2 = le16_of((uint16_t)cpus),
        .cores_enabled2 = le16_of((uint16_t)cpus),
        .threads2 = le16_of((uint16_t)cpus),
    };

    put(s, &t.header, 4, HANDLE_PROCESSOR, sizeof(t));
}

static void put_memory_device(struct smbios *s, unsigned i, uint64_t bytes)
{
    uint64_t mib = bytes / MiB;
    struct smbios_memory_device t = {
        .array = le16_of(HANDLE_ARRAY),
        .error = le16_of(0xfffe),
        .total_width = le16_of(0xffff),
        .data_width = le16_of(0xffff),
        .size = le16_of((uint16_t)min_u64(mib, 0x7fff)),
        .form_factor = 9, /* DIMM */
        .locator = say(s, "DIMM"),
        .type = 7, /* RAM */
        .detail = le16_of(2),
        .extended_size = le32_of(mib >= 0x7fff ? (uint32_t)mib : 0),
    };

    put(s, &t.header, 17, HANDLE_DEVICE + i, sizeof(t));
}

static void put_mapped(struct smbios *s, unsigned i, uint64_t base, uint64_t size)
{
    uint64_t last = base + size - 1;
    bool wide = last / KiB >= UINT32_MAX;
    struct smbios_mapped t = {
        .start = le32_of(wide ? UINT32_MAX : (uint32_t)(base / KiB)),
        .end = le32_of(wide ? UINT32_MAX : (uint32_t)(last / KiB)),
        .array = le16_of(HANDLE_ARRAY),
        .width = 1,
        .extended_start = le64_of(wide ? base : 0),
        .extended_end = le64_of(wide ? last : 0),
    };

    put(s, &t.header, 19, HANDLE_MAPPED + i, sizeof(t));
}

static void put_memory(struct smbios *s, uint64_t memory, bool q35)
{
    uint64_t each = 16 * GiB, high = layout_ram_high(memory, q35);
    bool wide = memory / KiB >= UINT32_C(0x80000000);
    unsigned n;
    struct smbios_memory_array t = {
        .location = 1,   /* other */
        .use = 3,        /* system memory */
        .correction = 3, /* none */
        .capacity = le32_of(wide ? UINT32_C(0x80000000) : (uint32_t)(memory / KiB)),
        .error = le16_of(0xfffe),
        .extended_capacity = le64_of(wide ? memory : 0),
    };

    while (memory > each * SMBIOS_DIMMS_MAX)
        each *= 2;
    n = (unsigned)((memory + each - 1) / each);
    t.devices = le16_of((uint16_t)n);
    put(s, &t.header, 16, HANDLE_ARRAY, sizeof(t));
    for (unsigned i = 0; i < n; i++)
        put_memory_device(s, i, min_u64(each, memory - i * each));
    put_mapped(s, 0, 0, layout_ram_low(memory, q35));
    if (high)
        put_mapped(s, 1, LAYOUT_RAM_HIGH, high);
}

static int put_entries(struct tables *t, const struct smbios *s, gpa_t table, gpa_t *entry)
{
    struct smbios_entry21 old = {
        .anchor = {'_', 'S', 'M', '_'},
        .length = sizeof(old),
        .major = 2,
        .minor = 8,
        .max_structure = le16_of((uint16_t)s->largest),
        .intermediate_anchor = {'_', 'D', 'M', 'I', '_'},
        .table_length = le16_of((uint16_t)s->len),
        .table_address = le32_of((uint32_t)table),
        .structures = le16_of((uint16_t)s->count),
        .bcd_revision = 0x28,
    };
    struct smbios_entry30 new = {
        .anchor = {'_', 'S', 'M', '3', '_'},
        .length = sizeof(new),
        .major = 3,
        .revision = 1,
        .max_size = le32_of((uint32_t)s->len),
        .table_address = le64_of(table),
    };
    size_t inner = offsetof(struct smbios_entry21, intermediate_anchor);

    old.intermediate_checksum =
        tables_checksum(old.intermediate_anchor, sizeof(old) - inner,
                        offsetof(struct smbios_entry21, intermediate_checksum) - inner);
    old.checksum = tables_checksum(&old, sizeof(old), offsetof(struct smbios_entry21, checksum));
    new.checksum = tables_checksum(&new, sizeof(new), offsetof(struct smbios_entry30, checksum));
    *entry = tables_put(t, &old, sizeof(old), 16);
    return *entry && tables_put(t, &new, sizeof(new), 16) ? 0 : -ENOSPC;
}

int smbios_build(struct tables *t, const struct tables_cfg *c, gpa_t *entry, struct err *e)
{
    const struct smbios_id *id = &c->hooks.smbios;
    struct smbios_boot_status boot = {.status = 0};
    struct smbios_header end = {.type = 127};
    struct smbios s = {.len = 0};
    gpa_t table;

    put_bios(&s, id);
    put_system(&s, id, c->uuid);
    put_boards(&s, id);
    put_processor(&s, id, c->cpus);
    put_memory(&s, c->memory, c->q35);
    put(&s, &boot.header, 32, HANDLE_BOOT, sizeof(boot));
    put(&s, &end, 127, HANDLE_END, sizeof(end));
    table = s.full ? 0 : tables_put(t, s.b, s.len, 16);
    if (!table || put_entries(t, &s, table, entry) < 0)
        return err_set(e, ENOSPC, "the SMBIOS tables do not fit below 1 MiB");
    return 0;
}
