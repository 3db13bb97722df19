// SPDX-License-Identifier: Apache-2.0
// SkipSimplifiedLayerNormalization (com.microsoft): RMSNormalization(input + skip + bias), and that sum.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *sum = OP2("Add", in[0], in[1]);
    sum = bnr__spell_add(b, sum, bnr__spell_in(n, in, 3));
    out[0] = bnr__build_float(b, OP2("RMSNormalization", sum, in[2]), "epsilon",
                              bnr__attr_float(n, "epsilon", 1e-12f));
    if (n->n_out > 3)
        out[3] = sum;
}

BNR_DEFINE_OP(ms_skip_simplified_layer_normalization) = {
    BNR_SPELLED("SkipSimplifiedLayerNormalization"),
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 4,
    .attrs = "epsilon:f",
};
