/* SPDX-License-Identifier: Apache-2.0 */
/* storvsc's other side: set-up done, then anything; no request may stay open. */
#include "hyperv.h"

#include <assert.h>
#include <string.h>

#include "abi/storvsp.h"
#include "core/err.h"
#include "fakes/fake_mem_disk.h"
#include "personas/hyperv/storvsp.h"

static void set_up(struct fuzz_hyperv *z)
{
    static const uint8_t op[] = {7, 9, 10, 8};

    for (size_t i = 0; i < sizeof(op); i++) {
        struct vstor_packet k = {.operation = le32_of(op[i])};

        k.version = le16_of(VMSTOR_PROTO_VERSION_WIN10);
        hv_send(&z->g, z->relid[0], i, &k, sizeof(k));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_hyperv z;
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct storvsp *s;
    struct err e = {0};

    hv_create(&z.g, VERSION_COPPER);
    if (storvsp_create(z.g.bus, "scsi0", -1, 2, &s, &e) < 0)
        return 0;
    c.disk = &mem_disk_create(z.g.f.env.loop, MiB)->disk;
    if (storvsp_attach(s, 0, &c, &e) < 0)
        return 0;
    fuzz_hyperv_start(&z, data, size);
    set_up(&z);
    fuzz_hyperv_play(&z);
    fake_env_run(&z.g.f);
    assert(z.g.bus->inflight == 0);
    storvsp_destroy(s);
    hv_destroy(&z.g);
    return 0;
}
