// SPDX-License-Identifier: Apache-2.0
// EyeLike: a matrix of input 0's shape with ones on the k-th diagonal.
#include <string.h>

#include "runtime/ops/lib/compute.h"

#define EYE_TYPES (BNR_TYPES_NUMERIC | BNR_TYPE(BOOL))

static enum bnr_status target(const struct bnr_node *n, enum bnr_dtype like, enum bnr_dtype *dtype,
                              struct bnr_error *err) {
    const int64_t number = bnr__attr_int(n, "dtype", like);
    if (number != BNR_UNDEFINED &&
        (number < 0 || number >= BNR_DTYPE_COUNT || !(EYE_TYPES >> number & 1)))
        return bnr__op_fail(n, err, BNR_SHAPE, "dtype %lld is not a number's", (long long)number);
    *dtype = (enum bnr_dtype)number;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    enum bnr_dtype dtype = BNR_UNDEFINED;
    BNR_TRY(bnr__infer_types(cx, 0, EYE_TYPES));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, 2));
    BNR_TRY(target(cx->node, x->dtype, &dtype, cx->err));
    bnr__infer_set(cx, 0, dtype, &x->shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const int64_t k = bnr__attr_int(a->node, "k", 0);
    const double one = 1;
    enum bnr_dtype dtype = BNR_UNDEFINED;
    BNR_TRY(target(a->node, x->dtype, &dtype, a->err));
    BNR_TRY(bnr__out_alloc(a, 0, dtype, x->rank, x->dims));
    struct bnr_tensor *y = a->out[0];
    memset(y->data, 0, y->nbytes);
    const int64_t rows = x->dims[0], columns = x->dims[1];
    if (k >= columns || k <= -rows)
        return BNR_OK;
    for (int64_t i = k < 0 ? -k : 0; i < rows && i + k < columns; i++)
        bnr__store_f64(dtype, bnr__at_mut(y, (size_t)(i * columns + i + k)), &one, 1);
    return BNR_OK;
}

BNR_DEFINE_OP(eye_like) = {
    .domain = "",
    .name = "EyeLike",
    .since = {9, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "dtype:i k:i",
    .infer = infer,
    .ref = ref,
};
