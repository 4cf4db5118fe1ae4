/* SPDX-License-Identifier: Apache-2.0 */
/* test_e1000.c - a guest's driver for Intel's gigabit cards: EEPROM, PHY, rings, offloads, causes.
 */
#include "unit.h"

#include "abi/e1000.h"
#include "board/nic/nic.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_pci.h"
#include "virtio/loopnet.h"

enum {
    DEVFN = 1 << 3,
    GSI_SLOT = 1,
    RING = 8,
    TX = 0x10000,
    RX = 0x11000,
    BUFFERS = 0x20000,
    FRAME = 0x40000,
    VECTOR = 0x60
};

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
static struct fake_env f;
static struct loopnet *net;
static uint64_t bar[6];

static uint32_t rd(unsigned reg)
{
    return (uint32_t)fake_env_read(&f, bar[0] + reg, 4);
}

static void wr(unsigned reg, uint32_t v)
{
    fake_env_write(&f, bar[0] + reg, 4, v);
}

static void *ram(gpa_t at, size_t n)
{
    void *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static void rings(unsigned bytes)
{
    for (unsigned i = 0; i < RING; i++)
        le64_put(ram(RX + i * bytes, 16), BUFFERS + i * 2048u);
    wr(E1000_RDBAL, RX);
    wr(E1000_RDLEN, RING * bytes);
    wr(E1000_RDT, RING - 1);
    wr(E1000_TDBAL, TX);
    wr(E1000_TDLEN, RING * E1000_DESC);
    wr(E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP);
    wr(E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_SECRC);
    fake_env_run(&f);
}

static int start(const char *model)
{
    struct nic_cfg c = {.model = model, .mac = mac, .devfn = -1};
    struct err e;

    fake_env_create(&f, 1 * MiB);
    net = loopnet_create(f.env.loop);
    c.netif = &net->n;
    assert_int_equal(nic_create(&f.env, &c, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    rings(E1000_DESC);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return start("e1000");
}

static int setup_e(void **state)
{
    (void)state;
    return start("e1000e");
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    return 0;
}

static void desc(unsigned i, gpa_t at, uint32_t word2, uint32_t word3)
{
    struct e1000_tx_desc d = {le64_of(at), le32_of(word2), le32_of(word3)};

    memcpy(ram(TX + i * 16u, 16), &d, 16);
}

static void send(unsigned tail)
{
    wr(E1000_TDT, tail);
    fake_env_run(&f);
}

/* An IPv4 TCP frame of `payload` bytes with the pseudo header's sum but for the length. */
static void tcp_frame(size_t payload)
{
    uint8_t *p = ram(FRAME, 54 + payload);

    memset(p, 0, 54 + payload);
    memcpy(p, "\xff\xff\xff\xff\xff\xff", 6);
    memcpy(p + 6, mac, 6);
    be16_put(p + 12, 0x0800);
    p[14] = 0x45;
    be16_put(p + 16, (uint16_t)(40 + payload));
    p[22] = 64;
    p[23] = 6;
    be32_put(p + 26, 0x0a00020f);
    be32_put(p + 30, 0x0a000202);
    p[46] = 0x50;
    p[47] = 0x18;
    for (size_t i = 0; i < payload; i++)
        p[54 + i] = (uint8_t)i;
}

static bool line(void)
{
    return fake_irqs_line(&f.irqs, pci_gsi(GSI_SLOT, 0));
}

/* --- what is there --- */

static void microwire(unsigned bits, uint32_t v)
{
    for (unsigned i = bits; i-- > 0;) {
        uint32_t pins = E1000_EECD_CS | (v >> i & 1 ? E1000_EECD_DI : 0);

        wr(E1000_EECD, pins);
        wr(E1000_EECD, pins | E1000_EECD_SK);
        wr(E1000_EECD, pins);
    }
}

static uint16_t eeprom_by_pins(unsigned at)
{
    uint16_t v = 0;

    wr(E1000_EECD, E1000_EECD_REQ);
    assert_int_equal(rd(E1000_EECD) & E1000_EECD_GNT, E1000_EECD_GNT);
    wr(E1000_EECD, E1000_EECD_CS);
    microwire(9, 6u << 6 | at);
    assert_int_equal(rd(E1000_EECD) & E1000_EECD_DO, 0);
    for (unsigned i = 0; i < 16; i++) {
        wr(E1000_EECD, E1000_EECD_CS | E1000_EECD_SK);
        v = (uint16_t)(v << 1 | !!(rd(E1000_EECD) & E1000_EECD_DO));
        wr(E1000_EECD, E1000_EECD_CS);
    }
    wr(E1000_EECD, 0);
    return v;
}

static void the_eeprom_has_the_address_and_its_sum(void **state)
{
    uint16_t sum = 0;

    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint16_t w = eeprom_by_pins(i);

        wr(E1000_EERD, i << 8 | E1000_EERD_START);
        assert_int_equal(rd(E1000_EERD) >> 16, w);
        assert_int_equal(rd(E1000_EERD) & 0x10, 0x10);
        sum = (uint16_t)(sum + w);
    }
    assert_int_equal(sum, 0xbaba);
    assert_int_equal(eeprom_by_pins(0), 0x5452);
    assert_int_equal(eeprom_by_pins(2), 0x0302);
    wr(E1000_EERD, 200 << 8 | E1000_EERD_START);
    assert_int_equal(rd(E1000_EERD), 200 << 8 | 0x10);
}

static uint32_t phy(unsigned address, unsigned reg)
{
    wr(E1000_MDIC, address << 21 | reg << 16 | E1000_MDIC_OP_READ);
    return rd(E1000_MDIC);
}

static void the_phy_tells_of_the_link(void **state)
{
    (void)state;
    assert_int_equal(phy(1, E1000_PHY_ID1) & 0xffff, 0x0141);
    assert_int_equal(phy(1, E1000_PHY_ID2) & 0xffff, 0x0c20);
    assert_true(phy(2, 0) & E1000_MDIC_ERROR);
    assert_int_equal(phy(1, E1000_PHY_STATUS) & 0x24, 0x24);
    assert_int_equal(rd(E1000_STATUS) & 0xc3, 0x83);
    wr(E1000_IMS, E1000_ICR_LSC);
    net->ev->link(net->arg, false);
    assert_true(line());
    assert_int_equal(phy(1, E1000_PHY_STATUS) & 0x24, 0);
    assert_int_equal(rd(E1000_STATUS) & E1000_STATUS_LU, 0);
    assert_true(rd(E1000_ICR) & E1000_ICR_LSC);
    assert_false(line());
    net->ev->link(net->arg, true);
    assert_true(rd(E1000_STATUS) & E1000_STATUS_LU);
}

static void ports_lead_to_the_registers(void **state)
{
    (void)state;
    fake_env_out(&f, bar[1], 4, E1000_VET);
    assert_int_equal(fake_env_in(&f, bar[1] + 4, 4), 0x8100);
    fake_env_out(&f, bar[1], 4, E1000_CTRL);
    fake_env_out(&f, bar[1] + 4, 4, E1000_CTRL_RST);
    assert_int_equal(rd(E1000_RCTL), 0);
    assert_int_equal(rd(E1000_RAL), le32_at(mac));
    fake_env_out(&f, bar[1], 4, 0xffffffff); /* nothing there */
    assert_int_equal(fake_env_in(&f, bar[1] + 4, 4), 0);
}

/* --- sending --- */

static void a_frame_of_two_parts_is_sent_and_written_back(void **state)
{
    (void)state;
    wr(E1000_IMS, E1000_ICR_TXDW);
    memset(ram(FRAME, 100), 0x5a, 100);
    desc(0, FRAME, 60, 0);
    desc(1, FRAME + 60, 40 | E1000_TXD_EOP | E1000_TXD_RS, 0);
    send(1);
    assert_int_equal(net->sent, 0);
    send(2);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 100);
    assert_int_equal(net->last.bytes[99], 0x5a);
    assert_int_equal(rd(E1000_TDH), 2);
    assert_int_equal(((uint8_t *)ram(TX, 32))[16 + 12], E1000_TXD_DD);
    assert_true(line());
    assert_int_equal(rd(E1000_ICR) & (E1000_ICR_TXDW | E1000_ICR_TXQE),
                     E1000_ICR_TXDW | E1000_ICR_TXQE);
    assert_int_equal(rd(E1000_GPTC), 1);
    assert_int_equal(rd(E1000_GPTC), 0);
}

static void a_full_back_end_gets_the_frame_later(void **state)
{
    (void)state;
    net->full = true;
    desc(0, FRAME, 20 | E1000_TXD_EOP | E1000_TXD_RS | E1000_TXD_VLE, 7u << 16);
    wr(E1000_CTRL, E1000_CTRL_VME);
    send(1);
    assert_int_equal(rd(E1000_TDH), 0);
    net->full = false;
    net->ev->writable(net->arg);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 60); /* padded, the tag put in once */
    assert_int_equal(be16_at(net->last.bytes + 12), 0x8100);
    assert_int_equal(be16_at(net->last.bytes + 14), 7);
    assert_int_equal(be16_at(net->last.bytes + 16), 0);
    assert_int_equal(rd(E1000_TDH), 1);
}

