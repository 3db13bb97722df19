// SPDX-License-Identifier: Apache-2.0
// TreeEnsembleRegressor: for each target the sum (average, smallest, largest) of the votes of the
// leaves that a sample reaches, then `base_values`.
#include "runtime/ops/lib/forest.h"

static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX", NULL};

struct options {
    size_t targets;
    enum bnr_ml_transform transform;
    enum bnr_tree_aggregate aggregate;
};

static enum bnr_status read_options(const struct bnr_node *n, struct options *o,
                                    struct bnr_error *err) {
    static const enum bnr_tree_aggregate order[] = {BNR_TREE_SUM, BNR_TREE_AVERAGE, BNR_TREE_MIN,
                                                    BNR_TREE_MAX};
    const int64_t targets = bnr__attr_int(n, "n_targets", 1);
    int which = 0;
    if (targets < 1 || targets > INT32_MAX)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'n_targets' is %lld", (long long)targets);
    BNR_TRY(bnr__ml_choice(n, "aggregate_function", aggregates, &which, err));
    BNR_TRY(bnr__ml_transform_attr(n, &o->transform, err));
    o->targets = (size_t)targets;
    o->aggregate = order[which];
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct options o = {.targets = 1};
    struct bnr_shape y = {.rank = 2};
    BNR_TRY(read_options(cx->node, &o, cx->err));
    BNR_TRY(bnr__ml_infer_samples(cx, &y.dims[0]));
    y.dims[1] = bnr__dim_of((int64_t)o.targets);
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_ml_samples s;
    struct bnr_forest f;
    struct options o = {.targets = 1};
    const double *base;
    size_t n_base;
    BNR_TRY(bnr__ml_samples(a, &s));
    BNR_TRY(read_options(a->node, &o, a->err));
    BNR_TRY(bnr__forest_read_votes(a, "target", o.targets, s.columns, &f));
    f.aggregate = o.aggregate;
    BNR_TRY(bnr__forest_list(a, "base_values", &base, &n_base));
    if (n_base > 1 && n_base != o.targets)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu base values for %zu targets", n_base,
                            o.targets);
    BNR_TRY(
        bnr__out_alloc(a, 0, BNR_FLOAT, 2, (const int64_t[]){(int64_t)s.rows, (int64_t)o.targets}));
    double *scores = bnr__temp_f64(a, o.targets);
    bool *has = bnr__temp(a, o.targets, sizeof *has);
    if (scores == NULL || has == NULL)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < s.rows; r++) {
        BNR_TRY(bnr__forest_score(a, &f, s.x + r * s.columns, scores, has));
        for (size_t t = 0; t < o.targets && n_base > 0; t++)
            scores[t] += base[n_base == 1 ? 0 : t];
        bnr__ml_transform(o.transform, scores, o.targets);
        bnr__store_f64(BNR_FLOAT, a->out[0]->f32 + r * o.targets, scores, o.targets);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(tree_ensemble_regressor) = {
    .domain = BNR_ML_DOMAIN,
    .name = "TreeEnsembleRegressor",
    .since = {1, 3, 5},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs =
        "aggregate_function:s base_values:F base_values_as_tensor:t n_targets:i "
        "nodes_falsenodeids:I nodes_featureids:I nodes_missing_value_tracks_true:I nodes_modes:S "
        "nodes_nodeids:I nodes_treeids:I nodes_truenodeids:I nodes_values:F "
        "nodes_values_as_tensor:t post_transform:s target_ids:I target_nodeids:I "
        "target_treeids:I target_weights:F target_weights_as_tensor:t",
    .infer = infer,
    .ref = ref,
};
