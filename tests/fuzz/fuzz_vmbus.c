/* SPDX-License-Identifier: Apache-2.0 */
/* VMBus control messages and rings, with channels that send back what they get. */
#include "hyperv.h"

#include <assert.h>

#include "core/err.h"

static void echo(struct vmbus_channel *c, const struct ring_packet *p)
{
    vmbus_complete(c, p->trans, p->data, p->data_len);
}

static const struct vmbus_class class = {.name = "echo", .packet_max = 4096, .packet = echo};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_hyperv z;
    struct vmbus_channel c[3];
    struct err e = {0};

    hv_create(&z.g, VERSION_COPPER);
    for (unsigned i = 0; i < 3; i++) {
        c[i] = (struct vmbus_channel){
            .class = &class, .id = "dut", .sub_index = (uint16_t)(i / 2), .hidden = i == 2};
        if (vmbus_add(z.g.bus, &c[i], &e) < 0)
            return 0;
    }
    fuzz_hyperv_start(&z, data, size);
    fuzz_hyperv_play(&z);
    for (unsigned i = 0; i < 3; i++)
        vmbus_remove(&c[i]);
    fuzz_hyperv_run(&z);
    hv_destroy(&z.g);
    return 0;
}
