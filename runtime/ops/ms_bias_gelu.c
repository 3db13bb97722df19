// SPDX-License-Identifier: Apache-2.0
// BiasGelu (com.microsoft): Gelu(A + B).
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    out[0] = OP1("Gelu", OP2("Add", in[0], in[1]));
}

BNR_DEFINE_OP(ms_bias_gelu) = {
    BNR_SPELLED("BiasGelu"),
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
};
