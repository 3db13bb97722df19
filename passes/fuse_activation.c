// SPDX-License-Identifier: Apache-2.0
// fuse_activation: what may run inside the step of a convolution, matrix product or pooling, or of
// an element-wise operator that is in none itself, is marked with node->fused_into. Nothing else
// changes; each kernel takes as many of the members as it can.
//
//     Conv -> Affine -> Add(., r) -> Relu      one step with epilogue affine, residual, activation
//     Concat -> Affine -> Relu -> Conv         prologue: done while the convolution reads its input
//     Concat -> Affine -> Relu -> Concat       one pass over the tensor for both
//
//     Concat -> Reshape -> Transpose -> Reshape     channel shuffle: one step that moves channels
//
// Members are a chain in which every value has one reader: element-wise operators that leave the
// shape as it is. Where both sides of an addition end in such an operator the later one takes it:
// the other side is computed by then. In front of a convolution stand those whose other inputs are
// constants, if nothing has them as its epilogue.
#include <string.h>

#include "graph/op.h"
#include "passes/pass.h"

enum { MAX_MEMBERS = 8 };

static bool is_addition(const struct bnr_node *n) {
    return n->domain[0] == '\0' && n->n_in == 2 && n->in[0] && n->in[1] &&
           (strcmp(n->op_type, "Add") == 0 || strcmp(n->op_type, "Sum") == 0);
}

// Dims that are not known here are for the kernel to compare: it sees numbers.
static bool may_be_same_shape(const struct bnr_value *a, const struct bnr_value *b) {
    const struct bnr_shape *x = &a->info->type.shape, *y = &b->info->type.shape;
    if (x->rank != y->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i].n >= 0 && y->dims[i].n >= 0 && x->dims[i].n != y->dims[i].n)
            return false;
    return true;
}

static bool other_inputs_are_constant(const struct bnr_node *n, int index) {
    for (int i = 0; i < n->n_in; i++)
        if (i != index && n->in[i] && !bnr__value_is_constant(n->in[i]))
            return false;
    return true;
}

static bool can_join(const struct bnr_node *n, int index) {
    const struct bnr_value *y = n->n_out > 0 ? n->out[0] : NULL;
    if (!n->op || n->fused_into || !y || !bnr__dtype_is_float(y->info->type.dtype) ||
        n->in[index]->info->type.dtype != y->info->type.dtype)
        return false;
    if (is_addition(n) || n->op->step)
        return may_be_same_shape(n->in[index], y);
    return (n->op->flags & BNR_OP_ACTIVATION) && index == 0 && other_inputs_are_constant(n, index);
}

static bool can_precede(const struct bnr_node *n) {
    return n->n_out == 1 && n->n_in > 0 && n->in[0] && n->op && n->op->step &&
           !bnr__value_is_constant(n->in[0]) && can_join(n, 0) && other_inputs_are_constant(n, 0);
}

// What stands in front of head: none where an operator in front of it all, which needs a pass
// anyway, takes it along.
static void mark_front(struct bnr_node *head) {
    struct bnr_node *front[MAX_MEMBERS], *n = head;
    int count = 0;
    while (count < MAX_MEMBERS && n->n_in > 0 && n->in[0] && bnr__value_single_use(n->in[0])) {
        struct bnr_node *p = n->in[0]->producer;
        if (!p || p->graph != head->graph)
            break;
        if (!can_precede(p)) {
            if (count > 0 && p->op && p->op->step && p->out[0] == n->in[0] && can_join(n, 0))
                return;
            break;
        }
        front[count++] = n = p;
    }
    for (int i = 0; i < count; i++)
        front[i]->fused_into = head;
}

// Chains are found anew each time: what was marked before may have been rewritten since.
static bool mark_chain(struct bnr_pass_cx *cx, struct bnr_node *head) {
    struct bnr_node *n = head;
    for (int i = 0; i < MAX_MEMBERS; i++) {
        const struct bnr_value *v = n->out[0];
        if (!v || !bnr__value_single_use(v) || !can_join(v->uses[0].node, v->uses[0].index))
            break;
        n = v->uses[0].node;
        n->fused_into = head;
    }
    return n != head;
}

// The operator of that type that is the only one to read n's elements; others may ask for the
// shape.
static struct bnr_node *only_reader(const struct bnr_node *n, const char *op_type) {
    const struct bnr_value *v = n->n_out > 0 ? n->out[0] : NULL;
    struct bnr_node *reader = NULL;
    if (!v || v->n_graph_outputs > 0)
        return NULL;
    for (size_t i = 0; i < v->n_uses; i++) {
        const struct bnr_use *use = &v->uses[i];
        if (use->node->graph != n->graph)
            return NULL;
        if (strcmp(use->node->op_type, "Shape") == 0)
            continue;
        if (reader || use->index != 0 || use->node->fused_into ||
            strcmp(use->node->op_type, op_type) != 0)
            return NULL;
        reader = use->node;
    }
    return reader;
}

// Channel shuffle, as exporters spell it out: Reshape -> Transpose -> Reshape, perhaps behind a
// Concat.
static void mark_shuffle(struct bnr_node *n) {
    struct bnr_node *first = strcmp(n->op_type, "Reshape") == 0 ? n : only_reader(n, "Reshape");
    struct bnr_node *turn = first ? only_reader(first, "Transpose") : NULL;
    struct bnr_node *last = turn ? only_reader(turn, "Reshape") : NULL;
    if (!last)
        return;
    first->fused_into = first == n ? NULL : n;
    turn->fused_into = last->fused_into = n;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node **before = BNR_NEW_ARRAY(cx->temp, g->n_nodes + 1, struct bnr_node *);
    size_t i = 0;
    if (!before)
        return bnr__no_memory(cx->err);
    for (struct bnr_node *n = g->first; n; n = n->next) {
        before[i++] = n->fused_into;
        n->fused_into = NULL;
    }
    for (struct bnr_node *n = g->last; n; n = n->prev)
        if (n->op && (n->op->flags & BNR_OP_EPILOGUE) && n->n_out > 0)
            mark_chain(cx, n);
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (n->op && (n->op->flags & BNR_OP_PROLOGUE) && !n->fused_into)
            mark_front(n);
    // What is in no such step can lead one of its own, the first of a chain all of it.
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (n->op && n->op->step && !n->fused_into)
            mark_chain(cx, n);
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (!n->fused_into &&
            (strcmp(n->op_type, "Concat") == 0 || strcmp(n->op_type, "Reshape") == 0))
            mark_shuffle(n);
    i = 0;
    for (struct bnr_node *n = g->first; n; n = n->next, i++)
        if (n->fused_into && n->fused_into != before[i] && !bnr__pass_may_rewrite(cx))
            n->fused_into = NULL;
    return BNR_OK;
}

const struct bnr_pass bnr__pass_fuse_activation = {
    .name = "fuse_activation", .group = BNR_PASS_FUSE, .keeps_types = true, .run = run};
