// SPDX-License-Identifier: Apache-2.0
// The cleaning passes: what goes, what stays, and that results are the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"

enum { CLEAN = BNR_PASS_CLEAN };

// ---- constants ----------------------------------------------------------------------------------

static void constants_are_evaluated(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3));
    struct bnr_value *c = net_op(&t, "Exp", NULL, NET_IN(net_weight(&t, "a", NET_DIMS(3))));
    c = net_op(&t, "Sub", NULL, NET_IN(c, net_weight(&t, "b", NET_DIMS(1, 3))));
    net_output(&t, net_op(&t, "Add", NULL, NET_IN(x, c)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Add");
    net_end(&t);
}

// A graph output may be constant; it keeps its name.
static void constant_output(void **state) {
    struct net t;
    net_begin(&t, 13);
    net_output(&t, net_op(&t, "Exp", NULL, NET_IN(net_weight(&t, "a", NET_DIMS(3)))));
    net_fold(&t, CLEAN);
    net_expect(&t, "");
    net_end(&t);
}

// Shape -> Gather -> Unsqueeze -> Concat -> Reshape: nothing but the Reshape is left.
static void shape_arithmetic(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 4, 5));
    struct bnr_value *zero = net_ints(&t, "zero", NET_INTS(0));
    struct bnr_value *n =
        net_op(&t, "Gather", NULL, NET_IN(net_op(&t, "Shape", NULL, NET_IN(x)), zero));
    struct bnr_value *shape =
        net_op(&t, "Concat", NULL, NET_IN(n, net_ints(&t, "rest", NET_INTS(-1))));
    net_attr_int(&t, "axis", 0);
    net_output(&t, net_op(&t, "Reshape", NULL, NET_IN(x, shape)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Reshape");
    net_end(&t);
}

// The dims of an input that is not known stay a computation.
static void unknown_shape(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3));
    bnr__value_declare(x)->shape.dims[0] =
        (struct bnr_dim){.n = -1, .sym = bnr__model_intern(t.model, "N")};
    net_output(&t, net_op(&t, "Shape", NULL, NET_IN(x)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Shape");
    net_end(&t);
}

static void random_stays(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *r = net_op(&t, "RandomUniform", NULL, 0, NULL);
    net_attr_ints(&t, "shape", NET_INTS(2, 2));
    struct bnr_value *s = net_op(&t, "RandomUniform", NULL, 0, NULL);
    net_attr_ints(&t, "shape", NET_INTS(2, 2));
    net_output(&t, net_op(&t, "Sub", NULL, NET_IN(r, s)));
    net_rewrite(&t, CLEAN);
    net_expect(&t, "RandomUniform RandomUniform Sub"); // neither evaluated nor merged
    net_end(&t);
}

// 2 GB out of nothing.
static void no_blow_up(void **state) {
    struct net t;
    net_begin(&t, 13);
    net_output(&t, net_op(&t, "ConstantOfShape", NULL,
                          NET_IN(net_ints(&t, "shape", NET_INTS(1 << 15, 1 << 14)))));
    net_rewrite(&t, CLEAN);
    net_expect(&t, "ConstantOfShape");
    net_end(&t);
}

// What a file spells with few bytes stays small in a file, unless folding made something else of
// it.
static void large_constants_for_files(void **state) {
    for (int file = 0; file < 2; file++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 40));
        struct bnr_value *shape = net_ints(&t, "shape", NET_INTS(40, 40));
        struct bnr_value *w = net_op(&t, "ConstantOfShape", NULL, NET_IN(shape));
        net_attr_tensor(&t, "value", 0.25);
        struct bnr_value *v = net_op(&t, "ConstantOfShape", NULL, NET_IN(shape));
        net_attr_tensor(&t, "value", 0.5);
        x = net_bn(&t, "bn", net_op(&t, "Gemm", "a", NET_IN(x, w)), 40);
        net_output(&t, net_op(&t, "Gemm", "b", NET_IN(net_op(&t, "Relu", NULL, NET_IN(x)), v)));
        net_fold(&t, CLEAN | BNR_PASS_FOLD | (file ? BNR_PASS_RAISE : BNR_PASS_FUSE));
        net_expect(&t, file ? "Gemm Relu ConstantOfShape Gemm" : "Gemm Relu Gemm");
        net_end(&t);
    }
}

// Two BatchNormalizations that become one: its mean of zeros and variance of ones stay numbers.
static void large_parameters_for_files(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 1100));
    x = net_bn(&t, "a", net_op(&t, "Sigmoid", NULL, NET_IN(x)), 1100);
    net_output(&t, net_op(&t, "Sigmoid", NULL, NET_IN(net_bn(&t, "b", x, 1100))));
    net_fold(&t, CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE);
    net_expect(&t, "Sigmoid BatchNormalization Sigmoid");
    net_reload(&t, CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE);
    net_end(&t);
}

