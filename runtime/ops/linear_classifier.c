// SPDX-License-Identifier: Apache-2.0
// LinearClassifier: a weighted sum of the features plus an intercept for each class; the class with
// the largest. One set of weights for two classes gives the scores -s and s; for one class its
// label means s > 0 (after a transform: 0.5 or more).
#include "runtime/ops/lib/ml.h"

static size_t columns_of(size_t sets, size_t labels) {
    return sets == 1 && labels == 2 ? 2 : sets;
}

// The number of sets is that of the intercepts, else of the labels.
static size_t sets_of(const struct bnr_ml_floats *intercepts, const struct bnr_ml_labels *labels) {
    return intercepts->n > 0 ? intercepts->n : labels->n;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_ml_floats intercepts = bnr__ml_floats(cx->node, "intercepts");
    enum bnr_ml_transform transform;
    struct bnr_ml_labels labels;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    BNR_TRY(bnr__ml_transform_attr(cx->node, &transform, cx->err));
    BNR_TRY(bnr__ml_labels(cx->node, "classlabels_ints", "classlabels_strings", &labels, cx->err));
    return bnr__ml_infer_classes(cx, &labels, columns_of(sets_of(&intercepts, &labels), labels.n));
}

struct model {
    struct bnr_ml_floats weights, intercepts;
    struct bnr_ml_labels labels;
    enum bnr_ml_transform transform;
    size_t sets, columns;
};

static enum bnr_status read_model(const struct bnr_args *a, size_t features, struct model *m) {
    m->weights = bnr__ml_floats(a->node, "coefficients");
    m->intercepts = bnr__ml_floats(a->node, "intercepts");
    BNR_TRY(bnr__ml_transform_attr(a->node, &m->transform, a->err));
    BNR_TRY(bnr__ml_labels(a->node, "classlabels_ints", "classlabels_strings", &m->labels, a->err));
    m->sets = sets_of(&m->intercepts, &m->labels);
    m->columns = columns_of(m->sets, m->labels.n);
    if (m->weights.n / m->sets != features || m->weights.n % m->sets != 0 ||
        m->columns > m->labels.n)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "%zu coefficients and %zu intercepts for %zu classes and %zu features",
                            m->weights.n, m->intercepts.n, m->labels.n, features);
    return BNR_OK;
}

static ptrdiff_t classify(const struct model *m, const double *x, size_t features, double *scores) {
    for (size_t k = 0; k < m->sets; k++) {
        scores[k] = m->intercepts.n > 0 ? (double)m->intercepts.v[k] : 0;
        for (size_t c = 0; c < features; c++)
            scores[k] += x[c] * (double)m->weights.v[k * features + c];
    }
    if (m->sets < m->columns) {
        scores[1] = scores[0];
        scores[0] = -scores[0];
    }
    bnr__ml_transform(m->transform, scores, m->columns);
    if (m->columns > 1)
        return (ptrdiff_t)bnr__ml_largest(scores, m->columns);
    return scores[0] >= (m->transform == BNR_ML_NONE ? 0 : 0.5) ? 0 : -1;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_ml_samples s;
    struct bnr_tensor *y, *z;
    struct model m;
    BNR_TRY(bnr__ml_samples(a, &s));
    BNR_TRY(read_model(a, s.columns, &m));
    BNR_TRY(bnr__ml_out_classes(a, &m.labels, s.rows, m.columns, &y, &z));
    double *scores = bnr__temp_f64(a, m.columns);
    if (scores == NULL)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < s.rows; r++) {
        const ptrdiff_t which = classify(&m, s.x + r * s.columns, s.columns, scores);
        if (y != NULL)
            bnr__ml_write_label(y, r, &m.labels, which);
        if (z != NULL)
            bnr__store_f64(BNR_FLOAT, z->f32 + r * m.columns, scores, m.columns);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(linear_classifier) = {
    .domain = BNR_ML_DOMAIN,
    .name = "LinearClassifier",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .attrs = "classlabels_ints:I classlabels_strings:S coefficients:F! "
             "intercepts:F multi_class:i post_transform:s",
    .infer = infer,
    .ref = ref,
};
