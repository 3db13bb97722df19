// SPDX-License-Identifier: Apache-2.0
// fold_constants: a node whose outputs are known becomes constants: all inputs are constant, or
// inference found the values (shape arithmetic).
//
//     ConstantOfShape([64,3,7,7]) -> w          w = constant
//     Shape(x) -> Gather -> Unsqueeze -> s      s = constant, where x's dims are known
//
// Not folded: random operators, those with bodies, dequantized weights when the result is for a
// file (they are small on purpose), and what would let the model grow by more than GROWTH_MAX in
// all.
#include "graph/op.h"
#include "graph/turned.h"
#include "passes/lib/bn_report.h"
#include "runtime/base/checked.h"

static const size_t GROWTH_MAX = (size_t)1 << 30;
enum {
    MAX_CHAIN = 8, // operators between quantized weights and who reads them
    WORTH_TURNING = 1 << 16,
};

// Whether a node is, or rearranges the result of, a DequantizeLinear that a file keeps.
static bool stays_quantized(const struct bnr_pass_cx *cx, const struct bnr_node *n) {
    if (cx->groups & BNR_PASS_FUSE)
        return false;
    for (int i = 0; n && i < MAX_CHAIN; i++) {
        const struct bnr_value *y = n->n_out > 0 ? n->out[0] : NULL;
        if (!y || !bnr__dtype_is_float(y->info->type.dtype))
            return false;
        if (bnr__node_is(n, "", "DequantizeLinear"))
            return true;
        n = n->n_in > 0 && n->in[0] ? n->in[0]->producer : NULL;
    }
    return false;
}

static bool is_candidate(const struct bnr_pass_cx *cx, const struct bnr_node *n) {
    if (!n->op || (n->op->flags & BNR_OP_RANDOM) || bnr__node_has_subgraphs(n))
        return false;
    if (stays_quantized(cx, n))
        return false;
    // For a file raise_constants makes them at the end.
    return !(cx->settled && (cx->groups & BNR_PASS_RAISE) &&
             bnr__node_is(n, "", "ConstantOfShape"));
}

// What inference found for every wanted output; NULL entries for the others. False when not for
// all.
static bool known_outputs(const struct bnr_node *n, struct bnr_tensor **outs) {
    for (int i = 0; i < n->n_out; i++) {
        outs[i] = n->out[i] ? n->out[i]->info->tensor : NULL;
        if (n->out[i] && !outs[i])
            return false;
    }
    for (int i = 0; i < n->n_out; i++)
        bnr__tensor_ref(outs[i]);
    return true;
}

static bool constant_inputs(const struct bnr_node *n, struct bnr_tensor **ins, size_t *bytes) {
    *bytes = 0;
    for (int i = 0; i < n->n_in; i++) {
        struct bnr_value *v = n->in[i];
        ins[i] = NULL;
        if (!v)
            continue;
        ins[i] = bnr__value_is_constant(v) ? v->tensor : v->info->tensor;
        if (!ins[i])
            return false;
        // What goes when nobody else reads it makes room.
        if (v->n_uses == 1 && !bnr__size_add(*bytes, ins[i]->nbytes, bytes))
            return false;
    }
    return true;
}

// Whether products alone read v, as their second operand.
static bool is_weights(const struct bnr_value *v) {
    for (size_t i = 0; i < v->n_uses; i++)
        if (v->uses[i].index != 1 || !(bnr__node_is(v->uses[i].node, "", "MatMul") ||
                                       bnr__node_is(v->uses[i].node, "", "Gemm")))
            return false;
    return v->n_uses > 0 && v->n_graph_outputs == 0;
}

// For our own kernels the transpose of large weights is not made: they are packed from the
// original. False: it has to be. out[0]: a new reference, or NULL when out of memory.
static bool turn(const struct bnr_pass_cx *cx, const struct bnr_node *n, struct bnr_tensor **outs) {
    size_t count;
    if (!(cx->groups & BNR_PASS_FUSE) || !bnr__node_is(n, "", "Transpose"))
        return false;
    const struct bnr_tensor *t = bnr__value_constant_tensor(n->in[0]);
    const int64_t *perm = bnr__attr_ints(n, "perm", &count);
    if (!t || t->rank != 2 || t->dtype != BNR_FLOAT || t->nbytes < WORTH_TURNING ||
        (perm && (count != 2 || perm[0] != 1 || perm[1] != 0)) || !is_weights(n->out[0]))
        return false;
    bnr__tensor_turned(&outs[0], bnr__tensor_unconst(t), NULL);
    return true;
}

