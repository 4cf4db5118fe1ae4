/* SPDX-License-Identifier: Apache-2.0 */
/* vmxnet3, driven as a guest driver does: activation, frames both ways, offloads, bad areas. */
#include "unit.h"

#include <stdlib.h>

#include "abi/vmxnet3.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_pci.h"
#include "net/csum.h"
#include "personas/vmware/vmxnet3.h"
#include "virtio/loopnet.h"

/* Where the guest keeps things. */
enum {
    SHARED = 0x10000,
    QUEUES = 0x11000,
    TX = 0x12000,
    TXC = 0x13000,
    RX0 = 0x14000,
    RX1 = 0x15000,
    RXC = 0x16000,
    BUFFERS = 0x20000, /* 2 KiB each: 32 heads, then 32 bodies */
    FRAME = 0x80000,
    RING = 32,
    DEVFN = 3 << 3,
    VECTOR = 0x40
};

static const uint8_t mac[6] = {0x00, 0x50, 0x56, 0x01, 0x02, 0x03};
static struct fake_env f;
static struct loopnet *net;
static uint64_t bar[6];

static void *ram(gpa_t at, size_t n)
{
    void *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static void put(uint64_t reg, uint32_t v)
{
    fake_env_write(&f, bar[1] + reg, 4, v);
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)fake_env_read(&f, bar[1] + reg, 4);
}

static uint32_t command(uint32_t cmd)
{
    put(VMXNET3_REG_CMD, cmd);
    return get(VMXNET3_REG_CMD);
}

static struct vmxnet3_shared *shared(void)
{
    return ram(SHARED, sizeof(struct vmxnet3_shared));
}

static void fill_rx(void)
{
    struct vmxnet3_desc *head = ram(RX0, RING * 16), *body = ram(RX1, RING * 16);

    for (unsigned i = 0; i < RING; i++) {
        head[i].addr = le64_of(BUFFERS + i * 2048u);
        head[i].word2 = le32_of(2048 | VMXNET3_GEN);
        body[i].addr = le64_of(BUFFERS + (RING + i) * 2048u);
        body[i].word2 = le32_of(2048 | VMXNET3_RX_BODY | VMXNET3_GEN);
    }
}

static void areas(void)
{
    struct vmxnet3_tx_queue t = {.ring = le64_of(TX),
                                 .ring_size = le32_of(RING),
                                 .comp = le64_of(TXC),
                                 .comp_size = le32_of(RING)};
    struct vmxnet3_rx_queue r = {.ring = {le64_of(RX0), le64_of(RX1)},
                                 .ring_size = {le32_of(RING), le32_of(RING)},
                                 .comp = le64_of(RXC),
                                 .comp_size = le32_of(2 * RING),
                                 .intr = 1};

    *shared() = (struct vmxnet3_shared){.magic = le32_of(VMXNET3_REV1_MAGIC),
                                        .upt_features = le64_of(UPT1_F_RXCSUM),
                                        .queue_desc = le64_of(QUEUES),
                                        .tx_queues = 1,
                                        .rx_queues = 1,
                                        .auto_mask = 1,
                                        .intrs = 3,
                                        .event_intr = 2,
                                        .rx_mode = le32_of(VMXNET3_RXM_UCAST | VMXNET3_RXM_BCAST)};
    memcpy(ram(QUEUES, sizeof(t)), &t, sizeof(t));
    memcpy(ram(QUEUES + 256, sizeof(r)), &r, sizeof(r));
    fill_rx();
}

static void unmask(void)
{
    for (unsigned i = 0; i < 3; i++)
        fake_env_write(&f, bar[0] + 8 * i, 4, 0);
}

static int setup_with(uint32_t tx_caps)
{
    struct err e;

    fake_env_create(&f, 16 * MiB);
    net = loopnet_create(f.env.loop);
    net->tx_caps = tx_caps;
    assert_int_equal(vmxnet3_create(&f.env, &net->n, mac, false, &e), 0);
    fake_pci_map(&f, 1 << 3, bar);
    if (!bar[0])
        fake_pci_map(&f, 0, bar);
    assert_int_equal(fake_pci_msix(&f, 1 << 3, bar, VECTOR), VMXNET3_MAX_INTRS);
    areas();
    put(VMXNET3_REG_DSAL, SHARED);
    put(VMXNET3_REG_DSAH, 0);
    assert_int_equal(command(VMXNET3_CMD_ACTIVATE_DEV), 0);
    unmask();
    fake_env_run(&f);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(NET_CSUM | NET_TSO4 | NET_TSO6);
}

