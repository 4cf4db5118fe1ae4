/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - the files of a catalogue; see store.h. */
#define _GNU_SOURCE
#include "catalogue/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue/faults.h"
#include "core/err.h"
#include "validation/bundle.h"
#include "validation/text.h"
#include "validation/vjson.h"

/* "00000001 " digest " " digest "\n" */
enum { LINE_NUMBER = 8, LINE = LINE_NUMBER + 1 + 64 + 1 + 64 + 1, ENTRY_MAX = 1 << 20 };
enum { STORE_VERSION = 2, CHAIN_MAX = 2000 << 20 };

static int store_path(const struct store *s, const char *name, char out[STORE_PATH], struct err *e)
{
    if (snprintf(out, STORE_PATH, "%s/%s", s->dir, name) >= STORE_PATH)
        return err_exit(e, EX_USAGE_, ENAMETOOLONG, "the path of the catalogue is too long: %s",
                        s->dir);
    return 0;
}

static int entry_path(const struct store *s, uint32_t n, char out[STORE_PATH], struct err *e)
{
    char name[64];

    snprintf(name, sizeof(name), "entries/%03u/%06u.json", n / 1000, n);
    return store_path(s, name, out, e);
}

/* --- catalogue.json --- */

static int head_json(uint64_t version, const char *name, const char *made, char **out,
                     struct err *e)
{
    struct json_object *o = json_object_new_object();

    vjson_add_number(o, "hospes-catalogue", version);
    vjson_add_text(o, "name", name);
    vjson_add_text(o, "made", made);
    return vjson_print(o, out, e);
}

static int head_read(struct store *s, struct err *e)
{
    char path[STORE_PATH], *text = NULL, *again = NULL;
    uint64_t version = 0;
    struct vjson j;
    size_t len;
    int rc = store_path(s, "catalogue.json", path, e);

    if (rc == 0)
        rc = vtext_read(path, ENTRY_MAX, &text, &len, e);
    if (rc == -ENOENT)
        return err_exit(e, EX_MISSING, ENOENT,
                        "%s is no catalogue: it has no catalogue.json; make one with hospes "
                        "catalogue add",
                        s->dir);
    if (rc < 0)
        return rc;
    vjson_open(&j, "catalogue.json", text, len, e);
    vjson_number(&j, j.top, "hospes-catalogue", true, INT32_MAX, &version);
    if (j.rc == 0 && version != 1 && version != STORE_VERSION)
        vjson_bad(&j, "hospes-catalogue", "1 or 2, the versions that this program knows");
    vjson_text(&j, j.top, "name", true, &s->name);
    vjson_text(&j, j.top, "made", true, &s->made);
    if (j.rc == 0)
        j.rc = head_json(version, s->name, s->made, &again, e);
    if (j.rc == 0)
        vjson_same(&j, text, len, again);
    if (version > 1)
        sha256_text(text, len, s->root);
    vjson_close(&j);
    free(text);
    return j.rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* Nothing is in it, or what a store_create() left that was interrupted: then the chain is empty. */
static bool dir_free(const char *dir)
{
    static const char *const parts[] = {".", "..", "entries", "bundles", "chain", "trust.json"};
    DIR *d = opendir(dir);
    struct dirent *x;
    struct stat st;
    bool ours = true;

    while (d && ours && (x = readdir(d))) {
        size_t i = 0, n = strlen(x->d_name);

        while (i < ARRAY_SIZE(parts) && strcmp(parts[i], x->d_name) != 0)
            i++;
        ours = i < ARRAY_SIZE(parts) ||
               (n > 5 && strcmp(x->d_name + n - 5, ".part") == 0); /* of file_replace() */
        if (strcmp(x->d_name, "chain") == 0)
            ours = fstatat(dirfd(d), x->d_name, &st, 0) == 0 && st.st_size == 0;
    }
    if (d)
        closedir(d);
    return ours;
}

static int create_file(const struct store *s, const char *name, const char *text, struct err *e)
{
    char path[STORE_PATH];
    int rc = store_path(s, name, path, e);

    return rc < 0 ? rc : vtext_write(path, text, strlen(text), e);
}

/* catalogue.json is last: with it, the folder is a catalogue. */
int store_create(const char *dir, const char *name, const char *trust, struct err *e)
{
    struct store s = {.lock = -1};
    char path[STORE_PATH], made[VTIME_TEXT], *text = NULL;
    int rc;

    if (strlen(dir) >= sizeof(s.dir))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG, "the path %s is too long", dir);
    memcpy(s.dir, dir, strlen(dir) + 1);
    if (!dir_free(dir))
        return err_exit(e, EX_USAGE_, ENOTEMPTY,
                        "%s has something in it and is no catalogue; name a new folder", dir);
    vtime_now(made);
    rc = store_path(&s, "entries", path, e);
    if (rc == 0)
        rc = vtext_mkdir(path, e);
    if (rc == 0)
        rc = store_path(&s, "bundles", path, e);
    if (rc == 0)
        rc = vtext_mkdir(path, e);
    if (rc == 0)
        rc = create_file(&s, "chain", "", e);
    if (rc == 0 && trust)
        rc = create_file(&s, "trust.json", trust, e);
    if (rc == 0)
        rc = head_json(STORE_VERSION, name, made, &text, e);
    if (rc == 0)
        rc = create_file(&s, "catalogue.json", text, e);
    free(text);
    return rc;
}

