// SPDX-License-Identifier: Apache-2.0
// NegativeLogLikelihoodLoss (ai.onnx 12, 13, 22): -weight[label] * x[label] for every position, as
// they are, summed, or as the weighted mean. Positions labelled ignore_index count nowhere.
#include "runtime/ops/lib/loss.h"

static enum bnr_status ref(const struct bnr_args *a) {
    const double *x = bnr__all_f64(a, a->in[0]);
    return x ? bnr__loss_reduce(a, x) : BNR_NO_MEMORY;
}

BNR_DEFINE_OP(negative_log_likelihood_loss) = {
    .domain = "",
    .name = "NegativeLogLikelihoodLoss",
    .since = {12, 13, 22},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "ignore_index:i reduction:s",
    .infer = bnr__loss_infer,
    .ref = ref,
};
