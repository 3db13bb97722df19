// SPDX-License-Identifier: Apache-2.0
// Patterns 4, 5 and 11: affines behind and in front of Gemm and MatMul, with every shape of C,
// alpha, beta and transposition, and through Flatten and Reshape.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, M = 3, K = 5, N = 4 };

enum c_shape { ABSENT, SCALAR, ONE, VECTOR, ROW, MATRIX, C_SHAPES };

static struct bnr_value *make_c(struct net *t, enum c_shape shape) {
    switch (shape) {
    case SCALAR:
        return net_weight(t, "c", 0, NULL);
    case ONE:
        return net_weight(t, "c", NET_DIMS(1, 1));
    case VECTOR:
        return net_weight(t, "c", NET_DIMS(N));
    case ROW:
        return net_weight(t, "c", NET_DIMS(1, N));
    case MATRIX:
        return net_weight(t, "c", NET_DIMS(M, N));
    default:
        return NULL;
    }
}

static struct bnr_value *gemm(struct net *t, struct bnr_value *x, enum c_shape shape, int trans_b) {
    struct bnr_value *w =
        trans_b ? net_weight(t, "w", NET_DIMS(N, K)) : net_weight(t, "w", NET_DIMS(K, N));
    struct bnr_value *in[3] = {x, w, make_c(t, shape)};
    struct bnr_value *y = net_op(t, "Gemm", "gemm", in[2] ? 3 : 2, in);
    net_attr_int(t, "transB", trans_b);
    net_attr_float(t, "alpha", 0.75);
    net_attr_float(t, "beta", -1.5);
    return y;
}

static void behind_gemm(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16};
    for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
        for (int shape = 0; shape < C_SHAPES; shape++)
            for (int k = 0; k < 4; k++) {
                struct net t;
                net_begin(&t, 13);
                t.dtype = dtypes[d];
                t.constant_nodes = k >= 2;
                struct bnr_value *x = net_input(&t, "x", NET_DIMS(M, K));
                net_output(&t, net_bn(&t, "bn", gemm(&t, x, (enum c_shape)shape, k & 1), N));
                net_fold(&t, FOLD);
                net_expect(&t, "Gemm");
                net_expect_bn(&t, "bn", BNR_BN_FOLDED, "gemm");
                net_end(&t);
            }
}

static void in_front_of_gemm(void **state) {
    for (int shape = 0; shape < C_SHAPES; shape++)
        for (int k = 0; k < 4; k++) {
            struct net t;
            net_begin(&t, 13);
            const bool trans_a = k & 2;
            struct bnr_value *x =
                trans_a ? net_input(&t, "x", NET_DIMS(K, M)) : net_input(&t, "x", NET_DIMS(M, K));
            if (trans_a) { // the channels of A are its first axis then
                x = net_op(&t, "Mul", NULL, NET_IN(x, net_weight(&t, "s", NET_DIMS(K, 1))));
                x = net_op(&t, "Add", NULL, NET_IN(x, net_weight(&t, "t", NET_DIMS(K, 1))));
            } else {
                x = net_bn(&t, "bn", x, K);
            }
            struct bnr_value *y = gemm(&t, x, (enum c_shape)shape, k & 1);
            net_attr_int(&t, "transA", trans_a);
            net_output(&t, y);
            net_fold(&t, FOLD);
            net_expect(&t, "Gemm");
            net_end(&t);
        }
}

// Old Gemm broadcasts C only when told to.
static void old_gemm(void **state) {
    struct net t;
    net_begin(&t, 6);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(M, K));
    struct bnr_value *y = gemm(&t, x, MATRIX, 0);
    net_attr_int(&t, "broadcast", 0);
    y = net_bn(&t, "bn", y, N);
    net_attr_int(&t, "is_test", 1);
    net_output(&t, y);
    net_fold(&t, FOLD);
    net_expect(&t, "Gemm");
    net_end(&t);
}

static void c_by_row(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(M, K));
    struct bnr_value *w = net_weight(&t, "w", NET_DIMS(K, N)),
                     *c = net_weight(&t, "c", NET_DIMS(M, 1));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Gemm", "gemm", NET_IN(x, w, c)), N));
    net_fold(&t, FOLD);
    net_expect(&t, "Gemm BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "one number a row");
    net_end(&t);
}

static void c_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(M, K)), *c = net_input(&t, "c", NET_DIMS(N));
    struct bnr_value *w = net_weight(&t, "w", NET_DIMS(K, N));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Gemm", "gemm", NET_IN(x, w, c)), N));
    net_fold(&t, FOLD);
    net_expect(&t, "Gemm BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "C of 'gemm' is not constant");
    net_end(&t);
}

// A shift stays behind MatMul as an addition: an Add that was there takes it.
static void behind_matmul(void **state) {
    for (int add = 0; add < 2; add++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(M, K));
        struct bnr_value *y =
            net_op(&t, "MatMul", "matmul", NET_IN(x, net_weight(&t, "w", NET_DIMS(K, N))));
        if (add)
            y = net_op(&t, "Add", "add", NET_IN(y, net_weight(&t, "b", NET_DIMS(N))));
        net_output(&t, net_op(&t, "Relu", NULL, NET_IN(net_bn(&t, "bn", y, N))));
        net_fold(&t, FOLD);
        net_expect(&t, "MatMul Add Relu");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "matmul");
        net_end(&t);
    }
}

