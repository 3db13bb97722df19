// SPDX-License-Identifier: Apache-2.0
// Linear operators and normalizations whose constants cannot take an affine in: one test for each
// condition, which fails when the check goes away. The graph gives the same afterwards, and the
// verdict says why.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

static void kept(struct net *t, const char *part) {
    net_fold(t, FOLD);
    net_expect_bn(t, "bn", BNR_BN_KEPT, part);
    net_end(t);
}

// scale * x + shift in each channel.
static struct bnr_value *bn_of(struct net *t, struct bnr_value *x, int64_t channels, double scale,
                               double shift) {
    return net_uniform_bn(t, "bn", x, channels, scale, shift, 0, 1);
}

static struct bnr_value *of_all(struct net *t, int rank, const int64_t *dims, double v) {
    double all[C * C * 9];
    for (size_t i = 0; i < BNR_COUNT(all); i++)
        all[i] = v;
    return net_const(t, "w", rank, dims, all);
}

// An 8-bit matrix or kernel with one scale.
static struct bnr_value *dequantized(struct net *t, int rank, const int64_t *dims) {
    double q[C * C * 9];
    const double step = 0.0625;
    struct bnr_value *k = net_const(t, "k", 0, NULL, &step);
    for (size_t i = 0; i < BNR_COUNT(q); i++)
        q[i] = round(net_random(t, -100, 100));
    t->dtype = BNR_INT8;
    struct bnr_value *w = net_const(t, "q", rank, dims, q);
    t->dtype = BNR_FLOAT;
    return net_op(t, "DequantizeLinear", "dq", NET_IN(w, k));
}

static struct bnr_value *transpose(struct net *t, struct bnr_value *x, const int64_t *perm,
                                   size_t rank) {
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", perm, rank);
    return x;
}

// ---- Conv

// A shift in front needs a bias that it can change, at the border as well.
static void bias_behind_not_constant(void **state) {
    for (int pad = 0; pad < 2; pad++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 3, 3)), C);
        x = net_op(
            &t, "Conv", "conv",
            NET_IN(x, net_weight(&t, "w", NET_DIMS(C, C, 1, 1)), net_input(&t, "b", NET_DIMS(C))));
        if (pad) // SAME_UPPER and a kernel of 2 by 1: a border
            net_attr_string(&t, "auto_pad", "SAME_UPPER");
        net_attr_ints(&t, "strides", NET_INTS(1, 1));
        net_output(&t, x);
        kept(&t, "the bias of 'conv' is not constant");
    }
}

// A transposed convolution whose taps do not overlap gives a map that is one number a channel.
static void bias_of_a_flat_map_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 1, 1)), C);
    x = net_op(&t, "ConvTranspose", "conv",
               NET_IN(x, of_all(&t, NET_DIMS(C, 1, 2, 2), 0.5), net_input(&t, "b", NET_DIMS(1))));
    net_attr_ints(&t, "strides", NET_INTS(2, 2));
    net_output(&t, x);
    kept(&t, "the bias of 'conv' is not constant");
}

// 60000 fits float16, twice that does not: weights, bias, and the map of a border.
static void not_finite_behind(void **state) {
    static const double scales[] = {2, 1, 2, 1}, shifts[] = {0, 20, 1e-3, 20},
                        weights[] = {60000, 5000, 60000, 5000};
    static const char *const parts[] = {"the scaled weights 'w' would not be finite in float16",
                                        "the new bias of 'conv' would not be finite in float16"};
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = BNR_FLOAT16;
        struct bnr_value *x =
            bn_of(&t, net_input(&t, "x", NET_DIMS(1, C, 3, 3)), C, scales[k], shifts[k]);
        const int64_t size = k < 2 ? 1 : 3;
        x = net_op(&t, "Conv", "conv",
                   NET_IN(x, of_all(&t, NET_DIMS(1, C, size, size), weights[k])));
        if (k >= 2)
            net_attr_ints(&t, "pads", NET_INTS(1, 1, 1, 1));
        net_output(&t, x);
        kept(&t, parts[k % 2]);
    }
}