// What is made anew when a file is folded again has the same name, beside nested graphs as well.
static void large_constants_beside_bodies(void **state) {
    static const char *const branches[] = {"then_branch", "else_branch"};
    struct net t, outer;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(40, 40));
    struct bnr_value *w = net_op(&t, "ConstantOfShape", NULL,
                                 NET_IN(net_ints(&t, "shape", NET_INTS(40, 40))));
    net_attr_tensor(&t, "value", 0.25);
    x = net_op(&t, "MatMul", NULL, NET_IN(x, w));
    struct bnr_value *y = net_op(&t, "If", NULL, NET_IN(net_condition(&t, "condition", true)));
    for (int i = 0; i < 2; i++) {
        net_enter(&t, &outer);
        net_leave(&t, &outer, branches[i], net_op(&t, i ? "Relu" : "Abs", NULL, NET_IN(x)));
    }
    net_output(&t, y);
    net_fold(&t, CLEAN | BNR_PASS_RAISE);
    net_expect(&t, "ConstantOfShape MatMul If");
    net_reload(&t, CLEAN | BNR_PASS_RAISE);
    net_end(&t);
}

// A BatchNormalization of a constant is gone, and the report says so.
static void batch_norm_of_constant(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 2, 2));
    struct bnr_value *y = net_bn(&t, "bn", net_weight(&t, "w", NET_DIMS(1, 3, 2, 2)), 3);
    net_output(&t, net_op(&t, "Add", NULL, NET_IN(x, y)));
    net_bn(&t, "dead", x, 3);
    net_fold(&t, CLEAN);
    net_expect(&t, "Add");
    net_expect_bn(&t, "bn", BNR_BN_FOLDED, "");
    net_expect_bn(&t, "dead", BNR_BN_FOLDED, "");
    net_end(&t);
}

// ---- dead code ----------------------------------------------------------------------------------

static void dead_code(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3));
    struct bnr_value *unused = net_op(&t, "Add", NULL, NET_IN(x, net_weight(&t, "c", NET_DIMS(3))));
    net_op(&t, "Exp", NULL, NET_IN(unused));
    net_output(&t, net_op(&t, "Relu", NULL, NET_IN(x)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Relu");
    assert_null(bnr__value_find(t.folded->graph, "c"));
    net_end(&t);
}

static void unread_outputs(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 1, 4, 4));
    struct bnr_value *y = net_op(&t, "MaxPool", NULL, NET_IN(x));
    net_attr_ints(&t, "kernel_shape", NET_INTS(2, 2));
    net_out(&t, 1);
    net_output(&t, t.node->out[0]);
    net_fold(&t, CLEAN);
    assert_ptr_equal(t.folded->graph->first->out[1], NULL);
    assert_non_null(y);
    net_end(&t);
}

// The dims of the others follow from how many there are.
static void unread_part_of_split(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(6, 2));
    struct bnr_value *a = net_op(&t, "Split", NULL, NET_IN(x));
    net_out(&t, 1);
    net_out(&t, 2);
    net_output(&t, a);
    net_fold(&t, CLEAN);
    net_expect(&t, "Split");
    assert_int_equal(t.folded->graph->outputs[0]->info->type.shape.dims[0].n, 2);
    net_end(&t);
}

// ---- identities ---------------------------------------------------------------------------------

static void identities(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 4));
    x = net_op(&t, "Relu", NULL, NET_IN(x));
    x = net_op(&t, "Identity", NULL, NET_IN(x));
    x = net_op(&t, "Dropout", NULL, NET_IN(x));
    x = net_op(&t, "Cast", NULL, NET_IN(x));
    net_attr_int(&t, "to", BNR_FLOAT);
    x = net_op(&t, "Reshape", NULL, NET_IN(x, net_ints(&t, "same", NET_INTS(0, -1, 4))));
    x = net_op(&t, "Transpose", NULL, NET_IN(x));
    net_attr_ints(&t, "perm", NET_INTS(0, 1, 2));
    x = net_op(&t, "Pad", NULL, NET_IN(x, net_ints(&t, "none", NET_INTS(0, 0, 0, 0, 0, 0))));
    x = net_op(&t, "Slice", NULL,
               NET_IN(x, net_ints(&t, "starts", NET_INTS(0)), net_ints(&t, "ends", NET_INTS(99))));
    x = net_op(&t, "Concat", NULL, NET_IN(x));
    net_attr_int(&t, "axis", 1);
    x = net_op(&t, "Max", NULL, NET_IN(x));
    net_output(&t, x);
    net_fold(&t, CLEAN);
    net_expect(&t, "Relu");
    net_end(&t);
}

static void not_quite_identities(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(3, 3));
    x = net_op(&t, "Transpose", NULL, NET_IN(x));
    x = net_op(&t, "Slice", NULL,
               NET_IN(x, net_ints(&t, "starts", NET_INTS(-1)), net_ints(&t, "ends", NET_INTS(-99)),
                      net_ints(&t, "axes", NET_INTS(0)), net_ints(&t, "steps", NET_INTS(-1))));
    struct bnr_value *pads = net_ints(&t, "pads", NET_INTS(1, 0, -1, 0));
    x = net_op(&t, "Pad", NULL, NET_IN(x, pads));
    x = net_op(&t, "Cast", NULL, NET_IN(x));
    net_attr_int(&t, "to", BNR_DOUBLE);
    x = net_op(&t, "Reshape", NULL, NET_IN(x, net_ints(&t, "flat", NET_INTS(9))));
    net_output(&t, x);
    net_fold(&t, CLEAN);
    net_expect(&t, "Transpose Slice Pad Cast Reshape");
    net_end(&t);
}

