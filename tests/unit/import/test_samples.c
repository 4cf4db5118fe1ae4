/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions that other products wrote, below $HOSPES_SAMPLES/config: all are read or refused in
 * a sentence, no key is lost, the files that libvirt's authors expect agree, and what goes home
 * comes back the same. Skipped when the variable is not set.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <ftw.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "import/export.h"
#include "import/import.h"
#include "machine/plan.h"

enum { FILES = 2000, LEAVES = 20000 };

static char *file[FILES];
static size_t files;
static char dir[40];

static int add_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (kind == FTW_F && files < FILES)
        file[files++] = strdup(path);
    return 0;
}

static int setup(void **state)
{
    const char *root = getenv("HOSPES_SAMPLES");
    char path[512];

    (void)state;
    strcpy(dir, "/tmp/hospes-samples-XXXXXX");
    assert_non_null(mkdtemp(dir));
    if (root) {
        snprintf(path, sizeof(path), "%s/config", root);
        nftw(path, add_file, 16, FTW_PHYS);
    }
    return 0;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    for (size_t i = 0; i < files; i++)
        free(file[i]);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void need_samples(void)
{
    if (!files) {
        print_message("HOSPES_SAMPLES is not set\n");
        skip();
    }
}

static bool ends(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);

    return n >= m && strcasecmp(path + n - m, suffix) == 0;
}

/* --- all of them --- */

static void every_one_is_read_or_refused_in_a_sentence(void **state)
{
    size_t read = 0, refused = 0;

    (void)state;
    need_samples();
    for (size_t i = 0; i < files; i++) {
        struct import_report report = {0};
        struct err e = {0};
        struct plan plan, again;
        char *a, *b;

        plan_init(&plan);
        if (import_read(file[i], NULL, &plan, &report, &e) == 0) {
            read++;
            assert_int_equal(plan_to_json(&plan, &a, &e), 0);
            assert_int_equal(plan_from_json(&again, a, &e), 0);
            assert_int_equal(plan_to_json(&again, &b, &e), 0);
            assert_string_equal(a, b);
            plan_free(&again);
            free(a);
            free(b);
            if (plan.disks || plan.kernel)
                assert_int_equal(plan_check(&plan, &e), 0);
        } else {
            refused++;
            assert_int_equal(e.exit, EX_BAD_INPUT);
            assert_non_null(strstr(e.msg, file[i]));
        }
        plan_free(&plan);
        import_report_free(&report);
    }
    print_message("%zu read, %zu refused\n", read, refused);
    assert_true(read > 500);
}

/* --- no key is lost: leaves found here in other ways than the importers' --- */

static char *leaf[LEAVES];
static size_t leaves;

static void add_leaf(const char *name, const char *value, size_t len)
{
    while (len && strchr(" \t\r\n", *value))
        value++, len--;
    while (len && strchr(" \t\r\n", value[len - 1]))
        len--;
    assert_true(leaves < LEAVES);
    assert_true(asprintf(&leaf[leaves++], "%s=%.*s", name, (int)len, value) > 0);
}

/* A prefix without a namespace stays in the tree's names. */
static const char *local(const char *name)
{
    const char *colon = strchr(name, ':');

    return colon ? colon + 1 : name;
}

static void xml_leaves(const xmlNode *n)
{
    for (; n; n = n->next) {
        char *text, name[300];
        bool blank = true, alone;

        if (n->type != XML_ELEMENT_NODE)
            continue;
        alone = !n->properties;
        for (const xmlNode *c = n->children; c; c = c->next) {
            alone &= c->type != XML_ELEMENT_NODE;
            if (c->type == XML_TEXT_NODE || c->type == XML_CDATA_SECTION_NODE)
                blank &= xmlIsBlankNode(c) != 0;
        }
        for (const xmlAttr *a = n->properties; a; a = a->next) {
            text = (char *)xmlNodeGetContent((const xmlNode *)a);
            snprintf(name, sizeof(name), "@%s", local((const char *)a->name));
            add_leaf(name, "", 0); /* white space in attributes is the parser's affair */
            xmlFree(text);
        }
        if (!blank || alone) {
            text = (char *)xmlNodeGetContent(n);
            add_leaf(local((const char *)n->name), alone || !n->children ? text : "",
                     alone ? strlen(text) : 0);
            xmlFree(text);
        }
        xml_leaves(n->children);
    }
}

