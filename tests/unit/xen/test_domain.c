/* SPDX-License-Identifier: Apache-2.0 */
/* The whole persona as a guest finds it that was built by a toolstack: hypercalls and the store's
 * ring, no back ends of interest. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "abi/bytes.h"
#include "abi/xenstore.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"
#include "personas/xen/xen.h"

#include <xen/memory.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

enum { PAGE = 4096, ARG = 0x1000, SHARED = 0x5000 };
#define GUEST "/local/domain/1/"

extern const struct persona_ops persona_xen;

static struct fake_env f;
static struct host_ops ops;
static struct host host;
static struct vcpu cpu;
static struct persona *p;
static struct xen *x;
static unsigned asks_done;

static uint32_t caps(const struct host *h)
{
    (void)h;
    return 0;
}

static uint64_t clock_ns(const struct host *h)
{
    (void)h;
    return 5000;
}

static int set_msr(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)v;
    (void)msr;
    (void)val;
    return 0;
}

static void event(void *arg, enum machine_event what, const char *text)
{
    (void)arg;
    (void)text;
    asks_done += what == MACHINE_ASK_DONE;
}

static int setup(void **state)
{
    struct persona_env env = {.cpus = 1, .cpus_max = 1, .memory = 2 * MiB, .name = "fox"};
    struct err e = {0};

    (void)state;
    asks_done = 0;
    fake_env_create(&f, 2 * MiB);
    ops = host_fake;
    ops.caps = caps;
    ops.clock_ns = clock_ns;
    ops.vcpu_set_msr = set_msr;
    host.ops = &ops;
    cpu = (struct vcpu){&host, 0};
    env.dev = f.env;
    env.host = &host;
    env.event = event;
    memset(env.uuid, 0xab, sizeof(env.uuid));
    assert_int_equal(persona_xen.create(&env, &p, &e), 0);
    assert_int_equal(persona_xen.vcpu_ready(p, &cpu, &e), 0);
    assert_int_equal(persona_xen.finish(p, &e), 0);
    x = xen_of(p);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    persona_xen.destroy(p);
    fake_env_destroy(&f);
    return 0;
}

static uint8_t *ram(gpa_t at)
{
    return gmem_shared(f.env.mem, at, 1);
}

static long call(unsigned nr, uint64_t a, uint64_t b)
{
    const uint64_t args[6] = {a, b};

    return xen_hypercall(x, &cpu, true, nr, args);
}

static void run(void)
{
    fake_env_run(&f);
    xenstore_run(x->store);
    fake_env_run(&f);
}

static void says(const char *path, const char *value)
{
    char is[96];

    assert_int_equal(xs_get(x->store, path, is, sizeof(is)), 0);
    assert_string_equal(is, value);
}

/* --- the guest's side of the ring --- */

static struct xenstore_domain_interface *ring(void)
{
    return (void *)ram((gpa_t)XEN_STORE_PFN * PAGE);
}

static uint64_t param(unsigned index)
{
    le16_put(ram(ARG), DOMID_SELF);
    le32_put(ram(ARG) + 4, index);
    assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, ARG), 0);
    return le64_at(ram(ARG) + 8);
}

static void set_param(unsigned index, uint64_t value)
{
    le16_put(ram(ARG), DOMID_SELF);
    le32_put(ram(ARG) + 4, index);
    le64_put(ram(ARG) + 8, value);
    assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_set_param, ARG), 0);
}

/* One request; what it is answered with, cut to text. */
static const char *ask(unsigned type, const char *payload, size_t n)
{
    static char answer[256];
    struct xsd_sockmsg head = {
        .type = le32_of(type), .req_id = le32_of(7), .len = le32_of((uint32_t)n)};
    struct xenstore_domain_interface *r = ring();
    uint32_t prod = shared_load32(&r->req_prod), cons = shared_load32(&r->rsp_cons);
    size_t len;

    for (size_t i = 0; i < sizeof(head) + n; i++)
        r->req[prod++ % 1024] = i < sizeof(head) ? ((char *)&head)[i] : payload[i - sizeof(head)];
    shared_store32(&r->req_prod, prod);
    le32_put(ram(ARG), (uint32_t)param(HVM_PARAM_STORE_EVTCHN));
    assert_int_equal(call(__HYPERVISOR_event_channel_op, EVTCHNOP_send, ARG), 0);
    run();
    for (;;) { /* watch events may come before it */
        assert_true(shared_load32(&r->rsp_prod) - cons >= sizeof(head));
        for (size_t i = 0; i < sizeof(head); i++)
            ((char *)&head)[i] = (char)r->rsp[cons++ % 1024];
        len = le32_get(head.len);
        assert_true(len < sizeof(answer));
        for (size_t i = 0; i < len; i++)
            answer[i] = (char)r->rsp[cons++ % 1024];
        answer[len] = '\0';
        shared_store32(&r->rsp_cons, cons);
        if (le32_get(head.type) != XS_WATCH_EVENT)
            return answer;
    }
}
#define ASK(type, s) ask(type, s, sizeof(s))           /* with its final NUL */
#define ASK_VALUE(type, s) ask(type, s, sizeof(s) - 1) /* without */

static void map_shared(void)
{
    memset(ram(ARG), 0, 32);
    le16_put(ram(ARG), DOMID_SELF);
    le32_put(ram(ARG) + 4, XENMAPSPACE_shared_info);
    le64_put(ram(ARG) + 16, SHARED / PAGE);
    assert_int_equal(call(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG), 0);
}

