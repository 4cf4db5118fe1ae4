/* SPDX-License-Identifier: Apache-2.0 */
/* SMBIOS and MP tables, walked as guests walk them. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi/mptable.h"
#include "abi/smbios.h"
#include "board/layout.h"
#include "board/tables.h"
#include "core/err.h"

static struct tables t;
static gpa_t entry;

static struct tables_cfg config(uint64_t memory, unsigned cpus)
{
    struct tables_cfg c = {.memory = memory, .cpus = cpus};

    for (unsigned i = 0; i < 16; i++)
        c.uuid[i] = (uint8_t)(0x10 + i);
    return c;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

/* As a guest searches: every 16 bytes. */
static const uint8_t *anchor(const char *text)
{
    for (size_t at = 0; at + 32 <= t.room; at += 16) {
        if (memcmp(t.bytes + at, text, strlen(text)) == 0)
            return t.bytes + at;
    }
    fail_msg("no %s", text);
    return NULL;
}

static void build(const struct tables_cfg *c)
{
    gpa_t mp;
    struct err e = {0};

    assert_int_equal(tables_init(&t, LAYOUT_ROM, 0x10000, &e), 0);
    assert_int_equal(smbios_build(&t, c, &entry, &e), 0);
    assert_int_equal(mptable_build(&t, c, &mp, &e), 0);
}

/* The n-th structure of a type and the text of its string number i. */
static const uint8_t *structure(uint8_t type, unsigned n)
{
    const struct smbios_entry21 *old = (const void *)anchor("_SM_");
    const uint8_t *p = tables_at(&t, le32_get(old->table_address));

    for (unsigned i = 0; i < le16_get(old->structures); i++) {
        if (p[0] == type && n-- == 0)
            return p;
        p += p[1];
        while (p[0] || p[1])
            p++;
        p += 2;
    }
    return NULL;
}

static const char *text(const uint8_t *s, uint8_t n)
{
    const char *p = (const char *)s + s[1];

    assert_true(n > 0);
    while (--n)
        p += strlen(p) + 1;
    return p;
}

static void both_entry_points_are_sound(void **state)
{
    const struct tables_cfg c = config(2 * GiB, 4);
    const struct smbios_entry21 *old;
    const struct smbios_entry30 *new;
    const uint8_t *end;

    (void)state;
    build(&c);
    old = (const void *)anchor("_SM_");
    new = (const void *)anchor("_SM3_");
    assert_int_equal(sum((const uint8_t *)old, sizeof(*old)), 0);
    assert_int_equal(sum((const uint8_t *)old->intermediate_anchor, 15), 0);
    assert_int_equal(sum((const uint8_t *)new, sizeof(*new)), 0);
    assert_int_equal(le32_get(old->table_address), le64_get(new->table_address));
    end = structure(127, 0);
    assert_non_null(end);
    assert_ptr_equal(end + 6, (uint8_t *)tables_at(&t, le32_get(old->table_address)) +
                                  le16_get(old->table_length));
    assert_int_equal(le32_get(new->max_size), le16_get(old->table_length));
    tables_fini(&t);
}

static void personas_say_who_the_maker_is(void **state)
{
    struct tables_cfg c = config(2 * GiB, 1);
    const struct smbios_system *s;
    char longer[1000];

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    c.hooks.smbios = (struct smbios_id){.vendor = "Microsoft Corporation",
                                        .product = "Virtual Machine",
                                        .serial = "1234",
                                        .version = "",
                                        .asset_tag = longer};
    build(&c);
    s = (const void *)structure(1, 0);
    assert_string_equal(text((const uint8_t *)s, s->manufacturer), "Microsoft Corporation");
    assert_string_equal(text((const uint8_t *)s, s->product), "Virtual Machine");
    assert_string_equal(text((const uint8_t *)s, s->serial), "1234");
    assert_int_equal(s->version, 0);
    assert_int_equal(s->family, 0);
    assert_memory_equal(s->uuid, "\x13\x12\x11\x10\x15\x14\x17\x16\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
                        16);
    assert_int_equal(strlen(text(structure(3, 0), structure(3, 0)[8])), 64);
    tables_fini(&t);
}

