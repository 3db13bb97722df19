// SPDX-License-Identifier: Apache-2.0
// TreeEnsembleClassifier: the class with most votes from the leaves that a sample reaches. Where
// all votes are for one class of two (or there is one label), the sum s decides: above 0.5 and with
// scores 1 - s, s when no weight is negative, above 0 and with scores -s, s otherwise.
#include "runtime/ops/lib/forest.h"

static enum bnr_status read_labels(const struct bnr_node *n, struct bnr_ml_labels *labels,
                                   struct bnr_error *err) {
    return bnr__ml_labels(n, "classlabels_int64s", "classlabels_strings", labels, err);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_ml_transform transform;
    struct bnr_ml_labels labels;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_ML));
    BNR_TRY(bnr__ml_transform_attr(cx->node, &transform, cx->err));
    BNR_TRY(read_labels(cx->node, &labels, cx->err));
    return bnr__ml_infer_classes(cx, &labels, labels.n == 1 ? 2 : labels.n);
}

struct model {
    struct bnr_forest forest;
    struct bnr_ml_labels labels;
    enum bnr_ml_transform transform;
    const double *base;
    size_t n_base, columns, voted; // voted: the class that has all votes, where `binary`
    bool binary, positive;
};

static enum bnr_status read_model(const struct bnr_args *a, size_t features, struct model *m) {
    BNR_TRY(bnr__ml_transform_attr(a->node, &m->transform, a->err));
    BNR_TRY(read_labels(a->node, &m->labels, a->err));
    BNR_TRY(bnr__forest_read_votes(a, "class", m->labels.n, features, &m->forest));
    BNR_TRY(bnr__forest_list(a, "base_values", &m->base, &m->n_base));
    if (m->n_base > 1 && m->n_base != m->labels.n)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu base values for %zu classes",
                            m->n_base, m->labels.n);
    m->columns = m->labels.n == 1 ? 2 : m->labels.n;
    m->binary = m->labels.n <= 2 && m->forest.n_votes > 0;
    m->positive = true;
    for (size_t i = 0; i < m->forest.n_votes; i++) {
        m->binary = m->binary && m->forest.votes[i].target == m->forest.votes[0].target;
        m->positive = m->positive && m->forest.votes[i].weight >= 0;
    }
    m->voted = m->binary ? m->forest.votes[0].target : 0;
    return BNR_OK;
}

// Scores [columns]; returns the class, -1 for "not the only one".
static ptrdiff_t decide(const struct model *m, double *scores) {
    if (!m->binary) {
        for (size_t t = 0; t < m->labels.n && m->n_base > 0; t++)
            scores[t] += m->base[m->n_base == 1 ? 0 : t];
        const size_t best = bnr__ml_largest(scores, m->labels.n);
        bnr__ml_transform(m->transform, scores, m->columns);
        return (ptrdiff_t)best;
    }
    const double s = scores[m->voted] + (m->n_base > 0 ? m->base[m->n_base - 1] : 0);
    const bool yes = s > (m->positive ? 0.5 : 0);
    scores[0] = m->positive ? 1 - s : -s;
    scores[1] = s;
    if (!m->positive)
        bnr__ml_transform(m->transform, scores, 2);
    return m->labels.n == 2 ? yes : yes ? 0 : -1;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_ml_samples s;
    struct bnr_tensor *y, *z;
    struct model m;
    BNR_TRY(bnr__ml_samples(a, &s));
    BNR_TRY(read_model(a, s.columns, &m));
    BNR_TRY(bnr__ml_out_classes(a, &m.labels, s.rows, m.columns, &y, &z));
    double *scores = bnr__temp_f64(a, m.columns);
    bool *has = bnr__temp(a, m.columns, sizeof *has);
    if (scores == NULL || has == NULL)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < s.rows; r++) {
        BNR_TRY(bnr__forest_score(a, &m.forest, s.x + r * s.columns, scores, has));
        const ptrdiff_t which = decide(&m, scores);
        if (y != NULL)
            bnr__ml_write_label(y, r, &m.labels, which);
        if (z != NULL)
            bnr__store_f64(BNR_FLOAT, z->f32 + r * m.columns, scores, m.columns);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(tree_ensemble_classifier) = {
    .domain = BNR_ML_DOMAIN,
    .name = "TreeEnsembleClassifier",
    .since = {1, 3, 5},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .attrs =
        "base_values:F base_values_as_tensor:t class_ids:I class_nodeids:I class_treeids:I "
        "class_weights:F class_weights_as_tensor:t classlabels_int64s:I classlabels_strings:S "
        "nodes_falsenodeids:I nodes_featureids:I nodes_missing_value_tracks_true:I nodes_modes:S "
        "nodes_nodeids:I nodes_treeids:I nodes_truenodeids:I nodes_values:F "
        "nodes_values_as_tensor:t post_transform:s",
    .infer = infer,
    .ref = ref,
};
