/* SPDX-License-Identifier: Apache-2.0 */
/* The persona as a whole: how it ends. */
#include "unit.h"

#include "abi/hvvideo.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/gmem.h"
#include "hyperv/hvguest.h"
#include "personas/persona.h"
#include "virtio/loopnet.h"

static struct hvguest g;

static void on_event(void *arg, enum machine_event what, const char *text)
{
}

/* The channel whose type begins so. */
static uint32_t relid_of(const struct hv_offer *o, unsigned n, const uint8_t type[16])
{
    for (unsigned i = 0; i < n; i++) {
        if (memcmp(o[i].type, type, 16) == 0)
            return o[i].relid;
    }
    fail_msg("no such offer");
    return 0;
}

/* A guest may have anything in its frame buffer, which is no memory any more when the persona has
 * ended: what the bus still had to say went there. */
static void a_message_page_in_the_frame_buffer_ends_with_it(void **state)
{
    static const uint8_t video[16] = HV_SYNTHVID_GUID;
    struct persona_env env = {.event = on_event};
    gpa_t window = layout_mem64(HV_RAM, false) + LAYOUT_PCI_MEM64_SIZE;
    uint8_t version[12] = {[8] = 3, [10] = 5};
    struct synthvid_vram_location place = {.is_vram_gpa_specified = 1, .vram_gpa = le64_of(window)};
    struct host_event_info info = {
        .data = {HV_X64_MSR_SIMP, 1, (window + 0x1000) | 1, (window + 0x2000) | 1}};
    struct nic_spec nic = {.id = "nic0", .mac = {2, 0, 0, 0, 0, 1}};
    struct hv_offer offer[32];
    struct err e = {0};
    uint32_t relid;
    unsigned n;

    hv_create_persona(&g, persona_find("hyperv"), &env);
    nic.netif = &loopnet_create(g.f.env.loop)->n;
    assert_int_equal(g.persona->ops->add_nic(g.persona, &nic, &e), 0);
    assert_int_equal(g.persona->ops->finish(g.persona, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    n = hv_offers(&g, offer, 32);
    relid = relid_of(offer, n, video);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    hv_say(&g, relid, SYNTHVID_VERSION_REQUEST, version, sizeof(version));
    hv_say(&g, relid, SYNTHVID_VRAM_LOCATION, &place, sizeof(place));
    assert_non_null(gmem_shared(g.f.env.mem, window, 4096));
    g.persona->ops->synic(g.persona, &g.cpu[0], &info);
    fake_env_run(&g.f);
    hv_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_page_in_the_frame_buffer_ends_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
