// SPDX-License-Identifier: Apache-2.0
// NonZero: the indices of the elements that are not zero (not false, not empty) in row-major order,
// one row of the [rank, count] output for each axis.
#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const int rank = cx->in[0]->type.shape.rank;
    struct bnr_shape y = {.rank = 2};
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ALL));
    y.dims[0] = rank >= 0 ? bnr__dim_of(rank) : bnr__dim_unknown();
    y.dims[1] = bnr__dim_unknown();
    bnr__infer_set(cx, 0, BNR_INT64, &y);
    return BNR_OK;
}

static bool is_set(const struct bnr_tensor *x, size_t i) {
    switch (x->dtype) {
    case BNR_STRING:
        return x->str[i].len > 0;
    case BNR_COMPLEX64:
        return x->f32[2 * i] != 0 || x->f32[2 * i + 1] != 0;
    case BNR_COMPLEX128:
        return x->f64[2 * i] != 0 || x->f64[2 * i + 1] != 0;
    default:
        return bnr__tensor_f64(x, i) != 0;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    size_t count = 0;
    for (size_t i = 0; i < x->numel; i++)
        count += is_set(x, i);
    BNR_TRY(bnr__out_alloc(a, 0, BNR_INT64, 2, (const int64_t[]){x->rank, (int64_t)count}));
    int64_t *y = a->out[0]->i64;
    for (size_t i = 0, found = 0; i < x->numel && x->rank > 0; i++) {
        if (!is_set(x, i))
            continue;
        size_t rest = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            y[(size_t)d * count + found] = (int64_t)(rest % (size_t)x->dims[d]);
            rest /= (size_t)x->dims[d];
        }
        found++;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(non_zero) = {
    .domain = "",
    .name = "NonZero",
    .since = {9, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_DATA_SHAPE,
    .infer = infer,
    .ref = ref,
};
