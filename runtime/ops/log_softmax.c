// SPDX-License-Identifier: Apache-2.0
// LogSoftmax (ai.onnx 1, 11, 13): x - max(x) - log(sum(exp(x - max(x)))) along a lane.
#include <math.h>

#include "runtime/ops/lib/lanes.h"
#include "runtime/ops/lib/prepare.h"

static void lane(const double *x, double *y, size_t n, size_t stride, double parameter) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, x[i * stride]);
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i * stride] - max);
    for (size_t i = 0; i < n; i++)
        y[i * stride] = x[i * stride] - max - log(sum);
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__softmax_map(a, lane);
}

BNR_DEFINE_OP(log_softmax) = {
    .domain = "",
    .name = "LogSoftmax",
    .since = {1, 11, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = bnr__softmax_infer,
    .ref = ref,
    .prepare = bnr__prepare_log_softmax,
};
