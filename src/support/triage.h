/* SPDX-License-Identifier: Apache-2.0 */
/*
 * triage.h - which layer the evidence points at. A finding is a sentence with the line that it was
 * read from; how sure it is says how often such a line means something else.
 */
#ifndef HOSPES_SUPPORT_TRIAGE_H
#define HOSPES_SUPPORT_TRIAGE_H

#include "core/core.h"
#include "validation/record.h"

enum triage_layer {
    LAYER_GUEST,   /* the guest's own software */
    LAYER_DRIVER,  /* the guest's drivers for its hypervisor */
    LAYER_PERSONA, /* what hospes shows of a hypervisor */
    LAYER_BOARD,   /* the emulated PC */
    LAYER_KVM,     /* the host's kernel */
    LAYER_IMAGE,   /* the disk image */
    LAYER_HOST,    /* the host's hardware, memory, file systems */
    LAYERS
};
extern const char *const triage_layers[LAYERS];

struct triage_finding {
    enum triage_layer layer;
    unsigned sure;      /* percent */
    const char *means;  /* a sentence */
    char evidence[200]; /* the line, or the check */
    const char *where;  /* the file; the caller's */
};

enum { TRIAGE_MAX = 64 };
struct triage {
    struct triage_finding found[TRIAGE_MAX];
    size_t n;
};

/* Reads a log, a console or what `hospes info` printed; text[len] is 0. */
void triage_text(struct triage *t, const char *where, const char *text, size_t len);
/* A record's checks beside those of its control run on QEMU, where there was one. */
void triage_record(struct triage *t, const char *where, const struct vrecord *r);
/* The layer with most behind it, and how sure (percent) that is; false: nothing was found. */
bool triage_verdict(const struct triage *t, enum triage_layer *layer, unsigned *sure);

#endif
