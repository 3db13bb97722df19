// SPDX-License-Identifier: Apache-2.0
// SimplifiedLayerNormalization: ONNX Runtime's name for RMSNormalization, in the domain of ai.onnx.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *y = OP2("RMSNormalization", in[0], in[1]);
    y = bnr__build_int(b, y, "axis", bnr__attr_int(n, "axis", -1));
    out[0] = bnr__build_float(b, y, "epsilon", bnr__attr_float(n, "epsilon", 1e-5f));
}

BNR_DEFINE_OP(ms_simplified_layer_normalization) = {
    BNR_SPELLED_OLD("SimplifiedLayerNormalization"),
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 2,
    .attrs = "axis:i epsilon:f stash_type:i",
};
