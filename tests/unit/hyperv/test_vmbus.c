/* SPDX-License-Identifier: Apache-2.0 */
/* VMBus: contact, offers, GPADLs, channels and rings, driven as guests do and as none should. */
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/gmem.h"
#include "hyperv/hvguest.h"

static struct hvguest g;
static struct vmbus_channel chan[3];
static unsigned opened, closed, got, released;
static uint64_t last_trans;
static uint8_t last_data[256];
static size_t last_len;
static bool refuse;

static bool on_open(struct vmbus_channel *c)
{
    opened++;
    return !refuse;
}

static void on_close(struct vmbus_channel *c)
{
    closed++;
}

static void on_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    got++;
    last_trans = p->trans;
    last_len = p->data_len;
    memcpy(last_data, p->data, p->data_len < sizeof(last_data) ? p->data_len : sizeof(last_data));
    if (p->flags & 1)
        vmbus_complete(c, p->trans, p->data, p->data_len);
}

static void on_released(struct vmbus_channel *c)
{
    released++;
}

static const struct vmbus_class echo = {.name = "echo",
                                        .packet_max = 8192,
                                        .open = on_open,
                                        .close = on_close,
                                        .packet = on_packet,
                                        .released = on_released};

static const struct vmbus_class watched = {
    .name = "watched", .packet_max = 8192, .monitored = true, .packet = on_packet};

static int setup(void **state)
{
    struct err e = {0};

    hv_create(&g, VERSION_COPPER);
    opened = closed = got = released = 0;
    refuse = false;
    for (unsigned i = 0; i < 3; i++) {
        chan[i] = (struct vmbus_channel){
            .class = &echo, .id = "dut", .sub_index = (uint16_t)(i == 2), .hidden = i == 2};
        chan[i].type[0] = (uint8_t)(0x10 + i);
        assert_int_equal(vmbus_add(g.bus, &chan[i], &e), 0);
    }
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < 3; i++)
        vmbus_remove(&chan[i]);
    hv_destroy(&g);
    return 0;
}

static struct hv_offer offer[8];

static void connect(void)
{
    assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    assert_int_equal(hv_offers(&g, offer, 8), 2);
}

static void every_version_is_agreed_on_and_others_are_not(void **state)
{
    static const uint32_t good[] = {VERSION_WS2008,     VERSION_WIN7,       VERSION_WIN8,
                                    VERSION_WIN8_1,     VERSION_WIN10,      VERSION_WIN10_V4_1,
                                    VERSION_WIN10_V5,   VERSION_WIN10_V5_1, VERSION_WIN10_V5_2,
                                    VERSION_WIN10_V5_3, VERSION_COPPER};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(hv_contact(&g, good[i]));
        assert_int_equal(hv_offers(&g, offer, 8), 2);
    }
    assert_false(hv_contact(&g, 7 << 16));
    assert_false(hv_contact(&g, 0));
    g.bus->max_version = VERSION_WIN10;
    assert_false(hv_contact(&g, VERSION_WIN10_V5)); /* its connection does not exist */
    assert_false(hv_contact(&g, VERSION_WIN10_V4_1));
    assert_true(hv_contact(&g, VERSION_WIN10));
}

/* A guest makes contact as often as it likes, and the log is the host's. */
static void contacts_do_not_fill_the_log(void **state)
{
    char path[] = "/tmp/vmbus-XXXXXX";
    int fd = mkstemp(path);
    struct err e = {0};
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(log_open(path, LOG_INFO, &e), 0);
    for (unsigned i = 0; i < 2000; i++)
        assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    log_close();
    assert_int_equal(fstat(fd, &st), 0);
    assert_in_range(st.st_size, 1, 20000);
    close(fd);
    unlink(path);
}

static void versions_are_read_from_text(void **state)
{
    assert_int_equal(vmbus_version_parse("5.3"), VERSION_WIN10_V5_3);
    assert_int_equal(vmbus_version_parse("0.13"), VERSION_WS2008);
    assert_int_equal(vmbus_version_parse("5.4"), 0);
    assert_int_equal(vmbus_version_parse("5"), 0);
    assert_int_equal(vmbus_version_parse("5.3x"), 0);
    assert_int_equal(vmbus_version_parse("5.65539"), 0);
}