static int setup_plain(void **state)
{
    (void)state;
    return setup_with(0);
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    return 0;
}

static void tx_desc(unsigned i, gpa_t at, uint32_t len, uint32_t extra2, uint32_t word3)
{
    struct vmxnet3_desc *d = ram(TX + i * 16u, 16);

    d->addr = le64_of(at);
    d->word3 = le32_of(word3);
    d->word2 = le32_of(len | VMXNET3_TX_GEN | extra2);
}

static void kick(void)
{
    fake_env_write(&f, bar[0] + VMXNET3_REG_TXPROD, 4, 1);
    fake_env_run(&f);
}

static struct vmxnet3_comp comp(gpa_t ring, unsigned i)
{
    return *(struct vmxnet3_comp *)ram(ring + i * 16u, 16);
}

static void a_frame_of_two_parts_is_sent_and_completed(void **state)
{
    memset(ram(FRAME, 200), 0x5a, 200);
    tx_desc(0, FRAME, 100, 0, 0);
    tx_desc(1, FRAME + 100, 100, 0, VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 200);
    assert_int_equal(net->last.bytes[199], 0x5a);
    assert_int_equal(le32_get(comp(TXC, 0).word[0]), 1);
    assert_int_equal(le32_get(comp(TXC, 0).word[3]), VMXNET3_GEN);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 1);
}

static void a_full_back_end_gets_the_frame_later(void **state)
{
    net->full = true;
    tx_desc(0, FRAME, 60, 0, VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 0);
    assert_int_equal(le32_get(comp(TXC, 0).word[3]), 0);
    net->full = false;
    net->ev->writable(net->arg);
    assert_int_equal(net->sent, 1);
    assert_int_equal(le32_get(comp(TXC, 0).word[3]), VMXNET3_GEN);
}

static void a_checksum_is_asked_for_by_its_absolute_place(void **state)
{
    tx_desc(0, FRAME, 60, 50u << 18, VMXNET3_TX_EOP | VMXNET3_OM_CSUM << 10 | 34);
    kick();
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.meta.flags, NET_NEEDS_CSUM);
    assert_int_equal(net->last.meta.csum_start, 34);
    assert_int_equal(net->last.meta.csum_off, 16);
    tx_desc(1, FRAME, 60, 20u << 18, VMXNET3_TX_EOP | VMXNET3_TX_CQ | VMXNET3_OM_CSUM << 10 | 34);
    kick();
    assert_int_equal(net->sent, 1); /* the field lies before the header: dropped, completed */
    assert_int_equal(le32_get(comp(TXC, 0).word[0]), 1);
}

static void a_tag_is_put_in(void **state)
{
    tx_desc(0, FRAME, 60, 0, VMXNET3_TX_EOP | VMXNET3_TX_TI | 5u << 16);
    kick();
    assert_int_equal(net->last.len, 64);
    assert_int_equal(be16_at(net->last.bytes + 12), 0x8100);
    assert_int_equal(be16_at(net->last.bytes + 14), 5);
}

static void frame_in(uint8_t *p, size_t n)
{
    memset(p, 0x11, n);
    memcpy(p, mac, 6);
}

static void a_frame_comes_in_and_interrupts_once_until_unmasked(void **state)
{
    uint8_t p[60];

    frame_in(p, sizeof(p));
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[0]),
                     VMXNET3_RCD_SOP | VMXNET3_RCD_EOP | VMXNET3_RCD_CNC);
    assert_int_equal(le32_get(comp(RXC, 0).word[2]), 60);
    assert_int_equal(le32_get(comp(RXC, 0).word[3]), VMXNET3_CDTYPE_RXCOMP | VMXNET3_GEN);
    assert_memory_equal(ram(BUFFERS, 60), p, 60);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 1);
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 0);
    unmask();
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 1);
}

