/* SPDX-License-Identifier: Apache-2.0 */
/* pvscsi and vmxnet3 under a hostile driver: registers and memory in any order. */
#include "unit.h"

#include <stdlib.h>

#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "personas/vmware/pvscsi.h"
#include "personas/vmware/vmxnet3.h"
#include "virtio/loopnet.h"

enum { NIC = 1 << 3, SCSI = 2 << 3, PLAY = 64 * 1024 /* bytes of memory that are written */ };

static void step(struct fake_env *f, struct loopnet *net, uint64_t bar[2][6], struct input *in)
{
    static uint8_t frame[9000];
    uint32_t what = take(in, 1), off, v;

    switch (what & 7) {
    case 0:
    case 1:
        off = take(in, 2) % 4096 & ~3u;
        v = take(in, 4);
        fake_env_write(f, bar[0][what & 1] + off, 4, v);
        break;
    case 2:
        off = take(in, 2) % 32768 & ~3u;
        fake_env_write(f, bar[1][0] + off, 4, take(in, 4));
        break;
    case 3:
        off = take(in, 2) & 0xfffc;
        (void)fake_env_read(f, bar[what >> 3 & 1][0] + off % 4096, 4);
        break;
    case 4:
        v = take(in, 2) % sizeof(frame);
        if (v >= 14)
            loopnet_offer(net, frame, v, NULL);
        break;
    case 5:
        net->full = what >> 3 & 1;
        if (!net->full)
            net->ev->writable(net->arg);
        break;
    case 6:
        fake_env_run(f);
        break;
    default:
        take_memory(in, f->env.mem, PLAY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac[6] = {0, 0x50, 0x56, 1, 2, 3};
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct input in = input_of(data, size);
    struct pvscsi *p;
    struct loopnet *net;
    uint64_t bar[2][6];
    struct fake_env f;
    struct err e;

    fake_env_create(&f, 1 * MiB);
    net = loopnet_create(f.env.loop);
    net->tx_caps = NET_CSUM | NET_TSO4 | NET_TSO6;
    if (vmxnet3_create(&f.env, &net->n, mac, false, &e) < 0 || pvscsi_create(&f.env, &p, &e) < 0)
        abort();
    c.disk = &mem_disk_create(f.env.loop, 64 * KiB)->disk;
    if (units_attach(pvscsi_units(p), 0, &c, &e) < 0 ||
        pci_add(f.env.pci, pvscsi_pci(p), SCSI, &e) < 0)
        abort();
    fake_pci_map(&f, NIC, bar[0]);
    fake_pci_map(&f, SCSI, bar[1]);
    while (in.n)
        step(&f, net, bar, &in);
    fake_env_run(&f);
    fake_env_destroy(&f);
    return 0;
}