// The graph's interface stays: an input that is an output needs something in between.
static void identity_of_input(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(3));
    net_output(&t, net_op(&t, "Identity", NULL, NET_IN(x)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Identity");
    net_end(&t);
}

static void dropout_modes(void **state) {
    static const struct {
        int opset, is_test;
        bool stays;
    } cases[] = {{6, 0, true}, {6, 1, false}, {7, 0, false}, {10, 0, false}, {12, 0, false}};
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct net t;
        net_begin(&t, cases[i].opset);
        struct bnr_value *x = net_op(&t, "Relu", NULL, NET_IN(net_input(&t, "x", NET_DIMS(3))));
        x = net_op(&t, "Dropout", NULL, NET_IN(x));
        if (cases[i].is_test)
            net_attr_int(&t, "is_test", 1);
        net_output(&t, x);
        net_rewrite(&t, CLEAN);
        net_expect(&t, cases[i].stays ? "Relu Dropout" : "Relu");
        net_end(&t);
    }
}

// ---- common subexpressions ----------------------------------------------------------------------

static void common_subexpressions(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3));
    const double same[] = {1, 2, 3}, other[] = {1, 2, 4};
    struct bnr_value *a = net_op(&t, "Mul", NULL, NET_IN(x, net_const(&t, "a", NET_DIMS(3), same)));
    struct bnr_value *b = net_op(&t, "Mul", NULL, NET_IN(x, net_const(&t, "b", NET_DIMS(3), same)));
    struct bnr_value *c =
        net_op(&t, "Mul", NULL, NET_IN(x, net_const(&t, "c", NET_DIMS(3), other)));
    struct bnr_value *d = net_op(&t, "LeakyRelu", NULL, NET_IN(a));
    struct bnr_value *e = net_op(&t, "LeakyRelu", NULL, NET_IN(b));
    struct bnr_value *f = net_op(&t, "LeakyRelu", NULL, NET_IN(b));
    net_attr_float(&t, "alpha", 0.5);
    net_output(&t, net_op(&t, "Sum", NULL, NET_IN(c, d, e, f)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Mul Mul LeakyRelu LeakyRelu Sum");
    net_end(&t);
}

// Both are outputs: each keeps its name, so one cannot stand for the other.
static void two_equal_outputs(void **state) {
    struct net t;
    net_begin(&t, 13);
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3));
    net_output(&t, net_op(&t, "Relu", NULL, NET_IN(x)));
    net_output(&t, net_op(&t, "Relu", NULL, NET_IN(x)));
    net_fold(&t, CLEAN);
    net_expect(&t, "Relu Relu");
    net_end(&t);
}

// Equal convolutions with different BatchNormalizations fold before they could be merged; with
// equal ones they merge afterwards.
static void equal_convolutions(void **state) {
    for (int equal = 0; equal < 2; equal++) {
        struct net t;
        net_begin(&t, 13);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 3, 5, 5));
        struct bnr_value *w = net_weight(&t, "w", NET_DIMS(4, 3, 3, 3)), *y[2];
        for (int i = 0; i < 2; i++) {
            if (equal)
                t.seed = 7;
            y[i] = net_bn(&t, i ? "bn1" : "bn0", net_op(&t, "Conv", NULL, NET_IN(x, w)), 4);
        }
        struct bnr_value *s = net_op(&t, "Sigmoid", NULL, NET_IN(y[0]));
        net_output(&t, net_op(&t, "Mul", NULL, NET_IN(s, y[1])));
        net_fold(&t, BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE);
        net_expect(&t, equal ? "Conv Sigmoid Mul" : "Conv Conv Sigmoid Mul");
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_are_evaluated),
        cmocka_unit_test(constant_output),
        cmocka_unit_test(shape_arithmetic),
        cmocka_unit_test(unknown_shape),
        cmocka_unit_test(random_stays),
        cmocka_unit_test(no_blow_up),
        cmocka_unit_test(large_constants_for_files),
        cmocka_unit_test(large_parameters_for_files),
        cmocka_unit_test(large_constants_beside_bodies),
        cmocka_unit_test(batch_norm_of_constant),
        cmocka_unit_test(dead_code),
        cmocka_unit_test(unread_outputs),
        cmocka_unit_test(unread_part_of_split),
        cmocka_unit_test(identities),
        cmocka_unit_test(not_quite_identities),
        cmocka_unit_test(identity_of_input),
        cmocka_unit_test(dropout_modes),
        cmocka_unit_test(common_subexpressions),
        cmocka_unit_test(two_equal_outputs),
        cmocka_unit_test(equal_convolutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
