/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persona.c - `vmware`: what a guest of ESXi finds: CPUID leaves, the backdoor, pvscsi, vmxnet3.
 *
 * Documents: the public guest drivers in Linux and open-vm-tools; no VMware product was compared.
 * Threads: as persona.h says; `lock` guards what the backdoor's vCPUs and the loop share.
 *
 * Options: guestinfo.KEY=VALUE: variables that the guest's tools read; svga: a display of VMware's;
 * vsock=PATH,cid=N: sockets between guest and host, see vmci.h.
 */
#define _GNU_SOURCE /* gettid */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "board/smbios.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/log.h"
#include "personas/nics.h"
#include "personas/vmware/rpc.h"
#include "personas/vmware/svga.h"
#include "personas/vmware/vmci.h"
#include "personas/vmware/vmware.h"
#include "personas/vmware/vmxnet3.h"

extern const struct persona_ops persona_vmware;

enum { BUS_KHZ = 1000000 };

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* --- life --- */

void vmware_tasks(struct vmware *w)
{
    w->steal_begin.run = steal_begin;
    w->bind_mouse.run = vmware_mouse_bind;
    w->meet.run = vmware_meet_asked;
}

static void vmware_destroy(struct persona *p)
{
    struct vmware *w = vmware_of(p);

    faces_gone(&w->faces);
    vmware_mouse_gone(w);
    loop_disarm(p->env.dev.loop, &w->steal_tick);
    loop_forget(p->env.dev.loop, &w->steal_begin);
    loop_forget(p->env.dev.loop, &w->bind_mouse);
    loop_forget(p->env.dev.loop, &w->meet);
    rpc_destroy(w->rpc);
    pthread_mutex_destroy(&w->lock);
    free(w->steal);
    free(w->vsock);
    free(w);
}

static void vmware_reset(struct persona *p)
{
    struct vmware *w = vmware_of(p);

    pthread_mutex_lock(&w->lock);
    rpc_reset(w->rpc);
    vmware_balloon_reset(w);
    vmware_mouse_reset(w);
    for (unsigned i = 0; i < p->env.cpus; i++)
        w->steal[i].at = 0;
    pthread_mutex_unlock(&w->lock);
    vmware_mouse_gone(w);
    vmware_faces_reset(w);
}

static int variables(struct vmware *w, struct cfg *c, struct err *e)
{
    static const char prefix[] = "guestinfo.";
    const char *key, *value;

    for (size_t i = 0; cfg_at(c, i, &key, &value); i++) {
        if (strncmp(key, prefix, sizeof(prefix) - 1) != 0)
            continue;
        value = cfg_get(c, key);
        if (value && rpc_set(w->rpc, key, value, strlen(value)) < 0)
            return err_exit(e, EX_USAGE_, EINVAL, "--persona vmware,%s: too long or too many", key);
    }
    return 0;
}

/* A machine's number on the bus is the end of its UUID, as ESXi has it. */
static int sockets(struct vmware *w, struct cfg *c, struct err *e)
{
    const char *path = cfg_get(c, "vsock");
    uint64_t cid = 0;
    int rc = cfg_u64(c, "cid", VMCI_CID_MIN, VMCI_CID_MAX, &cid, e);

    if (rc == 0 && cid && !path)
        rc = err_exit(e, EX_USAGE_, EINVAL, "--persona vmware,cid= has no use without vsock=PATH");
    if (rc < 0 || !path)
        return rc;
    if (!cid)
        cid = min_u64(max_u64(be32_at(w->uuid + 12), VMCI_CID_MIN), VMCI_CID_MAX);
    w->cid = (uint32_t)cid;
    w->vsock = strdup(path);
    return w->vsock ? 0 : err_set(e, ENOMEM, "no memory for the persona");
}

/* The serial number is the UUID's bytes as they lie in the SMBIOS table. */
static void identify(struct vmware *w)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    int n = snprintf(w->serial, sizeof(w->serial), "VMware-");

    for (unsigned i = 0; i < 16; i++) {
        w->uuid[i] = w->p.env.uuid[order[i]];
        n += snprintf(w->serial + n, sizeof(w->serial) - (size_t)n, "%02x%s", w->uuid[i],
                      i == 15  ? ""
                      : i == 7 ? "-"
                               : " ");
    }
}

