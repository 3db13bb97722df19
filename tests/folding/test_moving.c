// SPDX-License-Identifier: Apache-2.0
// Patterns 12 to 20: affines past operators that let them pass, on chains to a Conv, and the cases
// in which they do not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

static const struct net_conv plain = {.spatial = 2, .in = C, .out = C, .k = 3, .pad = 1};
static const struct net_conv pointwise = {.spatial = 2, .in = C, .out = C, .k = 1};

// An affine that changes every channel: a BatchNormalization, or without shift a Mul.
static struct bnr_value *affine(struct net *t, struct bnr_value *x, bool positive, bool shift) {
    double s[C];
    for (int i = 0; i < C; i++)
        s[i] = positive ? net_random(t, 0.5, 2) : net_random(t, -2, 2);
    if (!shift)
        return net_op(t, "Mul", "scale", NET_IN(x, net_const(t, "s", NET_DIMS(C, 1, 1), s)));
    struct bnr_value *g = net_const(t, "g", NET_DIMS(C), s), *b = net_weight(t, "b", NET_DIMS(C));
    for (int i = 0; i < C; i++)
        s[i] = net_random(t, 0.5, 2);
    struct bnr_value *mean = net_weight(t, "m", NET_DIMS(C));
    struct bnr_value *var = net_const(t, "v", NET_DIMS(C), s);
    return net_op(t, "BatchNormalization", "bn", NET_IN(x, g, b, mean, var));
}

// conv -> op -> affine (backward) or affine -> op -> conv (forward), with `op` made by a function.
typedef struct bnr_value *make_fn(struct net *t, struct bnr_value *x);

enum { POSITIVE = 1, NO_SHIFT = 2, FORWARD_ONLY = 4, BACKWARD_ONLY = 8 };

static void one_way(make_fn *make, const char *op, int needs, bool forward, bool positive,
                    bool shift) {
    struct net t;
    char expected[200];
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *y = forward ? affine(&t, x, positive, shift) : net_conv(&t, "conv", x, plain);
    y = make(&t, y);
    y = forward ? net_conv(&t, "conv", y, pointwise) : affine(&t, y, positive, shift);
    net_output(&t, y);
    net_fold(&t, FOLD);
    const bool passes = (positive || !(needs & POSITIVE)) && (!shift || !(needs & NO_SHIFT)) &&
                        !(needs & (forward ? BACKWARD_ONLY : FORWARD_ONLY));
    const char *left = passes ? "" : shift ? "BatchNormalization" : "Mul";
    if (forward)
        snprintf(expected, sizeof expected, "%s%s%s Conv", left, passes ? "" : " ", op);
    else
        snprintf(expected, sizeof expected, "Conv %s%s%s", op, passes ? "" : " ", left);
    net_expect(&t, expected);
    net_end(&t);
}

static void all_ways(make_fn *make, const char *op, int needs) {
    for (int k = 0; k < 8; k++)
        one_way(make, op, needs, k & 1, k & 2, k & 4);
}

