// SPDX-License-Identifier: Apache-2.0
// What the operators' infer functions share: checks with messages, and setting outputs.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "runtime/ops/lib/shape.h"

enum bnr_status bnr__op_fail(const struct bnr_node *n, struct bnr_error *err, enum bnr_status code,
                             const char *fmt, ...) {
    char text[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return bnr__fail(err, code, "node '%s' (%s): %s", n->label ? n->label : n->name, n->op_type,
                     text);
}

enum bnr_status bnr__op_status(const struct bnr_node *n, struct bnr_error *err, enum bnr_status st) {
    if (st == BNR_OK || !err || strstr(err->message, "node '"))
        return st;
    return bnr__fail_prefix(err, st, "node '%s' (%s)", n->label ? n->label : n->name, n->op_type);
}

static struct bnr_info *output(struct bnr_infer *cx, int out) {
    return out < cx->n_out ? cx->out[out] : NULL;
}

static const struct bnr_info *input(const struct bnr_infer *cx, int i) {
    return i >= 0 && i < cx->n_in ? cx->in[i] : NULL;
}

void bnr__infer_set(struct bnr_infer *cx, int out, enum bnr_dtype dtype,
                    const struct bnr_shape *shape) {
    struct bnr_info *o = output(cx, out);
    if (!o)
        return;
    o->type.kind = BNR_KIND_TENSOR;
    o->type.dtype = dtype;
    o->type.shape = *shape;
    o->type.elem = NULL;
}

void bnr__infer_set_dims(struct bnr_infer *cx, int out, enum bnr_dtype dtype, int rank,
                         const int64_t *dims) {
    struct bnr_shape shape = bnr__shape_of(rank, dims);
    bnr__infer_set(cx, out, dtype, &shape);
}

enum bnr_status bnr__infer_same(struct bnr_infer *cx) {
    const struct bnr_info *x = input(cx, 0);
    struct bnr_info *y = output(cx, 0);
    if (x && y)
        y->type = x->type;
    return BNR_OK;
}

enum bnr_status bnr__infer_broadcast(struct bnr_infer *cx, int first, int last,
                                     struct bnr_shape *shape) {
    *shape = (struct bnr_shape){.rank = 0};
    for (int i = first; i <= last; i++) {
        const struct bnr_info *x = input(cx, i);
        if (!x)
            continue;
        if (!bnr__shape_broadcast(shape, &x->type.shape)) {
            char seen[200], so_far[200];
            struct bnr_type all = {.shape = *shape, .dtype = x->type.dtype};
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "input %d of type %s does not broadcast with %s", i,
                                bnr__type_describe(&x->type, seen, sizeof seen),
                                bnr__type_describe(&all, so_far, sizeof so_far));
        }
    }
    return BNR_OK;
}

enum bnr_status bnr__infer_rank(struct bnr_infer *cx, int i, int min, int max) {
    const struct bnr_info *x = input(cx, i);
    if (!x || x->type.shape.rank < 0)
        return BNR_OK;
    const int rank = x->type.shape.rank;
    if (rank >= min && rank <= max)
        return BNR_OK;
    if (min == max)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d has rank %d, expected %d", i,
                            rank, min);
    if (max >= BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "input %d has rank %d, expected at least %d", i, rank, min);
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d has rank %d, expected %d to %d", i,
                        rank, min, max);
}

enum bnr_status bnr__infer_dtype(struct bnr_infer *cx, int i, const enum bnr_dtype *allowed) {
    const struct bnr_info *x = input(cx, i);
    uint32_t types = 0;
    for (size_t k = 0; allowed[k] != BNR_UNDEFINED; k++)
        types |= 1u << allowed[k];
    if (x && cx->types)
        cx->types[i] &= types;
    if (!x || x->type.dtype == BNR_UNDEFINED)
        return BNR_OK;
    char list[256] = "";
    size_t used = 0;
    for (size_t k = 0; allowed[k] != BNR_UNDEFINED; k++) {
        if (allowed[k] == x->type.dtype)
            return BNR_OK;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "",
                                     bnr__dtype_name(allowed[k]));
    }
    return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                        "input %d has dtype %s, expected one of: %s", i,
                        bnr__dtype_name(x->type.dtype), list);
}

enum bnr_status bnr__infer_same_dtype(struct bnr_infer *cx, int i, int j) {
    const struct bnr_info *a = input(cx, i), *b = input(cx, j);
    if (a && b && cx->types)
        cx->types[i] = cx->types[j] = cx->types[i] & cx->types[j];
    if (!a || !b || a->type.dtype == BNR_UNDEFINED || b->type.dtype == BNR_UNDEFINED ||
        a->type.dtype == b->type.dtype)
        return BNR_OK;
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                        "input %d has dtype %s and input %d has dtype %s, expected the same", i,
                        bnr__dtype_name(a->type.dtype), j, bnr__dtype_name(b->type.dtype));
}

enum bnr_status bnr__infer_axis(struct bnr_infer *cx, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "axis %lld is outside [%d, %d) for rank %d", (long long)axis, -rank,
                            rank, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return BNR_OK;
}

static bool is_integer(enum bnr_dtype d) {
    const enum bnr_class c = bnr__dtype_class(d);
    return c == BNR_CLASS_INT || c == BNR_CLASS_UINT || c == BNR_CLASS_BOOL;
}

enum bnr_status bnr__infer_ints(struct bnr_infer *cx, int i, const struct bnr_dim **elems, int *n) {
    const struct bnr_info *x = input(cx, i);
    *elems = NULL;
    *n = 0;
    if (!x)
        return BNR_OK;
    const struct bnr_tensor *t = x->tensor;
    if (!t || t->kind != BNR_KIND_TENSOR || !is_integer(t->dtype)) {
        *elems = x->elems;
        *n = x->elems ? x->n_elems : 0;
        return BNR_OK;
    }
    if (t->numel > INT32_MAX)
        return BNR_OK;
    struct bnr_dim *e = BNR_NEW_ARRAY(cx->arena, t->numel ? t->numel : 1, struct bnr_dim);
    if (!e)
        return bnr__no_memory(cx->err);
    for (size_t k = 0; k < t->numel; k++)
        e[k].n = bnr__get_i64(t->dtype, t->data, k);
    *elems = e;
    *n = (int)t->numel;
    return BNR_OK;
}

enum bnr_status bnr__infer_set_elems(struct bnr_infer *cx, int out, const struct bnr_dim *elems,
                                     int n) {
    struct bnr_info *o = output(cx, out);
    struct bnr_dim count;
    if (!o || n > 64)
        return BNR_OK;
    // A node that cannot be evaluated may have inputs whose elements do not fit to what it says.
    const struct bnr_shape *s = &o->type.shape;
    if (s->rank >= 0 && (!bnr__dim_product(s->dims, 0, s->rank, &count) || count.n != n))
        return BNR_OK;
    struct bnr_dim *copy = BNR_NEW_ARRAY(cx->arena, n ? (size_t)n : 1, struct bnr_dim);
    if (!copy)
        return bnr__no_memory(cx->err);
    if (n > 0)
        memcpy(copy, elems, (size_t)n * sizeof *copy);
    o->elems = copy;
    o->n_elems = n;
    return BNR_OK;
}
