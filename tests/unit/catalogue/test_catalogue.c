/* SPDX-License-Identifier: Apache-2.0 */
/* A catalogue: entries that cannot be changed unseen, answers from its index, and its pages. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../validation/fake_vm.h"
#include "../validation/lab.h"
#include "catalogue/cell.h"
#include "catalogue/db.h"
#include "catalogue/site.h"
#include "core/err.h"
#include "unit.h"
#include "validation/bundle.h"
#include "validation/text.h"

static char dir[256], cat[300], bundle[300];
static struct seckey lab_key, other_key;

static void trust_them(bool both)
{
    struct trust t = {.n = 0};
    struct err e = {0};
    char path[400], *text;

    assert_int_equal(trust_add(&t, &lab_key.pub, "lab", ROLE_RUNNER, &e), 0);
    if (both)
        assert_int_equal(trust_add(&t, &other_key.pub, "other lab", ROLE_RUNNER, &e), 0);
    assert_int_equal(trust_to_json(&t, &text, &e), 0);
    snprintf(path, sizeof(path), "%s/trust.json", cat);
    assert_int_equal(vtext_write(path, text, strlen(text), &e), 0);
    free(text);
    trust_free(&t);
}

static int set_up(void **state)
{
    struct err e = {0};

    snprintf(dir, sizeof(dir), "%s/catalogue-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(dir));
    snprintf(cat, sizeof(cat), "%s/cat", dir);
    snprintf(bundle, sizeof(bundle), "%s/lab.tar.zst", dir);
    assert_int_equal(key_make(&lab_key, &e), 0);
    assert_int_equal(key_make(&other_key, &e), 0);
    assert_int_equal(store_create(cat, "test", NULL, &e), 0);
    trust_them(true);
    return 0;
}

static int tear_down(void **state)
{
    vtext_remove(dir);
    return 0;
}

/* --- writing --- */

static void add(const struct claim *c, const struct seckey *key)
{
    struct store s;
    struct err e = {0};
    uint32_t n;
    char *text;

    assert_int_equal(claim_to_json(c, &text, &e), 0);
    assert_int_equal(store_open(cat, true, &s, &e), 0);
    assert_int_equal(store_add(&s, DSSE_CLAIM, text, key, &n, &e), 0);
    assert_int_equal(n, s.count);
    store_close(&s);
    free(text);
}

static struct claim claim_of(enum claim_kind kind, const char *persona, const char *made,
                             const char *host_version, bool good)
{
    struct claim c;
    struct err e = {0};

    claim_init(&c);
    c.kind = kind;
    c.max_cpus = 2;
    c.max_memory = GiB;
    c.verdict = good ? V_PASS : V_FAIL;
    c.validated = good;
    memset(c.bundle, 'a', 64);
    memset(c.record, 'b', 64);
    memset(c.from, 'c', 64);
    assert_int_equal(vtext_set(&c.cell, "cell", &e), 0);
    assert_int_equal(vtext_set(&c.rule, "<newer> pass", &e), 0);
    assert_int_equal(vtext_set(&c.planned_for, "2027-01-01", &e), 0);
    assert_int_equal(vtext_set(&c.url, "https://v.example", &e), 0);
    assert_int_equal(vtext_set(&c.seen, "2026-11-01", &e), 0);
    assert_int_equal(vtext_set(&c.quote, "runs", &e), 0);
    assert_int_equal(vtext_set(&c.made, made, &e), 0);
    assert_int_equal(vtext_set(&c.persona, persona, &e), 0);
    assert_int_equal(vtext_set(&c.firmware, "bios", &e), 0);
    assert_int_equal(vfacts_set(&c.host, "product", "hospes", &e), 0);
    assert_int_equal(vfacts_set(&c.host, "version", host_version, &e), 0);
    assert_int_equal(vfacts_set(&c.guest, "vendor", "Debian", &e), 0);
    assert_int_equal(vfacts_set(&c.guest, "product", "Debian <12>", &e), 0);
    assert_int_equal(vfacts_set(&c.guest, "version", "6.1", &e), 0);
    assert_int_equal(vfacts_set(&c.guest, "arch", "amd64", &e), 0);
    return c;
}