static void context(unsigned i, uint32_t command, uint32_t mss)
{
    desc(i, 14u | 24u << 8 | 33u << 16 | (uint64_t)(34u | 50u << 8) << 32,
         E1000_TXD_DEXT | command | E1000_TXD_TCP, mss << 16 | 54u << 8);
}

static void sums_are_filled_in_or_left_to_the_back_end(void **state)
{
    (void)state;
    tcp_frame(10);
    context(0, 0, 0);
    desc(1, FRAME, 64 | E1000_TXD_EOP | E1000_TXD_DEXT | E1000_TXD_TYPE_DATA,
         E1000_TXD_IXSM | E1000_TXD_TXSM);
    send(2);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.meta.flags, NET_NEEDS_CSUM);
    assert_int_equal(net->last.meta.csum_start, 34);
    assert_int_equal(net->last.meta.csum_off, 16);
    assert_int_equal(be16_at(net->last.bytes + 24), 0x62b6);
    /* The field lies outside the frame. */
    desc(2, 14u | 24u << 8 | (uint64_t)(34u | 250u << 8) << 32, E1000_TXD_DEXT | E1000_TXD_TCP, 0);
    desc(3, FRAME, 64 | E1000_TXD_EOP | E1000_TXD_RS | E1000_TXD_DEXT | E1000_TXD_TYPE_DATA,
         E1000_TXD_TXSM);
    send(4);
    assert_int_equal(net->sent, 1);
    assert_int_equal(rd(E1000_TDH), 4);
}

