// SPDX-License-Identifier: Apache-2.0
// Operators that an affine must not pass: one test for each condition, which fails when the check
// goes away. The graph gives the same afterwards, and the verdict says why.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

static const struct net_conv pointwise = {.spatial = 2, .in = C, .out = C, .k = 1};

static struct bnr_value *start(struct net *t, int opset) {
    net_begin(t, opset);
    return net_conv(t, "conv", net_input(t, "x", NET_DIMS(2, C, 4, 4)), pointwise);
}

static void kept(struct net *t, const char *part) {
    net_fold(t, FOLD);
    net_expect_bn(t, "bn", BNR_BN_KEPT, part);
    net_end(t);
}

// ... -> y -> BatchNormalization stays, for a reason that contains `part`.
static void stays(struct net *t, struct bnr_value *y, int64_t channels, const char *part) {
    net_output(t, net_bn(t, "bn", y, channels));
    kept(t, part);
}

// BatchNormalization before opset 9 with statistics for each activation of [2,4,4,4].
static struct bnr_value *everywhere(struct net *t, struct bnr_value *x) {
    double ones[C * 4 * 4];
    for (size_t i = 0; i < BNR_COUNT(ones); i++)
        ones[i] = net_random(t, 0.5, 2);
    struct bnr_value *in[5] = {x};
    for (int i = 1; i < 5; i++)
        in[i] = net_const(t, "p", NET_DIMS(C, 4, 4), ones);
    x = net_op(t, "BatchNormalization", "bn", 5, in);
    net_attr_int(t, "spatial", 0);
    return x;
}

// ---- Resize

static struct bnr_value *resized(struct net *t, struct bnr_value *y, double channels) {
    struct bnr_value *roi =
        net_const(t, "roi", NET_DIMS(8), (double[]){0, 0, 0, 0, 1, 1, 1.5, 1.5});
    struct bnr_value *by = net_const(t, "by", NET_DIMS(4), (double[]){1, channels, 1.5, 1.5});
    return net_op(t, "Resize", "resize", NET_IN(y, roi, by));
}

static void resize_extrapolates(void **state) {
    struct net t;
    struct bnr_value *y = resized(&t, start(&t, 13), 1);
    net_attr_string(&t, "mode", "linear");
    net_attr_string(&t, "coordinate_transformation_mode", "tf_crop_and_resize");
    net_attr_float(&t, "extrapolation_value", 3);
    stays(&t, y, C, "'resize' may extrapolate");
}

static void resize_leaves_out(void **state) {
    struct net t;
    struct bnr_value *y = resized(&t, start(&t, 13), 1);
    net_attr_string(&t, "mode", "cubic");
    net_attr_int(&t, "exclude_outside", 1);
    stays(&t, y, C, "'resize' leaves out what is outside");
}

static void resize_of_channels(void **state) {
    struct net t;
    struct bnr_value *y = resized(&t, start(&t, 13), 2);
    stays(&t, y, 2 * C, "'resize' resizes axes on which it varies");
}

// ---- pooling and reductions

static void pool_of_what_varies(void **state) {
    static const char *const ops[] = {"AveragePool", "MaxPool", "GlobalAveragePool"};
    for (size_t i = 0; i < BNR_COUNT(ops); i++) {
        struct net t;
        net_begin(&t, 8);
        struct bnr_value *y = everywhere(&t, net_input(&t, "x", NET_DIMS(2, C, 4, 4)));
        y = net_op(&t, ops[i], "pool", NET_IN(y));
        if (i < 2)
            net_attr_ints(&t, "kernel_shape", NET_INTS(2, 2));
        net_output(&t, net_conv(&t, "conv", y, pointwise));
        kept(&t, "'pool' pools over axes on which it varies");
    }
}

static void mean_of_channels(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
    y = net_op(&t, "ReduceMean", "mean", NET_IN(y));
    net_attr_ints(&t, "axes", NET_INTS(1));
    const struct net_conv one = {.spatial = 2, .in = 1, .out = C, .k = 1};
    net_output(&t, net_conv(&t, "conv", y, one));
    kept(&t, "'mean' reduces axes on which it varies");
}

// ---- element by element

static void feeds_a_slope(void **state) {
    struct net t;
    net_begin(&t, 13);
    t.gamma = NET_GAMMA_POSITIVE;
    t.no_shift = true;
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "s", NET_DIMS(2, C, 4, 4)), C);
    y = net_op(&t, "PRelu", "prelu", NET_IN(net_input(&t, "x", NET_DIMS(2, C, 4, 4)), y));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "it feeds the slope of 'prelu'");
}

