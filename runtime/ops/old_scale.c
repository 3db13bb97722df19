// SPDX-License-Identifier: Apache-2.0
// Scale (experimental in ai.onnx 1): scale * x.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    out[0] = OP2("Mul", in[0], bnr__build_scalar(b, in[0], (double)bnr__attr_float(n, "scale", 1)));
}

BNR_DEFINE_OP(old_scale) = {
    BNR_SPELLED_OLD("Scale"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "scale:f",
};
