// SPDX-License-Identifier: Apache-2.0
// LinearRegressor: a weighted sum of the features plus an intercept for each target.
#include "runtime/ops/lib/ml.h"

static enum bnr_status targets_of(const struct bnr_node *n, size_t *targets,
                                  struct bnr_error *err) {
    const int64_t v = bnr__attr_int(n, "targets", 1);
    if (v < 1 || v > INT32_MAX)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'targets' is %lld", (long long)v);
    *targets = (size_t)v;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_ml_transform transform;
    struct bnr_shape y = {.rank = 2};
    size_t targets = 1;
    BNR_TRY(bnr__ml_transform_attr(cx->node, &transform, cx->err));
    BNR_TRY(targets_of(cx->node, &targets, cx->err));
    BNR_TRY(bnr__ml_infer_samples(cx, &y.dims[0]));
    y.dims[1] = bnr__dim_of((int64_t)targets);
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_ml_floats weights = bnr__ml_floats(a->node, "coefficients");
    const struct bnr_ml_floats intercepts = bnr__ml_floats(a->node, "intercepts");
    enum bnr_ml_transform transform;
    struct bnr_ml_samples s;
    size_t targets = 1;
    BNR_TRY(bnr__ml_transform_attr(a->node, &transform, a->err));
    BNR_TRY(targets_of(a->node, &targets, a->err));
    BNR_TRY(bnr__ml_samples(a, &s));
    if (weights.n / targets != s.columns || weights.n % targets != 0 ||
        (intercepts.n != 0 && intercepts.n != targets))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "%zu coefficients and %zu intercepts for %zu targets and %zu features",
                            weights.n, intercepts.n, targets, s.columns);
    BNR_TRY(
        bnr__out_alloc(a, 0, BNR_FLOAT, 2, (const int64_t[]){(int64_t)s.rows, (int64_t)targets}));
    double *scores = bnr__temp_f64(a, targets);
    if (scores == NULL)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < s.rows; r++) {
        for (size_t t = 0; t < targets; t++) {
            scores[t] = intercepts.n > 0 ? (double)intercepts.v[t] : 0;
            for (size_t c = 0; c < s.columns; c++)
                scores[t] += s.x[r * s.columns + c] * (double)weights.v[t * s.columns + c];
        }
        bnr__ml_transform(transform, scores, targets);
        bnr__store_f64(BNR_FLOAT, a->out[0]->f32 + r * targets, scores, targets);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(linear_regressor) = {
    .domain = BNR_ML_DOMAIN,
    .name = "LinearRegressor",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "coefficients:F intercepts:F post_transform:s targets:i",
    .infer = infer,
    .ref = ref,
};