/* One leaf for each line that says something; values are not looked at. */
static void line_leaves(const char *path, const char *separator)
{
    char line[65536];
    unsigned number = 0;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        char name[24];
        char *at = line + strspn(line, " \t");

        number++;
        if (*at == '#' || *at == '\n' || *at == '\r' || *at == '[' || !strstr(at, separator))
            continue;
        snprintf(name, sizeof(name), "%u", number);
        add_leaf(name, "", 0);
    }
    fclose(f);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_leaves(void)
{
    for (size_t i = 0; i < leaves; i++)
        free(leaf[i]);
    leaves = 0;
}

/* The report's line as the leaf that it should be. */
static void told_leaf(const struct import_line *l, char *out, size_t room)
{
    const char *slash = strrchr(l->key, '/'), *name = slash ? slash + 1 : l->key;

    snprintf(out, room, "%s=%s", name, *name == '@' ? "" : l->value);
}

static void compare_xml(const char *path, const struct import_report *r)
{
    xmlDoc *doc =
        xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    char **told = calloc(LEAVES, sizeof(*told));
    size_t n = 0;

    assert_non_null(doc);
    xml_leaves(xmlDocGetRootElement(doc));
    for (size_t i = 0; i < r->count; i++) {
        char text[70000];

        if (strncmp(r->lines[i].key, "manifest", 8) == 0)
            continue;
        told_leaf(&r->lines[i], text, sizeof(text));
        told[n++] = strdup(text);
    }
    qsort(leaf, leaves, sizeof(leaf[0]), by_text);
    qsort(told, n, sizeof(told[0]), by_text);
    for (size_t i = 0; i < n || i < leaves; i++) {
        /* Text on both sides of a child is joined in another way here: the name has to do. */
        if (i >= n || i >= leaves || strncmp(told[i], leaf[i], strcspn(leaf[i], "=") + 1) != 0)
            fail_msg("%s: the file has %s, the report %s", path, i < leaves ? leaf[i] : "no more",
                     i < n ? told[i] : "no more");
    }
    for (size_t i = 0; i < n; i++)
        free(told[i]);
    free(told);
    xmlFreeDoc(doc);
}

static void compare_lines(const char *path, const struct import_report *r)
{
    for (size_t i = 0; i < leaves; i++) {
        unsigned number = (unsigned)atoi(leaf[i]);
        bool hit = false;

        for (size_t k = 0; k < r->count && !hit; k++)
            hit = r->lines[k].line == number;
        if (!hit)
            fail_msg("%s: the report has nothing of line %u", path, number);
    }
}

static void every_key_is_told(void **state)
{
    size_t keys = 0;

    (void)state;
    need_samples();
    for (size_t i = 0; i < files; i++) {
        struct import_report r = {0};
        struct err e = {0};
        struct plan plan;

        plan_init(&plan);
        if (import_read(file[i], NULL, &plan, &r, &e) == 0) {
            if (strcmp(r.format, "vmx") == 0 || strcmp(r.format, "xl") == 0)
                line_leaves(file[i], "=");
            else if (strcmp(r.format, "proxmox") == 0)
                line_leaves(file[i], ": ");
            if (leaves)
                compare_lines(file[i], &r);
            else if (!ends(file[i], ".vmcx"))
                compare_xml(file[i], &r);
            for (size_t k = 0; k < r.count; k++)
                assert_true(r.lines[k].fate == IMPORT_KEPT || r.lines[k].why != NULL);
            keys += r.count;
        }
        free_leaves();
        plan_free(&plan);
        import_report_free(&r);
    }
    print_message("%zu keys\n", keys);
}

