/* SPDX-License-Identifier: Apache-2.0 */
/* Integration services, dynamic memory, keyboard and mouse, with a guest that answers. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/hvdynmem.h"
#include "abi/hvic.h"
#include "abi/hvinput.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "hyperv/hvguest.h"
#include "personas/hyperv/dynmem.h"
#include "personas/hyperv/ic.h"
#include "personas/hyperv/identity.h"
#include "personas/hyperv/input.h"

static struct hvguest g;
static struct persona_env env;
static struct hub *hub;
static struct ics *ics;
static struct input *input;
static struct dynmem *dynmem;
static struct hv_offer offer[16];
static unsigned offers;
static struct hv_packet p;
static enum machine_event told;
static char told_text[128];
static unsigned told_count;

static void event(void *arg, enum machine_event what, const char *text)
{
    told = what;
    told_count++;
    snprintf(told_text, sizeof(told_text), "%s", text);
}

static int setup_room(uint64_t mib)
{
    const struct dynmem_room hot = {UINT64_C(8) << 30, mib << 20};
    struct err e = {0};

    told_count = 0;
    hv_create(&g, VERSION_COPPER);
    env = (struct persona_env){.event = event, .memory = HV_RAM};
    assert_int_equal(hub_create(g.f.env.loop, &hub, &e), 0);
    assert_int_equal(ics_create(g.bus, &env, &ics, &e), 0);
    assert_int_equal(input_create(g.bus, hub, &input, &e), 0);
    assert_int_equal(dynmem_create(g.bus, &env, &hot, &dynmem, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    offers = hv_offers(&g, offer, 16);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_room(512);
}

static int setup_big(void **state)
{
    (void)state;
    return setup_room(4096);
}

static int teardown(void **state)
{
    ics_destroy(ics);
    input_destroy(input);
    dynmem_destroy(dynmem);
    hub_destroy(hub);
    hv_destroy(&g);
    return 0;
}

static uint32_t open_type(const uint8_t type[16])
{
    for (unsigned i = 0; i < offers; i++) {
        if (memcmp(offer[i].type, type, 16) == 0) {
            assert_int_equal(hv_open(&g, offer[i].relid, 0), 0);
            fake_env_run(&g.f);
            return offer[i].relid;
        }
    }
    fail_msg("there is no such offer");
    return 0;
}

/* Sends the message in p back as a guest does, with this status. */
static void reply(uint32_t relid, uint32_t status)
{
    p.data[8 + 17] = ICMSGHDRFLAG_TRANSACTION | ICMSGHDRFLAG_RESPONSE;
    le32_put(p.data + 8 + 12, status);
    hv_send(&g, relid, 0, p.data, p.len);
    fake_env_run(&g.f);
}

/* Negotiates: the last of each list. OpenBSD and old Linux look for framework 3 in second place. */
static uint32_t bring_up(const uint8_t type[16])
{
    uint32_t relid = open_type(type);
    unsigned count;

    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data), VMBUS_PIPE_DATA);
    assert_int_equal(le16_at(p.data + 12), ICMSGTYPE_NEGOTIATE);
    count = le16_at(p.data + 28) + le16_at(p.data + 30);
    assert_int_equal(le16_at(p.data + 28), 2);
    assert_int_equal(le16_at(p.data + 40), 3);
    for (unsigned i = 3; i < count; i++)
        assert_true(le32_at(p.data + 32 + 4 * i) << 16 <= le32_at(p.data + 36 + 4 * i) << 16);
    memmove(p.data + 36, p.data + 40, 4);
    memmove(p.data + 40, p.data + 32 + 4 * count, 4);
    le16_put(p.data + 28, 1);
    le16_put(p.data + 30, 1);
    reply(relid, 0);
    return relid;
}

static unsigned flags_of(const uint8_t type[16])
{
    for (unsigned i = 0; i < offers; i++) {
        if (memcmp(offer[i].type, type, 16) == 0)
            return offer[i].flags;
    }
    fail_msg("there is no such offer");
    return 0;
}

