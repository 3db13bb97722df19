// SPDX-License-Identifier: Apache-2.0
// Flatten: [d0 .. dn] to [d0 * .. * d(axis-1), d(axis) * .. * dn].
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_info *x = cx->in[0];
    const struct bnr_shape *xs = &x->type.shape;
    struct bnr_shape y = {.rank = 2, .dims = {bnr__dim_unknown(), bnr__dim_unknown()}};
    if (xs->rank >= 0) {
        const int64_t axis = bnr__attr_int(cx->node, "axis", 1);
        const int64_t least = cx->node->since >= 11 ? -xs->rank : 0;
        if (axis < least || axis > xs->rank)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "axis %lld is outside [%lld, %d]",
                                (long long)axis, (long long)least, xs->rank);
        const int cut = (int)(axis < 0 ? axis + xs->rank : axis);
        if (!bnr__dim_product(xs->dims, 0, cut, &y.dims[0]) ||
            !bnr__dim_product(xs->dims, cut, xs->rank, &y.dims[1]))
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the number of elements overflows");
    }
    bnr__infer_set(cx, 0, x->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__ref_view(a, infer);
}

BNR_DEFINE_OP(flatten) = {
    .domain = "",
    .name = "Flatten",
    .since = {1, 9, 11, 13, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_VIEW,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_reshape,
};
