// SPDX-License-Identifier: Apache-2.0
// SVMRegressor: rho plus the weighted kernels of a sample with the support vectors; without support
// vectors the coefficients are the one vector. A one-class machine answers 1 or -1.
#include "runtime/ops/lib/svm.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = {.rank = 2};
    enum bnr_ml_transform transform;
    struct bnr_svm svm;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    BNR_TRY(bnr__svm_read(cx->node, &svm, cx->err));
    BNR_TRY(bnr__ml_transform_attr(cx->node, &transform, cx->err));
    BNR_TRY(bnr__ml_infer_samples(cx, &y.dims[0]));
    y.dims[1] = bnr__dim_of(1);
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

static double score(const struct bnr_svm *svm, const double *x, size_t features, size_t supports) {
    double sum = (double)svm->rho.v[0];
    if (supports == 0)
        return sum + bnr__svm_kernel(svm, BNR_SVM_LINEAR, x, svm->coefficients.v, features);
    for (size_t i = 0; i < supports; i++)
        sum += (double)svm->coefficients.v[i] *
               bnr__svm_kernel(svm, svm->kernel, x, svm->vectors.v + i * features, features);
    return sum;
}

static enum bnr_status ref(const struct bnr_args *a) {
    enum bnr_ml_transform transform;
    struct bnr_ml_samples s;
    struct bnr_svm svm;
    const int64_t n = bnr__attr_int(a->node, "n_supports", 0);
    const bool one_class = bnr__attr_int(a->node, "one_class", 0) != 0;
    BNR_TRY(bnr__svm_read(a->node, &svm, a->err));
    BNR_TRY(bnr__ml_transform_attr(a->node, &transform, a->err));
    BNR_TRY(bnr__ml_samples(a, &s));
    const size_t supports = n > 0 ? (size_t)n : 0;
    if (svm.coefficients.n != (supports > 0 ? supports : s.columns) ||
        (supports > 0 && (svm.vectors.n / supports != s.columns || svm.vectors.n % supports != 0)))
        return bnr__op_fail(
            a->node, a->err, BNR_SHAPE,
            "%zu coefficients and %zu numbers in %zu support vectors for %zu features",
            svm.coefficients.n, svm.vectors.n, supports, s.columns);
    BNR_TRY(bnr__out_alloc(a, 0, BNR_FLOAT, 2, (const int64_t[]){(int64_t)s.rows, 1}));
    for (size_t r = 0; r < s.rows; r++) {
        double v = score(&svm, s.x + r * s.columns, s.columns, supports);
        if (one_class)
            v = v > 0 ? 1 : -1;
        bnr__ml_transform(transform, &v, 1);
        a->out[0]->f32[r] = (float)v;
    }
    return BNR_OK;
}

BNR_DEFINE_OP(svm_regressor) = {
    .domain = BNR_ML_DOMAIN,
    .name = "SVMRegressor",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs =
        "coefficients:F kernel_params:F kernel_type:s n_supports:i one_class:i post_transform:s "
        "rho:F support_vectors:F",
    .infer = infer,
    .ref = ref,
};