static struct bnr_value *relu(struct net *t, struct bnr_value *x) {
    return net_op(t, "Relu", NULL, NET_IN(x));
}
static struct bnr_value *leaky_relu(struct net *t, struct bnr_value *x) {
    return net_op(t, "LeakyRelu", NULL, NET_IN(x));
}
static struct bnr_value *prelu(struct net *t, struct bnr_value *x) {
    return net_op(t, "PRelu", NULL, NET_IN(x, net_weight(t, "slope", NET_DIMS(C, 1, 1))));
}
static struct bnr_value *max_pool(struct net *t, struct bnr_value *x) {
    x = net_op(t, "MaxPool", NULL, NET_IN(x));
    net_attr_ints(t, "kernel_shape", NET_INTS(3, 3));
    net_attr_ints(t, "pads", NET_INTS(1, 1, 1, 1));
    return x;
}
static struct bnr_value *average_pool(struct net *t, struct bnr_value *x) {
    x = net_op(t, "AveragePool", NULL, NET_IN(x));
    net_attr_ints(t, "kernel_shape", NET_INTS(3, 3));
    net_attr_ints(t, "pads", NET_INTS(1, 1, 1, 1));
    return x;
}
static struct bnr_value *counting_pool(struct net *t, struct bnr_value *x) {
    x = average_pool(t, x);
    net_attr_int(t, "count_include_pad", 1);
    return x;
}
static struct bnr_value *global_average_pool(struct net *t, struct bnr_value *x) {
    return net_op(t, "GlobalAveragePool", NULL, NET_IN(x));
}
static struct bnr_value *global_max_pool(struct net *t, struct bnr_value *x) {
    return net_op(t, "GlobalMaxPool", NULL, NET_IN(x));
}
static struct bnr_value *reduce_mean(struct net *t, struct bnr_value *x) {
    x = net_op(t, "ReduceMean", NULL, NET_IN(x));
    net_attr_ints(t, "axes", NET_INTS(2, -1));
    return x;
}
static struct bnr_value *reduce_max(struct net *t, struct bnr_value *x) {
    x = net_op(t, "ReduceMax", NULL, NET_IN(x));
    net_attr_ints(t, "axes", NET_INTS(-2, 3));
    return x;
}
static struct bnr_value *edge_pad(struct net *t, struct bnr_value *x) {
    struct bnr_value *pads = net_ints(t, "pads", NET_INTS(0, 0, 1, 2, 0, 0, 2, 1));
    x = net_op(t, "Pad", NULL, NET_IN(x, pads));
    net_attr_string(t, "mode", "edge");
    return x;
}
static struct bnr_value *zero_pad(struct net *t, struct bnr_value *x) {
    struct bnr_value *pads = net_ints(t, "pads", NET_INTS(0, 0, 1, 2, 0, 0, 2, 1));
    return net_op(t, "Pad", NULL, NET_IN(x, pads));
}
static struct bnr_value *slice(struct net *t, struct bnr_value *x) {
    return net_op(t, "Slice", NULL,
                  NET_IN(x, net_ints(t, "starts", NET_INTS(1)), net_ints(t, "ends", NET_INTS(5)),
                         net_ints(t, "axes", NET_INTS(-1)), net_ints(t, "steps", NET_INTS(2))));
}
static struct bnr_value *shift_by_one(struct net *t,
                                      struct bnr_value *x) { // [N, 1, C, H*W] and back
    struct bnr_value *axis = net_ints(t, "axis", NET_INTS(1));
    x = net_op(t, "Unsqueeze", NULL, NET_IN(x, axis));
    x = net_op(t, "Sigmoid", NULL, NET_IN(x)); // keeps the pair from meeting
    return net_op(t, "Squeeze", NULL, NET_IN(x, axis));
}
static struct bnr_value *unsqueeze(struct net *t, struct bnr_value *x) {
    x = net_op(t, "Unsqueeze", NULL, NET_IN(x, net_ints(t, "axis", NET_INTS(4))));
    return net_op(t, "Squeeze", NULL, NET_IN(x, net_ints(t, "axis2", NET_INTS(4))));
}
static struct bnr_value *there_and_back(struct net *t, struct bnr_value *x) {
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", NET_INTS(2, 3, 0, 1));
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", NET_INTS(2, 3, 1, 0));
    return x;
}
// Groups of channels change places: two axes vary on the way.
static struct bnr_value *shuffle(struct net *t, struct bnr_value *x) {
    x = net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "a", NET_INTS(0, 2, C / 2, 6, 6))));
    x = net_op(t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(t, "perm", NET_INTS(0, 2, 1, 3, 4));
    return net_op(t, "Reshape", NULL, NET_IN(x, net_ints(t, "b", NET_INTS(0, C, 6, 6))));
}
static struct bnr_value *gate(struct net *t, struct bnr_value *x) {
    struct bnr_value *g = net_input(t, "gate", NET_DIMS(2, C, 1, 1));
    return net_op(t, "Mul", NULL, NET_IN(x, g));
}
static struct bnr_value *divide(struct net *t, struct bnr_value *x) {
    struct bnr_value *g = net_input(t, "divisor", NET_DIMS(2, C, 6, 6));
    g = net_op(t, "Exp", NULL, NET_IN(g));
    return net_op(t, "Div", NULL, NET_IN(x, g));
}
static struct bnr_value *sigmoid(struct net *t, struct bnr_value *x) {
    return net_op(t, "Sigmoid", NULL, NET_IN(x));
}

