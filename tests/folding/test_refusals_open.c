// SPDX-License-Identifier: Apache-2.0
// What is only known at run time (dims, ranges, operands), and affines that feed another input than
// the data: one test for each condition, which fails when the check goes away. The graph gives the
// same afterwards, and the verdict says why.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/affine.h"
#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

static const struct net_conv pointwise = {.spatial = 2, .in = C, .out = C, .k = 1};

static void kept(struct net *t, const char *part) {
    net_fold(t, FOLD);
    net_expect_bn(t, "bn", BNR_BN_KEPT, part);
    net_end(t);
}

// x -> BatchNormalization; `open`: the axis of x that the graph leaves open, -1: none.
static struct bnr_value *start(struct net *t, int opset, int64_t channels, int open) {
    net_begin(t, opset);
    struct bnr_value *x = net_input(t, "x", NET_DIMS(2, channels, 4, 4));
    if (open >= 0)
        bnr__value_declare(x)->shape.dims[open] = bnr__dim_unknown();
    return net_bn(t, "bn", x, channels);
}

// ... -> y -> pointwise Conv: the BatchNormalization stays, for a reason that contains `part`.
static void stays(struct net *t, struct bnr_value *y, const char *part) {
    net_output(t, net_conv(t, "conv", y, pointwise));
    kept(t, part);
}

static struct bnr_value *numbers(struct net *t, const char *name, int64_t n, const int64_t *v) {
    const enum bnr_dtype dtype = t->dtype;
    t->dtype = BNR_INT64;
    struct bnr_value *in = net_input(t, name, 1, &n);
    t->dtype = dtype;
    for (int64_t i = 0; i < n; i++)
        t->data[t->g->n_inputs - 1]->i64[i] = v[i];
    return in;
}

// x * 2, of one number or a few.
static struct bnr_value *doubled(struct net *t, struct bnr_value *x) {
    const double two = 2;
    return net_op(t, "Mul", "double", NET_IN(x, net_const(t, "two", 0, NULL, &two)));
}

// ---- Slice: what each operand says, and the size that is cut

static void range(void **state) {
    enum { TO, AXES, STEPS, OPEN, ALL, KINDS };
    for (int k = 0; k < KINDS; k++) {
        struct net t;
        struct bnr_value *y = start(&t, 13, C + 1, k == OPEN ? 1 : -1);
        static const int64_t one[] = {1}, end[] = {C + 1}, all[] = {0, 1}, ends[] = {2, C + 1};
        struct bnr_value *in[5] = {y, net_ints(&t, "from", k == ALL ? all : one, k == ALL ? 2 : 1),
                                   k == TO    ? numbers(&t, "to", 1, end)
                                   : k == ALL ? numbers(&t, "to", 2, ends)
                                              : net_ints(&t, "to", end, 1),
                                   k == AXES  ? numbers(&t, "axes", 1, one)
                                   : k == ALL ? NULL
                                              : net_ints(&t, "axes", one, 1),
                                   k == STEPS ? numbers(&t, "steps", 1, one) : NULL};
        stays(&t,
              net_op(&t, "Slice", "slice",
                     k == STEPS ? 5
                     : k == ALL ? 3
                                : 4,
                     in),
              "what 'slice' cuts out is not known");
    }
}

// ---- Pad

static void padding(void **state) {
    enum { AXES, VALUE, OPEN, NEGATIVE, NEGATIVE_END, KINDS };
    for (int k = 0; k < KINDS; k++) {
        struct net t;
        const int64_t in = k == OPEN ? C - 1 : C, some[] = {1, 1}, channel[] = {1, 0},
                      axis[] = {k == OPEN ? 1 : 2};
        struct bnr_value *y = start(&t, 18, in, k == OPEN ? 1 : -1);
        struct bnr_value *value = k == VALUE ? net_input(&t, "filling", 0, NULL) : NULL;
        const int64_t cut[] = {-1, 2}, cut_end[] = {2, -1};
        struct bnr_value *operands[4] = {
            y,
            net_ints(&t, "pads",
                     k == OPEN           ? channel
                     : k == NEGATIVE     ? cut
                     : k == NEGATIVE_END ? cut_end
                                         : some,
                     2),
            value, k == AXES ? numbers(&t, "axes", 1, axis) : net_ints(&t, "axes", axis, 1)};
        stays(&t, net_op(&t, "Pad", "pad", 4, operands), "how 'pad' pads is not known");
    }
}

