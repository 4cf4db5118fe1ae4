/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.c - which boot loaders a disk has, for which firmware, and where their menus lie.
 *
 * Boot sectors are known by the words in them, all others by their files. EFI variables are not on
 * a disk, so a loader counts for UEFI only when it has the name that firmware looks for by itself.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "abi/iso9660.h"
#include "core/path.h"
#include "inspect/look.h"

enum { MENU_MAX = 512 << 10, ENV_MAX = 4096, SECTOR = 512 };

static struct inspect_loader *loader_add(struct look *l, const char *name, bool uefi,
                                         const char *where)
{
    struct inspect *o = l->out;
    struct inspect_loader *x;

    for (unsigned i = 0; i < o->loaders; i++) {
        if (strcmp(o->loader[i].name, name) == 0 && o->loader[i].uefi == uefi)
            return &o->loader[i];
    }
    if (o->loaders == INSPECT_LOADERS)
        return NULL;
    x = &o->loader[o->loaders++];
    text_copy(x->name, sizeof(x->name), name);
    text_copy(x->where, sizeof(x->where), where);
    x->uefi = uefi;
    return x;
}

/* --- boot sectors --- */

static bool has(const uint8_t *b, size_t n, const char *word)
{
    return memmem(b, n, word, strlen(word)) != NULL;
}

static const char *sector_loader(const uint8_t *b)
{
    if (has(b, SECTOR, "GRUB "))
        return "grub";
    if (memcmp(b + 6, "LILO", 4) == 0)
        return "lilo";
    if (has(b, SECTOR, "isolinux.bin"))
        return "isolinux";
    if (has(b, SECTOR, "SYSLINUX") || has(b, SECTOR, "EXTLINUX"))
        return "syslinux";
    if (has(b, SECTOR, "BOOTMGR") || memmem(b, SECTOR, "B\0O\0O\0T\0M\0G", 11))
        return "windows-bootmgr";
    if (has(b, SECTOR, "NTLDR"))
        return "ntldr";
    if (has(b, SECTOR, "BTX") || has(b, SECTOR, "Boot loader too large"))
        return "freebsd-boot";
    return NULL;
}

static void look_sectors(struct look *l)
{
    uint8_t b[SECTOR];
    const char *name;
    char where[96];

    if (vol_read(&l->disk, 0, b, sizeof(b)) == 0 && le16_at(b + 510) == 0xaa55) {
        name = sector_loader(b);
        l->out->bios = l->table.boot_code;
        if (name)
            loader_add(l, name, false, "the first sector");
    }
    for (size_t i = 0; i < l->places; i++) {
        if (vol_read(l->place[i].vol, 0, b, sizeof(b)) < 0 || le16_at(b + 510) != 0xaa55)
            continue;
        name = sector_loader(b);
        /* Windows puts its code on each volume that it formats; the loader is a file. */
        if (name && strcmp(name, "windows-bootmgr") != 0 && strcmp(name, "ntldr") != 0)
            loader_add(l, name, false, look_name(l, i, where));
    }
}

/* El Torito: a catalogue of what the firmware may start from a CD. */
static void look_el_torito(struct look *l)
{
    uint8_t b[ISO_SECTOR];

    if (vol_read(&l->disk, ISO_DESCRIPTOR_AT + ISO_SECTOR, b, sizeof(b)) < 0 ||
        memcmp(b, "\0" ISO_ID "\1EL TORITO", 16) != 0)
        return;
    if (vol_read(&l->disk, (uint64_t)le32_at(b + 71) * ISO_SECTOR, b, sizeof(b)) < 0 || b[0] != 1)
        return;
    for (size_t at = 0; at + 64 <= sizeof(b); at += at == 0 ? 64 : 32) {
        uint8_t platform = at == 0 ? b[1] : b[at + 1];
        uint8_t entry = at == 0 ? b[32] : b[at + 32];

        if (at > 0 && b[at] != 0x90 && b[at] != 0x91)
            continue;
        l->out->bios |= platform == 0 && entry == 0x88;
        l->out->uefi |= platform == 0xef && entry == 0x88;
    }
}

/* --- files for UEFI --- */

struct efi_scan {
    struct look *l;
    const struct fstree *t;
    size_t place;
    char dir[300];
    bool fallback, any;
};

static const char *efi_loader(const char *name)
{
    static const struct {
        const char *part, *loader;
    } known[] = {
        {"grub", "grub2"},
        {"shim", "grub2"},
        {"systemd-boot", "systemd-boot"},
        {"bootmgfw", "windows-bootmgr"},
        {"loader.efi", "freebsd-loader"},
        {"refind", "refind"},
        {"syslinux", "syslinux"},
        {"elilo", "elilo"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcasestr(name, known[i].part))
            return known[i].loader;
    }
    return NULL;
}

