/* SPDX-License-Identifier: Apache-2.0 */
/* ranges.c - a short unsorted list: as many entries as requests that change a map at once. */
#include "storage/ranges.h"

void ranges_init(struct ranges *r)
{
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->freed, NULL);
    r->head = NULL;
}

void ranges_fini(struct ranges *r)
{
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->freed);
}

static bool taken(const struct ranges *r, uint64_t off, uint64_t len)
{
    for (const struct range *g = r->head; g; g = g->next) {
        if (off < g->off + g->len && g->off < off + len)
            return true;
    }
    return false;
}

static void add(struct ranges *r, struct range *g, uint64_t off, uint64_t len)
{
    *g = (struct range){.off = off, .len = len, .next = r->head};
    if (r->head)
        r->head->prev = g;
    r->head = g;
}

void ranges_hold(struct ranges *r, struct range *g, uint64_t off, uint64_t len)
{
    pthread_mutex_lock(&r->lock);
    while (taken(r, off, len))
        pthread_cond_wait(&r->freed, &r->lock);
    add(r, g, off, len);
    pthread_mutex_unlock(&r->lock);
}

bool ranges_try(struct ranges *r, struct range *g, uint64_t off, uint64_t len)
{
    bool free;

    pthread_mutex_lock(&r->lock);
    free = !taken(r, off, len);
    if (free)
        add(r, g, off, len);
    pthread_mutex_unlock(&r->lock);
    return free;
}

void ranges_drop(struct ranges *r, struct range *g)
{
    pthread_mutex_lock(&r->lock);
    if (g->prev)
        g->prev->next = g->next;
    else
        r->head = g->next;
    if (g->next)
        g->next->prev = g->prev;
    pthread_cond_broadcast(&r->freed);
    pthread_mutex_unlock(&r->lock);
}
