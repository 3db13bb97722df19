// SPDX-License-Identifier: Apache-2.0
// Networks where a fold that looks right would give other numbers: results that only the sum of two
// parts keeps in range, ranks that do not meet, broadcasting by attributes, defaults that the
// caller may override.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { CLEAN = BNR_PASS_CLEAN | BNR_PASS_FOLD, FILES = CLEAN | BNR_PASS_RAISE, C = 4 };

static const struct net_conv pointwise = {.spatial = 2, .in = C, .out = C, .k = 1};

// Everything that groups of passes can do gives the same.
static void same_in_all(struct net *t) {
    static const unsigned groups[] = {BNR_PASS_FOLD, CLEAN, FILES, CLEAN | BNR_PASS_FUSE};
    for (size_t i = 0; i < BNR_COUNT(groups); i++)
        net_fold(t, groups[i]);
}

// ---- numbers that float16 does not hold

// 2 * (a + b + 40000), where a + b is -39000: twice the constant is no float16.
static void constant_too_large(void **state) {
    const double far = 40000;
    struct net t;
    net_begin(&t, 15);
    t.dtype = BNR_FLOAT16;
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, 2, 2));
    for (int i = 0; i < 4; i++)
        t.data[0]->u16[i] = 0xbc00; // -1
    const double half = 19000, other = 20000;
    struct bnr_value *v = net_const(&t, "v", NET_DIMS(1, 1, 1, 1), &half),
                     *w = net_const(&t, "w", NET_DIMS(1, 1, 1, 1), &other);
    struct bnr_value *a = net_op(&t, "Conv", "a", NET_IN(x, v)),
                     *b = net_op(&t, "Conv", "b", NET_IN(x, w));
    a = net_op(&t, "Sum", "sum", NET_IN(a, b, net_const(&t, "far", NET_DIMS(1), &far)));
    net_output(&t, net_uniform_bn(&t, "bn", a, 1, 2, 0, 0, 1));
    same_in_all(&t);
    net_fold(&t, CLEAN); // sessions compute in float32
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "the constant 'far' would not be finite in float16");
    net_end(&t);
}

// 2 * (x - 60000): what stays behind a MatMul would be an addition of -120000.
static void rest_too_large(void **state) {
    const double large = 300;
    for (int front = 0; front < 2; front++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = BNR_FLOAT16;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 1));
        struct bnr_value *w = net_const(&t, "w", NET_DIMS(1, 1), &large);
        if (front) {
            x = net_uniform_bn(&t, "bn", x, 1, 2, 0, 300, 1);
            net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(x, w)));
        } else {
            x = net_op(&t, "MatMul", "mm", NET_IN(x, w));
            net_output(&t, net_uniform_bn(&t, "bn", x, 1, 2, 0, 60000, 1));
        }
        same_in_all(&t);
        net_fold(&t, CLEAN);
        net_expect_bn(&t, "bn", BNR_BN_KEPT, "would not be finite in float16");
        net_end(&t);
    }
}

// Two scales of 300 are fine for what they scale, their product is no float16.
static void product_too_large(void **state) {
    for (int shift = 0; shift < 2; shift++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = BNR_FLOAT16;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, C, 2, 2));
        for (size_t i = 0; i < t.data[0]->numel; i++)
            t.data[0]->u16[i] = (uint16_t)(0x0400 + i); // around 6e-5
        x = net_op(&t, "Relu", NULL, NET_IN(x));
        x = net_uniform_bn(&t, "bn1", x, C, 300, shift * 0.5, 0, 1);
        net_output(&t, net_uniform_bn(&t, "bn2", x, C, 300, -shift, 0, 1));
        same_in_all(&t);
        net_fold(&t, FILES);
        net_expect(&t, "Relu BatchNormalization BatchNormalization");
        net_end(&t);
    }
}

// ---- ranks that do not meet

// One scale for all of a matrix goes along where the matrix becomes part of something larger.
static void uniform_of_smaller_rank(void **state) {
    for (int64_t axis = 0; axis < 4; axis++) {
        struct net t;
        const double two = 2;
        const int64_t dims[4] = {axis == 0 ? 1 : 2, axis == 1 ? 1 : C, axis == 2 ? 1 : 3,
                                 axis == 3 ? 1 : 3};
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, 3)),
                         *y = net_input(&t, "y", NET_DIMS(2, C, 3, 3));
        x = net_op(&t, "Mul", "scale", NET_IN(x, net_const(&t, "two", 0, NULL, &two)));
        x = net_op(&t, "Mul", "mul", NET_IN(x, y));
        x = net_op(&t, "Concat", "join", NET_IN(x, net_input(&t, "z", 4, dims)));
        net_attr_int(&t, "axis", axis);
        const struct net_conv c = {.spatial = 2, .in = C + (axis == 1), .out = 2, .k = 1};
        net_output(&t, net_conv(&t, "conv", x, c));
        same_in_all(&t);
        net_end(&t);
    }
}