static void packets_go_both_ways(void **state)
{
    struct hv_packet p;

    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 3), 0);
    hv_send(&g, offer[0].relid, 0x1234, "12345678abcdefgh", 16);
    assert_int_equal(got, 1);
    assert_int_equal(last_trans, 0x1234);
    assert_int_equal(last_len, 16);
    assert_true(hv_event(&g, 3, offer[0].relid));
    assert_false(hv_event(&g, 0, offer[0].relid));
    assert_true(g.sint[3][0]->raised > 0);
    assert_true(hv_get(&g, offer[0].relid, &p));
    assert_int_equal(p.type, VM_PKT_COMP);
    assert_int_equal(p.trans, 0x1234);
    assert_memory_equal(p.data, "12345678abcdefgh", 16);
    assert_false(hv_get(&g, offer[0].relid, &p));
}

static void rings_wrap_and_full_rings_wait(void **state)
{
    static uint8_t data[3000];
    struct hv_packet p;
    uint32_t relid;

    connect();
    relid = offer[0].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    for (unsigned i = 0; i < 50; i++) {
        memset(data, (int)i, sizeof(data));
        hv_send(&g, relid, i, data, sizeof(data));
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(p.trans, i);
        assert_memory_equal(p.data, data, sizeof(data));
    }
    /* Nothing is read from the answers: the requests stop being taken. */
    got = 0;
    for (unsigned i = 0; i < 9; i++)
        hv_send(&g, relid, 100 + i, data, sizeof(data));
    assert_int_equal(got, 9);
    hv_send(&g, relid, 109, data, sizeof(data)); /* its answer waits */
    hv_send(&g, relid, 110, data, sizeof(data));
    assert_int_equal(got, 10);
    for (unsigned i = 0; i < 11; i++) {
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(p.trans, 100 + i);
    }
    assert_int_equal(got, 11);
}

/* As OpenBSD's: it waits for its answers, and tells nobody that it has taken some. */
static void rooms_are_found_without_a_signal(void **state)
{
    static uint8_t data[3000];
    struct hv_packet p;
    uint32_t relid, n = 0;

    connect();
    relid = offer[0].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    g.mute = true;
    for (unsigned i = 0; i < 9; i++)
        hv_send(&g, relid, i, data, sizeof(data));
    for (unsigned i = 9; i < 12; i++)
        hv_send(&g, relid, i, data, sizeof(data));
    while (hv_get(&g, relid, &p))
        assert_int_equal(p.trans, n++);
    assert_int_equal(n, 9);
    fake_env_advance(&g.f, 2000000);
    while (hv_get(&g, relid, &p))
        assert_int_equal(p.trans, n++);
    assert_int_equal(n, 12);
    /* What is sent unasked is not forgotten either. */
    for (unsigned i = 0; i < 12; i++)
        vmbus_send_data(&chan[0], data, sizeof(data));
    vmbus_flush(&chan[0]);
    fake_env_run(&g.f);
    for (n = 0; hv_get(&g, relid, &p); n++)
        ;
    assert_int_equal(n, 9);
    fake_env_advance(&g.f, 2000000);
    for (; hv_get(&g, relid, &p); n++)
        ;
    assert_int_equal(n, 12);
}

static unsigned again;

/* Takes the answer and asks again before the host has looked whether it does. */
static void ask_again(struct hvguest *k)
{
    struct hv_packet p;

    hv_event(k, 0, offer[0].relid);
    while (hv_get(k, offer[0].relid, &p))
        ;
    if (again && again--)
        hv_send(k, offer[0].relid, again, "again", 5);
}

/* However fast it asks, others have their turn. */
static void a_guest_that_never_ends_does_not_hold_the_loop(void **state)
{
    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
    g.busy = true;
    g.at_interrupt = ask_again;
    again = 100000;
    hv_send(&g, offer[0].relid, 1, "first", 5);
    assert_true(loop_step(g.f.env.loop, 0) > 0);
    assert_in_range(got, 1, 1000);
    again = 1000;
    fake_env_run(&g.f); /* and it goes on */
    assert_int_equal(again, 0);
}

