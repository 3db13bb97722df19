// SPDX-License-Identifier: Apache-2.0
// Size: the number of elements, as a scalar.
#include "runtime/ops/lib/shape.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_dim count;
    bnr__infer_set_dims(cx, 0, BNR_INT64, 0, NULL);
    if (x->rank < 0)
        return BNR_OK;
    if (!bnr__dim_product(x->dims, 0, x->rank, &count))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "the number of elements overflows");
    count = bnr__elem_of_dim(count);
    return bnr__infer_set_elems(cx, 0, &count, 1);
}

static enum bnr_status ref(const struct bnr_args *a) {
    BNR_TRY(bnr__out_alloc(a, 0, BNR_INT64, 0, NULL));
    a->out[0]->i64[0] = (int64_t)a->in[0]->numel;
    return BNR_OK;
}

BNR_DEFINE_OP(size) = {
    .domain = "",
    .name = "Size",
    .since = {1, 13, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
