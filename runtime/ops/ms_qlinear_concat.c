// SPDX-License-Identifier: Apache-2.0
// QLinearConcat (com.microsoft): scale and zero point of the output, then tensor, scale and zero point of
// each input.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const int count = (n->n_in - 2) / 3;
    if (n->n_in < 5 || (n->n_in - 2) % 3 != 0) {
        bnr__build_fail(b, BNR_MALFORMED, "%d inputs, expected 2 and 3 for each tensor", n->n_in);
        return;
    }
    struct bnr_value **parts = BNR_NEW_ARRAY(&b->graph->model->arena, (size_t)count, struct bnr_value *);
    for (int i = 0; parts && i < count; i++)
        parts[i] = bnr__spell_dequantized(b, n, in, 2 + 3 * i);
    struct bnr_node *joined = parts ? bnr__build_node(b, "Concat", count, parts, 1) : NULL;
    if (!joined) {
        bnr__build_fail(b, BNR_NO_MEMORY, "out of memory");
        return;
    }
    bnr__build_int(b, joined->out[0], "axis", bnr__attr_int(n, "axis", 0));
    out[0] = bnr__spell_quantized(b, n, in, 0, joined->out[0], in[2]);
}

BNR_DEFINE_OP(ms_qlinear_concat) = {
    BNR_SPELLED("QLinearConcat"),
    .min_in = 5,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i!",
};
