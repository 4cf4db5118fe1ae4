/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk.h - sparse extents and streams of VMware's disks, as "Virtual Disk Format 5.0" (VMware,
 * 2011) lays them out; COWD and seSparse extents as the libvmdk documentation does. Little-endian;
 * offsets and sizes are in sectors of 512 bytes unless something else is said.
 */
#ifndef HOSPES_ABI_VMDK_H
#define HOSPES_ABI_VMDK_H

#include "abi/bytes.h"

enum { VMDK_SECTOR = 512 };

#define SPARSE_MAGICNUMBER UINT32_C(0x564d444b) /* "KDMV" */
#define GD_AT_END UINT64_C(0xffffffffffffffff)

/* flags */
#define SPARSE_NEWLINE_TEST UINT32_C(0x1)
#define SPARSE_REDUNDANT_GT UINT32_C(0x2)
#define SPARSE_ZEROED_GTE UINT32_C(0x4) /* an entry of 1 is a grain of zeroes */
#define SPARSE_COMPRESSED UINT32_C(0x10000)
#define SPARSE_MARKERS UINT32_C(0x20000)

enum { COMPRESSION_NONE = 0, COMPRESSION_DEFLATE = 1 };

struct sparse_extent_header {
    le32 magicNumber, version, flags;
    le64 capacity, grainSize;
    le64 descriptorOffset, descriptorSize;
    le32 numGTEsPerGT;
    le64 rgdOffset, gdOffset, overHead;
    uint8_t uncleanShutdown;
    char singleEndLineChar, nonEndLineChar, doubleEndLineChar1, doubleEndLineChar2;
    le16 compressAlgorithm;
    uint8_t pad[433];
};
WIRE_SIZE(struct sparse_extent_header, VMDK_SECTOR);
WIRE_OFFSET(struct sparse_extent_header, capacity, 12);
WIRE_OFFSET(struct sparse_extent_header, numGTEsPerGT, 44);
WIRE_OFFSET(struct sparse_extent_header, uncleanShutdown, 72);
WIRE_OFFSET(struct sparse_extent_header, compressAlgorithm, 77);

/* Before each compressed grain; the data follows at once. */
struct grain_marker {
    le64 lba;
    le32 size; /* bytes of data */
};
WIRE_SIZE(struct grain_marker, 12);

/* Before metadata in a stream, a sector long. size is 0. */
struct metadata_marker {
    le64 numSectors;
    le32 size, type;
    uint8_t pad[496];
};
WIRE_SIZE(struct metadata_marker, VMDK_SECTOR);

enum { MARKER_EOS = 0, MARKER_GT = 1, MARKER_GD = 2, MARKER_FOOTER = 3 };

/* --- COWD: ESX's snapshots and GSX's disks --- */

#define COWD_MAGIC UINT32_C(0x44574f43) /* "COWD" */

struct cowd_header {
    le32 magicNumber, version, flags;
    le32 numSectors, grainSize;
    le32 gdOffset, numGDEntries, freeSector;
    uint8_t rest[2016]; /* names, geometry, generations */
};
WIRE_SIZE(struct cowd_header, 2048);
WIRE_OFFSET(struct cowd_header, freeSector, 28);

enum { COWD_GTES = 4096 }; /* entries of a grain table */

/* --- seSparse: ESXi's later snapshots --- */

#define SESPARSE_CONST_MAGIC UINT64_C(0x00000000cafebabe)
#define SESPARSE_VERSION UINT64_C(0x0000000200000001)
#define SESPARSE_VOLATILE_MAGIC UINT64_C(0x00000000cafecafe)

struct sesparse_const_header {
    le64 magic, version, capacity, grain_size, grain_table_size, flags;
    le64 reserved[4];
    le64 volatile_header_offset, volatile_header_size;
    le64 journal_header_offset, journal_header_size;
    le64 journal_offset, journal_size;
    le64 grain_dir_offset, grain_dir_size;
    le64 grain_tables_offset, grain_tables_size;
    le64 free_bitmap_offset, free_bitmap_size;
    le64 backmap_offset, backmap_size;
    le64 grains_offset, grains_size;
    uint8_t pad[304];
};
WIRE_SIZE(struct sesparse_const_header, VMDK_SECTOR);
WIRE_OFFSET(struct sesparse_const_header, volatile_header_offset, 80);
WIRE_OFFSET(struct sesparse_const_header, grains_size, 200);

struct sesparse_volatile_header {
    le64 magic, free_gt_number, next_txn_seq_number, replay_journal;
    uint8_t pad[480];
};
WIRE_SIZE(struct sesparse_volatile_header, VMDK_SECTOR);

/* A directory entry is 0 or this plus the number of a grain table. */
#define SESPARSE_GD_PRESENT UINT64_C(0x1000000000000000)
#define SESPARSE_GD_MASK UINT64_C(0xffffffff00000000)

/* The top four bits of a table entry; then for ALLOCATED the grain's number in two parts. */
#define SESPARSE_GTE_TYPE UINT64_C(0xf000000000000000)
#define SESPARSE_GTE_UNALLOCATED UINT64_C(0x0000000000000000)
#define SESPARSE_GTE_UNMAPPED UINT64_C(0x1000000000000000)
#define SESPARSE_GTE_ZERO UINT64_C(0x2000000000000000)
#define SESPARSE_GTE_ALLOCATED UINT64_C(0x3000000000000000)

#endif
