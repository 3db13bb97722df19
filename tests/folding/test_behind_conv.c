// SPDX-License-Identifier: Apache-2.0
// Patterns 1, 2, 3 and 6: Conv and ConvTranspose of 1 to 3 spatial axes, with groups, followed by
// BatchNormalization, with and without bias or an Add between; every float dtype.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD };

static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16};

static void one_conv(enum bnr_dtype dtype, struct net_conv c, bool constant_nodes) {
    struct net t;
    int64_t dims[5] = {2, c.in, 5, 5, 5};
    net_begin(&t, 17);
    t.dtype = dtype;
    t.constant_nodes = constant_nodes;
    struct bnr_value *x = net_input(&t, "x", 2 + c.spatial, dims);
    net_output(&t, net_bn(&t, "bn", net_conv(&t, "conv", x, c), c.out));
    net_fold(&t, FOLD);
    net_expect(&t, c.transposed ? "ConvTranspose" : "Conv");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
    net_end(&t);
}

static void every_conv(void **state) {
    static const struct net_conv shapes[] = {
        {.in = 3, .out = 4, .k = 3, .pad = 1},
        {.in = 4, .out = 6, .k = 3, .group = 2, .stride = 2},
        {.in = 4, .out = 4, .k = 3, .group = 4, .pad = 1},
        {.in = 4, .out = 8, .k = 1, .group = 4},
        {.in = 5, .out = 7, .k = 1},
    };
    for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
        for (size_t s = 0; s < BNR_COUNT(shapes); s++)
            for (int k = 0; k < 24; k++) {
                struct net_conv c = shapes[s];
                c.spatial = 1 + k % 3;
                c.bias = k / 3 % 2;
                c.transposed = k / 6 % 2;
                one_conv(dtypes[d], c, k / 12 % 2);
            }
}

static void add_between(void **state) {
    for (int k = 0; k < 8; k++) {
        struct net t;
        net_begin(&t, 13);
        const struct net_conv c = {
            .spatial = 2, .in = 3, .out = 5, .k = 3, .bias = k & 1, .transposed = (k & 2) != 0};
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 6, 6));
        struct bnr_value *y = net_conv(&t, "conv", x, c);
        struct bnr_value *b = net_weight(&t, "b", NET_DIMS(5, 1, 1));
        y = k & 4 ? net_op(&t, "Add", "add", NET_IN(b, y)) : net_op(&t, "Add", "add", NET_IN(y, b));
        net_output(&t, net_bn(&t, "bn", y, 5));
        net_fold(&t, FOLD);
        net_expect(&t, c.transposed ? "ConvTranspose" : "Conv");
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
}

// Spellings of the same: (x - mean) / sqrt * gamma + beta as four nodes, c - x, -x, scalars.
static void arithmetic(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 6, 6));
    struct bnr_value *y =
        net_conv(&t, "conv", x, (struct net_conv){.spatial = 2, .in = 3, .out = 4, .k = 3});
    y = net_op(&t, "Sub", NULL, NET_IN(y, net_weight(&t, "mean", NET_DIMS(1, 4, 1, 1))));
    const double deviation[] = {0.5, 1.5, 2, 0.25};
    y = net_op(&t, "Div", NULL, NET_IN(y, net_const(&t, "std", NET_DIMS(4, 1, 1), deviation)));
    y = net_op(&t, "Mul", NULL, NET_IN(net_weight(&t, "gamma", NET_DIMS(4, 1, 1)), y));
    y = net_op(&t, "Add", NULL, NET_IN(net_weight(&t, "beta", NET_DIMS(1, 4, 1, 1)), y));
    y = net_op(&t, "Sub", NULL, NET_IN(net_weight(&t, "one", 0, NULL), y));
    y = net_op(&t, "Neg", NULL, NET_IN(y));
    y = net_op(&t, "Sum", NULL, NET_IN(y, net_weight(&t, "two", NET_DIMS(1))));
    net_output(&t, y);
    net_fold(&t, FOLD);
    net_expect(&t, "Conv");
    net_end(&t);
}

// c / x is not linear, and a constant that makes the result larger is no affine.
static void not_an_affine(void **state) {
    struct net t;
    net_begin(&t, 13);
    const struct net_conv c = {.spatial = 2, .in = 3, .out = 4, .k = 3};
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 6, 6));
    struct bnr_value *one = net_weight(&t, "one", NET_DIMS(4, 1, 1));
    net_output(&t, net_op(&t, "Div", NULL, NET_IN(one, net_conv(&t, "a", x, c))));
    struct bnr_value *many = net_weight(&t, "many", NET_DIMS(3, 1, 1, 1));
    net_output(&t, net_op(&t, "Add", NULL, NET_IN(net_conv(&t, "b", x, c), many)));
    struct bnr_value *map = net_weight(&t, "map", NET_DIMS(4, 4));
    net_output(&t, net_op(&t, "Mul", NULL, NET_IN(net_conv(&t, "c", x, c), map)));
    struct bnr_value *z = net_input(&t, "z", NET_DIMS(1, 1, 6, 6));
    z = net_op(&t, "Mul", NULL, NET_IN(z, one)); // of one channel four
    net_output(&t,
               net_conv(&t, "d", z, (struct net_conv){.spatial = 2, .in = 4, .out = 2, .k = 1}));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Div Conv Add Conv Mul Mul Conv");
    net_end(&t);
}

