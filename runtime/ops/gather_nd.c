// SPDX-License-Identifier: Apache-2.0
// GatherND: slices of the data at tuples of indices. data [b][..], indices [b][..][k]: output
// [b][.. of the indices][data dims from b + k], where b stands for batch_dims leading dims.
#include <string.h>

#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT64, BNR_INT32, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    struct bnr_shape y = bnr__shape_unknown();
    const int64_t b = bnr__attr_int(cx->node, "batch_dims", 0);
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, BNR_MAX_RANK));
    if (x->rank >= 0 && index->rank >= 0) {
        if (b < 0 || b >= x->rank || b >= index->rank)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "batch_dims is %lld for ranks %d and %d", (long long)b, x->rank,
                                index->rank);
        for (int i = 0; i < b; i++)
            if (x->dims[i].n >= 0 && index->dims[i].n >= 0 && x->dims[i].n != index->dims[i].n)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "batch dim %d is %lld and %lld",
                                    i, (long long)x->dims[i].n, (long long)index->dims[i].n);
        const int64_t k = index->dims[index->rank - 1].n;
        if (k > x->rank - b)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "tuples of %lld indices for data of rank %d", (long long)k,
                                x->rank);
        const int64_t rank = index->rank - 1 + x->rank - b - k;
        if (k >= 0 && rank > BNR_MAX_RANK)
            return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                                "the output would have rank %lld", (long long)rank);
        y.rank = k >= 0 ? (int)rank : -1;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = i < index->rank - 1 ? index->dims[i]
                                            : x->dims[i - (index->rank - 1) + (int)(b + k)];
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *index = a->in[1];
    const int b = (int)bnr__attr_int(a->node, "batch_dims", 0);
    const int64_t *tuple;
    int64_t strides[BNR_MAX_RANK];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__args_indices(a, 1, &tuple));
    const int k = (int)index->dims[index->rank - 1];
    size_t batches = 1, per_batch = 1, slice = bnr__dtype_size(x->dtype);
    if (a->out[0]->numel == 0)
        return BNR_OK;
    for (int i = 0; i < b; i++)
        batches *= (size_t)x->dims[i];
    for (int i = b; i < index->rank - 1; i++)
        per_batch *= (size_t)index->dims[i];
    for (int i = b + k; i < x->rank; i++)
        slice *= (size_t)x->dims[i];
    bnr__dense_strides(x->rank, x->dims, strides);
    const size_t size = bnr__dtype_size(x->dtype), batch_bytes = x->nbytes / batches;
    for (size_t i = 0; i < batches * per_batch; i++) {
        int64_t offset = 0, at;
        for (int d = 0; d < k; d++) {
            BNR_TRY(
                bnr__resolve_index(a, 1, tuple[i * (size_t)k + (size_t)d], x->dims[b + d], &at));
            offset += at * strides[b + d];
        }
        memcpy(a->out[0]->u8 + i * slice,
               x->u8 + i / per_batch * batch_bytes + (size_t)offset * size, slice);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(gather_nd) = {
    .domain = "",
    .name = "GatherND",
    .since = {11, 12, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "batch_dims:i",
    .infer = infer,
    .ref = ref,
};
