/* SPDX-License-Identifier: Apache-2.0 */
/* test_xhci.c - a guest's xHCI and HID drivers: ports, slots, control transfers, keys, positions.
 */
#include "unit.h"

#include <linux/input-event-codes.h>

#include "abi/xhci.h"
#include "board/usb/xhci.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"

enum { DEVFN = 1 << 3, OP = 0x40, RT = 0x1000, DB = 0x2000, COMMANDS = 0x10000, EVENTS = 0x11000 };
enum { TABLE = 0x12000, CONTEXTS = 0x13000, INPUT = 0x14000, DEVICE = 0x15000, EP0 = 0x18000 };
enum { EP1 = 0x19000, DATA = 0x20000, RING = 16, VECTOR = 0x70 };

static struct fake_env f;
static struct hub *hub;
static uint64_t bar[6];
static unsigned command_at, event_at, ep0_at, ep1_at;
static bool event_cycle;

static uint32_t rd(unsigned reg)
{
    return (uint32_t)fake_env_read(&f, bar[0] + reg, 4);
}

static void wr(unsigned reg, uint32_t v)
{
    fake_env_write(&f, bar[0] + reg, 4, v);
}

static uint8_t *ram(gpa_t at, size_t n)
{
    uint8_t *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static void trb(gpa_t at, uint64_t parameter, uint32_t status, uint32_t control)
{
    struct xhci_trb t = {le64_of(parameter), le32_of(status), le32_of(control | XHCI_TRB_CYCLE)};

    memcpy(ram(at, 16), &t, 16);
}

/* The next event, its code; fails when there is none. */
static unsigned event(unsigned type, struct xhci_trb *out)
{
    struct xhci_trb t;

    memcpy(&t, ram(EVENTS + event_at * 16u, 16), 16);
    assert_int_equal(le32_get(t.control) & 1, event_cycle);
    assert_int_equal(le32_get(t.control) >> 10 & 63, type);
    if (++event_at == RING) {
        event_at = 0;
        event_cycle = !event_cycle;
    }
    wr(RT + XHCI_ERDP, (uint32_t)(EVENTS + event_at * 16u) | XHCI_ERDP_EHB);
    if (out)
        *out = t;
    return le32_get(t.status) >> 24;
}

static bool quiet(void)
{
    return (le32_at(ram(EVENTS + event_at * 16u + 12, 4)) & 1) != event_cycle;
}

static void start(void)
{
    wr(OP + XHCI_USBCMD, XHCI_CMD_HCRST);
    assert_int_equal(rd(OP + XHCI_USBSTS), XHCI_STS_HCH);
    memset(ram(EVENTS, 4096), 0, 4096);
    memset(ram(COMMANDS, 4096), 0, 4096);
    memset(ram(EP0, 8192), 0, 8192);
    command_at = event_at = ep0_at = ep1_at = 0;
    event_cycle = true;
    le64_put(ram(TABLE, 16), EVENTS);
    le32_put(ram(TABLE + 8, 4), RING);
    wr(OP + XHCI_CONFIG, 8);
    wr(OP + XHCI_DCBAAP, CONTEXTS);
    wr(OP + XHCI_CRCR, COMMANDS | 1);
    wr(OP + XHCI_CRCR + 4, 0);
    wr(RT + XHCI_ERSTSZ, 1);
    wr(RT + XHCI_ERDP, EVENTS);
    wr(RT + XHCI_ERSTBA, TABLE);
    wr(RT + XHCI_IMAN, XHCI_IMAN_IE);
    wr(OP + XHCI_USBCMD, XHCI_CMD_RUN | XHCI_CMD_INTE);
    for (unsigned i = 0; i < 2; i++) /* two ports have changed */
        assert_int_equal(event(XHCI_PORT_EVENT, NULL), XHCI_SUCCESS);
    assert_true(quiet());
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 1 * MiB);
    assert_int_equal(hub_create(f.env.loop, &hub, &e), 0);
    assert_int_equal(xhci_add_input(&f.env, hub, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    hub_destroy(hub);
    return 0;
}

static unsigned command(unsigned type, uint64_t parameter, uint32_t control, unsigned *slot)
{
    struct xhci_trb t;
    unsigned code;

    trb(COMMANDS + 16 * command_at++, parameter, 0, type << 10 | control);
    wr(DB, 0);
    code = event(XHCI_COMMAND_EVENT, &t);
    assert_int_equal(le64_get(t.parameter), COMMANDS + 16 * (command_at - 1));
    if (slot)
        *slot = le32_get(t.control) >> 24;
    return code;
}

static void reset_port(unsigned port)
{
    unsigned reg = OP + XHCI_PORTS + 16 * (port - 1);

    assert_true(rd(reg) & XHCI_PORT_CCS);
    wr(reg, XHCI_PORT_PP | XHCI_PORT_PR | XHCI_PORT_CSC);
    assert_int_equal(event(XHCI_PORT_EVENT, NULL), XHCI_SUCCESS);
    assert_int_equal(rd(reg) & (XHCI_PORT_PED | XHCI_PORT_PRC | XHCI_PORT_CSC),
                     XHCI_PORT_PED | XHCI_PORT_PRC);
    wr(reg, XHCI_PORT_PP | XHCI_PORT_PRC);
}

/* Slot 1 for the device at the port, addressed. */
static void address(unsigned port)
{
    unsigned slot = 0;

    reset_port(port);
    assert_int_equal(command(XHCI_ENABLE_SLOT, 0, 0, &slot), XHCI_SUCCESS);
    assert_int_equal(slot, 1);
    memset(ram(INPUT, 4096), 0, 4096);
    le64_put(ram(CONTEXTS + 8, 8), DEVICE);
    le32_put(ram(INPUT + 4, 4), 3);
    le32_put(ram(INPUT + 32, 4), 1u << 27 | 1u << 20);
    le32_put(ram(INPUT + 36, 4), port << 16);
    le32_put(ram(INPUT + 64 + 4, 4), 4u << 3 | 64u << 16);
    le64_put(ram(INPUT + 64 + 8, 8), EP0 | 1);
    assert_int_equal(command(XHCI_ADDRESS_DEVICE, INPUT, 1u << 24, NULL), XHCI_SUCCESS);
    assert_int_equal(le32_at(ram(DEVICE + 12, 4)), XHCI_SLOT_ADDRESSED << 27 | 1);
    assert_int_equal(ram(DEVICE + 32, 1)[0] & 7, XHCI_EP_RUNNING);
}

/* A control transfer; its code. Data comes to DATA. */
static unsigned control(uint8_t type, uint8_t request, uint16_t value, uint16_t len)
{
    struct xhci_trb t;
    uint64_t s = type | request << 8 | (uint64_t)value << 16 | (uint64_t)len << 48;

    trb(EP0 + 16 * ep0_at++, s, 8, XHCI_SETUP << 10 | XHCI_TRB_IDT);
    if (len)
        trb(EP0 + 16 * ep0_at++, DATA, len, XHCI_DATA << 10 | (type & 0x80 ? XHCI_TRB_IN : 0));
    trb(EP0 + 16 * ep0_at++, 0, 0, XHCI_STATUS << 10 | XHCI_TRB_IOC);
    wr(DB + 4, 1);
    return event(XHCI_TRANSFER_EVENT, &t);
}

static void configure(void)
{
    memset(ram(INPUT, 4096), 0, 4096);
    le32_put(ram(INPUT + 4, 4), 1 | 1 << 3);
    le32_put(ram(INPUT + 32, 4), 3u << 27 | 1u << 20);
    le32_put(ram(INPUT + 32 * 4 + 4, 4), 7u << 3 | 8u << 16);
    le64_put(ram(INPUT + 32 * 4 + 8, 8), EP1 | 1);
    assert_int_equal(command(XHCI_CONFIGURE_ENDPOINT, INPUT, 1u << 24, NULL), XHCI_SUCCESS);
    assert_int_equal(le32_at(ram(DEVICE + 12, 4)) >> 27, XHCI_SLOT_CONFIGURED);
    assert_int_equal(control(0, USB_SET_CONFIGURATION, 1, 0), XHCI_SUCCESS);
    fake_env_run(&f);
}

static void listen(unsigned bytes)
{
    trb(EP1 + 16 * ep1_at++, DATA, bytes, XHCI_NORMAL << 10 | XHCI_TRB_IOC);
    wr(DB + 4, 3);
}

static void descriptors_are_read(void **state)
{
    (void)state;
    assert_int_equal(rd(4), 8 | 1 << 8 | 8 << 24);
    address(1);
    assert_int_equal(control(0x80, USB_GET_DESCRIPTOR, USB_DT_DEVICE << 8, 18), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 4), "\x12\x01\x00\x02", 4);
    assert_int_equal(control(0x80, USB_GET_DESCRIPTOR, USB_DT_CONFIG << 8, 255), XHCI_SUCCESS);
    assert_int_equal(le16_at(ram(DATA + 2, 2)), 34);
    assert_memory_equal(ram(DATA + 14, 3), "\x03\x01\x01", 3); /* a boot keyboard */
    assert_int_equal(control(0x81, USB_GET_DESCRIPTOR, USB_DT_REPORT << 8, 63), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 4), "\x05\x01\x09\x06", 4);
    assert_int_equal(control(0x80, USB_GET_DESCRIPTOR, USB_DT_STRING << 8 | 2, 255), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 6), "\x1a\x03U\0S\0", 6);
}

