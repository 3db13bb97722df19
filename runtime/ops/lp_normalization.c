// SPDX-License-Identifier: Apache-2.0
// LpNormalization (ai.onnx 1, 22): each lane along `axis` divided by its 1- or 2-norm; a lane of
// zeros stays.
#include "runtime/ops/lib/lanes.h"
#include "runtime/ops/lib/lp_norm.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    const int64_t p = bnr__attr_int(cx->node, "p", 2);
    int axis;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    if (p != 1 && p != 2)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "p is %lld, expected 1 or 2",
                            (long long)p);
    if (x->shape.rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", -1), x->shape.rank, &axis));
    return bnr__infer_same(cx);
}

static void lane(const double *x, double *y, size_t n, size_t stride, double p) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += bnr__lp_power(x[i * stride], p);
    const double norm = bnr__lp_root(sum, p);
    for (size_t i = 0; i < n; i++)
        y[i * stride] = norm == 0 ? 0 : x[i * stride] / norm;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const int64_t axis = bnr__attr_int(a->node, "axis", -1);
    return bnr__lanes_map(a, bnr__lanes_of(x, (int)(axis < 0 ? axis + x->rank : axis)), lane,
                          (double)bnr__attr_int(a->node, "p", 2));
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    const int rank = cx->in[0]->type.shape.rank;
    const int64_t axis = bnr__attr_int(cx->node, "axis", -1);
    bool reduced[BNR_MAX_RANK] = {false};
    if (rank > 0)
        reduced[axis < 0 ? axis + rank : axis] = true;
    return bnr__prepare_scaled(cx, reduced,
                               bnr__attr_int(cx->node, "p", 2) == 1 ? BNR_SCALE_L1 : BNR_SCALE_L2);
}

BNR_DEFINE_OP(lp_normalization) = {
    .domain = "",
    .name = "LpNormalization",
    .since = {1, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i p:i",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
