// SPDX-License-Identifier: Apache-2.0
// Patterns 9, 10 and 16: a shift in front of a convolution that pads, of a transposed one and of Pad. Exact
// by a map behind the convolution or another padding value, where that costs no more than the affine;
// refused where it would, and where sizes are open.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, FILES = FOLD | BNR_PASS_RAISE };

static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16, BNR_BFLOAT16};

// Shapes whose maps are small: any rank, groups, strides, dilations, with and without bias.
static void padded(void **state) {
    static const struct net_conv shapes[] = {
        {.in = 12, .out = 3, .k = 3, .pad = 1},
        {.in = 24, .out = 4, .k = 3, .pad = 1, .group = 2},
        {.in = 12, .out = 12, .k = 3, .pad = 2, .stride = 3},
        {.in = 8, .out = 8, .k = 4, .pad = 1, .stride = 2, .group = 2},
    };
    for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
        for (size_t s = 0; s < BNR_COUNT(shapes); s++)
            for (int k = 0; k < 6; k++) {
                struct net t;
                net_begin(&t, 15);
                t.dtype = dtypes[d];
                struct net_conv c = shapes[s];
                c.spatial = 1 + k % 3;
                c.bias = k >= 3;
                const int64_t dims[5] = {2, c.in, 6, 6, 6};
                struct bnr_value *x = net_input(&t, "x", 2 + c.spatial, dims);
                net_output(&t, net_conv(&t, "conv", net_bn(&t, "bn", x, c.in), c));
                net_fold(&t, FILES);
                net_expect(&t, "Conv Add");
                net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
                net_end(&t);
            }
}

static void auto_padding(void **state) {
    static const char *const modes[] = {"SAME_UPPER", "SAME_LOWER"};
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 12, 5, 6)), 12);
        const struct net_conv c = {.spatial = 2, .in = 12, .out = 4, .k = 4, .stride = 1 + k / 2};
        struct bnr_value *y = net_conv(&t, "conv", x, c);
        bnr__node_remove_attr(t.node, "pads");
        net_attr_string(&t, "auto_pad", modes[k % 2]);
        net_output(&t, y);
        net_fold(&t, FILES);
        net_expect(&t, "Conv Add");
        net_end(&t);
    }
}

// Each output sees other taps, but there is one of each channel only: that is a bias.
static void one_pixel(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, 4, 3, 3)), 4);
    net_output(&t, net_conv(&t, "conv", x,
                            (struct net_conv){.spatial = 2, .in = 4, .out = 3, .k = 5, .pad = 1}));
    net_fold(&t, FILES);
    net_expect(&t, "Conv");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
    net_end(&t);
}

// Mul and Add instead of a BatchNormalization; a lone Add stays where it is.
static void arithmetic(void **state) {
    for (int k = 0; k < 2; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 12, 6, 6));
        if (k == 0)
            x = net_op(&t, "Mul", NULL, NET_IN(x, net_weight(&t, "s", NET_DIMS(12, 1, 1))));
        x = net_op(&t, "Add", NULL, NET_IN(x, net_weight(&t, "t", NET_DIMS(12, 1, 1))));
        net_output(&t, net_conv(&t, "conv", x,
                                (struct net_conv){.spatial = 2, .in = 12, .out = 3, .k = 3, .pad = 1}));
        net_fold(&t, FILES);
        net_expect(&t, k == 0 ? "Conv Add" : "Add Conv");
        net_end(&t);
    }
}

static void transposed(void **state) {
    static const struct net_conv shapes[] = {
        {.in = 12, .out = 3, .k = 3},
        {.in = 24, .out = 4, .k = 3, .stride = 2, .pad = 1},
        {.in = 24, .out = 4, .k = 2, .stride = 2, .group = 2},
        {.in = 24, .out = 2, .k = 3, .stride = 3, .pad = 1},
    };
    for (size_t d = 0; d < BNR_COUNT(dtypes); d++)
        for (size_t s = 0; s < BNR_COUNT(shapes); s++)
            for (int k = 0; k < 4; k++) {
                struct net t;
                net_begin(&t, 15);
                t.dtype = dtypes[d];
                struct net_conv c = shapes[s];
                c.transposed = true;
                c.spatial = 1 + k % 2;
                c.bias = k >= 2;
                const int64_t dims[4] = {2, c.in, 3, 3};
                struct bnr_value *x = net_input(&t, "x", 2 + c.spatial, dims);
                net_output(&t, net_conv(&t, "conv", net_bn(&t, "bn", x, c.in), c));
                net_fold(&t, FILES);
                // Strided by the kernel's size and without padding every output has one tap, of many.
                net_expect(&t, "ConvTranspose Add");
                net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
                net_end(&t);
            }
}

