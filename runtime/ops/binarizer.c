// SPDX-License-Identifier: Apache-2.0
// Binarizer: 1 where the input is larger than `threshold`, else 0.
#include "runtime/ops/lib/ml.h"

BNR_FLOAT_LOOP1(binarize, a > (T)p.alpha)
BNR_LOOP1(binarize_i64, int64_t, int64_t, (double)a > p.alpha)

static const struct bnr_each each = {
    .types = BNR_TYPES_ML,
    .loop = {BNR_FLOATS(binarize), [BNR_CLASS_INT] = binarize_i64},
};

static enum bnr_status infer(struct bnr_infer *cx) {
    return bnr__each_infer(cx, &each);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_params p = {.alpha = (double)bnr__attr_float(a->node, "threshold", 0)};
    return bnr__each_run(a, &each, &p);
}

BNR_DEFINE_OP(binarizer) = {
    .domain = BNR_ML_DOMAIN,
    .name = "Binarizer",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE,
    .attrs = "threshold:f",
    .infer = infer,
    .ref = ref,
};