/* Windows makes a device of an offer only when it is not enumerated as an interface. */
static void services_are_interfaces_and_the_rest_are_devices(void **state)
{
    static const uint8_t services[][16] = {HV_SHUTDOWN_GUID, HV_TS_GUID,  HV_HEART_BEAT_GUID,
                                           HV_KVP_GUID,      HV_VSS_GUID, HV_FCOPY_GUID};
    static const uint8_t kbd[16] = HV_KBD_GUID, mouse[16] = HV_MOUSE_GUID, memory[16] = HV_DM_GUID;

    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        assert_int_equal(flags_of(services[i]), 0x11);
    assert_int_equal(flags_of(kbd), 0); /* its packets have no pipe header */
    assert_int_equal(flags_of(mouse), VMBUS_CHANNEL_NAMED_PIPE_MODE);
    assert_int_equal(flags_of(memory), 0);
}

static void shutdown_is_asked_for_and_answered(void **state)
{
    static const uint8_t type[16] = HV_SHUTDOWN_GUID;
    struct err e = {0};
    uint32_t relid;

    assert_int_equal(ics_ask(ics, ASK_SHUTDOWN, &e), -95);
    relid = bring_up(type);
    assert_int_equal(ics_ask(ics, ASK_SHUTDOWN, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data + 12), ICMSGTYPE_SHUTDOWN);
    assert_int_equal(le32_at(p.data + 28 + 8), 0);
    assert_int_equal(ics_ask(ics, ASK_SHUTDOWN, &e), -16);
    assert_int_equal(told_count, 0);
    reply(relid, 0);
    assert_int_equal(told_count, 1);
    assert_int_equal(told, MACHINE_ASK_DONE);
    assert_int_equal(ics_ask(ics, ASK_REBOOT, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 28 + 8), IC_SHUTDOWN_RESTART);
    reply(relid, 0x80004005);
    assert_int_equal(told, MACHINE_ASK_FAILED);
}

static void hearts_beat_every_two_seconds(void **state)
{
    static const uint8_t type[16] = HV_HEART_BEAT_GUID;
    uint32_t relid = bring_up(type);

    for (unsigned i = 0; i < 3; i++) {
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(le16_at(p.data + 12), ICMSGTYPE_HEARTBEAT);
        assert_int_equal(le64_at(p.data + 28), 1 + 2 * i);
        le64_put(p.data + 28, le64_at(p.data + 28) + 1);
        reply(relid, 0);
        assert_false(hv_get(&g, relid, &p));
        fake_env_advance(&g.f, UINT64_C(2000000001));
    }
}

static void the_guest_is_told_the_time(void **state)
{
    static const uint8_t type[16] = HV_TS_GUID;
    uint32_t relid = bring_up(type);

    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data + 12), ICMSGTYPE_TIMESYNC);
    assert_int_equal(le16_at(p.data + 18), 24);
    assert_true(le64_at(p.data + 28) > UINT64_C(132000000000000000)); /* after 2019 */
    assert_int_equal(le64_at(p.data + 36), 12345678); /* the reference counter, 100 ns */
    assert_int_equal(p.data[28 + 16], ICTIMESYNCFLAG_SYNC);
    reply(relid, 0);
    fake_env_advance(&g.f, UINT64_C(30000000001));
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[28 + 16], ICTIMESYNCFLAG_SAMPLE);
}

static struct {
    struct dump d;
    char key[32][64], value[32][160];
    unsigned n;
} facts;

static void add_fact(struct dump *d, const char *key, const char *value)
{
    snprintf(facts.key[facts.n % 32], 64, "%s", key);
    snprintf(facts.value[facts.n++ % 32], 160, "%s", value);
}