/* For the guest's tools; under the lock. */
static void facts(void *arg, struct rpc_facts *out)
{
    struct vmware *w = arg;
    struct host *h = w->p.env.host;
    uint64_t ran, waited, used = 0;

    for (unsigned i = 0; i < w->p.env.cpus; i++) {
        vmware_times(w, i, &ran, &waited);
        used += ran;
    }
    *out = (struct rpc_facts){
        .session = le64_at(w->uuid) ^ w->started,
        .used_ms = used / 1000000,
        .elapsed_ms = (now_ns() - w->started) / 1000000,
        .cpus = w->p.env.cpus,
        .mhz = (uint32_t)(h->ops->tsc_khz(h) / 1000),
        .memory_mib = (uint32_t)(w->p.env.memory / MiB),
        .ballooned_mib = (uint32_t)(w->balloon.held * 4096 / MiB),
    };
}

static int vmware_create(const struct persona_env *env, struct persona **out, struct err *e)
{
    struct vmware *w = calloc(1, sizeof(*w));
    struct host *h = env->host;
    int rc;

    if (!w)
        return err_set(e, ENOMEM, "no memory for the persona");
    w->p.ops = &persona_vmware;
    w->p.env = *env;
    w->steal_tick.fire = steal_tick;
    vmware_tasks(w);
    pthread_mutex_init(&w->lock, NULL);
    identify(w);
    w->steal = calloc(env->cpus, sizeof(*w->steal));
    rc = w->steal ? rpc_create(&w->rpc, e) : err_set(e, ENOMEM, "no memory for the persona");
    if (rc == 0 && env->opts)
        rc = variables(w, env->opts, e);
    if (rc == 0 && env->opts)
        rc = sockets(w, env->opts, e);
    w->started = now_ns();
    if (rc == 0)
        rpc_facts(w->rpc, facts, w);
    if (rc == 0 && env->opts && cfg_flag(env->opts, "svga"))
        rc = svga_create(&w->p.env.dev, env->hub, e);
    if (rc < 0) {
        vmware_destroy(&w->p);
        return rc;
    }
    h->ops->watch_port(h, BDOOR_PORT);
    h->ops->watch_port(h, BDOOR_HB_PORT);
    h->ops->watch_port(h, BALLOON_PORT);
    if (!(h->ops->caps(h) & HOST_CAP_VMWARE_PORT))
        log_line(LOG_INFO, "vmware",
                 "programs in the guest cannot call the host (VMware Tools stays off): the host "
                 "has kvm.enable_vmware_backdoor=0; drivers work");
    *out = &w->p;
    return 0;
}

static int vmware_vcpu_ready(struct persona *p, struct vcpu *v, struct err *e)
{
    (void)e;
    vmware_of(p)->steal[v->index].tid = gettid();
    return 0;
}

static size_t vmware_cpuid(struct persona *p, unsigned cpu, struct cpuid_leaf *leaf, size_t n,
                           size_t max)
{
    struct host *h = p->env.host;

    (void)cpu;
    if (max - n <= VMWARE_CPUID_TIMING - VMWARE_CPUID_SIGNATURE)
        return n;
    leaf[n++] = (struct cpuid_leaf){.fn = VMWARE_CPUID_SIGNATURE,
                                    .eax = VMWARE_CPUID_TIMING,
                                    .ebx = VMWARE_SIGNATURE_EBX,
                                    .ecx = VMWARE_SIGNATURE_ECX,
                                    .edx = VMWARE_SIGNATURE_EDX};
    for (uint32_t fn = VMWARE_CPUID_SIGNATURE + 1; fn < VMWARE_CPUID_TIMING; fn++)
        leaf[n++] = (struct cpuid_leaf){.fn = fn};
    leaf[n++] = (struct cpuid_leaf){
        .fn = VMWARE_CPUID_TIMING, .eax = (uint32_t)h->ops->tsc_khz(h), .ebx = BUS_KHZ};
    return n;
}

