/* SPDX-License-Identifier: Apache-2.0 */
/* GuestRPC under a hostile guest: 12 bytes a call, and whole messages in between. */
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "fuzz.h"
#include "personas/vmware/rpc.h"

enum { CALL = 12, BYTE = 8 /* through the other port */ };

/* The last cookie of each channel, so that some calls get through. */
static uint32_t cookie[GUESTMSG_MAX_CHANNEL][2];

static void call(struct rpc *r, const uint8_t *p, uint64_t now)
{
    unsigned id = p[1] % 4;
    struct backdoor b = {.bx = le32_at(p + 4),
                         .cx = BDOOR_CMD_MESSAGE | (uint32_t)(p[0] % 9) << 16,
                         .dx = BDOOR_PORT | id << 16,
                         .si = cookie[id][0] ^ p[2],
                         .di = cookie[id][1]};

    if (p[0] % 9 == MESSAGE_TYPE_OPEN)
        b.bx = (p[3] & 1 ? RPCI_PROTOCOL_NUM : TCLO_PROTOCOL_NUM) | (p[3] & 2 ? 1u << 31 : 0);
    if (p[0] % 9 == MESSAGE_TYPE_SENDSIZE)
        b.bx %= p[3] & 1 ? 64 : UINT32_MAX;
    if (p[0] % 9 == BYTE) {
        uint8_t byte = p[4];

        b.bx = p[3] & 2 ? BDOOR_HB_SUCCESS : b.bx;
        (void)!rpc_byte(r, &b, p[3] & 1 ? ACC_WRITE : ACC_READ, &byte);
        return;
    }
    rpc_call(r, &b, now);
    if (p[0] % 9 == MESSAGE_TYPE_OPEN && b.cx >> 16 == MESSAGE_STATUS_SUCCESS) {
        cookie[b.dx >> 16][0] = b.si;
        cookie[b.dx >> 16][1] = b.di;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char answer[GUESTMSG_MAX_IN_SIZE];
    enum machine_event what;
    char text[RPC_TEXT];
    struct rpc *r;
    struct err e;

    if (rpc_create(&r, &e) < 0)
        abort();
    memset(cookie, 0, sizeof(cookie));
    if (size && data[0] & 1) {
        if (rpc_command(r, (const char *)data + 1, size - 1, answer, sizeof(answer)) < 2)
            abort();
    } else {
        for (size_t i = 0; i + CALL <= size; i += CALL) {
            call(r, data + i, i);
            if (data[i + 3] & 4)
                (void)!rpc_ask(r, "OS_Halt", i);
            (void)rpc_event(r, &what, text, sizeof(text));
        }
    }
    rpc_reset(r);
    rpc_destroy(r);
    return 0;
}