static void a_stall_halts_until_it_is_reset(void **state)
{
    (void)state;
    address(1);
    assert_int_equal(control(0x80, USB_GET_DESCRIPTOR, 0x0f00, 8), XHCI_STALL);
    assert_int_equal(ram(DEVICE + 32, 1)[0] & 7, XHCI_EP_HALTED);
    wr(DB + 4, 1);
    assert_true(quiet());
    assert_int_equal(command(XHCI_RESET_ENDPOINT, 0, 1u << 24 | 1 << 16, NULL), XHCI_SUCCESS);
    assert_int_equal(
        command(XHCI_SET_TR_DEQUEUE, (EP0 + 16 * ep0_at) | 1, 1u << 24 | 1 << 16, NULL),
        XHCI_SUCCESS);
    assert_int_equal(control(0x80, USB_GET_STATUS, 0, 2), XHCI_SUCCESS);
    assert_int_equal(command(XHCI_RESET_ENDPOINT, 0, 1u << 24 | 1 << 16, NULL), XHCI_CONTEXT_STATE);
}

static void keys_come_as_reports(void **state)
{
    (void)state;
    address(1);
    configure();
    listen(8);
    assert_true(quiet());
    hub_key(hub, KEY_LEFTSHIFT, true);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, NULL), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 8), "\x02\0\0\0\0\0\0\0", 8);
    hub_key(hub, KEY_A, true);
    hub_key(hub, KEY_A, false);
    assert_true(quiet()); /* they wait */
    listen(8);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, NULL), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 8), "\x02\0\x04\0\0\0\0\0", 8);
    listen(64); /* longer than a report */
    assert_int_equal(event(XHCI_TRANSFER_EVENT, NULL), XHCI_SHORT_PACKET);
    assert_memory_equal(ram(DATA, 8), "\x02\0\0\0\0\0\0\0", 8);
}

