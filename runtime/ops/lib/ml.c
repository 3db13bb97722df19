// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/ml.h"

#include <math.h>
#include <string.h>

enum bnr_status bnr__ml_samples(const struct bnr_args *a, struct bnr_ml_samples *s) {
    const struct bnr_tensor *x = a->in[0];
    if (x->rank != 1 && x->rank != 2)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input 0 has rank %d, expected 1 or 2",
                            x->rank);
    s->rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    s->columns = (size_t)x->dims[x->rank - 1];
    s->x = bnr__all_f64(a, x);
    return s->x != NULL ? BNR_OK : BNR_NO_MEMORY;
}

enum bnr_status bnr__ml_infer_samples(struct bnr_infer *cx, struct bnr_dim *rows) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, 2));
    *rows = x->rank == 2 ? x->dims[0] : x->rank == 1 ? bnr__dim_of(1) : bnr__dim_unknown();
    return BNR_OK;
}

struct bnr_ml_floats bnr__ml_floats(const struct bnr_node *n, const char *name) {
    struct bnr_ml_floats f;
    f.v = bnr__attr_floats(n, name, &f.n);
    return f;
}

enum bnr_status bnr__ml_choice(const struct bnr_node *n, const char *name, const char *const *texts,
                               int *out, struct bnr_error *err) {
    const char *text = bnr__attr_string(n, name, texts[0]);
    for (*out = 0; texts[*out] != NULL; ++*out)
        if (strcmp(text, texts[*out]) == 0)
            return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "attribute '%s' is \"%s\", which is none of its values",
                        name, text);
}

// ---- scores -------------------------------------------------------------------------------------

enum bnr_status bnr__ml_transform_attr(const struct bnr_node *n, enum bnr_ml_transform *t,
                                       struct bnr_error *err) {
    static const char *const texts[] = {"NONE",         "SOFTMAX", "LOGISTIC",
                                        "SOFTMAX_ZERO", "PROBIT",  NULL};
    int which;
    BNR_TRY(bnr__ml_choice(n, "post_transform", texts, &which, err));
    *t = (enum bnr_ml_transform)which;
    return BNR_OK;
}

size_t bnr__ml_largest(const double *scores, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

// The approximation of the inverse error function that ONNX Runtime and the reference use
// (Winitzki).
static double probit(double p) {
    const double x = 2 * p - 1, product = (1 - x) * (1 + x);
    if (product == 0)
        return 0;
    const double a = 0.147, logarithm = log(product);
    const double v = 2 / (3.14159265358979323846 * a) + 0.5 * logarithm;
    const double y = sqrt(sqrt(v * v - logarithm / a) - v);
    return 1.41421356 * (x < 0 ? -y : y);
}

static double logistic(double v) {
    const double y = 1 / (1 + exp(-fabs(v)));
    return v < 0 ? 1 - y : y;
}

static void softmax(double *v, size_t n, bool keep_zeros) {
    const double largest = v[bnr__ml_largest(v, n)];
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const bool zero = keep_zeros && fabs(v[i]) <= 1e-7;
        v[i] = zero ? v[i] * exp(-largest) : exp(v[i] - largest);
        sum += v[i];
    }
    for (size_t i = 0; i < n; i++)
        v[i] = sum == 0 ? 0.5 : v[i] / sum;
}

void bnr__ml_transform(enum bnr_ml_transform t, double *scores, size_t n) {
    if (n > 0 && (t == BNR_ML_SOFTMAX || t == BNR_ML_SOFTMAX_ZERO))
        softmax(scores, n, t == BNR_ML_SOFTMAX_ZERO);
    for (size_t i = 0; i < n && t == BNR_ML_LOGISTIC; i++)
        scores[i] = logistic(scores[i]);
    for (size_t i = 0; i < n && t == BNR_ML_PROBIT; i++)
        scores[i] = probit(scores[i]);
}

// ---- labels -------------------------------------------------------------------------------------

enum bnr_status bnr__ml_labels(const struct bnr_node *n, const char *ints, const char *strings,
                               struct bnr_ml_labels *labels, struct bnr_error *err) {
    size_t n_ints;
    const int64_t *v = bnr__attr_ints(n, ints, &n_ints);
    const struct bnr_attr *s = bnr__attr(n, strings);
    const size_t n_strings = s != NULL ? s->n : 0;
    if ((n_ints > 0) == (n_strings > 0))
        return bnr__op_fail(n, err, BNR_SHAPE, "one of the attributes '%s' and '%s' is needed",
                            ints, strings);
    *labels = (struct bnr_ml_labels){.ints = n_ints > 0 ? v : NULL, .n = n_ints + n_strings};
    if (n_strings > 0)
        labels->strings = s->strings;
    return BNR_OK;
}

enum bnr_dtype bnr__ml_label_dtype(const struct bnr_ml_labels *labels) {
    return labels->strings != NULL ? BNR_STRING : BNR_INT64;
}

void bnr__ml_write_label(struct bnr_tensor *y, size_t i, const struct bnr_ml_labels *labels,
                         ptrdiff_t which) {
    if (y->dtype == BNR_STRING)
        y->str[i] = which < 0 ? (struct bnr_str){"", 0} : labels->strings[which];
    else
        y->i64[i] = which < 0 ? 0 : labels->ints[which];
}

enum bnr_status bnr__ml_infer_classes(struct bnr_infer *cx, const struct bnr_ml_labels *labels,
                                      size_t columns) {
    struct bnr_shape y = {.rank = 1}, z = {.rank = 2};
    BNR_TRY(bnr__ml_infer_samples(cx, &y.dims[0]));
    z.dims[0] = y.dims[0];
    z.dims[1] = bnr__dim_of((int64_t)columns);
    bnr__infer_set(cx, 0, bnr__ml_label_dtype(labels), &y);
    bnr__infer_set(cx, 1, BNR_FLOAT, &z);
    return BNR_OK;
}

enum bnr_status bnr__ml_out_classes(const struct bnr_args *a, const struct bnr_ml_labels *labels,
                                    size_t rows, size_t columns, struct bnr_tensor **label,
                                    struct bnr_tensor **scores) {
    const int64_t dims[] = {(int64_t)rows, (int64_t)columns};
    BNR_TRY(bnr__out(a, 0, bnr__ml_label_dtype(labels), 1, dims, label));
    return bnr__out(a, 1, BNR_FLOAT, 2, dims, scores);
}
