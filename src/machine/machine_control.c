/* SPDX-License-Identifier: Apache-2.0 */
/* machine_control.c - what the control socket of a running machine shows and does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "board/device.h"
#include "console/console.h"
#include "console/hub.h"
#include "machine/control.h"
#include "machine/machine_priv.h"

/* --- facts --- */

/* Sums what devices say they have served, on the way to the real dump. */
struct counting {
    struct dump dump; /* first */
    struct info *info;
    struct dump *to;
    uint64_t served;
};

static void counting_add(struct dump *d, const char *key, const char *value)
{
    struct counting *c = container_of(d, struct counting, dump);

    if (strcmp(key, "requests") == 0 || strcmp(key, "frames") == 0)
        c->served += strtoull(value, NULL, 10);
    c->to->add(c->to, key, value);
}

static void info_device(void *arg, struct device *d)
{
    struct counting *c = arg;
    uint64_t faults = READ_ONCE(d->fault_count);

    if (!d->ops->describe && faults == 0)
        return;
    c->to = info_part(c->info, "devices", d->env.id ? d->env.id : d->ops->name, d->ops->name);
    device_describe(d, &c->dump);
    if (faults)
        dump_add(c->to, "guest faults", "%llu", (unsigned long long)faults);
}

static void info_processors(struct machine *m, struct info *out, uint64_t *exits)
{
    char key[32];

    for (unsigned i = 0; i < m->cpus; i++) {
        uint64_t n = m->cpu[i].v ? m->ops->vcpu_exits(m->cpu[i].v) : 0;

        snprintf(key, sizeof(key), "exits of cpu %u", i);
        if (m->cpus > 1)
            info_number(out, key, n);
        *exits += n;
    }
    info_number(out, "exits", *exits);
}

static uint64_t info_uptime(const struct machine *m)
{
    return m->started_ns ? (loop_now(m->loop) - m->started_ns) / UINT64_C(1000000000) : 0;
}

void machine_info(struct machine *m, struct info *out)
{
    const struct plan *p = m->plan;
    struct counting c = {.dump.add = counting_add, .info = out};
    uint64_t exits = 0;
    char ratio[32];

    info_text(out, "persona", m->persona->ops->name);
    info_text(out, "why", p->persona_why);
    info_text(out, "host", m->ops->name);
    info_number(out, "cpus", m->cpus);
    info_number(out, "memory", p->memory);
    info_text(out, "state", m->asleep ? "asleep" : "running");
    info_number(out, "uptime", info_uptime(m));
    info_number(out, "resets", m->reset_count);
    info_text(out, "kernel", p->kernel);
    info_text(out, "console", m->console->where);
    info_processors(m, out, &exits);
    for (size_t i = 0; i < p->disks; i++) {
        dump_add(info_part(out, "disks", m->disk_id[i], m->disk_about[i]), "file", "%s",
                 machine_disk_path(m, i));
    }
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++) {
        const struct plugged *k = &m->plugged[i];

        if (k->path && !k->nic)
            dump_add(info_part(out, "disks", k->id, k->about), "file", "%s", k->path);
    }
    if (m->persona->ops->describe)
        m->persona->ops->describe(m->persona, info_part(out, "guest", "guest", NULL));
    usage_describe(&m->usage, out);
    board_each(m->board, info_device, &c);
    if (c.served) {
        snprintf(ratio, sizeof(ratio), "%.2f", (double)exits / (double)c.served);
        info_text(out, "exits per I/O", ratio);
    }
}

/* --- control_ops --- */

static void control_info(void *arg, struct info *out)
{
    machine_info(arg, out);
}

static int control_ask(void *arg, const char *what, uint64_t value, const char **how, struct err *e)
{
    static const struct {
        const char *word;
        enum persona_ask ask;
    } words[] = {
        {"reboot", ASK_REBOOT}, {"freeze", ASK_FREEZE},       {"thaw", ASK_THAW},
        {"memory", ASK_MEMORY}, {"time-sync", ASK_TIME_SYNC},
    };
    struct machine *m = arg;

    if (strcmp(what, "shutdown") == 0)
        return machine_shutdown(m, how, e);
    if (strcmp(what, "cpus") == 0) {
        *how = "ACPI";
        return machine_add_cpus(m, value, e);
    }
    if (strcmp(what, "wake") == 0)
        return machine_wake_up(m, how, e);
    *how = m->persona->ops->name;
    for (size_t i = 0; m->persona->ops->ask && i < ARRAY_SIZE(words); i++) {
        if (strcmp(words[i].word, what) == 0)
            return m->persona->ops->ask(m->persona, words[i].ask, value, e);
    }
    return err_set(e, ENOTSUP, "persona %s cannot ask the guest for %s", *how, what);
}

