/* SPDX-License-Identifier: Apache-2.0 */
/* netvsc's other side: set-up and buffers done, frames waiting, then anything. */
#include "hyperv.h"

#include "core/err.h"
#include "personas/hyperv/netvsp.h"
#include "virtio/loopnet.h"

static void nvsp(struct fuzz_hyperv *z, uint32_t type, uint32_t a, uint32_t b)
{
    struct nvsp_message m = {.msg_type = le32_of(type), .w = {le32_of(a), le32_of(b)}};

    hv_send(&z->g, z->relid[0], type, &m, sizeof(m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_hyperv z;
    struct nic_spec s = {.id = "nic0", .mac = {2, 0, 0, 0, 0, 1}};
    static const struct net_meta gso = {
        .flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_off = 16, .gso = NET_GSO_TCP4};
    uint8_t frame[5000] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct loopnet *net;
    struct netvsp *n;
    struct err e = {0};

    hv_create(&z.g, VERSION_COPPER);
    net = loopnet_create(z.g.f.env.loop);
    net->tx_caps = NET_CSUM | NET_TSO4 | NET_TSO6;
    s.netif = &net->n;
    if (netvsp_create(z.g.bus, &s, 2, &n, &e) < 0)
        return 0;
    fuzz_hyperv_start(&z, data, size);
    nvsp(&z, NVSP_MSG_TYPE_INIT, NVSP_PROTOCOL_VERSION_61, NVSP_PROTOCOL_VERSION_61);
    hv_gpadl(&z.g, z.relid[0], 0x100, HV_DATA, 16);
    hv_gpadl(&z.g, z.relid[0], 0x101, HV_DATA + 16 * 4096, 16);
    nvsp(&z, NVSP_MSG1_TYPE_SEND_RECV_BUF, 0x100, NETVSC_RECEIVE_BUFFER_ID);
    nvsp(&z, NVSP_MSG1_TYPE_SEND_SEND_BUF, 0x101, 0);
    for (unsigned i = 0; i < 60; i++) {
        be16_put(frame + 12, i % 3 ? 0x0800 : 0x8100);
        loopnet_put(net, frame, i % 5 ? 200 : i % 2 ? sizeof(frame) : 14, i % 7 ? NULL : &gso);
    }
    fuzz_hyperv_play(&z);
    fuzz_hyperv_run(&z);
    netvsp_destroy(n);
    hv_destroy(&z.g);
    return 0;
}
