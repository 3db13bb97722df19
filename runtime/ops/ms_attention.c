// SPDX-License-Identifier: Apache-2.0
// Attention (com.microsoft): projects the input to Q, K and V and attends, with a mask and past keys and
// values.
#include "runtime/ops/lib/spell.h"

enum { INPUT, WEIGHTS, BIAS, MASK, PAST, ATTENTION_BIAS };

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *joined = OP2("MatMul", in[INPUT], in[WEIGHTS]);
    joined = bnr__spell_add(b, joined, bnr__spell_in(n, in, BIAS));
    const struct bnr_spell_attention p = {.mask = bnr__spell_in(n, in, MASK),
                                          .bias = bnr__spell_in(n, in, ATTENTION_BIAS),
                                          .batch_of = in[INPUT],
                                          .like = in[INPUT]};
    out[0] = bnr__spell_self_attention(b, n, joined, bnr__spell_in(n, in, PAST), &p,
                                       n->n_out > 1 && n->out[1] ? &out[1] : NULL);
}

BNR_DEFINE_OP(ms_attention) = {
    BNR_SPELLED("Attention"),
    .min_in = 2,
    .max_in = 7,
    .min_out = 1,
    .max_out = 2,
    .attrs = "do_rotary:i mask_filter_value:f num_heads:i! past_present_share_buffer:i qkv_hidden_sizes:I "
             "rotary_embedding_dim:i scale:f unidirectional:i",
};
