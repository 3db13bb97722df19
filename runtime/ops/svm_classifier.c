// SPDX-License-Identifier: Apache-2.0
// SVMClassifier. With support vectors every pair of classes gets a score and a vote, the class with
// most votes wins, and the scores are those of the pairs, or probabilities where prob_a and prob_b
// are given. Without, each class has a weight vector. What the specification leaves open is as in
// ONNX's reference.
#include <math.h>
#include <string.h>

#include "runtime/ops/lib/svm.h"

struct model {
    struct bnr_svm svm;
    struct bnr_ml_labels labels;
    enum bnr_ml_transform transform;
    struct bnr_ml_floats a, b; // of the probabilities
    const int64_t *per_class;  // support vectors
    size_t classes, pairs, supports, columns;
    bool linear, probabilities, positive;
};

static enum bnr_status read_model(const struct bnr_node *n, struct model *m,
                                  struct bnr_error *err) {
    size_t groups;
    *m = (struct model){0};
    BNR_TRY(bnr__svm_read(n, &m->svm, err));
    BNR_TRY(bnr__ml_transform_attr(n, &m->transform, err));
    BNR_TRY(bnr__ml_labels(n, "classlabels_ints", "classlabels_strings", &m->labels, err));
    m->classes = m->labels.n;
    m->a = bnr__ml_floats(n, "prob_a");
    m->b = bnr__ml_floats(n, "prob_b");
    m->per_class = bnr__attr_ints(n, "vectors_per_class", &groups);
    for (size_t i = 0; i < groups; i++) {
        if (m->per_class[i] < 0 || m->per_class[i] > INT32_MAX)
            return bnr__op_fail(n, err, BNR_SHAPE, "class %zu has %lld support vectors", i,
                                (long long)m->per_class[i]);
        m->supports += (size_t)m->per_class[i];
    }
    m->linear = m->supports == 0;
    m->probabilities = !m->linear && m->a.n > 0;
    if (m->classes > 4096)
        return bnr__op_fail(n, err, BNR_UNSUPPORTED, "%zu classes", m->classes);
    m->pairs = m->classes * (m->classes - 1) / 2;
    if (!m->linear && (groups != m->classes || m->classes < 2 || m->svm.rho.n < m->pairs ||
                       m->svm.coefficients.n != (m->classes - 1) * m->supports))
        return bnr__op_fail(
            n, err, BNR_SHAPE,
            "%zu classes, %zu support vectors in %zu groups, %zu coefficients, %zu rho", m->classes,
            m->supports, groups, m->svm.coefficients.n, m->svm.rho.n);
    if (m->probabilities && (m->a.n != m->pairs || m->b.n != m->pairs))
        return bnr__op_fail(n, err, BNR_SHAPE, "%zu prob_a and %zu prob_b for %zu pairs of classes",
                            m->a.n, m->b.n, m->pairs);
    m->positive = true;
    for (size_t i = 0; i < m->svm.coefficients.n; i++)
        m->positive = m->positive && m->svm.coefficients.v[i] >= 0;
    m->columns = m->linear || m->probabilities ? m->classes : m->pairs;
    if (m->columns == 1 && m->svm.rho.n == 1 && m->classes == 2 && m->transform != BNR_ML_PROBIT)
        m->columns = 2; // -s and s
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct model m;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    BNR_TRY(read_model(cx->node, &m, cx->err));
    return bnr__ml_infer_classes(cx, &m.labels, m.columns);
}

// ---- scores of the pairs ------------------------------------------------------------------------

static void score_pairs(const struct model *m, const double *kernels, double *scores,
                        double *votes) {
    const float *c = m->svm.coefficients.v; // [classes - 1, supports]
    size_t pair = 0, from_i = 0;
    memset(votes, 0, m->classes * sizeof *votes);
    for (size_t i = 0; i < m->classes; i++) {
        const size_t n_i = (size_t)m->per_class[i];
        size_t from_j = from_i + n_i;
        for (size_t j = i + 1; j < m->classes; j++, pair++) {
            const size_t n_j = (size_t)m->per_class[j];
            double sum = (double)m->svm.rho.v[pair];
            for (size_t k = from_i; k < from_i + n_i; k++)
                sum += (double)c[(j - 1) * m->supports + k] * kernels[k];
            for (size_t k = from_j; k < from_j + n_j; k++)
                sum += (double)c[i * m->supports + k] * kernels[k];
            scores[pair] = sum;
            votes[sum > 0 ? i : j]++;
            from_j += n_j;
        }
        from_i += n_i;
    }
}

// Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling"
// (2004), the second method: r[i][j] is the probability of i against j; p minimizes sum (r[j][i]
// p[i] - r[i][j] p[j])^2.
static void couple(const double *r, size_t k, double *q, double *qp, double *p) {
    for (size_t t = 0; t < k; t++) {
        p[t] = 1.0 / (double)k;
        q[t * k + t] = 0;
        for (size_t j = 0; j < k; j++)
            if (j != t) {
                q[t * k + t] += r[j * k + t] * r[j * k + t];
                q[t * k + j] = -r[j * k + t] * r[t * k + j];
            }
    }
    for (size_t iteration = 0; iteration < (k > 100 ? k : 100); iteration++) {
        double pqp = 0, worst = 0;
        for (size_t t = 0; t < k; t++) {
            qp[t] = 0;
            for (size_t j = 0; j < k; j++)
                qp[t] += q[t * k + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (size_t t = 0; t < k; t++)
            worst = fmax(worst, fabs(qp[t] - pqp));
        if (worst < 0.005 / (double)k)
            return;
        for (size_t t = 0; t < k; t++) {
            const double d = (pqp - qp[t]) / q[t * k + t];
            p[t] += d;
            pqp = (pqp + d * (d * q[t * k + t] + 2 * qp[t])) / (1 + d) / (1 + d);
            for (size_t j = 0; j < k; j++) {
                qp[j] = (qp[j] + d * q[t * k + j]) / (1 + d);
                p[j] /= 1 + d;
            }
        }
    }
}

struct buffers {
    double *kernels, *scores, *votes, *r, *q, *qp, *p;
};

static void estimate_probabilities(const struct model *m, struct buffers *b) {
    const size_t k = m->classes;
    size_t pair = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t j = i + 1; j < k; j++, pair++) {
            const double v = b->scores[pair] * (double)m->a.v[pair] + (double)m->b.v[pair];
            const double p = fmin(fmax(1 / (1 + exp(v)), 1e-7), 1 - 1e-7);
            b->r[i * k + j] = p;
            b->r[j * k + i] = 1 - p;
        }
    couple(b->r, k, b->q, b->qp, b->p);
    memcpy(b->scores, b->p, k * sizeof *b->p);
}

// ---- one sample ---------------------------------------------------------------------------------

static size_t score_sample(const struct model *m, const double *x, size_t features,
                           struct buffers *b) {
    if (m->linear) {
        for (size_t c = 0; c < m->classes; c++)
            b->scores[c] = (double)m->svm.rho.v[0] +
                           bnr__svm_kernel(&m->svm, BNR_SVM_LINEAR, x,
                                           m->svm.coefficients.v + c * features, features);
        return m->classes;
    }
    for (size_t i = 0; i < m->supports; i++)
        b->kernels[i] =
            bnr__svm_kernel(&m->svm, m->svm.kernel, x, m->svm.vectors.v + i * features, features);
    score_pairs(m, b->kernels, b->scores, b->votes);
    if (!m->probabilities)
        return m->pairs;
    estimate_probabilities(m, b);
    return m->classes;
}

// The label's index, -1 for 0; the scores become what the second output shows.
static ptrdiff_t decide(const struct model *m, size_t n, struct buffers *b) {
    const double *from = m->linear ? b->scores : b->votes;
    size_t best = bnr__ml_largest(from, m->linear ? n : m->classes);
    ptrdiff_t which = (ptrdiff_t)best;
    if (m->svm.rho.n == 1 && m->classes == 2 && !m->probabilities && m->positive &&
        from[best] >= 0.5)
        which = 1;
    if (m->svm.rho.n == 1 && m->classes == 1)
        which = from[best] > 0 ? 0 : -1;
    if (n == 1 && m->columns == 2) {
        b->scores[1] = b->scores[0];
        b->scores[0] = -b->scores[1];
        n = 2;
    }
    if (n >= 2 || m->transform == BNR_ML_PROBIT)
        bnr__ml_transform(m->transform, b->scores, n);
    return which;
}

static enum bnr_status make_buffers(const struct bnr_args *a, const struct model *m,
                                    struct buffers *b) {
    const size_t k = m->classes, wide = (m->pairs > k ? m->pairs : k) + 1;
    b->kernels = bnr__temp_f64(a, m->supports);
    b->scores = bnr__temp_f64(a, wide);
    b->votes = bnr__temp_f64(a, k);
    b->r = bnr__temp_f64(a, m->probabilities ? k * k : 1);
    b->q = bnr__temp_f64(a, m->probabilities ? k * k : 1);
    b->qp = bnr__temp_f64(a, k);
    b->p = bnr__temp_f64(a, k);
    return b->kernels && b->scores && b->votes && b->r && b->q && b->qp && b->p ? BNR_OK
                                                                                : BNR_NO_MEMORY;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_ml_samples s;
    struct bnr_tensor *y, *z;
    struct buffers b;
    struct model m;
    BNR_TRY(bnr__ml_samples(a, &s));
    BNR_TRY(read_model(a->node, &m, a->err));
    const struct bnr_ml_floats *vectors = m.linear ? &m.svm.coefficients : &m.svm.vectors;
    const size_t count = m.linear ? m.classes : m.supports;
    if (vectors->n / count != s.columns || vectors->n % count != 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "%zu numbers in %zu vectors for %zu features", vectors->n, count,
                            s.columns);
    BNR_TRY(bnr__ml_out_classes(a, &m.labels, s.rows, m.columns, &y, &z));
    BNR_TRY(make_buffers(a, &m, &b));
    for (size_t r = 0; r < s.rows; r++) {
        const size_t n = score_sample(&m, s.x + r * s.columns, s.columns, &b);
        const ptrdiff_t which = decide(&m, n, &b);
        if (y != NULL)
            bnr__ml_write_label(y, r, &m.labels, which);
        if (z != NULL)
            bnr__store_f64(BNR_FLOAT, z->f32 + r * m.columns, b.scores, m.columns);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(svm_classifier) = {
    .domain = BNR_ML_DOMAIN,
    .name = "SVMClassifier",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .attrs =
        "classlabels_ints:I classlabels_strings:S coefficients:F kernel_params:F kernel_type:s "
        "post_transform:s prob_a:F prob_b:F rho:F support_vectors:F vectors_per_class:I",
    .infer = infer,
    .ref = ref,
};
