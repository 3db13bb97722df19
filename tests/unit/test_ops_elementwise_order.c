// SPDX-License-Identifier: Apache-2.0
// Operators that compare, accumulate or draw: ArgMax, TopK, Unique, NonZero, CumSum, CumProd, Det,
// EyeLike, random numbers; and Einsum of random equations against a loop over every axis.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static uint32_t seed_state;
static uint32_t rnd(uint32_t n) {
    seed_state = seed_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(seed_state >> 4) * n >> 28);
}

static void check(const struct ops_test *t, int out, size_t n, const double *want) {
    assert_int_equal(t->out[out]->numel, n);
    for (size_t i = 0; i < n; i++) {
        const double got = ops_test_y(t, out, i);
        if (got != want[i] && !(isnan(got) && isnan(want[i])))
            fail_msg("%s output %d element %zu: %.17g, expected %.17g", t->node->op_type, out, i,
                     got, want[i]);
    }
}

// ---- order --------------------------------------------------------------------------------------

static void arg_max_takes_the_wanted_one_of_equals(void **state) {
    static const struct {
        const char *op;
        int64_t last;
        double want[3];
    } cases[] = {{"ArgMax", 0, {1, 0, 2}},
                 {"ArgMax", 1, {3, 0, 2}},
                 {"ArgMin", 0, {0, 1, 2}},
                 {"ArgMin", 1, {2, 3, 2}}};
    const double x[] = {-4, 9, -3, 7, 1, -3, -4, 8, NAN, 7, 1, 0}; // [4, 3]
    for (size_t c = 0; c < BNR_COUNT(cases); c++) {
        struct ops_test t;
        ops_test_begin(&t, cases[c].op, 13, 1);
        ops_test_in(&t, DIMS(4, 3), x);
        bnr__node_set_attr_int(t.node, "axis", -2);
        bnr__node_set_attr_int(t.node, "keepdims", 0);
        bnr__node_set_attr_int(t.node, "select_last_index", cases[c].last);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, DIMS(3));
        check(&t, 0, 3, cases[c].want);
        ops_test_end(&t);
    }
}

static void check_random_arg_max(uint32_t seed) {
    struct ops_test t;
    seed_state = seed;
    const int64_t dims[] = {1 + rnd(3), 1 + rnd(600), rnd(2) ? 1 : 1 + rnd(300)};
    const size_t n = (size_t)dims[1], inner = (size_t)dims[2];
    ops_test_begin(&t, "ArgMax", 13, 1);
    ops_test_in_as(&t, rnd(2) ? BNR_FLOAT : BNR_FLOAT16, 3, dims, NULL);
    bnr__node_set_attr_int(t.node, "axis", 1);
    ops_test_ok(&t);
    for (size_t lane = 0; lane < t.out[0]->numel; lane++) {
        const size_t at = lane / inner * n * inner + lane % inner;
        size_t best = 0;
        for (size_t k = 1; k < n; k++)
            if (ops_test_x(&t, 0, at + k * inner) > ops_test_x(&t, 0, at + best * inner))
                best = k;
        assert_int_equal((size_t)t.out[0]->i64[lane], best);
    }
    ops_test_end(&t);
}

static void arg_max_of_random_shapes(void **state) {
    for (uint32_t seed = 0; seed < 60; seed++)
        check_random_arg_max(seed * 7919 + 1);
}

