// SPDX-License-Identifier: Apache-2.0
// SoftmaxCrossEntropyLoss (ai.onnx 12, 13): NegativeLogLikelihoodLoss of the log-softmax of the
// scores along dim 1, which is the second output.
#include <math.h>

#include "runtime/ops/lib/loss.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    BNR_TRY(bnr__loss_infer(cx));
    bnr__infer_set(cx, 1, x->dtype, &x->shape);
    return BNR_OK;
}

static void log_softmax(double *v, size_t n, size_t stride) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, v[i * stride]);
    for (size_t i = 0; i < n; i++)
        sum += exp(v[i * stride] - max);
    for (size_t i = 0; i < n; i++)
        v[i * stride] -= max + log(sum);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_tensor *log_prob;
    double *v = bnr__temp_f64(a, x->numel);
    if (!v)
        return BNR_NO_MEMORY;
    bnr__load_f64(v, x->dtype, x->data, x->numel);
    const size_t classes = (size_t)x->dims[1], inner = bnr__dims_product(x->dims, 2, x->rank);
    const size_t block = classes * inner;
    for (size_t at = 0; block > 0 && at < x->numel; at += block)
        for (size_t i = 0; i < inner; i++)
            log_softmax(v + at + i, classes, inner);
    BNR_TRY(bnr__out_like(a, 1, x, &log_prob));
    if (log_prob)
        bnr__store_f64(log_prob->dtype, log_prob->data, v, x->numel);
    return bnr__loss_reduce(a, v);
}

BNR_DEFINE_OP(softmax_cross_entropy_loss) = {
    .domain = "",
    .name = "SoftmaxCrossEntropyLoss",
    .since = {12, 13},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .attrs = "ignore_index:i reduction:s",
    .infer = infer,
    .ref = ref,
};
