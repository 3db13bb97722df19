// SPDX-License-Identifier: Apache-2.0
// ParametricSoftplus (experimental in ai.onnx 1): alpha * log(exp(beta * x) + 1).
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const double alpha = (double)bnr__attr_float(n, "alpha", 1);
    const double beta = (double)bnr__attr_float(n, "beta", 1);
    struct bnr_value *y = OP1("Softplus", bnr__build_scaled(b, in[0], in[0], beta));
    out[0] = bnr__build_scaled(b, y, in[0], alpha);
}

BNR_DEFINE_OP(old_parametric_softplus) = {
    BNR_SPELLED_OLD("ParametricSoftplus"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f beta:f",
};
