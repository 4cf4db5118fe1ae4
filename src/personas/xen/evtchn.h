/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evtchn.h - event channels: Xen's interrupts, seen from guest and back ends.
 *
 * The guest's side are the EVTCHNOP hypercalls; back ends of this process bind to ports that the
 * guest has left unbound for domain 0, hear of its sends and notify it.
 *
 * Document: Xen public/event_channel.h; docs/misc FIFO event channel ABI. Threads: everything from
 * any thread; one lock for the table, atomics for what is shared with the guest.
 */
#ifndef HOSPES_PERSONAS_XEN_EVTCHN_H
#define HOSPES_PERSONAS_XEN_EVTCHN_H

#include "core/core.h"

enum { EVTCHN_MAX_PORTS = 4096, EVTCHN_MAX_CPUS = 255 };

struct evtchn;
struct host;

/* Something became pending on `cpu`: raise its upcall. Any thread, evtchn's lock may be held, so it
 * must not call back. */
typedef void evtchn_deliver_fn(void *arg, unsigned cpu);

MUST int evtchn_create(struct gmem *m, unsigned cpus, evtchn_deliver_fn *deliver, void *arg,
                       struct evtchn **out, struct err *e);
void evtchn_destroy(struct evtchn *x);
/* All ports closed, nothing mapped: machine reset and soft reset. Back ends are unbound. */
void evtchn_reset(struct evtchn *x);

/* The guest's width, latched when it maps shared info; decides layouts. The page begins empty, and
 * when it moves takes along what it holds. */
void evtchn_set_shared(struct evtchn *x, gpa_t shared_info, bool longmode);
/* The guest unmaps shared info: its events are kept until it is mapped again. */
void evtchn_hide_shared(struct evtchn *x);
/* -EFAULT, -EINVAL; contents of the old place are copied, and an event is raised as Xen does. */
MUST int evtchn_set_vcpu_info(struct evtchn *x, unsigned cpu, gpa_t at);
/* Where vcpu_info of cpu is now; false while the guest sees none. */
bool evtchn_vcpu_info(struct evtchn *x, unsigned cpu, gpa_t *at);
/* evtchn_upcall_pending of that cpu: for delivery that must be repeated. */
bool evtchn_upcall_pending(struct evtchn *x, unsigned cpu);

/* EVTCHNOP `cmd` from vCPU `cpu`; body is a copy of the argument structure, `size` bytes long, and
 * is written back when *back is set. 0 or -errno as the guest gets it. */
MUST int evtchn_op(struct evtchn *x, unsigned cpu, unsigned cmd, void *body, size_t size,
                   bool *back);
/* Bytes of the argument of `cmd`, 0: no such operation. */
size_t evtchn_op_size(unsigned cmd);

/* Raises a virtual interrupt that the guest has bound; false: it has not. */
bool evtchn_virq(struct evtchn *x, unsigned cpu, unsigned virq);

/* --- the kernel's part --- */

/* The kernel raises events and sends by itself (host_ops.xen) where it can. Then there is no FIFO
 * ABI, which it does not know. Before anything is bound. */
void evtchn_use_kernel(struct evtchn *x, struct host *h);
/* Upcalls are vectors, which the kernel delivers too. false: a line, which it does not: deliver()
 * is called for all that becomes pending, and ports that raise others come to us. */
void evtchn_set_vectored(struct evtchn *x, bool vectored);
/* The port of VIRQ_TIMER of that cpu, 0: not bound. */
unsigned evtchn_timer_port(struct evtchn *x, unsigned cpu);
/* Lets the guest look at all its ports: something may have been set where it no longer looks. */
void evtchn_poke(struct evtchn *x, unsigned cpu);

/* --- back ends --- */

/* fn runs when the guest sends on `port`, on the sending vCPU's thread; where the kernel sends, fd
 * (an eventfd, -1: none) is signalled instead. -EINVAL: the guest has not left that port unbound
 * for domain 0. */
typedef void evtchn_sent_fn(void *arg);
MUST int evtchn_bind(struct evtchn *x, unsigned port, evtchn_sent_fn *fn, void *arg, int fd);
void evtchn_unbind(struct evtchn *x, unsigned port, void *arg);
/* Makes the port pending in the guest. A closed port is ignored. */
void evtchn_notify(struct evtchn *x, unsigned port);

/* What the domain builder connects. The end that is ours stays open: a guest that closes its port
 * or all of them binds to our end anew, by the number that EVTCHNOP_status told. */
enum evtchn_service { EVTCHN_STORE, EVTCHN_CONSOLE, EVTCHN_SERVICES };
/* The guest's port; 0 when none is left. fn and fd as for evtchn_bind(). */
MUST unsigned evtchn_serve(struct evtchn *x, enum evtchn_service which, evtchn_sent_fn *fn,
                           void *arg, int fd);
/* Makes its port pending, wherever the guest has it now. */
void evtchn_notify_service(struct evtchn *x, enum evtchn_service which);

#endif