static void top_k_sorts_and_breaks_ties_by_index(void **state) {
    struct ops_test t;
    const double x[] = {3, 1, 3, NAN, -INFINITY, 2, 3}, k = 5;
    ops_test_begin(&t, "TopK", 11, 2);
    ops_test_in(&t, DIMS(7), x);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), &k);
    ops_test_ok(&t);
    check(&t, 0, 5, (const double[]){NAN, 3, 3, 3, 2});
    check(&t, 1, 5, (const double[]){3, 0, 2, 6, 5});
    ops_test_end(&t);
    ops_test_begin(&t, "TopK", 11, 2);
    ops_test_in(&t, DIMS(7), x);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), &k);
    bnr__node_set_attr_int(t.node, "largest", 0);
    ops_test_ok(&t);
    check(&t, 1, 5, (const double[]){4, 1, 5, 0, 2});
    ops_test_end(&t);
    ops_test_begin(&t, "TopK", 1, 2);
    ops_test_in(&t, DIMS(7), x);
    bnr__node_set_attr_int(t.node, "k", 8);
    ops_test_refused(&t, "k is 8, expected at most the 7 elements");
}

// 64-bit integers that differ by one and are equal as doubles.
static void order_of_large_integers_is_exact(void **state) {
    struct ops_test t;
    const double placeholder[] = {0, 0, 0};
    ops_test_begin(&t, "ArgMax", 13, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(3), placeholder);
    t.in[0]->i64[0] = INT64_MAX - 1;
    t.in[0]->i64[1] = INT64_MAX;
    t.in[0]->i64[2] = INT64_MIN;
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->i64[0], 1);
    ops_test_end(&t);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_random_top_k(uint32_t seed) {
    enum { MAX = 400 };
    seed_state = seed;
    const int64_t n = 1 + rnd(MAX - 1), k = rnd((uint32_t)n + 1);
    double x[MAX], as_double = (double)k;
    struct ops_test t;
    for (int64_t i = 0; i < n; i++)
        x[i] = rnd(50);
    ops_test_begin(&t, "TopK", 11, 2);
    ops_test_in_as(&t, rnd(2) ? BNR_INT32 : BNR_FLOAT, 1, &n, x);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), &as_double);
    bnr__node_set_attr_int(t.node, "largest", 0);
    ops_test_ok(&t);
    for (int64_t i = 0; i < k; i++) {
        assert_true(x[t.out[1]->i64[i]] == ops_test_y(&t, 0, (size_t)i));
        if (i > 0 && ops_test_y(&t, 0, (size_t)i) == ops_test_y(&t, 0, (size_t)i - 1))
            assert_true(t.out[1]->i64[i] > t.out[1]->i64[i - 1]);
    }
    qsort(x, (size_t)n, sizeof *x, by_value);
    check(&t, 0, (size_t)k, x);
    ops_test_end(&t);
}

static void top_k_of_random_lists(void **state) {
    for (uint32_t seed = 0; seed < 300; seed++)
        check_random_top_k(seed * 104729 + 3);
}

static void unique_sorts_or_keeps_the_order(void **state) {
    struct ops_test t;
    const double x[] = {2, 1, 1, 3, 4, 3};
    ops_test_begin(&t, "Unique", 11, 4);
    ops_test_in(&t, DIMS(2, 3), x);
    ops_test_ok(&t);
    check(&t, 0, 4, (const double[]){1, 2, 3, 4});
    check(&t, 1, 4, (const double[]){1, 0, 3, 4});
    check(&t, 2, 6, (const double[]){1, 0, 0, 2, 3, 2});
    check(&t, 3, 4, (const double[]){2, 1, 2, 1});
    ops_test_end(&t);
    ops_test_begin(&t, "Unique", 11, 4);
    ops_test_in_as(&t, BNR_INT8, DIMS(6), x);
    bnr__node_set_attr_int(t.node, "sorted", 0);
    ops_test_ok(&t);
    check(&t, 0, 4, (const double[]){2, 1, 3, 4});
    check(&t, 2, 6, (const double[]){0, 1, 1, 2, 3, 2});
    ops_test_end(&t);
    const double columns[] = {1, 0, 1, 2, 1, 2};
    ops_test_begin(&t, "Unique", 11, 4);
    ops_test_in(&t, DIMS(2, 3), columns);
    bnr__node_set_attr_int(t.node, "axis", -1);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 2));
    check(&t, 0, 4, (const double[]){0, 1, 1, 2});
    check(&t, 1, 2, (const double[]){1, 0});
    check(&t, 3, 2, (const double[]){1, 2});
    ops_test_end(&t);
}