// A map larger than what the affine passes over, or than the kernel; an open size.
static void refused(void **state) {
    static const char *const why[] = {"more than its input has", "more than its kernel has",
                                      "size is not known"};
    for (int k = 0; k < 3; k++) {
        struct net t;
        net_begin(&t, 13);
        const int64_t size = k == 1 ? 12 : 4;
        struct net_conv c = {.spatial = 2, .in = 8, .out = k == 0 ? 12 : 4, .k = 3, .pad = 1};
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 8, size, size));
        if (k == 2)
            bnr__value_declare(x)->shape.dims[2] = bnr__dim_unknown();
        net_output(&t, net_conv(&t, "conv", net_bn(&t, "bn", x, 8), c));
        net_fold(&t, FILES);
        net_expect(&t, "BatchNormalization Conv");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, why[k]);
        net_end(&t);
    }
}

// ---- Pad ----------------------------------------------------------------------------------------

static struct bnr_value *pad(struct net *t, struct bnr_value *x, double value, const int64_t pads[8]) {
    const bool old = bnr__model_opset(t->model, "") < 11;
    if (old) {
        x = net_op(t, "Pad", "pad", NET_IN(x));
        net_attr_ints(t, "pads", pads, 8);
        net_attr_float(t, "value", value);
        return x;
    }
    return net_op(t, "Pad", "pad",
                  NET_IN(x, net_ints(t, "pads", pads, 8), net_const(t, "value", 0, NULL, &value)));
}

// One scale and one shift for all: another value is padded with.
static void other_value(void **state) {
    static const int64_t pads[8] = {0, 0, 1, 2, 0, 0, 0, 1};
    const double mean[] = {0.4}, deviation[] = {0.25};
    for (int k = 0; k < 8; k++) {
        const bool old = k & 1, behind = k & 2, zero = k & 4;
        struct net t;
        net_begin(&t, old ? 9 : 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
        const struct net_conv c = {.spatial = 2, .in = 3, .out = 3, .k = 3};
        if (behind)
            x = net_conv(&t, "conv", x, c);
        if (behind)
            x = pad(&t, x, zero ? 0 : 0.7, pads);
        x = net_op(&t, "Sub", NULL, NET_IN(x, net_const(&t, "mean", 0, NULL, mean)));
        x = net_op(&t, "Div", NULL, NET_IN(x, net_const(&t, "std", NET_DIMS(1), deviation)));
        if (!behind)
            x = net_conv(&t, "conv", pad(&t, x, zero ? 0 : 0.7, pads), c);
        net_output(&t, x);
        net_fold(&t, FILES);
        net_expect(&t, behind ? "Conv Pad" : "Pad Conv");
        net_end(&t);
    }
}

// A shift for each channel becomes a map, which a convolution behind it may take in.
static void map_of_padding(void **state) {
    static const int64_t pads[8] = {0, 0, 1, 2, 0, 0, 0, 1};
    for (int k = 0; k < 8; k++) {
        struct net t;
        net_begin(&t, k & 1 ? 9 : 13);
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, 12, 5, 5)), 12);
        x = pad(&t, x, k & 2 ? 0.5 : 0, pads);
        net_output(&t, net_conv(&t, "conv", x,
                                (struct net_conv){.spatial = 2, .in = 12, .out = 3, .k = 3, .pad = k & 4}));
        net_fold(&t, FILES);
        net_expect(&t, k & 4 ? "BatchNormalization Pad Conv" : "Pad Conv Add");
        if (!(k & 4))
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
}

// Behind the padding there is no operator that could take in a map.
static void padding_refused(void **state) {
    static const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    for (int k = 0; k < 2; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
        if (k == 0)
            x = net_bn(&t, "bn", x, 3);
        else
            x = net_conv(&t, "conv", x, (struct net_conv){.spatial = 2, .in = 3, .out = 3, .k = 1});
        x = pad(&t, x, 0, pads);
        net_output(&t, k == 0 ? net_op(&t, "Relu", NULL, NET_IN(x)) : net_bn(&t, "bn", x, 3));
        net_fold(&t, FILES);
        net_expect(&t, k == 0 ? "BatchNormalization Pad Relu" : "Conv Pad BatchNormalization");
        net_expect_bn(&t, "bn", BNR_BN_KEPT, k == 0 ? "Relu" : "pads with 0");
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padded),          cmocka_unit_test(auto_padding), cmocka_unit_test(one_pixel),
        cmocka_unit_test(arithmetic),      cmocka_unit_test(transposed),   cmocka_unit_test(refused),
        cmocka_unit_test(other_value),     cmocka_unit_test(map_of_padding),
        cmocka_unit_test(padding_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
