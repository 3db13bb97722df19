// SPDX-License-Identifier: Apache-2.0
// ScatterND: a copy of the data, with slices replaced by (or reduced with) the updates at the
// indices' tuples: indices [.., k], updates [..][data dims from k].
#include "runtime/ops/lib/scatter.h"
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT64, BNR_INT32, BNR_UNDEFINED};

// Checks the updates' shape as far as it is known.
static enum bnr_status check_shapes(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    const struct bnr_shape *u = &cx->in[2]->type.shape;
    if (x->rank < 0 || index->rank < 0 || index->dims[index->rank - 1].n < 0)
        return BNR_OK;
    const int64_t k = index->dims[index->rank - 1].n;
    if (k > x->rank)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "tuples of %lld indices for data of rank %d", (long long)k, x->rank);
    const int batch = index->rank - 1;
    BNR_TRY(bnr__infer_rank(cx, 2, batch + x->rank - (int)k, batch + x->rank - (int)k));
    for (int i = 0; i < u->rank; i++) {
        const struct bnr_dim want = i < batch ? index->dims[i] : x->dims[i - batch + (int)k];
        if (want.n >= 0 && u->dims[i].n >= 0 && want.n != u->dims[i].n)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "dim %d of the updates is %lld, expected %lld", i,
                                (long long)u->dims[i].n, (long long)want.n);
    }
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_reduction r;
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_same_dtype(cx, 0, 2));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__infer_rank(cx, 1, 1, BNR_MAX_RANK));
    BNR_TRY(bnr__scatter_reduction(cx->node, cx->err, cx->in[0]->type.dtype, &r));
    BNR_TRY(check_shapes(cx));
    return bnr__infer_same(cx);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *index = a->in[1], *u = a->in[2];
    enum bnr_reduction r;
    const int64_t *tuple;
    int64_t strides[BNR_MAX_RANK];
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(bnr__scatter_reduction(a->node, a->err, x->dtype, &r));
    BNR_TRY(bnr__args_indices(a, 1, &tuple));
    bnr__copy_bytes(a->out[0]->data, x->data, x->nbytes, a->pool);
    const size_t size = bnr__dtype_size(x->dtype);
    const int k = (int)index->dims[index->rank - 1];
    size_t slice = 1, count = 1;
    for (int i = k; i < x->rank; i++)
        slice *= (size_t)x->dims[i];
    for (int i = 0; i < index->rank - 1; i++)
        count *= (size_t)index->dims[i];
    if (u->numel == 0)
        return BNR_OK;
    bnr__dense_strides(x->rank, x->dims, strides);
    for (size_t i = 0; i < count; i++) {
        int64_t offset = 0, at;
        for (int d = 0; d < k; d++) {
            BNR_TRY(bnr__resolve_index(a, 1, tuple[i * (size_t)k + (size_t)d], x->dims[d], &at));
            offset += at * strides[d];
        }
        bnr__scatter_apply(r, x->dtype, a->out[0]->u8 + (size_t)offset * size,
                           u->u8 + i * slice * size, slice);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(scatter_nd) = {
    .domain = "",
    .name = "ScatterND",
    .since = {11, 13, 16, 18},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_INPLACE,
    .attrs = "reduction:s",
    .infer = infer,
    .ref = ref,
};