static int efi_file(void *arg, const char *name, const struct fs_node *n)
{
    struct efi_scan *s = arg;
    const char *loader = efi_loader(name);
    char where[400], place[96];

    if (!path_has_suffix(name, ".efi"))
        return 0;
    s->any = true;
    if (strcasecmp(s->dir, "boot") == 0 &&
        (strcasecmp(name, "bootx64.efi") == 0 || strcasecmp(name, "bootia32.efi") == 0))
        s->fallback = true;
    if (!loader)
        return 0;
    snprintf(where, sizeof(where), "%s: /EFI/%s/%s", look_name(s->l, s->place, place), s->dir,
             name);
    loader_add(s->l, loader, true, where);
    return 0;
}

static int efi_vendor(void *arg, const char *name, const struct fs_node *n)
{
    struct efi_scan *s = arg;
    char path[320];

    snprintf(s->dir, sizeof(s->dir), "%s", name);
    snprintf(path, sizeof(path), "/EFI/%s", name);
    (void)!fstree_list(s->t, path, efi_file, s);
    if (strcasecmp(name, "microsoft") == 0) {
        snprintf(s->dir, sizeof(s->dir), "%s/Boot", name);
        snprintf(path, sizeof(path), "/EFI/%s/Boot", name);
        (void)!fstree_list(s->t, path, efi_file, s);
    }
    return 0;
}

static void look_efi(struct look *l, size_t place, const struct fstree *t)
{
    struct efi_scan s = {.l = l, .t = t, .place = place};

    if (strncmp(l->place[place].fs.name, "fat", 3) != 0)
        return;
    (void)!fstree_list(t, "/EFI", efi_vendor, &s);
    l->out->uefi |= s.fallback;
    if (s.any && !s.fallback)
        inspect_note(l->out, "UEFI loaders are there, but none has the name that firmware starts "
                             "without saved settings (EFI/BOOT/BOOTX64.EFI)");
}

/* --- menus --- */

static void menu_file(struct look *l, size_t place, const struct fstree *t, const char *kind,
                      const char *path)
{
    char env_path[FS_PATH_MAX], where[512], name[96];
    char *text, *env = NULL;
    size_t n, entries = l->entries;
    const char *slash = strrchr(path, '/');

    if (fstree_load(t, path, (size_t)min_u64(MENU_MAX, l->menus), &text, &n) < 0)
        return;
    l->menus -= n;
    snprintf(env_path, sizeof(env_path), "%.*s/grubenv", (int)(slash - path), path);
    if (strcmp(kind, "grub2") == 0 && fstree_load(t, env_path, ENV_MAX, &env, &n) < 0)
        env = NULL;
    look_menu(l, place, kind, text, env);
    snprintf(where, sizeof(where), "%s: %s", look_name(l, place, name), path);
    if (l->entries > entries || strcmp(kind, "grub2") == 0)
        loader_add(l, kind, false, where);
    free(text);
    free(env);
}

struct bls_scan {
    struct look *l;
    const struct fstree *t;
    size_t place;
    const char *dir, *env;
    unsigned files;
};

static int bls_file(void *arg, const char *name, const struct fs_node *n)
{
    struct bls_scan *s = arg;
    size_t len = strlen(name), had = s->l->entries, size;
    char path[FS_PATH_MAX], *text;

    if (len < 6 || strcmp(name + len - 5, ".conf") != 0 || ++s->files > LOOK_ENTRIES)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    if (fstree_load(s->t, path, (size_t)min_u64(MENU_MAX, s->l->menus), &text, &size) < 0)
        return 0;
    s->l->menus -= size;
    look_menu(s->l, s->place, "bls", text, s->env);
    free(text);
    if (s->l->entries == had + 1)
        snprintf(s->l->entry[had].id, sizeof(s->l->entry[had].id), "%.*s", (int)(len - 5), name);
    return 0;
}

/* EFI/Linux/x.efi: an entry without a menu. */
static int unified_file(void *arg, const char *name, const struct fs_node *n)
{
    struct bls_scan *s = arg;
    struct boot_entry *e;

    if (!path_has_suffix(name, ".efi") || ++s->files > LOOK_ENTRIES)
        return 0;
    e = look_entry(s->l, s->place);
    if (!e)
        return 0;
    snprintf(e->kernel, sizeof(e->kernel), "/EFI/Linux/%.140s", name);
    text_copy(e->title, sizeof(e->title), name);
    snprintf(e->id, sizeof(e->id), "%.*s", (int)min_u64((uint64_t)(path_suffix(name) - name), 95),
             name);
    return 0;
}

/* The newest file name starts first, unless the environment or loader.conf names another one. */
static void bls_choose(struct look *l, size_t from, const char *env, const char *conf)
{
    char want[96] = "";
    size_t best = from;

    for (size_t i = from; i < l->entries; i++) {
        if (strverscmp(l->entry[i].id, l->entry[best].id) > 0)
            best = i;
    }
    if (!text_value(env, "saved_entry", want, sizeof(want)) && conf) {
        const char *at = strstr(conf, "default");

        if (at && sscanf(at, "default %90s", want) != 1)
            want[0] = '\0';
    }
    for (size_t i = from; i < l->entries && want[0]; i++) {
        size_t n = strcspn(want, "*");

        if (strncmp(l->entry[i].id, want, n) == 0)
            best = i;
    }
    if (from < l->entries)
        l->entry[best].first = true;
}