static void a_large_frame_goes_on_in_the_second_ring(void **state)
{
    uint8_t p[5000];

    frame_in(p, sizeof(p));
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[0]), VMXNET3_RCD_SOP);
    assert_int_equal(le32_get(comp(RXC, 1).word[0]), 1 << 16);
    assert_int_equal(le32_get(comp(RXC, 2).word[0]),
                     1 | 1 << 16 | VMXNET3_RCD_EOP | VMXNET3_RCD_CNC);
    assert_int_equal(le32_get(comp(RXC, 2).word[2]), 5000 - 4096);
}

static void frames_for_others_are_not_taken(void **state)
{
    uint8_t p[60];

    frame_in(p, sizeof(p));
    p[5] ^= 1;
    loopnet_put(net, p, sizeof(p), NULL);
    p[0] = 1; /* multicast */
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[3]), 0);
    shared()->rx_mode = le32_of(VMXNET3_RXM_PROMISC);
    command(VMXNET3_CMD_UPDATE_RX_MODE);
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_not_equal(le32_get(comp(RXC, 0).word[3]), 0);
}

static uint8_t *update_prod(void)
{
    return ram(QUEUES + 256 + offsetof(struct vmxnet3_rx_queue, update_prod), 1);
}

static void frames_wait_for_buffers(void **state)
{
    uint8_t p[60];

    *update_prod() = 0;
    frame_in(p, sizeof(p));
    for (unsigned i = 0; i < RING; i++)
        loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(*update_prod(), 0);
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_equal(*update_prod(), 1); /* drivers ring only then */
    assert_int_equal(le32_get(comp(RXC, RING).word[3]), 0);
    ((struct vmxnet3_desc *)ram(RX0, 16))->word2 = le32_of(2048); /* the next round */
    fake_env_write(&f, bar[0] + VMXNET3_REG_RXPROD, 4, 0);
    fake_env_run(&f);
    assert_int_not_equal(le32_get(comp(RXC, RING).word[3]), 0);
    assert_int_equal(*update_prod(), 0);
}

/* It may have looked before it was asked. */
static void buffers_that_nobody_rang_for_are_found(void **state)
{
    uint8_t p[60];

    frame_in(p, sizeof(p));
    for (unsigned i = 0; i < RING + 1; i++)
        loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, RING).word[3]), 0);
    ((struct vmxnet3_desc *)ram(RX0, 16))->word2 = le32_of(2048); /* the next round */
    fake_env_advance(&f, 10 * 1000 * 1000);
    assert_int_not_equal(le32_get(comp(RXC, RING).word[3]), 0);
}

static void the_link_is_an_event(void **state)
{
    assert_int_equal(command(VMXNET3_CMD_GET_LINK), 10000u << 16 | 1);
    net->ev->link(net->arg, false);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 2), 1);
    assert_int_equal(le32_get(shared()->ecr), VMXNET3_ECR_LINK);
    put(VMXNET3_REG_ECR, VMXNET3_ECR_LINK);
    assert_int_equal(le32_get(shared()->ecr), 0);
    assert_int_equal(command(VMXNET3_CMD_GET_LINK), 0);
}

static void bad_areas_are_refused(void **state)
{
    struct vmxnet3_tx_queue *t = ram(QUEUES, 256);

    shared()->tx_queues = 200;
    assert_int_equal(command(VMXNET3_CMD_ACTIVATE_DEV), 1);
    shared()->tx_queues = 1;
    t->ring = le64_of(UINT64_C(1) << 51);
    assert_int_equal(command(VMXNET3_CMD_ACTIVATE_DEV), 1);
    t->ring = le64_of(TX);
    assert_int_equal(command(VMXNET3_CMD_ACTIVATE_DEV), 0);
    put(VMXNET3_REG_DSAH, 0x7fffffff); /* ignored while active */
    assert_int_equal(command(VMXNET3_CMD_ACTIVATE_DEV), 0);
}

static void a_send_ring_without_an_end_stops_the_queue(void **state)
{
    for (unsigned i = 0; i < RING; i++)
        tx_desc(i, FRAME, 60, 0, 0);
    for (unsigned i = 0; i < 4; i++)
        kick();
    assert_int_equal(net->sent, 0);
    assert_int_equal(command(VMXNET3_CMD_RESET_DEV), 0);
}