static void nonsense_in_a_ring_kills_only_that_channel(void **state)
{
    static const struct vmpacket_descriptor bad[] = {
        {{{6, 0}}, {{0, 0}}, {{4, 0}}, {{0, 0}}, {{0}}},     /* payload inside the descriptor */
        {{{6, 0}}, {{3, 0}}, {{2, 0}}, {{0, 0}}, {{0}}},     /* ends before it begins */
        {{{6, 0}}, {{2, 0}}, {{255, 255}}, {{0, 0}}, {{0}}}, /* longer than the ring */
    };
    struct hv_ring_buffer *r;

    connect();
    assert_int_equal(hv_open(&g, offer[1].relid, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad) + 2; i++) {
        assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
        r = hv_ram(&g, HV_RINGS + offer[0].relid * 2 * HV_RING_PAGES * 4096, 8192);
        if (i < ARRAY_SIZE(bad)) {
            memcpy(r + 1, &bad[i], sizeof(bad[i]));
            shared_store32(&r->write_index, 64);
        } else {
            shared_store32(&r->write_index, i == ARRAY_SIZE(bad) ? 0x7ffffff8 : 13);
        }
        got = 0;
        hv_signal(&g, offer[0].relid);
        hv_signal(&g, offer[0].relid);
        assert_int_equal(got, 0);
        assert_true(chan[0].broken);
        hv_send(&g, offer[1].relid, 1, "abcdefgh", 8);
        assert_int_equal(got, 1);
        hv_close(&g, offer[0].relid);
    }
}

static void bad_openings_are_refused(void **state)
{
    uint32_t relid;

    connect();
    relid = offer[0].relid;
    refuse = true;
    assert_int_not_equal(hv_open(&g, relid, 0), 0);
    assert_int_equal(closed, 1);
    refuse = false;
    hv_close(&g, relid);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    assert_int_not_equal(hv_open(&g, relid, 0), 0);
    assert_int_not_equal(hv_open(&g, 20, 0), 0);
    assert_int_not_equal(hv_gpadl(&g, relid, 5, HV_RAM, 1), 0); /* outside memory */
    assert_int_not_equal(hv_gpadl(&g, relid, 6, UINT64_C(1) << 60, 1), 0);
    assert_int_equal(hv_gpadl(&g, relid, 7, HV_DATA, 1000), 0);  /* many bodies */
    assert_int_not_equal(hv_gpadl(&g, relid, 7, HV_DATA, 1), 0); /* the same again */
}

static void ranges_with_offsets_are_mapped(void **state)
{
    uint8_t list[2 * (8 + 16)];
    struct gpadl *a;
    struct iovec iov[8];
    size_t n = 0;

    le32_put(list, 5000); /* bytes, offset, two pages */
    le32_put(list + 4, 100);
    le64_put(list + 8, 0x700);
    le64_put(list + 16, 0x900);
    le32_put(list + 24, 8);
    le32_put(list + 28, 4092);
    le64_put(list + 32, 0x701);
    le64_put(list + 40, 0x702);
    a = calloc(1, sizeof(*a));
    assert_int_equal(gpadl_parse(a, g.f.env.mem, list, sizeof(list), 2), 0);
    assert_int_equal(a->bytes, 5008);
    assert_false(gpadl_is_pages(a));
    assert_true(gpadl_map(a, 3990, 1018, iov, 8, &n));
    assert_int_equal(n, 3);
    assert_ptr_equal(iov[0].iov_base, hv_ram(&g, 0x700000 + 4090, 6));
    assert_int_equal(iov[0].iov_len, 6);
    assert_ptr_equal(iov[1].iov_base, hv_ram(&g, 0x900000, 8));
    assert_int_equal(iov[1].iov_len, 1004);
    assert_ptr_equal(iov[2].iov_base, hv_ram(&g, 0x701000 + 4092, 4));
    assert_int_equal(iov[2].iov_len, 8);
    assert_false(gpadl_map(a, 5000, 9, iov, 8, &n));
    assert_false(gpadl_map(a, UINT64_MAX, 2, iov, 8, &n));
    gpadl_free(a);
}

