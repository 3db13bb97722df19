// SPDX-License-Identifier: Apache-2.0
#include "passes/lib/hosts.h"

#include "graph/op.h"

static bool has_prologue(const struct bnr_node *n, int index) {
    return index == 0 && n->op && (n->op->flags & BNR_OP_PROLOGUE);
}

// Kernels are for float32.
static bool is_float(const struct bnr_value *v) {
    return v->info->type.kind == BNR_KIND_TENSOR && v->info->type.dtype == BNR_FLOAT;
}

bool bnr__hosted_behind(const struct bnr_value *v) {
    const struct bnr_node *p = v->producer;
    return p && p->op && p->out[0] == v && is_float(v) && bnr__value_single_use(v) &&
           ((p->op->flags & BNR_OP_EPILOGUE) || p->op->step);
}

static bool same_dims(const struct bnr_value *a, const struct bnr_value *b) {
    const struct bnr_shape *x = &a->info->type.shape, *y = &b->info->type.shape;
    if (x->rank < 0 || x->rank != y->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (!bnr__dim_equal(x->dims[i], y->dims[i]))
            return false;
    return true;
}

bool bnr__hosted_in_front(const struct bnr_value *v) {
    if (!is_float(v) || !bnr__value_single_use(v))
        return false;
    const struct bnr_node *n = v->uses[0].node;
    return has_prologue(n, v->uses[0].index) ||
           (n->op && n->op->step && n->n_out > 0 && n->out[0] && same_dims(v, n->out[0]));
}

bool bnr__readers_have_prologues(const struct bnr_value *v) {
    if (!is_float(v) || v->n_graph_outputs > 0 || v->n_uses == 0)
        return false;
    for (size_t i = 0; i < v->n_uses; i++)
        if (v->uses[i].node->graph != v->graph || !has_prologue(v->uses[i].node, v->uses[i].index))
            return false;
    return true;
}