static void unary(void **state) {
    all_ways(relu, "Relu", POSITIVE | NO_SHIFT);
    all_ways(leaky_relu, "LeakyRelu", POSITIVE | NO_SHIFT);
    all_ways(prelu, "PRelu", POSITIVE | NO_SHIFT);
    all_ways(sigmoid, "Sigmoid", FORWARD_ONLY | BACKWARD_ONLY);
}

static void pooling(void **state) {
    all_ways(max_pool, "MaxPool", POSITIVE);
    all_ways(average_pool, "AveragePool", 0);
    all_ways(counting_pool, "AveragePool", NO_SHIFT);
    all_ways(global_average_pool, "GlobalAveragePool", 0);
    all_ways(global_max_pool, "GlobalMaxPool", POSITIVE);
    all_ways(reduce_mean, "ReduceMean", 0);
    all_ways(reduce_max, "ReduceMax", POSITIVE);
}

static void layout(void **state) {
    all_ways(edge_pad, "Pad", 0);
    all_ways(zero_pad, "Pad", NO_SHIFT);
    all_ways(slice, "Slice", 0);
    all_ways(unsqueeze, "Unsqueeze Squeeze", 0);
    all_ways(shift_by_one, "Unsqueeze Sigmoid Squeeze", FORWARD_ONLY | BACKWARD_ONLY);
    all_ways(there_and_back, "Transpose Transpose", 0);
    all_ways(shuffle, "Reshape Transpose Reshape", 0);
}

static void two_data(void **state) {
    all_ways(gate, "Mul", NO_SHIFT);
    all_ways(divide, "Exp Div", NO_SHIFT);
}

// Concat: each branch takes its part.
static void concat(void **state) {
    for (int k = 0; k < 3; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6)), *parts[3];
        struct net_conv c = plain;
        for (int i = 0; i < 3; i++) {
            char name[20];
            snprintf(name, sizeof name, "conv%d", i);
            c.out = i + 1;
            parts[i] = net_conv(&t, name, x, c);
        }
        if (k == 1) { // a chain: through a pool and a second Concat
            parts[0] = average_pool(&t, parts[0]);
            parts[1] = net_op(&t, "Concat", NULL, NET_IN(parts[0], parts[1]));
            net_attr_int(&t, "axis", -3);
        }
        if (k == 2) // one of the branches is a constant
            parts[0] = net_weight(&t, "constant", NET_DIMS(2, 1, 6, 6));
        struct bnr_value *y = k == 1 ? net_op(&t, "Concat", NULL, NET_IN(parts[1], parts[2]))
                                     : net_op(&t, "Concat", NULL, 3, parts);
        net_attr_int(&t, "axis", 1);
        net_output(&t, net_bn(&t, "bn", y, 6));
        net_fold(&t, FOLD);
        static const char *const expected[] = {"Conv Conv Conv Concat",
                                               "Conv Conv Conv AveragePool Concat Concat",
                                               "Conv Conv Concat"};
        net_expect(&t, expected[k]);
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
}

// One branch that has another reader keeps the affine where it is.
static void concat_with_other_reader(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *a = net_conv(&t, "a", x, plain), *b = net_conv(&t, "b", x, plain);
    struct bnr_value *y = net_op(&t, "Concat", NULL, NET_IN(a, b));
    net_attr_int(&t, "axis", 1);
    net_output(&t, net_bn(&t, "bn", y, 2 * C));
    net_output(&t, net_op(&t, "Sigmoid", NULL, NET_IN(b)));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Conv Concat BatchNormalization Sigmoid");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "output of 'b' has 1 other use");
    net_end(&t);
}

// In front of a Concat: the other part is left alone.
static void concat_forward(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *z = net_input(&t, "z", NET_DIMS(2, 2, 6, 6));
    struct bnr_value *y = net_op(&t, "Concat", NULL, NET_IN(z, net_bn(&t, "bn", x, C)));
    net_attr_int(&t, "axis", 1);
    struct net_conv c = pointwise;
    c.in = C + 2;
    net_output(&t, net_conv(&t, "conv", y, c));
    net_fold(&t, FOLD);
    net_expect(&t, "Concat Conv");
    net_end(&t);
}