static void rescind_and_release_take_a_channel_away(void **state)
{
    struct vmbus_channel_relid m = {.header.msgtype = le32_of(CHANNELMSG_RELID_RELEASED)};
    uint8_t out[HV_MESSAGE_PAYLOAD];

    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
    vmbus_rescind(&chan[0]);
    assert_int_equal(closed, 1);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_RESCIND_CHANNELOFFER);
    m.child_relid = le32_of(offer[0].relid);
    hv_post(&g, &m, sizeof(m));
    assert_int_equal(released, 1);
    vmbus_offer(&chan[0]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    vmbus_offer(&chan[2]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    assert_int_equal(le16_at(out + 180), 1);
}

/* A guest that opens a device anew asks for its subchannels again; that it has let go of the old
 * ones may come later. */
static void a_late_release_does_not_hit_the_next_offer(void **state)
{
    struct vmbus_channel_relid m = {.header.msgtype = le32_of(CHANNELMSG_RELID_RELEASED)};
    uint8_t out[HV_MESSAGE_PAYLOAD];
    uint32_t old, next;

    connect();
    vmbus_offer(&chan[2]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    old = le32_at(out + 184);
    assert_int_equal(hv_open(&g, old, 0), 0);
    hv_close(&g, old);
    vmbus_rescind(&chan[2]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_RESCIND_CHANNELOFFER);
    assert_int_equal(le32_at(out + 8), old);
    vmbus_offer(&chan[2]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    next = le32_at(out + 184);
    assert_int_not_equal(next, old);
    assert_int_equal(le32_at(out + 192), VMBUS_MESSAGE_SINT << 12 | next);
    assert_int_equal(hv_open(&g, next, 0), 0);
    m.child_relid = le32_of(old);
    hv_post(&g, &m, sizeof(m));
    got = 0;
    hv_send(&g, next, 1, "abcdefgh", 8);
    assert_int_equal(got, 1);
    /* Once it is let go of, the number serves again. */
    vmbus_rescind(&chan[2]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_RESCIND_CHANNELOFFER);
    m.child_relid = le32_of(next);
    hv_post(&g, &m, sizeof(m));
    vmbus_offer(&chan[2]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    assert_int_equal(le32_at(out + 184), next);
}

/* A teardown that is not answered is waited for without end. */
static void any_teardown_is_answered(void **state)
{
    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
    hv_close(&g, offer[0].relid);
    hv_teardown(&g, offer[0].relid, 0xe1e10 + offer[0].relid);
    hv_teardown(&g, 999, 999);
}

static void a_release_takes_the_channels_memory_along(void **state)
{
    struct vmbus_channel_relid m = {.header.msgtype = le32_of(CHANNELMSG_RELID_RELEASED)};
    uint8_t out[HV_MESSAGE_PAYLOAD];

    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
    assert_int_equal(hv_gpadl(&g, offer[0].relid, 5, HV_DATA, 4), 0);
    assert_int_equal(hv_gpadl(&g, offer[1].relid, 6, HV_DATA, 4), 0);
    vmbus_rescind(&chan[0]);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_RESCIND_CHANNELOFFER);
    m.child_relid = le32_of(offer[0].relid);
    hv_post(&g, &m, sizeof(m));
    assert_int_equal(g.bus->gpadl_count, 1);
    assert_int_equal(g.bus->gpadls->id, 6);
}

/* Before 3.0 guests leave rubbish where later ones name a processor, and may look for the version.
 */
static void old_contacts_are_answered_on_the_first_processor(void **state)
{
    struct vmbus_channel_initiate_contact m = {
        .header.msgtype = le32_of(CHANNELMSG_INITIATE_CONTACT),
        .vmbus_version_requested = le32_of(VERSION_WIN8),
        .target_vcpu = le32_of(0xdeadbeef),
    };
    uint8_t out[HV_MESSAGE_PAYLOAD];

    assert_int_equal(hv_post(&g, &m, sizeof(m)), 0);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_VERSION_RESPONSE);
    assert_int_equal(out[8], 1);
    assert_int_equal(le32_at(out + 12), VERSION_WIN8);
    m.vmbus_version_requested = le32_of(VERSION_WIN8_1);
    assert_int_equal(hv_post(&g, &m, sizeof(m)), 0);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_VERSION_RESPONSE);
    assert_int_equal(out[8], 0);
}

static void unload_waits_for_requests_in_flight(void **state)
{
    struct vmbus_channel_message_header m = {le32_of(CHANNELMSG_UNLOAD), le32_of(0)};
    uint8_t out[HV_MESSAGE_PAYLOAD];

    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
    vmbus_io_begin(g.bus);
    vmbus_io_begin(g.bus);
    hv_post(&g, &m, sizeof(m));
    assert_int_equal(closed, 1);
    vmbus_io_end(g.bus);
    assert_int_equal(hv_message(&g, out), 0);
    vmbus_io_end(g.bus);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_UNLOAD_RESPONSE);
    connect(); /* as after kexec */
}

