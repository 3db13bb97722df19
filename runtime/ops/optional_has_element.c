// SPDX-License-Identifier: Apache-2.0
// OptionalHasElement: false for an empty optional and for an omitted input, true for anything else.
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    bnr__infer_set_dims(cx, 0, BNR_BOOL, 0, NULL);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->n_in > 0 ? a->in[0] : NULL;
    BNR_TRY(bnr__out_alloc(a, 0, BNR_BOOL, 0, NULL));
    a->out[0]->u8[0] = x && (x->kind != BNR_KIND_OPTIONAL || x->n_items > 0);
    return BNR_OK;
}

BNR_DEFINE_OP(optional_has_element) = {
    .domain = "",
    .name = "OptionalHasElement",
    .since = {15, 18},
    .min_in = 0,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
