// SPDX-License-Identifier: Apache-2.0
// ThresholdedRelu (ai.onnx 10, 22; experimental in 1): y = x > alpha ? x : 0.
#include "runtime/ops/lib/typed.h"

BNR_FLOAT_LOOP1(thresholded_relu, a > (T)p.alpha ? a : 0)

static const struct bnr_each each = {
    .types = BNR_TYPES_FLOAT,
    .loop = {BNR_FLOATS(thresholded_relu)},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {
        .alpha = (double)bnr__attr_float(a->node, "alpha", 1.0f),
    };
    return bnr__each_run(a, &each, &p);
}

BNR_DEFINE_OP(thresholded_relu) = {
    .name = "ThresholdedRelu",
    .since = {1, 10, 22},
    .attrs = "alpha:f",
    BNR_EACH_UNARY,
};
