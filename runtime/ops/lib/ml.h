// SPDX-License-Identifier: Apache-2.0
// What the operators of ai.onnx.ml share: matrices of samples, class labels that are integers or
// strings, and the transforms of scores.
#ifndef BNR_OPS_LIB_ML_H
#define BNR_OPS_LIB_ML_H

#include "runtime/ops/lib/compute.h"

#define BNR_ML_DOMAIN "ai.onnx.ml"
// The dtypes of samples.
#define BNR_TYPES_ML (BNR_TYPE(FLOAT) | BNR_TYPE(DOUBLE) | BNR_TYPE(INT64) | BNR_TYPE(INT32))

// Input 0 as [rows, columns]: [N, C], or [C] as one row. In double.
struct bnr_ml_samples {
    size_t rows, columns;
    const double *x;
};
enum bnr_status bnr__ml_samples(const struct bnr_args *a, struct bnr_ml_samples *s);
// Dtype and rank of input 0; its number of rows.
enum bnr_status bnr__ml_infer_samples(struct bnr_infer *cx, struct bnr_dim *rows);

// ---- attributes ---------------------------------------------------------------------------------

struct bnr_ml_floats {
    const float *v;
    size_t n;
};
struct bnr_ml_floats bnr__ml_floats(const struct bnr_node *n, const char *name);
// Attribute `name` must be one of the NULL-terminated texts; the first where it is absent. *out:
// which.
enum bnr_status bnr__ml_choice(const struct bnr_node *n, const char *name, const char *const *texts,
                               int *out, struct bnr_error *err);

// ---- scores -------------------------------------------------------------------------------------

// The numbers are those of TreeEnsemble's `post_transform`.
enum bnr_ml_transform {
    BNR_ML_NONE = 0,
    BNR_ML_SOFTMAX = 1,
    BNR_ML_LOGISTIC = 2,
    BNR_ML_SOFTMAX_ZERO = 3, // zeros stay zero
    BNR_ML_PROBIT = 4,
};
enum bnr_status bnr__ml_transform_attr(const struct bnr_node *n, enum bnr_ml_transform *t,
                                       struct bnr_error *err);
void bnr__ml_transform(enum bnr_ml_transform t, double *scores, size_t n);
size_t bnr__ml_largest(const double *scores, size_t n); // the first of equal ones

// ---- labels -------------------------------------------------------------------------------------

struct bnr_ml_labels {
    const int64_t *ints;
    const struct bnr_str *strings; // one of the two is NULL
    size_t n;
};
// One and only one of the two attributes.
enum bnr_status bnr__ml_labels(const struct bnr_node *n, const char *ints, const char *strings,
                               struct bnr_ml_labels *labels, struct bnr_error *err);
enum bnr_dtype bnr__ml_label_dtype(const struct bnr_ml_labels *labels);
// Element i of y becomes a label; which < 0: 0 or "".
void bnr__ml_write_label(struct bnr_tensor *y, size_t i, const struct bnr_ml_labels *labels,
                         ptrdiff_t which);
// A classifier's outputs: a label and `columns` scores for each row.
enum bnr_status bnr__ml_infer_classes(struct bnr_infer *cx, const struct bnr_ml_labels *labels,
                                      size_t columns);
enum bnr_status bnr__ml_out_classes(const struct bnr_args *a, const struct bnr_ml_labels *labels,
                                    size_t rows, size_t columns, struct bnr_tensor **label,
                                    struct bnr_tensor **scores);

#endif