static void non_zero_lists_indices(void **state) {
    struct ops_test t;
    const double x[] = {0, 5, -0.0, 0, NAN, 1}, scalar = 2;
    ops_test_begin(&t, "NonZero", 13, 1);
    ops_test_in(&t, DIMS(2, 3), x);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 3));
    check(&t, 0, 6, (const double[]){0, 1, 1, 1, 1, 2});
    ops_test_end(&t);
    ops_test_begin(&t, "NonZero", 13, 1);
    ops_test_in(&t, 0, NULL, &scalar);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(0, 1));
    ops_test_end(&t);
}

// ---- accumulation -------------------------------------------------------------------------------

static void cumulative_in_both_directions(void **state) {
    static const struct {
        const char *op;
        int64_t exclusive, reverse;
        double want[6];
    } cases[] = {{"CumSum", 0, 0, {1, 2, 3, 5, 7, 9}},    {"CumSum", 1, 0, {0, 0, 0, 1, 2, 3}},
                 {"CumSum", 0, 1, {5, 7, 9, 4, 5, 6}},    {"CumSum", 1, 1, {4, 5, 6, 0, 0, 0}},
                 {"CumProd", 0, 0, {1, 2, 3, 4, 10, 18}}, {"CumProd", 1, 1, {4, 5, 6, 1, 1, 1}}};
    const double x[] = {1, 2, 3, 4, 5, 6}, axis = -2;
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_INT32, BNR_UINT64, BNR_DOUBLE};
    for (size_t c = 0; c < BNR_COUNT(cases) * BNR_COUNT(dtypes); c++) {
        struct ops_test t;
        ops_test_begin(&t, cases[c / 4].op, 26, 1);
        ops_test_in_as(&t, dtypes[c % 4], DIMS(2, 3), x);
        ops_test_in_as(&t, BNR_INT32, 0, NULL, &axis);
        bnr__node_set_attr_int(t.node, "exclusive", cases[c / 4].exclusive);
        bnr__node_set_attr_int(t.node, "reverse", cases[c / 4].reverse);
        ops_test_ok(&t);
        check(&t, 0, 6, cases[c / 4].want);
        ops_test_end(&t);
    }
    struct ops_test t;
    const double bad = 2;
    ops_test_begin(&t, "CumSum", 14, 1);
    ops_test_in(&t, DIMS(2, 3), x);
    ops_test_in_as(&t, BNR_INT64, 0, NULL, &bad);
    ops_test_refused(&t, "axis 2 is outside [-2, 2)");
}

// More columns than are summed at once.
static void sums_of_wide_rows(void **state) {
    enum { OUTER = 2, N = 3, WIDTH = 1100 };
    for (int c = 0; c < 4; c++) {
        struct ops_test t;
        const double axis = 1;
        ops_test_begin(&t, "CumSum", 14, 1);
        ops_test_in(&t, DIMS(OUTER, N, WIDTH), NULL);
        ops_test_in_as(&t, BNR_INT64, 0, NULL, &axis);
        bnr__node_set_attr_int(t.node, "exclusive", c % 2);
        bnr__node_set_attr_int(t.node, "reverse", c / 2);
        ops_test_ok(&t);
        for (size_t i = 0; i < OUTER * N * WIDTH; i++) {
            const int at = (int)(i / WIDTH % N), begin = c / 2 ? at + c % 2 : 0;
            const int end = c / 2 ? N : at + 1 - c % 2;
            double want = 0;
            for (int k = begin; k < end; k++)
                want += ops_test_x(&t, 0, (i / WIDTH / N * N + (size_t)k) * WIDTH + i % WIDTH);
            if (fabs(ops_test_y(&t, 0, i) - want) > 1e-6)
                fail_msg("%d: element %zu is %g, expected %g", c, i, ops_test_y(&t, 0, i), want);
        }
        ops_test_end(&t);
    }
}

