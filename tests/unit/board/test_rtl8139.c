/* SPDX-License-Identifier: Apache-2.0 */
/* test_rtl8139.c - a guest's drivers for the RTL8139C+: its old mode and its own. */
#include "unit.h"

#include "abi/rtl8139.h"
#include "board/nic/nic.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_pci.h"
#include "virtio/loopnet.h"

enum { DEVFN = 1 << 3, GSI_SLOT = 1, RING = 0x10000, TX = 0x20000, RX = 0x21000, FRAME = 0x30000 };
enum { BUFFERS = 0x40000, TALLY = 0x50000 };

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
static struct fake_env f;
static struct loopnet *net;
static uint64_t bar[6];

static uint32_t rd(unsigned reg, unsigned size)
{
    return (uint32_t)fake_env_in(&f, bar[0] + reg, size);
}

static void wr(unsigned reg, unsigned size, uint32_t v)
{
    fake_env_out(&f, bar[0] + reg, size, v);
}

static uint8_t *ram(gpa_t at, size_t n)
{
    uint8_t *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static bool line(void)
{
    return fake_irqs_line(&f.irqs, pci_gsi(GSI_SLOT, 0));
}

static int setup(void **state)
{
    struct nic_cfg c = {.model = "rtl8139", .mac = mac, .devfn = -1};
    struct err e;

    (void)state;
    fake_env_create(&f, 1 * MiB);
    net = loopnet_create(f.env.loop);
    c.netif = &net->n;
    assert_int_equal(nic_create(&f.env, &c, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    return 0;
}

static void old_mode(void)
{
    wr(RTL_CR, 1, RTL_CR_RST);
    assert_int_equal(rd(RTL_CR, 1) & RTL_CR_RST, 0);
    wr(RTL_RBSTART, 4, RING);
    wr(RTL_CR, 1, RTL_CR_TE | RTL_CR_RE);
    wr(RTL_RCR, 4, RTL_RCR_APM | RTL_RCR_AB);
    wr(RTL_IMR, 2, RTL_ISR_ROK | RTL_ISR_TOK | RTL_ISR_RDU | RTL_ISR_LINK);
    fake_env_run(&f);
}

static void new_mode(void)
{
    wr(RTL_CR, 1, RTL_CR_RST);
    wr(RTL_CPCR, 2, RTL_CPCR_TE | RTL_CPCR_RE | RTL_CPCR_RXVLAN | RTL_CPCR_RXCHKSUM);
    wr(RTL_TNPDS, 4, TX);
    wr(RTL_RDSAR, 4, RX);
    wr(RTL_CR, 1, RTL_CR_TE | RTL_CR_RE);
    wr(RTL_RCR, 4, RTL_RCR_APM | RTL_RCR_AB);
    wr(RTL_IMR, 2, RTL_ISR_ROK | RTL_ISR_TOK | RTL_ISR_RDU | RTL_ISR_LINK);
    fake_env_run(&f);
}

static void frame_in(uint8_t *p, size_t n)
{
    memset(p, 0x11, n);
    memcpy(p, mac, 6);
}

static uint16_t eeprom(unsigned at)
{
    unsigned bits = 6u << 6 | at;
    uint16_t v = 0;

    wr(RTL_9346CR, 1, 0x80);
    wr(RTL_9346CR, 1, 0x88);
    for (unsigned i = 9; i-- > 0;) {
        uint8_t pins = (uint8_t)(0x88 | (bits >> i & 1 ? 2 : 0));

        wr(RTL_9346CR, 1, pins);
        wr(RTL_9346CR, 1, pins | 4u);
    }
    for (unsigned i = 0; i < 16; i++) {
        wr(RTL_9346CR, 1, 0x88);
        wr(RTL_9346CR, 1, 0x8c);
        v = (uint16_t)(v << 1 | (rd(RTL_9346CR, 1) & 1));
    }
    wr(RTL_9346CR, 1, 0);
    return v;
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(eeprom(0), 0x8129);
    assert_int_equal(eeprom(7), 0x5452);
    assert_int_equal(eeprom(9), 0x0302);
    assert_int_equal(rd(RTL_IDR0, 4), le32_at(mac));
    assert_int_equal(rd(RTL_TCR, 4) & 0x7cc00000, 0x74800000);
    assert_int_equal(rd(RTL_BMSR, 2) & 0x24, 0x24);
    wr(0xda, 2, 0x0600);
    assert_int_equal(rd(0xda, 2), 0); /* no RTL8169 */
    wr(RTL_CONFIG1, 1, 0x55);         /* locked */
    assert_int_equal(rd(RTL_CONFIG1, 1), 0x0c);
    wr(RTL_9346CR, 1, 0xc0);
    wr(RTL_CONFIG1, 1, 0x55);
    assert_int_equal(rd(RTL_CONFIG1, 1), 0x55);
    assert_int_equal(fake_env_read(&f, bar[1] + RTL_IDR0, 4), le32_at(mac));
}

static void slots_send_in_turn(void **state)
{
    (void)state;
    old_mode();
    memset(ram(FRAME, 100), 0x5a, 100);
    wr(RTL_TSAD0, 4, FRAME);
    wr(RTL_TSD0, 4, 100);
    fake_env_run(&f);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 100);
    assert_int_equal(rd(RTL_TSD0, 4) & 0xe000, RTL_TSD_OWN | RTL_TSD_TOK);
    assert_int_equal(rd(RTL_TSAD, 2) & 0x1001, 0x1001);
    assert_true(line());
    wr(RTL_ISR, 2, RTL_ISR_TOK);
    assert_false(line());
    wr(RTL_TSAD0 + 8, 4, FRAME);
    wr(RTL_TSD0 + 8, 4, 20); /* the one before is not filled yet */
    fake_env_run(&f);
    assert_int_equal(net->sent, 1);
    net->full = true;
    wr(RTL_TSAD0 + 4, 4, FRAME);
    wr(RTL_TSD0 + 4, 4, 30);
    fake_env_run(&f);
    assert_int_equal(rd(RTL_TSD0 + 4, 4) & RTL_TSD_OWN, 0);
    net->full = false;
    net->ev->writable(net->arg);
    assert_int_equal(net->sent, 3);
    assert_int_equal(net->last.len, 60);
    wr(RTL_TSAD0 + 12, 4, 0xfffffff0); /* nothing there */
    wr(RTL_TSD0 + 12, 4, 60);
    fake_env_run(&f);
    assert_int_equal(net->sent, 3);
    assert_int_equal(rd(RTL_TSD0 + 12, 4) & RTL_TSD_OWN, RTL_TSD_OWN);
}

static void frames_go_round_the_ring_of_bytes(void **state)
{
    uint8_t p[1000], back[1004];
    unsigned at = 0;

    (void)state;
    old_mode();
    frame_in(p, sizeof(p));
    assert_true(rd(RTL_CR, 1) & RTL_CR_BUFE);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_false(rd(RTL_CR, 1) & RTL_CR_BUFE);
    assert_int_equal(le16_at(ram(RING, 4)), RTL_RX_ROK | RTL_RX_PAM);
    assert_int_equal(le16_at(ram(RING, 4) + 2), 1004);
    assert_memory_equal(ram(RING + 4, 1000), p, 1000);
    assert_int_equal(rd(RTL_CBR, 2), 1008);
    for (unsigned i = 0; i < 7; i++)
        loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(RTL_CBR, 2), 8 * 1008);
    loopnet_put(net, p, sizeof(p), NULL); /* full */
    assert_true(rd(RTL_ISR, 2) & RTL_ISR_RDU);
    assert_int_equal(rd(RTL_CBR, 2), 8 * 1008);
    wr(RTL_CAPR, 2, 2016 - 16);
    fake_env_run(&f);
    at = (9 * 1008) % 8192;
    assert_int_equal(rd(RTL_CBR, 2), at);
    assert_int_equal(le16_at(ram(RING + 8 * 1008, 4) + 2), 1004);
    memcpy(back, ram(RING + 8 * 1008 + 4, 124), 124);
    memcpy(back + 124, ram(RING, 876), 876); /* goes on at the beginning */
    assert_memory_equal(back, p, 1000);
}

static void with_wrap_a_frame_goes_on_behind_the_end(void **state)
{
    uint8_t p[1000];

    (void)state;
    old_mode();
    wr(RTL_RCR, 4, RTL_RCR_APM | RTL_RCR_WRAP);
    frame_in(p, sizeof(p));
    for (unsigned i = 0; i < 8; i++)
        loopnet_put(net, p, sizeof(p), NULL);
    wr(RTL_CAPR, 2, 2016 - 16);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_memory_equal(ram(RING + 8 * 1008 + 4, 1000), p, 1000);
    assert_int_equal(rd(RTL_CBR, 2), 9 * 1008 - 8192);
}

static void filters_decide(void **state)
{
    uint8_t p[60] = {1, 0, 0x5e, 0, 0, 0xfb};
    unsigned bit = nic_crc(p) >> 26;

    (void)state;
    old_mode();
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(RTL_CBR, 2), 0);
    wr(RTL_RCR, 4, RTL_RCR_AM);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(RTL_CBR, 2), 0);
    wr(RTL_MAR0 + bit / 8, 1, 1u << bit % 8);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(RTL_CBR, 2), 68);
    p[0] = 2;
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(RTL_CBR, 2), 68);
    wr(RTL_RCR, 4, RTL_RCR_AAP);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(RTL_CBR, 2), 136);
}

