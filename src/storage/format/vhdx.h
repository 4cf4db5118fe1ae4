/* SPDX-License-Identifier: Apache-2.0 */
/* vhdx.h - what the files of the VHDX format have in common. */
#ifndef HOSPES_STORAGE_FORMAT_VHDX_H
#define HOSPES_STORAGE_FORMAT_VHDX_H

#include "abi/vhdx.h"
#include "storage/image.h"
#include "storage/map.h"

#define VHDX_LOG_MAX (256u << 20)           /* Hyper-V makes 1 MiB */
#define VHDX_METADATA_MAX (128u << 20)      /* of the region, as Hyper-V limits it */
#define VHDX_BAT_MAX (UINT64_C(513) << 20)  /* of the region */
#define VHDX_DISK_MAX (UINT64_C(64) << 40)  /* bytes of a disk */
#define VHDX_FILE_MAX (UINT64_C(128) << 40) /* of a file that is written to */
enum { VHDX_BITMAP = 1 << 20, VHDX_LOCATOR_MAX = 64 << 10, VHDX_LOCATOR_KEYS = 256 };

enum vhdx_log_state {
    VHDX_LOG_EMPTY,
    VHDX_LOG_FULL,  /* it holds changes that are not all in place */
    VHDX_LOG_STUCK, /* it is said to hold some, and holds nothing that is whole */
};

/* The sequence of entries to replay. */
struct vhdx_log {
    enum vhdx_log_state state;
    uint32_t tail; /* offset of the first entry in the log */
    uint64_t entries, sequence;
    uint64_t flushed, last; /* bytes of the file, by the last entry */
};

struct vhdx {
    struct map m;
    struct vhdx_header h;
    unsigned slot; /* 0, 1: where h lies */
    bool both;     /* both headers are valid */
    struct vhdx_log log;

    uint64_t bat_off, bat_len, meta_off, meta_len;
    bool tables_differ; /* the region tables, or one is damaged */
    bool foreign;       /* there are regions that are not known */

    uint32_t block_bits, ratio_bits; /* log2: bytes of a block, blocks of a chunk */
    uint32_t physical;
    bool fixed, child;
    uint64_t size_at;   /* of the VirtualDiskSize item in the file */
    uint64_t blocks;    /* of the disk */
    uint64_t allocated; /* blocks, when opened; UINT64_MAX: not counted */
    struct vhdx_guid disk_id;
    uint64_t locator_at;
    uint32_t locator_len;

    /* the log as this writer keeps it */
    bool logging; /* the headers name log_guid */
    struct vhdx_guid log_guid;
    uint64_t log_sequence;
    uint32_t log_at;      /* where the next entry goes */
    uint64_t flushed_end; /* bytes that the file has durably after the flush's first sync */
};

static inline struct vhdx *vhdx_of(struct map *m)
{
    return container_of(m, struct vhdx, m);
}

static inline uint64_t vhdx_block(const struct vhdx *v)
{
    return UINT64_C(1) << v->block_bits;
}

/* Index in the BAT of a payload block, and of the sector bitmap block of a chunk. */
static inline uint64_t vhdx_index(const struct vhdx *v, uint64_t block)
{
    return block + (block >> v->ratio_bits);
}

static inline uint64_t vhdx_bitmap_index(const struct vhdx *v, uint64_t chunk)
{
    return ((chunk + 1) << v->ratio_bits) + chunk;
}

static inline bool vhdx_present(uint64_t entry)
{
    return (entry & VHDX_BAT_STATE) >= PAYLOAD_BLOCK_FULLY_PRESENT;
}

/* BAT entries that a disk of that many bytes needs. */
uint64_t vhdx_entries(const struct vhdx *v, uint64_t bytes);

