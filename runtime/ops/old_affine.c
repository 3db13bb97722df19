// SPDX-License-Identifier: Apache-2.0
// Affine (experimental in ai.onnx 1): alpha * x + beta.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const double alpha = (double)bnr__attr_float(n, "alpha", 1);
    const double beta = (double)bnr__attr_float(n, "beta", 0);
    out[0] = OP2("Add", bnr__build_scaled(b, in[0], in[0], alpha), bnr__build_scalar(b, in[0], beta));
}

BNR_DEFINE_OP(old_affine) = {
    BNR_SPELLED_OLD("Affine"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f beta:f",
};