/* --- the tests --- */

static void the_domain_has_what_the_toolstack_writes(void **state)
{
    static const char uuid[] = "abababab-abab-abab-abab-abababababab";
    char pfn[16];

    (void)state;
    says(GUEST "name", "fox");
    says(GUEST "vm", "/vm/abababab-abab-abab-abab-abababababab");
    says("/vm/abababab-abab-abab-abab-abababababab/uuid", uuid);
    says("/vm/abababab-abab-abab-abab-abababababab/name", "fox");
    snprintf(pfn, sizeof(pfn), "%d", XEN_STORE_PFN);
    says(GUEST "store/ring-ref", pfn);
    snprintf(pfn, sizeof(pfn), "%d", XEN_CONSOLE_PFN);
    says(GUEST "console/ring-ref", pfn);
    says(GUEST "console/type", "xenconsoled");
    says(GUEST "control/feature-s3", "");
    says(GUEST "control/feature-s4", "");
    assert_string_equal(ASK(XS_READ, "vm"), "/vm/abababab-abab-abab-abab-abababababab");
    assert_string_equal(ASK(XS_READ, "/vm/abababab-abab-abab-abab-abababababab/uuid"), uuid);
    assert_string_equal(ASK_VALUE(XS_WRITE, "device/suspend/event-channel\0009"), "OK");
    persona_xen.reset(p);
    says("/vm/abababab-abab-abab-abab-abababababab/uuid", uuid);
}

/* As Windows does where there is no FIFO ABI. */
static void a_guest_resets_its_channels_and_finds_the_store(void **state)
{
    unsigned old = (unsigned)param(HVM_PARAM_STORE_EVTCHN), remote, port;

    (void)state;
    map_shared();
    le16_put(ram(ARG), DOMID_SELF);
    le32_put(ram(ARG) + 4, old);
    assert_int_equal(call(__HYPERVISOR_event_channel_op, EVTCHNOP_status, ARG), 0);
    assert_int_equal(le32_at(ram(ARG) + 8), EVTCHNSTAT_interdomain);
    remote = le32_at(ram(ARG) + 20);
    assert_int_equal(call(__HYPERVISOR_event_channel_op, EVTCHNOP_reset, ARG), 0);
    le16_put(ram(ARG), 0);
    le32_put(ram(ARG) + 4, remote);
    assert_int_equal(call(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, ARG), 0);
    port = le32_at(ram(ARG) + 8);
    set_param(HVM_PARAM_STORE_EVTCHN, port);
    memset(ram(SHARED), 0, PAGE);
    assert_string_equal(ASK(XS_READ, "name"), "fox");
    assert_int_equal(ram(SHARED)[2048], 1 << port);
}

static int please(enum persona_ask what)
{
    struct err e = {0};

    return persona_xen.ask(p, what, 0, &e);
}

/* Linux since 4.12 and the Windows agent say what they listen to. */
static void guests_that_say_that_they_listen_are_asked(void **state)
{
    (void)state;
    assert_int_equal(please(ASK_SHUTDOWN), -ENOTSUP);
    assert_string_equal(ASK_VALUE(XS_WRITE, "control/feature-poweroff\0001"), "OK");
    assert_int_equal(please(ASK_SHUTDOWN), 0);
    says(GUEST "control/shutdown", "poweroff");
    assert_int_equal(asks_done, 0);
    assert_string_equal(ASK_VALUE(XS_WRITE, "control/shutdown\000"), "OK");
    assert_int_equal(asks_done, 1);
}

/* BSDs, Nanos, and Linux before that, watch and say nothing. */
static void guests_that_only_listen_are_asked(void **state)
{
    (void)state;
    assert_string_equal(ASK(XS_WATCH, "memory/target\0a"), "OK");
    assert_int_equal(please(ASK_REBOOT), -ENOTSUP);
    assert_string_equal(ASK(XS_WATCH, "control/shutdown\0a"), "OK");
    assert_int_equal(please(ASK_REBOOT), 0);
    says(GUEST "control/shutdown", "reboot");
    assert_string_equal(ASK_VALUE(XS_WRITE, "control/shutdown\000"), "OK");
    assert_int_equal(asks_done, 1);
    /* The Windows bus driver listens for suspending alone, and says so. */
    assert_string_equal(ASK_VALUE(XS_WRITE, "control/feature-suspend\0001"), "OK");
    assert_int_equal(please(ASK_SHUTDOWN), -ENOTSUP);
    /* Its agent of old has a word of its own, and removes what it has taken. */
    assert_string_equal(ASK_VALUE(XS_WRITE, "control/feature-shutdown\0001"), "OK");
    assert_int_equal(please(ASK_SHUTDOWN), 0);
    assert_string_equal(ASK(XS_RM, "control/shutdown"), "OK");
    assert_int_equal(asks_done, 2);
    assert_int_equal(please(ASK_SHUTDOWN), 0);
    assert_string_equal(ASK(XS_RM, "control/shutdown"), "OK");
    assert_int_equal(asks_done, 3);
    assert_string_equal(ASK(XS_UNWATCH, "control/shutdown\0a"), "OK");
    persona_xen.reset(p);
    assert_int_equal(please(ASK_SHUTDOWN), -ENOTSUP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_domain_has_what_the_toolstack_writes),
        TEST(guests_that_say_that_they_listen_are_asked),
        TEST(guests_that_only_listen_are_asked),
        TEST(a_guest_resets_its_channels_and_finds_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
