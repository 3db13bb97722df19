// SPDX-License-Identifier: Apache-2.0
// The pass widen_half: half-precision networks compute in float32 between their inputs and outputs,
// keep the roundings that the model itself asks for, and give what double precision gives.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { SESSION = BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_FUSE };

static enum bnr_dtype output_dtype(const struct net *t) {
    return t->folded->graph->outputs[0]->info->type.dtype;
}

static struct bnr_value *begin(struct net *t, enum bnr_dtype dtype) {
    net_begin(t, 15);
    t->dtype = dtype;
    t->tolerance = dtype == BNR_FLOAT16 ? 2e-3 : 1.6e-2; // rounding the result, and constants first
    return net_input(t, "x", NET_DIMS(1, 3, 8, 8));
}

static const struct net_conv three_by_three = {.spatial = 2, .in = 3, .out = 3, .k = 3, .pad = 1};

// One Cast in front, one behind, whatever lies between; moves and normalizations included.
static void casts_at_the_edges(void **state) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT16, BNR_BFLOAT16};
    for (size_t i = 0; i < BNR_COUNT(dtypes); i++) {
        struct net t;
        struct bnr_value *x = begin(&t, dtypes[i]);
        struct bnr_value *a =
            net_op(&t, "Relu", "relu", NET_IN(net_conv(&t, "conv", x, three_by_three)));
        a = net_op(&t, "Add", "add", NET_IN(a, x));
        struct bnr_value *b =
            net_op(&t, "Transpose", "turn", NET_IN(net_op(&t, "Sigmoid", "gate", NET_IN(a))));
        net_attr_ints(&t, "perm", NET_INTS(0, 1, 3, 2));
        net_output(&t, net_op(&t, "Mul", "mul", NET_IN(a, b)));
        net_fold(&t, BNR_PASS_CLEAN | BNR_PASS_FUSE);
        net_expect(&t, "Cast Conv Relu Add Sigmoid Transpose Mul Cast");
        assert_int_equal(output_dtype(&t), dtypes[i]);
        net_end(&t);
    }
}

// The batch norm meets float32 weights: what is folded is not rounded to half precision.
static void folds_in_float(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, BNR_FLOAT16);
    net_output(&t, net_bn(&t, "bn", net_conv(&t, "conv", x, three_by_three), 3));
    net_fold(&t, SESSION);
    net_expect(&t, "Cast Conv Cast");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "conv");
    assert_int_equal(t.folded->graph->first->next->in[1]->tensor->dtype, BNR_FLOAT);
    net_fold(&t, BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE); // a file keeps its dtype
    net_expect(&t, "Conv");
    net_end(&t);
}

// A value in the middle that is an output, too, is rounded there and nowhere else.
static void outputs_are_rounded(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, BNR_FLOAT16);
    struct bnr_value *y = net_conv(&t, "conv", x, three_by_three);
    net_output(&t, y);
    net_output(&t, net_op(&t, "Tanh", "tanh", NET_IN(y)));
    net_fold(&t, SESSION);
    net_expect(&t, "Cast Conv Cast Tanh Cast");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(t.folded->graph->outputs[i]->info->type.dtype, BNR_FLOAT16);
    assert_string_equal(t.folded->graph->outputs[0]->name, y->name);
    net_end(&t);
}

// Casts of the model round: they stay.
static void own_casts_stay(void **state) {
    struct net t;
    net_begin(&t, 15);
    t.tolerance = 2e-3;
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 8, 8));
    x = net_op(&t, "Cast", "down", NET_IN(x));
    net_attr_int(&t, "to", BNR_FLOAT16);
    x = net_op(&t, "Relu", "relu", NET_IN(x));
    x = net_op(&t, "Cast", "up", NET_IN(x));
    net_attr_int(&t, "to", BNR_FLOAT);
    net_output(&t, x);
    net_fold(&t, SESSION);
    net_expect(&t, "Cast Cast Relu Cast Cast");
    net_end(&t);
}

// Both branches read a value from around them.
static void bodies(void **state) {
    struct net t, outer;
    struct bnr_value *x = begin(&t, BNR_FLOAT16);
    struct bnr_value *c = net_condition(&t, "c", true);
    struct bnr_value *y = net_op(&t, "Relu", "relu", NET_IN(x));
    struct bnr_value *z = net_op(&t, "If", "if", NET_IN(c));
    for (int i = 0; i < 2; i++) {
        net_enter(&t, &outer);
        struct bnr_value *r = net_op(&t, i ? "Tanh" : "Sigmoid", i ? "tanh" : "sigmoid", NET_IN(y));
        net_leave(&t, &outer, i ? "else_branch" : "then_branch", r);
    }
    net_output(&t, z);
    net_fold(&t, SESSION);
    net_expect(&t, "Cast Relu Cast If");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(casts_at_the_edges),
        cmocka_unit_test(folds_in_float),
        cmocka_unit_test(outputs_are_rounded),
        cmocka_unit_test(own_casts_stay),
        cmocka_unit_test(bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