// Both parts of a Concat are the same affine, by two ways: the Conv takes both in at once.
static void both_parts(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 6, 6)), C);
    struct bnr_value *y = net_op(&t, "Concat", NULL, NET_IN(x, average_pool(&t, x)));
    net_attr_int(&t, "axis", 1);
    struct net_conv c = pointwise;
    c.in = 2 * C;
    net_output(&t, net_conv(&t, "conv", y, c));
    net_fold(&t, FOLD);
    net_expect(&t, "AveragePool Concat Conv");
    net_end(&t);
}

// x * x of an affine without shift: its scale counts twice.
static void squared(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = affine(&t, net_input(&t, "x", NET_DIMS(2, C, 6, 6)), false, false);
    net_output(&t, net_conv(&t, "conv", net_op(&t, "Mul", NULL, NET_IN(x, x)), plain));
    net_fold(&t, FOLD);
    net_expect(&t, "Mul Conv");
    net_end(&t);
}

static void split(void **state) {
    for (int forward = 0; forward < 2; forward++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
        x = forward ? net_bn(&t, "bn", x, C) : net_conv(&t, "conv", x, plain);
        struct bnr_value *a =
            net_op(&t, "Split", NULL, NET_IN(x, net_ints(&t, "n", NET_INTS(3, 1))));
        net_attr_int(&t, "axis", 1);
        struct bnr_value *b = net_out(&t, 1);
        struct net_conv c = pointwise;
        c.in = 3;
        net_output(&t, forward ? net_conv(&t, "c", a, c) : net_bn(&t, "bn_a", a, 3));
        c.in = 1;
        net_output(&t, forward ? net_conv(&t, "d", b, c) : net_bn(&t, "bn_b", b, 1));
        net_fold(&t, FOLD);
        net_expect(&t, forward ? "Split Conv Conv" : "Conv Split");
        net_end(&t);
    }
}

static void slice_of_channels(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
        x = k & 1 ? net_bn(&t, "bn", x, C) : net_conv(&t, "conv", x, plain);
        const int64_t start = k & 2 ? -1 : 1, end = k & 2 ? -100 : 3, step = k & 2 ? -2 : 1;
        struct bnr_value *y =
            net_op(&t, "Slice", NULL,
                   NET_IN(x, net_ints(&t, "starts", &start, 1), net_ints(&t, "ends", &end, 1),
                          net_ints(&t, "axes", NET_INTS(1)), net_ints(&t, "steps", &step, 1)));
        struct net_conv c = pointwise;
        c.in = 2;
        net_output(&t, k & 1 ? net_conv(&t, "conv", y, c) : net_bn(&t, "bn", y, 2));
        net_fold(&t, FOLD);
        net_expect(&t, k & 1 ? "Slice Conv" : "Conv Slice");
        net_end(&t);
    }
}

// The shortcut of narrow residual networks: channels of zeros are added.
static void pad_of_channels(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 6, 6)), C);
    struct bnr_value *pads = net_ints(&t, "pads", NET_INTS(0, 1, 0, 0, 0, 2, 0, 0));
    struct net_conv c = pointwise;
    c.in = C + 3;
    net_output(&t, net_conv(&t, "conv", net_op(&t, "Pad", NULL, NET_IN(x, pads)), c));
    net_fold(&t, FOLD);
    net_expect(&t, "Pad Conv");
    net_end(&t);
}

// Backward the added channels would become t, unless they are left alone.
static void pad_of_channels_backward(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_conv(&t, "conv", net_input(&t, "x", NET_DIMS(2, C, 6, 6)), plain);
    struct bnr_value *pads = net_ints(&t, "pads", NET_INTS(0, 1, 0, 0, 0, 2, 0, 0));
    y = net_op(&t, "Pad", NULL, NET_IN(y, pads));
    net_output(&t, net_bn(&t, "bn", y, C + 3));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Pad BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "adds channels of 0");
    net_end(&t);
}

