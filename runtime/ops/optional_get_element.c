// SPDX-License-Identifier: Apache-2.0
// OptionalGetElement: what is in the optional; anything else stays as it is.
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    if (x->kind != BNR_KIND_OPTIONAL)
        cx->out[0]->type = *x;
    else if (x->elem)
        cx->out[0]->type = *x->elem;
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    if (x->kind != BNR_KIND_OPTIONAL)
        return bnr__out_keep(a, 0, x);
    if (x->n_items == 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "the optional is empty");
    return bnr__out_keep(a, 0, x->items[0]);
}

BNR_DEFINE_OP(optional_get_element) = {
    .domain = "",
    .name = "OptionalGetElement",
    .since = {15, 18},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
