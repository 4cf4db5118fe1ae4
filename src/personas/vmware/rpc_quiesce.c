/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_quiesce.c - file systems that the guest's tools hold still while a snapshot is taken.
 *
 * Document: open-vm-tools, vmbackup.h. The host sends vmbackup.start; the tools run the guest's
 * scripts, freeze its file systems and say prov.snapshotCommit; the host sends
 * vmbackup.snapshotDone, they thaw and say req.done. The argument of vmbackup.start asks for a
 * manifest, as ESXi does: OpenBSD knows the command in no other form. Not modelled: what manifests
 * say, options (startWithOpts), which only Windows has a use for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "personas/vmware/rpc.h"

static const char start[] = "vmbackup.start 1";
static const char done[] = "vmbackup.snapshotDone";

int rpc_freeze(struct rpc *r, uint64_t now)
{
    int rc;

    if (r->quiesce != QUIESCE_NONE)
        return -EALREADY;
    rc = rpc_ask(r, start, now);
    if (rc == 0)
        r->quiesce = QUIESCE_FREEZING;
    return rc;
}

int rpc_thaw(struct rpc *r, uint64_t now)
{
    int rc;

    if (r->quiesce != QUIESCE_FROZEN)
        return -EINVAL;
    rc = rpc_ask(r, done, now);
    if (rc == 0)
        r->quiesce = QUIESCE_THAWING;
    return rc;
}

void rpc_quiesce_reset(struct rpc *r)
{
    if (r->quiesce == QUIESCE_FREEZING || r->quiesce == QUIESCE_THAWING)
        rpc_tell(r, MACHINE_ASK_FAILED, "the tools went away");
    r->quiesce = QUIESCE_NONE;
}

bool rpc_quiesce_answered(struct rpc *r, bool ok)
{
    bool mine = strcmp(r->ask, start) == 0 || strcmp(r->ask, done) == 0;

    if (mine && !ok)
        r->quiesce = strcmp(r->ask, done) == 0 ? QUIESCE_FROZEN : QUIESCE_NONE;
    return mine && ok; /* then what counts comes as an event */
}

/* "NAME CODE TEXT" */
void rpc_quiesce_event(struct rpc *r, const char *arg, size_t n)
{
    char text[RPC_TEXT], *code, *why;
    bool failed;

    n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
    memcpy(text, arg, n);
    text[n] = '\0';
    code = strchr(text, ' ');
    if (code)
        *code++ = '\0';
    why = code ? strchr(code, ' ') : NULL;
    failed = strcmp(text, "req.error") == 0 || strcmp(text, "req.aborted") == 0 ||
             strcmp(text, "prov.snapshotAbort") == 0;
    if (failed && r->quiesce != QUIESCE_NONE) {
        if (r->quiesce != QUIESCE_FROZEN)
            rpc_tell(r, MACHINE_ASK_FAILED, why && why[1] ? why + 1 : "the guest gave up");
        r->quiesce = QUIESCE_NONE;
    } else if (strcmp(text, "prov.snapshotCommit") == 0 && r->quiesce == QUIESCE_FREEZING) {
        r->quiesce = QUIESCE_FROZEN;
        rpc_tell(r, MACHINE_ASK_DONE, "the guest's file systems are frozen");
    } else if (strcmp(text, "req.done") == 0 && r->quiesce == QUIESCE_THAWING) {
        r->quiesce = QUIESCE_NONE;
        rpc_tell(r, MACHINE_ASK_DONE, "the guest's file systems are thawed");
    } else if (strcmp(text, "req.done") == 0 && r->quiesce == QUIESCE_FREEZING) {
        r->quiesce = QUIESCE_NONE;
        rpc_tell(r, MACHINE_ASK_FAILED, "the guest ended without freezing");
    }
}