static void depth_to_space(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 13);
        const bool to_space = k & 1;
        struct net_conv c = plain;
        c.out = to_space ? 8 : 2;
        struct bnr_value *y = net_conv(&t, "conv", net_input(&t, "x", NET_DIMS(2, C, 6, 6)), c);
        y = net_op(&t, to_space ? "DepthToSpace" : "SpaceToDepth", NULL, NET_IN(y));
        net_attr_int(&t, "blocksize", 2);
        if (to_space)
            net_attr_string(&t, "mode", k & 2 ? "CRD" : "DCR");
        if (to_space) {
            net_output(&t, net_bn(&t, "bn", y, 2));
        } else { // forward: each channel becomes four
            net_end(&t);
            net_begin(&t, 13);
            y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, 2, 6, 6)), 2);
            y = net_op(&t, "SpaceToDepth", NULL, NET_IN(y));
            net_attr_int(&t, "blocksize", 2);
            c = pointwise;
            c.in = 8;
            net_output(&t, net_conv(&t, "conv", y, c));
        }
        net_fold(&t, FOLD);
        net_expect(&t, to_space ? "Conv DepthToSpace" : "SpaceToDepth Conv");
        net_end(&t);
    }
}

// Pattern 18: s into both sides, t into one.
static void residual(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
        struct bnr_value *a = net_conv(&t, "a", x, plain), *b = net_conv(&t, "b", x, plain);
        static const char *const ops[] = {"Add", "Sub", "Sum", "Max"};
        struct bnr_value *y = net_op(&t, ops[k], NULL, NET_IN(a, b));
        net_output(&t, k == 3 ? affine(&t, y, true, true) : net_bn(&t, "bn", y, C));
        net_fold(&t, FOLD);
        char expected[50];
        snprintf(expected, sizeof expected, "Conv Conv %s", ops[k]);
        net_expect(&t, expected);
        net_end(&t);
    }
}

static void residual_with_other_reader(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *a = net_conv(&t, "a", x, plain);
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Add", NULL, NET_IN(a, x)), C));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Add BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "'x' is an input");
    net_end(&t);
}

// Where one side is broadcast over the channels, it cannot take a scale for each.
static void residual_of_one_channel(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct net_conv one = plain;
    one.out = 1;
    struct bnr_value *a = net_conv(&t, "a", x, plain), *b = net_conv(&t, "b", x, one);
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Add", NULL, NET_IN(a, b)), C));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv Conv Add BatchNormalization");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "broadcast over the channels");
    net_end(&t);
}

static void choice(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *condition =
        net_op(&t, "Greater", NULL, NET_IN(x, net_weight(&t, "z", 0, NULL)));
    struct bnr_value *a = net_conv(&t, "a", x, plain), *b = net_weight(&t, "b", NET_DIMS(1));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Where", NULL, NET_IN(condition, a, b)), C));
    net_fold(&t, FOLD);
    net_expect(&t, "Greater Conv Where");
    net_end(&t);
}

// Pattern 7: affines meet. Two that nothing absorbs become one.
static void affine_meets_affine(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x =
        net_op(&t, "Sigmoid", NULL, NET_IN(net_input(&t, "x", NET_DIMS(2, C, 6, 6))));
    x = net_bn(&t, "bn1", x, C);
    x = average_pool(&t, x);
    x = net_bn(&t, "bn2", x, C);
    net_output(&t, net_op(&t, "Sigmoid", NULL, NET_IN(x)));
    net_fold(&t, FOLD | BNR_PASS_RAISE);
    net_expect(&t, "Sigmoid BatchNormalization AveragePool Sigmoid");
    net_expect_bn(&t, "bn2", BNR_BN_FOLDED, "bn1");
    net_fold(&t, FOLD | BNR_PASS_FUSE);
    net_expect(&t, "Sigmoid Affine AveragePool Sigmoid");
    net_end(&t);
}

