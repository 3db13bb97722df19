// SPDX-License-Identifier: Apache-2.0
// Patterns 1 to 11 and 25, 26 in every variant: affines behind and in front of linear operators.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_matrix.h"

enum { C = FOLD_C, N = 5 };

static const struct net_conv three = {.k = 3}, padded = {.k = 3, .pad = 1}, strided = {.k = 2, .stride = 2};

// ---- 1, 2, 3, 6: behind convolutions ------------------------------------------------------------

static void build_conv(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_x(t, v, "x", C);
    x = fold_matrix_conv(t, v, "conv", x, v->index & 1 ? padded : strided);
    net_output(t, net_bn(t, "bn", fold_matrix_between(t, v, x), C));
}

static void build_transposed(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_x(t, v, "x", C);
    struct net_conv c = v->index & 1 ? padded : strided;
    c.transposed = true;
    x = fold_matrix_conv(t, v, "conv", x, c);
    net_output(t, net_bn(t, "bn", fold_matrix_between(t, v, x), C));
}

static void build_bias_added(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_x(t, v, "x", C);
    struct net_conv c = three;
    c.transposed = v->index & 1;
    x = fold_matrix_between(t, v, fold_matrix_conv(t, v, "conv", x, c));
    x = net_op(t, "Add", "add", NET_IN(x, fold_matrix_vector(t, v, "b", C)));
    net_output(t, net_bn(t, "bn", x, C));
}

static void behind_convolutions(void **state) {
    fold_matrix("Conv -> BN", build_conv);
    fold_matrix("ConvTranspose -> BN", build_transposed);
    fold_matrix("Conv -> Add -> BN", build_bias_added);
}

// ---- 4, 5: behind Gemm and MatMul ---------------------------------------------------------------

// The variants of a convolution stand for other things here: groups for the shape of C, axes for which
// operands are transposed.
static struct bnr_value *gemm(struct net *t, const struct fold_variant *v, struct bnr_value *x, int64_t k) {
    const bool trans_b = v->spatial == 2;
    const int64_t w[2] = {trans_b ? N : k, trans_b ? k : N}, wide[2] = {v->groups == FOLD_TWO_GROUPS ? 1 : 3, N};
    struct bnr_value *in[3] = {x, net_weight(t, "w", 2, w), NULL};
    if (v->bias)
        in[2] = v->groups == FOLD_ONE_GROUP ? net_weight(t, "c", 1, &w[!trans_b])
                                            : net_weight(t, "c", 2, wide);
    struct bnr_value *y = net_op(t, "Gemm", "gemm", v->bias ? 3 : 2, in);
    net_attr_int(t, "transB", trans_b);
    net_attr_int(t, "transA", v->spatial == 3);
    net_attr_float(t, "alpha", 0.75);
    net_attr_float(t, "beta", -1.5);
    if (v->shared) {
        struct bnr_node *n = t->node;
        struct bnr_value *z = net_input(t, "z", NET_DIMS(2, k));
        z = net_op(t, "Gemm", "other", NET_IN(z, in[1]));
        net_attr_int(t, "transB", trans_b);
        net_output(t, z);
        t->node = n;
    }
    return y;
}

static void build_gemm(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x =
        v->spatial == 3 ? net_input(t, "x", NET_DIMS(C, 3)) : net_input(t, "x", NET_DIMS(3, C));
    x = fold_matrix_between(t, v, gemm(t, v, x, C));
    net_output(t, net_bn(t, "bn", x, N));
}

static struct bnr_value *matmul(struct net *t, const struct fold_variant *v, struct bnr_value *x, int64_t k) {
    struct bnr_value *w = net_weight(t, "w", NET_DIMS(k, N));
    struct bnr_value *y = net_op(t, "MatMul", "matmul", NET_IN(x, w));
    if (v->bias)
        y = net_op(t, "Add", "add", NET_IN(y, net_weight(t, "b", NET_DIMS(N))));
    if (v->shared)
        net_output(t, net_op(t, "MatMul", "other", NET_IN(net_input(t, "z", NET_DIMS(2, k)), w)));
    return y;
}

static void build_matmul(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_input(t, "x", NET_DIMS(3, C));
    net_output(t, net_bn(t, "bn", fold_matrix_between(t, v, matmul(t, v, x, C)), N));
}

static void behind_products(void **state) {
    fold_matrix("Gemm -> BN", build_gemm);
    fold_matrix("MatMul -> BN", build_matmul);
}

// ---- 7, 26: affines that meet, channels that are constant ---------------------------------------

static void build_chain(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_conv(t, v, "conv", fold_matrix_x(t, v, "x", C), padded);
    x = fold_matrix_between(t, v, net_bn(t, "bn1", x, C));
    x = net_op(t, "Mul", "mul", NET_IN(x, fold_matrix_vector(t, v, "s", C)));
    net_output(t, net_bn(t, "bn2", x, C));
}

// Nothing absorbs them, but they become one.
static void build_meeting(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_op(t, "Sigmoid", NULL, NET_IN(fold_matrix_x(t, v, "x", C)));
    x = fold_matrix_between(t, v, net_bn(t, "bn1", x, C));
    x = net_bn(t, "bn2", x, C);
    net_output(t, net_op(t, "Sigmoid", NULL, NET_IN(x)));
    e->kept = 1;
    e->left = 0; // what stays is an affine of its own
}

static void build_constant(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    int64_t dims[5] = {1, C, 3, 3, 3};
    struct bnr_value *x = net_bn(t, "bn", net_weight(t, "k", 2 + v->spatial, dims), C);
    net_output(t, net_op(t, "Add", NULL, NET_IN(fold_matrix_between(t, v, x), net_input(t, "x", 2 + v->spatial, dims))));
}

