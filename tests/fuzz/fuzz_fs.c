/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to a file system: the input is a list of patches to a small image of each kind, which the
 * target makes once. Whole images would be too long to mutate: most of their bytes are zeroes.
 *
 * Input: one byte for the kind; then patches of (block in use, offset in it, length, bytes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/file.h"
#include "fuzz.h"
#include "inspect/fs.h"
#include "inspect/fs/btrfs.h"

enum { KINDS = 6, BLOCK = 512, PATCHES = 64, DEPTH = 6 };

static struct {
    uint8_t *b;
    size_t n;
    uint32_t *used; /* blocks with something in them */
    size_t nused;
} image[KINDS];

static const char *const makers[KINDS] = {
    "mkfs.xfs -q -p proto f",
    "mkfs.btrfs -q --rootdir t f",
    "mkntfs -q -F f && ntfscp -f f t/big big && ntfscp -f f t/a a",
    "rm f; mkfs.vfat -C -F 16 -s 1 f 8192 && mcopy -s -i f t/* ::",
    "rm f; genisoimage -quiet -R -J -o f t",
    "rm f; makefs -t ffs -o version=2 -s 8m f t",
};
static const char *const sizes[KINDS] = {"300M", "110M", "8M", "8M", "8M", "8M"};

static void load(unsigned k, const char *dir)
{
    static const uint8_t zeroes[BLOCK];
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/f", dir);
    f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        return;
    image[k].n = (size_t)ftell(f);
    rewind(f);
    image[k].b = malloc(image[k].n + 1);
    image[k].used = calloc(image[k].n / BLOCK + 1, sizeof(uint32_t));
    if (image[k].b && image[k].used && fread(image[k].b, 1, image[k].n, f) == image[k].n) {
        for (size_t i = 0; i + BLOCK <= image[k].n; i += BLOCK) {
            if (memcmp(image[k].b + i, zeroes, BLOCK) != 0)
                image[k].used[image[k].nused++] = (uint32_t)(i / BLOCK);
        }
    }
    fclose(f);
}

static void make(void)
{
    char dir[64], cmd[1024];
    static bool made;

    if (made || file_mktemp("/tmp", "hospes-fuzz", dir, sizeof(dir)) < 0)
        return;
    made = true;
    snprintf(
        cmd, sizeof(cmd),
        "cd %s && mkdir -p t/d && echo hello > t/a && head -c 90000 /dev/zero | tr '\\0' x > "
        "t/big && ln -s ../a t/d/l && for i in 1 2 3 4 5 6 7 8 9; do echo $i > t/d/name-$i; done; "
        "printf '/x\\n1 1\\nd--755 0 0\\na ---644 0 0 t/a\\nbig ---644 0 0 t/big\\nd d--755 0 "
        "0\\nl "
        "l--777 0 0 ../a\\n$\\n$\\n' > proto",
        dir);
    (void)!system(cmd);
    for (unsigned k = 0; k < KINDS; k++) {
        snprintf(cmd, sizeof(cmd),
                 "cd %s && PATH=$PATH:/sbin:/usr/sbin; rm -f f; truncate -s %s f; { %s ; } "
                 ">/dev/null 2>&1",
                 dir, sizes[k], makers[k]);
        if (k == 3)
            snprintf(cmd + strlen(cmd), sizeof(cmd) - strlen(cmd), "; rm -f t/d/l");
        (void)!system(cmd);
        load(k, dir);
    }
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    (void)!system(cmd);
}

/* --- a walk over all there is --- */

struct walk {
    struct fs *fs;
    unsigned depth, left;
};

static int visit(void *arg, const char *name, const struct fs_node *n)
{
    struct walk *w = arg;
    struct fs_node node = *n;
    uint8_t b[5000];
    char link[256];

    if (w->left == 0)
        return 1;
    w->left--;
    if (w->fs->ops->stat(w->fs, &node) < 0)
        return 0;
    if (node.kind == FS_DIR && w->depth < DEPTH) {
        struct walk below = {w->fs, w->depth + 1, w->left};

        (void)!w->fs->ops->list(w->fs, &node, visit, &below);
        w->left = below.left;
    } else if (node.kind == FS_FILE) {
        (void)!w->fs->ops->read(w->fs, &node, 0, b, sizeof(b));
        (void)!w->fs->ops->read(w->fs, &node, node.size / 2, b, sizeof(b));
    } else if (node.kind == FS_LINK && w->fs->ops->link) {
        (void)!w->fs->ops->link(w->fs, &node, link, sizeof(link));
    }
    return 0;
}

static void look(uint8_t *b, size_t n)
{
    static struct work work;
    struct fs_node other;
    struct vol v;
    struct fs fs;
    struct fstree t;
    struct walk w = {&fs, 0, 300};

    work.calls = 20000;
    work.bytes = 16 << 20;
    vol_mem(&v, b, n, &work);
    if (!fs_open(&v, &fs))
        return;
    if (!fs.why[0]) {
        (void)!fs.ops->list(&fs, &fs.top, visit, &w);
        fstree_init(&t, &fs, NULL);
        (void)!fstree_has(&t, "/d/l");
        (void)!fstree_has(&t, "/d/../d/name-3");
        if (strcmp(fs.name, "btrfs") == 0)
            (void)!btrfs_default(&fs, &other);
    }
    fs_close(&fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct {
        size_t at;
        uint8_t was[32];
        size_t n;
    } undo[PATCHES];
    size_t patches = 0, at = 1;
    unsigned k;

    make();
    if (size < 1 || !image[k = data[0] % KINDS].nused)
        return 0;
    while (at + 4 <= size && patches < PATCHES) {
        size_t n = 1 + data[at + 3] % 32, block = le16_at(data + at) % image[k].nused;
        size_t to = (size_t)image[k].used[block] * BLOCK + data[at + 2] * 2U;

        at += 4;
        n = n < size - at ? n : size - at;
        n = n < image[k].n - to ? n : image[k].n - to;
        undo[patches].at = to;
        undo[patches].n = n;
        memcpy(undo[patches].was, image[k].b + to, n);
        memcpy(image[k].b + to, data + at, n);
        at += n;
        patches++;
    }
    look(image[k].b, image[k].n);
    while (patches-- > 0)
        memcpy(image[k].b + undo[patches].at, undo[patches].was, undo[patches].n);
    return 0;
}