static void divides(void **state) {
    struct net t;
    net_begin(&t, 13);
    t.gamma = NET_GAMMA_POSITIVE;
    t.no_shift = true;
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "s", NET_DIMS(2, C, 4, 4)), C);
    y = net_op(&t, "Div", "div", NET_IN(net_input(&t, "x", NET_DIMS(2, C, 4, 4)), y));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "'div' divides by it");
}

static void negative_past_a_choice(void **state) {
    static const char *const ops[] = {"Max", "Min"};
    for (size_t i = 0; i < BNR_COUNT(ops); i++) {
        struct net t;
        struct bnr_value *a = start(&t, 13);
        struct bnr_value *b =
            net_conv(&t, "b", net_input(&t, "z", NET_DIMS(2, C, 4, 4)), pointwise);
        t.gamma = NET_GAMMA_NEGATIVE;
        stays(&t, net_op(&t, ops[i], "choice", NET_IN(a, b)), C, "not positive does not pass");
    }
}

// ---- layout

// Where the batch is open nothing says which channel an element of a row belongs to.
static void reshape_mixes(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6));
    bnr__value_declare(x)->shape.dims[0] = bnr__dim_unknown();
    struct bnr_value *y = net_bn(&t, "bn", x, C);
    y = net_op(&t, "Reshape", "mix", NET_IN(y, net_ints(&t, "to", NET_INTS(-1, 16))));
    net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(y, net_weight(&t, "w", NET_DIMS(16, 3)))));
    kept(&t, "'mix' mixes channels with other axes");
}

static void pad_repeats_channels(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 13);
    y = net_op(&t, "Pad", "pad", NET_IN(y, net_ints(&t, "p", NET_INTS(0, 1, 0, 0, 0, 1, 0, 0))));
    net_attr_string(&t, "mode", "edge");
    stays(&t, y, C + 2, "'pad' repeats channels");
}

static void pad_of_channels_and_rows(void **state) {
    struct net t;
    struct bnr_value *y = start(&t, 13);
    y = net_op(&t, "Pad", "pad", NET_IN(y, net_ints(&t, "p", NET_INTS(0, 1, 1, 0, 0, 1, 0, 0))));
    stays(&t, y, C + 2, "'pad' pads with 0, which it would change");
}

static void pixels_between_axes(void **state) {
    struct net t;
    net_begin(&t, 8);
    struct bnr_value *y = everywhere(&t, net_input(&t, "x", NET_DIMS(2, C, 4, 4)));
    y = net_op(&t, "SpaceToDepth", "deep", NET_IN(y));
    net_attr_int(&t, "blocksize", 2);
    const struct net_conv c = {.spatial = 2, .in = 4 * C, .out = 2, .k = 1};
    net_output(&t, net_conv(&t, "conv", y, c));
    kept(&t, "'deep' moves pixels between axes");
}

// ---- Gemm and MatMul

static void batch_of_weights(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_input(&t, "x", NET_DIMS(2, 3));
    y = net_op(&t, "MatMul", "mm", NET_IN(y, net_weight(&t, "w", NET_DIMS(2, 3, C))));
    y = net_op(&t, "Transpose", NULL, NET_IN(y));
    net_attr_ints(&t, "perm", NET_INTS(0, 2, 1));
    stays(&t, y, C, "'mm' has a batch of weight matrices");
}

static void feeds_the_other_factor(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "b", NET_DIMS(3, C)), C);
    y = net_op(&t, "Gemm", "gemm", NET_IN(net_weight(&t, "a", NET_DIMS(2, 3)), y));
    net_output(&t, y);
    kept(&t, "it feeds input 1 of 'gemm'");
}

// ---- normalizations, whose scale and bias could take it in

static void norm_of_several_axes(void **state) {
    struct net t;
    net_begin(&t, 17);
    struct bnr_value *y = net_input(&t, "x", NET_DIMS(2, C));
    y = net_op(&t, "LayerNormalization", "norm",
               NET_IN(y, net_weight(&t, "s", NET_DIMS(2, C)), net_weight(&t, "b", NET_DIMS(2, C))));
    net_attr_int(&t, "axis", 0);
    stays(&t, y, C, "'norm' normalizes over several axes");
}

static void norm_scale_not_constant(void **state) {
    for (int i = 0; i < 2; i++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 4));
        struct bnr_value *s = net_input(&t, "s", NET_DIMS(C)),
                         *b = net_weight(&t, "b", NET_DIMS(C));
        x = net_op(&t, "InstanceNormalization", "norm", NET_IN(x, i ? b : s, i ? s : b));
        stays(&t, x, C, "the scale and bias of 'norm' are not constant");
    }
}

// ---- QuantizeLinear and DequantizeLinear