/* --- the chain --- */

static void chain_line(char out[LINE + 1], uint32_t n, const char *sha256, const char *before)
{
    char text[2 * V_SHA_TEXT + 16], link[V_SHA_TEXT];

    snprintf(text, sizeof(text), "%s %08u %s", before, n, sha256);
    sha256_text(text, strlen(text), link);
    snprintf(out, LINE + 1, "%08u %s %s\n", n, sha256, link);
}

static const char *chain_at(const struct store *s, uint32_t n)
{
    return s->chain + (size_t)(n - 1) * LINE;
}

void store_link(const struct store *s, uint32_t n, char out[V_SHA_TEXT])
{
    out[0] = '\0';
    if (n == 0 || n > s->count)
        return;
    memcpy(out, chain_at(s, n) + LINE_NUMBER + 1 + 64 + 1, 64);
    out[64] = '\0';
}

/* What line n + 1 follows from. */
static void chain_before(const struct store *s, uint32_t n, char out[V_SHA_TEXT])
{
    if (n == 0)
        memcpy(out, s->root, V_SHA_TEXT);
    else
        store_link(s, n, out);
}

static void chain_sha(const struct store *s, uint32_t n, char out[V_SHA_TEXT])
{
    memcpy(out, chain_at(s, n) + LINE_NUMBER + 1, 64);
    out[64] = '\0';
}

int store_check(const struct store *s, uint32_t from, struct err *e)
{
    char before[V_SHA_TEXT], sha[V_SHA_TEXT], line[LINE + 1];

    chain_before(s, from, before);
    for (uint32_t n = from + 1; n <= s->count; n++) {
        chain_sha(s, n, sha);
        chain_line(line, n, sha, before);
        if (memcmp(line, chain_at(s, n), LINE) != 0)
            return err_exit(e, EX_BAD_INPUT, EBADMSG,
                            "%s/chain was changed: line %u does not follow from %s; restore it "
                            "from a copy",
                            s->dir, n,
                            n > 1        ? "the lines before"
                            : s->root[0] ? "catalogue.json, or that was changed"
                                         : "nothing");
        store_link(s, n, before);
    }
    return 0;
}

