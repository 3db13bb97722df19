// SPDX-License-Identifier: Apache-2.0
// Gradient (ai.onnx.preview.training): dy / dx for each x of xs. Sessions put the nodes that compute it in
// its place (passes/pass_gradient.c); here is what inference says of it before.
#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    for (int i = 0; i < cx->n_out; i++) {
        const struct bnr_type *x = bnr__infer_in(cx, i);
        if (!x)
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "output %d has no input", i);
        BNR_TRY(bnr__infer_types(cx, i, BNR_TYPES_FLOAT));
        bnr__infer_set(cx, i, x->dtype, &x->shape);
    }
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED, "can only be run by a session");
}

BNR_DEFINE_OP(gradient) = {
    .domain = "ai.onnx.preview.training",
    .name = "Gradient",
    .since = {1},
    .min_in = 1,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .flags = BNR_OP_RANDOM, // it depends on values that it names: never folded or merged
    .attrs = "xs:S! y:s! zs:S",
    .infer = infer,
    .ref = ref,
};