/* --- devices --- */

static int vmware_add_nic(struct persona *p, const struct nic_spec *s, struct err *e)
{
    static const char *const models[] = {"vmxnet3", "e1000", "e1000e", NULL};
    struct env env = p->env.dev;
    bool emulated;
    int rc = persona_emulated_nic(p, s, models, "vmxnet3", &emulated, e);

    if (rc < 0 || emulated)
        return rc;
    if (s->opts)
        rc = cfg_finish(s->opts, "--nic", e);
    env.id = s->id;
    return rc < 0 ? rc : vmxnet3_create(&env, s->netif, s->mac, p->env.firmware, e);
}

/* Where ESXi puts cards on its PCI Express ports: 160, 192, 224, 256, then the ports' next
 * functions, 1024 further on each; controllers on such ports come first. Guests call their card
 * ens192 after that. */
static int vmware_nic_slot(struct persona *p, size_t n)
{
    struct vmware *w = vmware_of(p);
    unsigned at = (unsigned)n;

    for (unsigned i = 0; i < w->adapters; i++)
        at += w->adapter[i].kind != ADAPTER_LSILOGIC;
    return (int)(160 + at % 4 * 32 + at / 4 * 1024);
}

static int vmware_finish(struct persona *p, struct err *e)
{
    struct vmware *w = vmware_of(p);

    return w->vsock ? vmci_create(&p->env.dev, w->cid, w->vsock, e) : 0;
}

static void vmware_smbios(struct persona *p, struct smbios_id *out)
{
    out->bios_vendor = "Phoenix Technologies LTD";
    out->bios_version = "6.00";
    out->bios_date = "11/12/2020";
    out->vendor = "VMware, Inc.";
    out->product = "VMware Virtual Platform";
    out->version = "None";
    out->serial = vmware_of(p)->serial;
    out->board_vendor = "Intel Corporation";
    out->board_product = "440BX Desktop Reference Platform";
    out->chassis_vendor = "No Enclosure";
    out->asset_tag = "No Asset Tag";
}

static int tools_say(int rc, struct err *e)
{
    if (rc == -EBUSY)
        return err_set(e, EBUSY, "the guest's tools have not answered the last request yet");
    if (rc == -EALREADY)
        return err_set(e, EALREADY, "the guest's file systems are frozen already: thaw them first");
    if (rc == -EINVAL)
        return err_set(e, EINVAL, "the guest's file systems are not frozen");
    if (rc < 0)
        return err_set(e, ENOTSUP, "VMware Tools do not run in the guest");
    return 0;
}

static int ask_tools(struct vmware *w, const char *command, struct err *e)
{
    int rc;

    pthread_mutex_lock(&w->lock);
    rc = rpc_ask(w->rpc, command, now_ns());
    pthread_mutex_unlock(&w->lock);
    return tools_say(rc, e);
}

static int ask_quiesce(struct vmware *w, bool freeze, struct err *e)
{
    int rc;

    pthread_mutex_lock(&w->lock);
    rc = freeze ? rpc_freeze(w->rpc, now_ns()) : rpc_thaw(w->rpc, now_ns());
    pthread_mutex_unlock(&w->lock);
    return tools_say(rc, e);
}

/* --- variables, which a guest reads as guestinfo.KEY --- */

static int vmware_data_set(struct persona *p, const char *key, const char *value, struct err *e)
{
    struct vmware *w = vmware_of(p);
    const char *prefix = strncmp(key, "guestinfo.", 10) == 0 ? "" : "guestinfo.";
    char name[RPC_NAME];
    int rc, n = snprintf(name, sizeof(name), "%s%s", prefix, key);

    if (n >= (int)sizeof(name) || strpbrk(key, " \t\n"))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%.40s: a key has no spaces and with guestinfo. at most %d characters", key,
                        RPC_NAME - 1);
    pthread_mutex_lock(&w->lock);
    if (value)
        rc = rpc_set(w->rpc, name, value, strlen(value));
    else
        rc = rpc_remove(w->rpc, name) ? 0 : -ENOENT;
    pthread_mutex_unlock(&w->lock);
    if (rc == -ENOENT)
        return err_exit(e, EX_USAGE_, ENOENT, "there is no %s", name);
    if (rc < 0)
        return err_exit(e, EX_USAGE_, -rc, "%s: the value is too long, or there are too many",
                        name);
    return 0;
}

