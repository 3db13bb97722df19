// SPDX-License-Identifier: Apache-2.0
// ConstantOfShape: a tensor of the given dims, filled with the one element of `value` (float 0).
#include <string.h>

#include "runtime/ops/lib/shape.h"

static enum bnr_status fill_value(const struct bnr_node *n, struct bnr_error *err,
                                  enum bnr_dtype *dtype, const void **element) {
    static const float zero = 0;
    const struct bnr_tensor *v = bnr__attr_tensor(n, "value");
    if (v && v->numel != 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'value' has %zu elements, expected 1",
                            v->numel);
    *dtype = v ? v->dtype : BNR_FLOAT;
    *element = v ? v->data : &zero;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_dtype dtype;
    const void *element;
    const struct bnr_dim *elems;
    struct bnr_ints list;
    struct bnr_shape y = bnr__shape_unknown();
    int n;
    BNR_TRY(fill_value(cx->node, cx->err, &dtype, &element));
    BNR_TRY(bnr__infer_int_list(cx, 0, NULL, &list));
    BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    if (list.n > BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED, "%d dims, at most %d are supported",
                            list.n, BNR_MAX_RANK);
    if (list.n >= 0)
        y.rank = list.n;
    for (int i = 0; i < y.rank; i++) {
        if (elems && bnr__elem_is_number(elems[i]) && elems[i].n < 0)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dim %d is %lld", i,
                                (long long)elems[i].n);
        y.dims[i] = elems ? bnr__dim_of_elem(elems[i]) : bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    enum bnr_dtype dtype;
    const void *element;
    BNR_TRY(fill_value(a->node, a->err, &dtype, &element));
    BNR_TRY(bnr__out_infer(a, infer));
    bnr__copy_fill(a->out[0]->data, element, bnr__dtype_size(dtype), a->out[0]->numel, a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(constant_of_shape) = {
    .domain = "",
    .name = "ConstantOfShape",
    .since = {9, 20, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "value:t",
    .infer = infer,
    .ref = ref,
};
