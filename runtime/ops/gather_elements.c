// SPDX-License-Identifier: Apache-2.0
// GatherElements: for each element of the indices, the data's element at the same place except
// along one axis, where the index says.
#include <string.h>

#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT32, BNR_INT64, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    int axis;
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    if (x->rank >= 0) {
        BNR_TRY(bnr__infer_rank(cx, 1, x->rank, x->rank));
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), x->rank, &axis));
    }
    struct bnr_shape y = *index;
    if (y.rank < 0 && x->rank >= 0) {
        y.rank = x->rank;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *index = a->in[1];
    const int64_t *k;
    int axis;
    int64_t strides[BNR_MAX_RANK], at[BNR_MAX_RANK] = {0};
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__resolve_axis(a->node, a->err, bnr__attr_int(a->node, "axis", 0), x->rank, &axis));
    BNR_TRY(bnr__args_indices(a, 1, &k));
    for (int i = 0; i < x->rank && index->numel > 0; i++)
        if (i != axis && index->dims[i] > x->dims[i])
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "dim %d of the indices is %lld, of the data %lld", i,
                                (long long)index->dims[i], (long long)x->dims[i]);
    const size_t size = bnr__dtype_size(x->dtype);
    bnr__dense_strides(x->rank, x->dims, strides);
    for (size_t i = 0; i < index->numel; i++) {
        int64_t offset = 0, picked;
        BNR_TRY(bnr__resolve_index(a, 1, k[i], x->dims[axis], &picked));
        for (int d = 0; d < x->rank; d++)
            offset += (d == axis ? picked : at[d]) * strides[d];
        memcpy(a->out[0]->u8 + i * size, x->u8 + (size_t)offset * size, size);
        for (int d = x->rank - 1; d >= 0 && ++at[d] == index->dims[d]; d--)
            at[d] = 0;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(gather_elements) = {
    .domain = "",
    .name = "GatherElements",
    .since = {11, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
};
