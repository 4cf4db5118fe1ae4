/* SPDX-License-Identifier: Apache-2.0 */
/*
 * video.c - Hyper-V's synthetic video, versions 3.0 to 3.5, from the guest's frame buffer to the
 * hub.
 *
 * Facts: Linux hyperv_drm_proto.c. The guest chooses a place in VMBus's memory window; the frame
 * buffer's pages are shown there and drawn into without any exit. Viewers read them, so the guest
 * is asked for no dirty rectangles and no pointer. Not modelled: more than one output, the
 * hardware pointer. Threads: the loop's.
 */
#include "video.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/hvvideo.h"
#include "console/edid.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"

enum { VIDEO_MIB = 32, VIDEO_PACKET = 16 << 10, VIDEO_DEFAULT = 3 };
#define VIDEO_BYTES ((size_t)VIDEO_MIB << 20)

static const struct {
    uint16_t width, height;
} modes[] = {{640, 480},   {800, 600},   {1024, 768},  {1280, 800},  {1280, 1024}, {1600, 900},
             {1600, 1200}, {1920, 1080}, {1920, 1200}, {2560, 1440}, {2560, 1600}};

struct video {
    struct vmbus *b;
    struct hub *hub;
    struct vmbus_channel c;
    gpa_t window;
    uint64_t window_size;
    uint8_t *pixels; /* VIDEO_BYTES */
    gpa_t at;        /* where the guest sees them; 0: nowhere */
    uint32_t version;
    bool lit;
    uint32_t offset, width, height, pitch;
    unsigned depth;
    struct screen screen;
};

/* --- the picture --- */

static bool video_surface(struct screen *s, struct surface *out)
{
    struct video *v = container_of(s, struct video, screen);

    if (!v->lit || v->offset >= VIDEO_BYTES)
        return false;
    *out = (struct surface){
        .pixels = v->pixels + v->offset,
        .size = VIDEO_BYTES - v->offset,
        .width = v->width,
        .height = v->height,
        .stride = v->pitch,
        .format = v->depth == 32   ? PIXEL_XRGB8888
                  : v->depth == 24 ? PIXEL_RGB888
                                   : PIXEL_RGB565,
    };
    return true;
}

static void video_dark(struct video *v)
{
    if (v->lit)
        hub_screen_gone(v->hub, &v->screen);
    v->lit = false;
}

static void video_unmap(struct video *v)
{
    video_dark(v);
    if (v->at)
        gmem_remove(v->b->mem, v->at);
    v->at = 0;
}

/* --- messages --- */

static void video_send(struct video *v, unsigned type, void *m, size_t n)
{
    struct vmbus_pipe_header h = {le32_of(VMBUS_PIPE_DATA), le32_of((uint32_t)n)};
    struct synthvid_msg_hdr hdr = {le32_of(type), le32_of((uint32_t)(n - sizeof(hdr)))};
    uint8_t buf[sizeof(h) + sizeof(struct synthvid_resolution_resp)];

    memcpy(m, &hdr, sizeof(hdr));
    memcpy(buf, &h, sizeof(h));
    memcpy(buf + sizeof(h), m, n);
    vmbus_send_data(&v->c, buf, sizeof(h) + n);
}

static void on_version(struct video *v, const uint8_t *p, size_t n)
{
    struct synthvid_version_resp r = {.max_video_outputs = 1};
    uint32_t version = n >= 12 ? le32_at(p + 8) : 0;

    r.version = le32_of(version);
    if ((version & 0xffff) == 3 && version >> 16 <= 5) {
        r.is_accepted = SYNTHVID_ACCEPTED_WITH_EXCHANGE;
        v->version = version;
    }
    video_send(v, SYNTHVID_VERSION_RESPONSE, &r, sizeof(r));
}

static void on_location(struct video *v, const uint8_t *p, size_t n)
{
    struct synthvid_vram_location m;
    struct synthvid_ack r = {.user_ctx = le64_of(0)};
    struct err e;
    gpa_t at;

    if (n < sizeof(m))
        return;
    memcpy(&m, p, sizeof(m));
    at = m.is_vram_gpa_specified ? le64_get(m.vram_gpa) : 0;
    r.user_ctx = m.user_ctx;
    if (at != v->at)
        video_unmap(v);
    if (at != v->at) {
        if (at < v->window || !range_in(at - v->window, VIDEO_BYTES, v->window_size) ||
            at % VMBUS_PAGE ||
            gmem_add(v->b->mem, at, VIDEO_BYTES, v->pixels, GMEM_DEVICE, &e) < 0) {
            vmbus_fault(&v->c, "the frame buffer cannot be at %#llx", (unsigned long long)at);
            return; /* no answer: the guest gives up, as it must */
        }
        v->at = at;
    }
    video_send(v, SYNTHVID_VRAM_LOCATION_ACK, &r, sizeof(r));
}

static void on_situation(struct video *v, const uint8_t *p, size_t n)
{
    struct synthvid_situation_update m;
    struct synthvid_ack r = {.user_ctx = le64_of(0)};
    struct synthvid_feature_change f = {.is_situ_updates_needed = 1};

    if (n < sizeof(m))
        return;
    memcpy(&m, p, sizeof(m));
    v->offset = le32_get(m.vram_offset);
    v->width = le32_get(m.width_pixels);
    v->height = le32_get(m.height_pixels);
    v->pitch = le32_get(m.pitch_bytes);
    v->depth = m.depth_bits;
    video_dark(v);
    v->lit = m.video_output_count && m.active && v->at &&
             (v->depth == 32 || v->depth == 24 || v->depth == 16);
    if (v->lit)
        hub_screen(v->hub, &v->screen);
    r.user_ctx = m.user_ctx;
    video_send(v, SYNTHVID_SITUATION_UPDATE_ACK, &r, sizeof(r));
    video_send(v, SYNTHVID_FEATURE_CHANGE, &f, sizeof(f));
}