/* Readers see the file itself: most of them need only a line or two. */
static int chain_map(struct store *s, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
    else if (st.st_size > CHAIN_MAX)
        rc = err_exit(e, EX_BAD_INPUT, EFBIG, "%s is too long for a chain", path);
    else if (st.st_size > 0) {
        s->mapped = (size_t)st.st_size;
        s->chain = mmap(NULL, s->mapped, PROT_READ, MAP_PRIVATE, fd, 0);
        if (s->chain == MAP_FAILED) {
            s->chain = NULL;
            rc = err_set(e, errno, "cannot map %s: %s", path, strerror(errno));
        }
        s->chain_len = s->mapped;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static int chain_read(struct store *s, struct err *e)
{
    char path[STORE_PATH];
    int rc = store_path(s, "chain", path, e);

    if (rc == 0)
        rc = s->lock >= 0 ? vtext_read(path, CHAIN_MAX, &s->chain, &s->chain_len, e)
                          : chain_map(s, path, e);
    if (rc < 0)
        return rc;
    /* A line that a crash cut off belongs to an addition that was never reported as done. */
    s->chain_len -= s->chain_len % LINE;
    s->count = (uint32_t)(s->chain_len / LINE);
    return 0;
}

/* --- opening --- */

static int store_lock(struct store *s, struct err *e)
{
    s->lock = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock < 0)
        return err_set(e, errno, "cannot open %s: %s", s->dir, strerror(errno));
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
        return err_exit(e, EX_IN_USE, EBUSY,
                        "another process is adding to the catalogue %s; try again when it is done",
                        s->dir);
    return 0;
}

static int store_trust(struct store *s, struct err *e)
{
    char path[STORE_PATH];
    int rc = store_path(s, "trust.json", path, e);

    if (rc < 0 || access(path, F_OK) < 0)
        return rc;
    return trust_read(path, &s->trust, e);
}

int store_open(const char *dir, bool write, struct store *out, struct err *e)
{
    int rc = 0;

    *out = (struct store){.lock = -1};
    if (strlen(dir) >= sizeof(out->dir))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG, "the path %s is too long", dir);
    memcpy(out->dir, dir, strlen(dir) + 1);
    rc = head_read(out, e);
    if (rc == 0 && write)
        rc = store_lock(out, e);
    if (rc == 0)
        rc = store_trust(out, e);
    if (rc == 0)
        rc = chain_read(out, e);
    if (rc == 0 && write)
        rc = store_check(out, 0, e);
    if (rc < 0)
        store_close(out);
    return rc;
}

void store_close(struct store *s)
{
    if (s->lock >= 0)
        close(s->lock);
    s->lock = -1;
    free(s->name);
    free(s->made);
    if (s->mapped)
        munmap(s->chain, s->mapped);
    else
        free(s->chain);
    s->mapped = 0;
    trust_free(&s->trust);
    s->name = s->made = s->chain = NULL;
}

/* --- entries --- */

void entry_free(struct entry *x)
{
    dsse_free(&x->d);
    claim_free(&x->claim);
    note_free(&x->note);
}

static void entry_signer(const struct store *s, struct entry *x)
{
    const char *made = x->is_note ? x->note.made : x->claim.made;
    const struct trusted *t;
    char why[200];

    x->signer[0] = x->who[0] = '\0';
    t = trust_signer(&s->trust, &x->d, 0, made, why, sizeof(why));
    if (!t)
        return;
    memcpy(x->signer, t->key.id, sizeof(x->signer));
    snprintf(x->who, sizeof(x->who), "%s", t->name);
}

static int entry_parse(const struct store *s, const char *text, size_t len, struct entry *x,
                       struct err *e)
{
    int rc = dsse_from_json(&x->d, text, len, e);

    if (rc < 0)
        return rc;
    x->is_note = strcmp(x->d.type, DSSE_NOTE) == 0;
    if (x->is_note)
        rc = note_from_json(&x->note, x->d.payload, x->d.len, e);
    else if (strcmp(x->d.type, DSSE_CLAIM) == 0)
        rc = claim_from_json(&x->claim, x->d.payload, x->d.len, e);
    else
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "its payload is %.64s, neither claim nor note",
                      x->d.type);
    if (rc == 0)
        entry_signer(s, x);
    return rc;
}

