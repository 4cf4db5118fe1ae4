/* SPDX-License-Identifier: Apache-2.0 */
/* machine_priv.h - what the machine*.c files share; no other file includes it. */
#ifndef HOSPES_MACHINE_PRIV_H
#define HOSPES_MACHINE_PRIV_H

#include <pthread.h>

#include "board/board.h"
#include "board/boot/boot.h"
#include "core/err.h"
#include "core/loop.h"
#include "host/host.h"
#include "machine/machine.h"
#include "machine/usage.h"
#include "personas/persona.h"

enum { MACHINE_LEAVES = 192, MACHINE_ABOUT = 48, MACHINE_ID = 32 };

/* What all vCPU threads are told to do; each change raises order_no. */
enum cpu_order {
    CPU_HOLD,
    CPU_RESET, /* registers as after power-on, then hold */
    CPU_START, /* like RUN, the first processor enters the kernel */
    CPU_WAKE,  /* like RUN, the first processor goes on where a guest that slept wants it to */
    CPU_RUN,
    CPU_QUIT,
};

struct cpu {
    struct machine *m;
    unsigned index;
    pthread_t thread;
    bool started;   /* thread exists */
    struct vcpu *v; /* NULL until set up */
    unsigned seen;  /* last order_no that it obeyed */
    bool idle;      /* waits for the next order */
    bool fresh;     /* has not run yet */
    int rc;         /* set-up or run failed: see err */
    struct err err;
};

/* Counts lives that end in a reset; see machine_resets.c. */
struct resets {
    uint64_t born;        /* ns, start of this life */
    uint64_t exits;       /* of all vCPUs at that time */
    unsigned quick, idle; /* in a row */
};

/* A disk that came while the guest ran. */
struct plugged {
    char *path;        /* NULL: none; of a card what it is connected to */
    bool nic;          /* a network card, else a disk */
    struct disk *disk; /* the persona's */
    char id[32];
    char about[MACHINE_ABOUT];
    int slot; /* of its own PCI function; 0: it is behind a controller */
};

/* What is done to a disk with nothing under way on it: disk NULL: it has gone; d: the plan's words
 * for it, NULL for one that came later; *told: the guest is. */
typedef int quiet_fn(struct machine *m, struct disk *disk, const struct plan_disk *d, bool *told,
                     struct err *e);

/* The one that waits for that; see machine_quiet.c. */
struct quiet {
    struct alarm alarm;
    char id[MACHINE_ID];
    quiet_fn *act;     /* NULL: there is none */
    bool held;         /* the vCPUs are */
    uint64_t bytes;    /* of a disk that grows */
    bool door;         /* not while the guest has locked the drive */
    uint64_t until;    /* ns: so long it is waited for; 0: it was not locked yet */
    struct disk *disc; /* the next one in a drive, NULL: none; closed if it comes to nothing */
    char *path;        /* and its file */
    char about[MACHINE_ABOUT];
};

struct machine {
    const struct plan *plan;
    const struct host_ops *ops;
    struct loop *loop;
    struct gmem *mem;
    struct host *host;
    struct console *console;
    struct hub *hub;         /* screens, keyboards, pointers */
    struct vnc *vnc;         /* NULL: nobody may look */
    struct web *web;         /* likewise, by a browser */
    struct control *control; /* NULL: nobody can reach it */
    struct board *board;
    struct tpm_process *tpm; /* NULL: there is no TPM */
    struct persona *persona;
    struct cfg *persona_opts;
    struct boot *boot;
    struct boot_start start;
    uint32_t waking; /* where a guest goes on after S3 */
    struct board_tables tables;
    struct host_sink sink;
    struct usage usage; /* what the guest asked for; any thread */

    pthread_mutex_t lock; /* orders */
    pthread_cond_t go, done;
    enum cpu_order order;
    unsigned order_no;
    bool halt;       /* an event ended this life: vCPUs stop by themselves */
    unsigned told;   /* atomic: notices on their way to the loop, by kind */
    struct cpu *cpu; /* plan->cpus_max of them */
    unsigned cpus;   /* whose threads were started; grows while all are held */

    /* loop's thread */
    struct watch interrupt; /* fd -1 until made */
    struct alarm grace;     /* after a panic notice */
    uint64_t grace_exits;   /* when it was armed */
    bool dumps;             /* a crash kernel may be at work */
    struct resets resets;
    uint64_t reset_count;
    uint64_t started_ns; /* when it began to run; 0 before */
    bool running, ended, crashed, asleep;
    enum machine_end end;
    int rc;
    struct err err;
    char why[256];
    unsigned test_value;
    struct disk *disk[PLAN_MAX_DISKS]; /* the devices'; NULL: gone */
    struct quiet quiet;
    char disk_about[PLAN_MAX_DISKS][MACHINE_ABOUT];
    char *disc_path[PLAN_MAX_DISKS]; /* of a disc that was put in; NULL: the plan's, or none */
    /* Devices keep these: they live as long as the machine. */
    char disk_id[PLAN_MAX_DISKS][MACHINE_ID], nic_id[PLAN_MAX_NICS][MACHINE_ID];
    struct plugged plugged[PLAN_MAX_DISKS];
    size_t plugged_ever;
};

/* machine_build.c: what a plan's machine may come to. */
unsigned machine_cpus_max(const struct plan *p);
/* Does its persona give processors to a guest that runs? */
bool machine_adds_cpus(const struct plan *p);
/* A step each, in this order; machine_destroy() undoes what was done. */
MUST int machine_build(struct machine *m, struct err *e);
void machine_unbuild(struct machine *m);
MUST int machine_load(struct machine *m, struct err *e);

