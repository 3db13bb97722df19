// SPDX-License-Identifier: Apache-2.0
// DynamicQuantizeMatMul (com.microsoft): A quantized to uint8, times B, scaled, plus bias.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_node *q = bnr__build_node(b, "DynamicQuantizeLinear", 1, in, 3);
    if (!q)
        return;
    out[0] = bnr__spell_product(b, &(struct bnr_spell_product){
                                       .a = q->out[0],
                                       .b = in[1],
                                       .a_zero = q->out[2],
                                       .b_zero = bnr__spell_in(n, in, 3),
                                       .a_scale = q->out[1],
                                       .b_scale = in[2],
                                       .bias = bnr__spell_in(n, in, 4),
                                   });
}

BNR_DEFINE_OP(ms_dynamic_quantize_matmul) = {
    BNR_SPELLED("DynamicQuantizeMatMul"),
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
};
