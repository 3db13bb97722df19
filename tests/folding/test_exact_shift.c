// SPDX-License-Identifier: Apache-2.0
// Around depthwise convolutions no shift is wrong by its rounding: its channel is multiplied by as much
// as it is rounded, and what reads the channel is divided by that. Each weight is the double product of
// the original and all factors, rounded once. And where a factor cannot go on, weights and bias are what
// they always were.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/bound.h"
#include "tests/lib/fold_test.h"

enum { FOLD = BNR_PASS_CLEAN | BNR_PASS_FOLD, CHANNELS = 8, OTHERS = 6 };

// How a network differs from x -> conv1 -> bn1 -> Relu -> conv2 -> bn2.
struct variant {
    const char *name, *activation; // NULL: none
    enum { DEPTHWISE_FIRST, DEPTHWISE_SECOND, NONE_DEPTHWISE } kind;
    bool no_bn2, also_output, also_sum, two_readers, one_tap;
    bool exact; // shifts of bn1 are
};

static struct bnr_value *activation(struct net *t, const struct variant *v, struct bnr_value *x) {
    if (!v->activation)
        return x;
    if (v->activation[0] == 'P')
        return net_op(t, v->activation, "act", NET_IN(x, net_weight(t, "slope", NET_DIMS(CHANNELS, 1, 1))));
    return net_op(t, v->activation, "act", NET_IN(x));
}

// Small shifts, and both these and the largest scaled weights a little above a power of two, where
// rounding is most.
static struct bnr_value *small_bn(struct net *t, struct bnr_value *x) {
    double p[4][CHANNELS];
    for (size_t c = 0; c < CHANNELS; c++) {
        p[0][c] = net_random(t, 1.1, 1.2);
        p[1][c] = net_random(t, 0x1p-7, 0x1.1p-7);
        p[2][c] = net_random(t, -0x1p-12, 0);
        p[3][c] = 1;
    }
    struct bnr_value *scale = net_const(t, "bn1.scale", NET_DIMS(CHANNELS), p[0]);
    struct bnr_value *bias = net_const(t, "bn1.bias", NET_DIMS(CHANNELS), p[1]);
    struct bnr_value *mean = net_const(t, "bn1.mean", NET_DIMS(CHANNELS), p[2]);
    struct bnr_value *var = net_const(t, "bn1.var", NET_DIMS(CHANNELS), p[3]);
    return net_op(t, "BatchNormalization", "bn1", NET_IN(x, scale, bias, mean, var));
}

static void build(struct net *t, const struct variant *v, enum bnr_dtype dtype, uint64_t seed) {
    const struct net_conv depthwise = {.spatial = 2, .in = CHANNELS, .out = CHANNELS,
                                       .group = CHANNELS, .k = v->one_tap ? 1 : 3,
                                       .pad = !v->one_tap, .bias = seed % 2 && !v->one_tap};
    struct net_conv first = depthwise, second = depthwise;
    if (v->kind != DEPTHWISE_FIRST)
        first = (struct net_conv){.spatial = 2, .in = OTHERS, .out = CHANNELS, .k = 1};
    if (v->kind != DEPTHWISE_SECOND)
        second = (struct net_conv){.spatial = 2, .in = CHANNELS, .out = OTHERS, .k = seed % 3 ? 1 : 3};
    net_begin(t, 17);
    t->seed = seed;
    t->dtype = dtype;
    struct bnr_value *x = net_input(t, "x", NET_DIMS(1, first.in, 5, 5)), *y;
    x = net_conv(t, "conv1", x, first);
    x = activation(t, v, v->one_tap ? small_bn(t, x) : net_bn(t, "bn1", x, CHANNELS));
    y = net_conv(t, "conv2", x, second);
    net_output(t, v->no_bn2 ? y : net_bn(t, "bn2", y, second.out));
    if (v->two_readers)
        net_output(t, net_bn(t, "bn3", net_conv(t, "conv3", x, second), second.out));
    if (v->also_sum)
        net_output(t, net_op(t, "Add", "sum", NET_IN(x, net_weight(t, "w", NET_DIMS(CHANNELS, 1, 1)))));
    if (v->also_output)
        net_output(t, x);
}

static double number(const struct bnr_graph *g, const char *name, size_t i) {
    const struct bnr_value *v = bnr__value_find(g, name);
    return v ? bnr__tensor_f64(v->tensor, i) : 0;
}

static double scale_of(const struct net *t, const char *bn, size_t c, double *shift) {
    char name[4][32];
    static const char *const parts[] = {"scale", "bias", "mean", "var"};
    double v[4];
    for (int i = 0; i < 4; i++) {
        snprintf(name[i], sizeof name[i], "%s.%s", bn, parts[i]);
        v[i] = number(t->model->graph, name[i], c);
    }
    const double s = v[0] / sqrt(v[3] + (double)1e-5f);
    *shift = v[1] - v[2] * s;
    return s;
}

static double unit(enum bnr_dtype d) {
    return d == BNR_FLOAT ? 0x1p-24 : d == BNR_FLOAT16 ? 0x1p-11 : 0x1p-8;
}

static const struct bnr_node *folded_node(const struct net *t, const char *name) {
    for (const struct bnr_node *n = t->folded->graph->first; n; n = n->next)
        if (strcmp(n->label, name) == 0)
            return n;
    fail_msg("no node '%s'", name);
    return NULL;
}

