/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill.c FOLDER COUNT - a catalogue of COUNT signed claims, for measuring: 100 products, 10
 * versions of each, five personas, and the rest as history. FOLDER.key signs. See
 * docs/devel/performance.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/store.h"
#include "core/err.h"
#include "validation/text.h"

static int set(struct claim *c, unsigned long i, struct err *e)
{
    static const char *const persona[] = {"kvm", "hyperv", "xen", "vmware", "bare"};
    char text[64];
    int rc;

    claim_init(c);
    c->kind = CLAIM_TESTED;
    c->verdict = i % 17 ? V_PASS : V_FAIL;
    c->validated = i % 17 != 0;
    c->max_cpus = 1 + i % 4;
    c->max_memory = GiB;
    memset(c->bundle, 'a', 64);
    memset(c->record, 'b', 64);
    rc = vtext_set(&c->cell, "cell", e);
    snprintf(text, sizeof(text), "2026-%02lu-%02luT%02lu:00:00Z", 1 + i % 12, 1 + i / 12 % 28,
             i / 336 % 24);
    rc |= vtext_set(&c->made, text, e);
    rc |= vtext_set(&c->persona, persona[i % 5], e);
    rc |= vtext_set(&c->firmware, "bios", e);
    rc |= vfacts_set(&c->host, "product", "hospes", e);
    snprintf(text, sizeof(text), "0.%lu.0", 1 + i % 3);
    rc |= vfacts_set(&c->host, "version", text, e);
    rc |= vfacts_set(&c->guest, "vendor", "Vendor", e);
    snprintf(text, sizeof(text), "System %lu", i / 5 % 100);
    rc |= vfacts_set(&c->guest, "product", text, e);
    snprintf(text, sizeof(text), "%lu.0", i / 500 % 10);
    rc |= vfacts_set(&c->guest, "version", text, e);
    return rc | vfacts_set(&c->guest, "arch", "amd64", e);
}

static int fill(struct store *s, const struct seckey *key, unsigned long count, struct err *e)
{
    int rc = 0;

    for (unsigned long i = 0; i < count && rc == 0; i++) {
        struct claim c;
        char *text = NULL;

        rc = set(&c, i, e);
        if (rc == 0)
            rc = claim_to_json(&c, &text, e);
        if (rc == 0)
            rc = store_add(s, DSSE_CLAIM, text, key, NULL, e);
        free(text);
        claim_free(&c);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct trust t = {.n = 0};
    struct seckey key;
    struct store s;
    struct err e = {0};
    char path[1024], *text;

    if (argc != 3)
        return 64;
    if (key_make(&key, &e) < 0 || key_write(&key, argv[1], "fill", &e) < 0 ||
        store_create(argv[1], "fill", NULL, &e) < 0 ||
        trust_add(&t, &key.pub, "fill", ROLE_RUNNER, &e) < 0 || trust_to_json(&t, &text, &e) < 0) {
        puts(e.msg);
        return 1;
    }
    snprintf(path, sizeof(path), "%s/trust.json", argv[1]);
    if (vtext_write(path, text, strlen(text), &e) < 0 || store_open(argv[1], true, &s, &e) < 0 ||
        fill(&s, &key, strtoul(argv[2], NULL, 10), &e) < 0) {
        puts(e.msg);
        return 1;
    }
    store_close(&s);
    free(text);
    trust_free(&t);
    return 0;
}