static void desc(gpa_t at, uint32_t opts1, uint32_t opts2, gpa_t addr)
{
    struct rtl_desc d = {le32_of(opts1), le32_of(opts2), le64_of(addr)};

    memcpy(ram(at, 16), &d, 16);
}

static void a_frame_is_gathered_from_descriptors(void **state)
{
    uint8_t *p = ram(FRAME, 4054);

    (void)state;
    new_mode();
    memset(p, 0, 4054);
    be16_put(p + 12, 0x0800);
    p[14] = 0x45;
    be16_put(p + 16, 4040);
    p[23] = 6;
    p[46] = 0x50;
    desc(TX, RTL_OWN | RTL_FS | 1000, 0, FRAME);
    desc(TX + 16, RTL_OWN | RTL_LS | RTL_EOR | RTL_TX_LGSEN | 1460u << 16 | 3054, 0, FRAME + 1000);
    wr(RTL_TPPOLL, 1, RTL_TPPOLL_NPQ);
    fake_env_run(&f);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 4054);
    assert_int_equal(net->last.meta.gso, NET_GSO_TCP4); /* as the last part's words say */
}

static void descriptors_send_with_offloads(void **state)
{
    uint8_t *p = ram(FRAME, 4054);

    (void)state;
    new_mode();
    memset(p, 0, 4054);
    be16_put(p + 12, 0x0800);
    p[14] = 0x45;
    be16_put(p + 16, 4040);
    p[23] = 6;
    p[46] = 0x50;
    desc(TX, RTL_OWN | RTL_FS | RTL_LS | RTL_EOR | RTL_TX_LGSEN | 1460u << 16 | 4054, 0, FRAME);
    wr(RTL_TPPOLL, 1, RTL_TPPOLL_NPQ);
    fake_env_run(&f);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.meta.gso, NET_GSO_TCP4);
    assert_int_equal(net->last.meta.gso_size, 1460);
    assert_int_equal(le32_at(ram(TX, 4)) & RTL_OWN, 0);
    assert_int_equal(rd(RTL_TPPOLL, 1), 0);
    be16_put(p + 16, 46);
    desc(TX, RTL_OWN | RTL_FS | RTL_LS | RTL_EOR | RTL_TX_IPCS | RTL_TX_TCPCS | 60,
         RTL_TX_TAGC | 0x0500, FRAME);
    wr(RTL_TPPOLL, 1, RTL_TPPOLL_NPQ);
    fake_env_run(&f);
    assert_int_equal(net->last.len, 64);
    assert_int_equal(be32_at(net->last.bytes + 12), 0x81000005);
    assert_int_equal(net->last.meta.csum_start, 38);
    wr(RTL_TSD0 + 4, 4, 0);
    wr(RTL_TSD0, 4, TALLY | RTL_DTCCR_DUMP);
    assert_int_equal(rd(RTL_TSD0, 4) & RTL_DTCCR_DUMP, 0);
    assert_int_equal(le64_at(ram(TALLY, 8)), 2);
}