static void large_frames_are_cut_by_the_back_end(void **state)
{
    (void)state;
    tcp_frame(4000);
    context(0, E1000_TXD_TSE, 1460);
    desc(1, FRAME, 4054 | E1000_TXD_EOP | E1000_TXD_DEXT | E1000_TXD_TYPE_DATA | E1000_TXD_TSE,
         E1000_TXD_IXSM | E1000_TXD_TXSM);
    send(2);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 4054);
    assert_int_equal(net->last.meta.gso, NET_GSO_TCP4);
    assert_int_equal(net->last.meta.gso_size, 1460);
    assert_int_equal(net->last.meta.hdr_len, 54);
    assert_int_equal(rd(E1000_TSCTC), 1);
}

static void or_here_where_it_cannot(void **state)
{
    struct nic_cfg c = {.model = "e1000", .mac = mac, .devfn = 2 << 3};
    struct err e;

    (void)state;
    net = loopnet_create(f.env.loop);
    net->tx_caps = 0;
    c.netif = &net->n;
    assert_int_equal(nic_create(&f.env, &c, &e), 0);
    fake_pci_map(&f, 2 << 3, bar);
    rings(E1000_DESC);
    tcp_frame(4000);
    context(0, E1000_TXD_TSE, 1460);
    desc(1, FRAME, 4054 | E1000_TXD_EOP | E1000_TXD_DEXT | E1000_TXD_TYPE_DATA | E1000_TXD_TSE,
         E1000_TXD_IXSM | E1000_TXD_TXSM);
    send(2);
    assert_int_equal(net->sent, 3);
    assert_int_equal(net->last.len, 54 + 4000 - 2 * 1460);
    assert_int_equal(be32_at(net->last.bytes + 38), 2 * 1460); /* the sequence number */
    assert_int_equal(net->last.meta.flags, 0);
}

