/* SPDX-License-Identifier: Apache-2.0 */
/* lab.c - see lab.h. */
#define _GNU_SOURCE
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "fake_vm.h"
#include "unit.h"

#define DESCRIBED "#: purpose: p\n#: pass: r\n#: source: s\n#: seconds: 1\n"

const char lab_suite[] = "#: name: lab\n#: version: 3\n#: owner: test\n"
                         "#: check: a.up\n" DESCRIBED "#: by: host boot\n#: mandatory: yes\n"
                         "#: check: a.one\n" DESCRIBED "#: by: guest\n#: mandatory: yes\n"
                         "#: check: a.two\n" DESCRIBED "#: by: guest\n#: mandatory: yes\n"
                         "#: check: a.extra\n" DESCRIBED "#: by: guest\n"
                         "#: check: a.long\n" DESCRIBED "#: by: guest\n#: level: long\n"
                         "#: check: a.off\n" DESCRIBED "#: by: host poweroff\n#: mandatory: yes\n";

static void write_text(const char *path, const char *text)
{
    struct err e = {0};

    assert_int_equal(vtext_write(path, text, strlen(text), &e), 0);
}

void lab_open(struct lab *l, const char *suite, const char *lines)
{
    struct err e = {0};
    char text[4096], path[400];

    memset(l, 0, sizeof(*l));
    snprintf(l->dir, sizeof(l->dir), "%s/lab-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->out, sizeof(l->out), "%s/out", l->dir);
    snprintf(l->suite, sizeof(l->suite), "%s/lab.sh", l->dir);
    snprintf(l->plan_path, sizeof(l->plan_path), "%s/lab.plan", l->dir);
    snprintf(path, sizeof(path), "%s/modules.dep", l->dir);
    write_text(path, "");
    write_text(l->suite, suite ? suite : lab_suite);
    snprintf(text, sizeof(text),
             "hospes-validation 1\nname lab\nsuite ./lab.sh\npersona kvm xen\n"
             "guest linux,kernel=lab.sh,modules=.,vendor=Nobody,version=1\n%s",
             lines ? lines : "");
    write_text(l->plan_path, text);
    assert_int_equal(vplan_read(&l->plan, l->plan_path, NULL, &e), 0);
    assert_int_equal(vfacts_set(&l->host, "product", "hospes", &e), 0);
    l->cfg = (struct runner_cfg){.plan = &l->plan,
                                 .ops = &vm_fake,
                                 .program = "/bin/true",
                                 .out = l->out,
                                 .scratch = l->dir,
                                 .command = "hospes validate run-cell",
                                 .plan_path = "lab.plan",
                                 .host = &l->host,
                                 .slow = 1};
    assert_int_equal(runner_prepare(&l->cfg, &e), 0);
    fake_answers = NULL;
    fake_info = NULL;
    fake_starts = 0;
    fake_start_code = 0;
    fake_disks = fake_memory = fake_dumps = fake_stuck = false;
}

void lab_close(struct lab *l)
{
    vplan_free(&l->plan);
    vfacts_free(&l->host);
    vtext_remove(l->dir);
}

void lab_run(struct lab *l, size_t i, struct vrecord *r)
{
    struct err e = {0};
    bool cached;

    if (runner_cell(&l->cfg, i, r, &cached, &e) < 0)
        fail_msg("%s", e.msg);
    assert_false(cached);
}