/* As Windows and Haiku have it: the event carries their own word and counts all bytes. */
static void event_data_ends_a_descriptor(void **state)
{
    struct xhci_trb t;

    (void)state;
    address(1);
    configure();
    trb(EP1, DATA, 3, XHCI_NORMAL << 10 | XHCI_TRB_CHAIN);
    trb(EP1 + 16, DATA + 64, 20, XHCI_NORMAL << 10 | XHCI_TRB_CHAIN);
    trb(EP1 + 32, DATA + 128, 20, XHCI_NORMAL << 10 | XHCI_TRB_CHAIN);
    trb(EP1 + 48, 0x1234567890, 0, XHCI_EVENT_DATA << 10 | XHCI_TRB_IOC);
    ep1_at = 4;
    wr(DB + 4, 3);
    memset(ram(DATA, 256), 0xee, 256);
    hub_key(hub, KEY_A, true);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, &t), XHCI_SHORT_PACKET);
    assert_int_equal(le64_get(t.parameter), 0x1234567890);
    assert_int_equal(le32_get(t.status) & 0xffffff, 8);
    assert_int_equal(le32_get(t.control) & ~1u,
                     1u << 24 | 3 << 16 | XHCI_TRANSFER_EVENT << 10 | XHCI_TRB_ED);
    assert_memory_equal(ram(DATA, 4), "\0\0\x04\xee", 4); /* a report over two buffers */
    assert_memory_equal(ram(DATA + 64, 6), "\0\0\0\0\0\xee", 6);
    assert_int_equal(ram(DATA + 128, 1)[0], 0xee);
    assert_true(quiet());
    listen(8); /* and nothing of it is left */
    hub_key(hub, KEY_A, false);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, NULL), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 8), "\0\0\0\0\0\0\0\0", 8);
}