static void a_send_ring_outside_memory_does_nothing(void **state)
{
    (void)state;
    wr(E1000_TDBAH, 0xffff);
    send(3);
    assert_int_equal(rd(E1000_TDH), 3);
    wr(E1000_TDLEN, 0);
    send(1);
    assert_int_equal(net->sent, 0);
}

/* --- receiving --- */

static void frame_in(uint8_t *p, size_t n)
{
    memset(p, 0x11, n);
    memcpy(p, mac, 6);
}

static void a_frame_comes_in(void **state)
{
    uint8_t p[100], *d = ram(RX, 16);

    (void)state;
    wr(E1000_IMS, E1000_ICR_RXT0);
    frame_in(p, sizeof(p));
    loopnet_put(net, p, sizeof(p), NULL);
    assert_memory_equal(ram(BUFFERS, 100), p, 100);
    assert_int_equal(le16_at(d + 8), 100);
    assert_int_equal(d[12], E1000_RXD_DD | E1000_RXD_EOP | E1000_RXD_IXSM);
    assert_int_equal(rd(E1000_RDH), 1);
    assert_true(line());
    rd(E1000_ICR);
    wr(E1000_RCTL, E1000_RCTL_EN); /* with its check sequence, from now on */
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(le16_at(d + 16 + 8), 104);
    assert_int_equal(rd(E1000_GPRC), 2);
    assert_int_equal(rd(E1000_GORCL), 208);
}

static void a_long_frame_takes_several_buffers_and_too_long_ones_are_dropped(void **state)
{
    static uint8_t p[9000];
    uint8_t *d = ram(RX, 16);

    (void)state;
    frame_in(p, sizeof(p));
    loopnet_put(net, p, 5000, NULL);
    assert_int_equal(rd(E1000_RDH), 0);
    wr(E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_SECRC | E1000_RCTL_LPE);
    loopnet_put(net, p, 5000, NULL);
    assert_int_equal(rd(E1000_RDH), 3);
    assert_int_equal(d[12], E1000_RXD_DD);
    assert_int_equal(le16_at(d + 8), 2048);
    assert_int_equal(d[32 + 12] & 3, E1000_RXD_DD | E1000_RXD_EOP);
    assert_int_equal(le16_at(d + 32 + 8), 5000 - 4096);
}

static void frames_wait_for_buffers(void **state)
{
    uint8_t p[60];

    (void)state;
    frame_in(p, sizeof(p));
    for (unsigned i = 0; i < RING; i++)
        loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(rd(E1000_RDH), RING - 1);
    assert_true(rd(E1000_ICR) & E1000_ICR_RXDMT0);
    wr(E1000_RDT, 0);
    fake_env_run(&f);
    assert_int_equal(rd(E1000_RDH), 0);
}

static unsigned came(const uint8_t *to, size_t n)
{
    unsigned before = rd(E1000_RDH);
    uint8_t p[64];

    frame_in(p, sizeof(p));
    memcpy(p, to, n);
    loopnet_put(net, p, sizeof(p), NULL);
    wr(E1000_RDT, (rd(E1000_RDH) + RING - 1) % RING);
    return rd(E1000_RDH) != before;
}

