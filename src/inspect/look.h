/* SPDX-License-Identifier: Apache-2.0 */
/* look.h - what the parts of one inspection share. */
#ifndef HOSPES_INSPECT_LOOK_H
#define HOSPES_INSPECT_LOOK_H

#include "inspect/fs.h"
#include "inspect/inspect.h"
#include "inspect/lvm.h"
#include "inspect/part.h"

enum { LOOK_PLACES = INSPECT_PARTS, LOOK_ENTRIES = 64 };

/* Bytes of one disk that may hold a file system; the i-th is out->part[i]. */
struct place {
    struct vol own, *vol; /* vol: own, or a logical volume's */
    struct fs fs;
    bool readable; /* fs is open and whole */
    enum part_use use;
};

/* One line of a boot loader's menu, as it is written there. */
struct boot_entry {
    char title[96], id[96], kernel[160], initrd[160], append[256], uuid[40];
    bool first;
    unsigned place; /* where the menu was found */
};

struct look {
    struct inspect *out;
    struct work work;
    struct vol disk;
    struct part_table table;
    struct lvm lvm;
    struct place place[LOOK_PLACES];
    size_t places;
    struct boot_entry entry[LOOK_ENTRIES];
    size_t entries;
    uint64_t unpacked; /* bytes that may still be unpacked */
    uint64_t menus;    /* bytes of menus that may still be read */
};

void look_stage(struct look *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "partition 2", "vg/root", "the disk". */
const char *look_name(const struct look *l, size_t place, char buf[96]);
/* The place of a file system by UUID=, LABEL=, PARTUUID=, /dev/mapper/vg-lv, /dev/vg/lv or, where
 * there is nothing better, a disk's name and number. -1: none. */
int look_source(const struct look *l, const char *source);

/* Folders that may be the root of a system on one file system: its top, subvolumes. */
enum { LOOK_TOPS = 8 };
struct top {
    struct fs_node node;
    char name[24]; /* of the subvolume; "" for the top */
};
size_t look_tops(struct look *l, size_t place, struct top tops[LOOK_TOPS]);

/* loader.c: fills out->loader, and l->entry from their menus. */
void look_loaders(struct look *l);
/* menu.c: one menu; kind is "grub2", "grub", "syslinux", "bls" or "lilo". text is changed. */
void look_menu(struct look *l, size_t place, const char *kind, char *text, const char *env);
struct boot_entry *look_entry(struct look *l, size_t place); /* a new one; NULL: no room */

/* Each fills a new out->system when the tree is such a system; true then. */
bool look_linux(struct look *l, size_t place, const struct fs_node *top, const char *where);
bool look_windows(struct look *l, size_t place, const char *where);
bool look_unix(struct look *l, size_t place, const char *where);
struct inspect_system *look_system(struct look *l, enum guest_family f, const char *where);
/* Kernels on a medium that is no installed system: live and installation media. */
void look_media(struct look *l);

/* kernels.c: the kernels of a system, from the menus and from /boot. */
void look_kernels(struct look *l, size_t place, const struct fstree *t, struct inspect_system *s);

/* initramfs.c */
struct initramfs {
    uint64_t drivers, builtin;
    bool builtin_known;
    unsigned modules;
    char tool[20], packed[8], version[96], why[96];
};
typedef ssize_t look_source_fn(void *arg, uint64_t off, void *buf, size_t len);
void look_initramfs(look_source_fn *from, void *arg, uint64_t *unpacked, struct initramfs *out);
/* Drivers named in a list of paths of modules, one a line: modules.builtin, modules.dep. */
uint64_t look_module_list(const char *text);

/* pe.c: a section of a unified kernel image, by its name with the dot. */
bool look_pe_section(struct fs *fs, const struct fs_node *n, const char *name, uint64_t *off,
                     uint64_t *len);

/* direct.c: kernel and initrd files of this machine. */
MUST int look_direct(const struct inspect_cfg *c, struct inspect *out, struct err *e);

/* texts.c */
/* The value of KEY=VALUE in a shell-like text, without quotes. false: none. */
bool text_value(const char *text, const char *key, char *out, size_t room);
/* The next line, ended by a NUL in the text itself, without blanks around; NULL at the end. */
char *text_line(char **at);
/* The next word of a line, quotes and backslashes taken off; NULL at the end. */
char *text_word(char **at);
void text_copy(char *out, size_t room, const char *text);
/* Appends ", text" unless it is there. */
void text_add(char *out, size_t room, const char *text);

#endif
