// SPDX-License-Identifier: Apache-2.0
// Patterns 21 to 24 in every variant: several batch norms behind one convolution, pre-activation,
// dequantized weights, bodies.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/fold_matrix.h"

enum { C = FOLD_C, FUSED = BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_FUSE };

static const struct net_conv padded = {.k = 3, .pad = 1};

// ---- 21, 22: what cannot fold becomes part of another step --------------------------------------

static void build_several(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_conv(t, v, "conv", fold_matrix_x(t, v, "x", C), padded);
    net_output(t, net_op(t, "Relu", NULL, NET_IN(net_bn(t, "a", fold_matrix_between(t, v, x), C))));
    net_output(t, net_op(t, "Sigmoid", NULL, NET_IN(net_bn(t, "b", x, C))));
    e->groups = FUSED;
    e->kept = 2; // until there is a plan
    e->left = 0;
}

static void build_preactivation(struct net *t, const struct fold_variant *v,
                                struct fold_expectation *e) {
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C);
    x = net_op(t, v->index & 1 ? "Relu" : "LeakyRelu", NULL, NET_IN(fold_matrix_between(t, v, x)));
    net_output(t, fold_matrix_conv(t, v, "conv", x, padded));
    e->groups = FUSED;
    e->kept = 1;
    e->left = 0;
}

static void fused(void **state) {
    fold_matrix("Conv -> two BNs", build_several);
    fold_matrix("BN -> activation -> Conv", build_preactivation);
}

// ---- 23: dequantized weights --------------------------------------------------------------------

static struct bnr_value *dequantize(struct net *t, const struct fold_variant *v, const char *name,
                                    struct bnr_value *q, bool per_channel) {
    const int64_t n = C;
    double k[C], z[C];
    for (int i = 0; i < C; i++) {
        k[i] = net_random(t, 0.05, 0.1);
        z[i] = round(net_random(t, -20, 20));
    }
    char scale[20], zero[20];
    snprintf(scale, sizeof scale, "%s.k", name);
    snprintf(zero, sizeof zero, "%s.z", name);
    struct bnr_value *in[3] = {q, net_const(t, scale, per_channel, &n, k), NULL};
    if (v->index & 2)
        in[2] = net_typed(t, BNR_INT8, zero, per_channel, &n, z);
    q = net_op(t, "DequantizeLinear", name, in[2] ? 3 : 2, in);
    if (per_channel)
        net_attr_int(t, "axis", 0);
    return q;
}

// Shared: another node dequantizes the same integers.
static void build_dequantized(struct net *t, const struct fold_variant *v,
                              struct fold_expectation *e) {
    int64_t dims[5] = {C, C / fold_matrix_groups(v), 3, 3, 3};
    double integers[C * C * 27];
    e->skip = v->dtype == BNR_DOUBLE; // no such scale
    if (e->skip)
        return;
    t->model->opsets[0].version = v->dtype == BNR_FLOAT ? 13 : 19;
    for (size_t i = 0; i < BNR_COUNT(integers); i++)
        integers[i] = round(net_random(t, -100, 100));
    struct bnr_value *q = net_typed(t, BNR_INT8, "q", 2 + v->spatial, dims, integers);
    struct bnr_value *in[3] = {fold_matrix_x(t, v, "x", C), dequantize(t, v, "dq", q, v->index & 1),
                               NULL};
    if (v->bias)
        in[2] = net_weight(t, "b", NET_DIMS(C));
    struct bnr_value *y = net_op(t, "Conv", "conv", v->bias ? 3 : 2, in);
    net_attr_int(t, "group", fold_matrix_groups(v));
    net_output(t, net_bn(t, "bn", fold_matrix_between(t, v, y), C));
    if (v->shared) {
        y = net_op(t, "Conv", "other",
                   NET_IN(fold_matrix_x(t, v, "other_x", C), dequantize(t, v, "dq2", q, false)));
        net_attr_int(t, "group", fold_matrix_groups(v));
        net_output(t, y);
    }
}

static void quantized(void **state) {
    fold_matrix("DequantizeLinear -> Conv -> BN", build_dequantized);
}

// ---- 24: bodies ---------------------------------------------------------------------------------

// One branch is the pattern as it is, the other reads a convolution's weights from outside.
static void build_branches(struct net *t, const struct fold_variant *v,
                           struct fold_expectation *e) {
    struct net outer;
    struct bnr_value *x = fold_matrix_x(t, v, "x", C), *r;
    const int64_t dims[5] = {C, C, 1, 1, 1};
    struct bnr_value *w = net_weight(t, "w", 2 + v->spatial, dims);
    struct bnr_value *y =
        net_op(t, "If", "if", NET_IN(net_condition(t, "condition", v->index & 1)));
    struct bnr_node *node = t->node;
    for (int k = 0; k < 2; k++) {
        t->node = node;
        net_enter(t, &outer);
        struct fold_variant inside = *v;
        inside.shared =
            false; // its other convolution would have an input and an output of the graph
        r = k ? fold_matrix_conv(t, &inside, "a", x, padded) : net_op(t, "Conv", "b", NET_IN(x, w));
        r = net_bn(t, k ? "bn_a" : "bn_b", fold_matrix_between(t, v, r), C);
        const uint64_t seed = t->seed;
        net_leave(t, &outer, k ? "then_branch" : "else_branch", r);
        t->seed = seed;
    }
    net_output(t, y);
    if (v->shared)
        net_output(t, net_op(t, "Conv", "other", NET_IN(x, w)));
}

static void build_rounds(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    const double two = 2;
    struct net outer;
    struct bnr_value *x = fold_matrix_x(t, v, "x", C),
                     *m = net_typed(t, BNR_INT64, "m", 0, NULL, &two);
    struct bnr_value *y = net_op(t, "Loop", "loop", 3, (struct bnr_value *[]){m, NULL, x});
    net_enter(t, &outer);
    bnr__value_declare(net_body_input(t, "round", BNR_INT64))->shape.rank = 0;
    struct bnr_value *go = net_body_input(t, "go", BNR_BOOL),
                     *inner = net_body_input(t, "inner", t->dtype);
    struct fold_variant inside = *v;
    inside.shared = false;
    net_output(t, net_op(t, "Identity", NULL, NET_IN(go)));
    inner = fold_matrix_conv(t, &inside, "conv", inner, padded);
    inner = net_bn(t, "bn", fold_matrix_between(t, v, inner), C);
    const uint64_t seed = t->seed;
    net_leave(t, &outer, "body", inner);
    t->seed = seed;
    net_output(t, y);
}

static void bodies(void **state) {
    fold_matrix("Conv -> BN in branches", build_branches);
    fold_matrix("Conv -> BN in a loop", build_rounds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        fold_matrix_test(fused),
        fold_matrix_test(quantized),
        fold_matrix_test(bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
