// SPDX-License-Identifier: Apache-2.0
#include "passes/lib/gradient.h"

#include <string.h>

#include "graph/affine.h"

bnr_gradient_rule *bnr__grad_rule(const struct bnr_node *n) {
    const struct bnr_gradient_entry *const tables[] = {bnr__grad_rules_math, bnr__grad_rules_shape,
                                                       bnr__grad_rules_nn};
    const bool internal = strcmp(n->domain, BNR_INTERNAL_DOMAIN) == 0;
    if (n->domain[0] != '\0' && !internal)
        return NULL;
    for (size_t t = 0; t < BNR_COUNT(tables); t++)
        for (const struct bnr_gradient_entry *e = tables[t]; e->op_type; e++)
            if (strcmp(e->op_type, n->op_type) == 0)
                return e->rule;
    return NULL;
}

bool bnr__grad_wants(const struct bnr_gradient *cx, const struct bnr_node *n, int i) {
    if (i >= n->n_in || !n->in[i] || (size_t)n->in[i]->id >= cx->n || !cx->wanted[n->in[i]->id])
        return false;
    const enum bnr_dtype d = n->in[i]->info->type.dtype;
    return d == BNR_UNDEFINED || bnr__dtype_is_float(d);
}

void bnr__grad_give(struct bnr_gradient *cx, const struct bnr_node *n, int i, struct bnr_value *v) {
    if (!v || cx->b.status != BNR_OK || !bnr__grad_wants(cx, n, i))
        return;
    struct bnr_value **sum = &cx->adjoint[n->in[i]->id];
    *sum = *sum ? bnr__build_2(&cx->b, "Add", *sum, v) : v;
}

struct bnr_value *bnr__grad_sum_to(struct bnr_gradient *cx, struct bnr_value *v,
                                   struct bnr_value *like) {
    struct bnr_node *n = bnr__build_internal(&cx->b, "SumTo", 2, (struct bnr_value *[]){v, like}, 1);
    return n ? n->out[0] : NULL;
}

int bnr__grad_rank(struct bnr_gradient *cx, const struct bnr_value *v) {
    return bnr__build_rank(&cx->b, v);
}