// Two convolutions with the same weights and different BatchNormalizations: each gets its own copy.
static void shared_weights(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 6, 6));
    struct bnr_value *z = net_input(&t, "z", NET_DIMS(1, 3, 6, 6));
    struct bnr_value *w = net_weight(&t, "w", NET_DIMS(4, 3, 3, 3));
    net_output(&t, net_bn(&t, "bn1", net_op(&t, "Conv", "conv1", NET_IN(x, w)), 4));
    net_output(&t, net_bn(&t, "bn2", net_op(&t, "Conv", "conv2", NET_IN(z, w)), 4));
    net_output(&t, net_op(&t, "Conv", "conv3", NET_IN(z, w)));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Conv Conv");
    net_expect_bn(&t, "bn1", BNR_BN_FOLDED, "conv1");
    net_expect_bn(&t, "bn2", BNR_BN_FOLDED, "conv2");
    assert_ptr_equal(net_folded_value(&t, "w")->tensor, w->tensor); // conv3's
    net_end(&t);
}

// Arithmetic alone is no reason for a second copy of weights.
static void shared_weights_stay_shared(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 6, 6));
    struct bnr_value *w = net_weight(&t, "w", NET_DIMS(4, 3, 3, 3));
    struct bnr_value *s = net_weight(&t, "s", NET_DIMS(4, 1, 1));
    net_output(&t, net_op(&t, "Mul", "mul", NET_IN(net_op(&t, "Conv", "conv1", NET_IN(x, w)), s)));
    struct bnr_value *z = net_input(&t, "z", NET_DIMS(1, 3, 6, 6));
    net_output(&t, net_op(&t, "Conv", "conv2", NET_IN(z, w)));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Mul Conv");
    net_end(&t);
}

// Results below the smallest normal number become zero; in float16 where they mean nothing beside the
// largest of the row.
static void subnormal_results(void **state) {
    static const struct {
        enum bnr_dtype dtype;
        double w[3], s;
        bool zero[3];
    } cases[] = {
        {BNR_FLOAT, {1e-30, 1, 1e-20}, 1e-10, {true, false, false}},
        {BNR_BFLOAT16, {1e-30, 1, 1e-20}, 1e-10, {true, false, false}},
        {BNR_DOUBLE, {1e-200, 1, 1e-20}, 1e-150, {true, false, false}},
        {BNR_FLOAT16, {2e-4, 1, 4e-3}, 1e-2, {true, false, false}},
        {BNR_FLOAT16, {2e-4, 0.02, 4e-3}, 1e-2, {false, false, false}},
    };
    for (size_t k = 0; k < BNR_COUNT(cases); k++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = cases[k].dtype;
        const double zero[] = {0}, one[] = {1}, s[] = {cases[k].s};
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 3, 3));
        struct bnr_value *w = net_const(&t, "w", NET_DIMS(1, 3, 1, 1), cases[k].w);
        struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(x, w));
        y = net_op(&t, "BatchNormalization", "bn",
                   NET_IN(y, net_const(&t, "g", NET_DIMS(1), s), net_const(&t, "b", NET_DIMS(1), zero),
                          net_const(&t, "m", NET_DIMS(1), zero), net_const(&t, "v", NET_DIMS(1), one)));
        net_attr_float(&t, "epsilon", 0);
        net_output(&t, y);
        net_fold(&t, FOLD);
        net_expect(&t, "Conv");
        const struct bnr_tensor *folded = t.folded->graph->first->in[1]->tensor;
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(bnr__tensor_f64(folded, i) == 0, cases[k].zero[i]);
        net_end(&t);
    }
}

// Where epsilon is not given it is 1e-5.
static void default_epsilon(void **state) {
    for (int given = 0; given < 2; given++) {
        struct net t;
        net_begin(&t, 9);
        t.dtype = BNR_DOUBLE;
        const double one[] = {1}, zero[] = {0};
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, 3, 3));
        struct bnr_value *o = net_const(&t, "one", NET_DIMS(1), one);
        struct bnr_value *z = net_const(&t, "zero", NET_DIMS(1), zero);
        struct bnr_value *w = net_const(&t, "w", NET_DIMS(1, 1, 1, 1), one);
        struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(x, w));
        net_output(&t, net_op(&t, "BatchNormalization", "bn", NET_IN(y, o, z, z, z)));
        if (given)
            net_attr_float(&t, "epsilon", 0.25);
        net_fold(&t, FOLD);
        net_expect(&t, "Conv");
        const double s = bnr__tensor_f64(t.folded->graph->first->in[1]->tensor, 0);
        const double want = given ? 2 : 316.22776601683796; // 1 / sqrt(1e-5)
        assert_true(s > want * (1 - 1e-6) && s < want * (1 + 1e-6));
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conv),        cmocka_unit_test(add_between),
        cmocka_unit_test(arithmetic),        cmocka_unit_test(not_an_affine),
        cmocka_unit_test(shared_weights),    cmocka_unit_test(shared_weights_stay_shared),
        cmocka_unit_test(subnormal_results), cmocka_unit_test(default_epsilon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
