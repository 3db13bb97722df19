// SPDX-License-Identifier: Apache-2.0
// QLinearAdd (com.microsoft): Add of two quantized tensors with broadcasting.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *x = bnr__spell_dequantized(b, n, in, 0);
    struct bnr_value *y = bnr__spell_dequantized(b, n, in, 3);
    out[0] = bnr__spell_quantized(b, n, in, 6, OP2("Add", x, y), in[0]);
}

BNR_DEFINE_OP(ms_qlinear_add) = {
    BNR_SPELLED("QLinearAdd"),
    .min_in = 7,
    .max_in = 8,
    .min_out = 1,
    .max_out = 1,
};
