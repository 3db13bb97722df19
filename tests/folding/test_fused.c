// SPDX-License-Identifier: Apache-2.0
// Patterns 21 and 22, and others without a linear neighbour: what does not fold costs no pass over memory.
// Networks are planned and run at every CPU level; the steps of the plan say whether a BatchNormalization
// is one of its own, the verdict must say the same, and the results are those of reference code.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/affine.h"
#include "runtime/kernels/cpu.h"
#include "runtime/session.h"
#include "tests/lib/fold_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

static bool is_affine(const struct bnr_node *n) {
    return bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine") ||
           bnr__node_is(n, "", "BatchNormalization");
}

// Steps that do nothing but affines which carry the BatchNormalization.
static int steps_of_its_own(const struct bnr_session *s, const char *name) {
    const struct bnr_plan *plan = s->plans[0].first;
    int alone = 0;
    assert_non_null(plan);
    for (int i = 0; i < plan->n_steps; i++) {
        const struct bnr_step *st = &plan->steps[i];
        bool all = true, carries = false;
        for (int k = 0; k < st->n_nodes; k++) {
            all = all && is_affine(st->nodes[k]);
            for (size_t o = 0; o < st->nodes[k]->n_origins; o++)
                carries = carries || strcmp(st->nodes[k]->origins[o]->name, name) == 0;
        }
        alone += all && carries;
    }
    return alone;
}

static bnr_session *session_of(const struct net *t, unsigned flags, const char *cpu, int threads) {
    struct bnr_options o;
    struct bnr_error err;
    bnr_session *s;
    bnr_options_init(&o);
    o.flags = flags;
    o.cpu = cpu;
    o.threads = threads;
    if (bnr_session_create(&s, t->model, &o, &err) != BNR_OK)
        fail_msg("%s", err.message);
    return s;
}

static void run(const struct net *t, bnr_session *s, struct bnr_tensor **out) {
    struct bnr_error err;
    const size_t n = t->g->n_outputs;
    for (size_t i = 0; i < n; i++)
        out[i] = NULL;
    if (bnr_run(s, (const struct bnr_tensor *const *)t->data, t->g->n_inputs, out, n, &err) != BNR_OK)
        fail_msg("%s", err.message);
}

static void same(const struct net *t, struct bnr_tensor **have, struct bnr_tensor **want,
                 const char *level) {
    for (size_t k = 0; k < t->g->n_outputs; k++) {
        double magnitude = 0, worst = 0;
        assert_int_equal(have[k]->numel, want[k]->numel);
        for (size_t i = 0; i < want[k]->numel; i++) {
            magnitude = fmax(magnitude, fabs(bnr__tensor_f64(want[k], i)));
            worst = fmax(worst, fabs(bnr__tensor_f64(have[k], i) - bnr__tensor_f64(want[k], i)));
        }
        if (!(worst <= (t->dtype == BNR_FLOAT ? 1e-5 : 1e-2) * magnitude))
            fail_msg("%s: output %zu differs by %g of %g", level, k, worst, magnitude);
    }
}

static void release(const struct net *t, struct bnr_tensor **out) {
    for (size_t i = 0; i < t->g->n_outputs; i++)
        bnr__tensor_unref(out[i]);
}

// The verdict of a BatchNormalization, into which node (NULL: any), and that the plan agrees.
static void check(const struct net *t, const char *name, enum bnr_bn_verdict verdict, const char *into) {
    struct bnr_tensor *want[4], *have[4], *other[4];
    bnr_session *reference = session_of(t, BNR_REFERENCE, NULL, 1);
    run(t, reference, want);
    for (size_t i = 0; i < BNR_COUNT(levels); i++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[i], bnr__cpu_detect(), &cpu))
            continue;
        bnr_session *s = session_of(t, 0, levels[i], 1), *two = session_of(t, 0, levels[i], 2);
        run(t, s, have);
        run(t, two, other);
        same(t, have, want, levels[i]);
        for (size_t k = 0; k < t->g->n_outputs; k++)
            assert_memory_equal(have[k]->data, other[k]->data, have[k]->nbytes);
        struct bnr_bn_report bn = {.name = ""};
        for (size_t k = 0; k < bnr_session_bn_count(s) && strcmp(bn.name, name) != 0; k++)
            assert_int_equal(bnr_session_bn(s, k, &bn), BNR_OK);
        if (bn.verdict != verdict || (into && (!bn.into || strcmp(bn.into, into) != 0)))
            fail_msg("%s: '%s' has verdict %d into %s: %s", levels[i], name, bn.verdict,
                     bn.into ? bn.into : "nothing", bn.reason);
        assert_int_equal(steps_of_its_own(s, name), verdict == BNR_VERDICT_KEPT);
        release(t, have);
        release(t, other);
        bnr_session_free(s);
        bnr_session_free(two);
    }
    release(t, want);
    bnr_session_free(reference);
}