static void interrupts_follow_the_channel_to_its_processor(void **state)
{
    struct vmbus_channel_pair m = {.header.msgtype = le32_of(CHANNELMSG_MODIFYCHANNEL),
                                   .second = le32_of(2)};
    uint8_t out[HV_MESSAGE_PAYLOAD];

    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 1), 0);
    m.child_relid = le32_of(offer[0].relid);
    hv_post(&g, &m, sizeof(m));
    assert_int_equal(hv_message(&g, out), CHANNELMSG_MODIFYCHANNEL_RESPONSE);
    assert_int_equal(le32_at(out + 12), 0);
    hv_event(&g, 2, offer[0].relid);
    hv_send(&g, offer[0].relid, 1, "abcdefgh", 8);
    assert_true(hv_event(&g, 2, offer[0].relid));
    assert_false(hv_event(&g, 1, offer[0].relid));
    m.second = le32_of(99);
    hv_post(&g, &m, sizeof(m));
    assert_int_equal(hv_message(&g, out), CHANNELMSG_MODIFYCHANNEL_RESPONSE);
    assert_int_not_equal(le32_at(out + 12), 0);
}

static void old_guests_share_one_doorbell(void **state)
{
    uint8_t *page = hv_ram(&g, 0x4000, 4096);
    struct hv_packet p;
    uint32_t relid;

    assert_true(hv_contact(&g, VERSION_WIN7));
    assert_int_equal(hv_offers(&g, offer, 8), 2);
    relid = offer[1].relid;
    assert_true(g.shared_fd >= 0);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    g.fd[relid] = -1;
    hv_send(&g, relid, 9, "abcdefgh", 8); /* the channel's own doorbell is silent */
    got = 0;
    page[2048 + relid / 8] |= (uint8_t)(1u << relid % 8);
    g.fd[relid] = g.shared_fd;
    hv_signal(&g, relid);
    assert_true(hv_get(&g, relid, &p));
    assert_true(page[relid / 8] >> relid % 8 & 1);
    assert_int_equal(page[2048 + relid / 8], 0);
}