int store_read(const struct store *s, uint32_t n, struct entry *out, struct err *e)
{
    char path[STORE_PATH], *text = NULL, want[V_SHA_TEXT];
    size_t len = 0;
    int rc;

    *out = (struct entry){.n = n};
    claim_init(&out->claim);
    note_init(&out->note);
    if (n == 0 || n > s->count)
        return err_exit(e, EX_USAGE_, ENOENT, "%s has no entry %u", s->dir, n);
    rc = entry_path(s, n, path, e);
    if (rc == 0)
        rc = vtext_read(path, ENTRY_MAX, &text, &len, e);
    if (rc < 0)
        return rc;
    sha256_text(text, len, out->sha256);
    chain_sha(s, n, want);
    if (strcmp(out->sha256, want) != 0)
        rc = err_exit(e, EX_BAD_INPUT, EBADMSG, "%s was changed: its digest is not the chain's",
                      path);
    else
        rc = entry_parse(s, text, len, out, e);
    free(text);
    if (rc < 0)
        entry_free(out);
    return rc;
}

static int chain_append(struct store *s, const char *sha256, struct err *e)
{
    char path[STORE_PATH], before[V_SHA_TEXT], line[LINE + 1], *more;
    int rc = store_path(s, "chain", path, e), fd;

    if (rc < 0)
        return rc;
    chain_before(s, s->count, before);
    chain_line(line, s->count + 1, sha256, before);
    more = realloc(s->chain, s->chain_len + LINE + 1);
    if (!more)
        return err_set(e, ENOMEM, "no memory for the catalogue's chain");
    s->chain = more;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "cannot write %s: %s", path, strerror(errno));
    if (pwrite(fd, line, LINE, (off_t)s->chain_len) != LINE || fdatasync(fd) < 0)
        rc = err_set(e, errno ? errno : EIO, "cannot write %s: %s", path,
                     strerror(errno ? errno : EIO));
    close(fd);
    if (rc < 0)
        return rc;
    memcpy(s->chain + s->chain_len, line, LINE);
    s->chain_len += LINE;
    s->count++;
    return 0;
}

static bool chain_has(const struct store *s, const char *sha256)
{
    for (uint32_t n = 1; n <= s->count; n++) {
        if (memcmp(chain_at(s, n) + LINE_NUMBER + 1, sha256, 64) == 0)
            return true;
    }
    return false;
}

int store_add_envelope(struct store *s, const struct dsse *d, uint32_t *n, struct err *e)
{
    char path[STORE_PATH], sha[V_SHA_TEXT], *text;
    int rc = dsse_to_json(d, &text, e);

    if (n)
        *n = 0;
    if (rc < 0)
        return rc;
    sha256_text(text, strlen(text), sha);
    if (s->count >= STORE_ENTRIES_MAX) {
        free(text);
        return err_set(e, ENOSPC, "%s is full", s->dir);
    }
    if (!chain_has(s, sha)) {
        rc = entry_path(s, s->count + 1, path, e);
        if (rc == 0) {
            *strrchr(path, '/') = '\0';
            rc = vtext_mkdir(path, e);
            path[strlen(path)] = '/';
        }
        if (rc == 0)
            rc = vtext_write(path, text, strlen(text), e);
        if (rc == 0)
            rc = chain_append(s, sha, e);
        if (rc == 0 && n)
            *n = s->count;
    }
    free(text);
    return rc;
}

int store_add(struct store *s, const char *type, const char *payload, const struct seckey *key,
              uint32_t *n, struct err *e)
{
    struct dsse d = {.type = NULL};
    int rc = dsse_create(&d, type, payload, strlen(payload), e);

    if (rc == 0)
        rc = dsse_sign(&d, key, e);
    if (rc == 0)
        rc = store_add_envelope(s, &d, n, e);
    dsse_free(&d);
    return rc;
}