static void pairs_are_collected_until_the_guest_has_no_more(void **state)
{
    static const uint8_t type[16] = HV_KVP_GUID;
    uint32_t relid = bring_up(type);
    static const char *const name[] = {"FullyQualifiedDomainName", "OSName"};
    static const char *const value[] = {"guest.example", "Debian"};

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *m = p.data + 28;

        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(m[0], KVP_OP_ENUMERATE);
        assert_int_equal(le32_at(m + 4), i);
        le32_put(m + 8, KVP_REG_SZ);
        le32_put(m + 12, 2 * (uint32_t)strlen(name[i]) + 2);
        le32_put(m + 16, 0xffffffff); /* a lie */
        for (size_t k = 0; k <= strlen(name[i]); k++)
            le16_put(m + 20 + 2 * k, (uint8_t)name[i][k]);
        for (size_t k = 0; k <= strlen(value[i]); k++)
            le16_put(m + 20 + 512 + 2 * k, (uint8_t)value[i][k]);
        reply(relid, 0);
    }
    assert_true(hv_get(&g, relid, &p));
    reply(relid, 0x80070103);
    assert_true(hv_get(&g, relid, &p)); /* what programs of the guest wrote */
    assert_int_equal(p.data[29], KVP_POOL_GUEST);
    reply(relid, 0x80070103);
    assert_false(hv_get(&g, relid, &p));
    facts.d.add = add_fact;
    facts.n = 0;
    ics_describe(ics, &facts.d);
    assert_string_equal(facts.key[facts.n - 1], "OSName");
    assert_string_equal(facts.value[facts.n - 1], "Debian");
    assert_string_equal(facts.value[facts.n - 2], "guest.example");
}

/* What Windows keeps in its registry has types. */
/* Where a text has no room it ends with a whole character. */
static void long_texts_are_cut_between_characters(void **state)
{
    static const uint8_t type[16] = HV_KVP_GUID;
    static const char *const last[2] = {"\xe3\x81\x82", "\xf0\x9f\x98\x80"};
    uint32_t relid = bring_up(type);

    for (unsigned i = 0; i < 6; i++) { /* up to two letters, then what takes 3 or 4 bytes */
        uint8_t *m = p.data + 28, *v = m + 20 + 512;

        assert_true(hv_get(&g, relid, &p));
        le32_put(m + 8, KVP_REG_SZ);
        le32_put(m + 12, 4);
        le32_put(m + 16, 400);
        le32_put(m + 20, 'a' + i);
        for (unsigned k = 0; k < 200; k++)
            le16_put(v + 2 * k, (uint16_t)(k < i % 3         ? 'x'
                                           : i < 3           ? 0x3042
                                           : (k - i % 3) % 2 ? 0xde00
                                                             : 0xd83d));
        reply(relid, 0);
    }
    facts.d.add = add_fact;
    facts.n = 0;
    ics_describe(ics, &facts.d);
    for (unsigned i = 0; i < 6; i++) {
        const char *v = facts.value[facts.n - 6 + i];
        size_t bytes = strlen(last[i / 3]), n = strlen(v);

        assert_int_equal(n, i % 3 + (159 - i % 3) / bytes * bytes);
        assert_memory_equal(v + n - bytes, last[i / 3], bytes);
    }
}

static void numbers_are_read_as_numbers(void **state)
{
    static const uint8_t type[16] = HV_KVP_GUID;
    static const struct {
        uint32_t type, n;
        uint8_t value[8];
        const char *text;
    } item[] = {{KVP_REG_DWORD, 4, {0x40, 0xe2, 0x01}, "123456"},
                {KVP_REG_QWORD, 8, {0, 0, 0, 0, 1}, "4294967296"},
                {KVP_REG_EXPAND_SZ, 6, {'h', 0, 'i', 0}, "hi"},
                {KVP_REG_SZ, 8, {0x1b, 0, 0x9b, 0, 0xa1, 0}, "??\xc2\xa1"}, /* a terminal's */
                {KVP_REG_DWORD, 2, {1}, ""},
                {3, 4, {1}, ""}};
    uint32_t relid = bring_up(type);

    for (size_t i = 0; i < ARRAY_SIZE(item); i++) {
        uint8_t *m = p.data + 28;

        assert_true(hv_get(&g, relid, &p));
        le32_put(m + 8, item[i].type);
        le32_put(m + 12, 4);
        le32_put(m + 16, item[i].n);
        le16_put(m + 20, (uint16_t)('a' + i));
        le16_put(m + 22, 0);
        memcpy(m + 20 + 512, item[i].value, 8);
        reply(relid, 0);
    }
    facts.d.add = add_fact;
    facts.n = 0;
    ics_describe(ics, &facts.d);
    for (size_t i = 0; i < ARRAY_SIZE(item); i++)
        assert_string_equal(facts.value[facts.n - ARRAY_SIZE(item) + i], item[i].text);
}

