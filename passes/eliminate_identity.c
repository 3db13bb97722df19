// SPDX-License-Identifier: Apache-2.0
// eliminate_identity: nodes that give their input back go; who read the output reads the input.
//
//     Identity, Dropout in inference mode, Cast and CastLike to the same dtype,
//     Reshape, Flatten, Squeeze, Unsqueeze, Expand, Tile, Pad, Slice that change no dim,
//     Transpose that moves no axis, Concat, Sum, Mean, Max, Min and Split of one
//
// Needs: dims that are known to be equal (numbers or the same symbol); the output is no output of
// the graph that would have to be an input or a constant.
#include "graph/op.h"
#include "passes/pass.h"

static bool same_shape(const struct bnr_value *x, const struct bnr_value *y) {
    const struct bnr_shape *a = &x->info->type.shape, *b = &y->info->type.shape;
    if (a->rank < 0 || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (!bnr__dim_equal(a->dims[i], b->dims[i]))
            return false;
    return true;
}

static bool unread(const struct bnr_node *n, int output) {
    const struct bnr_value *v = output < n->n_out ? n->out[output] : NULL;
    return !v || (v->n_uses == 0 && v->n_graph_outputs == 0);
}

static bool is_idle_dropout(const struct bnr_node *n) {
    if (!unread(n, 1))
        return false;
    if (n->since < 7)
        return bnr__attr_int(n, "is_test", 0) != 0;
    const struct bnr_value *training = n->n_in > 2 ? n->in[2] : NULL;
    if (n->since < 12 || !training)
        return true;
    return bnr__value_is_constant(training) && training->tensor->numel == 1 &&
           bnr__tensor_i64(training->tensor, 0) == 0;
}

static bool is_idle_cast(const struct bnr_node *n) {
    const struct bnr_type *x = &n->in[0]->info->type, *y = &n->out[0]->info->type;
    return x->kind == BNR_KIND_TENSOR && y->kind == BNR_KIND_TENSOR && x->dtype != BNR_UNDEFINED &&
           x->dtype == y->dtype;
}

static bool is_idle_transpose(const struct bnr_node *n) {
    size_t count;
    const int64_t *perm = bnr__attr_ints(n, "perm", &count);
    if (!perm) // reversed
        return n->in[0]->info->type.shape.rank == 0 || n->in[0]->info->type.shape.rank == 1;
    for (size_t i = 0; i < count; i++)
        if (perm[i] != (int64_t)i)
            return false;
    return true;
}

// Same dims, and every step is 1: then the starts are 0.
static bool is_idle_slice(const struct bnr_node *n) {
    const struct bnr_value *steps = n->n_in > 4 ? n->in[4] : NULL;
    if (!same_shape(n->in[0], n->out[0]) || (steps && !bnr__value_is_constant(steps)))
        return false;
    for (size_t i = 0; steps && i < steps->tensor->numel; i++)
        if (bnr__tensor_i64(steps->tensor, i) != 1)
            return false;
    return true;
}

// Same dims, and nothing is cut off on one side to be added on the other.
static bool is_idle_pad(const struct bnr_node *n) {
    if (!same_shape(n->in[0], n->out[0]))
        return false;
    if (n->n_in > 1) {
        const struct bnr_value *pads = n->in[1];
        if (!pads || !bnr__value_is_constant(pads))
            return false;
        for (size_t i = 0; i < pads->tensor->numel; i++)
            if (bnr__tensor_i64(pads->tensor, i) != 0)
                return false;
        return true;
    }
    size_t count;
    const int64_t *pads = bnr__attr_ints(n, n->since < 2 ? "paddings" : "pads", &count);
    for (size_t i = 0; i < count; i++)
        if (pads[i] != 0)
            return false;
    return true;
}

static bool is_identity(const struct bnr_node *n) {
    static const char *const reshapes[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze",
                                           "Expand",  "Tile",    NULL};
    static const char *const of_one[] = {"Concat", "Sum", "Mean", "Max", "Min", NULL};
    static const char *const casts[] = {"Cast", "CastLike", NULL};
    static const char *const identity[] = {"Identity", NULL}, *const dropout[] = {"Dropout", NULL},
                             *const transpose[] = {"Transpose", NULL},
                             *const slice[] = {"Slice", NULL}, *const pad[] = {"Pad", NULL},
                             *const split[] = {"Split", NULL};
    if (!n->op || n->n_in < 1 || !n->in[0] || n->n_out < 1 || !n->out[0])
        return false;
    return bnr__node_is_one_of(n, identity) ||
           (bnr__node_is_one_of(n, dropout) && is_idle_dropout(n)) ||
           (bnr__node_is_one_of(n, casts) && is_idle_cast(n)) ||
           (bnr__node_is_one_of(n, reshapes) && same_shape(n->in[0], n->out[0])) ||
           (bnr__node_is_one_of(n, transpose) && is_idle_transpose(n)) ||
           (bnr__node_is_one_of(n, slice) && is_idle_slice(n)) ||
           (bnr__node_is_one_of(n, pad) && is_idle_pad(n)) ||
           (bnr__node_is_one_of(n, of_one) && n->n_in == 1) ||
           (bnr__node_is_one_of(n, split) && n->n_out == 1 && same_shape(n->in[0], n->out[0]));
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        if (!is_identity(n) || !bnr__value_replaceable(n->out[0], n->in[0]) ||
            !bnr__pass_may_rewrite(cx))
            continue;
        if (bnr__value_replace(n->out[0], n->in[0]) != BNR_OK)
            return bnr__no_memory(cx->err);
        bnr__node_remove(n);
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_eliminate_identity = {
    .name = "eliminate_identity", .group = BNR_PASS_CLEAN, .run = run};