static void parameters_not_constant(void **state) {
    for (int i = 0; i < 2; i++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *k = i ? net_weight(&t, "k", 0, NULL) : net_input(&t, "k", 0, NULL);
        t.dtype = BNR_INT8;
        struct bnr_value *z = i ? net_input(&t, "z", 0, NULL) : net_weight(&t, "z", 0, NULL);
        struct bnr_value *q = net_input(&t, "q", NET_DIMS(2, C, 4, 4));
        t.dtype = BNR_FLOAT;
        stays(&t, net_op(&t, "DequantizeLinear", "dq", NET_IN(q, k, z)), C,
              "the scale or zero point of 'dq' is not constant");
    }
}

static void no_zero_point(void **state) {
    static const double numbers[] = {0, 2, 2, 0, 1}; // y = 2x + 2 is a whole step
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *k = net_const(&t, "k", 0, NULL, &numbers[4]), *in[5];
    t.dtype = BNR_INT32;
    struct bnr_value *q = net_input(&t, "q", NET_DIMS(2, 1, 4, 4));
    t.dtype = BNR_FLOAT;
    in[0] = net_op(&t, "DequantizeLinear", "dq", NET_IN(q, k));
    for (int i = 1; i < 5; i++)
        in[i] = net_const(&t, "p", NET_DIMS(1), &numbers[i]);
    net_output(&t, net_op(&t, "BatchNormalization", "bn", 5, in));
    net_attr_float(&t, "epsilon", 0);
    kept(&t, "'dq' dequantizes int32, which has no zero point");
}

static void negative_past_rounding(void **state) {
    const double step = 0.125, zero = 0;
    struct net t;
    net_begin(&t, 13);
    t.gamma = NET_GAMMA_NEGATIVE;
    t.no_shift = true;
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
    struct bnr_value *k = net_const(&t, "k", 0, NULL, &step);
    t.dtype = BNR_INT8;
    struct bnr_value *z = net_const(&t, "z", 0, NULL, &zero);
    t.dtype = BNR_FLOAT;
    net_output(&t, net_op(&t, "QuantizeLinear", "q", NET_IN(y, k, z)));
    net_rewrite(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "not positive does not pass the rounding of 'q'");
    net_end(&t);
}

// ---- convolutions

static void border_of_what_varies(void **state) {
    struct net t;
    net_begin(&t, 8);
    struct bnr_value *y = everywhere(&t, net_input(&t, "x", NET_DIMS(2, C, 4, 4)));
    const struct net_conv padded = {.spatial = 2, .in = C, .out = 1, .k = 3, .pad = 1};
    net_output(&t, net_conv(&t, "conv", y, padded));
    kept(&t, "its scale varies over more than the channels");
}

static void weights_behind_not_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
    net_output(&t, net_op(&t, "Conv", "conv", NET_IN(y, net_input(&t, "w", NET_DIMS(2, C, 1, 1)))));
    kept(&t, "the weights of 'conv' are not constant");
}

static void matrix_not_constant(void **state) {
    for (int forward = 0; forward < 2; forward++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C)),
                         *w = net_input(&t, "w", NET_DIMS(C, C));
        if (forward)
            x = net_bn(&t, "bn", x, C);
        x = net_op(&t, "Gemm", "gemm", NET_IN(x, w));
        net_output(&t, forward ? x : net_bn(&t, "bn", x, C));
        kept(&t, "the weights of 'gemm' are not constant");
    }
}

// Until opset 6 an attribute says which axes of the second operand meet those of the first.
static void old_broadcasting(void **state) {
    struct net t;
    net_begin(&t, 6);
    struct bnr_value *a = net_input(&t, "a", NET_DIMS(2, C, C, C)),
                     *y = net_input(&t, "x", NET_DIMS(C, C));
    static const double ones[C] = {1, 1, 1, 1};
    struct bnr_value *in[5] = {
        y, net_weight(&t, "s", NET_DIMS(C)), net_const(&t, "b", NET_DIMS(C), (double[C]){0}),
        net_const(&t, "m", NET_DIMS(C), (double[C]){0}), net_const(&t, "v", NET_DIMS(C), ones)};
    y = net_op(&t, "BatchNormalization", "bn", 5, in);
    net_attr_int(&t, "is_test", 1);
    y = net_op(&t, "Mul", "mul", NET_IN(a, y));
    net_attr_int(&t, "broadcast", 1);
    net_attr_int(&t, "axis", 1);
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "how 'mul' broadcasts is not known");
}

// ---- operands that come at run time

static struct bnr_value *numbers(struct net *t, const char *name, int64_t n, const int64_t *v) {
    const enum bnr_dtype dtype = t->dtype;
    int k = 0;
    t->dtype = BNR_INT64;
    struct bnr_value *in = net_input(t, name, 1, &n);
    t->dtype = dtype;
    while (k + 1 < NET_MAX_INPUTS && t->data[k + 1])
        k++;
    for (int64_t i = 0; i < n; i++)
        t->data[k]->i64[i] = v[i];
    return in;
}