static void say(enum claim_kind kind, const char *persona, const char *made, const char *host,
                bool good, const struct seckey *key)
{
    struct claim c = claim_of(kind, persona, made, host, good);

    add(&c, key);
    claim_free(&c);
}

#define DAY(n) "2026-11-0" #n "T00:00:00Z"

static struct cell the_cell;
static unsigned cells;

static int keep(void *arg, const struct cell *c)
{
    the_cell = *c;
    cells++;
    return 0;
}

static void ask(const char *guest, const char *persona, const char *current)
{
    struct store s;
    struct index *ix;
    struct err e = {0};

    cells = 0;
    assert_int_equal(store_open(cat, false, &s, &e), 0);
    if (index_open(&s, NULL, &ix, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(cells_each(ix, guest, persona, current, keep, NULL, &e), 0);
    index_close(ix);
    store_close(&s);
}

static char last_fault[1100];
static void fault(void *arg, const char *text)
{
    snprintf(last_fault, sizeof(last_fault), "%s", text);
}

static int faults(void)
{
    struct store s;
    struct err e = {0};
    int n;

    assert_int_equal(store_open(cat, false, &s, &e), 0);
    n = store_verify(&s, fault, NULL, &e);
    store_close(&s);
    return n;
}

/* Turns over one bit of a file. */
static long size_of(const char *name)
{
    char path[400];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", cat, name);
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void damage(const char *name, long at)
{
    char path[400];
    unsigned char c;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", cat, name);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

/* --- states --- */

static void only_a_trusted_test_makes_a_tick(void **state)
{
    struct seckey stranger;
    struct err e = {0};

    assert_int_equal(key_make(&stranger, &e), 0);
    say(CLAIM_TESTED, "xen", DAY(1), "0.1.0", true, &stranger);
    ask("debian 6.1", "xen", NULL);
    assert_int_equal(cells, 1);
    assert_int_equal(the_cell.state, CELL_UNKNOWN);
    say(CLAIM_PLANNED, "xen", DAY(1), "0.1.0", true, &lab_key);
    ask("DEBIAN amd64", "xen", NULL);
    assert_int_equal(the_cell.state, CELL_PLANNED);
    say(CLAIM_VENDOR_STATED, "xen", DAY(1), "0.1.0", true, &lab_key);
    say(CLAIM_INHERITED, "xen", DAY(1), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_INHERITED);
    assert_int_equal(the_cell.max_cpus, 0);
    say(CLAIM_TESTED, "xen", DAY(1), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_VALIDATED);
    assert_int_equal(the_cell.max_cpus, 2);
    assert_string_equal(the_cell.runner, "lab");
    ask("debian 13", NULL, NULL);
    assert_int_equal(cells, 0);
    ask(NULL, "kvm", NULL);
    assert_int_equal(cells, 0);
}

static void the_newest_test_counts_and_a_failure_is_not_hidden(void **state)
{
    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", true, &lab_key);
    say(CLAIM_TESTED, "kvm", DAY(3), "0.1.0", false, &lab_key);
    say(CLAIM_TESTED, "kvm", DAY(2), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_FAILED);
    assert_false(the_cell.disputed);
    /* the same run, another machine size */
    say(CLAIM_TESTED, "kvm", DAY(4), "0.1.0", false, &lab_key);
    say(CLAIM_TESTED, "kvm", DAY(4), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_FAILED);
}

static void disagreement_is_shown(void **state)
{
    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", false, &other_key);
    say(CLAIM_TESTED, "kvm", DAY(2), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_VALIDATED);
    assert_true(the_cell.disputed);
}

static void a_newer_host_makes_a_cell_stale(void **state)
{
    say(CLAIM_TESTED, "kvm", DAY(1), "0.9.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_false(the_cell.stale);
    ask(NULL, NULL, "0.10.0");
    assert_true(the_cell.stale);
    say(CLAIM_TESTED, "xen", DAY(2), "0.10.0", true, &lab_key);
    ask(NULL, "kvm", NULL);
    assert_true(the_cell.stale);
    ask(NULL, "xen", NULL);
    assert_false(the_cell.stale);
}

/* --- the chain --- */

static void each_changed_byte_is_found_and_named(void **state)
{
    char text[64];

    for (unsigned i = 1; i <= 3; i++)
        say(CLAIM_PLANNED, "kvm", DAY(1), i == 1 ? "1" : i == 2 ? "2" : "3", true, &lab_key);
    assert_int_equal(faults(), 0);
    for (long at = 0; at < 3 * 139; at++) {
        damage("chain", at);
        assert_true(faults() > 0);
        damage("chain", at);
    }
    for (unsigned n = 1; n <= 3; n++) {
        snprintf(text, sizeof(text), "entries/000/%06u.json", n);
        for (long at = 0; at < size_of(text); at++) {
            damage(text, at);
            assert_int_equal(faults(), 1);
            assert_non_null(strstr(last_fault, text));
            damage(text, at);
        }
    }
    assert_int_equal(faults(), 0);
}

static void an_index_is_made_again_when_it_does_not_fit(void **state)
{
    char path[400];
    struct err e = {0};

    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    say(CLAIM_TESTED, "kvm", DAY(2), "0.1.0", false, &lab_key);
    ask(NULL, NULL, NULL); /* brought up to date */
    assert_int_equal(the_cell.state, CELL_FAILED);
    vtext_remove(cat);
    assert_int_equal(store_create(cat, "test", NULL, &e), 0);
    trust_them(false);
    say(CLAIM_TESTED, "xen", DAY(1), "0.1.0", true, &lab_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(cells, 1);
    snprintf(path, sizeof(path), "%s/index.sqlite", cat);
    assert_int_equal(unlink(path), 0);
    ask(NULL, NULL, NULL);
    assert_string_equal(the_cell.persona, "xen");
}

/* What cannot be read is named, with what helps. */
static void an_index_that_is_none_says_so(void **state)
{
    char path[400];
    struct err e = {0};
    struct index *ix;
    struct store s;

    snprintf(path, sizeof(path), "%s/index.sqlite", cat);
    assert_int_equal(vtext_write(path, "garbage", 7, &e), 0);
    assert_int_equal(store_open(cat, false, &s, &e), 0);
    assert_true(index_open(&s, NULL, &ix, &e) < 0);
    assert_non_null(strstr(e.msg, path));
    assert_non_null(strstr(e.msg, "delete the file"));
    store_close(&s);
}

static bool last_remade;

/* Changes the index behind its back, even if it watches, and returns how many faults are found. */
static int index_after_all(bool unseen, const char *sql)
{
    struct err e = {0};
    struct store s;
    struct index *ix;
    struct db *db;
    char path[400];
    int n;

    ask(NULL, NULL, NULL);
    snprintf(path, sizeof(path), "%s/index.sqlite", cat);
    assert_int_equal(db_open(path, &db, &e), 0);
    if (unseen)
        assert_int_equal(db_run(db, "DROP TRIGGER claims_UPDATE", NULL, 0, NULL, NULL, &e), 0);
    assert_int_equal(db_run(db, sql, NULL, 0, NULL, NULL, &e), 0);
    db_close(db);
    assert_int_equal(store_open(cat, false, &s, &e), 0);
    assert_int_equal(index_open(&s, NULL, &ix, &e), 0);
    last_remade = index_remade(ix);
    n = index_verify(ix, fault, NULL, &e);
    assert_int_equal(index_rebuild(ix, &e), 0);
    assert_int_equal(index_verify(ix, fault, NULL, &e), 0);
    index_close(ix);
    store_close(&s);
    return n;
}

static int index_after(const char *sql)
{
    return index_after_all(false, sql);
}

static int index_after_unseen(const char *sql)
{
    return index_after_all(true, sql);
}

static void an_index_that_lies_is_found(void **state)
{
    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", false, &lab_key);
    say(CLAIM_TESTED, "xen", DAY(2), "0.1.0", true, &lab_key);
    assert_int_equal(index_after("SELECT 1"), 0);
    assert_false(last_remade);
    assert_int_equal(index_after("UPDATE hosts SET host_version = '9.9'"), 1);
    assert_int_equal(index_after("INSERT INTO guests VALUES ('x')"), 1);
    assert_int_equal(index_after_unseen("UPDATE claims SET validated = 1 WHERE n = 1"), 1);
    assert_non_null(strstr(last_fault, "entry 1"));
    assert_int_equal(index_after_unseen("UPDATE claims SET who = 'me' WHERE n = 2"), 1);
    assert_int_equal(index_after_unseen("UPDATE claims SET n = 1 - n WHERE n = 1"), 2);
    assert_false(last_remade);
}

static void an_index_that_somebody_changed_is_made_again(void **state)
{
    static const char *const changes[] = {
        "UPDATE claims SET validated = 1 WHERE n = 1",
        "DELETE FROM claims WHERE n = 1",
        "INSERT INTO claims (n) VALUES (0)",
        "INSERT INTO notes VALUES (1)",
        "DROP TABLE claims",
        "DELETE FROM state",
    };

    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", false, &lab_key);
    say(CLAIM_TESTED, "xen", DAY(2), "0.1.0", true, &lab_key);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        assert_int_equal(index_after(changes[i]), 0);
        assert_true(last_remade);
    }
}

static void a_key_that_is_trusted_no_more_makes_no_tick(void **state)
{
    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", true, &other_key);
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_VALIDATED);
    trust_them(false); /* without a new entry */
    ask(NULL, NULL, NULL);
    assert_int_equal(the_cell.state, CELL_UNKNOWN);
}

static void one_writer_at_a_time(void **state)
{
    struct store a, b;
    struct err e = {0};

    assert_int_equal(store_open(cat, true, &a, &e), 0);
    assert_int_equal(store_open(cat, true, &b, &e), -EBUSY);
    assert_int_equal(e.exit, EX_IN_USE);
    assert_int_equal(store_open(cat, false, &b, &e), 0);
    store_close(&b);
    store_close(&a);
    assert_int_equal(store_create(cat, "again", NULL, &e), -ENOTEMPTY);
}

/* --- from a real bundle to a page --- */

static char *page(const char *format, const char *name)
{
    char path[600], part[300], *text;
    struct err e = {0};

    snprintf(part, sizeof(part), "%s%s", format, name);
    snprintf(path, sizeof(path), "%s/site/%s", dir, part);
    if (vtext_read(path, 1 << 20, &text, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    return text;
}

static void add_lab(void)
{
    struct bundle *b;
    struct vrecord r;
    struct store s;
    struct err e = {0};
    struct lab lab;

    lab_open(&lab, NULL, "");
    fake_info = "{\"persona\":\"kvm\",\"guest\":[{\"id\":\"guest\",\"model\":\"x\"}]}";
    for (size_t i = 0; i < 2; i++) {
        lab_run(&lab, i, &r);
        vrecord_free(&r);
    }
    assert_int_equal(bundle_write(lab.out, bundle, &lab_key, 1, &e), 0);
    lab_close(&lab);
    assert_int_equal(bundle_read(bundle, &b, &e), 0);
    for (size_t i = 0; i < bundle_records(b); i++) {
        struct claim c;

        assert_int_equal(claim_of_record(&c, bundle_record(b, i), bundle_record_sha256(b, i),
                                         bundle_sha256(b), bundle_finished(b), &e),
                         0);
        add(&c, &lab_key);
        claim_free(&c);
    }
    assert_int_equal(store_open(cat, true, &s, &e), 0);
    assert_int_equal(store_add_bundle(&s, bundle, bundle_sha256(b), &e), 0);
    store_close(&s);
    bundle_free(b);
}

static void build(void)
{
    struct site_told told;
    struct store s;
    struct index *ix;
    struct err e = {0};
    char out[400];

    snprintf(out, sizeof(out), "%s/site", dir);
    assert_int_equal(store_open(cat, false, &s, &e), 0);
    assert_int_equal(index_open(&s, NULL, &ix, &e), 0);
    if (site_build(&s, ix, out, NULL, &told, &e) < 0)
        fail_msg("%s", e.msg);
    index_close(ix);
    store_close(&s);
}

/* What `hospes catalogue verify FOLDER SITE` finds; a catalogue that cannot be opened is a fault,
 * too. */
static int faults_of_both(void)
{
    char site[400];
    struct store s;
    struct err e = {0};
    int n;

    snprintf(site, sizeof(site), "%s/site", dir);
    if (store_open(cat, false, &s, &e) < 0) {
        fault(NULL, e.msg);
        return 1;
    }
    n = store_verify(&s, fault, NULL, &e);
    if (n == 0)
        n = site_verify(&s, site, NULL, fault, NULL, &e);
    store_close(&s);
    assert_true(n >= 0);
    return n;
}

/* Every `step`th byte of a file, and its last one. */
static void each_byte_counts(const char *name, long step)
{
    long size = size_of(name);

    assert_true(size > 0);
    for (long at = 0; at < size; at = at + step < size || at == size - 1 ? at + step : size - 1) {
        damage(name, at);
        last_fault[0] = '\0';
        if (faults_of_both() == 0)
            fail_msg("byte %ld of %s does not count", at, name);
        if (!strstr(last_fault, strrchr(name, '/') ? strrchr(name, '/') + 1 : name))
            fail_msg("byte %ld of %s: %s", at, name, last_fault);
        damage(name, at);
    }
}

static int below(const char *path, const struct stat *st, int what, struct FTW *f)
{
    char name[300];

    (void)st, (void)f;
    snprintf(name, sizeof(name), "..%s", path + strlen(dir));
    if (what == FTW_F && st->st_size > 0)
        each_byte_counts(name, 997);
    return 0;
}

static void each_byte_of_a_published_catalogue_counts(void **state)
{
    char path[400];

    add_lab();
    build();
    assert_int_equal(faults_of_both(), 0);
    each_byte_counts("catalogue.json", 1);
    each_byte_counts("../site/catalogue.json", 13);
    snprintf(path, sizeof(path), "%s/site", dir);
    assert_int_equal(nftw(path, below, 8, FTW_PHYS), 0);
    snprintf(path, sizeof(path), "%s/cat/bundles", dir);
    assert_int_equal(nftw(path, below, 8, FTW_PHYS), 0);
    assert_int_equal(faults_of_both(), 0);
}

static void a_page_more_or_less_is_found(void **state)
{
    char path[400], csv[400];

    add_lab();
    build();
    snprintf(path, sizeof(path), "%s/site/record/more.html", dir);
    snprintf(csv, sizeof(csv), "%s/site/catalogue.csv", dir);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0644)), 0);
    assert_int_equal(faults_of_both(), 1);
    assert_non_null(strstr(last_fault, "record/more.html is nothing that the catalogue makes"));
    assert_int_equal(rename(path, csv), 0);
    assert_int_equal(faults_of_both(), 1);
    assert_int_equal(unlink(csv), 0);
    assert_int_equal(faults_of_both(), 1);
    assert_non_null(strstr(last_fault, "catalogue.csv is missing"));
    assert_int_equal(mkfifo(csv, 0644), 0);
    assert_int_equal(faults_of_both(), 1); /* and nobody waits for who writes into it */
}

/* Those that were made before the chain began with catalogue.json. */
static void a_catalogue_of_version_1_goes_on(void **state)
{
    static const char head[] = "{\n  \"hospes-catalogue\":1,\n  \"name\":\"test\",\n"
                               "  \"made\":\"2026-11-01T00:00:00Z\"\n}\n";
    char path[400];
    struct err e = {0};

    snprintf(path, sizeof(path), "%s/catalogue.json", cat);
    assert_int_equal(vtext_write(path, head, strlen(head), &e), 0);
    say(CLAIM_PLANNED, "kvm", DAY(1), "1", true, &lab_key);
    assert_int_equal(faults(), 0);
    damage("catalogue.json", (long)(strchr(head, '1') - head)); /* not a version that there is */
    assert_int_equal(store_open(cat, false, &(struct store){.lock = -1}, &e), -EINVAL);
    damage("catalogue.json", (long)(strchr(head, '1') - head));
    say(CLAIM_PLANNED, "kvm", DAY(1), "2", true, &lab_key);
    assert_int_equal(faults(), 0);
}

/* What stands between `before` and the first of `stop`. */
static void link_after(const char *text, const char *before, const char *stop, char out[200])
{
    const char *at = strstr(text, before);

    assert_non_null(at);
    at += strlen(before);
    snprintf(out, 200, "%.*s", (int)strcspn(at, stop), at);
}

static void every_tick_leads_to_its_log_lines(void **state)
{
    char *index, *guest, *record, *log, name[200];

    add_lab();
    if (faults())
        fail_msg("%s", last_fault);
    build();
    index = page("index.html", "");
    assert_non_null(strstr(index, "validated"));
    link_after(index, "href=\"guest/", "\"#", name);
    guest = page("guest/", name);
    link_after(guest, "href=\"../record/", "\"", name);
    record = page("record/", name);
    link_after(record, "href=\"../log/", "#", name);
    log = page("log/", name);
    assert_non_null(strstr(log, "id=\"L1\""));
    assert_non_null(strstr(record, "hospes validate run-cell"));
    free(index);
    free(guest);
    free(record);
    free(log);
}

static void a_claim_that_its_bundle_does_not_bear_out_is_found(void **state)
{
    char path[400];

    add_lab();
    say(CLAIM_TESTED, "kvm", DAY(1), "0.1.0", true, &lab_key); /* of a bundle that nobody has */
    assert_int_equal(faults(), 1);
    assert_non_null(strstr(last_fault, "is not here"));
    snprintf(path, sizeof(path), "%s/bundles", cat);
    vtext_remove(path);
    assert_int_equal(faults(), 3);
}

static void texts_of_claims_cannot_become_markup(void **state)
{
    char *index, *csv;

    say(CLAIM_TESTED, "kvm", DAY(1), "=1+1", true, &lab_key);
    build();
    build(); /* in place of the first one */
    index = page("index.html", "");
    assert_null(strstr(index, "<12>"));
    assert_non_null(strstr(index, "&lt;12&gt;"));
    csv = page("catalogue.csv", "");
    assert_null(strstr(csv, "\"=1+1\""));
    assert_non_null(strstr(csv, "\"'=1+1\""));
    free(index);
    free(csv);
}

static void a_folder_that_is_no_site_is_not_replaced(void **state)
{
    struct site_told told;
    struct store s;
    struct index *ix;
    struct err e = {0};

    assert_int_equal(store_open(cat, false, &s, &e), 0);
    assert_int_equal(index_open(&s, NULL, &ix, &e), 0);
    assert_int_equal(site_build(&s, ix, dir, NULL, &told, &e), -ENOTEMPTY);
    assert_int_equal(access(cat, F_OK), 0);
    index_close(ix);
    store_close(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(only_a_trusted_test_makes_a_tick),
        TEST(the_newest_test_counts_and_a_failure_is_not_hidden),
        TEST(disagreement_is_shown),
        TEST(a_newer_host_makes_a_cell_stale),
        TEST(each_changed_byte_is_found_and_named),
        TEST(an_index_is_made_again_when_it_does_not_fit),
        TEST(an_index_that_is_none_says_so),
        TEST(an_index_that_lies_is_found),
        TEST(an_index_that_somebody_changed_is_made_again),
        TEST(a_key_that_is_trusted_no_more_makes_no_tick),
        TEST(one_writer_at_a_time),
        TEST(every_tick_leads_to_its_log_lines),
        TEST(each_byte_of_a_published_catalogue_counts),
        TEST(a_page_more_or_less_is_found),
        TEST(a_catalogue_of_version_1_goes_on),
        TEST(a_claim_that_its_bundle_does_not_bear_out_is_found),
        TEST(texts_of_claims_cannot_become_markup),
        TEST(a_folder_that_is_no_site_is_not_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