static void vmware_data_list(struct persona *p, const char *prefix, persona_data_fn *fn, void *arg)
{
    struct vmware *w = vmware_of(p);
    const char *key, *value;

    pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; (key = rpc_at(w->rpc, i, &value)); i++) {
        if (strncmp(key, prefix, strlen(prefix)) == 0)
            fn(arg, key, value);
    }
    pthread_mutex_unlock(&w->lock);
}

static int vmware_ask(struct persona *p, enum persona_ask what, uint64_t value, struct err *e)
{
    struct vmware *w = vmware_of(p);
    bool started;

    switch (what) {
    case ASK_SHUTDOWN:
        return ask_tools(w, "OS_Halt", e);
    case ASK_REBOOT:
        return ask_tools(w, "OS_Reboot", e);
    case ASK_TIME_SYNC:
        return ask_tools(w, "Time_Synchronize 1", e);
    case ASK_FREEZE:
    case ASK_THAW:
        return ask_quiesce(w, what == ASK_FREEZE, e);
    case ASK_MEMORY:
        pthread_mutex_lock(&w->lock);
        started = w->balloon.started;
        if (started)
            vmware_balloon_ask(w, value);
        pthread_mutex_unlock(&w->lock);
        return started ? 0 : err_set(e, ENOTSUP, "the guest's balloon driver does not run");
    default:
        return err_set(e, ENOTSUP, "the vmware persona has no channel for that");
    }
}

static void vmware_describe(struct persona *p, struct dump *out)
{
    struct vmware *w = vmware_of(p);

    pthread_mutex_lock(&w->lock);
    dump_add(out, "backdoor calls", "%llu, %llu unknown", (unsigned long long)w->calls,
             (unsigned long long)w->unknown_calls);
    for (unsigned i = 0; i < VMWARE_COMMANDS; i++) {
        char key[24];

        snprintf(key, sizeof(key), "command %u", i);
        if (w->command_calls[i])
            dump_add(out, key, "%llu", (unsigned long long)w->command_calls[i]);
    }
    dump_add(out, "balloon", w->balloon.started ? "%llu of %llu pages" : "not started",
             (unsigned long long)w->balloon.held, (unsigned long long)w->balloon.target);
    dump_add(out, "stolen time", "%s", w->steal[0].at ? "told" : "not asked for");
    rpc_describe(w->rpc, out, now_ns());
    pthread_mutex_unlock(&w->lock);
}

/* Machines have one when their description says so. */
static const char *vmware_genid(struct cfg *opts, bool said, bool uefi)
{
    (void)opts;
    (void)uefi;
    return said ? "VMGENID" : NULL;
}

const struct persona_ops persona_vmware = {
    .name = "vmware",
    .about = "VMware ESXi: backdoor, pvscsi and LSI Logic disks, vmxnet3",
    .create = vmware_create,
    .destroy = vmware_destroy,
    .reset = vmware_reset,
    .cpuid = vmware_cpuid,
    .vcpu_ready = vmware_vcpu_ready,
    .port = backdoor_port,
    .add_disk = vmware_add_disk,
    .plug_disk = vmware_plug_disk,
    .unplug_disk = vmware_unplug_disk,
    .grew = vmware_grew,
    .add_nic = vmware_add_nic,
    .nic_slot = vmware_nic_slot,
    .finish = vmware_finish,
    .smbios = vmware_smbios,
    .ask = vmware_ask,
    .data_set = vmware_data_set,
    .data_list = vmware_data_list,
    .genid = vmware_genid,
    .describe = vmware_describe,
};
