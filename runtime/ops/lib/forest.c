// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/forest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/ops/lib/order.h"

// ---- reading ------------------------------------------------------------------------------------

enum bnr_status bnr__forest_list(const struct bnr_args *a, const char *name, const double **v,
                                 size_t *n) {
    char tensor_name[64];
    snprintf(tensor_name, sizeof tensor_name, "%s_as_tensor", name);
    const struct bnr_tensor *t = bnr__attr_tensor(a->node, tensor_name);
    const struct bnr_ml_floats list = bnr__ml_floats(a->node, name);
    *v = NULL;
    *n = list.n;
    if (t != NULL && list.n == 0) {
        *n = t->numel;
        *v = bnr__all_f64(a, t);
        return *v != NULL ? BNR_OK : BNR_NO_MEMORY;
    }
    if (list.n == 0)
        return BNR_OK;
    double *copy = bnr__temp_f64(a, list.n);
    if (copy == NULL)
        return BNR_NO_MEMORY;
    bnr__load_f64(copy, BNR_FLOAT, list.v, list.n);
    *v = copy;
    return BNR_OK;
}

static enum bnr_status length_error(const struct bnr_args *a, const char *name, size_t n,
                                    size_t want) {
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "attribute '%s' has %zu values, expected %zu",
                        name, n, want);
}

// `optional`: NULL where it is absent.
static enum bnr_status read_ints(const struct bnr_args *a, const char *name, size_t want,
                                 bool optional, const int64_t **v) {
    size_t n;
    *v = bnr__attr_ints(a->node, name, &n);
    return n == want || (optional && n == 0) ? BNR_OK : length_error(a, name, n, want);
}

static enum bnr_status read_floats(const struct bnr_args *a, const char *name, size_t want,
                                   const double **v) {
    size_t n;
    BNR_TRY(bnr__forest_list(a, name, v, &n));
    return n == want ? BNR_OK : length_error(a, name, n, want);
}

static enum bnr_status read_feature(const struct bnr_args *a, int64_t id, size_t n_features,
                                    size_t *out) {
    if (id < 0 || (uint64_t)id >= n_features)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "feature %lld of %zu", (long long)id,
                            n_features);
    *out = (size_t)id;
    return BNR_OK;
}

static enum bnr_status read_vote(const struct bnr_args *a, int64_t target, double weight,
                                 size_t n_targets, struct bnr_tree_vote *vote) {
    if (target < 0 || (uint64_t)target >= n_targets)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "a vote for target %lld of %zu",
                            (long long)target, n_targets);
    *vote = (struct bnr_tree_vote){(size_t)target, weight};
    return BNR_OK;
}

static enum bnr_status alloc_forest(const struct bnr_args *a, struct bnr_forest *f, size_t nodes,
                                    size_t votes, size_t roots) {
    f->nodes = bnr__temp(a, nodes, sizeof *f->nodes);
    f->votes = bnr__temp(a, votes, sizeof *f->votes);
    f->roots = bnr__temp(a, roots, sizeof *f->roots);
    f->n_nodes = nodes;
    f->n_votes = votes;
    return f->nodes != NULL && f->votes != NULL && f->roots != NULL ? BNR_OK : BNR_NO_MEMORY;
}

// ---- TreeEnsembleClassifier and -Regressor: nodes are known by (tree, node) ---------------------

struct ids {
    const int64_t *tree, *node;
    size_t *order; // sorted
    size_t n;
};

static bool id_less(size_t a, size_t b, const void *cx) {
    const struct ids *ids = cx;
    return ids->tree[a] != ids->tree[b] ? ids->tree[a] < ids->tree[b] : ids->node[a] < ids->node[b];
}

static bool find_id(const struct ids *ids, int64_t tree, int64_t node, size_t *out) {
    size_t low = 0, high = ids->n;
    while (low < high) {
        const size_t middle = (low + high) / 2, k = ids->order[middle];
        const bool less = ids->tree[k] != tree ? ids->tree[k] < tree : ids->node[k] < node;
        if (less)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == ids->n)
        return false;
    *out = ids->order[low];
    return ids->tree[*out] == tree && ids->node[*out] == node;
}

static enum bnr_status find_node(const struct bnr_args *a, const struct ids *ids, int64_t tree,
                                 int64_t node, size_t *out) {
    if (find_id(ids, tree, node, out))
        return BNR_OK;
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "tree %lld has no node %lld", (long long)tree,
                        (long long)node);
}

