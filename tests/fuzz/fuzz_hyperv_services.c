/* SPDX-License-Identifier: Apache-2.0 */
/* Integration services, dynamic memory, keyboard and mouse: any answer, while the host asks. */
#include "hyperv.h"

#include <fcntl.h>

#include "core/err.h"
#include "personas/hyperv/dynmem.h"
#include "personas/hyperv/ic.h"
#include "personas/hyperv/input.h"
#include "personas/hyperv/video.h"

static void event(void *arg, enum machine_event what, const char *text)
{
}

static void add(struct dump *out, const char *key, const char *value)
{
}

static void pair(void *arg, const char *key, const char *value)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_hyperv z;
    struct persona_env env = {.event = event, .memory = HV_RAM};
    static const struct dynmem_room hot = {UINT64_C(8) << 30, UINT64_C(512) << 20};
    struct dump out = {add};
    struct dynmem *d;
    struct input *i;
    struct video *v;
    struct ics *s;
    struct err e = {0};

    hv_create(&z.g, VERSION_COPPER);
    if (ics_create(z.g.bus, &env, &s, &e) < 0 || input_create(z.g.bus, NULL, &i, &e) < 0 ||
        dynmem_create(z.g.bus, &env, &hot, &d, &e) < 0 ||
        video_create(z.g.bus, NULL, UINT64_C(1) << 32, UINT64_C(1) << 30, &v, &e) < 0)
        return 0;
    fuzz_hyperv_start(&z, data, size);
    for (enum persona_ask what = ASK_SHUTDOWN; what <= ASK_MEMORY; what++) {
        size_t left = z.size;

        z.size = left > 64 ? 64 : left;
        left -= z.size;
        fuzz_hyperv_play(&z);
        z.size += left;
        if (what == ASK_MEMORY ? dynmem_ask(d, 20 << 20, &e) : ics_ask(s, what, &e))
            continue;
        if (ics_data_set(s, "host/key", what % 2 ? NULL : "value", &e) < 0 ||
            ics_copy(s, open("/proc/self/exe", O_RDONLY), "/tmp/file", &e) < 0)
            continue;
    }
    if (dynmem_ask(d, HV_RAM + (UINT64_C(200) << 20), &e) < 0)
        e.code = 0; /* busy, or no driver */
    fuzz_hyperv_play(&z);
    dynmem_reset(d);
    ics_data_list(s, "", pair, NULL);
    ics_describe(s, &out);
    vmbus_describe(z.g.bus, &out);
    ics_destroy(s);
    input_destroy(i);
    dynmem_destroy(d);
    video_destroy(v);
    fuzz_hyperv_run(&z);
    hv_destroy(&z.g);
    return 0;
}
