/* SPDX-License-Identifier: Apache-2.0 */
/* VMCI, driven as a guest driver does: registers, datagrams both ways, queue pairs, doorbells. */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_pci.h"
#include "personas/persona.h"
#include "personas/vmware/vmci_priv.h"
#include "vmware/vmci_guest.h"

enum {
    OFFER = VMCI_TRANSPORT_PACKET_TYPE_OFFER,
    WROTE = VMCI_TRANSPORT_PACKET_TYPE_WROTE,
    RST = VMCI_TRANSPORT_PACKET_TYPE_RST,
};

static struct vmci_guest g;

static int setup(void **state)
{
    vg_create(&g);
    return 0;
}

static int teardown(void **state)
{
    vg_destroy(&g);
    return 0;
}

static void the_device_is_as_drivers_probe_it(void **state)
{
    uint32_t query[] = {3, 0, VMCI_GET_CONTEXT_ID, 12, VMCI_QUEUEPAIR_ALLOC};

    assert_int_equal(vg_get(&g, VMCI_CAPS_ADDR), 0x1c);
    assert_int_equal(vg_get(&g, VMCI_STATUS_ADDR), VMCI_STATUS_INT_ON);
    assert_int_equal(vg_call(&g, VMCI_RESOURCES_QUERY, query, sizeof(query)), 5);
    query[0] = 4; /* more than there are */
    assert_int_equal(vg_call(&g, VMCI_RESOURCES_QUERY, query, sizeof(query)),
                     VMCI_ERROR_INVALID_ARGS);
    assert_int_equal(vg_get(&g, VMCI_RESULT_HIGH_ADDR), UINT32_MAX);
    assert_int_equal(vg_call(&g, VMCI_GET_CONTEXT_ID, NULL, 0), VG_CID);
    assert_int_equal(vg_get(&g, VMCI_RESULT_HIGH_ADDR), 0);
    assert_int_equal(vg_call(&g, VMCI_RPC_PRIVILEGED + 1, NULL, 0), VMCI_ERROR_INVALID_RESOURCE);
    assert_int_equal(vg_call(&g, VMCI_EVENT_SUBSCRIBE, query, 4),
                     VMCI_SUCCESS); /* 4: a pair is left */
    assert_int_equal(vg_datagram(&g, VG_CID + 1, 1, NULL, 0), VMCI_ERROR_DST_UNREACHABLE);
    assert_int_equal(vg_datagram(&g, VMCI_HOST_CONTEXT_ID, 77, NULL, 0),
                     VMCI_ERROR_INVALID_RESOURCE);
    assert_int_equal(vg_datagram(&g, VMCI_HOST_CONTEXT_ID, VMCI_TRANSPORT_PACKET_RID, NULL, 0),
                     VMCI_ERROR_INVALID_ARGS);
    vg_put(&g, VMCI_CONTROL_ADDR, VMCI_CONTROL_RESET);
    assert_int_equal(vg_get(&g, VMCI_STATUS_ADDR), 0);
}

static void a_datagram_that_is_too_long_is_passed_over(void **state)
{
    static uint8_t much[VMCI_MAX_DG_SIZE];

    assert_int_equal(vg_call(&g, VMCI_GET_CONTEXT_ID, much, sizeof(much)),
                     VMCI_ERROR_PAYLOAD_TOO_LARGE);
    assert_int_equal(vg_call(&g, VMCI_GET_CONTEXT_ID, much, sizeof(much) - 24), VG_CID);
}

static void queue_pairs_are_checked(void **state)
{
    struct vmci_handle own = {le32_of(VG_CID), le32_of(3000)};
    struct vmci_handle stranger = {le32_of(VG_CID + 1), le32_of(3000)};
    struct vmci_handle host = {le32_of(VMCI_HOST_CONTEXT_ID), le32_of(3000)};

    assert_int_equal(vg_alloc(&g, own, VMCI_QPFLAG_LOCAL, true), VMCI_ERROR_INVALID_ARGS);
    assert_int_equal(vg_alloc(&g, stranger, 0, true), VMCI_ERROR_NO_ACCESS);
    assert_int_equal(vg_alloc(&g, host, VMCI_QPFLAG_ATTACH_ONLY, true), VMCI_ERROR_NOT_FOUND);
    assert_int_equal(vg_alloc(&g, own, 0, false), VMCI_ERROR_INVALID_ARGS); /* half of the list */
    g.size = 1;
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_ERROR_NO_RESOURCES);
    g.size = VMCI_QUEUE_MAX + 1;
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_ERROR_NO_RESOURCES);
    g.size = VG_SIZE;
    assert_int_equal(vg_call(&g, VMCI_QUEUEPAIR_ALLOC, &own, sizeof(own)), VMCI_ERROR_INVALID_ARGS);
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_SUCCESS_QUEUEPAIR_CREATE);
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_ERROR_ALREADY_EXISTS);
    assert_int_equal(le64_get(vg_header(&g, true)->producer_tail), 0);
    assert_memory_equal(&vg_header(&g, true)->handle, &own, sizeof(own));
    vg_packet(&g, OFFER, VG_PORT, VG_HOST_PORT, vg_word(own)); /* of no connection */
    assert_int_equal(vg_received(&g), RST);
    for (uint32_t i = 1; i <= VMCI_QPS; i++) {
        struct vmci_handle next = {le32_of(VG_CID), le32_of(4000 + i)};

        assert_int_equal(vg_alloc(&g, next, 0, true),
                         i < VMCI_QPS ? VMCI_SUCCESS_QUEUEPAIR_CREATE : VMCI_ERROR_NO_RESOURCES);
    }
}

