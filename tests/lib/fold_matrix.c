// SPDX-License-Identifier: Apache-2.0
// Bias, groups, axes and dtypes are combined in full; the other variations go round so that each meets every
// one of these. BNR_MATRIX=all combines all of them.
#include "tests/lib/fold_matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD,
    FULL = 2 * 3 * 3 * 4, // bias, groups, axes, dtypes
    REST = 2 * 2 * 2 * 4, // shared, constant nodes, Identity, gamma
    EACH = 2              // of REST for each of FULL
};

static char current[200];

static struct fold_variant variant_of(int full, int rest) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16};
    return (struct fold_variant){.bias = full % 2,
                                 .groups = (enum fold_groups)(full / 2 % 3),
                                 .spatial = 1 + full / 6 % 3,
                                 .dtype = dtypes[full / 18],
                                 .gamma = (enum net_gamma)(rest % 4),
                                 .shared = rest / 4 % 2,
                                 .constant_nodes = rest / 8 % 2,
                                 .identity = rest / 16 % 2,
                                 .index = full * REST + rest};
}

static void describe(const char *pattern, const struct fold_variant *v) {
    static const char *const gammas[] = {"any", "positive", "negative", "with zeros"};
    snprintf(current, sizeof current,
             "%s: %s, %d-D, groups %d, %s bias, gamma %s%s%s%s (variant %d)", pattern,
             bnr_dtype_name(v->dtype), v->spatial, (int)v->groups, v->bias ? "with" : "no",
             gammas[v->gamma], v->shared ? ", shared weights" : "",
             v->constant_nodes ? ", Constant nodes" : "", v->identity ? ", Identity" : "", v->index);
}

int fold_matrix_teardown(void **state) {
    if (current[0])
        print_error("%s\n", current);
    current[0] = '\0';
    return 0;
}

static void check_verdicts(const struct net *t, const struct fold_expectation *e) {
    int kept = 0, left = 0;
    for (size_t i = 0; i < t->folded->n_bns; i++) {
        const struct bnr_bn *bn = t->folded->bns[i];
        kept += bn->verdict == BNR_BN_KEPT;
        if (bn->verdict == BNR_BN_KEPT && kept > e->kept)
            fail_msg("'%s' is kept: %s", bn->name, bn->reason);
        if (bn->verdict == BNR_BN_KEPT && e->part && !strstr(bn->reason, e->part))
            fail_msg("'%s' is kept, expected because of '%s': %s", bn->name, e->part, bn->reason);
        if (bn->verdict != BNR_BN_KEPT)
            assert_non_null(bn->into);
    }
    for (const struct bnr_node *n = t->folded->graph->first; n; n = n->next)
        left += bnr__node_is(n, "", "BatchNormalization") || bnr__node_is(n, "", "Identity");
    assert_int_equal(kept, e->kept);
    assert_int_equal(left, e->left < 0 ? e->kept : e->left);
}

static void one(const char *pattern, fold_build_fn *build, const struct fold_variant *v) {
    struct fold_expectation e = {.left = -1};
    struct net t;
    net_begin(&t, 17);
    t.seed = (uint64_t)v->index + 1;
    t.dtype = v->dtype;
    t.gamma = v->gamma;
    t.constant_nodes = v->constant_nodes;
    t.sensitive = true;
    describe(pattern, v);
    build(&t, v, &e);
    if (!e.skip) {
        net_fold(&t, e.groups ? e.groups : FOLD);
        check_verdicts(&t, &e);
    }
    net_end(&t);
    current[0] = '\0';
}

void fold_matrix(const char *pattern, fold_build_fn *build) {
    const char *all = getenv("BNR_MATRIX");
    const int each = all && strcmp(all, "all") == 0 ? REST : EACH;
    for (int full = 0; full < FULL; full++)
        for (int k = 0; k < each; k++) {
            // Any of the rest, with nothing in step.
            const uint32_t hash = (uint32_t)(full * EACH + k + 1) * 0x9e3779b1u;
            const struct fold_variant v = variant_of(full, each == REST ? k : (int)(hash >> 27));
            one(pattern, build, &v);
        }
}

// ---- parts for builders -------------------------------------------------------------------------

struct bnr_value *fold_matrix_x(struct net *t, const struct fold_variant *v, const char *name,
                                int64_t channels) {
    return fold_matrix_x_of(t, v, name, channels, v->spatial == 3 ? 5 : 6);
}

struct bnr_value *fold_matrix_x_of(struct net *t, const struct fold_variant *v, const char *name,
                                   int64_t channels, int64_t extent) {
    int64_t dims[5] = {2, channels};
    for (int i = 0; i < v->spatial; i++)
        dims[2 + i] = extent;
    return net_input(t, name, 2 + v->spatial, dims);
}

int64_t fold_matrix_groups(const struct fold_variant *v) {
    return v->groups == FOLD_ONE_GROUP ? 1 : v->groups == FOLD_TWO_GROUPS ? 2 : FOLD_C;
}

struct bnr_value *fold_matrix_conv(struct net *t, const struct fold_variant *v, const char *name,
                                   struct bnr_value *x, struct net_conv c) {
    char label[40];
    c.spatial = v->spatial;
    c.in = c.out = FOLD_C;
    c.bias = v->bias;
    c.group = fold_matrix_groups(v);
    struct bnr_value *y = net_conv(t, name, x, c);
    if (!v->shared)
        return y;
    struct bnr_node *n = t->node;
    struct bnr_value *in[3] = {NULL, n->in[1], v->bias ? n->in[2] : NULL};
    snprintf(label, sizeof label, "%s_other_x", name);
    in[0] = fold_matrix_x(t, v, label, FOLD_C);
    snprintf(label, sizeof label, "%s_other", name);
    struct bnr_value *other = net_op(t, n->op_type, label, n->n_in, in);
    for (size_t i = 0; i < n->n_attrs; i++)
        assert_int_equal(bnr__node_set_attr(t->node, &n->attrs[i]), BNR_OK);
    net_output(t, other);
    t->node = n;
    return y;
}

struct bnr_value *fold_matrix_between(struct net *t, const struct fold_variant *v, struct bnr_value *x) {
    return v->identity ? net_op(t, "Identity", NULL, 1, &x) : x;
}

struct bnr_value *fold_matrix_vector(struct net *t, const struct fold_variant *v, const char *name,
                                     int64_t channels) {
    const int64_t dims[4] = {channels, 1, 1, 1};
    return net_weight(t, name, 1 + v->spatial, dims);
}

struct bnr_value *fold_matrix_window(struct net *t, const struct fold_variant *v, const char *op,
                                     struct bnr_value *x, int64_t k, int64_t pad) {
    const int64_t kernel[3] = {k, k, k}, pads[6] = {pad, pad, pad, pad, pad, pad};
    struct bnr_value *y = net_op(t, op, NULL, 1, &x);
    net_attr_ints(t, "kernel_shape", kernel, (size_t)v->spatial);
    net_attr_ints(t, "pads", pads, 2 * (size_t)v->spatial);
    return y;
}
