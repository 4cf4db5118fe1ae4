/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_gate.c - keeps vCPUs out of KVM while it waits for all of them to have left.
 *
 * KVM changes its memory slots, its doorbells and its routes of event channels by SRCU: the call
 * returns when every vCPU has left the section that it was in. They all do so at their next exit,
 * but for a Xen guest's that polls (SCHEDOP_poll, which arch/x86/kvm/xen.c serves within the
 * section): it sleeps there until it gets its event, which may be the release of a spinlock that
 * the vCPU holds for which the call is made. Linux writes a PCI function's command register, and so
 * moves a BAR, under such a lock; then neither goes on, ever. So the pollers are sent out by a
 * signal, as a kick does, and do not come back before the call has returned.
 */
#include "host/kvm.h"

void kvm_gate_init(struct kvm_gate *g)
{
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->opened, NULL);
}

void kvm_gate_fini(struct kvm_gate *g)
{
    pthread_cond_destroy(&g->opened);
    pthread_mutex_destroy(&g->lock);
}

void kvm_gate_join(struct kvm_gate *g, struct kvm_vcpu *v)
{
    pthread_mutex_lock(&g->lock);
    v->next = g->first;
    g->first = v;
    pthread_mutex_unlock(&g->lock);
}

void kvm_gate_leave(struct kvm_gate *g, struct kvm_vcpu *v)
{
    struct kvm_vcpu **at = &g->first;

    pthread_mutex_lock(&g->lock);
    while (*at && *at != v)
        at = &(*at)->next;
    if (*at)
        *at = v->next;
    pthread_mutex_unlock(&g->lock);
}

void kvm_gate_close(struct kvm_gate *g)
{
    if (!g->used)
        return;
    pthread_mutex_lock(&g->lock);
    __atomic_store_n(&g->closed, g->closed + 1, __ATOMIC_SEQ_CST);
    for (struct kvm_vcpu *v = g->first; v; v = v->next) {
        if (!pthread_equal(v->thread, pthread_self()))
            kvm_vcpu_poke(v);
    }
    pthread_mutex_unlock(&g->lock);
}

void kvm_gate_open(struct kvm_gate *g)
{
    if (!g->used)
        return;
    pthread_mutex_lock(&g->lock);
    __atomic_store_n(&g->closed, g->closed - 1, __ATOMIC_SEQ_CST);
    if (g->closed == 0)
        pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

void kvm_gate_wait(struct kvm_gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (g->closed)
        pthread_cond_wait(&g->opened, &g->lock);
    pthread_mutex_unlock(&g->lock);
}