static void the_address_is_read_and_changed(void **state)
{
    assert_int_equal(command(VMXNET3_CMD_GET_PERM_MAC_LO), le32_at(mac));
    assert_int_equal(command(VMXNET3_CMD_GET_PERM_MAC_HI), le16_at(mac + 4));
    put(VMXNET3_REG_MACL, 0x04030202);
    assert_int_equal(get(VMXNET3_REG_MACL), 0x04030202);
}

/* --- revisions 3 and 4 --- */

enum { CONF = 0x17000, CELLS = 0x18000, CELL = 128, TAGGED_HEAD = 18 };

/* The driver starts again: with a revision, features, and what `more` puts into its areas. */
static void again(unsigned revision, uint64_t features, unsigned rx_queues)
{
    struct vmxnet3_rx_queue r;

    assert_int_equal(command(VMXNET3_CMD_RESET_DEV), 0);
    put(VMXNET3_REG_VRRS, 1u << (revision - 1));
    areas();
    shared()->upt_features = le64_of(features);
    shared()->rx_queues = (uint8_t)rx_queues;
    memcpy(&r, ram(QUEUES + 256, sizeof(r)), sizeof(r));
    r.data = le64_of(CELLS);
    r.data_desc_size = le16_of(CELL);
    memcpy(ram(QUEUES + 256, sizeof(r)), &r, sizeof(r));
    r.ring[0] = le64_of(RX0 + 0x800);
    r.ring[1] = le64_of(RX1 + 0x800);
    r.comp = le64_of(RXC + 0x800);
    r.data = le64_of(0);
    memcpy(ram(QUEUES + 512, sizeof(r)), &r, sizeof(r));
    memcpy(ram(RX0 + 0x800, RING * 16), ram(RX0, RING * 16), RING * 16);
    memset(ram(RXC, 4096), 0, 4096);
    memset(ram(TXC, 4096), 0, 4096);
    assert_int_equal(command(VMXNET3_CMD_ACTIVATE_DEV), 0);
    unmask();
    fake_env_run(&f);
}

static void arrives(uint8_t *p, size_t n)
{
    frame_in(p, n);
    loopnet_put(net, p, n, NULL);
    fake_env_run(&f);
}

static void small_frames_go_into_the_data_ring(void **state)
{
    uint8_t frame[CELL + 1];

    assert_int_equal(get(VMXNET3_REG_VRRS), 15);
    again(3, UPT1_F_RXCSUM, 1);
    arrives(frame, CELL);
    assert_int_equal(le32_get(comp(RXC, 0).word[0]) >> 16 & 0x3ff, 2);
    assert_memory_equal(ram(CELLS, CELL), frame, CELL);
    arrives(frame, CELL + 1);
    assert_int_equal(le32_get(comp(RXC, 1).word[0]) >> 16 & 0x3ff, 0);
    assert_int_equal(le32_get(comp(RXC, 1).word[0]) & 0xfff, 1);
    again(2, UPT1_F_RXCSUM, 1); /* before revision 3 there is none */
    arrives(frame, CELL);
    assert_int_equal(le32_get(comp(RXC, 0).word[0]) >> 16 & 0x3ff, 0);
}

/* An Ethernet frame with IPv4 and TCP or UDP headers, addresses and ports of Microsoft's example.
 */
static void ip_frame(uint8_t *p, size_t n, uint8_t proto)
{
    static const uint8_t head[] = {0x45, 0, 0,   0,   0,   0,   0,   0,  64, 6,   0, 0,
                                   66,   9, 149, 187, 161, 142, 100, 80, 10, 234, 6, 230};

    memset(p, 0x11, n);
    memcpy(p, mac, 6);
    be16_put(p + 12, 0x800);
    memcpy(p + 14, head, sizeof(head));
    be16_put(p + 16, (uint16_t)(n - 14));
    p[14 + 9] = proto;
    p[14 + 20 + 12] = 0x50; /* 20 bytes of TCP header */
    if (proto == 17)
        be16_put(p + 38, (uint16_t)(n - 34));
    assert_int_equal(net_csum_all(p, n), 0);
}