// What the readers of the networks below share: a value with another reader, so that nothing is folded
// into what makes it.
static struct bnr_value *begin(struct net *t, int64_t channels, int64_t size) {
    net_begin(t, 15);
    t->model->ir_version = 8;
    struct bnr_value *x = net_input(t, "x", NET_DIMS(2, channels, size, size));
    x = net_op(t, "Abs", "abs", NET_IN(x));
    net_output(t, x);
    return x;
}

static struct bnr_value *activate(struct net *t, int which, struct bnr_value *x, int64_t channels) {
    switch (which) {
    case 0:
        return x;
    case 1:
        return net_op(t, "Relu", NULL, NET_IN(x));
    case 2:
        x = net_op(t, "LeakyRelu", NULL, NET_IN(x));
        net_attr_float(t, "alpha", 0.2);
        return x;
    case 3: {
        const double low[] = {-0.1}, high[] = {0.3};
        return net_op(t, "Clip", NULL,
                      NET_IN(x, net_const(t, "low", 0, NULL, low), net_const(t, "high", 0, NULL, high)));
    }
    case 4:
        return net_op(t, "PRelu", NULL, NET_IN(x, net_weight(t, "slope", NET_DIMS(channels, 1, 1))));
    default:
        return net_op(t, "Sigmoid", NULL, NET_IN(x));
    }
}

// BN -> activation -> Conv: pre-activation. Every activation, 1x1 and 3x3, strides, groups, depthwise.
static void prologue(void **state) {
    static const struct net_conv shapes[] = {
        {.in = 8, .out = 6, .k = 1},
        {.in = 8, .out = 6, .k = 1, .stride = 2, .bias = true},
        {.in = 8, .out = 40, .k = 3, .pad = 1},
        {.in = 8, .out = 6, .k = 3, .pad = 1, .stride = 2, .group = 2},
        {.in = 8, .out = 8, .k = 3, .pad = 1, .group = 8},
        {.in = 8, .out = 3, .k = 3, .stride = 2, .transposed = true},
    };
    for (size_t s = 0; s < BNR_COUNT(shapes); s++)
        for (int which = 0; which < 6; which++) {
            struct net t;
            struct net_conv c = shapes[s];
            c.spatial = 2;
            if (which == 0 && c.pad == 0 && !c.transposed)
                continue; // folds
            struct bnr_value *x = begin(&t, 8, 17);
            x = activate(&t, which, net_bn(&t, "bn", x, 8), 8);
            net_output(&t, net_conv(&t, "conv", x, c));
            // What is costly is not done for every tap: its own step takes the affine along.
            const bool own = which == 5 && c.k > 1 && !c.transposed && c.group != 8;
            check(&t, "bn", BNR_VERDICT_FUSED, own ? NULL : "conv");
            net_end(&t);
        }
}

// BN -> Relu -> Pad -> Conv: the convolution pads for itself.
static void padding_in_between(void **state) {
    static const int64_t pads[8] = {0, 0, 1, 0, 0, 0, 2, 1};
    for (int k = 0; k < 4; k++) {
        struct net t;
        const double value = k == 3 ? 0.5 : 0;
        struct bnr_value *x = begin(&t, 8, 9);
        x = activate(&t, 1, net_bn(&t, "bn", x, 8), 8);
        x = net_op(&t, "Pad", "pad",
                   NET_IN(x, net_ints(&t, "pads", pads, 8), net_const(&t, "value", 0, NULL, &value)));
        if (k == 2)
            net_output(&t, x);
        x = net_conv(&t, "conv", x,
                     (struct net_conv){.spatial = 2, .in = 8, .out = 6, .k = 4, .pad = k == 1, .stride = 2});
        if (k == 0)
            bnr__node_remove_attr(t.node, "pads");
        if (k == 0)
            net_attr_string(&t, "auto_pad", "VALID");
        net_output(&t, x);
        check(&t, "bn", BNR_VERDICT_FUSED, k < 2 ? "conv" : NULL);
        net_end(&t);
    }
}