static void the_guest_has_no_pairs(uint32_t relid)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(p.data[28], KVP_OP_ENUMERATE);
        reply(relid, 0x80070103);
    }
}

static void want_text(const uint8_t *at, const char *text)
{
    for (size_t k = 0; k <= strlen(text); k++)
        assert_int_equal(le16_at(at + 2 * k), text[k]);
}

static void the_host_writes_pairs(void **state)
{
    static const uint8_t type[16] = HV_KVP_GUID;
    struct err e = {0};
    uint32_t relid;

    assert_int_equal(ics_data_set(ics, "host/a", "b", &e), -95);
    relid = bring_up(type);
    the_guest_has_no_pairs(relid);
    assert_int_equal(ics_data_set(ics, "host/colour", "blue", &e), 1);
    assert_int_equal(ics_data_set(ics, "colour", NULL, &e), 1);
    assert_int_equal(ics_data_set(ics, "auto/OSName", "x", &e), -22);
    assert_int_equal(ics_data_set(ics, "host/", "x", &e), -22);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[28], KVP_OP_SET);
    assert_int_equal(le16_at(p.data + 18), sizeof(struct hv_kvp_enum));
    assert_int_equal(p.data[29], KVP_POOL_EXTERNAL);
    assert_int_equal(le32_at(p.data + 36), 14);
    want_text(p.data + 44, "colour");
    want_text(p.data + 44 + HV_KVP_KEY, "blue");
    reply(relid, 0);
    assert_int_equal(told, MACHINE_ASK_DONE);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[28], KVP_OP_DELETE);
    assert_int_equal(le16_at(p.data + 18), sizeof(struct hv_kvp_enum));
    reply(relid, 0x80004005);
    assert_int_equal(told, MACHINE_ASK_FAILED);
    the_guest_has_no_pairs(relid);
}

static void a_card_gets_its_address(void **state)
{
    static const uint8_t type[16] = HV_KVP_GUID;
    static const uint8_t nic[16] = {0x63, 0x51, 0x61, 0xf8, 0, 0, 0, 0x10,
                                    0x20, 0,    1,    2,    3, 4, 5, 6};
    static const char *const bad[] = {"",
                                      "10.0.0.1",
                                      "10.0.0.1/33",
                                      "10.0.0.1/",
                                      "x/8",
                                      "10.0.0.1/8,",
                                      "10.0.0.1/8,dns=fe80::1",
                                      "::1/129",
                                      "10.0.0.1/8,gateway="};
    struct err e = {0};
    uint32_t relid = bring_up(type);

    the_guest_has_no_pairs(relid);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(ics_address(ics, "nic0", nic, bad[i], &e), -22);
    assert_int_equal(ics_address(ics, "nic0", nic, "10.0.2.9/20,gateway=10.0.2.2,dns=10.0.2.3", &e),
                     1);
    assert_int_equal(ics_address(ics, "nic0", nic, "dhcp", &e), 1);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[28], KVP_OP_SET_IP_INFO);
    want_text(p.data + 30, "{f8615163-0000-1000-2000-010203040506}");
    assert_int_equal(p.data[30 + 256], ADDR_FAMILY_IPV4);
    assert_int_equal(p.data[30 + 257], 0);
    want_text(p.data + 30 + 258, "10.0.2.9");
    want_text(p.data + 30 + 258 + 2048, "255.255.240.0");
    reply(relid, 0);
    assert_int_equal(told, MACHINE_ASK_DONE);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[30 + 257], 1);
    reply(relid, 0);
}

