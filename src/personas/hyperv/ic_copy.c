/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic_copy.c - the guest file copy service: a file of the host's, written in the guest.
 *
 * Facts: Linux drivers/hv/hv_fcopy.c. One file at a time: START with name, folder and size, then
 * pieces of 6 KiB, each after the answer to the one before, then COMPLETE. Not modelled: the other
 * direction, which the service does not have. Threads: the loop's; a piece is read from the host's
 * page cache there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "ic_priv.h"
#include "storage/utf.h"

enum { NAME_UNITS = 260 };

static void fcopy_end(struct ic *i, uint32_t status)
{
    struct fcopy *f = &i->s->fcopy;
    char text[sizeof(f->name) + 16];

    snprintf(text, sizeof(text), "%s is there", f->name);
    close(f->fd);
    f->fd = -1;
    i->status = status;
    ic_event(i->s, i, text);
}

/* The next piece, or the end. */
static void fcopy_go_on(struct ic *i)
{
    struct fcopy *f = &i->s->fcopy;
    struct hv_do_fcopy m = {.hdr.operation = le32_of(WRITE_TO_FILE)};
    struct hv_fcopy_hdr last = {.operation = le32_of(COMPLETE_FCOPY)};
    ssize_t n = 0;
    bool sent;

    if (f->at < f->size)
        n = pread(f->fd, m.data, min_u64(DATA_FRAGMENT, f->size - f->at), (off_t)f->at);
    if (n < 0 || (n == 0 && f->at < f->size)) { /* unreadable, or shorter than it was */
        last.operation = le32_of(CANCEL_FCOPY);
        f->step = CANCEL_FCOPY;
        sent = ic_send(i, ICMSGTYPE_FCOPY, &last, sizeof(last));
    } else if (n == 0) {
        f->step = COMPLETE_FCOPY;
        sent = ic_send(i, ICMSGTYPE_FCOPY, &last, sizeof(last));
    } else {
        m.offset = le64_of(f->at);
        m.size = le32_of((uint32_t)n);
        f->at += (uint64_t)n;
        f->step = WRITE_TO_FILE;
        sent = ic_send(i, ICMSGTYPE_FCOPY, &m, sizeof(m));
    }
    if (!sent)
        fcopy_end(i, HV_E_FAIL);
}

void fcopy_answer(struct ic *i)
{
    struct fcopy *f = &i->s->fcopy;

    if (f->fd < 0)
        return;
    if (f->step == CANCEL_FCOPY)
        fcopy_end(i, HV_E_FAIL);
    else if (i->status || f->step == COMPLETE_FCOPY)
        fcopy_end(i, i->status);
    else
        fcopy_go_on(i);
}

void fcopy_closed(struct ic *i)
{
    if (i->s->fcopy.fd >= 0)
        fcopy_end(i, HV_E_FAIL);
}

static int fcopy_start(struct ic *i, const char *to, struct err *e)
{
    struct hv_start_fcopy m = {
        .hdr.operation = le32_of(START_FILE_COPY),
        .copy_flags = le32_of(OVER_WRITE | CREATE_PATH),
        .file_size = le64_of(i->s->fcopy.size),
    };
    const char *slash = strrchr(to, '/');
    char folder[sizeof(i->s->fcopy.name)];

    if (*to != '/' || !slash[1] || strlen(to) >= sizeof(folder))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "'%.64s' is no file of the guest's: give its whole path, at most %zu bytes",
                        to, sizeof(folder) - 1);
    /* With its slash: Linux's daemon makes folders up to the last one. */
    memcpy(folder, to, (size_t)(slash + 1 - to));
    folder[slash + 1 - to] = '\0';
    utf16_from(slash + 1, m.file_name, NAME_UNITS - 1, false);
    utf16_from(folder, m.path_name, NAME_UNITS - 1, false);
    snprintf(i->s->fcopy.name, sizeof(i->s->fcopy.name), "%s", to);
    i->s->fcopy.step = START_FILE_COPY;
    i->s->fcopy.at = 0;
    if (!ic_send(i, ICMSGTYPE_FCOPY, &m, sizeof(m)))
        return err_set(e, EBUSY, "the guest does not read its file copy channel");
    return 0;
}

int ics_copy(struct ics *s, int fd, const char *to, struct err *e)
{
    struct ic *i = &s->ic[IC_FCOPY];
    struct stat st;
    int rc = 0;

    if (!i->ready)
        rc = err_set(e, ENOTSUP,
                     "the guest has not bound Hyper-V's file copy service: is its daemon "
                     "(hv_fcopy_daemon) running?");
    else if (s->fcopy.fd >= 0 || i->asked)
        rc = err_set(e, EBUSY, "another file is on its way into the guest");
    else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "only a plain file can be copied into the guest");
    if (rc == 0) {
        s->fcopy.size = (uint64_t)st.st_size;
        rc = fcopy_start(i, to, e);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    s->fcopy.fd = fd;
    return 0;
}
