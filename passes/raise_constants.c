// SPDX-License-Identifier: Apache-2.0
// raise_constants: a large constant that constant folding made and whose elements are all the same
// becomes a ConstantOfShape node again, so that a file does not grow by what nothing needed.
//
//     w = constant float32[4096, 25088] of 0.02    =>    ConstantOfShape([4096, 25088]) {value =
//     0.02} -> w
//
// Needs: opset 9; the constant is neither an initializer of the file nor an input or output of the
// graph, nor a parameter of a BatchNormalization, which other tools want to see as numbers.
#include <string.h>

#include "graph/op.h"
#include "passes/pass.h"

enum { WORTH_A_NODE = 4096 }; // bytes

// By version 9 of ConstantOfShape.
static bool is_allowed(enum bnr_dtype d) {
    return d == BNR_FLOAT || d == BNR_FLOAT16 || d == BNR_DOUBLE || d == BNR_INT32 ||
           d == BNR_INT64;
}

static bool is_candidate(const struct bnr_value *v) {
    const struct bnr_tensor *t = v->tensor;
    return bnr__value_is_constant(v) && !v->is_input && !v->is_initializer &&
           !v->from_constant_node && v->n_graph_outputs == 0 && v->n_uses > 0 &&
           t->kind == BNR_KIND_TENSOR && is_allowed(t->dtype) && t->nbytes >= WORTH_A_NODE;
}

static bool is_uniform(const struct bnr_tensor *t) {
    enum { PIECE = 64 };
    const size_t size = bnr__dtype_size(t->dtype);
    uint64_t first, elements[PIECE];
    bnr__tensor_copy(t, &first, 0, 1);
    for (size_t at = 0, n; at < t->numel; at += n) {
        n = t->numel - at < PIECE ? t->numel - at : PIECE;
        bnr__tensor_copy(t, elements, at, n);
        for (size_t i = 0; i < n; i++)
            if (memcmp((const uint8_t *)elements + i * size, &first, size) != 0)
                return false;
    }
    return true;
}

static bool is_free(const struct bnr_model *m, const char *name) {
    for (const struct bnr_graph *g = m->made_graphs; g; g = g->next_made)
        if (bnr__value_find(g, name))
            return false;
    return true;
}

// `name` again where it is free in all graphs, though it was in use before: a file that is rewritten
// again keeps it.
static enum bnr_status make_named(struct bnr_pass_cx *cx, struct bnr_graph *g, const char *name,
                                  struct bnr_tensor *t, struct bnr_value **out) {
    if (!is_free(cx->model, name))
        return bnr__value_constant(out, g, name, t, cx->err);
    enum bnr_status st = bnr__value_new(out, g, name, cx->err);
    if (st != BNR_OK) {
        bnr__tensor_unref(t);
        return st;
    }
    (*out)->tensor = t;
    return bnr__value_info_of_constant(*out);
}

static enum bnr_status make_shape(struct bnr_pass_cx *cx, const struct bnr_value *v,
                                  struct bnr_value **out) {
    const int64_t rank[1] = {v->tensor->rank};
    struct bnr_tensor *t;
    const char *name = bnr__arena_printf(cx->temp, "%s_shape", v->name);
    if (!name)
        return bnr__no_memory(cx->err);
    BNR_TRY(bnr__tensor_new(&t, cx->model->allocator, BNR_INT64, 1, rank, cx->err));
    memcpy(t->i64, v->tensor->dims, (size_t)rank[0] * sizeof(int64_t));
    return make_named(cx, v->graph, name, t, out);
}

static enum bnr_status make_element(struct bnr_pass_cx *cx, struct bnr_node *n,
                                    const struct bnr_tensor *from) {
    const int64_t one[1] = {1};
    struct bnr_tensor *t;
    BNR_TRY(bnr__tensor_new(&t, cx->model->allocator, from->dtype, 1, one, cx->err));
    bnr__tensor_copy(from, t->data, 0, 1);
    return bnr__node_set_attr_tensor(n, "value", t) == BNR_OK ? BNR_OK : bnr__no_memory(cx->err);
}

static enum bnr_status raise(struct bnr_pass_cx *cx, struct bnr_value *v, struct bnr_node *reader) {
    struct bnr_value *shape;
    struct bnr_node *n;
    BNR_TRY(make_shape(cx, v, &shape));
    BNR_TRY(
        bnr__node_new(&n, v->graph, reader, "", "ConstantOfShape", NULL, 1, &shape, 1, cx->err));
    BNR_TRY(make_element(cx, n, v->tensor));
    struct bnr_tensor *old = v->tensor;
    v->tensor = NULL;
    bnr__tensor_unref(old);
    bnr__node_set_output(n, 0, v);
    return bnr__node_infer(n, NULL, cx->err);
}

// In the order of their first readers, so that a file that is rewritten again comes out the same.
static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    if (bnr__model_opset(cx->model, "") < 9)
        return BNR_OK;
    for (struct bnr_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_in && !bnr__node_is(n, "", "BatchNormalization"); i++) {
            struct bnr_value *v = n->in[i];
            if (v && v->graph == g && is_candidate(v) && is_uniform(v->tensor) &&
                bnr__pass_may_rewrite(cx))
                BNR_TRY(raise(cx, v, n));
        }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_raise_constants = {
    .name = "raise_constants", .group = BNR_PASS_RAISE, .run = run};
