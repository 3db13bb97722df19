// SPDX-License-Identifier: Apache-2.0
// LoopIndexTensor (experimental in ai.onnx 1): the element of T along `axis` that the loop has come to.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *at = OP2("Reshape", in[1], bnr__build_ints(b, NULL, 0));
    out[0] = bnr__build_int(b, OP2("Gather", in[0], at), "axis", bnr__attr_int(n, "axis", 0));
}

BNR_DEFINE_OP(old_loop_index_tensor) = {
    BNR_SPELLED_OLD("LoopIndexTensor"),
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
};