/* An answer shorter than its buffers: one event, and what follows in the chain is passed over. */
static void a_short_answer_ends_its_data_stage(void **state)
{
    uint64_t get =
        0x80 | USB_GET_DESCRIPTOR << 8 | (uint64_t)USB_DT_DEVICE << 24 | UINT64_C(255) << 48;
    struct xhci_trb t;

    (void)state;
    address(1);
    trb(EP0, get, 8, XHCI_SETUP << 10 | XHCI_TRB_IDT);
    trb(EP0 + 16, DATA, 10, XHCI_DATA << 10 | XHCI_TRB_IN | XHCI_TRB_CHAIN | XHCI_TRB_ISP);
    trb(EP0 + 32, DATA + 10, 200, XHCI_NORMAL << 10 | XHCI_TRB_CHAIN | XHCI_TRB_ISP);
    trb(EP0 + 48, DATA + 210, 45, XHCI_NORMAL << 10 | XHCI_TRB_CHAIN | XHCI_TRB_ISP);
    trb(EP0 + 64, 77, 0, XHCI_EVENT_DATA << 10 | XHCI_TRB_IOC);
    trb(EP0 + 80, 0, 0, XHCI_STATUS << 10 | XHCI_TRB_IOC);
    ep0_at = 6;
    wr(DB + 4, 1);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, &t), XHCI_SHORT_PACKET);
    assert_int_equal(le64_get(t.parameter), EP0 + 32);
    assert_int_equal(le32_get(t.status) & 0xffffff, 192);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, &t), XHCI_SHORT_PACKET);
    assert_int_equal(le64_get(t.parameter), 77);
    assert_int_equal(le32_get(t.status) & 0xffffff, 18);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, &t), XHCI_SUCCESS);
    assert_int_equal(le64_get(t.parameter), EP0 + 80);
    assert_true(quiet());
}

static void a_stopped_command_ring_goes_on_where_it_was(void **state)
{
    struct xhci_trb t;

    (void)state;
    assert_int_equal(command(XHCI_COMMAND_NOOP, 0, 0, NULL), XHCI_SUCCESS);
    assert_true(rd(OP + XHCI_CRCR) & XHCI_CRCR_CRR);
    wr(OP + XHCI_CRCR, XHCI_CRCR_STOP);
    wr(OP + XHCI_CRCR + 4, 0);
    assert_int_equal(event(XHCI_COMMAND_EVENT, &t), XHCI_RING_STOPPED);
    assert_int_equal(le64_get(t.parameter), COMMANDS + 16);
    assert_int_equal(rd(OP + XHCI_CRCR), 0);
    assert_int_equal(command(XHCI_COMMAND_NOOP, 0, 0, NULL), XHCI_SUCCESS);
}

/* Nothing is saved for a sleep: drivers that restore must hear of it. */
static void a_restored_state_is_an_error(void **state)
{
    (void)state;
    wr(OP + XHCI_USBCMD, 0);
    wr(OP + XHCI_USBCMD, XHCI_CMD_CSS);
    assert_int_equal(rd(OP + XHCI_USBSTS) & XHCI_STS_SRE, 0);
    wr(OP + XHCI_USBCMD, XHCI_CMD_CRS);
    assert_int_equal(rd(OP + XHCI_USBSTS) & XHCI_STS_SRE, XHCI_STS_SRE);
    wr(OP + XHCI_USBSTS, XHCI_STS_SRE);
    assert_int_equal(rd(OP + XHCI_USBSTS) & XHCI_STS_SRE, 0);
}

static void the_tablet_says_where_it_is(void **state)
{
    struct pointer_event ev = {.x = 100, .y = 32767, .wheel = -1, .buttons = POINTER_LEFT};

    (void)state;
    address(2);
    configure();
    listen(6);
    hub_move(hub, &ev);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, NULL), XHCI_SUCCESS);
    assert_memory_equal(ram(DATA, 6), "\x01\x64\x00\xff\x7f\xff", 6);
    wr(OP + XHCI_USBCMD, 0); /* nobody is there any more */
    fake_env_run(&f);
    hub_move(hub, &ev);
    assert_true(quiet());
}