static void determinants(void **state) {
    struct ops_test t;
    const double x[] = {0, 2, 3, 4, 1, 2, 2, 4}; // [2, 2, 2]
    ops_test_begin(&t, "Det", 11, 1);
    ops_test_in(&t, DIMS(2, 2, 2), x);
    ops_test_ok(&t);
    check(&t, 0, 2, (const double[]){-6, 0});
    ops_test_end(&t);
    ops_test_begin(&t, "Det", 22, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_refused(&t, "the last two dims");
}

static void eye_has_one_diagonal(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "EyeLike", 9, 1);
    ops_test_in(&t, DIMS(2, 4), NULL);
    bnr__node_set_attr_int(t.node, "k", 2);
    bnr__node_set_attr_int(t.node, "dtype", BNR_INT8);
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->dtype, BNR_INT8);
    check(&t, 0, 8, (const double[]){0, 0, 1, 0, 0, 0, 0, 1});
    ops_test_end(&t);
    ops_test_begin(&t, "EyeLike", 9, 1);
    ops_test_in(&t, DIMS(3, 2), NULL);
    bnr__node_set_attr_int(t.node, "k", -2);
    ops_test_ok(&t);
    check(&t, 0, 6, (const double[]){0, 0, 0, 0, 1, 0});
    ops_test_end(&t);
}

// ---- random numbers -----------------------------------------------------------------------------

static void seeded_numbers_are_numpys(void **state) {
    struct ops_test t;
    const int64_t shape = 3;
    // numpy.random.RandomState(0).randn(3) and .uniform(size=3)
    const double normal[] = {1.764052345967664, 0.4001572083672233, 0.9787379841057392};
    const double uniform[] = {0.5488135039273248, 0.7151893663724195, 0.6027633760716439};
    for (int k = 0; k < 2; k++) {
        ops_test_begin(&t, k ? "RandomUniform" : "RandomNormal", 22, 1);
        bnr__node_set_attr_ints(t.node, "shape", &shape, 1);
        bnr__node_set_attr_int(t.node, "dtype", BNR_DOUBLE);
        bnr__node_set_attr_float(t.node, "seed", 0);
        ops_test_ok(&t);
        ops_test_near(&t, 0, k ? uniform : normal, 3, 1e-15);
        ops_test_end(&t);
    }
}

// Means and variances of 20,000 draws, within 5 standard errors.
static void draws_follow_their_distribution(void **state) {
    enum { N = 20000 };
    struct ops_test t;
    static double p[N];
    double sum = 0, squares = 0;
    ops_test_begin(&t, "RandomNormalLike", 22, 1);
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(N), NULL);
    bnr__node_set_attr_float(t.node, "mean", 3);
    bnr__node_set_attr_float(t.node, "scale", 2);
    ops_test_ok(&t);
    for (size_t i = 0; i < N; i++) {
        sum += ops_test_y(&t, 0, i);
        squares += (ops_test_y(&t, 0, i) - 3) * (ops_test_y(&t, 0, i) - 3);
    }
    ops_test_end(&t);
    assert_true(fabs(sum / N - 3) < 5 * 2 / sqrt(N));
    assert_true(fabs(squares / N - 4) < 5 * 4 * sqrt(2.0 / N));
    for (size_t i = 0; i < N; i++)
        p[i] = 0.3;
    ops_test_begin(&t, "Bernoulli", 22, 1);
    ops_test_in(&t, DIMS(N), p);
    bnr__node_set_attr_int(t.node, "dtype", BNR_BOOL);
    ops_test_ok(&t);
    sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += ops_test_y(&t, 0, i);
    ops_test_end(&t);
    assert_true(fabs(sum / N - 0.3) < 5 * sqrt(0.21 / N));
    const double logs[] = {log(1.0), log(2.0), log(5.0), -HUGE_VAL};
    double seen[4] = {0};
    ops_test_begin(&t, "Multinomial", 22, 1);
    ops_test_in(&t, DIMS(1, 4), logs);
    bnr__node_set_attr_int(t.node, "sample_size", N);
    ops_test_ok(&t);
    for (size_t i = 0; i < N; i++)
        seen[(int)ops_test_y(&t, 0, i)]++;
    ops_test_end(&t);
    for (int c = 0; c < 4; c++) {
        const double want = c == 3 ? 0 : exp(logs[c]) / 8;
        assert_true(fabs(seen[c] / N - want) <= 5 * sqrt(want * (1 - want) / N));
    }
}

