// SPDX-License-Identifier: Apache-2.0
// Identity: the input, whatever kind of value it is.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_same(cx));
    const struct bnr_dim *elems;
    int n;
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    return elems ? bnr__infer_set_elems(cx, 0, elems, n) : BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    if (a->in[0]->kind != BNR_KIND_TENSOR)
        return bnr__out_share(a, 0, a->in[0]);
    return bnr__ref_view(a, infer);
}

BNR_DEFINE_OP(identity) = {
    .domain = "",
    .name = "Identity",
    .since = {1, 13, 14, 16, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_VIEW | BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_identity,
};