// Arithmetic that nothing absorbs stays as the file has it.
static void arithmetic_stays(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = affine(&t, net_input(&t, "x", NET_DIMS(2, C, 6, 6)), false, false);
    x = net_op(&t, "Add", "shift", NET_IN(x, net_weight(&t, "t", NET_DIMS(C, 1, 1))));
    net_output(&t, net_op(&t, "Sigmoid", NULL, NET_IN(x)));
    net_fold(&t, FOLD | BNR_PASS_FUSE);
    net_expect(&t, "Affine Sigmoid");
    net_fold(&t, FOLD | BNR_PASS_RAISE);
    net_expect(&t, "Mul Add Sigmoid");
    assert_non_null(net_folded_value(&t, "s"));
    net_end(&t);
}

// Of a BN, a pool, a Concat and another BN the Conv takes both, rounding its weights once.
static void whole_chains(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *a = average_pool(&t, net_bn(&t, "bn1", net_conv(&t, "a", x, plain), C));
    struct bnr_value *b = net_bn(&t, "bn2", net_conv(&t, "b", x, plain), C);
    struct bnr_value *y = net_op(&t, "Concat", NULL, NET_IN(a, b));
    net_attr_int(&t, "axis", 1);
    net_output(&t, net_bn(&t, "bn3", y, 2 * C));
    net_fold(&t, FOLD);
    net_expect(&t, "Conv AveragePool Conv Concat");
    net_expect_bn(&t, "bn1", BNR_BN_FOLDED, "a");
    net_expect_bn(&t, "bn2", BNR_BN_FOLDED, "b");
    net_expect_bn(&t, "bn3", BNR_BN_FOLDED, "");
    net_end(&t);
}

// Both parts of a Split lead to the same affine in front of it, which counts once.
static void parts_of_an_affine(void **state) {
    for (int merge = 0; merge < 2; merge++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
        x = merge ? net_op(&t, "Sigmoid", NULL, NET_IN(x)) : net_conv(&t, "conv", x, plain);
        x = net_bn(&t, "bn1", x, C);
        struct bnr_value *a =
            net_op(&t, "Split", NULL, NET_IN(x, net_ints(&t, "n", NET_INTS(3, 1))));
        net_attr_int(&t, "axis", 1);
        struct bnr_value *b = net_out(&t, 1);
        struct bnr_value *y = net_op(&t, "Concat", NULL, NET_IN(b, a));
        net_attr_int(&t, "axis", 1);
        net_output(&t, net_bn(&t, "bn2", y, C));
        net_fold(&t, FOLD | BNR_PASS_RAISE);
        net_expect(&t, merge ? "Sigmoid BatchNormalization Split Concat" : "Conv Split Concat");
        net_expect_bn(&t, "bn2", BNR_BN_FOLDED, merge ? "bn1" : "conv");
        net_end(&t);
    }
}

// A normalization by the data's own statistics is none itself, but has a scale and a bias.
static void behind_instance_norm(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 6, 6));
    struct bnr_value *g = net_weight(&t, "g", NET_DIMS(C)), *b = net_weight(&t, "b", NET_DIMS(C));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "InstanceNormalization", "in", NET_IN(x, g, b)), C));
    net_fold(&t, FOLD);
    net_expect(&t, "InstanceNormalization");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary),
        cmocka_unit_test(pooling),
        cmocka_unit_test(layout),
        cmocka_unit_test(two_data),
        cmocka_unit_test(concat),
        cmocka_unit_test(concat_with_other_reader),
        cmocka_unit_test(concat_forward),
        cmocka_unit_test(both_parts),
        cmocka_unit_test(squared),
        cmocka_unit_test(split),
        cmocka_unit_test(slice_of_channels),
        cmocka_unit_test(pad_of_channels),
        cmocka_unit_test(pad_of_channels_backward),
        cmocka_unit_test(depth_to_space),
        cmocka_unit_test(residual),
        cmocka_unit_test(residual_with_other_reader),
        cmocka_unit_test(residual_of_one_channel),
        cmocka_unit_test(choice),
        cmocka_unit_test(affine_meets_affine),
        cmocka_unit_test(arithmetic_stays),
        cmocka_unit_test(whole_chains),
        cmocka_unit_test(parts_of_an_affine),
        cmocka_unit_test(behind_instance_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