static void pages_outside_memory_make_no_queue_pair(void **state)
{
    struct vmci_qp_alloc_msg m = {.handle = {le32_of(VG_CID), le32_of(1)},
                                  .peer = le32_of(VMCI_HOST_CONTEXT_ID),
                                  .produce_size = le64_of(4096),
                                  .consume_size = le64_of(4096),
                                  .num_ppns = le64_of(4)};
    uint8_t text[sizeof(m) + 32];

    memcpy(text, &m, sizeof(m));
    for (unsigned i = 0; i < 4; i++)
        le64_put(text + sizeof(m) + 8 * i, i == 3 ? 16 * MiB / 4096 : 1);
    assert_int_equal(vg_call(&g, VMCI_QUEUEPAIR_ALLOC, text, sizeof(text)),
                     VMCI_ERROR_INVALID_ARGS);
    le64_put(text + sizeof(m) + 24, UINT64_MAX / 4096 + 2); /* wraps to page 1 */
    assert_int_equal(vg_call(&g, VMCI_QUEUEPAIR_ALLOC, text, sizeof(text)),
                     VMCI_ERROR_INVALID_ARGS);
    le64_put(text + sizeof(m) + 24, 2);
    assert_int_equal(vg_call(&g, VMCI_QUEUEPAIR_ALLOC, text, sizeof(text)),
                     VMCI_SUCCESS_QUEUEPAIR_CREATE);
}

/* More than a page of datagrams: none crosses the page's end, and the guest is told to read on. */
static void datagrams_stay_within_what_the_guest_reads(void **state)
{
    int fd[12];
    unsigned seen = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
        fd[i] = vg_calls(&g, "CONNECT 1024\n");
    for (uint32_t i = 0; i < VMCI_ORPHANS; i++)
        vg_packet(&g, WROTE, 1, i, 0);
    assert_int_equal(
        vg_packet_to(&g, VMCI_HOST_CONTEXT_ID, VMCI_TRANSPORT_PACKET_RID, WROTE, 1, 1, 0),
        VMCI_ERROR_NO_RESOURCES);
    assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 1);
    vg_read_page(&g);
    while (vg_in_page(&g) != VG_NOTHING)
        seen++;
    assert_int_equal(seen, 4096 / sizeof(g.got));
    assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 1);
    vg_read_page(&g);
    while (vg_in_page(&g) != VG_NOTHING)
        seen++;
    assert_int_equal(seen, VMCI_ORPHANS + ARRAY_SIZE(fd));
    assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
        close(fd[i]);
}

static void what_comes_while_the_guest_reads_waits_for_the_next_page(void **state)
{
    vg_packet(&g, WROTE, 1, 1, 0);
    assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 1);
    for (unsigned i = 0; i < 100; i++)
        g.page[i] = (uint8_t)fake_env_in(&g.f, g.bar[0] + VMCI_DATA_IN_ADDR, 1);
    vg_packet(&g, WROTE, 2, 2, 0); /* the guest may have seen the end by now */
    assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 1);
    for (unsigned i = 100; i < VMCI_PAGE_SIZE; i++)
        g.page[i] = (uint8_t)fake_env_in(&g.f, g.bar[0] + VMCI_DATA_IN_ADDR, 1);
    g.page_at = 0;
    assert_int_equal(vg_in_page(&g), RST);
    assert_int_equal(le32_get(g.got.dst_port), 1);
    assert_int_equal(vg_in_page(&g), VG_NOTHING);
    vg_read_page(&g);
    assert_int_equal(vg_in_page(&g), RST);
    assert_int_equal(le32_get(g.got.dst_port), 2);
}

static void a_line_is_up_until_the_cause_is_read(void **state)
{
    unsigned gsi = pci_gsi(VG_DEVFN >> 3, 0);

    fake_pci_write(&g.f, VG_DEVFN, fake_pci_cap(&g.f, VG_DEVFN, PCI_CAP_ID_MSIX, 0) + 2, 2, 0);
    vg_packet(&g, WROTE, 1, 1, 0);
    assert_true(fake_irqs_line(&g.f.irqs, gsi));
    assert_int_equal(vg_get(&g, VMCI_ICR_ADDR), VMCI_ICR_DATAGRAM);
    assert_false(fake_irqs_line(&g.f.irqs, gsi));
    assert_int_equal(vg_get(&g, VMCI_ICR_ADDR), 0);
    vg_read_page(&g);
    assert_int_equal(vg_in_page(&g), RST);
    vg_put(&g, VMCI_IMR_ADDR, 0);
    vg_packet(&g, WROTE, 1, 1, 0);
    assert_false(fake_irqs_line(&g.f.irqs, gsi));
    vg_put(&g, VMCI_IMR_ADDR, VMCI_ICR_DATAGRAM);
    assert_true(fake_irqs_line(&g.f.irqs, gsi));
    vg_put(&g, VMCI_CONTROL_ADDR, VMCI_CONTROL_RESET);
    assert_false(fake_irqs_line(&g.f.irqs, gsi));
}

