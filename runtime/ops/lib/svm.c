// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/svm.h"

#include <math.h>

enum bnr_status bnr__svm_read(const struct bnr_node *n, struct bnr_svm *svm,
                              struct bnr_error *err) {
    static const char *const kernels[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
    const struct bnr_ml_floats params = bnr__ml_floats(n, "kernel_params");
    int kernel = 0;
    BNR_TRY(bnr__ml_choice(n, "kernel_type", kernels, &kernel, err));
    *svm = (struct bnr_svm){.kernel = (enum bnr_svm_kernel)kernel};
    svm->coefficients = bnr__ml_floats(n, "coefficients");
    svm->vectors = bnr__ml_floats(n, "support_vectors");
    svm->rho = bnr__ml_floats(n, "rho");
    if (params.n != 0 && params.n != 3)
        return bnr__op_fail(n, err, BNR_SHAPE, "%zu kernel_params, expected 3", params.n);
    if (params.n == 3) {
        svm->gamma = (double)params.v[0];
        svm->coef0 = (double)params.v[1];
        svm->degree = (double)params.v[2];
    }
    if (svm->rho.n == 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'rho' is empty");
    return BNR_OK;
}

double bnr__svm_kernel(const struct bnr_svm *svm, enum bnr_svm_kernel kernel, const double *x,
                       const float *v, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = x[i] - (double)v[i];
        sum += kernel == BNR_SVM_RBF ? d * d : x[i] * (double)v[i];
    }
    switch (kernel) {
    case BNR_SVM_POLY:
        return pow(svm->gamma * sum + svm->coef0, svm->degree);
    case BNR_SVM_RBF:
        return exp(-svm->gamma * sum);
    case BNR_SVM_SIGMOID:
        return tanh(svm->gamma * sum + svm->coef0);
    default:
        return sum;
    }
}