static void descriptors_receive(void **state)
{
    static const struct net_meta good = {.flags = NET_CSUM_OK};
    uint8_t p[100];

    (void)state;
    new_mode();
    desc(RX, RTL_OWN | 1536, 0, BUFFERS);
    desc(RX + 16, RTL_OWN | RTL_EOR | 1536, 0, BUFFERS + 2048);
    frame_in(p, sizeof(p));
    memcpy(p + 12, "\x81\x00\x00\x05", 4);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(le32_at(ram(RX, 8)), RTL_FS | RTL_LS | RTL_RX_PHYSICAL | 100);
    assert_int_equal(le32_at(ram(RX, 8) + 4), RTL_RX_TAVA | 0x0500);
    assert_memory_equal(ram(BUFFERS, 12), p, 12);
    assert_memory_equal(ram(BUFFERS + 12, 84), p + 16, 84);
    frame_in(p, sizeof(p));
    be16_put(p + 12, 0x0800);
    p[14] = 0x45;
    be16_put(p + 16, 80);
    be16_put(p + 20, 0);
    p[23] = 17;
    loopnet_put(net, p, sizeof(p), &good);
    assert_int_equal(le32_at(ram(RX + 16, 4)),
                     RTL_EOR | RTL_FS | RTL_LS | RTL_RX_PHYSICAL | RTL_RX_UDP | 104);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_true(rd(RTL_ISR, 2) & RTL_ISR_RDU);
    desc(RX, RTL_OWN | 1536, 0, BUFFERS);
    wr(RTL_ISR, 2, 0xffff);
    fake_env_run(&f);
    assert_int_equal(le32_at(ram(RX, 4)) & RTL_OWN, 0);
    desc(RX + 16, RTL_OWN | RTL_EOR | 64, 0, BUFFERS); /* too small: dropped */
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(le32_at(ram(RX + 16, 4)) & RTL_OWN, RTL_OWN);
}