// ---- Einsum -------------------------------------------------------------------------------------

enum { LABELS = 5, MAX_TERM = 4, MAX_TERMS = 3 };

struct equation {
    int n, rank[MAX_TERMS], label[MAX_TERMS][MAX_TERM];
    int n_out, out[LABELS];
    int64_t dims[LABELS];
};

// Every combination of every label.
static double sum_products(const struct equation *e, const struct ops_test *t, size_t result) {
    int64_t at[LABELS], total = 1;
    bool fixed[LABELS] = {false};
    double sum = 0;
    for (int k = e->n_out - 1; k >= 0; k--) {
        at[e->out[k]] = (int64_t)(result % (size_t)e->dims[e->out[k]]);
        result /= (size_t)e->dims[e->out[k]];
        fixed[e->out[k]] = true;
    }
    bool used[LABELS] = {false};
    for (int i = 0; i < e->n; i++)
        for (int d = 0; d < e->rank[i]; d++)
            used[e->label[i][d]] = true;
    for (int l = 0; l < LABELS; l++)
        total *= used[l] && !fixed[l] ? e->dims[l] : 1;
    for (int64_t c = 0; c < total; c++) {
        int64_t rest = c;
        double product = 1;
        for (int l = 0; l < LABELS; l++) {
            if (used[l] && !fixed[l]) {
                at[l] = rest % e->dims[l];
                rest /= e->dims[l];
            }
        }
        for (int i = 0; i < e->n; i++) {
            size_t offset = 0;
            for (int d = 0; d < e->rank[i]; d++)
                offset = offset * (size_t)e->dims[e->label[i][d]] + (size_t)at[e->label[i][d]];
            product *= ops_test_x(t, i, offset);
        }
        sum += product;
    }
    return sum;
}

static void make_equation(struct equation *e, char *text) {
    bool used[LABELS] = {false};
    e->n = 1 + (int)rnd(MAX_TERMS);
    for (int l = 0; l < LABELS; l++)
        e->dims[l] = 1 + rnd(5);
    for (int i = 0; i < e->n; i++) {
        e->rank[i] = (int)rnd(MAX_TERM + 1);
        if (i > 0)
            *text++ = ',';
        for (int d = 0; d < e->rank[i]; d++) {
            const int l = (int)rnd(LABELS);
            e->label[i][d] = l;
            used[l] = true;
            *text++ = (char)('i' + l);
        }
    }
    memcpy(text, "->", 2);
    text += 2;
    e->n_out = 0;
    const int first = (int)rnd(LABELS);
    for (int k = 0; k < LABELS; k++) {
        const int l = (first + 2 * k) % LABELS;
        if (!used[l] || rnd(2))
            continue;
        e->out[e->n_out++] = l;
        *text++ = (char)('i' + l);
    }
    *text = '\0';
}