static void interrupts_come_once_for_a_visit(void **state)
{
    (void)state;
    assert_int_equal(fake_pci_msix(&f, DEVFN, bar, VECTOR), 1);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 0);
    trb(COMMANDS, 0, 0, XHCI_COMMAND_NOOP << 10);
    trb(COMMANDS + 16, 0, 0, XHCI_COMMAND_NOOP << 10);
    wr(DB, 0);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 1);
    event(XHCI_COMMAND_EVENT, NULL); /* leaves, and one is there still */
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 1);
    event(XHCI_COMMAND_EVENT, NULL);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR), 0);
}

static void a_full_event_ring_holds_work_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        trb(COMMANDS + 16 * i, 0, 0, XHCI_COMMAND_NOOP << 10);
    wr(DB, 0);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(event(XHCI_COMMAND_EVENT, NULL), XHCI_SUCCESS);
        fake_env_run(&f);
    }
    assert_true(quiet());
}

/* Others have their turn between, but no second doorbell is needed. */
static void long_rings_are_served_to_their_end(void **state)
{
    enum { LONG = 0x30000, MANY = 600 };

    (void)state;
    address(1);
    for (unsigned i = 0; i < MANY; i++)
        trb(LONG + 16 * i, 0, 0, XHCI_NOOP << 10 | (i == MANY - 1 ? XHCI_TRB_IOC : 0));
    assert_int_equal(command(XHCI_STOP_ENDPOINT, 0, 1u << 24 | 1 << 16, NULL), XHCI_SUCCESS);
    assert_int_equal(command(XHCI_SET_TR_DEQUEUE, LONG | 1, 1u << 24 | 1 << 16, NULL),
                     XHCI_SUCCESS);
    wr(DB + 4, 1);
    assert_true(quiet());
    fake_env_run(&f);
    assert_int_equal(event(XHCI_TRANSFER_EVENT, NULL), XHCI_SUCCESS);
}

static void bad_commands_have_codes(void **state)
{
    (void)state;
    assert_int_equal(command(XHCI_DISABLE_SLOT, 0, 1u << 24, NULL), XHCI_SLOT_NOT_ENABLED);
    assert_int_equal(command(XHCI_DISABLE_SLOT, 0, 200u << 24, NULL), XHCI_SLOT_NOT_ENABLED);
    assert_int_equal(command(60, 0, 0, NULL), XHCI_TRB_ERROR);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(command(XHCI_ENABLE_SLOT, 0, 0, NULL), XHCI_SUCCESS);
    assert_int_equal(command(XHCI_ENABLE_SLOT, 0, 0, NULL), XHCI_NO_SLOTS);
    memset(ram(INPUT, 4096), 0, 4096);
    assert_int_equal(command(XHCI_ADDRESS_DEVICE, INPUT, 1u << 24, NULL), XHCI_PARAMETER_ERROR);
    assert_int_equal(command(XHCI_ADDRESS_DEVICE, UINT64_C(1) << 50, 1u << 24, NULL),
                     XHCI_PARAMETER_ERROR);
    assert_int_equal(command(XHCI_CONFIGURE_ENDPOINT, INPUT, 1u << 24, NULL), XHCI_CONTEXT_STATE);
    assert_int_equal(command(XHCI_STOP_ENDPOINT, 0, 1u << 24 | 3 << 16, NULL), XHCI_CONTEXT_STATE);
}

static void rings_that_lead_nowhere_do_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        trb(COMMANDS + 16 * i, COMMANDS + 16 * (1 - i), 0, XHCI_LINK << 10);
    wr(DB, 0);
    assert_true(quiet());
    wr(OP + XHCI_USBCMD, 0);
    wr(RT + XHCI_ERSTBA, 0xfffff000);
    assert_false(rd(OP + XHCI_USBSTS) & XHCI_STS_HSE);
    wr(OP + XHCI_USBCMD, XHCI_CMD_RUN);
    assert_true(rd(OP + XHCI_USBSTS) & XHCI_STS_HSE);
    start();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(descriptors_are_read),
        TEST(a_stall_halts_until_it_is_reset),
        TEST(keys_come_as_reports),
        TEST(event_data_ends_a_descriptor),
        TEST(a_short_answer_ends_its_data_stage),
        TEST(a_stopped_command_ring_goes_on_where_it_was),
        TEST(a_restored_state_is_an_error),
        TEST(the_tablet_says_where_it_is),
        TEST(interrupts_come_once_for_a_visit),
        TEST(a_full_event_ring_holds_work_back),
        TEST(long_rings_are_served_to_their_end),
        TEST(bad_commands_have_codes),
        TEST(rings_that_lead_nowhere_do_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
