// SPDX-License-Identifier: Apache-2.0
// Softmax (ai.onnx 1, 11, 13): exp(x) / sum(exp(x)) along a lane, by way of x - max(x).
#include <math.h>

#include "runtime/ops/lib/lanes.h"
#include "runtime/ops/lib/prepare.h"

static void lane(const double *x, double *y, size_t n, size_t stride, double parameter) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, x[i * stride]);
    for (size_t i = 0; i < n; i++)
        sum += y[i * stride] = exp(x[i * stride] - max);
    for (size_t i = 0; i < n; i++)
        y[i * stride] /= sum;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__softmax_map(a, lane);
}

BNR_DEFINE_OP(softmax) = {
    .domain = "",
    .name = "Softmax",
    .since = {1, 11, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = bnr__softmax_infer,
    .ref = ref,
    .prepare = bnr__prepare_softmax,
};
