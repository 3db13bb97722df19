// SPDX-License-Identifier: Apache-2.0
// bnrun.SumTo(x, like): x summed over the dims by which a tensor of like's dims was broadcast to x's.
#include "graph/affine.h"
#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_unidirectional(cx, 1, &cx->in[0]->type.shape));
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, 0), &cx->in[1]->type.shape);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *like = a->in[1];
    const int extra = x->rank - like->rank;
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, like->rank, like->dims));
    const double *from = bnr__all_f64(a, x);
    double *sum = bnr__temp_f64(a, like->numel);
    if (!from || !sum)
        return BNR_NO_MEMORY;
    int64_t index[BNR_MAX_RANK] = {0};
    for (size_t i = 0; i < x->numel; i++) {
        size_t to = 0;
        for (int d = 0; d < like->rank; d++)
            to = to * (size_t)like->dims[d] + (like->dims[d] == 1 ? 0 : (size_t)index[d + extra]);
        sum[to] += from[i];
        for (int d = x->rank - 1; d >= 0 && ++index[d] == x->dims[d]; d--)
            index[d] = 0;
    }
    bnr__store_f64(x->dtype, a->out[0]->data, sum, like->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(sum_to) = {
    .domain = BNR_INTERNAL_DOMAIN,
    .name = "SumTo",
    .since = {1},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
