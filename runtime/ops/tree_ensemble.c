// SPDX-License-Identifier: Apache-2.0
// TreeEnsemble: for each target the sum (average, smallest, largest) of the leaves that a sample
// reaches.
#include "runtime/ops/lib/forest.h"

#define TREE_TYPES (BNR_TYPE(FLOAT) | BNR_TYPE(DOUBLE) | BNR_TYPE(FLOAT16))

struct options {
    size_t targets;
    enum bnr_ml_transform transform;
    enum bnr_tree_aggregate aggregate;
};

static enum bnr_status read_options(const struct bnr_node *n, struct options *o,
                                    struct bnr_error *err) {
    const int64_t targets = bnr__attr_int(n, "n_targets", 1);
    const int64_t transform = bnr__attr_int(n, "post_transform", BNR_ML_NONE);
    const int64_t aggregate = bnr__attr_int(n, "aggregate_function", BNR_TREE_SUM);
    if (targets < 1 || targets > INT32_MAX || transform < 0 || transform > BNR_ML_PROBIT ||
        aggregate < 0 || aggregate > BNR_TREE_MAX)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "n_targets %lld, post_transform %lld, aggregate_function %lld",
                            (long long)targets, (long long)transform, (long long)aggregate);
    *o = (struct options){(size_t)targets, (enum bnr_ml_transform)transform,
                          (enum bnr_tree_aggregate)aggregate};
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct options o = {.targets = 1};
    struct bnr_shape y = {.rank = 2};
    BNR_TRY(bnr__infer_types(cx, 0, TREE_TYPES));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, 2));
    BNR_TRY(read_options(cx->node, &o, cx->err));
    y.dims[0] = x->shape.rank == 2   ? x->shape.dims[0]
                : x->shape.rank == 1 ? bnr__dim_of(1)
                                     : bnr__dim_unknown();
    y.dims[1] = bnr__dim_of((int64_t)o.targets);
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_ml_samples s;
    struct bnr_forest f;
    struct options o = {.targets = 1};
    BNR_TRY(bnr__ml_samples(a, &s));
    BNR_TRY(read_options(a->node, &o, a->err));
    BNR_TRY(bnr__forest_read_leaves(a, o.targets, s.columns, &f));
    f.aggregate = o.aggregate;
    const int64_t dims[] = {(int64_t)s.rows, (int64_t)o.targets};
    BNR_TRY(bnr__out_alloc(a, 0, a->in[0]->dtype, 2, dims));
    double *scores = bnr__temp_f64(a, o.targets);
    bool *has = bnr__temp(a, o.targets, sizeof *has);
    if (scores == NULL || has == NULL)
        return BNR_NO_MEMORY;
    for (size_t r = 0; r < s.rows; r++) {
        BNR_TRY(bnr__forest_score(a, &f, s.x + r * s.columns, scores, has));
        bnr__ml_transform(o.transform, scores, o.targets);
        bnr__store_f64(a->out[0]->dtype, bnr__at_mut(a->out[0], r * o.targets), scores, o.targets);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(tree_ensemble) = {
    .domain = BNR_ML_DOMAIN,
    .name = "TreeEnsemble",
    .since = {5},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs =
        "aggregate_function:i leaf_targetids:I! leaf_weights:t! membership_values:t n_targets:i "
        "nodes_falseleafs:I! nodes_falsenodeids:I! nodes_featureids:I! "
        "nodes_missing_value_tracks_true:I nodes_modes:t! nodes_splits:t! nodes_trueleafs:I! "
        "nodes_truenodeids:I! post_transform:i tree_roots:I!",
    .infer = infer,
    .ref = ref,
};
