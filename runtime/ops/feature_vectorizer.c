// SPDX-License-Identifier: Apache-2.0
// FeatureVectorizer: the inputs' columns side by side; input i gives inputdimensions[i] of them,
// filled up with zeros or cut. Vectors count as one row.
#include <string.h>

#include "runtime/ops/lib/ml.h"

static int64_t columns_of(const int64_t *wanted, size_t n, int i, int64_t own) {
    return (size_t)i < n ? wanted[i] : own;
}

static enum bnr_status add_columns(const struct bnr_node *node, int i, int64_t c, int64_t *total,
                                   struct bnr_error *err) {
    if (c < 0 || !bnr__i64_add(*total, c, total))
        return bnr__op_fail(node, err, BNR_SHAPE, "input %d is to have %lld columns", i,
                            (long long)c);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    size_t n;
    const int64_t *wanted = bnr__attr_ints(cx->node, "inputdimensions", &n);
    struct bnr_shape y = {.rank = 2};
    int64_t total = 0;
    y.dims[0] = bnr__dim_unknown();
    for (int i = 0; i < cx->n_in; i++) {
        if (cx->in[i] == NULL)
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input %d is missing", i);
        const struct bnr_shape *x = &cx->in[i]->type.shape;
        BNR_TRY(bnr__infer_types(cx, i, BNR_TYPES_ML));
        BNR_TRY(bnr__infer_rank(cx, i, 1, 2));
        if (x->rank > 0 && y.dims[0].n < 0)
            y.dims[0] = x->rank == 2 ? x->dims[0] : bnr__dim_of(1);
        const int64_t c = columns_of(wanted, n, i, x->rank > 0 ? x->dims[x->rank - 1].n : -1);
        if ((size_t)i < n || c >= 0)
            BNR_TRY(add_columns(cx->node, i, c, &total, cx->err));
        else
            y.dims[1].n = -1;
    }
    y.dims[1] = y.dims[1].n < 0 ? bnr__dim_unknown() : bnr__dim_of(total);
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    size_t n;
    const int64_t *wanted = bnr__attr_ints(a->node, "inputdimensions", &n);
    const int64_t rows = a->in[0]->rank == 2 ? a->in[0]->dims[0] : 1;
    int64_t total = 0;
    for (int i = 0; i < a->n_in; i++) {
        const struct bnr_tensor *x = a->in[i];
        if ((x->rank == 2 ? x->dims[0] : 1) != rows || x->rank < 1 || x->rank > 2)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d has not %lld rows as input 0",
                                i, (long long)rows);
        BNR_TRY(add_columns(a->node, i, columns_of(wanted, n, i, x->dims[x->rank - 1]), &total,
                            a->err));
    }
    BNR_TRY(bnr__out_alloc(a, 0, BNR_FLOAT, 2, (const int64_t[]){rows, total}));
    struct bnr_tensor *y = a->out[0];
    if (y->nbytes > 0)
        memset(y->data, 0, y->nbytes);
    size_t at = 0;
    for (int i = 0; i < a->n_in; i++) {
        const struct bnr_tensor *x = a->in[i];
        const size_t own = (size_t)x->dims[x->rank - 1];
        const size_t c = (size_t)columns_of(wanted, n, i, x->dims[x->rank - 1]);
        for (size_t r = 0; r < (size_t)rows && x->numel > 0; r++)
            bnr__load_f32(y->f32 + r * (size_t)total + at, x->dtype, bnr__at(x, r * own),
                          c < own ? c : own);
        at += c;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(feature_vectorizer) = {
    .domain = BNR_ML_DOMAIN,
    .name = "FeatureVectorizer",
    .since = {1},
    .min_in = 1,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = 1,
    .attrs = "inputdimensions:I",
    .infer = infer,
    .ref = ref,
};