// Behind an addition that lifts a matrix to four axes: the matrix's constants stay of two.
static void constant_of_smaller_rank(void **state) {
    for (int old = 0; old < 2; old++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, 2)),
                         *z = net_input(&t, "z", NET_DIMS(1, 1, 3, 3));
        x = net_op(&t, "MatMul", "mm", NET_IN(x, net_weight(&t, "w", NET_DIMS(2, 2))));
        x = net_op(&t, "Concat", "join", NET_IN(x, net_weight(&t, "k", NET_DIMS(3, 1))));
        net_attr_int(&t, "axis", 1);
        const struct net_conv c = {.spatial = 2, .in = 1, .out = 1, .k = 1};
        x = net_op(&t, "Add", "add", NET_IN(net_conv(&t, "conv", z, c), x));
        net_output(&t, net_bn(&t, "bn", x, 1));
        same_in_all(&t);
        net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
        net_end(&t);
    }
}

// What is left behind the second part of a Split has that part's channels, not the first one's.
static void parts_of_other_sizes(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, 3)), 3);
    struct bnr_value *a = net_op(&t, "Split", NULL, NET_IN(x, net_ints(&t, "n", NET_INTS(2, 1))));
    net_attr_int(&t, "axis", 1);
    struct bnr_value *b = net_out(&t, 1);
    net_output(&t, net_op(&t, "LeakyRelu", NULL, NET_IN(b)));
    net_output(&t, net_op(&t, "Relu", NULL, NET_IN(a)));
    same_in_all(&t);
    net_end(&t);
}

// Two that become one Mul say how many channels there are: nothing may be left for a second look.
static void channels_from_an_affine(void **state) {
    struct net t;
    net_begin(&t, 13);
    t.no_shift = true;
    t.gamma = NET_GAMMA_NEGATIVE;
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 3));
    bnr__value_declare(x)->shape.dims[1] = bnr__dim_unknown();
    x = net_bn(&t, "b", net_bn(&t, "a", net_op(&t, "Sigmoid", NULL, NET_IN(x)), C), C);
    x = net_op(&t, "Div", NULL,
               NET_IN(net_op(&t, "Relu", NULL, NET_IN(x)), net_weight(&t, "k", NET_DIMS(C, 1))));
    net_output(&t, net_bn(&t, "c", x, C));
    same_in_all(&t);
    net_fold(&t, FILES);
    net_expect(&t, "Sigmoid Relu Mul");
    net_end(&t);
}

// Their number is not forgotten when the affine goes: the border of a convolution is a map of that
// size.
static void border_of_open_channels(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, C, 3, 3));
    bnr__value_declare(x)->shape.dims[1] = bnr__dim_unknown();
    const struct net_conv c = {.spatial = 2, .in = C, .out = C, .k = 3, .pad = 1};
    net_output(&t, net_conv(&t, "conv", net_bn(&t, "bn", x, C), c));
    same_in_all(&t);
    net_end(&t);
}

// ---- values that somebody outside reads

// The first one has one reader, but is an output.
static void output_between(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x =
        net_op(&t, "Sigmoid", NULL, NET_IN(net_input(&t, "x", NET_DIMS(2, C, 3))));
    x = net_bn(&t, "a", x, C);
    net_output(&t, x);
    net_output(&t, net_bn(&t, "b", x, C));
    same_in_all(&t);
    net_end(&t);
}

// ---- broadcasting by an attribute (below opset 7)

// The vector belongs to axis 1. That the channels of x are open makes this no affine of its own.
static void old_broadcast_of_constant(void **state) {
    for (int64_t channels = 1; channels <= C; channels += C - 1) {
        struct net t;
        net_begin(&t, 6);
        t.no_shift = true;
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, channels, C, C));
        bnr__value_declare(x)->shape.dims[1] = bnr__dim_unknown();
        x = net_op(&t, "Sigmoid", NULL, NET_IN(x));
        x = net_op(&t, "Mul", "mul", NET_IN(x, net_weight(&t, "k", NET_DIMS(channels))));
        net_attr_int(&t, "broadcast", 1);
        net_attr_int(&t, "axis", 1);
        x = net_bn(&t, "bn", x, channels);
        net_attr_int(&t, "is_test", 1);
        net_output(&t, x);
        same_in_all(&t);
        net_end(&t);
    }
}