// The shift would be a map of a size that is not known, or of more than a million numbers.
static void padding_as_a_map(void **state) {
    for (int large = 0; large < 2; large++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 2, large ? 800 : 4, large ? 800 : 4));
        if (!large)
            bnr__value_declare(x)->shape.dims[2] = bnr__dim_unknown();
        x = net_bn(&t, "bn", x, 2);
        x = net_op(&t, "Pad", "pad",
                   NET_IN(x, net_ints(&t, "p", NET_INTS(0, 0, 1, 1, 0, 0, 1, 1))));
        const struct net_conv c = {.spatial = 2, .in = 2, .out = 1, .k = 1};
        net_output(&t, net_conv(&t, "conv", x, c));
        net_rewrite(&t, FOLD);
        net_expect_bn(&t, "bn", BNR_BN_KEPT, "'pad' pads with 0, which it would change");
        net_end(&t);
    }
}

// An attribute is a float: what the padding would have to be is none.
static void padding_not_finite(void **state) {
    const double scale = 1e-30, zero = 0, one = 1;
    struct net t;
    net_begin(&t, 8);
    t.dtype = BNR_DOUBLE;
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, 3, 3)),
                     *o = net_const(&t, "one", NET_DIMS(1), &one),
                     *z = net_const(&t, "zero", NET_DIMS(1), &zero);
    x = net_op(&t, "BatchNormalization", "bn",
               NET_IN(x, net_const(&t, "s", NET_DIMS(1), &scale), z, z, o));
    net_attr_float(&t, "epsilon", 0);
    x = net_op(&t, "Pad", "pad", NET_IN(x));
    net_attr_ints(&t, "pads", NET_INTS(0, 0, 1, 1, 0, 0, 1, 1));
    net_attr_float(&t, "value", 1e10);
    const struct net_conv c = {.spatial = 2, .in = 1, .out = 1, .k = 1};
    net_output(&t, net_conv(&t, "conv", x, c));
    kept(&t, "'pad' would pad with what is not finite");
}

// ---- joins of parts whose sizes are open

static void parts(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 4, 4)),
                     *z = net_input(&t, "z", NET_DIMS(2, 3, 4, 4));
    bnr__value_declare(z)->shape.dims[1] = bnr__dim_unknown();
    z = net_op(&t, "Concat", "join",
               NET_IN(net_conv(&t, "conv", x, pointwise), net_op(&t, "Sigmoid", NULL, NET_IN(z))));
    net_attr_int(&t, "axis", 1);
    net_output(&t, net_bn(&t, "bn", z, C + 3));
    kept(&t, "the sizes of what 'join' joins or cuts are not known");
}

// No rows: nothing to apply an affine to, and nothing that could tell its numbers.
static void constant_without_elements(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_conv(&t, "conv", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), pointwise);
    x = net_op(&t, "Concat", "join", NET_IN(net_weight(&t, "none", NET_DIMS(2, C, 0, 4)), x));
    net_attr_int(&t, "axis", 2);
    net_output(&t, net_bn(&t, "bn", x, C));
    kept(&t, "the constant 'none' is no tensor of floating-point numbers");
}

// One row of numbers would become one for each channel.
static void constant_too_large(void **state) {
    enum { MANY = 1100, ROWS = 64 };
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, ROWS, ROWS));
    struct bnr_value *a = net_op(&t, "Conv", "a",
                                 NET_IN(x, net_weight(&t, "w", NET_DIMS(MANY, 1, 1, 1)))),
                     *b = net_op(&t, "Conv", "b",
                                 NET_IN(x, net_weight(&t, "v", NET_DIMS(MANY, 1, 1, 1))));
    a = net_op(&t, "Sum", "sum", NET_IN(a, b, net_weight(&t, "k", NET_DIMS(1, 1, ROWS, ROWS))));
    net_output(&t, net_bn(&t, "bn", a, MANY));
    net_rewrite(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "the constant 'k' would become too large");
    net_end(&t);
}

// ---- broadcasting