static void the_drivers_key_and_table_choose_the_queue(void **state)
{
    static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    struct vmxnet3_rss_conf c = {.hash_type =
                                     le16_of(UPT1_RSS_HASH_TYPE_IPV4 | UPT1_RSS_HASH_TYPE_TCP_IPV4),
                                 .hash_func = le16_of(UPT1_RSS_HASH_FUNC_TOEPLITZ),
                                 .key_size = le16_of(40),
                                 .table_size = le16_of(16)};
    uint8_t frame[100];

    memcpy(c.key, key, sizeof(key));
    c.table[0x51ccc178 % 16] = 1;
    c.table[0x323e8fc2 % 16] = 0;
    memcpy(ram(CONF, sizeof(c)), &c, sizeof(c));
    again(4, UPT1_F_RXCSUM, 2);
    shared()->upt_features = le64_of(UPT1_F_RXCSUM | UPT1_F_RSS);
    shared()->rss = (struct vmxnet3_conf_desc){le32_of(1), le32_of(sizeof(c)), le64_of(CONF)};
    command(VMXNET3_CMD_UPDATE_FEATURE);
    ip_frame(frame, sizeof(frame), 6);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC + 0x800, 0).word[1]), 0x51ccc178);
    assert_int_equal(le32_get(comp(RXC + 0x800, 0).word[0]) >> 26 & 15,
                     VMXNET3_RCD_RSS_TYPE_TCPIPV4);
    ip_frame(frame, sizeof(frame), 17);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[1]), 0x323e8fc2);
    assert_int_equal(le32_get(comp(RXC, 0).word[0]) >> 26 & 15, VMXNET3_RCD_RSS_TYPE_IPV4);
    shared()->command.version = le32_of(VMXNET3_RSS_FIELDS_UDPIP4);
    assert_int_equal(command(VMXNET3_CMD_SET_RSS_FIELDS), 0);
    assert_int_equal(command(VMXNET3_CMD_GET_RSS_FIELDS), VMXNET3_RSS_FIELDS_UDPIP4);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC + 0x800, 1).word[1]), 0x51ccc178);
    c.table_size = le16_of(500); /* nonsense: no hash */
    memcpy(ram(CONF, sizeof(c)), &c, sizeof(c));
    command(VMXNET3_CMD_UPDATE_RSSIDT);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
}

/* FreeBSD and NetBSD drop a frame whose sums the card says it looked at and does not vouch for. */
static void a_checksum_that_nobody_looked_at_is_not_called_wrong(void **state)
{
    struct net_meta m = {.flags = NET_CSUM_OK};
    uint8_t frame[100];

    ip_frame(frame, sizeof(frame), 6);
    loopnet_put(net, frame, sizeof(frame), NULL);
    loopnet_put(net, frame, sizeof(frame), &m);
    ip_frame(frame, sizeof(frame), 17);
    frame[23] = 1; /* ICMP, which has no flags */
    loopnet_put(net, frame, sizeof(frame), &m);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[0]) & VMXNET3_RCD_CNC, VMXNET3_RCD_CNC);
    assert_int_equal(le32_get(comp(RXC, 1).word[0]) & VMXNET3_RCD_CNC, 0);
    assert_int_equal(le32_get(comp(RXC, 1).word[3]) & (VMXNET3_RCD_TUC | VMXNET3_RCD_IPC),
                     VMXNET3_RCD_TUC | VMXNET3_RCD_IPC);
    assert_int_equal(le32_get(comp(RXC, 2).word[0]) & VMXNET3_RCD_CNC, VMXNET3_RCD_CNC);
}

static void large_frames_come_whole_with_their_segments_counted(void **state)
{
    struct net_meta m = {.gso = NET_GSO_TCP4, .gso_size = 1000, .hdr_len = 54};
    static uint8_t frame[54 + 3500];
    uint32_t word;

    net->rx_caps = NET_CSUM | NET_TSO4;
    again(4, UPT1_F_RXCSUM | UPT1_F_LRO, 1);
    ip_frame(frame, sizeof(frame), 6);
    loopnet_put(net, frame, sizeof(frame), &m);
    fake_env_run(&f);
    word = le32_get(comp(RXC, 0).word[3]);
    assert_int_equal(word & 0x7f000000, VMXNET3_CDTYPE_RXCOMP_LRO);
    assert_int_equal(word & 0xffff, 1000);
    assert_int_equal(le32_get(comp(RXC, 0).word[1]), 4);
    assert_int_equal(le32_get(comp(RXC, 1).word[3]) & 0x7f000000, VMXNET3_CDTYPE_RXCOMP);
    assert_true(le32_get(comp(RXC, 1).word[3]) & VMXNET3_RCD_TUC);
    again(4, UPT1_F_RXCSUM, 1); /* without, what is left of them is dropped */
    loopnet_put(net, frame, sizeof(frame), &m);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[3]), 0);
}