static enum bnr_status read_mode(const struct bnr_args *a, struct bnr_str text,
                                 enum bnr_tree_mode *mode) {
    static const char *const texts[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
    for (size_t i = 0; i < BNR_COUNT(texts); i++)
        if (i != BNR_TREE_MEMBER && text.len == strlen(texts[i]) &&
            memcmp(text.ptr, texts[i], text.len) == 0) {
            *mode = (enum bnr_tree_mode)i;
            return BNR_OK;
        }
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "\"%.*s\" is no mode of a node",
                        text.len < 40 ? (int)text.len : 40, text.ptr);
}

static enum bnr_status read_nodes(const struct bnr_args *a, const struct ids *ids,
                                  size_t n_features, struct bnr_forest *f) {
    const struct bnr_attr *modes = bnr__attr(a->node, "nodes_modes");
    const int64_t *features, *yes, *no, *missing;
    const double *values;
    if (modes == NULL || modes->n != ids->n)
        return length_error(a, "nodes_modes", modes != NULL ? modes->n : 0, ids->n);
    BNR_TRY(read_ints(a, "nodes_featureids", ids->n, false, &features));
    BNR_TRY(read_ints(a, "nodes_truenodeids", ids->n, false, &yes));
    BNR_TRY(read_ints(a, "nodes_falsenodeids", ids->n, false, &no));
    BNR_TRY(read_ints(a, "nodes_missing_value_tracks_true", ids->n, true, &missing));
    BNR_TRY(read_floats(a, "nodes_values", ids->n, &values));
    for (size_t i = 0; i < ids->n; i++) {
        struct bnr_tree_node *node = &f->nodes[i];
        BNR_TRY(read_mode(a, modes->strings[i], &node->mode));
        if (node->mode == BNR_TREE_LEAF)
            continue;
        node->value = values[i];
        node->missing_is_true = missing != NULL && missing[i] != 0;
        BNR_TRY(read_feature(a, features[i], n_features, &node->feature));
        BNR_TRY(find_node(a, ids, ids->tree[i], yes[i], &node->yes));
        BNR_TRY(find_node(a, ids, ids->tree[i], no[i], &node->no));
    }
    return BNR_OK;
}

// Votes of one node are made neighbours: counted, placed, written.
static enum bnr_status read_votes(const struct bnr_args *a, const char *prefix,
                                  const struct ids *ids, size_t n_targets, struct bnr_forest *f) {
    const int64_t *target, *node, *tree;
    const double *weights;
    char name[64];
    size_t n = f->n_votes, *at = bnr__temp(a, n, sizeof *at);
    if (at == NULL)
        return BNR_NO_MEMORY;
    snprintf(name, sizeof name, "%s_ids", prefix);
    BNR_TRY(read_ints(a, name, n, false, &target));
    snprintf(name, sizeof name, "%s_nodeids", prefix);
    BNR_TRY(read_ints(a, name, n, false, &node));
    snprintf(name, sizeof name, "%s_treeids", prefix);
    BNR_TRY(read_ints(a, name, n, false, &tree));
    snprintf(name, sizeof name, "%s_weights", prefix);
    BNR_TRY(read_floats(a, name, n, &weights));
    for (size_t i = 0; i < n; i++) {
        BNR_TRY(find_node(a, ids, tree[i], node[i], &at[i]));
        f->nodes[at[i]].count++;
    }
    for (size_t i = 1; i < ids->n; i++)
        f->nodes[i].first = f->nodes[i - 1].first + f->nodes[i - 1].count;
    for (size_t i = 0; i < ids->n; i++)
        f->nodes[i].count = 0;
    for (size_t i = 0; i < n; i++) {
        struct bnr_tree_node *leaf = &f->nodes[at[i]];
        BNR_TRY(
            read_vote(a, target[i], weights[i], n_targets, &f->votes[leaf->first + leaf->count++]));
    }
    return BNR_OK;
}

