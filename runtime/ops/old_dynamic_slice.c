// SPDX-License-Identifier: Apache-2.0
// DynamicSlice (experimental in ai.onnx 1): Slice with starts, ends and axes as inputs.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_node *y = bnr__build_node(b, "Slice", n->n_in, in, 1);
    out[0] = y ? y->out[0] : NULL;
}

BNR_DEFINE_OP(old_dynamic_slice) = {
    BNR_SPELLED_OLD("DynamicSlice"),
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
};
