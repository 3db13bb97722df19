// SPDX-License-Identifier: Apache-2.0
// The kernels of support vector machines.
#ifndef BNR_OPS_LIB_SVM_H
#define BNR_OPS_LIB_SVM_H

#include "runtime/ops/lib/ml.h"

enum bnr_svm_kernel { BNR_SVM_LINEAR, BNR_SVM_POLY, BNR_SVM_RBF, BNR_SVM_SIGMOID };

struct bnr_svm {
    enum bnr_svm_kernel kernel;
    double gamma, coef0, degree;
    struct bnr_ml_floats coefficients, vectors, rho;
};

// The attributes that SVMClassifier and SVMRegressor share. rho has at least one value.
enum bnr_status bnr__svm_read(const struct bnr_node *n, struct bnr_svm *svm, struct bnr_error *err);
// kernel(x, v) over n features.
double bnr__svm_kernel(const struct bnr_svm *svm, enum bnr_svm_kernel kernel, const double *x,
                       const float *v, size_t n);

#endif