static void a_file_is_copied_in_pieces(void **state)
{
    static const uint8_t type[16] = HV_FCOPY_GUID;
    uint32_t relid = bring_up(type);
    struct err e = {0};
    FILE *f = tmpfile();
    int fd;

    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), DATA_FRAGMENT + 5), 0);
    fd = dup(fileno(f));
    assert_int_equal(ics_copy(ics, dup(fd), "relative", &e), -22);
    assert_int_equal(ics_copy(ics, dup(fd), "/folder/", &e), -22);
    assert_int_equal(ics_copy(ics, fd, "/etc/motd", &e), 0);
    assert_int_equal(ics_copy(ics, dup(fileno(f)), "/etc/motd", &e), -16);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 28), START_FILE_COPY);
    want_text(p.data + 28 + 36, "motd");
    want_text(p.data + 28 + 36 + 520, "/etc/");
    assert_int_equal(le64_at(p.data + 28 + 36 + 1040 + 4), DATA_FRAGMENT + 5);
    reply(relid, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(le32_at(p.data + 28), WRITE_TO_FILE);
        assert_int_equal(le64_at(p.data + 28 + 40), i * DATA_FRAGMENT);
        assert_int_equal(le32_at(p.data + 28 + 48), i ? 5 : DATA_FRAGMENT);
        reply(relid, 0);
    }
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 28), COMPLETE_FCOPY);
    assert_int_equal(told_count, 0);
    reply(relid, 0);
    assert_int_equal(told, MACHINE_ASK_DONE);
    assert_int_equal(ics_copy(ics, dup(fileno(f)), "/etc/motd", &e), 0);
    assert_true(hv_get(&g, relid, &p));
    reply(relid, 0x80070070); /* the disk is full */
    assert_int_equal(told, MACHINE_ASK_FAILED);
    assert_false(hv_get(&g, relid, &p));
    fclose(f);
}

static void file_systems_freeze_and_thaw(void **state)
{
    static const uint8_t type[16] = HV_VSS_GUID;
    uint32_t relid = bring_up(type);
    struct err e = {0};

    assert_int_equal(ics_ask(ics, ASK_FREEZE, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[28], VSS_OP_FREEZE);
    reply(relid, 0);
    assert_int_equal(told, MACHINE_ASK_DONE);
    assert_int_equal(ics_ask(ics, ASK_THAW, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[28], VSS_OP_THAW);
    reply(relid, 0x80004005);
    assert_int_equal(told, MACHINE_ASK_FAILED);
}

static void keys_and_moves_reach_the_guest(void **state)
{
    static const uint8_t kbd[16] = HV_KBD_GUID, mouse[16] = HV_MOUSE_GUID;
    struct synth_kbd_protocol ask = {le32_of(1), le32_of(SYNTH_KBD_VERSION)};
    uint32_t hid[5] = {1, 12, 0, 4, SYNTHHID_INPUT_VERSION}, ack[5] = {1, 12, 3, 4, 1};
    struct pointer_event ev = {.x = 100, .y = 30000, .buttons = POINTER_RIGHT};
    uint32_t relid = open_type(kbd);

    hv_send(&g, relid, 0, &ask, sizeof(ask));
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data), SYNTH_KBD_PROTOCOL_RESPONSE);
    assert_int_equal(le32_at(p.data + 4), 1);
    hub_key(hub, 30, true); /* A */
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data + 4), 0x1e);
    assert_int_equal(le32_at(p.data + 8), 0);
    hub_key(hub, 103, false); /* up */
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data + 4), 0x48);
    assert_int_equal(le32_at(p.data + 8), SYNTH_KBD_BREAK | SYNTH_KBD_E0);
    relid = open_type(mouse);
    hv_send(&g, relid, 0, hid, sizeof(hid));
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 8), SYNTH_HID_PROTOCOL_RESPONSE);
    assert_int_equal(le32_at(p.data + 4), 13); /* exactly: drivers refuse more */
    assert_int_equal(p.data[20], 1);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 8), SYNTH_HID_INITIAL_DEVICE_INFO);
    hv_send(&g, relid, 0, ack, sizeof(ack));
    hub_move(hub, &ev);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 8), SYNTH_HID_INPUT_REPORT);
    assert_int_equal(p.data[16], POINTER_RIGHT);
    assert_int_equal(le16_at(p.data + 17), 100);
    assert_int_equal(le16_at(p.data + 19), 30000);
}