static int control_data_set(void *arg, const char *key, const char *value, struct err *e)
{
    struct machine *m = arg;

    if (!m->persona->ops->data_set)
        return err_set(e, ENOTSUP, "persona %s shares no data with its guest",
                       m->persona->ops->name);
    return m->persona->ops->data_set(m->persona, key, value, e);
}

static int control_data_list(void *arg, const char *prefix, control_data_fn *fn, void *fn_arg,
                             struct err *e)
{
    struct machine *m = arg;

    if (!m->persona->ops->data_list)
        return err_set(e, ENOTSUP, "persona %s shares no data with its guest",
                       m->persona->ops->name);
    m->persona->ops->data_list(m->persona, prefix, fn, fn_arg);
    return 0;
}

static int control_copy(void *arg, const char *file, const char *to, struct err *e)
{
    struct machine *m = arg;
    int fd;

    if (!m->persona->ops->copy)
        return err_set(e, ENOTSUP, "persona %s copies no files into its guest",
                       m->persona->ops->name);
    fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_exit(e, EX_MISSING, errno, "cannot open %s: %s", file, strerror(errno));
    return m->persona->ops->copy(m->persona, fd, to, e);
}

static int control_screenshot(void *arg, const char *file, unsigned *width, unsigned *height,
                              struct err *e)
{
    struct machine *m = arg;
    struct image img;
    int rc = hub_image(m->hub, &img, e);

    if (rc < 0)
        return rc;
    *width = img.width;
    *height = img.height;
    rc = image_png(&img, file, e);
    free(img.pixels);
    return rc;
}

static int control_screen_text(void *arg, char **out, struct err *e)
{
    return hub_text(((struct machine *)arg)->hub, out, e);
}

static void control_typed(void *arg)
{
    control_event(((struct machine *)arg)->control, "obeyed", "typed");
}

static int control_type(void *arg, const char *text, struct err *e)
{
    struct machine *m = arg;

    return hub_type(m->hub, text, control_typed, m, e);
}

static int control_attach(void *arg, const char *disk, const char **id, struct err *e)
{
    return machine_attach(arg, disk, id, e);
}

static int control_attach_nic(void *arg, const char *nic, const char **id, struct err *e)
{
    return machine_attach_nic(arg, nic, id, e);
}

static int control_detach(void *arg, const char *id, struct err *e)
{
    return machine_detach(arg, id, e);
}

static int control_resize(void *arg, const char *id, uint64_t bytes, struct err *e)
{
    return machine_resize(arg, id, bytes, e);
}

static int control_disc(void *arg, const char *drive, const char *disc, bool force, struct err *e)
{
    return machine_disc(arg, drive, disc, force, e);
}

static void control_state(void *arg, struct info *out)
{
    machine_state(arg, out);
}

static void control_stop(void *arg)
{
    machine_stop(arg);
}

static struct console *control_console(void *arg)
{
    return machine_console(arg);
}

static const struct control_ops machine_ops = {
    .info = control_info,
    .state = control_state,
    .ask = control_ask,
    .data_set = control_data_set,
    .data_list = control_data_list,
    .copy = control_copy,
    .attach = control_attach,
    .attach_nic = control_attach_nic,
    .detach = control_detach,
    .resize = control_resize,
    .disc = control_disc,
    .screenshot = control_screenshot,
    .screen_text = control_screen_text,
    .type = control_type,
    .stop = control_stop,
    .console = control_console,
};

int machine_control(struct machine *m, const char **path, struct err *e)
{
    int rc = control_open(m->plan->name, m->loop, &machine_ops, m, &m->control, e);

    if (rc == 0)
        *path = control_path(m->control);
    return rc;
}

struct answer {
    struct machine *m;
    bool obeyed, said;
    char text[200];
};

static void answer_post(void *arg)
{
    struct answer *a = arg;

    control_event(a->m->control, a->obeyed ? "obeyed" : "refused", a->said ? a->text : NULL);
    free(a);
}

void machine_answered(struct machine *m, bool obeyed, const char *text)
{
    struct answer *a = calloc(1, sizeof(*a));

    if (!a)
        return; /* who asked will see the timeout */
    *a = (struct answer){.m = m, .obeyed = obeyed, .said = text != NULL};
    if (text)
        snprintf(a->text, sizeof(a->text), "%s", text);
    loop_post(m->loop, answer_post, a);
}

void machine_control_end(struct machine *m)
{
    static const char *const words[] = {
        [END_POWEROFF] = "powered off",    [END_CRASHED] = "crashed",
        [END_RESETS] = "keeps resetting",  [END_STOPPED] = "stopped",
        [END_INTERRUPTED] = "interrupted", [END_TEST] = "test ended",
        [END_FAILED] = "failed",
    };

    control_close(m->control, words[m->end], *m->why ? m->why : NULL);
    m->control = NULL;
}