// BN -> Relu with several readers, all of them convolutions: each does it while it reads.
static void several_readers(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 8, 9);
    x = activate(&t, 1, net_bn(&t, "bn", x, 8), 8);
    net_output(&t, net_conv(&t, "a", x, (struct net_conv){.spatial = 2, .in = 8, .out = 5, .k = 1}));
    net_output(&t, net_conv(&t, "b", x, (struct net_conv){.spatial = 2, .in = 8, .out = 7, .k = 3, .pad = 1}));
    check(&t, "bn", BNR_VERDICT_FUSED, NULL);
    net_end(&t);
}

// One reader could take it in, the other not: a copy folds, the other is done while it is read.
static void one_of_two_folds(void **state) {
    struct net t;
    struct bnr_value *x = net_bn(&t, "bn", begin(&t, 8, 9), 8);
    net_output(&t, net_conv(&t, "a", x, (struct net_conv){.spatial = 2, .in = 8, .out = 5, .k = 1}));
    net_output(&t, net_conv(&t, "b", x, (struct net_conv){.spatial = 2, .in = 8, .out = 40, .k = 3, .pad = 1}));
    check(&t, "bn", BNR_VERDICT_FUSED, "b");
    net_end(&t);
}

// Pattern 21: a convolution with two BatchNormalizations behind it.
static void several_behind(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 8, 9);
    x = net_conv(&t, "conv", x, (struct net_conv){.spatial = 2, .in = 8, .out = 6, .k = 3, .pad = 1});
    struct bnr_value *a = activate(&t, 1, net_bn(&t, "bn_a", x, 6), 6);
    struct bnr_value *b = activate(&t, 5, net_bn(&t, "bn_b", x, 6), 6);
    net_output(&t, net_conv(&t, "next", a, (struct net_conv){.spatial = 2, .in = 6, .out = 5, .k = 1}));
    net_output(&t, b);
    check(&t, "bn_a", BNR_VERDICT_FUSED, "next");
    check(&t, "bn_b", BNR_VERDICT_FUSED, NULL);
    net_end(&t);
}

// Conv -> Relu -> BN -> MaxPool, where a scale that is not positive does not pass the pool.
static void epilogue(void **state) {
    for (int k = 0; k < 3; k++) {
        struct net t;
        struct bnr_value *x = begin(&t, 8, 9);
        if (k < 2)
            x = net_conv(&t, "host", x, (struct net_conv){.spatial = 2, .in = 8, .out = 8, .k = 3});
        else
            x = net_op(&t, "Add", "host", NET_IN(x, net_input(&t, "z", NET_DIMS(2, 8, 9, 9))));
        if (k < 2)
            x = net_op(&t, k == 0 ? "Relu" : "Tanh", NULL, NET_IN(x));
        x = net_op(&t, "MaxPool", "pool", NET_IN(net_bn(&t, "bn", x, 8)));
        net_attr_ints(&t, "kernel_shape", NET_INTS(2, 2));
        net_output(&t, x);
        check(&t, "bn", BNR_VERDICT_FUSED, "host");
        net_end(&t);
    }
}

// Between two operators that cannot take it along it moves to one that can.
static void moved(void **state) {
    for (int k = 0; k < 2; k++) {
        struct net t;
        struct bnr_value *x = begin(&t, 8, 6), *s;
        const double v[] = {1, 1, 2, 2};
        s = net_const(&t, "scales", NET_DIMS(4), v);
        if (k == 0)
            x = net_op(&t, "Relu", "relu", NET_IN(x));
        if (k == 0)
            x = net_op(&t, "Resize", "resize", NET_IN(x, s, s));
        x = net_bn(&t, "bn", x, 8);
        x = net_op(&t, "Transpose", "transpose", NET_IN(x));
        net_attr_ints(&t, "perm", NET_INTS(0, 1, 3, 2));
        if (k == 1)
            x = net_op(&t, "Relu", "relu", NET_IN(x));
        net_output(&t, x);
        check(&t, "bn", BNR_VERDICT_FUSED, "relu");
        net_end(&t);
    }
}

