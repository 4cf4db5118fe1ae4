/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - fails chosen requests; see filter.h. */
#include <errno.h>
#include <stdlib.h>

#include "core/err.h"
#include "storage/filter/filter.h"
#include "storage/filter/pass.h"

struct error_filter {
    struct pass p;
    struct error_rule rule;
    uint64_t seen; /* matching requests; atomic */
};

static int before(struct pass *p, const struct disk_req *r, uint64_t *wait_ns)
{
    struct error_filter *f = container_of(p, struct error_filter, p);
    const struct error_rule *u = &f->rule;
    uint64_t nth;

    (void)wait_ns;
    if (u->op >= 0 && (enum disk_op)u->op != r->op)
        return 0;
    nth = __atomic_fetch_add(&f->seen, 1, __ATOMIC_RELAXED);
    return nth >= u->skip && (u->count == 0 || nth - u->skip < u->count) ? -u->code : 0;
}

static const struct pass_ops ops = {.name = "error", .before = before};

int error_create(struct disk *below, const struct error_rule *rule, struct loop *l,
                 struct disk **out, struct err *e)
{
    struct error_filter *f = calloc(1, sizeof(*f));

    if (!f)
        return err_set(e, ENOMEM, "no memory for an error filter");
    pass_init(&f->p, &ops, below, l);
    f->rule = *rule;
    *out = &f->p.d;
    return 0;
}