static void a_plain_pc_is_no_virtual_machine(void **state)
{
    struct tables_cfg c = config(2 * GiB, 1);

    (void)state;
    for (int physical = 0; physical < 2; physical++) {
        c.hooks.smbios.physical = physical;
        build(&c);
        assert_int_equal(((const struct smbios_bios *)structure(0, 0))->extension[1] & 0x10,
                         physical ? 0 : 0x10);
        tables_fini(&t);
    }
}

static void memory_adds_up(void **state)
{
    static const uint64_t sizes[] = {64 * MiB, 3 * GiB, 40 * GiB, 3000 * GiB};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        const struct tables_cfg c = config(sizes[i], 2);
        const struct smbios_memory_array *array;
        const struct smbios_memory_device *d;
        uint64_t mib = 0;
        unsigned n = 0;

        build(&c);
        for (; (d = (const void *)structure(17, n)) != NULL; n++)
            mib += le16_get(d->size) == 0x7fff ? le32_get(d->extended_size) : le16_get(d->size);
        assert_int_equal(mib, sizes[i] / MiB);
        array = (const void *)structure(16, 0);
        assert_int_equal(le16_get(array->devices), n);
        if (le32_get(array->capacity) == 0x80000000)
            assert_int_equal(le64_get(array->extended_capacity), sizes[i]);
        else
            assert_int_equal(le32_get(array->capacity), sizes[i] / KiB);
        assert_int_equal(structure(19, 1) != NULL, sizes[i] > 3 * GiB);
        tables_fini(&t);
    }
}

static void mp_tables_count_what_they_hold(void **state)
{
    static const unsigned cpus[] = {1, 16, 255};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
        const struct tables_cfg c = config(GiB, cpus[i]);
        const struct mp_floating *f;
        const struct mp_config *m;
        const uint8_t *p;
        unsigned kind[5] = {0};

        build(&c);
        f = (const void *)anchor("_MP_");
        assert_int_equal(sum((const uint8_t *)f, 16), 0);
        m = tables_at(&t, le32_get(f->table));
        assert_int_equal(sum((const uint8_t *)m, le16_get(m->length)), 0);
        p = (const uint8_t *)(m + 1);
        for (unsigned n = 0; n < le16_get(m->entries); n++) {
            assert_true(p[0] < 5);
            kind[p[0]]++;
            p += p[0] == 0 ? 20 : 8;
        }
        assert_ptr_equal(p, (const uint8_t *)m + le16_get(m->length));
        assert_int_equal(kind[0], cpus[i]);
        assert_int_equal(kind[1], 2);
        assert_int_equal(kind[2], 1);
        assert_int_equal(kind[4], 2);
        tables_fini(&t);
    }
}

static void tables_that_do_not_fit_are_an_error(void **state)
{
    const struct tables_cfg c = config(GiB, 255);
    struct err e = {0};
    size_t room = 64;
    gpa_t rsdp, mp;
    int rc = -1;

    (void)state;
    for (; rc < 0; room += 64) {
        assert_int_equal(tables_init(&t, LAYOUT_ROM, room, &e), 0);
        rc = acpi_build(&t, &c, &rsdp, &e);
        if (rc == 0)
            rc = smbios_build(&t, &c, &entry, &e);
        if (rc == 0)
            rc = mptable_build(&t, &c, &mp, &e);
        assert_true(rc == 0 || e.code > 0);
        tables_fini(&t);
    }
    assert_true(room < 0x10000); /* the largest machine's tables fit the ROM area */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_entry_points_are_sound),
        cmocka_unit_test(personas_say_who_the_maker_is),
        cmocka_unit_test(a_plain_pc_is_no_virtual_machine),
        cmocka_unit_test(memory_adds_up),
        cmocka_unit_test(mp_tables_count_what_they_hold),
        cmocka_unit_test(tables_that_do_not_fit_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
