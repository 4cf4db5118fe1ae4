/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_hive.c - see fake_hive.h.
 *
 * hivex changes hives and makes none, so the start is a hive with a root key alone, after the
 * format as hivex' own documentation and [MS-REGF]'s readers describe it.
 */
#include "fake_hive.h"

#include <hivex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"

enum { PAGE = 4096, KEY = 0x20, KEY_SIZE = 0x58, SK = 0x78, SK_SIZE = 0x78, REST = SK + SK_SIZE };

static void put(uint8_t *p, uint32_t v)
{
    le32_put(p, v);
}

static void minimal(uint8_t *b)
{
    uint8_t *block = b + PAGE, *key = block + KEY, *sk = block + SK;
    uint32_t sum = 0;

    memset(b, 0, 2 * PAGE);
    memcpy(b, "regf", 4);
    put(b + 4, 1);
    put(b + 8, 1);
    put(b + 20, 1);
    put(b + 24, 3);
    put(b + 32, 1);
    put(b + 36, KEY);
    put(b + 40, PAGE);
    put(b + 44, 1);
    for (unsigned i = 0; i < 508; i += 4)
        sum ^= le32_at(b + i);
    put(b + 508, sum);
    memcpy(block, "hbin", 4);
    put(block + 8, PAGE);
    put(key, (uint32_t)-KEY_SIZE);
    memcpy(key + 4, "nk\x2c\0", 4);
    put(key + 0x14, 0);
    put(key + 0x20, UINT32_MAX);
    put(key + 0x24, UINT32_MAX);
    put(key + 0x2c, UINT32_MAX);
    put(key + 0x30, SK);
    put(key + 0x34, UINT32_MAX);
    le16_put(key + 0x4c, 4);
    memcpy(key + 0x50, "root", 4);
    put(sk, (uint32_t)-SK_SIZE);
    memcpy(sk + 4, "sk", 2);
    put(sk + 8, SK);
    put(sk + 12, SK);
    put(sk + 16, 1);
    put(sk + 20, 0x14);
    memcpy(sk + 24, "\x01\0\x04\x80", 4);
    put(block + REST, PAGE - REST);
}

static hive_node_h path(hive_h *h, hive_node_h at, const char *names)
{
    char part[128];

    while (*names) {
        size_t n = strcspn(names, "\\");
        hive_node_h next;

        snprintf(part, sizeof(part), "%.*s", (int)n, names);
        next = hivex_node_get_child(h, at, part);
        at = next ? next : hivex_node_add_child(h, at, part);
        names += n + (names[n] == '\\');
    }
    return at;
}

static int set_number(hive_h *h, hive_node_h at, const char *key, uint32_t v)
{
    char text[16];
    uint8_t b[4];
    hive_set_value s = {.key = text, .t = hive_t_REG_DWORD, .len = 4, .value = (char *)b};

    snprintf(text, sizeof(text), "%s", key);
    le32_put(b, v);
    return hivex_node_set_value(h, at, &s, 0);
}

static int set_string(hive_h *h, hive_node_h at, const char *key, const char *v)
{
    char text[64], wide[128] = "";
    hive_set_value s = {.key = text, .t = hive_t_REG_SZ, .len = strlen(v) * 2 + 2, .value = wide};

    snprintf(text, sizeof(text), "%s", key);
    for (size_t i = 0; v[i]; i++)
        wide[i * 2] = v[i];
    return hivex_node_set_value(h, at, &s, 0);
}

static int fill(hive_h *h, const char *const *services)
{
    hive_node_h root = hivex_root(h);
    int rc = set_number(h, path(h, root, "Select"), "Current", 1);

    rc |= set_string(h, path(h, root, "ControlSet001\\Control\\Session Manager\\Environment"),
                     "PROCESSOR_ARCHITECTURE", "AMD64");
    rc |= set_string(h, path(h, root, "ControlSet001\\Control\\ProductOptions"), "ProductType",
                     "ServerNT");
    for (; *services; services++) {
        char name[160] = "ControlSet001\\Services\\";
        unsigned start = 3, over = UINT32_MAX;
        hive_node_h at;

        strncat(name, *services, strcspn(*services, "="));
        sscanf(*services + strcspn(*services, "="), "=%u/%u", &start, &over);
        at = path(h, root, name);
        rc |= set_number(h, at, "Start", start);
        if (over != UINT32_MAX)
            rc |= set_number(h, path(h, at, "StartOverride"), "0", over);
    }
    return rc;
}

int fake_hive(const char *out, const char *const *services)
{
    uint8_t b[2 * PAGE];
    FILE *f = fopen(out, "wb");
    hive_h *h;
    int rc = -1;

    minimal(b);
    if (!f)
        return -1;
    if (fwrite(b, sizeof(b), 1, f) != 1 || fclose(f) != 0)
        return -1;
    h = hivex_open(out, HIVEX_OPEN_WRITE);
    if (!h)
        return -1;
    if (fill(h, services) == 0)
        rc = hivex_commit(h, NULL, 0);
    hivex_close(h);
    return rc;
}