// Pattern 13 in part: one branch folds, the other gets an affine of its own, behind a pool.
static void part_of_concat(void **state) {
    for (int k = 0; k < 2; k++) {
        struct net t;
        struct bnr_value *x = begin(&t, 4, 8);
        struct bnr_value *a = net_conv(&t, "conv", x, (struct net_conv){.spatial = 2, .in = 4, .out = 3, .k = 2});
        struct bnr_value *b = net_op(&t, k == 0 ? "MaxPool" : "Relu", "other", NET_IN(x));
        if (k == 0)
            net_attr_ints(&t, "kernel_shape", NET_INTS(2, 2));
        else
            a = net_conv(&t, "again", a,
                         (struct net_conv){.spatial = 2, .in = 3, .out = 3, .k = 2, .pad = 1});
        x = net_op(&t, "Concat", "concat", NET_IN(a, b));
        net_attr_int(&t, "axis", 1);
        net_output(&t, net_bn(&t, "bn", x, 7));
        check(&t, "bn", BNR_VERDICT_FUSED, "other");
        net_fold(&t, BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE);
        net_expect(&t, k == 0 ? "Abs Conv MaxPool BatchNormalization Concat"
                              : "Abs Conv Relu BatchNormalization Conv Concat");
        net_end(&t);
    }
}

// Nothing beside it that could take it along; a dtype without kernels; a pool of four axes. One of three
// takes it.
static void steps_of_their_own(void **state) {
    for (int k = 0; k < 4; k++) {
        struct net t;
        net_begin(&t, 15);
        t.dtype = k == 1 ? BNR_DOUBLE : BNR_FLOAT;
        struct bnr_value *x =
            net_input(&t, "x", k == 2 ? 6 : k == 3 ? 5 : 4, (const int64_t[]){1, 4, 5, 5, 5, 5});
        if (k >= 2)
            x = net_op(&t, "MaxPool", "pool", NET_IN(x));
        if (k == 2)
            net_attr_ints(&t, "kernel_shape", NET_INTS(2, 2, 2, 2));
        if (k == 3)
            net_attr_ints(&t, "kernel_shape", NET_INTS(2, 2, 2));
        x = net_bn(&t, "bn", x, 4);
        if (k == 1)
            x = net_op(&t, "Relu", "relu", NET_IN(x));
        net_output(&t, x);
        check(&t, "bn", k == 3 ? BNR_VERDICT_FUSED : BNR_VERDICT_KEPT, k == 3 ? "pool" : NULL);
        net_end(&t);
    }
}

// An open size: the marks say what is to be expected, before any plan and in the report of folding.
static void without_a_plan(void **state) {
    struct net t;
    struct bnr_value *x = begin(&t, 8, 9);
    bnr__value_declare(t.g->inputs[0])->shape.dims[2] = bnr__dim_unknown();
    x = activate(&t, 1, net_bn(&t, "bn", x, 8), 8);
    net_output(&t, net_conv(&t, "conv", x, (struct net_conv){.spatial = 2, .in = 8, .out = 5, .k = 1}));
    struct bnr_bn_report bn;
    bnr_session *s = session_of(&t, 0, NULL, 1);
    assert_null(s->plans[0].first);
    assert_int_equal(bnr_session_bn(s, 0, &bn), BNR_OK);
    assert_int_equal(bn.verdict, BNR_VERDICT_FUSED);
    assert_string_equal(bn.into, "conv");
    bnr_session_free(s);
    check(&t, "bn", BNR_VERDICT_FUSED, "conv");
    net_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prologue),       cmocka_unit_test(padding_in_between),
        cmocka_unit_test(several_readers),
        cmocka_unit_test(one_of_two_folds), cmocka_unit_test(several_behind),
        cmocka_unit_test(epilogue),       cmocka_unit_test(moved),
        cmocka_unit_test(part_of_concat), cmocka_unit_test(steps_of_their_own),
        cmocka_unit_test(without_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
