// SPDX-License-Identifier: Apache-2.0
// A BatchNormalization of what a convolution beside it reads, both added: the third branch of
// RepVGG and MobileOne. One convolution is left of all branches that read the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

static const unsigned file = BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE;

static const struct net_conv same = {
    .spatial = 2, .in = 4, .out = 4, .k = 3, .group = 1, .pad = 1, .stride = 1};

// x -> Relu, which three branches could read.
static struct bnr_value *begin(struct net *t, int spatial, enum bnr_dtype dtype) {
    const int64_t dims[] = {2, 4, 5, 6, 3};
    net_begin(t, 14);
    t->dtype = dtype;
    return net_op(t, "Relu", "relu", NET_IN(net_input(t, "x", 2 + spatial, dims)));
}

static void folds(struct net *t, const char *ops, const char *into) {
    net_fold(t, file);
    net_expect(t, ops);
    net_expect_bn(t, "beside", BNR_BN_FOLDED, into);
    net_reload(t, file);
    net_end(t);
}

static void all_shapes(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_FLOAT16};
    for (int i = 0; i < 3 * 3 * 3 * 2 * 3; i++) {
        const int64_t k = 1 + 2 * (i / 3 % 3);
        const struct net_conv c = {.spatial = 1 + i % 3,
                                   .in = 4,
                                   .out = 4,
                                   .k = k,
                                   .pad = k / 2,
                                   .stride = 1,
                                   .group = 1 << i / 9 % 3,
                                   .bias = i / 27 % 2};
        struct net t;
        struct bnr_value *x = begin(&t, c.spatial, dtypes[i / 54]);
        struct bnr_value *y = net_conv(&t, "conv", x, c), *z = net_bn(&t, "beside", x, 4);
        net_output(&t, net_op(&t, "Add", "sum", NET_IN(i & 1 ? y : z, i & 1 ? z : y)));
        folds(&t, "Relu Conv", "conv");
    }
}

// With BatchNormalizations behind the convolutions, as it is trained.
static void repvgg(void **state) {
    static const struct net_conv one = {
        .spatial = 2, .in = 4, .out = 4, .k = 1, .group = 1, .stride = 1};
    struct net t;
    struct bnr_value *x = begin(&t, 2, BNR_FLOAT);
    struct bnr_value *a = net_bn(&t, "bn3", net_conv(&t, "conv3", x, same), 4);
    struct bnr_value *b = net_bn(&t, "bn1", net_conv(&t, "conv1", x, one), 4);
    a = net_op(&t, "Add", "sum1", NET_IN(a, b));
    a = net_op(&t, "Add", "sum2", NET_IN(a, net_bn(&t, "beside", x, 4)));
    net_output(&t, net_op(&t, "Relu", "relu2", NET_IN(a)));
    folds(&t, "Relu Conv Conv Add Relu", "conv3");
}

// The other branch is a residual that is read elsewhere as well.
static void deeper_in_a_sum(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 2, BNR_FLOAT), *r = net_op(&t, "Sigmoid", "r", NET_IN(x));
    struct bnr_value *y = net_op(&t, "Sum", "s1", NET_IN(r, net_conv(&t, "conv", x, same)));
    y = net_op(&t, "Add", "s2", NET_IN(y, net_op(&t, "Tanh", "tanh", NET_IN(r))));
    net_output(&t, net_op(&t, "Sum", "s3", NET_IN(net_bn(&t, "beside", x, 4), y)));
    folds(&t, "Relu Sigmoid Conv Sum Tanh Add", "conv");
}

static void pads(struct net *t, const char *automatic, int64_t k, int64_t dilation,
                 const int64_t *pads) {
    const int64_t dims[] = {4, 2, k, k}, by[] = {dilation, dilation};
    struct bnr_value *x = begin(t, 2, BNR_FLOAT);
    struct bnr_value *y = net_op(t, "Conv", "conv", NET_IN(x, net_weight(t, "w", 4, dims)));
    net_attr_int(t, "group", 2);
    net_attr_ints(t, "dilations", by, 2);
    if (automatic)
        net_attr_string(t, "auto_pad", automatic);
    if (pads)
        net_attr_ints(t, "pads", pads, 4);
    net_output(t, net_op(t, "Add", "sum", NET_IN(y, net_bn(t, "beside", x, 4))));
}

static void any_padding_that_keeps_the_size(void **state) {
    static const struct {
        const char *automatic;
        int64_t k, dilation, pads[4];
        bool given;
    } cases[] = {
        {NULL, 3, 2, {2, 2, 2, 2}, true},     {NULL, 3, 1, {0, 2, 2, 0}, true},
        {NULL, 2, 1, {1, 0, 0, 1}, true},     {NULL, 3, 2, {0, 4, 4, 0}, true},
        {"SAME_UPPER", 3, 1, {0}, false},     {"SAME_UPPER", 2, 1, {0}, false},
        {"SAME_LOWER", 2, 1, {0}, false},     {"SAME_LOWER", 4, 1, {0}, false},
        {"SAME_UPPER", 3, 3, {0}, false},     {"VALID", 1, 1, {0}, false},
        {"NOTSET", 5, 1, {4, 1, 0, 3}, true}, {NULL, 1, 1, {0}, false},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        pads(&t, cases[i].automatic, cases[i].k, cases[i].dilation,
             cases[i].given ? cases[i].pads : NULL);
        folds(&t, "Relu Conv", "conv");
    }
}

