// SPDX-License-Identifier: Apache-2.0
// QLinearSigmoid (com.microsoft): Sigmoid of a quantized tensor.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *x = bnr__spell_dequantized(b, n, in, 0);
    out[0] = bnr__spell_quantized(b, n, in, 3, OP1("Sigmoid", x), in[0]);
}

BNR_DEFINE_OP(ms_qlinear_sigmoid) = {
    BNR_SPELLED("QLinearSigmoid"),
    .min_in = 4,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
};
