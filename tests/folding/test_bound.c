// SPDX-License-Identifier: Apache-2.0
// The a-priori bound of runtime/bound.h on thousands of random layers: what folding did, measured in double
// on inputs up to 1, is never more, and is not a hundredth of it at the worst.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/bound.h"
#include "tests/lib/fold_test.h"

static int pick(struct net *t, int n) {
    return (int)net_random(t, 0, n) % n;
}

static struct bnr_value *conv(struct net *t, struct bnr_value *x, int spatial, int64_t channels, int64_t *out) {
    struct net_conv c = {.spatial = spatial, .in = channels, .k = 1 + 2 * pick(t, 2), .group = 1, .stride = 1};
    c.transposed = pick(t, 3) == 0;
    c.bias = pick(t, 2);
    if (channels % 2 == 0 && pick(t, 2))
        c.group = pick(t, 2) ? 2 : channels;
    c.out = *out = c.group * (1 + pick(t, 4));
    return net_conv(t, "layer", x, c);
}

static struct bnr_value *gemm(struct net *t, struct bnr_value *x, int64_t channels, int64_t *out) {
    const bool turned = pick(t, 2), bias = pick(t, 2);
    *out = 1 + pick(t, 8);
    struct bnr_value *w = turned ? net_weight(t, "w", NET_DIMS(*out, channels))
                                 : net_weight(t, "w", NET_DIMS(channels, *out));
    struct bnr_value *b = bias ? net_weight(t, "b", NET_DIMS(*out)) : NULL;
    struct bnr_value *y = net_op(t, "Gemm", "layer", 2 + bias, (struct bnr_value *[]){x, w, b});
    net_attr_int(t, "transB", turned);
    net_attr_float(t, "alpha", net_random(t, -2, 2));
    net_attr_float(t, "beta", net_random(t, -2, 2));
    return y;
}

// On either side of its weights: x is [8, channels] or [2, channels, 8].
static struct bnr_value *matmul(struct net *t, struct bnr_value *x, bool left, int64_t channels, int64_t *out) {
    *out = 1 + pick(t, 8);
    struct bnr_value *y = left ? net_op(t, "MatMul", "layer", NET_IN(net_weight(t, "w", NET_DIMS(*out, channels)), x))
                               : net_op(t, "MatMul", "layer", NET_IN(x, net_weight(t, "w", NET_DIMS(channels, *out))));
    return left || pick(t, 2) ? y : net_op(t, "Add", "add", NET_IN(y, net_weight(t, "b", NET_DIMS(*out))));
}

// 1x1 convolution with weights from 8 bits.
static struct bnr_value *quantized(struct net *t, struct bnr_value *x, int64_t channels, int64_t *out) {
    const enum bnr_dtype before = t->dtype;
    double q[8 * 12];
    *out = 1 + pick(t, 8);
    for (size_t i = 0; i < BNR_COUNT(q); i++)
        q[i] = pick(t, 256) - 128;
    const double k = net_random(t, 0.001, 0.01);
    t->dtype = BNR_INT8;
    struct bnr_value *integers = net_const(t, "q", NET_DIMS(*out, channels, 1, 1), q);
    t->dtype = before;
    struct bnr_value *w = net_op(t, "DequantizeLinear", "w", NET_IN(integers, net_const(t, "k", 0, NULL, &k)));
    return net_op(t, "Conv", "layer", NET_IN(x, w));
}

enum kind { CONV1, CONV2, CONV3, GEMM, MATMUL, MATMUL_LEFT, QUANTIZED, KINDS };

static struct bnr_value *layer(struct net *t, enum kind kind, struct bnr_value *x, int64_t channels, int64_t *out) {
    switch (kind) {
    case GEMM:
        return gemm(t, x, channels, out);
    case MATMUL:
    case MATMUL_LEFT:
        return matmul(t, x, kind == MATMUL_LEFT, channels, out);
    case QUANTIZED:
        return quantized(t, x, channels, out);
    default:
        return conv(t, x, 1 + (int)kind, channels, out);
    }
}

static struct bnr_value *input(struct net *t, enum kind kind, int64_t channels) {
    switch (kind) {
    case GEMM:
    case MATMUL:
        return net_input(t, "x", NET_DIMS(8, channels));
    case MATMUL_LEFT:
        return net_input(t, "x", NET_DIMS(2, channels, 8));
    case CONV1:
        return net_input(t, "x", NET_DIMS(1, channels, 16));
    case CONV3:
        return net_input(t, "x", NET_DIMS(1, channels, 4, 4, 4));
    default:
        return net_input(t, "x", NET_DIMS(1, channels, 4, 4));
    }
}

// Measured over bound.
static double ratio_of(uint64_t seed, enum bnr_dtype dtype, double *worst) {
    struct net t;
    net_begin(&t, 19); // scales of 16 bits
    t.dtype = dtype;
    t.seed = seed;
    const enum kind kind = (enum kind)pick(&t, KINDS);
    const int64_t channels = 1 + pick(&t, 12);
    int64_t out = channels;
    struct bnr_value *x = input(&t, kind, channels);
    const bool front = pick(&t, 3) == 0 && kind != QUANTIZED;
    struct bnr_value *y = front ? net_bn(&t, "bn", x, channels) : x;
    y = layer(&t, kind, y, channels, &out);
    net_output(&t, front ? y : net_bn(&t, "bn", y, out));
    net_rewrite(&t, BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE);
    double ratio = NAN;
    if (t.folded->bns[0]->verdict == BNR_BN_FOLDED) {
        double magnitude = 0;
        const double measured = net_largest_error(&t, &magnitude);
        const double bound = bnr__bound(t.folded, 0, 1);
        if (!isnan(bound)) {
            ratio = measured == 0 ? 0 : measured / bound;
            worst[kind] = fmax(worst[kind], ratio);
            // The evaluation in double rounds, too: that is all that may come on top.
            if (measured > bound + 1e-13 * magnitude)
                fail_msg("seed %llu: measured %g, bound %g", (unsigned long long)seed, measured, bound);
        }
    }
    net_end(&t);
    return ratio;
}

static void holds_and_says_something(enum bnr_dtype dtype, uint64_t seeds) {
    double worst[KINDS] = {0};
    uint64_t known = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        known += !isnan(ratio_of(seed, dtype, worst));
    print_message("%s: %llu layers, worst of the bound by kind:", bnr_dtype_name(dtype), (unsigned long long)known);
    for (int k = 0; k < KINDS; k++)
        print_message(" %.3g", worst[k]);
    print_message("\n");
    assert_true(known > seeds * 7 / 10);
    for (int k = 0; k < KINDS; k++)
        assert_true(worst[k] > 0.01 && worst[k] <= 1);
}

static void float32_layers(void **state) {
    holds_and_says_something(BNR_FLOAT, 3000);
}

static void float16_layers(void **state) {
    holds_and_says_something(BNR_FLOAT16, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float32_layers),
        cmocka_unit_test(float16_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