static void a_guest_rings_its_own_doorbell(void **state)
{
    struct vmci_doorbell_link_msg m = {{le32_of(VG_CID), le32_of(5)}, le64_of(17)};

    assert_int_equal(vg_call(&g, VMCI_DOORBELL_NOTIFY, &m.handle, 8), VMCI_ERROR_NOT_FOUND);
    assert_int_equal(vg_call(&g, VMCI_DOORBELL_LINK, &m, sizeof(m)), VMCI_SUCCESS);
    assert_int_equal(vg_call(&g, VMCI_DOORBELL_LINK, &m, sizeof(m)), VMCI_ERROR_ALREADY_EXISTS);
    for (unsigned i = 0; i < 2; i++) {
        *(uint8_t *)vg_ram(&g, VG_BITMAP + 17, 1) = 0;
        assert_int_equal(vg_call(&g, VMCI_DOORBELL_NOTIFY, &m.handle, 8), VMCI_SUCCESS);
        assert_int_equal(*(uint8_t *)vg_ram(&g, VG_BITMAP + 17, 1), 1);
        assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR + VMCI_INTR_NOTIFICATION), 1);
    }
    assert_int_equal(vg_call(&g, VMCI_DOORBELL_UNLINK, &m.handle, 8), VMCI_SUCCESS);
    assert_int_equal(vg_call(&g, VMCI_DOORBELL_UNLINK, &m.handle, 8), VMCI_ERROR_NOT_FOUND);
    m.notify_idx = le64_of(VMCI_PAGE_SIZE);
    assert_int_equal(vg_call(&g, VMCI_DOORBELL_LINK, &m, sizeof(m)), VMCI_ERROR_INVALID_ARGS);
}

/* --- the persona's options --- */

static uint32_t no_caps(const struct host *h)
{
    return 0;
}

static void no_port(struct host *h, uint16_t port)
{
}

static int persona(const char *opts, struct persona **out, struct err *e)
{
    static const struct host_ops ops = {.caps = no_caps, .watch_port = no_port};
    static struct host host = {.ops = &ops};
    struct persona_env env = {
        .dev = g.f.env, .host = &host, .cpus = 1, .uuid = {[12] = 0xae, 0x77, 0xae, 0xfd}};
    int rc;

    assert_int_equal(cfg_create(&env.opts, e), 0);
    assert_int_equal(cfg_parse(env.opts, opts, NULL, e), 0);
    rc = persona_find("vmware")->create(&env, out, e);
    if (rc == 0)
        rc = (*out)->ops->finish(*out, e);
    cfg_destroy(env.opts);
    return rc;
}

static void the_persona_gives_its_guest_a_number(void **state)
{
    static const unsigned second = 2 << 3;
    struct persona *p;
    struct err e = {0};
    char opts[80];

    assert_true(persona("cid=5", &p, &e) < 0);
    assert_true(persona("vsock=/tmp/s,cid=2", &p, &e) < 0);
    assert_int_equal(persona("", &p, &e), 0);
    assert_int_equal(fake_pci_read(&g.f, second, PCI_VENDOR_ID, 4), UINT32_MAX);
    p->ops->destroy(p);
    snprintf(opts, sizeof(opts), "vsock=%s/t", g.dir);
    assert_int_equal(persona(opts, &p, &e), 0);
    assert_int_equal(fake_pci_read(&g.f, second, PCI_VENDOR_ID, 4), 0x074015ad);
    fake_pci_map(&g.f, second, g.bar);
    assert_int_equal((uint32_t)vg_call(&g, VMCI_GET_CONTEXT_ID, NULL, 0), 0xae77aefd);
    p->ops->destroy(p);
    assert_true(persona(opts, &p, &e) < 0); /* that path is served */
    p->ops->destroy(p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_device_is_as_drivers_probe_it),
        TEST(a_datagram_that_is_too_long_is_passed_over),
        TEST(queue_pairs_are_checked),
        TEST(pages_outside_memory_make_no_queue_pair),
        TEST(datagrams_stay_within_what_the_guest_reads),
        TEST(what_comes_while_the_guest_reads_waits_for_the_next_page),
        TEST(a_line_is_up_until_the_cause_is_read),
        TEST(a_guest_rings_its_own_doorbell),
        TEST(the_persona_gives_its_guest_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