/* --- what libvirt's authors expect --- */

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Xen's drivers count an IDE disk as the xvd disk of its number; here that is said at once. */
static bool same_place(const struct plan_disk *x, const struct plan_disk *y)
{
    if (plan_floppy(x)) /* there drive B: may be the only one */
        return plan_floppy(y);
    if (x->bus && strcmp(x->bus, "xvd") != 0)
        return strcmp(x->bus, y->bus) == 0 && x->controller == y->controller && x->unit == y->unit;
    if (strcmp(y->bus, "ide") == 0)
        return x->unit == 2 * y->controller + y->unit;
    return x->unit == y->unit || strcmp(y->bus, "xvd") != 0;
}

/* Of two drives without a disc the place says which is which. */
static bool same_file(const struct plan_disk *x, const struct plan_disk *y)
{
    if (!x->path || !y->path)
        return x->cdrom == y->cdrom && same_place(x, y);
    return strcmp(base(x->path), base(y->path)) == 0;
}

static void same_machine(const char *path, const struct plan *a, const struct plan *b)
{
    size_t cards = 0, more = 0;

    if (strcmp(a->title  ? a->title
               : a->name ? a->name
                         : "",
               b->title  ? b->title
               : b->name ? b->name
                         : "") != 0)
        fail_msg("%s: name %s, expected %s", path, a->name, b->name);
    assert_int_equal(a->cpus, b->cpus);
    if (a->memory != b->memory)
        fail_msg("%s: memory %llu, expected %llu", path, (unsigned long long)a->memory,
                 (unsigned long long)b->memory);
    if (a->uuid_said) /* the first fields as guests print them, which libvirt does not look at */
        assert_memory_equal(a->uuid + 8, b->uuid + 8, 8);
    if (a->firmware && b->firmware)
        assert_string_equal(a->firmware, b->firmware);
    for (size_t i = 0; i < a->disks; i++)
        more += !a->disk[i].cdrom && a->disk[i].path;
    for (size_t i = 0; i < b->disks; i++)
        more -= !b->disk[i].cdrom && b->disk[i].path;
    if (more || a->disks < b->disks) /* their host lacks the image of some discs */
        fail_msg("%s: %zu disks, expected %zu", path, a->disks, b->disks);
    for (size_t i = 0; i < b->disks; i++) {
        const struct plan_disk *x = NULL, *y = &b->disk[i];

        for (size_t k = 0; k < a->disks; k++) {
            if (same_file(&a->disk[k], y))
                x = &a->disk[k];
        }
        if (!x || x->cdrom != y->cdrom || !same_place(x, y))
            fail_msg("%s: disk %s on %s %d:%d, expected %s %d:%d", path, y->path ? y->path : "none",
                     x ? x->bus : "none", x ? x->controller : 0, x ? x->unit : 0, y->bus,
                     y->controller, y->unit);
    }
    for (size_t i = 0; i < b->nics; i++)
        cards += !(b->nic[i].model && strcmp(b->nic[i].model, "none") == 0);
    if (a->nics != cards)
        fail_msg("%s: %zu cards, expected %zu", path, a->nics, cards);
    for (size_t i = 0; i < a->nics; i++) {
        assert_memory_equal(a->nic[i].mac, b->nic[i].mac, 6);
        if (a->nic[i].model && b->nic[i].model && strcmp(a->nic[i].model, "vif") != 0 &&
            strcasecmp(a->nic[i].model, b->nic[i].model) != 0)
            fail_msg("%s: card %s, expected %s", path, a->nic[i].model, b->nic[i].model);
    }
}

