// SPDX-License-Identifier: Apache-2.0
// OneHotEncoder: a 1 at the place of each element's category, along a new last axis. Numbers are
// truncated to integers first. An unknown category gives zeros, or is an error when `zeros` is 0.
#include <string.h>

#include "runtime/ops/lib/lookup.h"
#include "runtime/ops/lib/ml.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_shape y = x->shape;
    struct bnr_ml_labels cats;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML | BNR_TYPE(STRING)));
    BNR_TRY(bnr__ml_labels(cx->node, "cats_int64s", "cats_strings", &cats, cx->err));
    BNR_TRY(bnr__infer_types(cx, 0, cats.strings != NULL ? BNR_TYPE(STRING) : BNR_TYPES_ML));
    BNR_TRY(bnr__infer_rank(cx, 0, 0, BNR_MAX_RANK - 1));
    if (y.rank >= 0)
        y.dims[y.rank++] = bnr__dim_of((int64_t)cats.n);
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const bool zeros = bnr__attr_int(a->node, "zeros", 1) != 0;
    struct bnr_ml_labels cats;
    struct bnr_lookup lookup;
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__ml_labels(a->node, "cats_int64s", "cats_strings", &cats, a->err));
    if (x->rank >= BNR_MAX_RANK || (x->dtype == BNR_STRING) != (cats.strings != NULL))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%s cannot be looked up in the categories",
                            bnr__dtype_name(x->dtype));
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = (int64_t)cats.n;
    BNR_TRY(bnr__out_alloc(a, 0, BNR_FLOAT, x->rank + 1, dims));
    const void *src = cats.strings != NULL ? x->data : (const void *)bnr__all_i64(a, x);
    if (src == NULL)
        return BNR_NO_MEMORY;
    BNR_TRY(bnr__lookup_new(a, bnr__ml_label_dtype(&cats),
                            cats.strings != NULL ? (const void *)cats.strings : cats.ints, cats.n,
                            &lookup));
    float *y = a->out[0]->f32;
    for (size_t i = 0; i < x->numel; i++, y += cats.n) {
        const ptrdiff_t k = bnr__lookup_find(&lookup, src, i);
        memset(y, 0, cats.n * sizeof *y);
        if (k >= 0)
            y[k] = 1;
        else if (!zeros)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "element %zu is in no category", i);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(one_hot_encoder) = {
    .domain = BNR_ML_DOMAIN,
    .name = "OneHotEncoder",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "cats_int64s:I cats_strings:S zeros:i",
    .infer = infer,
    .ref = ref,
};