static void broadcast_over_channels(void **state) {
    static const char *const ops[] = {"Max", "Min", "Where", "Add", "Div", "Mul"};
    for (size_t i = 0; i < BNR_COUNT(ops); i++) {
        struct net t;
        net_begin(&t, 13);
        t.gamma = NET_GAMMA_POSITIVE;
        t.no_shift = i >= 4;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 4, 4)),
                         *z = net_input(&t, "z", NET_DIMS(2, 1, 4, 4));
        struct bnr_value *one = net_op(&t, "Sigmoid", NULL, NET_IN(z)),
                         *all = net_conv(&t, "conv", x, pointwise);
        if (i == 4) // what divides does not matter
            all = net_op(&t, "Exp", NULL, NET_IN(net_input(&t, "d", NET_DIMS(2, C, 4, 4))));
        if (i == 5) { // neither factor has all channels to itself
            one = net_op(&t, "Sigmoid", NULL, NET_IN(net_input(&t, "d", NET_DIMS(2, C, 1, 4))));
            all =
                net_conv(&t, "conv", z, (struct net_conv){.spatial = 2, .in = 1, .out = 1, .k = 1});
        }
        struct bnr_value *in[3] = {one, all};
        if (i == 2) {
            in[0] = net_op(&t, "Less", NULL, NET_IN(z, one));
            in[1] = all;
            in[2] = one;
        }
        net_output(&t, net_bn(&t, "bn", net_op(&t, ops[i], "op", i == 2 ? 3 : 2, in), C));
        net_fold(&t, FOLD);
        net_expect_bn(&t, "bn", BNR_BN_KEPT,
                      i == 5 ? "not backward" : "is broadcast over the channels");
        net_end(&t);
    }
}

static void rank_not_known(void **state) {
    for (int divide = 0; divide < 2; divide++) {
        struct net t;
        net_begin(&t, 13);
        t.no_shift = true;
        struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
        struct bnr_value *y = net_input(&t, "y", NET_DIMS(1, 4, 4));
        bnr__value_declare(y)->shape = bnr__shape_unknown();
        y = net_op(&t, divide ? "Div" : "Mul", "op", NET_IN(x, net_op(&t, "Exp", NULL, NET_IN(y))));
        stays(&t, y, "how 'op' broadcasts is not known");
    }
}

// A row and a matrix of constants: the sum has an axis that the row has not.
static void sum_of_more_axes(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x =
        net_op(&t, "MatMul", "mm",
               NET_IN(net_input(&t, "x", NET_DIMS(3)), net_weight(&t, "w", NET_DIMS(3, C))));
    x = net_op(&t, "Add", "add", NET_IN(x, net_weight(&t, "k", NET_DIMS(2, C))));
    net_output(&t, net_bn(&t, "bn", x, C));
    net_fold(&t, FOLD);
    net_expect(&t, "MatMul Add Add"); // the shift, the constant
    net_end(&t);
}

// ---- an affine that feeds another input than the data

static void feeds_the_size(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 4, 4)),
                     *s = net_input(&t, "s", NET_DIMS(4));
    for (int i = 0; i < 4; i++)
        t.data[1]->f32[i] = i < 2 ? 0.5f : 1;
    x = net_op(&t, "Resize", "resize", 3, (struct bnr_value *[]){x, NULL, doubled(&t, s)});
    net_output(&t, net_conv(&t, "conv", x, pointwise));
    net_fold(&t, FOLD);
    net_expect(&t, "Mul Resize Conv");
    net_end(&t);
}

// Also where the padding is a number that nobody needs.
static void feeds_the_padding(void **state) {
    for (int edge = 0; edge < 2; edge++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 4, 4)),
                         *v = doubled(&t, net_input(&t, "v", 0, NULL));
        x = net_op(&t, "Pad", "pad",
                   NET_IN(x, net_ints(&t, "p", NET_INTS(0, 0, 1, 1, 0, 0, 1, 1)), v));
        if (edge)
            net_attr_string(&t, "mode", "edge");
        net_output(&t, net_conv(&t, "conv", x, pointwise));
        net_fold(&t, FOLD);
        net_expect(&t, "Mul Pad Conv");
        net_end(&t);
    }
}