static void border_too_big(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 200, 14, 14)), 200);
    x = net_op(&t, "Pad", "pad", NET_IN(x, net_ints(&t, "p", NET_INTS(0, 0, 1, 1, 0, 0, 1, 1))));
    x = net_op(&t, "Conv", "conv", NET_IN(x, net_weight(&t, "w", NET_DIMS(200, 200, 6, 6))));
    net_output(&t, x);
    net_rewrite(&t, FOLD); // not evaluated: it would take as long as what is refused
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "the border of 'conv' is too big to be computed");
    net_end(&t);
}

// ---- Conv with dequantized weights

static void dequantized_kernel(void **state) {
    for (int k = 0; k < 2; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, C, C)),
                         *w = dequantized(&t, NET_DIMS(C, C, 1, 1));
        if (k == 0) { // a bias from outside
            x = net_op(&t, "Conv", "conv", NET_IN(x, w, net_input(&t, "b", NET_DIMS(C))));
        } else { // rows are the channels
            x = net_op(&t, "Conv", "conv", NET_IN(x, w));
            x = transpose(&t, x, NET_INTS(0, 2, 1, 3));
        }
        net_output(&t, net_bn(&t, "bn", x, C));
        kept(&t, k ? "vary over axis 2, the channels of 'conv' are axis 1"
                   : "the bias of 'conv' is not constant");
    }
}

// ---- Gemm

static void gemm_over_another_axis(void **state) {
    static const int64_t perm[] = {1, 0};
    for (int front = 0; front < 2; front++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, C)),
                         *w = net_weight(&t, "w", NET_DIMS(3, C));
        if (front) {
            x = transpose(&t, net_bn(&t, "bn", x, C), perm, 2);
            x = net_op(&t, "Gemm", "gemm", NET_IN(x, w, net_weight(&t, "c", NET_DIMS(C))));
        } else {
            x = net_op(&t, "Gemm", "gemm", NET_IN(x, w, net_weight(&t, "c", NET_DIMS(3))));
            net_attr_int(&t, "transB", 1);
            x = net_bn(&t, "bn", transpose(&t, x, perm, 2), 3);
        }
        net_output(&t, x);
        kept(&t, "vary over axis 0, the channels of 'gemm' are axis 1");
    }
}

static void c_behind_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(3, C)), C);
    net_output(&t, net_op(&t, "Gemm", "gemm",
                          NET_IN(x, net_weight(&t, "w", NET_DIMS(C, 2)),
                                 net_input(&t, "c", NET_DIMS(2)))));
    kept(&t, "the C of 'gemm' is not constant");
}

static void gemm_not_finite(void **state) {
    for (int k = 0; k < 4; k++) { // weights or C, behind or in front
        struct net t;
        net_begin(&t, 15);
        t.dtype = BNR_FLOAT16;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, C));
        const double scale = k & 1 ? 1 : 2, shift = k & 1 ? k & 2 ? 20 : 65504 : 1e-3;
        if (k & 2)
            x = bn_of(&t, x, C, scale, shift);
        x = net_op(&t, "Gemm", "gemm",
                   NET_IN(x, of_all(&t, NET_DIMS(C, 2), k & 1 ? 3000 : 60000),
                          of_all(&t, NET_DIMS(2), 5000)));
        net_output(&t, k & 2 ? x : bn_of(&t, x, 2, scale, shift));
        kept(&t, k & 1 ? "the new bias of 'gemm' would not be finite"
                       : "the scaled weights 'w' would not be finite");
    }
}

static void dequantized_matrix(void **state) {
    static const int64_t perm[] = {1, 0};
    for (int k = 0; k < 2; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, C)),
                         *w = dequantized(&t, NET_DIMS(C, C));
        x = k ? net_op(&t, "Gemm", "gemm", NET_IN(x, w))
              : net_op(&t, "Gemm", "gemm", NET_IN(x, w, net_input(&t, "c", NET_DIMS(C))));
        net_output(&t, k ? net_bn(&t, "bn", transpose(&t, x, perm, 2), 3) : net_bn(&t, "bn", x, C));
        kept(&t, k ? "vary over axis 0, the channels of 'gemm' are axis 1"
                   : "the C of 'gemm' is not constant");
    }
}

