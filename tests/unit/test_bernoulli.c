// SPDX-License-Identifier: Apache-2.0
// Bernoulli, whose directories in ONNX's test data no two implementations can agree on (test_bernoulli,
// _double, _seed, and the same spelled as RandomUniformLike and Greater): counts within five standard
// deviations, no correlation of neighbours, uniform numbers by chi-square, seeds that matter. All seeds
// are fixed, so that the verdict never changes.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

enum { DRAWS = 20000, SEEDS = 20 };

static const double chances[] = {0, 0.001, 0.1, 0.37, 0.5, 0.9, 0.999, 1};

// Draws DRAWS numbers of the same chance: 1 where the operator, or the operators that spell it, say so.
static void draw(bool spelled, enum bnr_dtype in, enum bnr_dtype out, float seed, double p, double *hits) {
    struct ops_test t;
    double *x = malloc(DRAWS * sizeof(*x));
    assert_non_null(x);
    for (size_t i = 0; i < DRAWS; i++)
        x[i] = p;
    ops_test_begin(&t, spelled ? "RandomUniformLike" : "Bernoulli", 15, 1);
    ops_test_in_as(&t, in, DIMS(DRAWS), x);
    if (seed >= 0)
        bnr__node_set_attr_float(t.node, "seed", seed);
    if (!spelled)
        bnr__node_set_attr_int(t.node, "dtype", out);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, spelled ? in : out);
    for (size_t i = 0; i < DRAWS; i++) {
        const double y = ops_test_y(&t, 0, i);
        if (!spelled)
            assert_true(y == 0 || y == 1);
        hits[i] = spelled ? ops_test_x(&t, 0, i) > y : y;
    }
    ops_test_end(&t);
    free(x);
}

static void check(const double *hits, double p) {
    double count = 0, pairs = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        count += hits[i];
        pairs += i > 0 ? (hits[i] - p) * (hits[i - 1] - p) : 0;
    }
    const double variance = p * (1 - p);
    if (fabs(count - DRAWS * p) > 5 * sqrt(DRAWS * variance))
        fail_msg("%g hits of %d with chance %g", count, (int)DRAWS, p);
    if (fabs(pairs) > 5 * variance * sqrt(DRAWS) + 1e-12)
        fail_msg("neighbours go together: %g with chance %g", pairs, p);
}

static void counts(void **state) {
    static const struct {
        bool spelled;
        enum bnr_dtype in, out;
        float seed; // -1: not given
    } kinds[] = {
        {false, BNR_FLOAT, BNR_FLOAT, -1},  {false, BNR_FLOAT, BNR_DOUBLE, -1},
        {false, BNR_DOUBLE, BNR_DOUBLE, 0}, {false, BNR_FLOAT, BNR_INT32, 7},
        {false, BNR_FLOAT, BNR_BOOL, 0},    {true, BNR_FLOAT, BNR_FLOAT, -1},
        {true, BNR_DOUBLE, BNR_DOUBLE, 0},
    };
    static double hits[DRAWS];
    for (size_t k = 0; k < BNR_COUNT(kinds); k++)
        for (size_t i = 0; i < BNR_COUNT(chances); i++) {
            draw(kinds[k].spelled, kinds[k].in, kinds[k].out, kinds[k].seed, chances[i], hits);
            // the chance as the input's dtype has it
            check(hits, kinds[k].in == BNR_FLOAT ? (double)(float)chances[i] : chances[i]);
        }
}

// The same seed draws the same; two seeds agree as often as chance has it.
static void seeds(void **state) {
    static double first[DRAWS], second[DRAWS];
    draw(false, BNR_FLOAT, BNR_FLOAT, 0, 0.5, first);
    draw(false, BNR_FLOAT, BNR_FLOAT, 0, 0.5, second);
    assert_memory_equal(first, second, sizeof(first));
    for (int seed = 1; seed <= SEEDS; seed++) {
        draw(false, BNR_FLOAT, BNR_FLOAT, (float)seed, 0.5, second);
        check(second, 0.5);
        double same = 0;
        for (size_t i = 0; i < DRAWS; i++)
            same += first[i] == second[i];
        if (fabs(same - DRAWS / 2) > 5 * sqrt(DRAWS) / 2)
            fail_msg("seeds 0 and %d agree in %g of %d", seed, same, (int)DRAWS);
        memcpy(first, second, sizeof(first));
        draw(false, BNR_FLOAT, BNR_FLOAT, 0, 0.5, first);
    }
}

// Chi-square over 64 bins of each seed: 63 degrees of freedom, above 130 once in a million.
static void uniform(void **state) {
    enum { BINS = 64 };
    for (int seed = 0; seed < SEEDS; seed++) {
        struct ops_test t;
        double bins[BINS] = {0}, chi = 0;
        const int64_t dims[] = {DRAWS};
        ops_test_begin(&t, "RandomUniform", 15, 1);
        bnr__node_set_attr_ints(t.node, "shape", dims, 1);
        bnr__node_set_attr_float(t.node, "seed", (float)seed);
        ops_test_ok(&t);
        for (size_t i = 0; i < DRAWS; i++) {
            const double u = ops_test_y(&t, 0, i);
            assert_true(u >= 0 && u <= 1);
            bins[u < 1 ? (int)(u * BINS) : BINS - 1]++;
        }
        for (int i = 0; i < BINS; i++)
            chi += (bins[i] - DRAWS / (double)BINS) * (bins[i] - DRAWS / (double)BINS) /
                   (DRAWS / (double)BINS);
        if (chi > 130 || chi < 20)
            fail_msg("seed %d: chi-square %g", seed, chi);
        ops_test_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(seeds),
        cmocka_unit_test(uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
