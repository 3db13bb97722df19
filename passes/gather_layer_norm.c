// SPDX-License-Identifier: Apache-2.0
// gather_layer_norm: LayerNormalization (ai.onnx 17) that files of older opsets spell out.
//
//     d = x - ReduceMean(x)
//     d / Sqrt(ReduceMean(d * d) + epsilon)    =>    LayerNormalization(x, 1)
//
// over the last axis, d * d also as Pow(d, 2). The scale and shift that mostly follow are affines,
// which fold into the new node. Needs: float32, a last dim that is known, and what lies between is
// read by nobody else. For running, not for files.
#include <string.h>

#include "passes/lib/gather.h"

// v is the mean of x over its last axis, with that axis kept.
static bool is_mean_of(const struct bnr_value *v, const struct bnr_value *x) {
    const struct bnr_node *n = bnr__gather_inner(v, "ReduceMean", 1);
    const int rank = x->info->type.shape.rank;
    size_t count = 0;
    if (!n || n->in[0] != x || bnr__attr_int(n, "keepdims", 1) == 0)
        return false;
    const int64_t *axes = bnr__attr_ints(n, "axes", &count);
    if (n->since >= 18) {
        const struct bnr_value *in = n->n_in > 1 ? n->in[1] : NULL;
        if (!in || !bnr__value_is_constant(in) || in->tensor->dtype != BNR_INT64)
            return false;
        axes = in->tensor->i64;
        count = in->tensor->numel;
    }
    return count == 1 && (axes[0] == -1 || axes[0] == rank - 1);
}

// v is d * d.
static bool is_square_of(const struct bnr_value *v, const struct bnr_value *d) {
    double two;
    const struct bnr_node *mul = bnr__gather_inner(v, "Mul", 2),
                          *pow = bnr__gather_inner(v, "Pow", 2);
    return (mul && mul->in[0] == d && mul->in[1] == d) ||
           (pow && pow->in[0] == d && bnr__gather_number(pow->in[1], &two) && two == 2);
}

// All readers of d are n and what makes its square.
static bool read_within(const struct bnr_value *d, const struct bnr_node *n,
                        const struct bnr_node *square) {
    for (size_t i = 0; i < d->n_uses; i++)
        if (d->uses[i].node != n && d->uses[i].node != square)
            return false;
    return d->n_graph_outputs == 0;
}

static bool match(const struct bnr_node *n, struct bnr_value **x, double *epsilon) {
    if (!bnr__gather_is_op(n, "Div", 2) || n->out[0]->info->type.dtype != BNR_FLOAT || !n->in[0])
        return false;
    const struct bnr_value *d = n->in[0];
    const struct bnr_node *root = bnr__gather_inner(n->in[1], "Sqrt", 1);
    const struct bnr_node *add = root ? bnr__gather_inner(root->in[0], "Add", 2) : NULL;
    const struct bnr_value *variance = bnr__gather_with_number(add, epsilon);
    const struct bnr_node *mean = bnr__gather_inner(variance, "ReduceMean", 1);
    if (!mean || !mean->in[0] || !is_square_of(mean->in[0], d) ||
        !is_mean_of(variance, mean->in[0]))
        return false;
    if (d->producer_index != 0 || !bnr__gather_is_op(d->producer, "Sub", 2) ||
        !read_within(d, n, mean->in[0]->producer))
        return false;
    *x = d->producer->in[0];
    return *x && is_mean_of(d->producer->in[1], *x);
}

// A vector of ones as long as x's last axis.
static enum bnr_status ones(struct bnr_pass_cx *cx, const struct bnr_node *n, int64_t count,
                            struct bnr_value **out) {
    const char *hint = bnr__arena_printf(cx->temp, "%s_scale", n->label);
    struct bnr_tensor *t;
    if (!hint)
        return bnr__no_memory(cx->err);
    BNR_TRY(bnr__tensor_new(&t, cx->model->allocator, BNR_FLOAT, 1, &count, cx->err));
    for (int64_t i = 0; i < count; i++)
        t->f32[i] = 1;
    return bnr__value_constant(out, n->graph, hint, t, cx->err);
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node *prev;
    for (struct bnr_node *n = g->last; n; n = prev) {
        struct bnr_value *in[2];
        double epsilon;
        prev = n->prev;
        if (!match(n, &in[0], &epsilon))
            continue;
        const struct bnr_shape *s = &in[0]->info->type.shape;
        if (s->rank < 1 || s->dims[s->rank - 1].n < 1 || !bnr__pass_may_rewrite(cx))
            continue;
        struct bnr_node *with;
        BNR_TRY(ones(cx, n, s->dims[s->rank - 1].n, &in[1]));
        BNR_TRY(bnr__gather_node(cx, n, "LayerNormalization", 17, 2, in, &with));
        if (bnr__node_set_attr_float(with, "epsilon", (float)epsilon) != BNR_OK)
            return bnr__no_memory(cx->err);
        BNR_TRY(bnr__gather_replace(cx, n, with));
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_gather_layer_norm = {
    .name = "gather_layer_norm", .group = BNR_PASS_GATHER, .run = run};
