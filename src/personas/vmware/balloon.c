/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.c - VMware's memory balloon on port 0x5670.
 *
 * Document: Linux drivers/misc/vmw_balloon.c. Modelled: basic and batched commands, pages of 4 KiB
 * and 2 MiB. Not modelled: the doorbell (the guest polls every second), 64-bit targets. Pages given
 * up go back to the host at once and read as zeroes later. Threads: the vCPU's, under the lock.
 */
#include <stdio.h>

#include "core/gmem.h"
#include "personas/vmware/rpc.h"
#include "personas/vmware/vmware.h"

enum { PAGE = 4096, LARGE_PAGES = 512 };

void vmware_balloon_reset(struct vmware *w)
{
    w->balloon.started = false;
    w->balloon.held = 0;
}

void vmware_balloon_ask(struct vmware *w, uint64_t keep)
{
    w->balloon.target = keep < w->p.env.memory ? (w->p.env.memory - keep) / PAGE : 0;
    w->balloon.asked = true;
}

bool vmware_balloon_event(struct vmware *w, enum machine_event *what, char *text, size_t n)
{
    if (!w->balloon.asked || w->balloon.held != w->balloon.target)
        return false;
    w->balloon.asked = false;
    *what = MACHINE_ASK_DONE;
    snprintf(text, n, "the guest has given up %llu pages", (unsigned long long)w->balloon.held);
    return true;
}

/* One page of `pages` small ones, given up or taken back. */
static enum vmw_balloon_status page(struct vmware *w, uint64_t pfn, uint64_t pages, bool lock)
{
    struct vmware_balloon *b = &w->balloon;

    if (pfn >= UINT64_C(1) << 40 || pfn % pages)
        return VMW_BALLOON_ERROR_PPN_INVALID;
    if (!lock) {
        b->held -= min_u64(pages, b->held);
        return VMW_BALLOON_SUCCESS;
    }
    if (gmem_discard(w->p.env.dev.mem, pfn * PAGE, pages * PAGE) < 0)
        return VMW_BALLOON_ERROR_PPN_INVALID;
    b->held += pages;
    return VMW_BALLOON_SUCCESS;
}

static enum vmw_balloon_status batch(struct vmware *w, struct backdoor *c, uint64_t pages,
                                     bool lock)
{
    le64 entry[VMW_BALLOON_BATCH_MAX];
    gpa_t at = (gpa_t)c->bx * PAGE;
    uint32_t n = c->si;

    if (n > VMW_BALLOON_BATCH_MAX ||
        gmem_read(w->p.env.dev.mem, at, entry, n * sizeof(entry[0])) < 0)
        return VMW_BALLOON_ERROR_PPN_INVALID;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = le64_get(entry[i]);
        uint64_t status = (uint64_t)page(w, v / PAGE, pages, lock);

        entry[i] = le64_of((v & ~(uint64_t)VMW_BALLOON_BATCH_STATUS) | status);
    }
    if (gmem_write(w->p.env.dev.mem, at, entry, n * sizeof(entry[0])) < 0)
        return VMW_BALLOON_ERROR_PPN_INVALID;
    return VMW_BALLOON_SUCCESS;
}

static void start(struct vmware *w, struct backdoor *c)
{
    w->balloon.started = true;
    w->balloon.held = 0;
    w->balloon.caps =
        c->bx & (VMW_BALLOON_BASIC_CMDS | VMW_BALLOON_BATCHED_CMDS | VMW_BALLOON_BATCHED_2M_CMDS);
    /* Linux before 4.2 says just that, as the version of a protocol, and knows one success. */
    c->ax = w->balloon.caps == VMW_BALLOON_BASIC_CMDS ? (uint32_t)VMW_BALLOON_SUCCESS
                                                      : VMW_BALLOON_SUCCESS_WITH_CAPABILITIES;
    c->cx = w->balloon.caps;
}

void vmware_balloon_call(struct vmware *w, struct backdoor *c)
{
    uint32_t cmd = c->cx;
    bool lock = cmd == VMW_BALLOON_CMD_LOCK || cmd == VMW_BALLOON_CMD_BATCHED_LOCK ||
                cmd == VMW_BALLOON_CMD_BATCHED_2M_LOCK;

    if (cmd == VMW_BALLOON_CMD_START) {
        start(w, c);
        return;
    }
    if (!w->balloon.started) {
        c->ax = VMW_BALLOON_ERROR_RESET;
        return;
    }
    switch (cmd) {
    case VMW_BALLOON_CMD_GET_TARGET:
    case VMW_BALLOON_CMD_GUEST_ID:
        c->ax = VMW_BALLOON_SUCCESS;
        break;
    case VMW_BALLOON_CMD_LOCK:
    case VMW_BALLOON_CMD_UNLOCK:
        c->ax = page(w, c->bx, 1, lock);
        break;
    case VMW_BALLOON_CMD_BATCHED_LOCK:
    case VMW_BALLOON_CMD_BATCHED_UNLOCK:
        c->ax = batch(w, c, 1, lock);
        break;
    case VMW_BALLOON_CMD_BATCHED_2M_LOCK:
    case VMW_BALLOON_CMD_BATCHED_2M_UNLOCK:
        c->ax = batch(w, c, LARGE_PAGES, lock);
        break;
    default:
        c->ax = VMW_BALLOON_ERROR_CMD_INVALID;
        return;
    }
    if (cmd != VMW_BALLOON_CMD_GUEST_ID)
        c->bx = (uint32_t)w->balloon.target;
}
