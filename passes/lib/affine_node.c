// SPDX-License-Identifier: Apache-2.0
// Nodes for affines that have to be executed: bnrun.Affine for our own runtime, Mul and Add as
// standard ONNX for files.
#include <string.h>

#include "graph/op.h"
#include "passes/lib/affine_view.h"

// A constant of v's numbers in `dtype`.
static enum bnr_status make_constant(struct bnr_pass_cx *cx, struct bnr_graph *g, const char *hint,
                                     enum bnr_dtype dtype, int rank, const int64_t *dims,
                                     const double *v, struct bnr_value **out) {
    const struct bnr_allocator *a = cx->model->allocator;
    struct bnr_tensor *wide, *t;
    BNR_TRY(bnr__tensor_new(&wide, a, BNR_DOUBLE, rank, dims, cx->err));
    memcpy(wide->f64, v, wide->nbytes);
    const enum bnr_status st = bnr__tensor_cast(&t, a, wide, dtype, cx->err);
    bnr__tensor_unref(wide);
    return st == BNR_OK ? bnr__value_constant(out, g, hint, t, cx->err) : st;
}

static const char *hint_for(struct bnr_pass_cx *cx, const struct bnr_node *n, const char *suffix) {
    const char *hint = bnr__arena_printf(cx->temp, "%s_%s", n->label, suffix);
    return hint ? hint : suffix;
}

// Along which axis a node of its own that makes y would work, and over how many channels.
static bool node_axis(const struct bnr_value *y, const struct bnr_affine *a, int *axis,
                      int64_t *channels) {
    const struct bnr_shape *s = &y->info->type.shape;
    *axis = bnr__affine_axis(a);
    if (*axis == BNR_AFFINE_UNIFORM)
        *axis = s->rank > 1 ? 1 : 0;
    if (*axis < 0 || s->rank <= *axis || (a->n > 1 && a->rank != s->rank))
        return false;
    *channels = a->n > 1 ? (int64_t)a->n : s->dims[*axis].n;
    return *channels > 0 && *channels <= BNR_AFFINE_MAX;
}

bool bnr__affine_has_node(const struct bnr_value *y, const struct bnr_affine *affine) {
    int axis;
    int64_t channels;
    return node_axis(y, affine, &axis, &channels) && bnr__affine_fits(affine, y->info->type.dtype);
}

// The new node takes over n's output and what else n was known for.
static enum bnr_status take_place(struct bnr_pass_cx *cx, struct bnr_node *n,
                                  struct bnr_node *with) {
    if (bnr__node_add_origins(with, n) != BNR_OK)
        return bnr__no_memory(cx->err);
    bnr__node_set_output(with, 0, n->out[0]);
    bnr__node_remove(n);
    return bnr__node_infer(with, NULL, cx->err);
}

// A new node in front of `before` that makes what y is of x, without output. The node that makes y gives
// its name to constants.
static enum bnr_status make_affine(struct bnr_pass_cx *cx, struct bnr_node *before,
                                   const struct bnr_value *y, struct bnr_value *x,
                                   const struct bnr_affine *affine, struct bnr_node **out) {
    const struct bnr_node *n = y->producer;
    int axis;
    int64_t channels;
    *out = NULL;
    if (!node_axis(y, affine, &axis, &channels))
        return bnr__fail(cx->err, BNR_INTERNAL, "node '%s': its affine has no axis", n->label);
    double *v = BNR_NEW_ARRAY(cx->temp, (size_t)channels, double);
    if (!v)
        return bnr__no_memory(cx->err);
    struct bnr_value *in[3] = {x, NULL, NULL};
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < channels; i++)
            v[i] = (k ? affine->t : affine->s)[affine->n == 1 ? 0 : i];
        BNR_TRY(make_constant(cx, n->graph, hint_for(cx, n, k ? "shift" : "scale"), BNR_DOUBLE, 1,
                              &channels, v, &in[k + 1]));
    }
    BNR_TRY(bnr__node_new(out, n->graph, before, BNR_INTERNAL_DOMAIN, "Affine",
                          before == n && n->name[0] ? n->name : NULL, 3, in, 1, cx->err));
    if (before == n)
        (*out)->label = n->label; // also where the file gave no name
    return bnr__node_set_attr_int(*out, "axis", axis) == BNR_OK ? BNR_OK : bnr__no_memory(cx->err);
}

enum bnr_status bnr__affine_replace_node(struct bnr_pass_cx *cx, struct bnr_node *n,
                                         struct bnr_value *x, const struct bnr_affine *affine,
                                         struct bnr_node **out) {
    BNR_TRY(make_affine(cx, n, n->out[0], x, affine, out));
    return take_place(cx, n, *out);
}

enum bnr_status bnr__affine_put_behind(struct bnr_pass_cx *cx, struct bnr_value *v,
                                       const struct bnr_affine *affine, struct bnr_node **out) {
    struct bnr_node *p = v->producer;
    struct bnr_value *y;
    BNR_TRY(make_affine(cx, p->next, v, p->in[0], affine, out));
    BNR_TRY(bnr__value_new(&y, p->graph, NULL, cx->err));
    bnr__node_set_output(*out, 0, y);
    // It reads v only after all who read v have been sent to its output.
    BNR_TRY(bnr__value_replace(v, y));
    if (bnr__node_set_input(*out, 0, v) != BNR_OK)
        return bnr__no_memory(cx->err);
    return bnr__node_infer(*out, NULL, cx->err);
}

