// SPDX-License-Identifier: Apache-2.0
// QLinearLeakyRelu (com.microsoft): LeakyRelu of a quantized tensor.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *y = OP1("LeakyRelu", bnr__spell_dequantized(b, n, in, 0));
    y = bnr__build_float(b, y, "alpha", bnr__attr_float(n, "alpha", 0.01f));
    out[0] = bnr__spell_quantized(b, n, in, 3, y, in[0]);
}

BNR_DEFINE_OP(ms_qlinear_leaky_relu) = {
    BNR_SPELLED("QLinearLeakyRelu"),
    .min_in = 4,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f",
};
