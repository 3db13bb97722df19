// SPDX-License-Identifier: Apache-2.0
// Decision trees: the two encodings of ai.onnx.ml brought into one form, and their evaluation.
#ifndef BNR_OPS_LIB_FOREST_H
#define BNR_OPS_LIB_FOREST_H

#include "runtime/ops/lib/ml.h"

enum bnr_tree_mode { // the numbers of TreeEnsemble's `nodes_modes`
    BNR_TREE_LEQ = 0,
    BNR_TREE_LT = 1,
    BNR_TREE_GTE = 2,
    BNR_TREE_GT = 3,
    BNR_TREE_EQ = 4,
    BNR_TREE_NEQ = 5,
    BNR_TREE_MEMBER = 6,
    BNR_TREE_LEAF = 7,
};

struct bnr_tree_vote {
    size_t target;
    double weight;
};

struct bnr_tree_node {
    enum bnr_tree_mode mode;
    bool missing_is_true; // NaN goes the way of `yes`
    size_t feature;
    double value;
    size_t first, count; // LEAF: its votes; MEMBER: its members
    size_t yes, no;      // indices of nodes
};

enum bnr_tree_aggregate { // the numbers of TreeEnsemble's `aggregate_function`
    BNR_TREE_AVERAGE = 0,
    BNR_TREE_SUM = 1,
    BNR_TREE_MIN = 2,
    BNR_TREE_MAX = 3,
};

struct bnr_forest {
    struct bnr_tree_node *nodes;
    size_t n_nodes;
    size_t *roots;
    size_t n_roots;
    struct bnr_tree_vote *votes;
    size_t n_votes;
    const double *members;
    size_t n_targets;
    enum bnr_tree_aggregate aggregate;
};

// The attributes nodes_* and PREFIX_ids, PREFIX_nodeids, PREFIX_treeids, PREFIX_weights of
// TreeEnsembleClassifier ("class") and TreeEnsembleRegressor ("target"). Targets are below
// n_targets, features below n_features; memory is a->temp's.
enum bnr_status bnr__forest_read_votes(const struct bnr_args *a, const char *prefix,
                                       size_t n_targets, size_t n_features, struct bnr_forest *f);
// The attributes of TreeEnsemble.
enum bnr_status bnr__forest_read_leaves(const struct bnr_args *a, size_t n_targets,
                                        size_t n_features, struct bnr_forest *f);

// Aggregates the votes for one sample: scores[n_targets], 0 for targets without votes (has[t]
// false). Trees with cycles are an error.
enum bnr_status bnr__forest_score(const struct bnr_args *a, const struct bnr_forest *f,
                                  const double *x, double *scores, bool *has);

// A list of floats given as attribute `name` or, as a tensor of any float dtype, as
// `name`_as_tensor. NULL with *n = 0 when there is neither; BNR_NO_MEMORY.
enum bnr_status bnr__forest_list(const struct bnr_args *a, const char *name, const double **v,
                                 size_t *n);

#endif
