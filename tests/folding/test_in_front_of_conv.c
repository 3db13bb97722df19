// SPDX-License-Identifier: Apache-2.0
// Pattern 8: an affine in front of Conv and ConvTranspose. The scale always folds; the shift is a bias
// where every output sees all taps of the kernel (test_border.c: where not).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD };

static void no_padding(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16};
    static const struct net_conv shapes[] = {
        {.in = 3, .out = 5, .k = 3},
        {.in = 4, .out = 6, .k = 2, .group = 2, .stride = 2},
        {.in = 4, .out = 4, .k = 3, .group = 4},
        {.in = 4, .out = 8, .k = 1, .group = 4},
    };
    for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
        for (size_t s = 0; s < BNR_COUNT(shapes); s++)
            for (int k = 0; k < 12; k++) {
                struct net t;
                net_begin(&t, 15);
                t.dtype = dtypes[d];
                t.constant_nodes = k >= 6;
                struct net_conv c = shapes[s];
                c.spatial = 1 + k % 3;
                c.bias = k / 3 % 2;
                const int64_t dims[5] = {2, c.in, 5, 5, 5};
                struct bnr_value *x = net_input(&t, "x", 2 + c.spatial, dims);
                net_output(&t, net_conv(&t, "conv", net_bn(&t, "bn", x, c.in), c));
                net_fold(&t, FOLD);
                net_expect(&t, "Conv");
                net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
                net_end(&t);
            }
}

static void padding(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 3, 5, 5)), 3);
        struct net_conv c = {.spatial = 2, .in = 3, .out = 4, .k = 3, .pad = k == 0};
        struct bnr_value *y = net_conv(&t, "conv", x, c);
        if (k > 0)
            bnr__node_remove_attr(t.node, "pads");
        if (k == 1)
            net_attr_string(&t, "auto_pad", "SAME_UPPER");
        if (k == 2)
            net_attr_string(&t, "auto_pad", "SAME_LOWER");
        if (k == 3)
            net_attr_string(&t, "auto_pad", "VALID");
        net_output(&t, y);
        net_fold(&t, FOLD);
        net_expect(&t, k == 3 ? "Conv" : "BatchNormalization Conv");
        net_expect_bn(&t, "bn", k == 3 ? BNR_BN_FOLDED : BNR_BN_KEPT, k == 3 ? "conv" : "border");
        net_end(&t);
    }
}

// SAME adds nothing to a 1x1 kernel, whatever the stride.
static void same_padding_of_one(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 3, 5, 5)), 3);
    struct net_conv c = {.spatial = 2, .in = 3, .out = 4, .k = 1, .stride = 2};
    struct bnr_value *y = net_conv(&t, "conv", x, c);
    bnr__node_remove_attr(t.node, "pads");
    net_attr_string(&t, "auto_pad", "SAME_UPPER");
    net_output(&t, y);
    net_fold(&t, FOLD);
    net_expect(&t, "Conv");
    net_end(&t);
}

// Without shift padding with zeros changes nothing; groups, depthwise, strides, ConvTranspose.
static void scale_alone(void **state) {
    for (int k = 0; k < 12; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 4, 5, 5));
        x = net_op(&t, "Mul", NULL, NET_IN(x, net_weight(&t, "s", NET_DIMS(4, 1, 1))));
        struct net_conv c = {.spatial = 2,
                             .in = 4,
                             .out = 8,
                             .k = 3,
                             .pad = 1,
                             .bias = k & 1,
                             .transposed = (k & 2) != 0,
                             .group = 1 << k / 4};
        net_output(&t, net_conv(&t, "conv", x, c));
        net_fold(&t, FOLD);
        net_expect(&t, c.transposed ? "ConvTranspose" : "Conv");
        net_end(&t);
    }
}

// The shift in front of a transposed convolution is one bias only where each output has one tap.
static void transposed(void **state) {
    for (int k = 0; k < 2; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 4, 3, 3)), 4);
        struct net_conv c = {
            .spatial = 2, .in = 4, .out = 6, .k = k ? 2 : 1, .transposed = true, .group = 2};
        net_output(&t, net_conv(&t, "conv", x, c));
        net_fold(&t, FOLD);
        net_expect(&t, k ? "BatchNormalization ConvTranspose" : "ConvTranspose");
        if (k)
            net_expect_bn(&t, "bn", BNR_BN_KEPT, "border");
        net_end(&t);
    }
}

// (x - mean) / std of one number each, as exporters put in front of a first layer.
static void input_normalization(void **state) {
    struct net t;
    net_begin(&t, 13);
    const double mean[] = {0.4}, deviation[] = {0.25};
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
    x = net_op(&t, "Sub", NULL, NET_IN(x, net_const(&t, "mean", 0, NULL, mean)));
    x = net_op(&t, "Div", NULL, NET_IN(x, net_const(&t, "std", NET_DIMS(1), deviation)));
    struct net_conv c = {.spatial = 2, .in = 3, .out = 4, .k = 3};
    net_output(&t, net_conv(&t, "conv", x, c));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv");
    net_end(&t);
}

// Pattern 20: several readers, all of which take it in; one of which does not.
static void several_readers(void **state) {
    for (int k = 0; k < 3; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 4, 4, 4)), 4);
        struct net_conv c = {.spatial = 2, .in = 4, .out = 3, .k = 2};
        struct bnr_value *a = net_conv(&t, "a", x, c);
        c.out = 5;
        c.pad = k == 1;
        struct bnr_value *b = net_conv(&t, "b", x, c);
        net_output(&t, a);
        net_output(&t, b);
        if (k == 2)
            net_output(&t, net_op(&t, "Sigmoid", NULL, NET_IN(x)));
        net_fold(&t, FOLD);
        static const char *const expected[] = {"Conv Conv", "BatchNormalization Conv Conv",
                                               "BatchNormalization Conv Conv Sigmoid"};
        net_expect(&t, expected[k]);
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_padding),          cmocka_unit_test(padding),
        cmocka_unit_test(same_padding_of_one), cmocka_unit_test(scale_alone),
        cmocka_unit_test(transposed),          cmocka_unit_test(input_normalization),
        cmocka_unit_test(several_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
