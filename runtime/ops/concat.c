// SPDX-License-Identifier: Apache-2.0
// Concat: joins tensors along one axis. Opset 1 has axis 1 by default.
#include "runtime/base/checked.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare_channels.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status get_axis(const struct bnr_node *n, struct bnr_error *err, int rank,
                                int *axis) {
    if (n->since >= 4 && !bnr__attr(n, "axis"))
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'axis' is required");
    return bnr__resolve_axis(n, err, bnr__attr_int(n, "axis", 1), rank, axis);
}

static enum bnr_status misfit(struct bnr_infer *cx, int i, const struct bnr_shape *y) {
    char seen[160], rest[160];
    const struct bnr_type t = {.dtype = cx->in[i]->type.dtype, .shape = *y};
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d of type %s does not fit to %s", i,
                        bnr__type_describe(&cx->in[i]->type, seen, sizeof seen),
                        bnr__type_describe(&t, rest, sizeof rest));
}

// y so far, joined with input i.
static enum bnr_status join(struct bnr_infer *cx, int i, int axis, struct bnr_shape *y) {
    const struct bnr_shape *x = &cx->in[i]->type.shape;
    for (int d = 0; d < y->rank; d++) {
        struct bnr_dim *to = &y->dims[d];
        if (d == axis) {
            if (to->n < 0 || x->dims[d].n < 0)
                *to = bnr__dim_unknown();
            else if (!bnr__i64_add(to->n, x->dims[d].n, &to->n))
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim %d overflows", d);
        } else if (to->n >= 0 && x->dims[d].n >= 0 && to->n != x->dims[d].n) {
            return misfit(cx, i, y);
        } else if (to->n < 0 && (x->dims[d].n >= 0 || !to->sym)) {
            *to = x->dims[d];
        }
    }
    return BNR_OK;
}

// Shape arithmetic: lists of ints, of which some elements may be unknown.
static enum bnr_status join_elems(struct bnr_infer *cx, int64_t total) {
    if (total > 64)
        return BNR_OK;
    struct bnr_dim all[64];
    int count = 0;
    bool any = false;
    for (int i = 0; i < cx->n_in; i++) {
        const struct bnr_dim *elems;
        int n;
        BNR_TRY(bnr__infer_ints(cx, i, &elems, &n));
        const int64_t length = cx->in[i]->type.shape.dims[0].n;
        any = any || elems;
        for (int k = 0; k < length && count < total; k++)
            all[count++] = elems ? elems[k] : (struct bnr_dim){.n = BNR_ELEM_UNKNOWN};
    }
    return any ? bnr__infer_set_elems(cx, 0, all, count) : BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = bnr__shape_unknown();
    enum bnr_dtype dtype = BNR_UNDEFINED;
    int axis = 0;
    bool unknown = false;
    for (int i = 0; i < cx->n_in; i++) {
        if (!cx->in[i])
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d is omitted", i);
        const struct bnr_shape *x = &cx->in[i]->type.shape;
        if (dtype == BNR_UNDEFINED)
            dtype = cx->in[i]->type.dtype;
        BNR_TRY(bnr__infer_same_dtype(cx, 0, i));
        if (x->rank < 0) {
            unknown = true;
        } else if (y.rank < 0) {
            BNR_TRY(get_axis(cx->node, cx->err, x->rank, &axis));
            y = *x;
        } else if (x->rank != y.rank) {
            return misfit(cx, i, &y);
        } else {
            BNR_TRY(join(cx, i, axis, &y));
        }
    }
    if (unknown && y.rank >= 0)
        y.dims[axis] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, dtype, &y);
    return y.rank == 1 && y.dims[0].n >= 0 ? join_elems(cx, y.dims[0].n) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__out_infer(a, infer));
    struct bnr_tensor *y = a->out[0];
    int axis;
    BNR_TRY(get_axis(a->node, a->err, y->rank, &axis));
    const size_t size = bnr__dtype_size(y->dtype);
    int64_t ys[BNR_MAX_RANK], xs[BNR_MAX_RANK], at = 0;
    bnr__dense_strides(y->rank, y->dims, ys);
    for (int i = 0; i < a->n_in; i++) {
        const struct bnr_tensor *x = a->in[i];
        if (x->numel == 0)
            continue;
        struct bnr_copy c = {.elem_size = size};
        bnr__dense_strides(x->rank, x->dims, xs);
        for (int d = 0; d < x->rank; d++)
            bnr__copy_dim(&c, x->dims[d], ys[d], xs[d]);
        bnr__copy_run(&c, y->u8 + (size_t)(at * ys[axis]) * size, x->data, a->pool);
        at += x->dims[axis];
    }
    return BNR_OK;
}

BNR_DEFINE_OP(concat) = {
    .domain = "",
    .name = "Concat",
    .since = {1, 4, 11, 13},
    .min_in = 1,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_concat,
    .affine = &bnr__affine_concat,
};
