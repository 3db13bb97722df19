// SPDX-License-Identifier: Apache-2.0
// MatMulIntegerToFloat (com.microsoft): the integer product of A and B, scaled, plus bias.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    out[0] = bnr__spell_product(b, &(struct bnr_spell_product){
                                       .a = in[0],
                                       .b = in[1],
                                       .a_zero = bnr__spell_in(n, in, 4),
                                       .b_zero = bnr__spell_in(n, in, 5),
                                       .a_scale = in[2],
                                       .b_scale = in[3],
                                       .bias = bnr__spell_in(n, in, 6),
                                   });
}

BNR_DEFINE_OP(ms_matmul_integer_to_float) = {
    BNR_SPELLED("MatMulIntegerToFloat"),
    .min_in = 4,
    .max_in = 7,
    .min_out = 1,
    .max_out = 1,
};