static void look_bls(struct look *l, size_t place, const struct fstree *t, const char *base)
{
    static const char *const envs[] = {"/boot/grub2/grubenv", "/grub2/grubenv"};
    char dir[64], conf_path[64], where[256], name[96];
    char *env = NULL, *conf = NULL;
    size_t n, from = l->entries;
    struct bls_scan s = {l, t, place, dir, "", 0};

    snprintf(dir, sizeof(dir), "%s/loader/entries", base);
    snprintf(conf_path, sizeof(conf_path), "%s/loader/loader.conf", base);
    for (size_t i = 0; i < ARRAY_SIZE(envs) && !env; i++) {
        if (fstree_load(t, envs[i], ENV_MAX, &env, &n) < 0)
            env = NULL;
    }
    if (fstree_load(t, conf_path, ENV_MAX, &conf, &n) < 0)
        conf = NULL;
    s.env = env ? env : "";
    (void)!fstree_list(t, dir, bls_file, &s);
    if (!*base)
        (void)!fstree_list(t, "/EFI/Linux", unified_file, &s);
    bls_choose(l, from, s.env, conf);
    if (l->entries > from && conf) {
        snprintf(where, sizeof(where), "%s: %s", look_name(l, place, name), dir);
        loader_add(l, "systemd-boot", true, where);
    }
    free(env);
    free(conf);
}

static void look_menus(struct look *l, size_t place, const struct fstree *t)
{
    static const struct {
        const char *kind, *path;
    } menus[] = {
        {"grub2", "/boot/grub/grub.cfg"},
        {"grub2", "/boot/grub2/grub.cfg"},
        {"grub2", "/grub/grub.cfg"},
        {"grub2", "/grub2/grub.cfg"},
        {"grub", "/boot/grub/menu.lst"},
        {"grub", "/boot/grub/grub.conf"},
        {"grub", "/grub/menu.lst"},
        {"grub", "/grub/grub.conf"},
        {"syslinux", "/extlinux.conf"},
        {"syslinux", "/syslinux.cfg"},
        {"syslinux", "/boot/extlinux.conf"},
        {"syslinux", "/boot/extlinux/extlinux.conf"},
        {"syslinux", "/extlinux/extlinux.conf"},
        {"syslinux", "/syslinux/syslinux.cfg"},
        {"syslinux", "/boot/syslinux/syslinux.cfg"},
        {"syslinux", "/isolinux/isolinux.cfg"},
        {"syslinux", "/isolinux/txt.cfg"},
        {"syslinux", "/isolinux/live.cfg"},
        {"syslinux", "/boot/isolinux/isolinux.cfg"},
        {"lilo", "/etc/lilo.conf"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(menus); i++)
        menu_file(l, place, t, menus[i].kind, menus[i].path);
    look_bls(l, place, t, "");
    look_bls(l, place, t, "/boot");
}

/* Files of loaders that have no menu that is read. */
static void look_files(struct look *l, size_t place, const struct fstree *t)
{
    static const struct {
        const char *path, *name;
    } files[] = {
        {"/bootmgr", "windows-bootmgr"},
        {"/ntldr", "ntldr"},
        {"/boot/loader", "freebsd-loader"},
        {"/isolinux/isolinux.bin", "isolinux"},
    };
    char name[96], where[160];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct fs_node n;
        struct fs *fs;

        if (fstree_find(t, files[i].path, &fs, &n) == 0 && n.kind == FS_FILE) {
            snprintf(where, sizeof(where), "%s: %s", look_name(l, place, name), files[i].path);
            loader_add(l, files[i].name, false, where);
        }
    }
}

void look_loaders(struct look *l)
{
    struct top tops[LOOK_TOPS];
    struct fstree t;

    look_stage(l, "boot loaders");
    look_sectors(l);
    look_el_torito(l);
    for (size_t i = 0; i < l->places; i++) {
        size_t n = l->place[i].readable ? look_tops(l, i, tops) : 0;

        for (size_t k = 0; k < n; k++) {
            fstree_init(&t, &l->place[i].fs, &tops[k].node);
            if (k == 0)
                look_efi(l, i, &t);
            look_menus(l, i, &t);
            look_files(l, i, &t);
        }
    }
    /* The sector of GRUB is the same for both; its menu tells which one it is. */
    for (unsigned i = 0; i < l->out->loaders; i++) {
        for (unsigned k = 0; k < l->out->loaders; k++) {
            if (strcmp(l->out->loader[i].name, "grub") == 0 &&
                strcmp(l->out->loader[k].name, "grub2") == 0)
                text_copy(l->out->loader[i].name, sizeof(l->out->loader[i].name), "grub2");
        }
    }
}
