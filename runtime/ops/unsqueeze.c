// SPDX-License-Identifier: Apache-2.0
// Unsqueeze: inserts dims of size 1 at the listed axes of the output (an attribute below opset 13).
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status insert(struct bnr_infer *cx, const struct bnr_shape *x,
                              const struct bnr_ints *axes, struct bnr_shape *y) {
    int axis[BNR_MAX_RANK];
    bool one[BNR_MAX_RANK] = {false};
    if (axes->n > BNR_MAX_RANK - x->rank)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                            "rank %d and %d axes, at most rank %d is supported", x->rank, axes->n,
                            BNR_MAX_RANK);
    y->rank = x->rank + axes->n;
    if (!axes->known) {
        for (int i = 0; i < y->rank; i++)
            y->dims[i] = bnr__dim_unknown();
        return BNR_OK;
    }
    BNR_TRY(bnr__resolve_axes(cx->node, cx->err, axes, y->rank, axis));
    for (int i = 0; i < axes->n; i++)
        one[axis[i]] = true;
    for (int i = 0, from = 0; i < y->rank; i++)
        y->dims[i] = one[i] ? bnr__dim_of(1) : x->dims[from++];
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    struct bnr_ints axes;
    BNR_TRY(bnr__infer_int_list(cx, 1, "axes", &axes));
    if (!axes.given)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the axes are missing");
    if (x->rank >= 0 && axes.n >= 0)
        BNR_TRY(insert(cx, x, &axes, &y));
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    const struct bnr_dim *elems;
    int n;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    return elems && bnr__shape_known(&y) ? bnr__infer_set_elems(cx, 0, elems, n) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__ref_view(a, infer);
}

BNR_DEFINE_OP(unsqueeze) = {
    .domain = "",
    .name = "Unsqueeze",
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