// ---- MatMul

static void product_with_a_vector(void **state) {
    for (int quantized = 0; quantized < 2; quantized++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 3));
        struct bnr_value *w =
            quantized ? dequantized(&t, NET_DIMS(3)) : net_weight(&t, "w", NET_DIMS(3));
        net_output(&t, net_bn(&t, "bn", net_op(&t, "MatMul", "mm", NET_IN(x, w)), C));
        kept(&t, "the weights of 'mm' are no matrix");
    }
}

// y = w * (2x + 1) for a vector x: its only axis is not the last but one.
static void product_of_a_vector(void **state) {
    const double two = 2, one = 1;
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(C));
    x = net_op(&t, "Mul", NULL, NET_IN(x, net_const(&t, "two", 0, NULL, &two)));
    x = net_op(&t, "Add", NULL, NET_IN(x, net_const(&t, "one", 0, NULL, &one)));
    net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(net_weight(&t, "w", NET_DIMS(3, C)), x)));
    net_fold(&t, FOLD);
    net_expect(&t, "Mul Add MatMul");
    net_end(&t);
}

static void product_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(3, C)), C);
    net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(x, net_input(&t, "w", NET_DIMS(C, 2)))));
    kept(&t, "the weights of 'mm' are not constant");
}

static void dequantized_product_over_another_axis(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 3));
    x = net_op(&t, "MatMul", "mm", NET_IN(x, dequantized(&t, NET_DIMS(3, C))));
    net_output(&t, net_bn(&t, "bn", x, C));
    kept(&t, "vary over axis 1, the channels of 'mm' are axis 2");
}

// ---- normalizations

static void norm_over_another_axis(void **state) {
    struct net t;
    net_begin(&t, 17);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 5));
    x = net_op(&t, "LayerNormalization", "norm", NET_IN(x, net_weight(&t, "s", NET_DIMS(5))));
    net_output(&t, net_bn(&t, "bn", x, C));
    kept(&t, "vary over axis 1, the channels of 'norm' are axis 2");
}

static void statistics_of_a_norm(void **state) {
    struct net t;
    net_begin(&t, 17);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 5));
    net_op(&t, "LayerNormalization", "norm", NET_IN(x, net_weight(&t, "s", NET_DIMS(5))));
    struct bnr_value *mean = net_out(&t, 1);
    net_output(&t, t.node->out[0]);
    net_output(&t, net_bn(&t, "bn", mean, C));
    kept(&t, "it follows the statistics of 'norm'");
}

static void norm_not_finite(void **state) {
    for (int k = 0; k < 2; k++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = BNR_FLOAT16;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 5));
        x = net_op(&t, "InstanceNormalization", "norm",
                   NET_IN(x, of_all(&t, NET_DIMS(C), k ? 1 : 60000),
                          of_all(&t, NET_DIMS(C), k ? 60000 : 1)));
        net_output(&t, bn_of(&t, x, C, 2, 0));
        kept(&t, "the new bias of 'norm' would not be finite in float16");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bias_behind_not_constant),
        cmocka_unit_test(bias_of_a_flat_map_not_constant),
        cmocka_unit_test(not_finite_behind),
        cmocka_unit_test(border_too_big),
        cmocka_unit_test(dequantized_kernel),
        cmocka_unit_test(gemm_over_another_axis),
        cmocka_unit_test(c_behind_not_constant),
        cmocka_unit_test(gemm_not_finite),
        cmocka_unit_test(dequantized_matrix),
        cmocka_unit_test(product_with_a_vector),
        cmocka_unit_test(product_of_a_vector),
        cmocka_unit_test(product_not_constant),
        cmocka_unit_test(dequantized_product_over_another_axis),
        cmocka_unit_test(norm_over_another_axis),
        cmocka_unit_test(statistics_of_a_norm),
        cmocka_unit_test(norm_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
