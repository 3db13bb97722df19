// SPDX-License-Identifier: Apache-2.0
// SkipLayerNormalization (com.microsoft): LayerNormalization(input + skip + bias), and that sum.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *sum = OP2("Add", in[0], in[1]);
    sum = bnr__spell_add(b, sum, bnr__spell_in(n, in, 4));
    struct bnr_value *parts[] = {sum, in[2], bnr__spell_in(n, in, 3)};
    struct bnr_node *norm = bnr__build_node(b, "LayerNormalization", 3, parts, 3);
    if (!norm)
        return;
    bnr__build_float(b, norm->out[0], "epsilon", bnr__attr_float(n, "epsilon", 1e-12f));
    for (int i = 0; i < 3 && i < n->n_out; i++)
        out[i] = norm->out[i];
    if (n->n_out > 3)
        out[3] = sum;
}

BNR_DEFINE_OP(ms_skip_layer_normalization) = {
    BNR_SPELLED("SkipLayerNormalization"),
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 4,
    .attrs = "epsilon:f",
};