static void feeds_the_bias(void **state) {
    for (int gemm = 0; gemm < 2; gemm++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *b = doubled(&t, net_input(&t, "b", NET_DIMS(C)));
        if (gemm)
            net_output(&t, net_op(&t, "Gemm", "gemm",
                                  NET_IN(net_input(&t, "x", NET_DIMS(2, 3)),
                                         net_weight(&t, "w", NET_DIMS(3, C)), b)));
        else
            net_output(&t, net_op(&t, "Conv", "conv",
                                  NET_IN(net_input(&t, "x", NET_DIMS(2, C, 4, 4)),
                                         net_weight(&t, "w", NET_DIMS(C, C, 1, 1)), b)));
        net_fold(&t, FOLD);
        net_expect(&t, gemm ? "Mul Gemm" : "Mul Conv");
        net_end(&t);
    }
}

// ---- what constant folding has not seen yet

static void constant_input(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "first", net_weight(&t, "k", NET_DIMS(2, C, 4, 4)), C);
    net_output(&t, net_bn(&t, "bn", x, C));
    net_fold(&t, BNR_PASS_FOLD);
    net_expect_bn(&t, "first", BNR_BN_KEPT, "its input 'k' is constant");
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "'first' has a constant input");
    net_end(&t);
}

// A product of constants is no affine of one of them.
static void constant_operands(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_conv(&t, "conv", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), pointwise);
    struct bnr_value *k = net_op(
        &t, "Mul", "k",
        NET_IN(net_weight(&t, "a", NET_DIMS(C, 1, 4)), net_weight(&t, "b", NET_DIMS(C, 1, 1))));
    net_output(&t, net_bn(&t, "bn", net_op(&t, "Add", NULL, NET_IN(x, k)), C));
    net_fold(&t, BNR_PASS_FOLD);
    net_expect(&t, "Conv Mul Add");
    net_end(&t);
}

// ---- numbers that not even float64 holds

// (1e200 x) * (1e200 x): each factor is fine, both at once are not.
static void square_not_finite(void **state) {
    for (int square = 0; square < 2; square++) {
        const double large[C] = {1e200, 1e200, 1e200, 1e200}, zeros[C] = {0},
                     ones[C] = {1, 1, 1, 1};
        struct net t;
        net_begin(&t, 13);
        t.dtype = BNR_DOUBLE;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 4, 4));
        for (size_t i = 0; i < t.data[0]->numel; i++)
            t.data[0]->f64[i] *= square ? 1e-190 : 1e-300;
        struct bnr_value *s = net_const(&t, "s", NET_DIMS(C), large),
                         *z = net_const(&t, "z", NET_DIMS(C), zeros),
                         *o = net_const(&t, "o", NET_DIMS(C), ones);
        for (int i = 0; i < 2 - square; i++) {
            x = net_op(&t, "BatchNormalization",
                       i        ? "bn"
                       : square ? "bn"
                                : "first",
                       NET_IN(x, s, z, z, o));
            net_attr_float(&t, "epsilon", 0);
        }
        if (square) {
            stays(&t, net_op(&t, "Mul", "square", NET_IN(x, x)),
                  "'conv' cannot take in two affines");
        } else {
            net_output(&t, net_op(&t, "Sigmoid", NULL, NET_IN(x)));
            kept(&t, "it cannot be combined with 'first'");
        }
    }
}

// More channels than the search keeps around.
static void too_many_channels(void **state) {
    const int64_t many = BNR_AFFINE_MAX + 1;
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, many)), *p = net_weight(&t, "p", 1, &many);
    for (int64_t i = 0; i < many; i++)
        p->tensor->f32[i] = 1;
    net_output(&t, net_op(&t, "BatchNormalization", "bn", NET_IN(x, p, p, p, p)));
    net_rewrite(&t, FOLD);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "it has too many channels");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range),
        cmocka_unit_test(padding),
        cmocka_unit_test(padding_as_a_map),
        cmocka_unit_test(padding_not_finite),
        cmocka_unit_test(parts),
        cmocka_unit_test(constant_without_elements),
        cmocka_unit_test(constant_too_large),
        cmocka_unit_test(broadcast_over_channels),
        cmocka_unit_test(rank_not_known),
        cmocka_unit_test(sum_of_more_axes),
        cmocka_unit_test(feeds_the_size),
        cmocka_unit_test(feeds_the_padding),
        cmocka_unit_test(feeds_the_bias),
        cmocka_unit_test(constant_input),
        cmocka_unit_test(constant_operands),
        cmocka_unit_test(square_not_finite),
        cmocka_unit_test(too_many_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