// ---- standard ONNX ------------------------------------------------------------------------------

// A Mul or Add in front of `before`: its arithmetic, name, data input, and the numbers v that vary
// over that input like affine.
struct arithmetic {
    const char *op, *name, *hint;
    struct bnr_value *x; // NULL: set later
    const struct bnr_affine *affine;
    const double *v;
    enum bnr_dtype dtype;
};

static enum bnr_status make_arithmetic(struct bnr_pass_cx *cx, struct bnr_node *before,
                                       const struct arithmetic *what, struct bnr_node **out) {
    const struct bnr_affine *a = what->affine;
    int first = 0, last = a->rank;
    while (first < a->rank && a->dims[first] == 1)
        first++;
    // Below opset 7 broadcasting must be asked for, and knows no dims of 1: the axis is named
    // instead.
    const bool old = bnr__model_opset(cx->model, "") < 7;
    while (old && last > first && a->dims[last - 1] == 1)
        last--;
    struct bnr_value *operand;
    BNR_TRY(make_constant(cx, before->graph, what->hint, what->dtype, last - first, a->dims + first,
                          what->v, &operand));
    struct bnr_value *in[2] = {what->x ? what->x : operand, operand};
    BNR_TRY(bnr__node_new(out, before->graph, before, "", what->op, what->name, 2, in, 1, cx->err));
    if (old && (bnr__node_set_attr_int(*out, "broadcast", 1) != BNR_OK ||
                (last > first && bnr__node_set_attr_int(*out, "axis", first) != BNR_OK)))
        return bnr__no_memory(cx->err);
    return BNR_OK;
}

enum bnr_status bnr__affine_raise_node(struct bnr_pass_cx *cx, struct bnr_node *n,
                                       struct bnr_value *x, const struct bnr_affine *affine) {
    struct arithmetic mul = {.op = "Mul",
                             .name = n->name[0] ? n->name : NULL,
                             .hint = hint_for(cx, n, "scale"),
                             .x = x,
                             .affine = affine,
                             .v = affine->s,
                             .dtype = n->out[0]->info->type.dtype};
    struct arithmetic add = mul;
    add.op = "Add";
    add.v = affine->t;
    add.hint = hint_for(cx, n, "shift");
    const bool shift = bnr__affine_has_shift(affine);
    struct bnr_node *made;
    if (bnr__affine_has_scale(affine) || !shift) {
        BNR_TRY(make_arithmetic(cx, n, &mul, &made));
        if (!shift)
            return take_place(cx, n, made);
        BNR_TRY(bnr__value_new(&add.x, n->graph, NULL, cx->err));
        bnr__node_set_output(made, 0, add.x);
        BNR_TRY(bnr__node_infer(made, NULL, cx->err));
        add.name = bnr__name_fresh(n->graph, add.hint);
        if (!add.name)
            return bnr__no_memory(cx->err);
    }
    BNR_TRY(make_arithmetic(cx, n, &add, &made));
    return take_place(cx, n, made);
}

enum bnr_status bnr__affine_raise_batch_norm(struct bnr_pass_cx *cx, struct bnr_node *n,
                                             struct bnr_value *x, const struct bnr_affine *affine) {
    static const char *const hints[] = {"scale", "shift", "mean", "var"};
    const enum bnr_dtype dtype = n->out[0]->info->type.dtype;
    const int64_t dims[1] = {(int64_t)affine->n};
    double *zeros = BNR_NEW_ARRAY(cx->temp, affine->n, double);
    double *ones = BNR_NEW_ARRAY(cx->temp, affine->n, double);
    if (!zeros || !ones)
        return bnr__no_memory(cx->err);
    for (size_t i = 0; i < affine->n; i++)
        ones[i] = 1;
    const double *const values[] = {affine->s, affine->t, zeros, ones};
    struct bnr_value *in[5] = {x};
    for (int i = 0; i < 4; i++)
        BNR_TRY(make_constant(cx, n->graph, hint_for(cx, n, hints[i]), dtype, 1, dims, values[i],
                              &in[i + 1]));
    struct bnr_node *with;
    BNR_TRY(bnr__node_new(&with, n->graph, n, "", "BatchNormalization", n->name[0] ? n->name : NULL,
                          5, in, 1, cx->err));
    if (bnr__node_set_attr_float(with, "epsilon", 0) != BNR_OK)
        return bnr__no_memory(cx->err);
    return take_place(cx, n, with);
}

enum bnr_status bnr__affine_add_behind(struct bnr_pass_cx *cx, struct bnr_value *v,
                                       const struct bnr_affine *affine) {
    struct bnr_node *producer = v->producer, *made;
    const int index = v->producer_index;
    struct arithmetic add = {.op = "Add",
                             .hint = hint_for(cx, producer, "shift"),
                             .affine = affine,
                             .v = affine->t,
                             .dtype = v->info->type.dtype};
    add.name = bnr__name_fresh(producer->graph, add.hint);
    if (!add.name)
        return bnr__no_memory(cx->err);
    BNR_TRY(bnr__value_new(&add.x, producer->graph, NULL, cx->err));
    BNR_TRY(make_arithmetic(cx, producer, &add, &made));
    bnr__node_move(made, producer->next);
    bnr__node_set_output(producer, index, add.x);
    bnr__node_set_output(made, 0, v);
    BNR_TRY(bnr__node_infer(producer, NULL, cx->err));
    return bnr__node_infer(made, NULL, cx->err);
}