static void on_resolutions(struct video *v, const uint8_t *p, size_t n)
{
    struct synthvid_resolution_resp r = {.is_standard = 0,
                                         .default_resolution_index = VIDEO_DEFAULT};
    size_t most = n >= 9 ? p[8] : 0, count = min_u64(ARRAY_SIZE(modes), most);

    edid_make(r.edid_block, modes[VIDEO_DEFAULT].width, modes[VIDEO_DEFAULT].height, "MSH",
              "HyperVMon");
    if (count <= VIDEO_DEFAULT)
        r.default_resolution_index = 0;
    r.resolution_count = (uint8_t)count;
    for (size_t i = 0; i < count; i++)
        r.supported_resolution[i] =
            (struct synthvid_resolution){le16_of(modes[i].width), le16_of(modes[i].height)};
    video_send(v, SYNTHVID_RESOLUTION_RESPONSE, &r, sizeof(r));
}

static void video_message(struct video *v, uint32_t type, const uint8_t *p, size_t n)
{
    struct synthvid_bios_info_resp bios = {.reserved = {0}};
    struct synthvid_capability_resp none = {.lock_on_disconnect = le32_of(0)};

    switch (type) {
    case SYNTHVID_VERSION_REQUEST:
        on_version(v, p, n);
        break;
    case SYNTHVID_RESOLUTION_REQUEST:
        on_resolutions(v, p, n);
        break;
    case SYNTHVID_BIOS_INFO_REQUEST:
        video_send(v, SYNTHVID_BIOS_INFO_RESPONSE, &bios, sizeof(bios));
        break;
    case SYNTHVID_CAPABILITY_REQUEST:
        video_send(v, SYNTHVID_CAPABILITY_RESPONSE, &none, sizeof(none));
        break;
    case SYNTHVID_VRAM_LOCATION:
        on_location(v, p, n);
        break;
    case SYNTHVID_SITUATION_UPDATE:
        on_situation(v, p, n);
        break;
    case SYNTHVID_POINTER_POSITION:
    case SYNTHVID_POINTER_SHAPE:
    case SYNTHVID_DIRT:
        break; /* nobody needs to know */
    default:
        vmbus_fault(&v->c, "a message of type %u is unknown", type);
        break;
    }
}

static void video_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct video *v = c->owner;
    size_t pipe = sizeof(struct vmbus_pipe_header);
    uint32_t type;

    if (p->type != VM_PKT_DATA_INBAND)
        return;
    if (p->data_len < pipe + sizeof(struct synthvid_msg_hdr)) {
        vmbus_fault(c, "a message of %zu bytes is too short", p->data_len);
        return;
    }
    type = le32_at(p->data + pipe);
    if (v->version == 0 && type != SYNTHVID_VERSION_REQUEST)
        vmbus_fault(c, "a message of type %u before a version was agreed", type);
    else
        video_message(v, type, p->data + pipe, p->data_len - pipe);
}

/* --- life --- */

static void video_close(struct vmbus_channel *c)
{
    struct video *v = c->owner;

    video_unmap(v);
    v->version = 0;
}

static void video_describe(struct vmbus_channel *c, struct dump *out)
{
    const struct video *v = c->owner;

    if (v->lit)
        dump_add(out, c->id, "version %u.%u, %u x %u, %u bits", v->version & 0xffff,
                 v->version >> 16, v->width, v->height, v->depth);
    else
        dump_add(out, c->id, "version %u.%u, dark", v->version & 0xffff, v->version >> 16);
}

static const struct vmbus_class video_class = {
    .name = "video",
    .packet_max = VIDEO_PACKET,
    .close = video_close,
    .packet = video_packet,
    .describe = video_describe,
};

int video_create(struct vmbus *b, struct hub *hub, gpa_t base, uint64_t size, struct video **out,
                 struct err *e)
{
    static const uint8_t type[16] = HV_SYNTHVID_GUID;
    struct video *v = calloc(1, sizeof(*v));
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory for the synthetic video device");
    v->b = b;
    v->hub = hub;
    v->window = base;
    v->window_size = size;
    v->screen = (struct screen){.name = "hyperv video", .surface = video_surface};
    /* Costs nothing until it is drawn to. */
    v->pixels = mmap(NULL, VIDEO_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (v->pixels == MAP_FAILED) {
        free(v);
        return err_set(e, ENOMEM, "no memory for a frame buffer of %d MiB", VIDEO_MIB);
    }
    v->c = (struct vmbus_channel){.class = &video_class,
                                  .id = "video",
                                  .flags = VMBUS_CHANNEL_NAMED_PIPE_MODE,
                                  .mmio_mb = VIDEO_MIB,
                                  .owner = v};
    le32_put(v->c.user_def, VMBUS_PIPE_TYPE_MESSAGE);
    memcpy(v->c.type, type, 16);
    memcpy(v->c.instance, type, 16);
    v->c.instance[15] ^= 1;
    rc = vmbus_add(b, &v->c, e);
    if (rc < 0) {
        video_destroy(v);
        return rc;
    }
    *out = v;
    return 0;
}

void video_destroy(struct video *v)
{
    if (!v)
        return;
    if (v->c.bus)
        vmbus_remove(&v->c);
    video_unmap(v);
    munmap(v->pixels, VIDEO_BYTES);
    free(v);
}
