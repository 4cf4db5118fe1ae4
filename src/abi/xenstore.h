/* SPDX-License-Identifier: Apache-2.0 */
/* xenstore.h - xenstore's wire protocol: Xen public/io/xs_wire.h, docs/misc/xenstore.txt. */
#ifndef HOSPES_ABI_XENSTORE_H
#define HOSPES_ABI_XENSTORE_H

#include "abi/bytes.h"

enum xsd_sockmsg_type {
    XS_CONTROL = 0,
    XS_DIRECTORY = 1,
    XS_READ = 2,
    XS_GET_PERMS = 3,
    XS_WATCH = 4,
    XS_UNWATCH = 5,
    XS_TRANSACTION_START = 6,
    XS_TRANSACTION_END = 7,
    XS_INTRODUCE = 8,
    XS_RELEASE = 9,
    XS_GET_DOMAIN_PATH = 10,
    XS_WRITE = 11,
    XS_MKDIR = 12,
    XS_RM = 13,
    XS_SET_PERMS = 14,
    XS_WATCH_EVENT = 15,
    XS_ERROR = 16,
    XS_IS_DOMAIN_INTRODUCED = 17,
    XS_RESUME = 18,
    XS_SET_TARGET = 19,
    XS_RESET_WATCHES = 21,
    XS_DIRECTORY_PART = 22,
};

struct xsd_sockmsg {
    le32 type, req_id, tx_id, len;
};
WIRE_SIZE(struct xsd_sockmsg, 16);

enum {
    XENSTORE_PAYLOAD_MAX = 4096,
    XENSTORE_ABS_PATH_MAX = 3072,
    XENSTORE_REL_PATH_MAX = 2048,
    XENSTORE_RING_SIZE = 1024,
    XENSTORE_SERVER_FEATURE_RECONNECTION = 1,
    XENSTORE_SERVER_FEATURE_ERROR = 2,
    XENSTORE_CONNECTED = 0,
    XENSTORE_RECONNECT = 1,
    XENSTORE_ERROR_NONE = 0,
    XENSTORE_ERROR_COMM = 1,
    XENSTORE_ERROR_RINGIDX = 2,
    XENSTORE_ERROR_PROTO = 3,
};

/* The page that guest and store share. Indices run freely and are masked by the ring's size. */
struct xenstore_domain_interface {
    uint8_t req[XENSTORE_RING_SIZE];
    uint8_t rsp[XENSTORE_RING_SIZE];
    le32 req_cons, req_prod;
    le32 rsp_cons, rsp_prod;
    le32 server_features;
    le32 connection;
    le32 error;
};
WIRE_OFFSET(struct xenstore_domain_interface, req_cons, 2048);
WIRE_OFFSET(struct xenstore_domain_interface, connection, 2068);
WIRE_SIZE(struct xenstore_domain_interface, 2076);

#endif
