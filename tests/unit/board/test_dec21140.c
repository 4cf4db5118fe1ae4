/* SPDX-License-Identifier: Apache-2.0 */
/* test_dec21140.c - a guest's tulip driver: serial ROM, transceiver, setup frames, rings. */
#include "unit.h"

#include "abi/dec21140.h"
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
    TX = 0x10000,
    RX = 0x11000,
    FRAME = 0x20000,
    BUFFERS = 0x30000
};

static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 1, 2, 3};
static struct fake_env f;
static struct loopnet *net;
static uint64_t bar[6];

static uint32_t rd(unsigned csr)
{
    return (uint32_t)fake_env_in(&f, bar[0] + 8 * csr, 4);
}

static void wr(unsigned csr, uint32_t v)
{
    fake_env_out(&f, bar[0] + 8 * csr, 4, v);
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

static void desc(gpa_t at, uint32_t status, uint32_t control, uint32_t b1, uint32_t b2)
{
    struct dec_desc d = {le32_of(status), le32_of(control), le32_of(b1), le32_of(b2)};

    memcpy(ram(at, 16), &d, 16);
}

/* A perfect filter of broadcast and our address. */
static void filter(uint32_t type)
{
    uint8_t *p = ram(FRAME, DEC_SETUP);

    memset(p, 0xff, DEC_SETUP);
    for (unsigned i = 0; i < 3; i++)
        memcpy(p + 180 + 4 * i, mac + 2 * i, 2);
    desc(TX, DES0_OWN, TDES1_SET | TDES1_IC | type | DEC_SETUP, FRAME, 0);
}

static int setup(void **state)
{
    struct nic_cfg c = {.model = "dec21140", .mac = mac, .devfn = -1};
    struct err e;

    (void)state;
    fake_env_create(&f, 1 * MiB);
    net = loopnet_create(f.env.loop);
    c.netif = &net->n;
    assert_int_equal(nic_create(&f.env, &c, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    wr(0, CSR0_SWR);
    wr(0, 0x01a08000);
    wr(3, RX);
    wr(4, TX);
    filter(0);
    wr(7, 0x0001ebef);
    wr(6, CSR6_ST | CSR6_SR);
    fake_env_run(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    return 0;
}

/* --- the serial ROM and the transceiver, pin by pin --- */

static uint32_t shift(unsigned bits, uint32_t v)
{
    uint32_t out = 0;

    for (unsigned i = bits; i-- > 0;) {
        uint32_t pins = CSR9_SR | 0x4000 | CSR9_CS | (v >> i & 1 ? CSR9_DI : 0);

        wr(9, pins);
        wr(9, pins | CSR9_SK);
        out = out << 1 | !!(rd(9) & CSR9_DO);
    }
    return out;
}

static uint16_t srom(unsigned at)
{
    uint16_t v;

    wr(9, CSR9_SR | 0x4000);
    wr(9, CSR9_SR | 0x4000 | CSR9_CS);
    assert_int_equal(shift(11, 6u << 6 | at) & 1, 0); /* two idle clocks, then the command */
    v = (uint16_t)shift(16, 0);
    wr(9, 0);
    return v;
}

static void the_serial_rom_is_whole(void **state)
{
    uint32_t crc = UINT32_MAX;
    uint8_t b[128];

    (void)state;
    for (unsigned i = 0; i < 64; i++)
        le16_put(b + 2 * i, srom(i));
    assert_memory_equal(b + 20, mac, 6);
    assert_int_equal(b[18], 3);
    assert_int_equal(b[19], 1);
    assert_int_equal(b[27], 30);
    assert_memory_equal(b + 30, "\x00\x08\x00\x01\x8c\x01\x00", 7);
    for (unsigned i = 0; i < 126; i++) {
        crc ^= b[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    assert_int_equal(le16_at(b + 126), (uint16_t)~crc);
}

static void mdio_bit(bool one)
{
    uint32_t v = one ? CSR9_MDO : 0;

    wr(9, v);
    wr(9, v | CSR9_MDC);
}

static uint16_t mdio_read(unsigned phy, unsigned reg)
{
    uint32_t cmd = 0x6u << 10 | phy << 5 | reg, v = 0;

    for (unsigned i = 0; i < 32; i++)
        mdio_bit(true);
    for (unsigned i = 14; i-- > 0;)
        mdio_bit(cmd >> i & 1);
    for (unsigned i = 0; i < 19; i++) {
        wr(9, CSR9_MII);
        v = v << 1 | !!(rd(9) & CSR9_MDI);
        wr(9, CSR9_MII | CSR9_MDC);
    }
    return (uint16_t)(v >> 1);
}

static void mdio_write(unsigned phy, unsigned reg, uint16_t value)
{
    uint32_t cmd = 0x50020000u | phy << 23 | reg << 18 | value;

    for (unsigned i = 0; i < 32; i++)
        mdio_bit(true);
    for (unsigned i = 32; i-- > 0;)
        mdio_bit(cmd >> i & 1);
    wr(9, CSR9_MII);
    wr(9, CSR9_MII | CSR9_MDC);
}

static void the_transceiver_answers_at_its_address(void **state)
{
    (void)state;
    assert_int_equal(mdio_read(1, 1), 0x786d);
    assert_int_equal(mdio_read(1, 2), 0x2000);
    assert_int_equal(mdio_read(1, 3), 0x5c01);
    assert_int_equal(mdio_read(2, 1), 0xffff);
    mdio_write(1, 4, 0x0101);
    mdio_write(2, 4, 0x0102);
    assert_int_equal(mdio_read(1, 4), 0x0101);
    mdio_write(1, 1, 0);
    net->ev->link(net->arg, false);
    assert_int_equal(mdio_read(1, 1), 0x7849);
    mdio_write(1, 0, 0x8000);
    assert_int_equal(mdio_read(1, 4), 0x01e1);
}

/* --- rings --- */

static void setup_frames_are_taken(void **state)
{
    (void)state;
    assert_int_equal(le32_at(ram(TX, 4)), 0x7fffffff);
    assert_int_equal(rd(5) & (CSR5_TI | CSR5_TU | CSR5_NIS), CSR5_TI | CSR5_TU | CSR5_NIS);
    assert_true(line());
    wr(5, 0x0001ffff);
    assert_false(line());
    assert_int_equal(rd(5) >> CSR5_TS & 7, CSR5_TX_SUSPENDED);
    assert_int_equal(rd(5) >> CSR5_RS & 7, CSR5_RX_WAITS);
    assert_int_equal(net->sent, 0);
}

static void a_frame_of_four_parts_is_sent(void **state)
{
    (void)state;
    memset(ram(FRAME, 200), 0x5a, 200);
    desc(TX + 16, DES0_OWN, TDES1_FS | 10u << 11 | 20, FRAME, FRAME + 20);
    desc(TX + 32, DES0_OWN, TDES1_LS | TDES1_IC | DES1_ER | 30u << 11 | 40, FRAME, FRAME);
    desc(TX, 0, 0, 0, 0);
    net->full = true;
    wr(1, 1);
    fake_env_run(&f);
    assert_int_equal(le32_at(ram(TX + 32, 4)), DES0_OWN);
    net->full = false;
    net->ev->writable(net->arg);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 100);
    assert_int_equal(le32_at(ram(TX + 32, 4)), 0);
    desc(TX, DES0_OWN, TDES1_FS | TDES1_LS | 60, 0xfffffff0, 0); /* nothing there */
    wr(1, 1);
    fake_env_run(&f);
    assert_int_equal(net->sent, 1);
    assert_int_equal(le32_at(ram(TX, 4)), 0);
}

static void a_ring_outside_memory_is_a_bus_error(void **state)
{
    (void)state;
    wr(4, 0xfffffff0);
    wr(1, 1);
    fake_env_run(&f);
    assert_int_equal(rd(5) & (CSR5_FBE | CSR5_AIS), CSR5_FBE | CSR5_AIS);
    assert_int_equal(rd(6) & CSR6_ST, 0);
    assert_int_equal(rd(5) >> CSR5_TS & 7, CSR5_STOPPED);
}

static bool came(const uint8_t *to)
{
    uint8_t p[60] = {0};

    desc(RX, DES0_OWN, DES1_ER | 1536, BUFFERS, 0);
    wr(3, RX);
    memcpy(p, to, 6);
    loopnet_put(net, p, sizeof(p), NULL);
    return !(le32_at(ram(RX, 4)) & DES0_OWN);
}

static void again(uint32_t type)
{
    filter(type);
    wr(4, TX);
    wr(1, 1);
    fake_env_run(&f);
}

static void filters_decide(void **state)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                         other[6] = {2, 0, 0, 0, 0, 9}, group[6] = {1, 0, 0x5e, 0, 0, 0xfb};
    uint32_t crc = UINT32_MAX;

    (void)state;
    assert_true(came(mac));
    assert_true(came(all));
    assert_false(came(other));
    assert_false(came(group));
    wr(6, CSR6_ST | CSR6_SR | CSR6_PM);
    assert_true(came(group));
    assert_int_equal(le32_at(ram(RX, 4)) & RDES0_MF, RDES0_MF);
    wr(6, CSR6_ST | CSR6_SR | CSR6_PR);
    assert_true(came(other));
    assert_int_equal(le32_at(ram(RX, 4)) & RDES0_FF, RDES0_FF);
    wr(6, CSR6_ST | CSR6_SR);
    again(TDES1_FT1); /* all but these */
    assert_true(came(other));
    assert_false(came(mac));
    again(TDES1_FT0); /* hashes: all ones */
    assert_true(came(group));
    assert_false(came(other)); /* compared with the lone address */
    memset(ram(FRAME, DEC_SETUP), 0, DEC_SETUP);
    for (unsigned i = 0; i < 6; i++) {
        crc ^= group[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc &= 0x1ff;
    ram(FRAME, DEC_SETUP)[crc / 16 * 4 + crc % 16 / 8] |= (uint8_t)(1u << crc % 8);
    for (unsigned i = 0; i < 3; i++)
        memcpy(ram(FRAME + DEC_HASH_ADDRESS + 4 * i, 2), mac + 2 * i, 2);
    desc(TX, DES0_OWN, TDES1_SET | TDES1_FT0 | DEC_SETUP, FRAME, 0);
    wr(4, TX);
    wr(1, 1);
    fake_env_run(&f);
    assert_true(came(group));
    assert_true(came(mac));
    assert_false(came(other));
}

static void a_frame_fills_a_chain_and_waits_for_one(void **state)
{
    uint8_t p[300];

    (void)state;
    for (unsigned i = 0; i < sizeof(p); i++)
        p[i] = (uint8_t)i;
    memcpy(p, mac, 6);
    be16_put(p + 12, 0x0800);
    desc(RX, DES0_OWN, DES1_CH | 128, BUFFERS, RX + 64);
    desc(RX + 64, 0, DES1_CH | 256, BUFFERS + 128, RX);
    wr(3, RX);
    wr(5, 0x0001ffff);
    loopnet_put(net, p, sizeof(p), NULL);
    assert_true(rd(5) & CSR5_RU);
    assert_int_equal(rd(5) >> CSR5_RS & 7, CSR5_RX_SUSPENDED);
    assert_int_equal(le32_at(ram(RX, 4)), DES0_OWN);
    desc(RX + 64, DES0_OWN, DES1_CH | 256, BUFFERS + 128, RX);
    wr(2, 1);
    fake_env_run(&f);
    assert_int_equal(le32_at(ram(RX, 4)), RDES0_FS);
    assert_int_equal(le32_at(ram(RX + 64, 4)), 304u << RDES0_FL | RDES0_LS | RDES0_FT);
    assert_memory_equal(ram(BUFFERS, 300), p, 300);
    assert_true(rd(5) & CSR5_RI);
    assert_int_equal(rd(5) >> CSR5_RS & 7, CSR5_RX_WAITS);
}

/* Solaris's driver does so for setup frames. */
static void a_byte_asks_for_a_look_at_the_ring(void **state)
{
    (void)state;
    desc(TX + 16, DES0_OWN, TDES1_FS | TDES1_LS | 70, FRAME, 0);
    fake_env_out(&f, bar[0] + 8, 1, 1);
    fake_env_run(&f);
    assert_int_equal(net->sent, 1);
    fake_env_out(&f, bar[0] + 8 * 6, 1, 0); /* the others take whole words */
    assert_true(rd(6) & CSR6_ST);
}

static void descriptors_may_be_big_endian(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        be32_put(ram(TX + 16 + 4 * i, 4),
                 ((uint32_t[]){DES0_OWN, TDES1_FS | TDES1_LS | 70, FRAME, 0})[i]);
    wr(0, CSR0_DBO);
    wr(1, 1);
    fake_env_run(&f);
    assert_int_equal(net->last.len, 70);
}

static void the_port_has_directions(void **state)
{
    (void)state;
    wr(12, CSR12_GPC | 0x0f);
    wr(12, 0x05);
    assert_int_equal(rd(12) & 0xff, 0xf5);
}

/* Windows NT's driver masks what is sent and received when it is much, and looks at each tick. */
static void the_timer_interrupts(void **state)
{
    (void)state;
    wr(5, 0x0001ffff);
    wr(7, CSR5_GTE | CSR5_AIS);
    wr(6, rd(6) | CSR6_PS); /* ticks of 81.92 us */
    wr(11, 2);
    fake_env_run(&f);
    fake_env_advance(&f, 163000);
    assert_false(line());
    fake_env_advance(&f, 1000);
    assert_true(line());
    assert_int_equal(rd(5) & (CSR5_GTE | CSR5_AIS), CSR5_GTE | CSR5_AIS);
    wr(5, CSR5_GTE);
    fake_env_advance(&f, 1000000);
    assert_false(line());
    wr(11, CSR11_CON | 1);
    fake_env_run(&f);
    for (unsigned i = 0; i < 3; i++) {
        fake_env_advance(&f, 82000);
        assert_true(line());
        wr(5, CSR5_GTE);
        assert_false(line());
    }
    wr(11, 0);
    fake_env_run(&f);
    fake_env_advance(&f, 1000000);
    assert_false(line());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_serial_rom_is_whole),
        TEST(the_transceiver_answers_at_its_address),
        TEST(setup_frames_are_taken),
        TEST(a_frame_of_four_parts_is_sent),
        TEST(a_ring_outside_memory_is_a_bus_error),
        TEST(filters_decide),
        TEST(a_frame_fills_a_chain_and_waits_for_one),
        TEST(a_byte_asks_for_a_look_at_the_ring),
        TEST(descriptors_may_be_big_endian),
        TEST(the_port_has_directions),
        TEST(the_timer_interrupts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