static void filters_decide(void **state)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                         other[6] = {2, 0, 0, 0, 0, 9}, group[6] = {1, 0, 0x5e, 0, 0, 0xfb};

    (void)state;
    assert_true(came(mac, 6));
    assert_true(came(all, 6));
    wr(E1000_IMS, E1000_ICR_RXT0);
    rd(E1000_ICR);
    assert_false(came(other, 6));
    assert_false(came(group, 6));
    assert_false(rd(E1000_ICR) & E1000_ICR_RXT0); /* what others get is no news */
    assert_false(line());
    wr(E1000_MTA + 0xfb0 / 32 * 4, 1u << 0xfb0 % 32);
    assert_true(came(group, 6));
    wr(E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_UPE);
    assert_true(came(other, 6));
    assert_false(came(all, 6));
}

static void tags_are_filtered_and_taken_off(void **state)
{
    uint8_t p[64], *d = ram(RX, 16);
    uint8_t tagged[16] = {0x52, 0x54, 0, 1, 2, 3, 9, 9, 9, 9, 9, 9, 0x81, 0, 0, 5};

    (void)state;
    wr(E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_SECRC | E1000_RCTL_VFE);
    assert_false(came(tagged, 16));
    wr(E1000_VFTA, 1u << 5);
    wr(E1000_CTRL, E1000_CTRL_VME);
    memset(p, 0x11, sizeof(p));
    memcpy(p, tagged, 16);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(le16_at(d + 8), 60);
    assert_int_equal(d[12] & E1000_RXD_VP, E1000_RXD_VP);
    assert_int_equal(le16_at(d + 14), 5);
    assert_memory_equal(ram(BUFFERS, 60), p, 12);
    assert_memory_equal((uint8_t *)ram(BUFFERS, 60) + 12, p + 16, 48);
}

static void moderation_spaces_interrupts(void **state)
{
    uint8_t p[60];

    (void)state;
    frame_in(p, sizeof(p));
    wr(E1000_ITR, 4000); /* about a millisecond */
    wr(E1000_IMS, E1000_ICR_RXT0);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_true(line());
    rd(E1000_ICR);
    loopnet_put(net, p, sizeof(p), NULL);
    fake_env_run(&f);
    assert_false(line());
    fake_env_advance(&f, 1100000);
    assert_true(line());
}

static void waiting_for_both_sides_does_not_spin(void **state)
{
    uint8_t p[60];

    (void)state;
    frame_in(p, sizeof(p));
    wr(E1000_ITR, 4000);
    wr(E1000_IMS, E1000_ICR_RXT0 | E1000_ICR_TXDW);
    loopnet_put(net, p, sizeof(p), NULL);
    rd(E1000_ICR);
    loopnet_put(net, p, sizeof(p), NULL);
    net->full = true;
    desc(0, FRAME, 60 | E1000_TXD_EOP | E1000_TXD_RS, 0);
    send(1); /* comes to an end */
    assert_int_equal(net->sent, 0);
    fake_env_advance(&f, 1100000);
    assert_true(line());
}

/* --- 82574L --- */