static void tags_are_taken_off_and_filtered(void **state)
{
    uint8_t frame[200];

    memset(frame, 0x22, sizeof(frame));
    memcpy(frame, mac, 6);
    be16_put(frame + 12, 0x8100);
    be16_put(frame + 14, 0x6000 | 100);
    be16_put(frame + 16, 0x88b5);
    again(1, UPT1_F_RXCSUM, 1);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[2]), sizeof(frame)); /* the BSDs set no filter */
    again(1, UPT1_F_RXCSUM | UPT1_F_RXVLAN, 1);
    shared()->vlan[0] = le32_of(1);
    command(VMXNET3_CMD_UPDATE_VLAN_FILTERS);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[3]), 0); /* not let in */
    shared()->vlan[100 / 32] = le32_of(1u << 100 % 32);
    command(VMXNET3_CMD_UPDATE_VLAN_FILTERS);
    loopnet_put(net, frame, sizeof(frame), NULL);
    fake_env_run(&f);
    assert_int_equal(le32_get(comp(RXC, 0).word[2]),
                     (0x6000u | 100) << 16 | VMXNET3_RCD_TS | (sizeof(frame) - 4));
    assert_int_equal(be16_at((uint8_t *)ram(BUFFERS, 16) + 12), 0x88b5);
}

static void interrupts_are_held_back_as_asked(void **state)
{
    struct vmxnet3_coalesce c = {.mode = le32_of(VMXNET3_COALESCE_RBC), .value = {le32_of(1000)}};
    uint8_t frame[200];

    again(3, UPT1_F_RXCSUM, 1);
    shared()->auto_mask = 0;
    memcpy(ram(CONF, sizeof(c)), &c, sizeof(c));
    shared()->command = (struct vmxnet3_conf_desc){le32_of(1), le32_of(sizeof(c)), le64_of(CONF)};
    assert_int_equal(command(VMXNET3_CMD_SET_COALESCE), 0);
    assert_int_equal(command(VMXNET3_CMD_GET_COALESCE), VMXNET3_COALESCE_RBC);
    fake_env_advance(&f, 10000000);
    fake_irqs_take(&f.irqs, VECTOR + 1);
    arrives(frame, sizeof(frame));
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 1);
    unmask();
    arrives(frame, sizeof(frame));
    arrives(frame, sizeof(frame));
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 0);
    fake_env_advance(&f, 1000000);
    fake_env_run(&f);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 1);
    c.mode = le32_of(VMXNET3_COALESCE_STATIC);
    c.value[2] = le32_of(2);
    memcpy(ram(CONF, sizeof(c)), &c, sizeof(c));
    assert_int_equal(command(VMXNET3_CMD_SET_COALESCE), 0);
    unmask();
    arrives(frame, sizeof(frame));
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 0);
    arrives(frame, sizeof(frame));
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 1);
    c.mode = le32_of(9);
    memcpy(ram(CONF, sizeof(c)), &c, sizeof(c));
    assert_int_equal(command(VMXNET3_CMD_SET_COALESCE), 1);
}

