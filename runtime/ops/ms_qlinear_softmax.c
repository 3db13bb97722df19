// SPDX-License-Identifier: Apache-2.0
// QLinearSoftmax (com.microsoft): Softmax of a quantized tensor; with the attribute `opset` below 13 over
// all axes from `axis` on.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *x = bnr__spell_dequantized(b, n, in, 0), *y;
    const int64_t axis = bnr__attr_int(n, "axis", -1);
    if (bnr__attr_int(n, "opset", 13) < 13) {
        struct bnr_value *flat = bnr__build_int(b, OP1("Flatten", x), "axis", axis);
        y = bnr__build_reshape_like(b, OP1("Softmax", flat), x);
    } else {
        y = bnr__build_int(b, OP1("Softmax", x), "axis", axis);
    }
    out[0] = bnr__spell_quantized(b, n, in, 3, y, in[0]);
}

BNR_DEFINE_OP(ms_qlinear_softmax) = {
    BNR_SPELLED("QLinearSoftmax"),
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i opset:i!",
};
