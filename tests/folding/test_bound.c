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

static struct bnr_value *conv(struct net *t, struct bnr_value *x, int64_t channels, int64_t *out) {
    struct net_conv c = {.spatial = 2, .in = channels, .k = 1 + 2 * pick(t, 2), .group = 1, .stride = 1};
    c.transposed = pick(t, 4) == 0;
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

// Measured over bound.
static double ratio_of(uint64_t seed, enum bnr_dtype dtype) {
    struct net t;
    net_begin(&t, 13);
    t.dtype = dtype;
    t.seed = seed;
    const bool linear = pick(&t, 3) == 0;
    const int64_t channels = 1 + pick(&t, 12);
    int64_t out = channels;
    struct bnr_value *x = linear ? net_input(&t, "x", NET_DIMS(8, channels))
                                 : net_input(&t, "x", NET_DIMS(1, channels, 4, 4));
    const bool front = pick(&t, 3) == 0;
    struct bnr_value *y = front ? net_bn(&t, "bn", x, channels) : x;
    y = linear ? gemm(&t, y, channels, &out) : conv(&t, y, channels, &out);
    net_output(&t, front ? y : net_bn(&t, "bn", y, out));
    net_rewrite(&t, BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE);
    double ratio = NAN;
    if (t.folded->bns[0]->verdict == BNR_BN_FOLDED) {
        double magnitude = 0;
        const double measured = net_largest_error(&t, &magnitude);
        const double bound = bnr__bound(t.folded, 0, 1);
        if (!isnan(bound)) {
            ratio = measured == 0 ? 0 : measured / bound;
            // The evaluation in double rounds, too: that is all that may come on top.
            if (measured > bound + 1e-13 * magnitude)
                fail_msg("seed %llu: measured %g, bound %g", (unsigned long long)seed, measured, bound);
        }
    }
    net_end(&t);
    return ratio;
}

static void holds_and_says_something(enum bnr_dtype dtype, uint64_t seeds) {
    double worst = 0;
    uint64_t known = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        const double ratio = ratio_of(seed, dtype);
        known += !isnan(ratio);
        worst = fmax(worst, isnan(ratio) ? 0 : ratio);
    }
    print_message("%s: worst %.3g of the bound on %llu layers\n", bnr_dtype_name(dtype), worst,
                  (unsigned long long)known);
    assert_true(known > seeds * 8 / 10);
    assert_true(worst > 0.01 && worst <= 1);
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