// Here the channels of the sum are the second axis of b, whose first one is as long.
static void old_broadcast_of_data(void **state) {
    struct net t;
    net_begin(&t, 6);
    const struct net_conv two = {.spatial = 2, .in = 2, .out = 2, .k = 1},
                          one = {.spatial = 1, .in = 2, .out = 2, .k = 1};
    struct bnr_value *a = net_conv(&t, "a", net_input(&t, "x", NET_DIMS(2, 2, 4, 4)), two);
    struct bnr_value *b =
        net_op(&t, "Transpose", NULL,
               NET_IN(net_conv(&t, "b", net_input(&t, "y", NET_DIMS(2, 2, 4)), one)));
    net_attr_ints(&t, "perm", NET_INTS(1, 0, 2));
    a = net_op(&t, "Add", "add", NET_IN(a, b));
    net_attr_int(&t, "broadcast", 1);
    net_attr_int(&t, "axis", 0);
    net_output(&t, net_bn(&t, "bn", a, 2));
    net_attr_int(&t, "is_test", 1);
    same_in_all(&t);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "how 'add' broadcasts is not known");
    net_end(&t);
}

// ---- defaults that the caller may override

static struct bnr_value *overridable(struct net *t, struct bnr_value *v) {
    v->is_initializer = true;
    *bnr__value_declare(v) = v->info->type;
    assert_int_equal(bnr__graph_add_input(t->g, v, &t->err), BNR_OK);
    return v;
}

// The caller's numbers, with the default's dims.
static void override(struct net *t, int input, const int64_t *v) {
    const int64_t n = (int64_t)t->g->inputs[input]->tensor->numel;
    bnr__tensor_unref(t->data[input]);
    assert_int_equal(bnr__tensor_new(&t->data[input], NULL, BNR_INT64, 1, &n, &t->err), BNR_OK);
    for (int64_t i = 0; i < n; i++)
        t->data[input]->i64[i] = v[i];
}

static void overridable_range(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C + 1, 4, 4)), C + 1);
    struct bnr_value *from = overridable(&t, net_ints(&t, "from", NET_INTS(0)));
    struct bnr_value *to = overridable(&t, net_ints(&t, "to", NET_INTS(C)));
    override(&t, 1, (int64_t[]){1});
    override(&t, 2, (int64_t[]){C + 1});
    y = net_op(&t, "Slice", "slice", NET_IN(y, from, to, net_ints(&t, "axes", NET_INTS(1))));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    same_in_all(&t);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "what 'slice' cuts out is not known");
    net_end(&t);
}

static void overridable_pads(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(2, C, 4, 4)), C);
    struct bnr_value *p = overridable(&t, net_ints(&t, "p", NET_INTS(0, 0, 0, 0, 0, 0, 0, 0)));
    override(&t, 1, (int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
    y = net_op(&t, "Pad", "pad", NET_IN(y, p));
    net_output(&t, net_conv(&t, "conv", y, pointwise));
    same_in_all(&t);
    net_expect_bn(&t, "bn", BNR_BN_KEPT, "how 'pad' pads is not known");
    net_end(&t);
}

static void overridable_shape(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *y = net_bn(&t, "bn", net_input(&t, "x", NET_DIMS(1, C, 2, 2)), C);
    struct bnr_value *to = overridable(&t, net_ints(&t, "to", NET_INTS(1, C, 4)));
    override(&t, 1, (int64_t[]){1, 2, 8});
    y = net_op(&t, "Reshape", "reshape", NET_IN(y, to));
    y = net_op(&t, "Reshape", "back", NET_IN(y, net_ints(&t, "s", NET_INTS(4, 4))));
    net_output(&t, net_op(&t, "MatMul", "mm", NET_IN(y, net_weight(&t, "w", NET_DIMS(4, 3)))));
    same_in_all(&t);
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_too_large),       cmocka_unit_test(rest_too_large),
        cmocka_unit_test(product_too_large),        cmocka_unit_test(uniform_of_smaller_rank),
        cmocka_unit_test(constant_of_smaller_rank), cmocka_unit_test(parts_of_other_sizes),
        cmocka_unit_test(output_between),           cmocka_unit_test(channels_from_an_affine),
        cmocka_unit_test(border_of_open_channels),  cmocka_unit_test(old_broadcast_of_constant),
        cmocka_unit_test(old_broadcast_of_data),    cmocka_unit_test(overridable_range),
        cmocka_unit_test(overridable_pads),         cmocka_unit_test(overridable_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
