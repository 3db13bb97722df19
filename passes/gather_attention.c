// SPDX-License-Identifier: Apache-2.0
// gather_attention: attention that files spell out.
//
//     MatMul(Softmax(MatMul(q, k) + mask), v)    =>    bnrun.DotAttention(q, k, v, mask)
//
// The mask may be missing. The scale of it: q, k or the product (before the mask) times or divided
// by numbers. Needs: float32, softmax over the last axis, ranks that are known, and what lies
// between is read by nobody else. For running, not for files.
#include <math.h>

#include "graph/affine.h"
#include "passes/lib/gather.h"

enum { Q, K, V, MASK };

struct attention {
    struct bnr_value *in[4];
    double scale;
};

static int rank_of(const struct bnr_value *v) {
    return v && v->info->type.dtype == BNR_FLOAT ? v->info->type.shape.rank : -1;
}

// v without the factors that it is multiplied with.
static struct bnr_value *without_scale(struct bnr_value *v, double *scale) {
    struct bnr_value *x = v;
    while (x) {
        const struct bnr_node *mul = bnr__gather_inner(x, "Mul", 2),
                              *div = bnr__gather_inner(x, "Div", 2);
        double number;
        v = x;
        x = bnr__gather_with_number(mul ? mul : div, &number);
        // A number of higher rank makes more dims.
        if (rank_of(x) != rank_of(v))
            break;
        if (x)
            *scale = mul ? *scale * number : *scale / number;
    }
    return v;
}

// Scores that are a product, perhaps scaled.
static bool match_scores(struct bnr_value *v, struct attention *a) {
    a->scale = 1;
    const struct bnr_node *product = bnr__gather_inner(without_scale(v, &a->scale), "MatMul", 2);
    if (!product)
        return false;
    a->in[Q] = without_scale(product->in[0], &a->scale);
    a->in[K] = without_scale(product->in[1], &a->scale);
    return rank_of(a->in[Q]) >= 2 && rank_of(a->in[K]) >= 2 && isfinite((float)a->scale);
}

static bool match(const struct bnr_node *n, struct attention *a) {
    *a = (struct attention){.scale = 1};
    if (!bnr__gather_is_op(n, "MatMul", 2) || rank_of(n->in[1]) < 2)
        return false;
    const struct bnr_node *softmax = bnr__gather_inner(n->in[0], "Softmax", 1);
    const int rank = softmax ? rank_of(softmax->in[0]) : -1;
    if (rank < 2)
        return false;
    const int64_t axis = bnr__attr_int(softmax, "axis", softmax->since < 13 ? 1 : -1);
    if (axis != -1 && axis != rank - 1)
        return false;
    a->in[V] = n->in[1];
    const struct bnr_node *add = bnr__gather_inner(softmax->in[0], "Add", 2);
    for (int i = 0; add && add->since >= 7 && i < 2; i++) {
        a->in[MASK] = add->in[1 - i];
        if (rank_of(a->in[MASK]) >= 0 && match_scores(add->in[i], a))
            return true;
    }
    a->in[MASK] = NULL;
    return match_scores(softmax->in[0], a);
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node *prev;
    for (struct bnr_node *n = g->last; n; n = prev) {
        struct attention a;
        struct bnr_node *with;
        prev = n->prev;
        if (!match(n, &a) || !bnr__pass_may_rewrite(cx))
            continue;
        BNR_TRY(bnr__node_new(&with, g, n, BNR_INTERNAL_DOMAIN, "DotAttention",
                              n->name[0] ? n->name : NULL, a.in[MASK] ? 4 : 3, a.in, 1, cx->err));
        if (bnr__node_set_attr_float(with, "scale", (float)a.scale) != BNR_OK)
            return bnr__no_memory(cx->err);
        BNR_TRY(bnr__gather_replace(cx, n, with));
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_gather_attention = {
    .name = "gather_attention", .group = BNR_PASS_FUSE, .run = run};