static void extended_descriptors_and_vectors(void **state)
{
    uint8_t p[60], *d = ram(RX, 16);

    (void)state;
    assert_int_equal(fake_pci_msix(&f, DEVFN, bar, VECTOR), 5);
    wr(E1000_IVAR, 8 | 9 << 8 | 10 << 16); /* receive, send, other */
    wr(E1000_EIAC, E1000_ICR_RXQ0 | E1000_ICR_TXQ0);
    wr(E1000_IMS, E1000_ICR_RXQ0 | E1000_ICR_TXQ0 | E1000_ICR_OTHER);
    wr(E1000_RFCTL, E1000_RFCTL_EXTEN);
    frame_in(p, sizeof(p));
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(le32_at(d + 8) & 7, E1000_RXD_DD | E1000_RXD_EOP | E1000_RXD_IXSM);
    assert_int_equal(le16_at(d + 12), 60);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 1);
    assert_int_equal(rd(E1000_IMS) & E1000_ICR_RXQ0, 0); /* until the driver wants it again */
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 0);
    wr(E1000_IMS, E1000_ICR_RXQ0);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 1);
    desc(0, FRAME, 60 | E1000_TXD_EOP | E1000_TXD_RS, 0);
    send(1);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 1), 1);
    net->ev->link(net->arg, false);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 2), 1);
    wr(E1000_ICR, E1000_ICR_LSC | E1000_ICR_OTHER);
    assert_int_equal(rd(E1000_ICR) & E1000_ICR_LSC, 0);
}

static void packet_split_goes_on_in_the_other_buffers(void **state)
{
    static uint8_t p[3000];
    uint8_t *d = ram(RX, 32);

    (void)state;
    rings(E1000_DESC_PS);
    for (unsigned i = 0; i < 4; i++)
        le64_put(d + 8 * i, BUFFERS + i * 4096u);
    wr(E1000_RFCTL, E1000_RFCTL_EXTEN);
    wr(E1000_PSRCTL, 2 | 2 << 8 | 2 << 16);
    wr(E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_SECRC | E1000_RCTL_LPE | E1000_RCTL_DTYP_PS);
    frame_in(p, sizeof(p));
    loopnet_put(net, p, sizeof(p), NULL);
    assert_int_equal(le32_at(d + 8) & 3, E1000_RXD_DD | E1000_RXD_EOP);
    assert_int_equal(le16_at(d + 12), 256);
    assert_int_equal(le16_at(d + 18), 2048);
    assert_int_equal(le16_at(d + 20), 3000 - 256 - 2048);
    assert_memory_equal(ram(BUFFERS + 8192, 600), p + 2304, 600);
}

static void a_semaphore_is_had_by_who_reads_a_zero(void **state)
{
    (void)state;
    assert_int_equal(rd(E1000_SWSM) & 1, 0);
    assert_int_equal(rd(E1000_SWSM) & 1, 1);
    wr(E1000_SWSM, 0);
    assert_int_equal(rd(E1000_SWSM) & 1, 0);
    wr(E1000_CTRL, E1000_CTRL_GIO_MASTER_DISABLE);
    assert_int_equal(rd(E1000_STATUS) & E1000_STATUS_GIO_MASTER_ENABLE, 0);
    wr(E1000_EERD, 2 << 2 | E1000_EERD_START);
    assert_int_equal(rd(E1000_EERD), 0x03020000 | 2 << 2 | 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_E(name) cmocka_unit_test_setup_teardown(name, setup_e, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_eeprom_has_the_address_and_its_sum),
        TEST(the_phy_tells_of_the_link),
        TEST(ports_lead_to_the_registers),
        TEST(a_frame_of_two_parts_is_sent_and_written_back),
        TEST(a_full_back_end_gets_the_frame_later),
        TEST(sums_are_filled_in_or_left_to_the_back_end),
        TEST(large_frames_are_cut_by_the_back_end),
        TEST(or_here_where_it_cannot),
        TEST(a_send_ring_outside_memory_does_nothing),
        TEST(a_frame_comes_in),
        TEST(a_long_frame_takes_several_buffers_and_too_long_ones_are_dropped),
        TEST(frames_wait_for_buffers),
        TEST(filters_decide),
        TEST(tags_are_filtered_and_taken_off),
        TEST(moderation_spaces_interrupts),
        TEST(waiting_for_both_sides_does_not_spin),
        TEST_E(extended_descriptors_and_vectors),
        TEST_E(packet_split_goes_on_in_the_other_buffers),
        TEST_E(a_semaphore_is_had_by_who_reads_a_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