static unsigned typed;

static bool other_key(struct keyboard *k, unsigned code, bool down)
{
    typed++;
    return true;
}

/* A driver that asks for a version that there is not has no keyboard, and others have theirs. */
static void a_keyboard_of_no_version_is_let_go(void **state)
{
    static const uint8_t kbd[16] = HV_KBD_GUID;
    struct keyboard other = {.name = "other", .key = other_key};
    struct synth_kbd_protocol ask = {le32_of(1), le32_of(SYNTH_KBD_VERSION)};
    uint32_t relid = open_type(kbd);

    typed = 0;
    hub_keyboard(hub, &other);
    hv_send(&g, relid, 0, &ask, sizeof(ask));
    hub_key(hub, 30, true);
    assert_int_equal(typed, 0);
    ask.value = le32_of(SYNTH_KBD_VERSION + 1);
    hv_send(&g, relid, 0, &ask, sizeof(ask));
    hub_key(hub, 30, false);
    assert_int_equal(typed, 1);
    hv_close(&g, relid);
    hub_key(hub, 30, true);
    assert_int_equal(typed, 2);
    hub_keyboard_gone(hub, &other);
}

static void memory_is_lent_and_returned(void **state)
{
    static const uint8_t type[16] = HV_DM_GUID;
    uint32_t relid = open_type(type);
    uint8_t m[64] = {0}, *page = hv_ram(&g, HV_DATA, 4096);
    struct err e = {0};

    assert_int_equal(dynmem_ask(dynmem, 16 << 20, &e), -95);
    le16_put(m, DM_VERSION_REQUEST);
    le32_put(m + 8, DYNMEM_PROTOCOL_VERSION_3);
    hv_send(&g, relid, 0, m, 16);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[8], 1);
    le16_put(m, DM_CAPABILITIES_REPORT);
    hv_send(&g, relid, 0, m, 32);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.data[8], 1);
    assert_int_equal(dynmem_ask(dynmem, HV_RAM - MiB, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data), DM_BALLOON_REQUEST);
    assert_int_equal(le32_at(p.data + 8), 256);
    *page = 7;
    le16_put(m, DM_BALLOON_RESPONSE);
    le32_put(m + 8, 0);
    le32_put(m + 12, 3 << 1); /* three ranges: good, outside memory, nothing */
    le64_put(m + 16, HV_DATA / 4096 | UINT64_C(256) << DM_RANGE_SHIFT);
    le64_put(m + 24, UINT64_C(0xffffffff) | UINT64_C(1) << DM_RANGE_SHIFT);
    le64_put(m + 32, 5);
    hv_send(&g, relid, 0, m, 40);
    assert_int_equal(*page, 0);
    assert_int_equal(told, MACHINE_ASK_DONE);
    assert_int_equal(dynmem_ask(dynmem, HV_RAM, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data), DM_UNBALLOON_REQUEST);
    assert_int_equal(le32_at(p.data + 12), 1);
    assert_int_equal(le64_at(p.data + 16), HV_DATA / 4096 | UINT64_C(256) << DM_RANGE_SHIFT);
    le16_put(m, DM_UNBALLOON_RESPONSE);
    hv_send(&g, relid, 0, m, 8);
    assert_int_equal(told_count, 2);
}