static void check_equation(uint32_t seed) {
    struct equation e;
    struct ops_test t;
    char text[64];
    seed_state = seed;
    make_equation(&e, text);
    const bool integer = rnd(3) == 0;
    ops_test_begin(&t, "Einsum", 12, 1);
    bnr__node_set_attr_string(t.node, "equation", text);
    for (int i = 0; i < e.n; i++) {
        int64_t dims[MAX_TERM];
        double values[625];
        for (int d = 0; d < e.rank[i]; d++)
            dims[d] = e.dims[e.label[i][d]];
        for (size_t k = 0; k < BNR_COUNT(values); k++)
            values[k] = (double)rnd(9) - 4;
        ops_test_in_as(&t, integer ? BNR_INT32 : BNR_DOUBLE, e.rank[i], dims, values);
    }
    ops_test_ok(&t);
    assert_int_equal(t.out[0]->rank, e.n_out);
    for (size_t i = 0; i < t.out[0]->numel; i++) {
        const double want = sum_products(&e, &t, i), got = ops_test_y(&t, 0, i);
        if (got != want)
            fail_msg("seed %u: %s result %zu: %g, expected %g", seed, text, i, got, want);
    }
    ops_test_end(&t);
}

static void einsum_of_random_equations(void **state) {
    for (uint32_t seed = 0; seed < 1500; seed++)
        check_equation(seed * 15485863 + 11);
}

static void einsum_ellipsis_and_implicit_output(void **state) {
    struct ops_test t;
    const double a[] = {1, 2, 3, 4}, b[] = {10, 100}, trace[] = {5};
    ops_test_begin(&t, "Einsum", 12, 1);
    bnr__node_set_attr_string(t.node, "equation", " ...i , i j");
    ops_test_in(&t, DIMS(2, 1, 2), a);
    ops_test_in(&t, DIMS(2, 1), b);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 1, 1));
    check(&t, 0, 2, (const double[]){210, 430});
    ops_test_end(&t);
    ops_test_begin(&t, "Einsum", 12, 1);
    bnr__node_set_attr_string(t.node, "equation", "ii");
    ops_test_in(&t, DIMS(2, 2), a);
    ops_test_ok(&t);
    check(&t, 0, 1, trace);
    ops_test_end(&t);
}

static void einsum_refuses_bad_equations(void **state) {
    static const char *const bad[] = {"ij,jk->ik", "i1->i",    "ij->ji k,", "ij->ijj",
                                      "ij->iz",    "......->", "ij-ji",     "ijk->i"};
    for (size_t i = 0; i < BNR_COUNT(bad); i++) {
        struct ops_test t;
        ops_test_begin(&t, "Einsum", 12, 1);
        bnr__node_set_attr_string(t.node, "equation", bad[i]);
        ops_test_in(&t, DIMS(2, 3), NULL);
        ops_test_refused(&t, bad[i]);
    }
    struct ops_test t;
    ops_test_begin(&t, "Einsum", 12, 1);
    bnr__node_set_attr_string(t.node, "equation", "ij,jk");
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, DIMS(4, 2), NULL);
    ops_test_refused(&t, "dim 0 of input 1 is 4, the same axis is 3 elsewhere");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arg_max_takes_the_wanted_one_of_equals),
        cmocka_unit_test(arg_max_of_random_shapes),
        cmocka_unit_test(top_k_sorts_and_breaks_ties_by_index),
        cmocka_unit_test(order_of_large_integers_is_exact),
        cmocka_unit_test(top_k_of_random_lists),
        cmocka_unit_test(unique_sorts_or_keeps_the_order),
        cmocka_unit_test(non_zero_lists_indices),
        cmocka_unit_test(cumulative_in_both_directions),
        cmocka_unit_test(sums_of_wide_rows),
        cmocka_unit_test(determinants),
        cmocka_unit_test(eye_has_one_diagonal),
        cmocka_unit_test(seeded_numbers_are_numpys),
        cmocka_unit_test(draws_follow_their_distribution),
        cmocka_unit_test(einsum_of_random_equations),
        cmocka_unit_test(einsum_ellipsis_and_implicit_output),
        cmocka_unit_test(einsum_refuses_bad_equations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
