// SPDX-License-Identifier: Apache-2.0
// Where QuantizeLinear and DequantizeLinear cannot take an affine in: one test for each condition,
// which fails when the check goes away. The graph gives the same afterwards, and the verdict says
// why.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, C = 4 };

static struct bnr_value *typed_input(struct net *t, enum bnr_dtype dtype, const char *name) {
    const enum bnr_dtype before = t->dtype;
    t->dtype = dtype;
    struct bnr_value *made = net_input(t, name, NET_DIMS(2, C, 3, 3));
    t->dtype = before;
    return made;
}

// scale[c] * x + shift[c].
static struct bnr_value *bn_of(struct net *t, struct bnr_value *x, const double *scale,
                               const double *shift) {
    static const double zeros[C] = {0}, ones[C] = {1, 1, 1, 1};
    struct bnr_value *z = net_const(t, "z", NET_DIMS(C), zeros),
                     *o = net_const(t, "o", NET_DIMS(C), ones);
    x = net_op(t, "BatchNormalization", "bn",
               NET_IN(x, net_const(t, "s", NET_DIMS(C), scale),
                      net_const(t, "b", NET_DIMS(C), shift), z, o));
    net_attr_float(t, "epsilon", 0);
    return x;
}

static const double zeros[C] = {0}, ones[C] = {1, 1, 1, 1};

static void kept(struct net *t, const char *part) {
    net_rewrite(t, FOLD);
    net_expect_bn(t, "bn", BNR_BN_KEPT, part);
    net_end(t);
}

// ---- DequantizeLinear -> BatchNormalization

// Zero, negative and infinite scales give numbers, too, but no scale that could change.
static void scale_is_none(void **state) {
    static const double scales[] = {0, -0.5, INFINITY, NAN, 1e38}, ten[C] = {10, 10, 10, 10};
    for (size_t i = 0; i < BNR_COUNT(scales); i++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *q = typed_input(&t, BNR_INT8, "q"),
                         *k = net_const(&t, "k", 0, NULL, &scales[i]);
        net_output(&t, bn_of(&t, net_op(&t, "DequantizeLinear", "dq", NET_IN(q, k)), ten, zeros));
        kept(&t, "the scale of 'dq' is or becomes no finite positive number");
    }
}

static void scale_too_small_for_float16(void **state) {
    static const double tenth[C] = {0.1, 0.1, 0.1, 0.1}, k = 1e-4;
    struct net t;
    net_begin(&t, 21);
    t.dtype = BNR_FLOAT16;
    struct bnr_value *q = typed_input(&t, BNR_INT8, "q");
    net_output(
        &t,
        bn_of(&t, net_op(&t, "DequantizeLinear", "dq", NET_IN(q, net_const(&t, "k", 0, NULL, &k))),
              tenth, zeros));
    kept(&t, "is below what float16 holds for 'dq'");
}

// A channel that is constant: its number has to be a whole number of steps, and an integer of the
// type.
static void constant_channel(void **state) {
    static const double shifts[] = {0.3, 200, 1};
    for (int i = 0; i < 3; i++) {
        const double scale[C] = {1, 1, 0, 1}, shift[C] = {0, 0, shifts[i], 0}, step = 1;
        double integers[C * C * 9];
        struct net t;
        net_begin(&t, 13);
        for (size_t k = 0; k < BNR_COUNT(integers); k++)
            integers[k] = round(net_random(&t, -128, 127));
        struct bnr_value *q = net_typed(&t, BNR_INT8, "q", NET_DIMS(C, C, 3, 3), integers);
        q = net_op(&t, "DequantizeLinear", "dq", NET_IN(q, net_const(&t, "k", 0, NULL, &step)));
        q = net_op(
            &t, "Add", NULL,
            NET_IN(net_op(&t, "Relu", NULL, NET_IN(net_input(&t, "x", NET_DIMS(C, C, 3, 3)))),
                   bn_of(&t, q, scale, shift)));
        net_output(&t, q);
        if (i < 2) {
            net_fold(&t, BNR_PASS_FOLD);
            net_expect_bn(&t, "bn", BNR_BN_KEPT,
                          "its scale 0 of channel 2 leaves no scale for 'dq'");
        } else {
            net_fold(&t, BNR_PASS_FOLD);
            net_expect_bn(&t, "bn", BNR_BN_FOLDED, "dq");
        }
        net_end(&t);
    }
}

static void shift_of_small_floats(void **state) {
    static const double step = 1;
    struct net t;
    net_begin(&t, 21);
    struct bnr_value *q = typed_input(&t, BNR_FLOAT8E4M3FN, "q");
    net_output(&t, bn_of(&t,
                         net_op(&t, "DequantizeLinear", "dq",
                                NET_IN(q, net_const(&t, "k", 0, NULL, &step))),
                         ones, ones));
    kept(&t, "its shift is no whole number of the steps of 'dq'");
}