static void the_link_is_a_cause(void **state)
{
    (void)state;
    old_mode();
    net->ev->link(net->arg, false);
    assert_true(line());
    assert_true(rd(RTL_ISR, 2) & RTL_ISR_LINK);
    assert_true(rd(RTL_MSR, 1) & RTL_MSR_LINKB);
    assert_int_equal(rd(RTL_BMSR, 2) & 4, 0);
}

/* Drivers of the BSDs leave "sent" and "received" masked and reset the timer instead. */
static void the_timer_interrupts(void **state)
{
    (void)state;
    new_mode();
    assert_int_equal(rd(RTL_RERID, 1), 0x20);
    wr(RTL_IMR, 2, RTL_ISR_TIMEOUT);
    wr(RTL_ISR, 2, 0xffff);
    wr(RTL_TIMERINT, 4, 0x400); /* 31 us */
    wr(RTL_TCTR, 4, 1);
    fake_env_run(&f);
    fake_env_advance(&f, 31000);
    assert_false(line());
    fake_env_advance(&f, 1000);
    assert_true(line());
    assert_int_equal(rd(RTL_ISR, 2), RTL_ISR_TIMEOUT);
    wr(RTL_ISR, 2, RTL_ISR_TIMEOUT);
    assert_false(line());
    fake_env_advance(&f, 1000000); /* once, until the count begins anew */
    assert_false(line());
    wr(RTL_TCTR, 4, 1);
    fake_env_run(&f);
    fake_env_advance(&f, 32000);
    assert_true(line());
    wr(RTL_ISR, 2, RTL_ISR_TIMEOUT);
    wr(RTL_TIMERINT, 4, 0);
    wr(RTL_TCTR, 4, 1);
    fake_env_run(&f);
    fake_env_advance(&f, 1000000);
    assert_false(line());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(slots_send_in_turn),
        TEST(frames_go_round_the_ring_of_bytes),
        TEST(with_wrap_a_frame_goes_on_behind_the_end),
        TEST(filters_decide),
        TEST(a_frame_is_gathered_from_descriptors),
        TEST(descriptors_send_with_offloads),
        TEST(descriptors_receive),
        TEST(the_link_is_a_cause),
        TEST(the_timer_interrupts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