/* --- bundles --- */

bool store_bundle(const struct store *s, const char *sha256, char path[STORE_PATH])
{
    return snprintf(path, STORE_PATH, "%s/bundles/%s.tar.zst", s->dir, sha256) < STORE_PATH &&
           access(path, R_OK) == 0;
}

int store_add_bundle(struct store *s, const char *path, const char *sha256, struct err *e)
{
    char to[STORE_PATH], is[V_SHA_TEXT], *data;
    size_t len;
    int rc;

    if (store_bundle(s, sha256, to))
        return 0;
    rc = vtext_read(path, BUNDLE_BYTES_MAX, &data, &len, e);
    if (rc < 0)
        return rc;
    sha256_text(data, len, is);
    rc = strcmp(is, sha256) == 0
             ? vtext_write(to, data, len, e)
             : err_exit(e, EX_BAD_INPUT, EBADMSG, "%s was changed: its digest is not %.16s", path,
                        sha256);
    free(data);
    return rc;
}

/* --- verification --- */

struct verify {
    const struct store *s;
    struct faults f;
    struct bundle *b; /* the last one that was read */
};

/* NULL, with the fault told. */
static const struct bundle *verify_bundle(struct verify *v, uint32_t n, const char *sha256)
{
    char path[STORE_PATH];
    struct err e;

    if (v->b && strcmp(bundle_sha256(v->b), sha256) == 0)
        return v->b;
    bundle_free(v->b);
    v->b = NULL;
    if (!store_bundle(v->s, sha256, path))
        faults_add(&v->f, "entry %u rests on the bundle %.16s, which is not here", n, sha256);
    else if (bundle_read(path, &v->b, &e) < 0)
        faults_add(&v->f, "entry %u: %s", n, e.msg);
    else if (strcmp(bundle_sha256(v->b), sha256) != 0)
        faults_add(&v->f, "%s was changed: its digest is not its name", path);
    else
        return v->b;
    return NULL;
}

static void verify_tested(struct verify *v, const struct entry *x)
{
    const struct bundle *b = verify_bundle(v, x->n, x->claim.bundle);
    const struct vrecord *r = NULL;

    if (!b)
        return;
    for (size_t i = 0; i < bundle_records(b) && !r; i++) {
        if (strcmp(bundle_record_sha256(b, i), x->claim.record) == 0)
            r = bundle_record(b, i);
    }
    if (!r)
        faults_add(&v->f, "entry %u: its bundle has no record %.16s", x->n, x->claim.record);
    else if (strcmp(r->cell, x->claim.cell) != 0 || r->verdict != x->claim.verdict ||
             r->validated != x->claim.validated || strcmp(r->persona, x->claim.persona) != 0)
        faults_add(&v->f, "entry %u says of cell %s what its record does not say", x->n,
                   x->claim.cell);
}

int store_verify(const struct store *s, void (*each)(void *arg, const char *fault), void *arg,
                 struct err *e)
{
    struct verify v = {.s = s, .f = {each, arg, 0}};

    struct err broken;

    (void)e;
    if (store_check(s, 0, &broken) < 0)
        faults_add(&v.f, "%s", broken.msg);
    for (uint32_t n = 1; n <= s->count; n++) {
        struct entry x;
        struct err why;

        if (store_read(s, n, &x, &why) < 0) {
            faults_add(&v.f, "entry %u: %s", n, why.msg);
            continue;
        }
        if (!x.signer[0])
            faults_add(&v.f, "entry %u is signed by nobody whom trust.json lists", n);
        if (!x.is_note && x.claim.kind == CLAIM_TESTED)
            verify_tested(&v, &x);
        entry_free(&x);
    }
    bundle_free(v.b);
    return v.f.count;
}