// No batch norm moved the sign here, which is no reason for other integers than those that others
// read.
static void shared_integers(void **state) {
    const double step = 0.5, other = 0.25;
    for (int shared = 0; shared < 2; shared++) {
        double integers[C * C];
        struct net t;
        net_begin(&t, 13);
        for (size_t k = 0; k < BNR_COUNT(integers); k++)
            integers[k] = round(net_random(&t, -100, 100));
        struct bnr_value *q = net_typed(&t, BNR_INT8, "q", NET_DIMS(C, C), integers);
        struct bnr_value *a =
            net_op(&t, "DequantizeLinear", "a", NET_IN(q, net_const(&t, "k", 0, NULL, &step)));
        a = net_op(&t, "Neg", "neg", NET_IN(a));
        net_output(&t, net_op(&t, "Add", NULL, NET_IN(a, net_input(&t, "x", NET_DIMS(C, C)))));
        if (shared) {
            a = net_op(&t, "DequantizeLinear", "b",
                       NET_IN(q, net_const(&t, "k2", 0, NULL, &other)));
            net_output(&t, net_op(&t, "Add", NULL, NET_IN(a, net_input(&t, "y", NET_DIMS(C, C)))));
        }
        net_fold(&t, BNR_PASS_FOLD);
        net_expect(&t, shared ? "DequantizeLinear Neg Add DequantizeLinear Add"
                              : "DequantizeLinear Add");
        net_end(&t);
    }
}

// ---- BatchNormalization -> QuantizeLinear

static void quantized_scale_is_none(void **state) {
    static const double steps[] = {1e-30, 1e30},
                        scales[][C] = {{1e10, 1e10, 1e10, 1e10}, {1e-10, 1e-10, 1e-10, 1e-10}};
    for (int i = 0; i < 2; i++) {
        const double zero = 0;
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = bn_of(&t, net_input(&t, "x", NET_DIMS(2, C, 3, 3)), scales[i], zeros);
        net_output(&t, net_op(&t, "QuantizeLinear", "q",
                              NET_IN(x, net_const(&t, "k", 0, NULL, &steps[i]),
                                     net_typed(&t, BNR_INT8, "zero", 0, NULL, &zero))));
        kept(&t, "the scale of 'q' is or becomes no finite positive number");
    }
}

static void no_integers(void **state) {
    const double step = 0.5, zero = 0;
    static const double twice[C] = {2, 2, 2, 2};
    struct net t;
    net_begin(&t, 19);
    struct bnr_value *x = bn_of(&t, net_input(&t, "x", NET_DIMS(2, C, 3, 3)), twice, zeros);
    net_output(&t, net_op(&t, "QuantizeLinear", "q",
                          NET_IN(x, net_const(&t, "k", 0, NULL, &step),
                                 net_typed(&t, BNR_FLOAT8E4M3FN, "zero", 0, NULL, &zero))));
    kept(&t, "'q' makes no integers");
}

static void one_scale_for_all(void **state) {
    const double step = 0.5, zero = 0;
    static const double scale[C] = {2, 1, 1, 1};
    struct net t;
    net_begin(&t, 10);
    struct bnr_value *x = bn_of(&t, net_input(&t, "x", NET_DIMS(2, C, 3, 3)), scale, zeros);
    net_output(&t, net_op(&t, "QuantizeLinear", "q",
                          NET_IN(x, net_const(&t, "k", 0, NULL, &step),
                                 net_typed(&t, BNR_UINT8, "zero", 0, NULL, &zero))));
    kept(&t, "'q' has one scale for all channels in opset 10");
}

static void quantized_scale_not_constant(void **state) {
    static const double twice[C] = {2, 2, 2, 2};
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = bn_of(&t, net_input(&t, "x", NET_DIMS(2, C, 3, 3)), twice, zeros);
    net_output(&t, net_op(&t, "QuantizeLinear", "q", NET_IN(x, net_input(&t, "k", 0, NULL))));
    kept(&t, "the scale or zero point of 'q' is not constant");
}

static void feeds_the_scale(void **state) {
    const double two = 2, zero = 0;
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *k = net_input(&t, "k", 0, NULL),
                     *x = net_input(&t, "x", NET_DIMS(2, C, 3, 3));
    t.data[0]->f32[0] = 0.125f;
    k = net_op(&t, "Mul", NULL, NET_IN(k, net_const(&t, "two", 0, NULL, &two)));
    net_output(&t, net_op(&t, "QuantizeLinear", "q",
                          NET_IN(x, k, net_typed(&t, BNR_INT8, "zero", 0, NULL, &zero))));
    net_fold(&t, FOLD);
    net_expect(&t, "Mul QuantizeLinear");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_is_none),
        cmocka_unit_test(scale_too_small_for_float16),
        cmocka_unit_test(constant_channel),
        cmocka_unit_test(shift_of_small_floats),
        cmocka_unit_test(shared_integers),
        cmocka_unit_test(quantized_scale_is_none),
        cmocka_unit_test(no_integers),
        cmocka_unit_test(one_scale_for_all),
        cmocka_unit_test(quantized_scale_not_constant),
        cmocka_unit_test(feeds_the_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