/* --- vhdx_head.c --- */
uint32_t vhdx_checksum(const void *p, size_t n); /* of a structure with its checksum at 4 */
bool vhdx_guid_same(const struct vhdx_guid *a, const struct vhdx_guid *b);
bool vhdx_guid_none(const struct vhdx_guid *g);
void vhdx_guid_new(struct vhdx_guid *g);
enum { VHDX_GUID_TEXT = 39 }; /* with braces and the closing zero */
void vhdx_guid_text(const struct vhdx_guid *g, char out[VHDX_GUID_TEXT]);
/* The headers and what they say of the log. e may name every reason. */
MUST int vhdx_load_headers(struct vhdx *v, const char *path, struct err *e);
/* Regions and metadata. */
MUST int vhdx_load_tables(struct vhdx *v, const char *path, struct err *e);
/* Writes h over the header that is not current, which makes it current. Does not sync. */
MUST int vhdx_put_header(struct vhdx *v);
/* Both headers, with new write GUIDs, and syncs. The log is then said to be empty unless keep_log.
 */
MUST int vhdx_renew_headers(struct vhdx *v, bool data, bool keep_log);
/* Writes both region tables, one after the other, with bat_off and bat_len. */
MUST int vhdx_put_regions(struct vhdx *v);
int vhdx_bad(const char *path, const char *what, struct err *e);

/* --- vhdx_log.c --- */
/* Finds what must be replayed. */
MUST int vhdx_log_find(struct vhdx *v, const char *path, struct err *e);
/* Calls fn with each change of the log in order: at: file offset of the sector in the log. */
typedef int vhdx_change_fn(void *arg, const struct vhdx_log_descriptor *d, uint64_t at);
MUST int vhdx_log_each(struct vhdx *v, vhdx_change_fn *fn, void *arg);
/* The 4096 bytes that d and the log's sector at `at` stand for. */
MUST int vhdx_log_sector(struct disk *file, const struct vhdx_log_descriptor *d, uint64_t at,
                         uint8_t out[4096]);
/* Puts the log's changes in place and syncs; the headers still name the log. */
MUST int vhdx_log_replay(struct vhdx *v);
MUST int vhdx_journal(struct map *m);
size_t vhdx_log_pages(const struct vhdx *v); /* that go into one entry */

/* --- vhdx_view.c --- */
/* v->m.file becomes a view of it in which the log's changes are in place. */
MUST int vhdx_view(struct vhdx *v, struct loop *l);
/* Undoes that: v->m.file is the file again. */
void vhdx_unview(struct vhdx *v, struct disk *file);
/* Puts the log's changes in place and empties the log, or makes a view, as v->m.file can be written
 * or not. */
MUST int vhdx_apply_log(struct vhdx *v, struct loop *l);

/* --- vhdx_space.c --- */
/* Looks at the whole BAT before writing: end of what is used, space that can be used. */
MUST int vhdx_scan(struct vhdx *v, const char *path, struct err *e);
/* Runs fn over the entries of the BAT that are not 0, as far as the disk needs it. */
typedef int vhdx_entry_fn(void *arg, uint64_t index, uint64_t entry);
MUST int vhdx_each_entry(struct vhdx *v, vhdx_entry_fn *fn, void *arg);

/* --- vhdx_parent.c --- */
MUST int vhdx_open_parent(struct vhdx *v, const struct disk_cfg *c, struct loop *l, struct err *e);
void vhdx_parent_facts(struct vhdx *v, struct facts *f);
/* The locator for a child of k->parent; malloc'd, *n bytes. */
uint8_t *vhdx_make_locator(const struct image_make *k, size_t *n);

/* --- vhdx_make.c, vhdx_check.c --- */
extern const struct format_option vhdx_options[];
MUST int vhdx_create(struct disk *file, const struct image_make *k, struct err *e);
MUST int vhdx_resize(struct disk *d, uint64_t bytes, struct err *e);
MUST int vhdx_check(struct disk *file, const struct disk_cfg *c, bool repair,
                    struct image_report *rep, struct err *e);

#endif