static void a_bit_in_the_monitor_page_signals_an_openbsd(void **state)
{
    struct vmbus_channel more = {.class = &watched, .id = "more"};
    struct hv_monitor_page *page = hv_ram(&g, HV_MONITORS, sizeof(*page));
    struct hv_packet p;
    struct err e = {0};
    uint32_t relid;

    assert_int_equal(vmbus_add(g.bus, &more, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN8_1));
    assert_int_equal(hv_offers(&g, offer, 8), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(offer[i].monitor, -1); /* any other guest signals by hypercall */
    g.bus->synic->os_id = UINT64_C(0x82000000000a0000);
    assert_true(hv_contact(&g, VERSION_WIN8_1));
    assert_int_equal(hv_offers(&g, offer, 8), 3);
    assert_int_equal(offer[0].monitor, -1); /* by this it knows services */
    assert_int_equal(offer[2].monitor, 0);
    relid = offer[2].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    g.bus->relid[relid]->in.head->interrupt_mask = le32_of(1); /* hv_send() does not signal */
    got = 0;
    for (unsigned i = 1; i <= 3; i++) {
        hv_send(&g, relid, i, "abcdefgh", 8);
        assert_int_equal(got, i - 1);
        page->trigger[0].pending = le32_of(1u << offer[2].monitor);
        fake_env_advance(&g.f, 1000001);
        assert_int_equal(got, i);
        assert_int_equal(le32_get(page->trigger[0].pending), 0);
        assert_true(hv_get(&g, relid, &p));
        g.bus->relid[relid]->in.head->interrupt_mask = le32_of(1);
    }
    page->trigger[1].pending = le32_of(UINT32_MAX); /* of nobody */
    fake_env_advance(&g.f, 1000001);
    hv_close(&g, relid);
    fake_env_advance(&g.f, 1000001);
    assert_int_equal(g.bus->monitor.at, 0); /* nobody looks */
    vmbus_remove(&more);
}

static void many_messages_wait_for_their_slot(void **state)
{
    uint8_t out[HV_MESSAGE_PAYLOAD], text[8];

    connect();
    for (unsigned i = 0; i < 100; i++) {
        le64_put(text, 1000 + i);
        assert_true(synic_post(g.bus->synic, 1, text, sizeof(text)));
    }
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(hv_message(&g, out), 1000 + i);
    assert_int_equal(hv_message(&g, out), 0);
    fake_env_advance(&g.f, UINT64_C(2000000000));
    assert_null(g.sint[1][1]); /* nobody needs to know of EOMs now */
    assert_true(synic_post(g.bus->synic, 1, text, sizeof(text)));
    assert_int_equal(hv_message(&g, out), 1099);
}

/* As Linux unloads the bus on one processor after it has stopped the others. */
static void a_slot_that_another_processor_empties_is_seen(void **state)
{
    uint8_t out[HV_MESSAGE_PAYLOAD], text[8];
    struct hv_message *slot;

    connect();
    slot = hv_slot(&g, 1);
    for (unsigned i = 0; i < 2; i++) {
        le64_put(text, 1000 + i);
        assert_true(synic_post(g.bus->synic, 1, text, sizeof(text)));
    }
    fake_env_advance(&g.f, UINT64_C(3000000000)); /* however late that is */
    assert_int_equal(slot->message_flags & HV_MESSAGE_PENDING, HV_MESSAGE_PENDING);
    slot->message_type = le32_of(HVMSG_NONE); /* without an EOM there */
    fake_env_advance(&g.f, UINT64_C(1000000001));
    assert_int_equal(hv_message(&g, out), 1001);
}

/* As long as they are waited for, each end of an interrupt wakes the loop. */
static void ends_of_messages_are_not_waited_for_long(void **state)
{
    connect();
    assert_non_null(g.sint[0][1]);
    loop_advance(g.f.env.loop, 25000000);
    assert_true(loop_step(g.f.env.loop, 0) >= 0);
    assert_null(g.sint[0][1]);
    assert_non_null(g.sint[0][0]);
    connect();
    assert_non_null(g.sint[0][1]);
}

static void a_reset_forgets_everything(void **state)
{
    connect();
    assert_int_equal(hv_open(&g, offer[0].relid, 0), 0);
    vmbus_reset(g.bus);
    assert_int_equal(closed, 1);
    assert_int_equal(g.bus->version, 0);
    assert_null(g.bus->gpadls);
}

static void any_message_is_taken(void **state)
{
    uint8_t m[HV_MESSAGE_PAYLOAD], out[HV_MESSAGE_PAYLOAD];
    uint32_t x = 1;

    connect();
    for (unsigned i = 0; i < 20000; i++) {
        size_t n;

        for (size_t k = 0; k < sizeof(m); k++) {
            x = x * 1664525 + 1013904223;
            m[k] = x >> 28 ? 0 : (uint8_t)(x >> 16);
        }
        le32_put(m, x >> 8 & 31);
        n = x >> 3 & 255;
        hv_post(&g, m, n > sizeof(m) ? 8 : n);
        while (hv_message(&g, out))
            ;
        if (g.bus->version == 0)
            connect();
    }
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_version_is_agreed_on_and_others_are_not),
        T(contacts_do_not_fill_the_log),
        T(versions_are_read_from_text),
        T(packets_go_both_ways),
        T(rings_wrap_and_full_rings_wait),
        T(rooms_are_found_without_a_signal),
        T(a_guest_that_never_ends_does_not_hold_the_loop),
        T(nonsense_in_a_ring_kills_only_that_channel),
        T(bad_openings_are_refused),
        T(ranges_with_offsets_are_mapped),
        T(rescind_and_release_take_a_channel_away),
        T(a_late_release_does_not_hit_the_next_offer),
        T(any_teardown_is_answered),
        T(a_release_takes_the_channels_memory_along),
        T(old_contacts_are_answered_on_the_first_processor),
        T(unload_waits_for_requests_in_flight),
        T(interrupts_follow_the_channel_to_its_processor),
        T(old_guests_share_one_doorbell),
        T(a_bit_in_the_monitor_page_signals_an_openbsd),
        T(many_messages_wait_for_their_slot),
        T(a_slot_that_another_processor_empties_is_seen),
        T(ends_of_messages_are_not_waited_for_long),
        T(a_reset_forgets_everything),
        T(any_message_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