// Elements are `exact`, rounded once. What is too small for that in float16 may be zero.
static void expect_rounded(const char *what, enum bnr_dtype d, double got, double exact) {
    if (fabs(got - exact) <= unit(d) * fabs(exact) * (1 + 1e-6) || fabs(exact) < 0x1p-14)
        return;
    fail_msg("%s: %.17g, expected %.17g: %.3g units off", what, got, exact,
             fabs(got - exact) / fabs(exact) / unit(d));
}

// Multiples of the channels between the two, 1 where shifts are not exact.
static void expect_first(const struct net *t, const struct variant *v, double *multiple) {
    const struct bnr_node *n = folded_node(t, "conv1");
    const struct bnr_tensor *w = bnr__value_constant_tensor(n->in[1]), *b = n->in[2]->tensor;
    const enum bnr_dtype d = w->dtype;
    double worst = 0;
    for (size_t o = 0; o < CHANNELS; o++) {
        double shift, off = 0;
        const double s = scale_of(t, "bn1", o, &shift);
        shift += s * number(t->model->graph, "conv1.b", o);
        assert_true(bnr__tensor_f64(b, o) == net_rounded(d, shift));
        multiple[o] = v->exact ? net_rounded(d, shift) / shift : 1;
        for (size_t i = 0, row = w->numel / CHANNELS; i < row; i++) {
            const double textbook = s * number(t->model->graph, "conv1.w", o * row + i);
            const double got = bnr__tensor_f64(w, o * row + i);
            expect_rounded(v->name, d, got, textbook * multiple[o]);
            off += fabs(got - textbook);
        }
        worst = fmax(worst, off + fabs(net_rounded(d, shift) - shift));
    }
    assert_true(bnr__bound_node(n, 1) >= worst);
}

static void expect_second(const struct net *t, const struct variant *v, const char *conv, const char *bn,
                          const double *multiple) {
    char name[32];
    const struct bnr_tensor *w = bnr__value_constant_tensor(folded_node(t, conv)->in[1]);
    snprintf(name, sizeof name, "%s.w", conv);
    const size_t columns = v->kind == DEPTHWISE_SECOND ? 1 : CHANNELS;
    const size_t taps = (size_t)(w->dims[2] * w->dims[3]);
    for (size_t i = 0; i < w->numel; i++) {
        double shift;
        const size_t o = i / taps / columns, c = columns == 1 ? o : i / taps % columns;
        const double s = v->no_bn2 ? 1 : scale_of(t, bn, o, &shift);
        expect_rounded(v->name, w->dtype, bnr__tensor_f64(w, i),
                       number(t->model->graph, name, i) * s / multiple[c]);
    }
}

static void check(const struct variant *v, enum bnr_dtype dtype, uint64_t seed) {
    struct net t;
    double multiple[CHANNELS];
    build(&t, v, dtype, seed);
    net_fold(&t, FOLD);
    expect_first(&t, v, multiple);
    expect_second(&t, v, "conv2", "bn2", multiple);
    if (v->two_readers)
        expect_second(&t, v, "conv3", "bn3", multiple);
    net_reload(&t, FOLD);
    net_end(&t);
}

static void exact(void **state) {
    static const struct variant variants[] = {
        {.name = "depthwise, Relu", .activation = "Relu", .kind = DEPTHWISE_FIRST, .exact = true},
        {.name = "LeakyRelu", .activation = "LeakyRelu", .kind = DEPTHWISE_FIRST, .exact = true},
        {.name = "PRelu", .activation = "PRelu", .kind = DEPTHWISE_FIRST, .exact = true},
        {.name = "no activation", .kind = DEPTHWISE_FIRST, .exact = true},
        {.name = "Relu, depthwise", .activation = "Relu", .kind = DEPTHWISE_SECOND, .exact = true},
        {.name = "two readers", .activation = "Relu", .two_readers = true, .exact = true},
    };
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_FLOAT16, BNR_BFLOAT16};
    for (size_t i = 0; i < BNR_COUNT(variants); i++)
        for (uint64_t seed = 1; seed <= 12; seed++)
            check(&variants[i], dtypes[seed % BNR_COUNT(dtypes)], seed);
}

// The bound of bound.h counts the multiple: where one weight is a whole sum, less would not do.
static void bounded(void **state) {
    static const struct variant one_tap = {
        .name = "one tap", .activation = "Relu", .one_tap = true, .exact = true};
    for (uint64_t seed = 1; seed <= 100; seed++)
        check(&one_tap, BNR_FLOAT, seed);
}

static void textbook(void **state) {
    static const struct variant variants[] = {
        {.name = "no depthwise convolution", .activation = "Relu", .kind = NONE_DEPTHWISE},
        {.name = "other activation", .activation = "Sigmoid"},
        {.name = "reader's weights are as in the file", .activation = "Relu", .no_bn2 = true},
        {.name = "output of the graph", .activation = "Relu", .also_output = true},
        {.name = "reader that is no convolution", .activation = "Relu", .also_sum = true},
    };
    for (size_t i = 0; i < BNR_COUNT(variants); i++)
        for (uint64_t seed = 1; seed <= 6; seed++)
            check(&variants[i], BNR_FLOAT, seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact), cmocka_unit_test(bounded),
                                       cmocka_unit_test(textbook)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