static void affines(void **state) {
    fold_matrix("Conv -> BN -> Mul -> BN", build_chain);
    fold_matrix("BN -> BN", build_meeting);
    fold_matrix("constant -> BN", build_constant);
}

// ---- 8, 9, 10: in front of convolutions ---------------------------------------------------------

static void build_in_front(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = fold_matrix_between(t, v, net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C));
    net_output(t, fold_matrix_conv(t, v, "conv", x, v->index & 1 ? three : strided));
}

// Without a shift zeros stay zeros.
static void build_padded(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    t->no_shift = true;
    struct bnr_value *x = fold_matrix_between(t, v, net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C));
    struct net_conv c = padded;
    c.transposed = v->index & 1;
    net_output(t, fold_matrix_conv(t, v, "conv", x, c));
}

// With one the border is another than the middle: a map stays behind, small enough here.
static void build_border(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x_of(t, v, "x", C, 3), C);
    net_output(t, fold_matrix_conv(t, v, "conv", fold_matrix_between(t, v, x), padded));
}

static void build_transposed_border(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x_of(t, v, "x", C, 3), C);
    struct net_conv c = padded;
    c.transposed = true;
    net_output(t, fold_matrix_conv(t, v, "conv", fold_matrix_between(t, v, x), c));
}

static void build_large_border(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x_of(t, v, "x", C, 13), C);
    net_output(t, fold_matrix_conv(t, v, "conv", fold_matrix_between(t, v, x), padded));
    e->skip = v->spatial == 3;
    e->kept = 1;
    e->part = "a border that the shift would have to change";
}

static void in_front_of_convolutions(void **state) {
    fold_matrix("BN -> Conv", build_in_front);
    fold_matrix("BN without shift -> Conv with padding", build_padded);
    fold_matrix("BN -> Conv with padding", build_border);
    fold_matrix("BN -> ConvTranspose", build_transposed_border);
    fold_matrix("BN -> Conv with padding, large images", build_large_border);
}

// ---- 11: in front of products, through Flatten and Reshape --------------------------------------

static struct bnr_value *flatten(struct net *t, const struct fold_variant *v, struct bnr_value *x, int64_t *k) {
    *k = C * (v->spatial == 1 ? 6 : v->spatial == 2 ? 36 : 125);
    if (v->index & 2)
        return net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "shape", NET_INTS(0, -1))));
    return net_op(t, "Flatten", NULL, NET_IN(x));
}

static void build_front_of_gemm(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    int64_t k;
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C);
    x = flatten(t, v, fold_matrix_between(t, v, x), &k);
    struct fold_variant plain = *v;
    plain.spatial = v->spatial == 3 ? 1 : v->spatial; // the batch is no channel
    plain.groups = v->groups == FOLD_DEPTHWISE ? FOLD_ONE_GROUP : v->groups;
    net_output(t, gemm(t, &plain, x, k));
}

static void build_front_of_matmul(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    int64_t k;
    struct bnr_value *x = net_bn(t, "bn", fold_matrix_x(t, v, "x", C), C);
    x = flatten(t, v, fold_matrix_between(t, v, x), &k);
    net_output(t, matmul(t, v, x, k));
}

static void in_front_of_products(void **state) {
    fold_matrix("BN -> Flatten -> Gemm", build_front_of_gemm);
    fold_matrix("BN -> Flatten -> MatMul", build_front_of_matmul);
}

// ---- 25: statistics for every activation --------------------------------------------------------

static void build_per_activation(struct net *t, const struct fold_variant *v, struct fold_expectation *e) {
    const int64_t dims[5] = {2, C, 3, 2, 2};
    int64_t k = C;
    double values[C * 3 * 2 * 2];
    t->model->opsets[0].version = v->index & 1 ? 6 : 8;
    e->skip = v->dtype == BNR_BFLOAT16; // unknown to these opsets
    if (e->skip)
        return;
    struct bnr_value *in[5] = {net_input(t, "x", 2 + v->spatial, dims)};
    for (int i = 0; i < v->spatial; i++)
        k *= dims[2 + i];
    static const char *const names[] = {"", "scale", "b", "mean", "var"};
    for (int p = 1; p < 5; p++) {
        for (int64_t i = 0; i < k; i++)
            values[i] = p == 4 ? net_random(t, 0.1, 2) : net_random(t, -1.5, 1.5);
        in[p] = net_const(t, names[p], 1 + v->spatial, dims + 1, values);
    }
    struct bnr_value *x = net_op(t, "BatchNormalization", "bn", 5, in);
    net_attr_int(t, "spatial", 0);
    if (v->index & 1)
        net_attr_int(t, "is_test", 1);
    x = net_op(t, "Flatten", NULL, NET_IN(fold_matrix_between(t, v, x)));
    struct bnr_value *w = net_weight(t, "w", NET_DIMS(k, N));
    net_output(t, net_op(t, "Gemm", "fc", NET_IN(x, w, net_weight(t, "c", NET_DIMS(2, N)))));
}

static void per_activation(void **state) {
    fold_matrix("BN with spatial = 0 -> Flatten -> Gemm", build_per_activation);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        fold_matrix_test(behind_convolutions),
        fold_matrix_test(behind_products),
        fold_matrix_test(affines),
        fold_matrix_test(in_front_of_convolutions),
        fold_matrix_test(in_front_of_products),
        fold_matrix_test(per_activation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
