/* SPDX-License-Identifier: Apache-2.0 */
/* hyperv.c - see hyperv.h. */
#include "unit.h"

#include <string.h>

#include "core/gmem.h"
#include "hyperv.h"

enum { STEPS = 300, ROUNDS = 40, RING = 2 * HV_RING_PAGES * 4096 };

static uint64_t take(struct fuzz_hyperv *z, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes && z->size; i++, z->size--)
        v |= (uint64_t)*z->data++ << 8 * i;
    return v;
}

static size_t take_bytes(struct fuzz_hyperv *z, uint8_t *out, size_t n)
{
    if (n > z->size)
        n = z->size;
    memcpy(out, z->data, n);
    z->data += n;
    z->size -= n;
    return n;
}

void fuzz_hyperv_run(struct fuzz_hyperv *z)
{
    /* Bounded: a guest that gives itself work for ever only burns its own time. */
    for (unsigned i = 0; i < ROUNDS && loop_step(z->g.f.env.loop, 0) > 0; i++)
        continue;
}

static void read_messages(struct fuzz_hyperv *z)
{
    for (unsigned i = 0; i < HV_CPUS; i++) {
        struct hv_message *m = hv_ram(&z->g, 0x1000 + i * 0x10000 + 2 * sizeof(*m), sizeof(*m));
        struct hv_sint *s = z->g.sint[i][1];

        shared_store32(&m->message_type, HVMSG_NONE);
        if (s)
            s->eom(s->arg);
    }
}

static void post(struct fuzz_hyperv *z)
{
    struct hv_post_message_input *in = hv_ram(&z->g, 0x3000, sizeof(*in));
    struct hcall h = {.kind = HCALL_HYPERV, .nr = HVCALL_POST_MESSAGE, .args = {0x3000}};
    uint8_t op = (uint8_t)take(z, 1);

    if (op == 0xff) { /* any hypercall at all */
        h.nr = take(z, 4);
        h.args[0] = take(z, 4);
        vmbus_hypercall(z->g.bus, &h);
        return;
    }
    memset(in, 0, sizeof(*in));
    in->connectionid = le32_of(z->g.conn);
    in->message_type = le32_of(HVMSG_VMBUS);
    in->payload[0] = op & 31;
    in->payload_size = le32_of((uint32_t)take_bytes(z, in->payload + 8, op >> 5 ? 48 : 232) + 8);
    vmbus_hypercall(z->g.bus, &h);
}

/* Four bytes of length and types, then the bytes of a packet, into any open ring. */
static void packet(struct fuzz_hyperv *z)
{
    uint8_t ext[128], data[2048];
    uint32_t relid = z->relid[take(z, 1) % z->channels];
    unsigned type = (unsigned)take(z, 1), how = (unsigned)take(z, 1);
    size_t ext_len = (how & 15) * 8, n = (size_t)take(z, 2) % sizeof(data);
    uint64_t trans = take(z, 1);

    memset(ext, 0, sizeof(ext));
    take_bytes(z, ext, ext_len);
    n = take_bytes(z, data, n);
    type = type < 16 ? type : type % 3 == 0 ? 11 : type % 3 == 1 ? 9 : 6;
    hv_put(&z->g, relid, type, how >> 7, trans, ext, ext_len, data, n);
}

static void poke(struct fuzz_hyperv *z, gpa_t base, uint64_t room)
{
    uint8_t bytes[64];
    gpa_t at = base + take(z, 3) % (room - sizeof(bytes));
    size_t n = take_bytes(z, bytes, (size_t)take(z, 1) % sizeof(bytes));

    memcpy(hv_ram(&z->g, at, sizeof(bytes)), bytes, n);
}

static void ring_bell(struct fuzz_hyperv *z, uint32_t relid)
{
    z->g.busy = true; /* the loop runs bounded, after the step */
    hv_signal(&z->g, relid);
    z->g.busy = false;
}

/* One of the header's words, then a signal. */
static void index_to(struct fuzz_hyperv *z)
{
    uint32_t relid = z->relid[take(z, 1) % z->channels];
    unsigned which = (unsigned)take(z, 1);
    gpa_t at = HV_RINGS + (gpa_t)relid * RING + (which & 8 ? RING / 2 : 0) + which % 4 * 4;

    shared_store32(hv_ram(&z->g, at, 4), (uint32_t)take(z, 4));
    ring_bell(z, relid);
}

/* The guest reads all that it has. */
static void read_packets(struct fuzz_hyperv *z)
{
    for (unsigned i = 0; i < z->channels; i++) {
        uint8_t *p = hv_ram(&z->g, HV_RINGS + (gpa_t)z->relid[i] * RING + RING / 2, 4096);

        shared_store32(p + 4, shared_load32(p));
        ring_bell(z, z->relid[i]);
    }
}

void fuzz_hyperv_play(struct fuzz_hyperv *z)
{
    for (unsigned i = 0; i < STEPS && z->size; i++) {
        switch (take(z, 1) % 8) {
        case 0:
            post(z);
            break;
        case 1:
        case 2:
            packet(z);
            break;
        case 3:
            index_to(z);
            break;
        case 4:
            poke(z, HV_RINGS, (gpa_t)RING * 8);
            break;
        case 5:
            poke(z, HV_DATA, MiB);
            break;
        case 6:
            read_packets(z);
            read_messages(z);
            break;
        default:
            loop_advance(z->g.f.env.loop, take(z, 1) << 26);
            break;
        }
        fuzz_hyperv_run(z);
    }
}

void fuzz_hyperv_start(struct fuzz_hyperv *z, const uint8_t *data, size_t size)
{
    struct hv_offer offer[16];
    static const uint32_t versions[] = {VERSION_WIN7, VERSION_WIN10, VERSION_WIN10_V5_3,
                                        VERSION_COPPER};
    unsigned n;

    z->data = data;
    z->size = size;
    hv_contact(&z->g, versions[take(z, 1) % ARRAY_SIZE(versions)]);
    n = hv_offers(&z->g, offer, ARRAY_SIZE(offer));
    for (z->channels = 0; z->channels < n; z->channels++) {
        z->relid[z->channels] = offer[z->channels].relid;
        hv_open(&z->g, offer[z->channels].relid, z->channels % HV_CPUS);
    }
}