/* VXLAN around TCP: 14 + 20 + 8 + 8 bytes outside, 54 inside. */
static void frames_in_tunnels_are_cut_and_summed(void **state)
{
    enum { OUT = 50, IN = OUT + 54, PAYLOAD = 2500 };
    static uint8_t frame[IN + PAYLOAD];
    struct net_layout o;

    again(4, UPT1_F_RXCSUM, 1);
    memset(frame, 0, OUT);
    ip_frame(frame + OUT, sizeof(frame) - OUT, 6);
    ip_frame(frame, OUT, 17);
    be16_put(frame + 36, 4789);
    memset(frame + 42, 0, 8);
    be16_put(frame + 16, sizeof(frame) - 14);
    be16_put(frame + 38, sizeof(frame) - 34);
    memcpy(ram(FRAME, sizeof(frame)), frame, sizeof(frame));
    tx_desc(0, FRAME, sizeof(frame), 1000u << 18,
            IN | VMXNET3_OM_ENCAP << 10 | VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 3);
    assert_int_equal(net->last.len, IN + 500);
    assert_int_equal(be16_at(net->last.bytes + 16), IN + 500 - 14);
    assert_int_equal(be16_at(net->last.bytes + 38), IN + 500 - 34);
    assert_int_equal(be16_at(net->last.bytes + 40), 0); /* no outer checksum was asked for */
    assert_true(net_layout(net->last.bytes + OUT, net->last.len - OUT, &o));
    assert_int_equal(be16_at(net->last.bytes + OUT + 16), 500 + 40);
    tx_desc(1, FRAME, sizeof(frame), VMXNET3_TX_OCO,
            IN | VMXNET3_OM_ENCAP << 10 | VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 4);
    assert_int_not_equal(be16_at(net->last.bytes + 40), 0);
    tx_desc(2, FRAME, sizeof(frame), 1000u << 18, /* headers that end elsewhere */
            (IN + 4) | VMXNET3_OM_ENCAP << 10 | VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 4);
    assert_int_equal(le32_get(comp(TXC, 2).word[0]), 2);
}

/* What the last frame was is what summing all of it gives. */
static void assert_summed(void)
{
    static uint8_t again[NET_FRAME_MAX];

    memcpy(again, net->last.bytes, net->last.len);
    assert_int_equal(net_csum_all(again, net->last.len), 0);
    assert_memory_equal(again, net->last.bytes, net->last.len);
    assert_int_equal(net->last.meta.flags, 0);
    assert_int_equal(net->last.meta.gso, NET_GSO_NONE);
}

/* A cable between two machines is one. */
static void a_back_end_without_offloads_gets_whole_frames(void **state)
{
    enum { HEAD = 54, PAYLOAD = 2500 };
    static uint8_t frame[HEAD + PAYLOAD];
    struct net_meta m = {0};

    ip_frame(frame, sizeof(frame), 6);
    memcpy(ram(FRAME, sizeof(frame)), frame, sizeof(frame));
    tx_desc(0, FRAME, sizeof(frame), 1000u << 18,
            HEAD | VMXNET3_OM_TSO << 10 | VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 3);
    assert_int_equal(net->last.len, HEAD + 500);
    assert_summed();
    assert_int_equal(le32_get(comp(TXC, 0).word[3]), VMXNET3_GEN);

    ip_frame(frame, HEAD + 100, 6);
    assert_int_equal(net_csum_defer(frame, HEAD + 100, &m), 0);
    memcpy(ram(FRAME, sizeof(frame)), frame, sizeof(frame));
    tx_desc(1, FRAME, HEAD + 100, 50u << 18,
            34 | VMXNET3_OM_CSUM << 10 | VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 4);
    assert_summed();

    tx_desc(2, FRAME, HEAD, 1000u << 18, /* nothing to cut */
            HEAD | VMXNET3_OM_TSO << 10 | VMXNET3_TX_EOP | VMXNET3_TX_CQ);
    kick();
    assert_int_equal(net->sent, 4);
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frame_of_two_parts_is_sent_and_completed),
        TEST(a_full_back_end_gets_the_frame_later),
        TEST(a_checksum_is_asked_for_by_its_absolute_place),
        TEST(a_tag_is_put_in),
        TEST(a_frame_comes_in_and_interrupts_once_until_unmasked),
        TEST(a_large_frame_goes_on_in_the_second_ring),
        TEST(frames_for_others_are_not_taken),
        TEST(frames_wait_for_buffers),
        TEST(buffers_that_nobody_rang_for_are_found),
        TEST(the_link_is_an_event),
        TEST(bad_areas_are_refused),
        TEST(a_send_ring_without_an_end_stops_the_queue),
        TEST(the_address_is_read_and_changed),
        TEST(small_frames_go_into_the_data_ring),
        TEST(the_drivers_key_and_table_choose_the_queue),
        TEST(a_checksum_that_nobody_looked_at_is_not_called_wrong),
        TEST(large_frames_come_whole_with_their_segments_counted),
        TEST(tags_are_taken_off_and_filtered),
        TEST(interrupts_are_held_back_as_asked),
        TEST(frames_in_tunnels_are_cut_and_summed),
        cmocka_unit_test_setup_teardown(a_back_end_without_offloads_gets_whole_frames, setup_plain,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
