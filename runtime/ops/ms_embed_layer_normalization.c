// SPDX-License-Identifier: Apache-2.0
// EmbedLayerNormalization (com.microsoft): LayerNormalization of the sum of word, position and segment
// embeddings; how many elements of each row of the mask are 1; and that sum.
#include "runtime/ops/lib/spell.h"

enum { IDS, SEGMENT_IDS, WORDS, POSITIONS, SEGMENTS, GAMMA, BETA, MASK, POSITION_IDS };

// [batch] of int32; zeros without a mask.
static struct bnr_value *count_mask(struct bnr_build *b, struct bnr_value *ids,
                                    struct bnr_value *mask) {
    if (!mask) {
        struct bnr_value *batch = OP2("Gather", bnr__build_shape(b, ids), INTS(0));
        return bnr__build_int(b, OP1("Cast", OP1("ConstantOfShape", batch)), "to", BNR_INT32);
    }
    struct bnr_value *ones = OP2("Equal", bnr__build_int(b, OP1("Cast", mask), "to", BNR_INT64), INTS(1));
    ones = bnr__build_int(b, OP1("Cast", ones), "to", BNR_INT32);
    return bnr__build_reduce(b, "ReduceSum", ones, INTS(1), false);
}

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *ids = bnr__spell_in(n, in, POSITION_IDS), *positions;
    if (n->n_in < 7 || !in[WORDS] || !in[POSITIONS] || !in[GAMMA] || !in[BETA]) {
        bnr__build_fail(b, BNR_MALFORMED, "words, positions, gamma or beta are left out");
        return;
    }
    if (ids)
        positions = OP2("Gather", in[POSITIONS], ids);
    else
        positions = OP3("Slice", in[POSITIONS], INTS(0),
                        OP2("Gather", bnr__build_shape(b, in[IDS]), INTS(1)));
    struct bnr_value *sum = OP2("Add", OP2("Gather", in[WORDS], in[IDS]), positions);
    if (bnr__spell_in(n, in, SEGMENT_IDS) && bnr__spell_in(n, in, SEGMENTS))
        sum = OP2("Add", sum, OP2("Gather", in[SEGMENTS], in[SEGMENT_IDS]));
    out[0] = bnr__build_float(b, OP3("LayerNormalization", sum, in[GAMMA], in[BETA]), "epsilon",
                              bnr__attr_float(n, "epsilon", 1e-12f));
    if (n->n_out > 1)
        out[1] = count_mask(b, in[IDS], bnr__spell_in(n, in, MASK));
    if (n->n_out > 2)
        out[2] = sum;
}

BNR_DEFINE_OP(ms_embed_layer_normalization) = {
    BNR_SPELLED("EmbedLayerNormalization"),
    .min_in = 1, // the second may be left out
    .max_in = 9,
    .min_out = 1,
    .max_out = 3,
    .attrs = "epsilon:f mask_index_type:i",
};
