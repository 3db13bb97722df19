// SPDX-License-Identifier: Apache-2.0
// ArrayFeatureExtractor: the elements of the last axis that input 1 lists. A vector counts as one
// row.
#include <string.h>

#include "runtime/ops/lib/ml.h"
#include "runtime/ops/lib/shape.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    const struct bnr_shape *picks = &cx->in[1]->type.shape;
    struct bnr_shape y = x->shape;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML | BNR_TYPE(STRING)));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    if (y.rank >= 0) {
        struct bnr_dim count = bnr__dim_unknown();
        if (picks->rank >= 0 && !bnr__dim_product(picks->dims, 0, picks->rank, &count))
            count = bnr__dim_unknown();
        if (y.rank == 1) {
            y.rank = 2;
            y.dims[0] = bnr__dim_of(1);
        }
        y.dims[y.rank - 1] = count;
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *picks = a->in[1];
    const size_t size = bnr__dtype_size(x->dtype);
    int64_t dims[BNR_MAX_RANK] = {1};
    if (x->rank < 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input 0 is a scalar");
    const int rank = x->rank == 1 ? 2 : x->rank;
    if (x->rank > 1)
        memcpy(dims, x->dims, sizeof dims);
    dims[rank - 1] = (int64_t)picks->numel;
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, rank, dims));
    const int64_t columns = x->dims[x->rank - 1];
    const size_t rows = bnr__dims_product(x->dims, 0, x->rank - 1);
    for (size_t k = 0; k < picks->numel; k++) {
        const int64_t pick = picks->i64[k];
        if (pick < 0 || pick >= columns)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "index %lld is outside [0, %lld)",
                                (long long)pick, (long long)columns);
        for (size_t r = 0; r < rows; r++)
            memcpy(bnr__at_mut(a->out[0], r * picks->numel + k),
                   bnr__at(x, r * (size_t)columns + (size_t)pick), size);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(array_feature_extractor) = {
    .domain = BNR_ML_DOMAIN,
    .name = "ArrayFeatureExtractor",
    .since = {1},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .ref = ref,
};
