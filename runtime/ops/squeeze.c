// SPDX-License-Identifier: Apache-2.0
// Squeeze: drops dims of size 1, all of them or those listed (an attribute below opset 13).
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status drop_listed(struct bnr_infer *cx, const struct bnr_shape *x,
                                   const struct bnr_ints *axes, struct bnr_shape *y) {
    int axis[BNR_MAX_RANK];
    bool drop[BNR_MAX_RANK] = {false};
    BNR_TRY(bnr__resolve_axes(cx->node, cx->err, axes, x->rank, axis));
    for (int i = 0; i < axes->n; i++) {
        if (x->dims[axis[i]].n >= 0 && x->dims[axis[i]].n != 1)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim %d is %lld, expected 1", axis[i],
                                (long long)x->dims[axis[i]].n);
        drop[axis[i]] = true;
    }
    y->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!drop[i])
            y->dims[y->rank++] = x->dims[i];
    return BNR_OK;
}

static void drop_ones(const struct bnr_shape *x, struct bnr_shape *y) {
    y->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i].n < 0) { // may be 1
            *y = bnr__shape_unknown();
            return;
        }
        if (x->dims[i].n != 1)
            y->dims[y->rank++] = x->dims[i];
    }
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    struct bnr_ints axes;
    BNR_TRY(bnr__infer_int_list(cx, 1, "axes", &axes));
    if (x->rank >= 0 && axes.given && axes.known) {
        BNR_TRY(drop_listed(cx, x, &axes, &y));
    } else if (x->rank >= 0 && !axes.given) {
        drop_ones(x, &y);
    } else if (x->rank >= 0 && axes.n >= 0 && axes.n <= x->rank) {
        y.rank = x->rank - axes.n;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    const struct bnr_dim *elems;
    int n;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    return elems && bnr__shape_known(&y) ? bnr__infer_set_elems(cx, 0, elems, n) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__ref_view(a, infer);
}

BNR_DEFINE_OP(squeeze) = {
    .domain = "",
    .name = "Squeeze",
    .since = {1, 11, 13, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_VIEW,
    .attrs = "axes:I",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_reshape,
};
