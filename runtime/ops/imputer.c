// SPDX-License-Identifier: Apache-2.0
// Imputer: elements equal to one value (NaN equals NaN) are replaced by another, which may differ
// by feature (the last axis).
#include <math.h>

#include "runtime/ops/lib/ml.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    return bnr__infer_same(cx);
}

static enum bnr_status check(const struct bnr_args *a, size_t n, size_t features) {
    if (n == 1 || (n > 0 && n == features))
        return BNR_OK;
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu values to change to for %zu features", n,
                        features);
}

static enum bnr_status impute_floats(const struct bnr_args *a, size_t features) {
    const struct bnr_tensor *x = a->in[0];
    const struct bnr_ml_floats to = bnr__ml_floats(a->node, "imputed_value_floats");
    const double from = (double)bnr__attr_float(a->node, "replaced_value_float", 0);
    BNR_TRY(check(a, to.n, features));
    for (size_t i = 0; i < x->numel; i++) {
        double v = bnr__tensor_f64(x, i);
        if (v == from || (isnan(v) && isnan(from)))
            v = (double)to.v[to.n == 1 ? 0 : i % to.n];
        bnr__store_f64(x->dtype, bnr__at_mut(a->out[0], i), &v, 1);
    }
    return BNR_OK;
}

static enum bnr_status impute_ints(const struct bnr_args *a, size_t features) {
    const struct bnr_tensor *x = a->in[0];
    size_t n;
    const int64_t *to = bnr__attr_ints(a->node, "imputed_value_int64s", &n);
    const int64_t from = bnr__attr_int(a->node, "replaced_value_int64", 0);
    BNR_TRY(check(a, n, features));
    for (size_t i = 0; i < x->numel; i++) {
        int64_t v = bnr__tensor_i64(x, i);
        if (v == from)
            v = to[n == 1 ? 0 : i % n];
        bnr__store_i64(x->dtype, bnr__at_mut(a->out[0], i), &v, 1);
    }
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const size_t features = x->rank > 0 ? (size_t)x->dims[x->rank - 1] : 1;
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, x->dims));
    return bnr__dtype_is_float(x->dtype) ? impute_floats(a, features) : impute_ints(a, features);
}

BNR_DEFINE_OP(imputer) = {
    .domain = BNR_ML_DOMAIN,
    .name = "Imputer",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "imputed_value_floats:F imputed_value_int64s:I replaced_value_float:f "
             "replaced_value_int64:i",
    .infer = infer,
    .ref = ref,
};