static void range_not_known(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C + 1, 4, 4)), C + 1);
    struct bnr_value *from = numbers(&t, "from", 1, (int64_t[]){1});
    y = net_op(&t, "Slice", "slice",
               NET_IN(y, from, net_ints(&t, "to", NET_INTS(5)), net_ints(&t, "axes", NET_INTS(1))));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "what 'slice' cuts out is not known");
}

static void reduced_axes_not_known(void **state) {
    struct net t;
    net_begin(&t, 18);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
    y = net_op(&t, "ReduceMean", "mean", NET_IN(y, numbers(&t, "axes", 1, (int64_t[]){2})));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "the axes of 'mean' are not known");
}

static void padding_not_known(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
    const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    y = net_op(&t, "Pad", "pad", NET_IN(y, numbers(&t, "p", 8, pads)));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "how 'pad' pads is not known");
}

static void joined_sizes_not_known(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 4, 4));
    bnr__value_declare(x)->shape.dims[1] = bnr__dim_unknown();
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "z", NET_DIMS(2, 1, 4, 4)), 1);
    y = net_op(&t, "Concat", "join", NET_IN(x, y));
    net_attr_int(&t, "axis", 1);
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "the sizes of what 'join' joins or cuts are not known");
}

// ---- MatMul has a place for a scale alone

static void shift_before_a_product(void **state) {
    static const double zeros[C] = {0}, ones[C] = {1, 1, 1, 1};
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C)),
                     *o = net_const(&t, "o", NET_DIMS(C), ones);
    struct bnr_value *m = net_const(&t, "m", NET_DIMS(C), zeros),
                     *b = net_weight(&t, "b", NET_DIMS(C));
    x = net_op(&t, "BatchNormalization", "bn", NET_IN(x, o, b, m, o));
    net_attr_float(&t, "epsilon", 0);
    net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(x, net_weight(&t, "w", NET_DIMS(C, 3)))));
    kept(&t, "'mm' has no bias that could take the shift");
}

static void product_over_another_axis(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 5)), C);
    net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(y, net_weight(&t, "w", NET_DIMS(5, 3)))));
    kept(&t, "vary over axis 1, the channels of 'mm' are axis 2");
}

// ---- parameters for each activation

static void range_of_what_varies(void **state) {
    struct net t;
    net_begin(&t, 8);
    struct bnr_value *y = everywhere(&t, net_input(&t, "x", NET_DIMS(2, C, 4, 4)));
    y = net_op(&t, "Slice", "slice", NET_IN(y));
    net_attr_ints(&t, "axes", NET_INTS(2));
    net_attr_ints(&t, "starts", NET_INTS(1));
    net_attr_ints(&t, "ends", NET_INTS(3));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "what 'slice' cuts out is not known");
}

static void padding_of_what_varies(void **state) {
    struct net t;
    net_begin(&t, 8);
    struct bnr_value *y = everywhere(&t, net_input(&t, "x", NET_DIMS(2, C, 4, 4)));
    y = net_op(&t, "Pad", "pad", NET_IN(y));
    net_attr_ints(&t, "pads", NET_INTS(0, 0, 1, 1, 0, 0, 1, 1));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    kept(&t, "how 'pad' pads is not known");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_extrapolates),
        cmocka_unit_test(resize_leaves_out),
        cmocka_unit_test(resize_of_channels),
        cmocka_unit_test(pool_of_what_varies),
        cmocka_unit_test(mean_of_channels),
        cmocka_unit_test(feeds_a_slope),
        cmocka_unit_test(divides),
        cmocka_unit_test(negative_past_a_choice),
        cmocka_unit_test(reshape_mixes),
        cmocka_unit_test(pad_repeats_channels),
        cmocka_unit_test(pad_of_channels_and_rows),
        cmocka_unit_test(pixels_between_axes),
        cmocka_unit_test(batch_of_weights),
        cmocka_unit_test(feeds_the_other_factor),
        cmocka_unit_test(norm_of_several_axes),
        cmocka_unit_test(norm_scale_not_constant),
        cmocka_unit_test(parameters_not_constant),
        cmocka_unit_test(no_zero_point),
        cmocka_unit_test(negative_past_rounding),
        cmocka_unit_test(border_of_what_varies),
        cmocka_unit_test(weights_behind_not_constant),
        cmocka_unit_test(matrix_not_constant),
        cmocka_unit_test(old_broadcasting),
        cmocka_unit_test(range_not_known),
        cmocka_unit_test(reduced_axes_not_known),
        cmocka_unit_test(padding_not_known),
        cmocka_unit_test(joined_sizes_not_known),
        cmocka_unit_test(shift_before_a_product),
        cmocka_unit_test(product_over_another_axis),
        cmocka_unit_test(range_of_what_varies),
        cmocka_unit_test(padding_of_what_varies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
