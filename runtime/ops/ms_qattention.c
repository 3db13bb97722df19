// SPDX-License-Identifier: Apache-2.0
// QAttention (com.microsoft): Attention whose projection to Q, K and V is an integer product.
#include "runtime/ops/lib/spell.h"

enum { INPUT, WEIGHTS, BIAS, SCALE, WEIGHT_SCALE, MASK, ZERO, WEIGHT_ZERO, PAST };

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    const struct bnr_spell_product product = {
        .a = in[INPUT],
        .b = in[WEIGHTS],
        .a_zero = bnr__spell_in(n, in, ZERO),
        .b_zero = bnr__spell_in(n, in, WEIGHT_ZERO),
        .a_scale = in[SCALE],
        .b_scale = in[WEIGHT_SCALE],
        .bias = in[BIAS],
    };
    struct bnr_value *joined = bnr__spell_product(b, &product);
    const struct bnr_spell_attention p = {.mask = bnr__spell_in(n, in, MASK), .batch_of = in[INPUT],
                                          .like = in[BIAS]};
    out[0] = bnr__spell_self_attention(b, n, joined, bnr__spell_in(n, in, PAST), &p,
                                       n->n_out > 1 && n->out[1] ? &out[1] : NULL);
}

BNR_DEFINE_OP(ms_qattention) = {
    BNR_SPELLED("QAttention"),
    .min_in = 5,
    .max_in = 9,
    .min_out = 1,
    .max_out = 2,
    .attrs = "do_rotary:i mask_filter_value:f num_heads:i! past_present_share_buffer:i scale:f "
             "unidirectional:i",
};