/* machine_display.c */
MUST int machine_display_open(struct machine *m, struct err *e);
void machine_display_close(struct machine *m);
void machine_display_describe(struct machine *m, struct dump *out);

/* machine_plug.c: d's image, and a word about it; *out NULL: d is a drive that is empty. */
MUST int machine_image_open(struct machine *m, const struct plan_disk *d, struct disk **out,
                            char about[MACHINE_ABOUT], struct err *e);
/* machine_plug.c: the disk is opened and s->opts made; both are the caller's. */
MUST int machine_disk_open(struct machine *m, const struct plan_disk *d, const char *id,
                           struct disk_spec *s, char about[MACHINE_ABOUT], struct err *e);
/* Loop's thread. spec: in the words of --disk; *id is the machine's. */
MUST int machine_attach(struct machine *m, const char *spec, const char **id, struct err *e);
/* The same for a network card, in the words of --nic. */
MUST int machine_attach_nic(struct machine *m, const char *spec, const char **id, struct err *e);
/* machine_build.c: opens n's network and has the persona make a card of it by add. id lives as long
 * as the card. */
struct nic_spec;
MUST int machine_add_nic(struct machine *m, const struct plan_nic *n, const char *id,
                         int (*add)(struct persona *p, const struct nic_spec *s, struct err *e),
                         struct err *e);
/* 1: the guest is asked to give it up. */
MUST int machine_detach(struct machine *m, const char *id, struct err *e);
void machine_unplug_all(struct machine *m);
/* The guest has given up a PCI slot: what was in it goes. */
void machine_ejected(struct machine *m, unsigned slot);

/* machine_plug.c: brings the running guest to n processors; loop's thread. */
MUST int machine_add_cpus(struct machine *m, uint64_t n, struct err *e);
/* machine_quiet.c: the device's disk, NULL: there is none of that id. *d: the plan's words for it,
 * NULL for one that came later. */
struct disk *machine_disk(struct machine *m, const char *id, const struct plan_disk **d);
/* -EBUSY: a job is under way. */
MUST int machine_quiet_free(struct machine *m, const char *id, struct err *e);
/* Has act() run once nothing is in flight on disk `id`; control_done() tells how it ended. What it
 * needs lies in m->quiet before. */
void machine_quiet_begin(struct machine *m, const char *id, quiet_fn *act);
void machine_quiet_end(struct machine *m);

/* machine_disc.c: the disc of the drive `id` (NULL: the only one) is spec's, in the words of
 * --cdrom. 0: begun, and control_done() tells how it ended: with EX_IN_USE when the guest has
 * locked the drive and does not open it, though it is asked, unless forced. */
MUST int machine_disc(struct machine *m, const char *id, const char *spec, bool force,
                      struct err *e);
/* The file of the plan's disk i, now; "none": an empty drive. */
const char *machine_disk_path(const struct machine *m, size_t i);
void machine_discs_end(struct machine *m);

/* machine_resize.c: 0: begun, and control_done() tells how it ended. Loop's thread. */
MUST int machine_resize(struct machine *m, const char *id, uint64_t bytes, struct err *e);

/* machine_cpu.c */
/* Brings the machine to n processors; those that could be had stay when one fails. */
MUST int machine_cpus_start(struct machine *m, unsigned n, struct err *e);
/* Tells all vCPUs and, except for START and RUN, waits until all have obeyed. */
void machine_cpus_order(struct machine *m, enum cpu_order order);
void machine_cpus_join(struct machine *m);
/* Any thread: vCPUs stop at their next exit or at once. */
void machine_cpus_halt(struct machine *m);

/* machine_event.c: what a guest causes. Any thread. */
void machine_board_event(void *arg, enum board_event what, unsigned value, const char *text);
void machine_persona_event(void *arg, enum machine_event what, const char *text);
void machine_host_event(void *arg, struct vcpu *v, enum host_event what,
                        const struct host_event_info *info);
/* Loop's thread. */
void machine_finish(struct machine *m, enum machine_end end);
void machine_failed(struct machine *m, const struct err *e);
void machine_grace_over(struct alarm *a);

/* machine_crash.c: into the log, on the vCPU's own thread. */
void machine_crash_log(struct machine *m, struct vcpu *v);

/* machine_control.c: tells those who asked the guest for something; any thread. */
void machine_answered(struct machine *m, bool obeyed, const char *text);
/* Loop's thread, or after it: the machine has ended. */
void machine_control_end(struct machine *m);

/* machine_resets.c */
/* A life ends in a reset now. true: the guest keeps resetting. */
bool resets_again(struct resets *r, uint64_t now, uint64_t exits);
void resets_begin(struct resets *r, uint64_t now, uint64_t exits);

/* --- machine_place.c --- */

/* Puts "slot" into a device's options when the plan gave it an address that is free here. */
MUST int place_slot(struct machine *m, const struct plan_place *place, const char *id,
                    struct cfg *opts, struct err *e);
/* A VMBus instance as on the wire: out, or NULL when none was said. */
const uint8_t *place_instance(const struct plan_guid *g, uint8_t out[16]);
/* The generation id for this run, as it lies in memory: out; NULL: the host has no random numbers.
 */
const uint8_t *place_genid(const struct plan *p, uint8_t out[16]);
/* The controller that the plan describes for a disk; NULL: none. */
const struct plan_controller *place_controller(const struct plan *p, const struct plan_disk *d);
/* The plan's names over the persona's. */
void place_names(const struct plan *p, struct smbios_id *out);
/* Slot numbers of the devices on the PCI bus, into \_SB. */
void place_acpi(struct machine *m, struct aml *out);

#endif