/* Version and capabilities, as a guest gives them; returns the channel. */
static uint32_t memory_guest(uint64_t caps)
{
    static const uint8_t type[16] = HV_DM_GUID;
    uint32_t relid = open_type(type);
    uint8_t m[32] = {0};

    le16_put(m, DM_VERSION_REQUEST);
    le32_put(m + 8, DYNMEM_PROTOCOL_VERSION_3);
    hv_send(&g, relid, 0, m, 16);
    assert_true(hv_get(&g, relid, &p));
    memset(m, 0, sizeof(m));
    le16_put(m, DM_CAPABILITIES_REPORT);
    le64_put(m + 8, caps);
    hv_send(&g, relid, 0, m, sizeof(m));
    assert_true(hv_get(&g, relid, &p));
    return relid;
}

static void memory_added(uint32_t relid, uint32_t pages)
{
    uint8_t m[16] = {0};

    le16_put(m, DM_MEM_HOT_ADD_RESPONSE);
    le32_put(m + 8, pages);
    le32_put(m + 12, pages != 0);
    hv_send(&g, relid, 0, m, sizeof(m));
}

enum { PAGES_128M = 1 << 15 };

static void memory_is_added(void **state)
{
    uint32_t relid = memory_guest(1 | DM_CAP_HOT_ADD | 7 << DM_CAP_ALIGN_SHIFT);
    uint64_t base = UINT64_C(8) << 30 >> 12, ram = gmem_ram_size(g.f.env.mem);
    struct err e = {0};

    assert_int_equal(dynmem_ask(dynmem, HV_RAM + (UINT64_C(513) << 20), &e), -EINVAL);
    assert_int_equal(dynmem_ask(dynmem, HV_RAM + (UINT64_C(128) << 20), &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data), DM_MEM_HOT_ADD_REQUEST);
    assert_int_equal(p.len, 16);
    assert_int_equal(le64_at(p.data + 8), base | (uint64_t)PAGES_128M << DM_RANGE_SHIFT);
    assert_int_equal(gmem_ram_size(g.f.env.mem), ram + (UINT64_C(128) << 20));
    assert_int_equal(dynmem_ask(dynmem, HV_RAM, &e), -EBUSY);
    memory_added(relid, PAGES_128M);
    assert_int_equal(told, MACHINE_ASK_DONE);
    /* The guest takes a part of the rest: that is all that it can have. */
    assert_int_equal(dynmem_ask(dynmem, HV_RAM + (UINT64_C(512) << 20), &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le64_at(p.data + 8), (base + PAGES_128M) | (uint64_t)(3 * PAGES_128M)
                                                                    << DM_RANGE_SHIFT);
    memory_added(relid, PAGES_128M);
    assert_int_equal(told, MACHINE_ASK_FAILED);
    assert_int_equal(dynmem_ask(dynmem, HV_RAM + (UINT64_C(384) << 20), &e), 0);
    assert_int_equal(told_count, 3);
    assert_false(hv_get(&g, relid, &p));
    /* After a reset the machine starts anew, in memory that is there already. */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(gmem_fill(g.f.env.mem, (base + i * PAGES_128M) << 12, 7, 4096), 0);
    dynmem_reset(dynmem);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(*(uint8_t *)gmem_shared(g.f.env.mem, (base + i * PAGES_128M) << 12, 1), 0);
    assert_int_equal(gmem_ram_size(g.f.env.mem), ram + (UINT64_C(512) << 20));
    /* The least that a guest takes is added, and what is too much of it is lent. */
    assert_int_equal(dynmem_ask(dynmem, HV_RAM + MiB, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le64_at(p.data + 8), base | (uint64_t)PAGES_128M << DM_RANGE_SHIFT);
    memory_added(relid, UINT32_MAX); /* more than was offered counts as all */
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data), DM_BALLOON_REQUEST);
    assert_int_equal(le32_at(p.data + 8), PAGES_128M - 256);
}

