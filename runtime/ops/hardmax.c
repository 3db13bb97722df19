// SPDX-License-Identifier: Apache-2.0
// Hardmax (ai.onnx 1, 11, 13): 1 for the first largest element of a lane, 0 for the others.
#include "runtime/ops/lib/lanes.h"

static void lane(const double *x, double *y, size_t n, size_t stride, double parameter) {
    size_t best = 0;
    for (size_t i = 0; i < n; i++) {
        if (x[i * stride] > x[best * stride])
            best = i;
        y[i * stride] = 0;
    }
    y[best * stride] = 1;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__softmax_map(a, lane);
}

BNR_DEFINE_OP(hardmax) = {
    .domain = "",
    .name = "Hardmax",
    .since = {1, 11, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = bnr__softmax_infer,
    .ref = ref,
};