enum bnr_status bnr__forest_read_votes(const struct bnr_args *a, const char *prefix,
                                       size_t n_targets, size_t n_features, struct bnr_forest *f) {
    struct ids ids;
    char name[64];
    size_t votes;
    *f = (struct bnr_forest){.n_targets = n_targets, .aggregate = BNR_TREE_SUM};
    ids.tree = bnr__attr_ints(a->node, "nodes_treeids", &ids.n);
    BNR_TRY(read_ints(a, "nodes_nodeids", ids.n, false, &ids.node));
    snprintf(name, sizeof name, "%s_ids", prefix);
    bnr__attr_ints(a->node, name, &votes);
    BNR_TRY(alloc_forest(a, f, ids.n, votes, ids.n));
    ids.order = bnr__temp(a, ids.n, sizeof *ids.order);
    size_t *work = bnr__temp(a, ids.n, sizeof *work);
    if (ids.order == NULL || work == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < ids.n; i++)
        ids.order[i] = i;
    bnr__sort_stable(ids.order, ids.n, work, id_less, &ids);
    // A tree's root is the first of its nodes in the list.
    for (size_t i = 0; i < ids.n; i++) {
        const size_t k = ids.order[i];
        if (i == 0 || ids.tree[ids.order[i - 1]] != ids.tree[k])
            f->roots[f->n_roots++] = k;
        else if (k < f->roots[f->n_roots - 1])
            f->roots[f->n_roots - 1] = k;
    }
    BNR_TRY(read_nodes(a, &ids, n_features, f));
    return read_votes(a, prefix, &ids, n_targets, f);
}

// ---- TreeEnsemble: nodes and leaves are known by index ------------------------------------------

static enum bnr_status read_child(const struct bnr_args *a, const struct bnr_forest *f,
                                  size_t inner, int64_t id, bool leaf, size_t *out) {
    const size_t n = leaf ? f->n_nodes - inner : inner;
    if (id < 0 || (uint64_t)id >= n)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%s %lld of %zu", leaf ? "leaf" : "node",
                            (long long)id, n);
    *out = (size_t)id + (leaf ? inner : 0);
    return BNR_OK;
}

// Members of the nodes that test for them, in order, each list closed by a NaN.
static enum bnr_status read_members(const struct bnr_args *a, struct bnr_forest *f, size_t inner) {
    const struct bnr_tensor *t = bnr__attr_tensor(a->node, "membership_values");
    const size_t n = t != NULL ? t->numel : 0;
    size_t at = 0;
    f->members = t != NULL ? bnr__all_f64(a, t) : NULL;
    if (t != NULL && f->members == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < inner; i++) {
        struct bnr_tree_node *node = &f->nodes[i];
        if (node->mode != BNR_TREE_MEMBER)
            continue;
        node->first = at;
        while (at < n && !isnan(f->members[at]))
            at++;
        if (at == n)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "membership_values has no list for node %zu", i);
        node->count = at++ - node->first;
    }
    return BNR_OK;
}

static enum bnr_status tensor_attr(const struct bnr_args *a, const char *name, size_t want,
                                   const double **v) {
    const struct bnr_tensor *t = bnr__attr_tensor(a->node, name);
    if (t == NULL || t->numel != want)
        return length_error(a, name, t != NULL ? t->numel : 0, want);
    *v = bnr__all_f64(a, t);
    return *v != NULL ? BNR_OK : BNR_NO_MEMORY;
}

static enum bnr_status read_inner(const struct bnr_args *a, struct bnr_forest *f, size_t inner,
                                  size_t n_features) {
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing;
    const double *modes = NULL, *splits = NULL;
    BNR_TRY(read_ints(a, "nodes_featureids", inner, false, &features));
    BNR_TRY(read_ints(a, "nodes_truenodeids", inner, false, &yes));
    BNR_TRY(read_ints(a, "nodes_falsenodeids", inner, false, &no));
    BNR_TRY(read_ints(a, "nodes_trueleafs", inner, false, &yes_leaf));
    BNR_TRY(read_ints(a, "nodes_falseleafs", inner, false, &no_leaf));
    BNR_TRY(read_ints(a, "nodes_missing_value_tracks_true", inner, true, &missing));
    BNR_TRY(tensor_attr(a, "nodes_modes", inner, &modes));
    BNR_TRY(tensor_attr(a, "nodes_splits", inner, &splits));
    for (size_t i = 0; i < inner; i++) {
        struct bnr_tree_node *node = &f->nodes[i];
        if (!(modes[i] >= 0 && modes[i] < BNR_TREE_LEAF))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "node %zu has mode %g", i, modes[i]);
        node->mode = (enum bnr_tree_mode)modes[i];
        node->value = splits[i];
        node->missing_is_true = missing != NULL && missing[i] != 0;
        BNR_TRY(read_feature(a, features[i], n_features, &node->feature));
        BNR_TRY(read_child(a, f, inner, yes[i], yes_leaf[i] != 0, &node->yes));
        BNR_TRY(read_child(a, f, inner, no[i], no_leaf[i] != 0, &node->no));
    }
    return read_members(a, f, inner);
}