// Bytes of all outputs; SIZE_MAX when that is not known beforehand.
static size_t output_bytes(const struct bnr_node *n) {
    size_t total = 0;
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        const struct bnr_type *t = &n->out[i]->info->type;
        int64_t dims[BNR_MAX_RANK];
        size_t numel;
        if (t->kind != BNR_KIND_TENSOR || !bnr__shape_known(&t->shape))
            return SIZE_MAX;
        bnr__shape_numbers(&t->shape, dims);
        if (bnr__shape_numel(dims, t->shape.rank, "", &numel, NULL) != BNR_OK ||
            !bnr__size_mul(numel, bnr__dtype_size(t->dtype), &numel) ||
            !bnr__size_add(total, numel, &total))
            return SIZE_MAX;
    }
    return total;
}

// New references to the outputs, or BNR_UNSUPPORTED where the node stays.
static enum bnr_status evaluate(struct bnr_pass_cx *cx, const struct bnr_node *n, size_t *growth,
                                struct bnr_tensor **outs) {
    struct bnr_tensor **ins = BNR_NEW_ARRAY(cx->temp, (size_t)n->n_in + 1, struct bnr_tensor *);
    size_t bytes;
    if (!ins)
        return bnr__no_memory(cx->err);
    if (!constant_inputs(n, ins, &bytes))
        return BNR_UNSUPPORTED;
    size_t need = output_bytes(n);
    if (need == SIZE_MAX) // dims that depend on the data: a few times the inputs at most
        need = bytes < ((size_t)1 << 20) ? bytes : GROWTH_MAX + 1;
    if (need > bytes && need - bytes > GROWTH_MAX - *growth) {
        bnr__pass_skip(cx, "fold_constants", n, "its %zu bytes would make the model too big", need);
        return BNR_UNSUPPORTED;
    }
    struct bnr_error err;
    const enum bnr_status st = bnr__node_eval(n, ins, outs, cx->model->allocator, &err);
    if (st == BNR_NO_MEMORY)
        return bnr__no_memory(cx->err);
    if (st != BNR_OK) { // it may stand in a branch that is never taken
        bnr__pass_skip(cx, "fold_constants", n, "%s", err.message);
        return BNR_UNSUPPORTED;
    }
    *growth += need > bytes ? need - bytes : 0;
    return BNR_OK;
}

// The node's outputs become constants of the same names, and the node goes. Takes over the
// references.
static enum bnr_status lift(struct bnr_pass_cx *cx, struct bnr_node *n, struct bnr_tensor **outs) {
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *v = n->out[i];
        if (!v)
            continue;
        bnr__node_set_output(n, i, NULL);
        v->tensor = bnr__tensor_ref(outs[i]);
        if (bnr__value_info_of_constant(v) != BNR_OK)
            return bnr__no_memory(cx->err);
        bnr__bn_gone(n, v->name, "its input is constant, and so is its output");
    }
    bnr__node_remove(n);
    return BNR_OK;
}

static enum bnr_status fold_node(struct bnr_pass_cx *cx, struct bnr_node *n, size_t *growth) {
    struct bnr_tensor **outs = BNR_NEW_ARRAY(cx->temp, (size_t)n->n_out + 1, struct bnr_tensor *);
    if (!outs)
        return bnr__no_memory(cx->err);
    enum bnr_status st = BNR_OK;
    if (turn(cx, n, outs))
        st = outs[0] ? BNR_OK : bnr__no_memory(cx->err);
    else if (!known_outputs(n, outs))
        st = evaluate(cx, n, growth, outs);
    if (st != BNR_OK)
        return st == BNR_UNSUPPORTED ? BNR_OK : st;
    if (bnr__pass_may_rewrite(cx))
        st = lift(cx, n, outs);
    for (int i = 0; i < n->n_out; i++)
        bnr__tensor_unref(outs[i]);
    return st;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    size_t growth = 0;
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        if (is_candidate(cx, n))
            BNR_TRY(fold_node(cx, n, &growth));
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_fold_constants = {
    .name = "fold_constants", .group = BNR_PASS_CLEAN, .run = run};