// Weights on the left: the rows of W are the channels.
static void behind_matmul_of_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, K, 6));
    struct bnr_value *y =
        net_op(&t, "MatMul", "matmul", NET_IN(net_weight(&t, "w", NET_DIMS(N, K)), x));
    net_output(&t, net_bn(&t, "bn", y, N));
    net_fold(&t, FOLD);
    net_expect(&t, "MatMul Add");
    net_end(&t);
}

// Rank 3 with the channels on axis 1 is not what MatMul's columns are.
static void other_axis_of_matmul(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, N, K));
    struct bnr_value *y =
        net_op(&t, "MatMul", "matmul", NET_IN(x, net_weight(&t, "w", NET_DIMS(K, N))));
    net_output(&t, net_bn(&t, "bn", y, N));
    net_fold(&t, FOLD);
    net_expect(&t, "MatMul BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "axis");
    net_end(&t);
}

static void in_front_of_matmul(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(M, K)), K);
    net_output(&t, net_op(&t, "MatMul", "matmul", NET_IN(x, net_weight(&t, "w", NET_DIMS(K, N)))));
    net_fold(&t, FOLD);
    net_expect(&t, "MatMul Add");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "matmul");
    net_end(&t);
}

static void not_constant_weights(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(M, K)),
                     *w = net_input(&t, "w", NET_DIMS(K, N));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "MatMul", "matmul", NET_IN(x, w)), N));
    net_fold(&t, FOLD);
    net_expect(&t, "MatMul BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "weights of 'matmul' are not constant");
    net_end(&t);
}

// Each channel became several columns.
static void through_flatten(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, 3, 2, 2)), 3);
        if (k == 0)
            x = net_op(&t, "Flatten", NULL, NET_IN(x));
        else if (k == 1)
            x = net_op(&t, "Reshape", NULL, NET_IN(x, net_ints(&t, "shape", NET_INTS(0, -1))));
        else { // channels last
            x = net_op(&t, "Transpose", NULL, NET_IN(x));
            net_attr_ints(&t, "perm", NET_INTS(0, 2, 3, 1));
            x = net_op(&t, "Reshape", NULL, NET_IN(x, net_ints(&t, "shape", NET_INTS(2, 12))));
        }
        struct bnr_value *w = net_weight(&t, "w", NET_DIMS(12, N));
        if (k == 3)
            net_output(&t, net_op(&t, "MatMul", "fc", NET_IN(x, w)));
        else
            net_output(&t, net_op(&t, "Gemm", "fc", NET_IN(x, w)));
        net_fold(&t, FOLD);
        static const char *const expected[] = {"Flatten Gemm", "Reshape Gemm",
                                               "Transpose Reshape Gemm",
                                               "Transpose Reshape MatMul Add"};
        net_expect(&t, expected[k]);
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "fc");
        net_end(&t);
    }
}

// And back: a Reshape behind a Gemm whose columns are channels times positions.
static void through_reshape_backward(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, K));
    x = net_op(&t, "Gemm", "fc", NET_IN(x, net_weight(&t, "w", NET_DIMS(K, 12))));
    x = net_op(&t, "Reshape", NULL, NET_IN(x, net_ints(&t, "shape", NET_INTS(0, 3, 2, 2))));
    net_output(&t, net_bn(&t, "bn", x, 3));
    net_fold(&t, FOLD);
    net_expect(&t, "Gemm Reshape");
    net_end(&t);
}

// Pattern 25: statistics for every activation fold into a Gemm behind a Flatten, and nowhere else.
static void not_spatial(void **state) {
    for (int gemm_behind = 0; gemm_behind < 2; gemm_behind++) {
        struct net t;
        net_begin(&t, 7);
        struct bnr_value *in[5] = {net_input(&t, "x", NET_DIMS(2, 3, 2, 2))};
        const double var[12] = {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6};
        in[1] = net_weight(&t, "scale", NET_DIMS(3, 2, 2));
        in[2] = net_weight(&t, "b", NET_DIMS(3, 2, 2));
        in[3] = net_weight(&t, "mean", NET_DIMS(3, 2, 2));
        in[4] = net_const(&t, "var", NET_DIMS(3, 2, 2), var);
        struct bnr_value *y = net_op(&t, "BatchNormalization", "bn", 5, in);
        net_attr_int(&t, "spatial", 0);
        if (gemm_behind) {
            y = net_op(&t, "Flatten", NULL, NET_IN(y));
            struct bnr_value *w = net_weight(&t, "w", NET_DIMS(12, N));
            y = net_op(&t, "Gemm", "fc", NET_IN(y, w, net_weight(&t, "c", NET_DIMS(N))));
        } else {
            y = net_conv(&t, "conv", y, (struct net_conv){.spatial = 2, .in = 3, .out = 2, .k = 1});
        }
        net_output(&t, y);
        net_fold(&t, FOLD);
        net_expect(&t, gemm_behind ? "Flatten Gemm" : "BatchNormalization Conv");
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_gemm),
        cmocka_unit_test(in_front_of_gemm),
        cmocka_unit_test(old_gemm),
        cmocka_unit_test(c_by_row),
        cmocka_unit_test(c_not_constant),
        cmocka_unit_test(behind_matmul),
        cmocka_unit_test(behind_matmul_of_constant),
        cmocka_unit_test(other_axis_of_matmul),
        cmocka_unit_test(in_front_of_matmul),
        cmocka_unit_test(not_constant_weights),
        cmocka_unit_test(through_flatten),
        cmocka_unit_test(through_reshape_backward),
        cmocka_unit_test(not_spatial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