// ---- refusals -----------------------------------------------------------------------------------

static void stays(struct net *t) {
    net_fold(t, file);
    net_expect_bn(t, "beside", BNR_BN_KEPT, "");
    net_end(t);
}

static void no_tap_on_the_pixel(void **state) {
    struct net t;
    pads(&t, NULL, 2, 2, (const int64_t[]){1, 1, 1, 1}); // between two taps
    stays(&t);
    // As many outputs as inputs by a stride, or broadcast.
    const struct net_conv strided = {
        .spatial = 2, .in = 4, .out = 4, .k = 3, .group = 1, .pad = 1, .stride = 2};
    for (int wide = 0; wide < 2; wide++) {
        net_begin(&t, 14);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 4, 1, 1));
        x = net_op(&t, "Relu", "relu", NET_IN(x));
        struct net_conv c = strided;
        c.pad += wide;
        struct bnr_value *y = net_conv(&t, "conv", x, c);
        net_output(&t, net_op(&t, "Add", "sum", NET_IN(y, net_bn(&t, "beside", x, 4))));
        stays(&t);
    }
}

static void other_channels(void **state) {
    static const struct net_conv to_one = {
        .spatial = 2, .in = 4, .out = 1, .k = 1, .group = 1, .stride = 1};
    struct net t;
    struct bnr_value *x = begin(&t, 2, BNR_FLOAT);
    struct bnr_value *y = net_conv(&t, "conv", x, to_one); // broadcast
    net_output(&t, net_op(&t, "Add", "sum", NET_IN(y, net_bn(&t, "beside", x, 4))));
    stays(&t);
}

static void other_input(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 2, BNR_FLOAT), *z = net_op(&t, "Tanh", "tanh", NET_IN(x));
    net_output(&t, net_op(&t, "Add", "sum",
                          NET_IN(net_conv(&t, "conv", z, same), net_bn(&t, "beside", x, 4))));
    stays(&t);
}

static void other_readers(void **state) {
    for (int i = 0; i < 4; i++) {
        struct net t;
        struct bnr_value *x = begin(&t, 2, BNR_FLOAT), *y = net_conv(&t, "conv", x, same),
                         *z = net_bn(&t, "beside", x, 4);
        net_output(&t, net_op(&t, "Add", "sum", NET_IN(y, z)));
        if (i == 0)
            net_output(&t, net_op(&t, "Relu", "other", NET_IN(y)));
        else if (i == 1)
            net_output(&t, net_op(&t, "Relu", "other", NET_IN(z)));
        else
            net_output(&t, i == 2 ? y : z);
        stays(&t);
    }
}

static void weights_not_constant(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 2, BNR_FLOAT);
    struct bnr_value *w = net_input(&t, "w", NET_DIMS(4, 4, 1, 1));
    net_output(
        &t, net_op(&t, "Add", "sum",
                   NET_IN(net_op(&t, "Conv", "conv", NET_IN(x, w)), net_bn(&t, "beside", x, 4))));
    stays(&t);
}

static void not_finite(void **state) {
    const double big[] = {60000, 60000, 60000, 60000};
    for (int shift = 0; shift < 2; shift++) {
        struct net t;
        struct bnr_value *x = begin(&t, 2, BNR_FLOAT16);
        struct bnr_value *w = shift ? net_weight(&t, "w", NET_DIMS(4, 1, 1, 1))
                                    : net_const(&t, "w", NET_DIMS(4, 1, 1, 1), big);
        struct bnr_value *b =
            shift ? net_const(&t, "b", NET_DIMS(4), big) : net_weight(&t, "b", NET_DIMS(4));
        struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(x, w, b));
        net_attr_int(&t, "group", 4);
        struct bnr_value *z =
            net_uniform_bn(&t, "beside", x, 4, shift ? 1 : 30000, shift ? 30000 : 0, 0, 1);
        net_output(&t, net_op(&t, "Add", "sum", NET_IN(y, z)));
        net_rewrite(&t, file);
        net_expect_bn(&t, "beside", BNR_BN_KEPT, "");
        net_end(&t);
    }
}

static void kept_on_request(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 2, BNR_FLOAT);
    net_output(&t, net_op(&t, "Add", "sum",
                          NET_IN(net_conv(&t, "conv", x, same), net_bn(&t, "beside", x, 4))));
    t.options.keep = "beside";
    stays(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes),           cmocka_unit_test(repvgg),
        cmocka_unit_test(deeper_in_a_sum),      cmocka_unit_test(any_padding_that_keeps_the_size),
        cmocka_unit_test(no_tap_on_the_pixel),  cmocka_unit_test(other_channels),
        cmocka_unit_test(other_input),          cmocka_unit_test(other_readers),
        cmocka_unit_test(weights_not_constant), cmocka_unit_test(not_finite),
        cmocka_unit_test(kept_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