static void windows_is_asked_for_memory_when_it_has_started(void **state)
{
    struct err e = {0};
    uint32_t relid;

    g.bus->synic->os_id = UINT64_C(0x0001040a00004563);
    relid = memory_guest(1);
    fake_env_advance(&g.f, UINT64_C(20000000000));
    assert_int_equal(dynmem_ask(dynmem, HV_RAM - MiB, &e), -EAGAIN);
    assert_string_equal(e.msg, "Windows is starting; it can be asked for memory in 31 s");
    fake_env_advance(&g.f, UINT64_C(29000000000));
    assert_int_equal(dynmem_ask(dynmem, HV_RAM - MiB, &e), -EAGAIN);
    assert_false(hv_get(&g, relid, &p));
    fake_env_advance(&g.f, UINT64_C(1000000001));
    assert_int_equal(dynmem_ask(dynmem, HV_RAM - MiB, &e), 0);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le16_at(p.data), DM_BALLOON_REQUEST);
}

static void memory_is_not_added_to_a_guest_that_takes_none(void **state)
{
    uint32_t relid = memory_guest(1);
    struct err e = {0};

    assert_int_equal(dynmem_ask(dynmem, HV_RAM + MiB, &e), -ENOTSUP);
    assert_false(hv_get(&g, relid, &p));
}

/* A guest that says so after it was offered some. */
static void a_guest_may_take_no_more_memory(void **state)
{
    uint32_t relid = memory_guest(1 | DM_CAP_HOT_ADD | 7 << DM_CAP_ALIGN_SHIFT);
    uint8_t m[32] = {0};
    struct err e = {0};

    assert_int_equal(dynmem_ask(dynmem, HV_RAM + (UINT64_C(2048) << 20), &e), 0);
    assert_true(hv_get(&g, relid, &p)); /* the first GiB of it */
    le16_put(m, DM_CAPABILITIES_REPORT);
    hv_send(&g, relid, 0, m, sizeof(m));
    assert_true(hv_get(&g, relid, &p));
    memory_added(relid, 8 * PAGES_128M);
    assert_int_equal(told, MACHINE_ASK_FAILED);
    assert_false(hv_get(&g, relid, &p));
}

static void guests_are_known_by_their_id(void **state)
{
    char text[96];

    identity_guest(UINT64_C(0x8100000601c00000), text, sizeof(text));
    assert_string_equal(text, "Linux 6.1.192");
    identity_guest(UINT64_C(0x0001040a00003839), text, sizeof(text));
    assert_string_equal(text, "Microsoft Windows NT 10.0 build 14393 service pack 0");
    identity_guest(UINT64_C(0x82000000000a0000), text, sizeof(text));
    assert_string_equal(text, "OpenBSD");
    identity_guest(UINT64_C(0x8200000000000000) | UINT64_C(1401000) << 16, text, sizeof(text));
    assert_string_equal(text, "FreeBSD 14.1");
    assert_non_null(identity_find("2008r2"));
    assert_null(identity_find("2003"));
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(services_are_interfaces_and_the_rest_are_devices),
        T(shutdown_is_asked_for_and_answered),
        T(hearts_beat_every_two_seconds),
        T(the_guest_is_told_the_time),
        T(pairs_are_collected_until_the_guest_has_no_more),
        T(long_texts_are_cut_between_characters),
        T(numbers_are_read_as_numbers),
        T(file_systems_freeze_and_thaw),
        T(keys_and_moves_reach_the_guest),
        T(a_keyboard_of_no_version_is_let_go),
        T(the_host_writes_pairs),
        T(a_card_gets_its_address),
        T(a_file_is_copied_in_pieces),
        T(memory_is_lent_and_returned),
        T(memory_is_added),
        T(windows_is_asked_for_memory_when_it_has_started),
        T(memory_is_not_added_to_a_guest_that_takes_none),
        cmocka_unit_test_setup_teardown(a_guest_may_take_no_more_memory, setup_big, teardown),
        T(guests_are_known_by_their_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
