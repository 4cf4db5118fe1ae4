/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd.h - the network block device protocol, from doc/proto.md of the NBD project. Big-endian.
 */
#ifndef HOSPES_ABI_NBD_H
#define HOSPES_ABI_NBD_H

#include "abi/bytes.h"

/* --- negotiation --- */

#define NBD_INIT_MAGIC UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTS_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_REP_MAGIC UINT64_C(0x0003e889045565a9)

enum { NBD_FLAG_FIXED_NEWSTYLE = 1, NBD_FLAG_NO_ZEROES = 2 };     /* the server's */
enum { NBD_FLAG_C_FIXED_NEWSTYLE = 1, NBD_FLAG_C_NO_ZEROES = 2 }; /* the client's */

struct nbd_greeting {
    be64 magic, opts_magic;
    be16 flags;
};
WIRE_SIZE(struct nbd_greeting, 18);

struct nbd_option {
    be64 magic; /* NBD_OPTS_MAGIC */
    be32 option, len;
};
WIRE_SIZE(struct nbd_option, 16);

struct nbd_option_reply {
    be64 magic;
    be32 option, type, len;
};
WIRE_SIZE(struct nbd_option_reply, 20);

enum {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
};

enum { NBD_REP_ACK = 1, NBD_REP_SERVER = 2, NBD_REP_INFO = 3, NBD_REP_META_CONTEXT = 4 };
#define NBD_REP_ERR_UNSUP UINT32_C(0x80000001)
#define NBD_REP_ERR_INVALID UINT32_C(0x80000003)
#define NBD_REP_ERR_UNKNOWN UINT32_C(0x80000006)
#define NBD_REP_ERR_TOO_BIG UINT32_C(0x80000009)

enum { NBD_INFO_EXPORT = 0, NBD_INFO_NAME = 1, NBD_INFO_DESCRIPTION = 2, NBD_INFO_BLOCK_SIZE = 3 };

/* The old answer to NBD_OPT_EXPORT_NAME; 124 zeroes follow unless NBD_FLAG_C_NO_ZEROES. */
struct nbd_export {
    be64 size;
    be16 flags;
};
WIRE_SIZE(struct nbd_export, 10);

struct nbd_info_export {
    be16 info;
    be64 size;
    be16 flags;
};
WIRE_SIZE(struct nbd_info_export, 12);

struct nbd_info_block_size {
    be16 info;
    be32 least, preferred, most;
};
WIRE_SIZE(struct nbd_info_block_size, 14);

/* Of an export. */
enum {
    NBD_FLAG_HAS_FLAGS = 1,
    NBD_FLAG_READ_ONLY = 2,
    NBD_FLAG_SEND_FLUSH = 4,
    NBD_FLAG_SEND_FUA = 8,
    NBD_FLAG_ROTATIONAL = 16,
    NBD_FLAG_SEND_TRIM = 32,
    NBD_FLAG_SEND_WRITE_ZEROES = 64,
    NBD_FLAG_SEND_DF = 128,
    NBD_FLAG_CAN_MULTI_CONN = 256,
    NBD_FLAG_SEND_CACHE = 1024,
};

/* --- transmission --- */

#define NBD_REQUEST_MAGIC UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC UINT32_C(0x668e33ef)

enum {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};
enum {
    NBD_CMD_FLAG_FUA = 1,
    NBD_CMD_FLAG_NO_HOLE = 2,
    NBD_CMD_FLAG_DF = 4,
    NBD_CMD_FLAG_REQ_ONE = 8,
    NBD_CMD_FLAG_FAST_ZERO = 16,
};

struct nbd_request {
    be32 magic;
    be16 flags, type;
    be64 cookie, off;
    be32 len;
};
WIRE_SIZE(struct nbd_request, 28);

struct nbd_simple_reply {
    be32 magic, error;
    be64 cookie;
};
WIRE_SIZE(struct nbd_simple_reply, 16);

struct nbd_chunk {
    be32 magic;
    be16 flags, type;
    be64 cookie;
    be32 len;
};
WIRE_SIZE(struct nbd_chunk, 20);

enum { NBD_REPLY_FLAG_DONE = 1 };
enum {
    NBD_REPLY_TYPE_NONE = 0,
    NBD_REPLY_TYPE_OFFSET_DATA = 1,
    NBD_REPLY_TYPE_OFFSET_HOLE = 2,
    NBD_REPLY_TYPE_BLOCK_STATUS = 5,
    NBD_REPLY_TYPE_ERROR = 32769,
};

/* One run of a block status. */
struct nbd_block {
    be32 len, flags;
};
WIRE_SIZE(struct nbd_block, 8);

enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 }; /* of the context base:allocation */

/* The protocol's own numbers, whatever errno is on this machine. */
enum {
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75,
    NBD_ENOTSUP = 95,
    NBD_ESHUTDOWN = 108,
};

#endif