enum bnr_status bnr__forest_read_leaves(const struct bnr_args *a, size_t n_targets,
                                        size_t n_features, struct bnr_forest *f) {
    size_t inner, leaves, n_roots;
    const int64_t *roots = bnr__attr_ints(a->node, "tree_roots", &n_roots);
    const double *weights = NULL;
    *f = (struct bnr_forest){.n_targets = n_targets};
    bnr__attr_ints(a->node, "nodes_featureids", &inner);
    const int64_t *targets = bnr__attr_ints(a->node, "leaf_targetids", &leaves);
    BNR_TRY(tensor_attr(a, "leaf_weights", leaves, &weights));
    BNR_TRY(alloc_forest(a, f, inner + leaves, leaves, n_roots));
    BNR_TRY(read_inner(a, f, inner, n_features));
    for (size_t i = 0; i < leaves; i++) {
        f->nodes[inner + i] = (struct bnr_tree_node){.mode = BNR_TREE_LEAF, .first = i, .count = 1};
        BNR_TRY(read_vote(a, targets[i], weights[i], n_targets, &f->votes[i]));
    }
    for (f->n_roots = 0; f->n_roots < n_roots; f->n_roots++)
        BNR_TRY(read_child(a, f, inner, roots[f->n_roots], false, &f->roots[f->n_roots]));
    return BNR_OK;
}

// ---- evaluation ---------------------------------------------------------------------------------

static bool is_member(const struct bnr_forest *f, const struct bnr_tree_node *node, double x) {
    for (size_t i = 0; i < node->count; i++)
        if (f->members[node->first + i] == x)
            return true;
    return false;
}

static bool holds(const struct bnr_forest *f, const struct bnr_tree_node *node, double x) {
    if (isnan(x) && node->missing_is_true)
        return true;
    switch (node->mode) {
    case BNR_TREE_LEQ:
        return x <= node->value;
    case BNR_TREE_LT:
        return x < node->value;
    case BNR_TREE_GTE:
        return x >= node->value;
    case BNR_TREE_GT:
        return x > node->value;
    case BNR_TREE_EQ:
        return x == node->value;
    case BNR_TREE_NEQ:
        return x != node->value;
    default:
        return is_member(f, node, x);
    }
}

static double combine(enum bnr_tree_aggregate how, bool first, double so_far, double v) {
    if (first)
        return v;
    return how == BNR_TREE_MIN   ? fmin(so_far, v)
           : how == BNR_TREE_MAX ? fmax(so_far, v)
                                 : so_far + v;
}

enum bnr_status bnr__forest_score(const struct bnr_args *a, const struct bnr_forest *f,
                                  const double *x, double *scores, bool *has) {
    memset(scores, 0, f->n_targets * sizeof *scores);
    memset(has, 0, f->n_targets * sizeof *has);
    for (size_t r = 0; r < f->n_roots; r++) {
        const struct bnr_tree_node *node = &f->nodes[f->roots[r]];
        size_t steps = 0;
        for (; node->mode != BNR_TREE_LEAF; steps++) {
            if (steps == f->n_nodes)
                return bnr__op_fail(a->node, a->err, BNR_SHAPE, "tree %zu runs in a circle", r);
            node = &f->nodes[holds(f, node, x[node->feature]) ? node->yes : node->no];
        }
        for (size_t i = 0; i < node->count; i++) {
            const struct bnr_tree_vote *v = &f->votes[node->first + i];
            scores[v->target] =
                combine(f->aggregate, !has[v->target], scores[v->target], v->weight);
            has[v->target] = true;
        }
    }
    for (size_t t = 0; t < f->n_targets && f->aggregate == BNR_TREE_AVERAGE && f->n_roots > 0; t++)
        scores[t] /= (double)f->n_roots;
    return BNR_OK;
}
