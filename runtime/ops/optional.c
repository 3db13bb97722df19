// SPDX-License-Identifier: Apache-2.0
// Optional: the input as an optional, or an empty one of the type that an attribute gives.
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_attr *type = bnr__attr(cx->node, "type");
    if (cx->n_in > 0 && cx->in[0])
        return bnr__infer_container(cx, 0, BNR_KIND_OPTIONAL, &cx->in[0]->type);
    if (!type || type->type != BNR_ATTR_TYPE_PROTO)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "neither an input nor a type is given");
    return bnr__infer_container(cx, 0, BNR_KIND_OPTIONAL, &type->types[0]);
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_tensor *y;
    BNR_TRY(
        bnr__tensor_new_kind(&y, a->out[0]->allocator, BNR_KIND_OPTIONAL, BNR_UNDEFINED, a->err));
    enum bnr_status st = BNR_OK;
    if (a->n_in > 0 && a->in[0])
        st = bnr__push_keep(y, a->in[0], a->err);
    if (st == BNR_OK)
        st = bnr__out_share(a, 0, y);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(optional) = {
    .domain = "",
    .name = "Optional",
    .since = {15},
    .min_in = 0,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .infer = infer,
    .ref = ref,
};