static void they_agree_with_the_expected_files(void **state)
{
    size_t pairs = 0;

    (void)state;
    need_samples();
    for (size_t i = 0; i < files; i++) {
        struct import_report ra = {0}, rb = {0};
        struct plan a, b;
        struct err e;
        char xml[600];

        if (!ends(file[i], ".vmx") && !ends(file[i], ".cfg"))
            continue;
        snprintf(xml, sizeof(xml), "%.*s.xml", (int)(strlen(file[i]) - 4), file[i]);
        if (access(xml, R_OK) < 0)
            continue;
        plan_init(&a);
        plan_init(&b);
        if (import_read(file[i], NULL, &a, &ra, &e) < 0 || import_read(xml, NULL, &b, &rb, &e) < 0)
            fail_msg("%s: %s", file[i], e.msg);
        same_machine(file[i], &a, &b);
        pairs++;
        plan_free(&a);
        plan_free(&b);
        import_report_free(&ra);
        import_report_free(&rb);
    }
    print_message("%zu pairs\n", pairs);
    assert_true(pairs > 60);
}

/* --- there and back --- */

/* The plan without the reason for its persona, and with the folder's name taken out. */
static char *plain(struct plan *p)
{
    char long_dir[80], *text, *at;
    struct err e;

    assert_int_equal(plan_set(&p->persona_why, NULL, &e), 0);
    assert_int_equal(plan_to_json(p, &text, &e), 0);
    snprintf(long_dir, sizeof(long_dir), "%s/Virtual Machines", dir);
    while ((at = strstr(text, long_dir)))
        memmove(at, at + strlen(long_dir), strlen(at + strlen(long_dir)) + 1);
    while ((at = strstr(text, dir)))
        memmove(at, at + strlen(dir), strlen(at + strlen(dir)) + 1);
    return text;
}

static void write_text(const char *name, const char *text, size_t n, char path[700])
{
    FILE *f;

    snprintf(path, 700, "%s/%s", dir, name);
    if (strchr(name, '/')) {
        char *slash = strrchr(path, '/');

        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void copy_here(const char *from, char path[700])
{
    FILE *f = fopen(from, "rb");
    static char text[8 << 20];
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, sizeof(text), f);
    fclose(f);
    write_text(base(from), text, n, path);
}

static void there_and_back(const char *from, const struct exporter_ops *o)
{
    struct export x = {.dir = dir};
    struct import_report ra = {0}, rb = {0};
    struct plan a, b;
    struct err e = {0};
    char path[700], *before, *after;

    copy_here(from, path);
    plan_init(&a);
    plan_init(&b);
    assert_int_equal(import_read(path, NULL, &a, &ra, &e), 0);
    unlink(path);
    if (o->make(&a, &x, &e) < 0)
        fail_msg("%s: %s", from, e.msg);
    write_text(x.file[0].name, x.file[0].text.s, x.file[0].text.len, path);
    if (import_read(path, NULL, &b, &rb, &e) < 0)
        fail_msg("%s as %s: %s\n%s", from, o->name, e.msg, x.file[0].text.s);
    unlink(path);
    before = plain(&a);
    after = plain(&b);
    if (strcmp(before, after) != 0)
        fail_msg("%s as %s is another machine:\n%s\n%s", from, o->name, before, after);
    free(before);
    free(after);
    plan_free(&a);
    plan_free(&b);
    import_report_free(&ra);
    import_report_free(&rb);
    export_free(&x);
}

static void what_goes_home_comes_back_the_same(void **state)
{
    size_t count = 0;

    (void)state;
    need_samples();
    for (size_t i = 0; i < files; i++) {
        struct import_report r = {0};
        const struct exporter_ops *o;
        struct err e;
        struct plan p;

        plan_init(&p);
        if (import_read(file[i], NULL, &p, &r, &e) == 0 && (o = exporter_find(r.format))) {
            there_and_back(file[i], o);
            count++;
        }
        plan_free(&p);
        import_report_free(&r);
    }
    print_message("%zu there and back\n", count);
    assert_true(count > 450);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_one_is_read_or_refused_in_a_sentence),
        cmocka_unit_test(every_key_is_told),
        cmocka_unit_test(they_agree_with_the_expected_files),
        cmocka_unit_test(what_goes_home_comes_back_the_same),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
