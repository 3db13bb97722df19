// SPDX-License-Identifier: Apache-2.0
// Reductions of random shapes over random axes against an index loop in double, empty sets,
// integers, and what must be refused.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static uint32_t seed_state;
static uint32_t rnd(uint32_t n) {
    seed_state = seed_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(seed_state >> 4) * n >> 28);
}

static const char *const ops[] = {"ReduceSum",    "ReduceMean",      "ReduceMax", "ReduceMin",
                                  "ReduceProd",   "ReduceSumSquare", "ReduceL1",  "ReduceL2",
                                  "ReduceLogSum", "ReduceLogSumExp"};
enum { SUM, MEAN, MAX, MIN, PROD, SQUARE, L1, L2, LOG_SUM, LOG_SUM_EXP };

static double combine(int op, double acc, double x) {
    switch (op) {
    case MAX:
        return fmax(acc, x);
    case MIN:
        return fmin(acc, x);
    case PROD:
        return acc * x;
    case SQUARE:
    case L2:
        return acc + x * x;
    case L1:
        return acc + fabs(x);
    case LOG_SUM_EXP:
        return acc + exp(x);
    default:
        return acc + x;
    }
}

static double start(int op) {
    return op == MAX ? -HUGE_VAL : op == MIN ? HUGE_VAL : op == PROD ? 1 : 0;
}

static double finish(int op, double acc, double count, bool integer) {
    const double r = op == MEAN      ? acc / count
                     : op == L2      ? sqrt(acc)
                     : op >= LOG_SUM ? log(acc)
                                     : acc;
    return integer ? trunc(r) : r;
}

static void random_axes(int rank, bool reduced[8], int64_t *axes, size_t *n) {
    *n = 0;
    for (int d = 0; d < rank; d++) {
        reduced[d] = rnd(2) != 0;
        if (reduced[d])
            axes[(*n)++] = rnd(2) ? d : d - rank;
    }
}

// Linear index of the result that element i of x goes to.
static size_t result_of(const struct bnr_tensor *x, const bool *reduced, size_t i) {
    size_t at = 0, stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        const size_t dim = (size_t)x->dims[d];
        if (!reduced[d]) {
            at += i % dim * stride;
            stride *= dim;
        }
        i /= dim;
    }
    return at;
}

static void check_values(uint32_t seed, int op, const struct ops_test *t, const bool *reduced) {
    enum { MAX_RESULTS = 100000 };
    static double want[MAX_RESULTS];
    const struct bnr_tensor *x = t->in[0], *y = t->out[0];
    const bool integer = !bnr__dtype_is_float(x->dtype);
    assert_true(y->numel <= MAX_RESULTS);
    for (size_t i = 0; i < y->numel; i++)
        want[i] = start(op);
    for (size_t i = 0; i < x->numel; i++) {
        double *w = &want[result_of(x, reduced, i)];
        *w = combine(op, *w, ops_test_x(t, 0, i));
    }
    for (size_t i = 0; i < y->numel; i++) {
        const double w = finish(op, want[i], (double)x->numel / (double)y->numel, integer);
        const double got = ops_test_y(t, 0, i);
        const double eps = integer ? 0 : x->dtype == BNR_FLOAT16 ? 2e-3 : 1e-6;
        if (!(fabs(got - w) <= eps * (1 + fabs(w))))
            fail_msg("seed %u: %s %s result %zu of %zu: %.9g, expected %.9g", seed, ops[op],
                     bnr__dtype_name(x->dtype), i, y->numel, got, w);
    }
}

static void check_random(uint32_t seed) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_INT32, BNR_UINT64,
                                            BNR_FLOAT16};
    seed_state = seed * 2654435761u + 7;
    rnd(2);
    const int op = (int)rnd(BNR_COUNT(ops)), rank = (int)rnd(5);
    const bool attribute = rnd(2) != 0, keep = rnd(2) != 0;
    int64_t dims[8], axes[8];
    bool reduced[8];
    size_t n_axes;
    double values[20000];
    struct ops_test t;
    size_t numel = 1;
    for (int d = 0; d < rank; d++) {
        dims[d] = 1 + (int64_t)rnd(rnd(8) == 0 && numel < 30 ? 600 : 5);
        numel *= (size_t)dims[d];
    }
    if (numel > BNR_COUNT(values))
        return;
    // Products and 64-bit sums of these stay exact in double, and within float16 where it is used.
    for (size_t i = 0; i < numel; i++)
        values[i] = op == PROD ? (rnd(2000) == 0 ? 2 : 1) : (double)rnd(8) + (op == LOG_SUM);
    ops_test_begin(&t, ops[op], attribute ? (op == SUM ? 11 : 13) : 20, 1);
    ops_test_in_as(&t,
                   dtypes[rnd(op == LOG_SUM_EXP ? 2
                              : numel > 1000    ? 4
                                                : 5)],
                   rank, dims, values);
    random_axes(rank, reduced, axes, &n_axes);
    bnr__node_set_attr_int(t.node, "keepdims", keep);
    if (n_axes == 0)
        for (int d = 0; d < rank; d++)
            reduced[d] = true;
    if (attribute && n_axes > 0) {
        bnr__node_set_attr_ints(t.node, "axes", axes, n_axes);
    } else if (!attribute) {
        double as_double[8];
        const int64_t count = (int64_t)n_axes;
        for (size_t i = 0; i < n_axes; i++)
            as_double[i] = (double)axes[i];
        ops_test_in_as(&t, BNR_INT64, 1, &count, as_double);
    }
    ops_test_ok(&t);
    int at = 0;
    for (int d = 0; d < rank; d++)
        if (!reduced[d] || keep)
            assert_int_equal(t.out[0]->dims[at++], reduced[d] ? 1 : dims[d]);
    assert_int_equal(t.out[0]->rank, at);
    check_values(seed, op, &t, reduced);
    ops_test_end(&t);
}

static void reduces_like_an_index_loop(void **state) {
    for (uint32_t seed = 0; seed < 3000; seed++)
        check_random(seed);
}

static void check_empty(const char *op, enum bnr_dtype d, double want) {
    struct ops_test t;
    const double axis = 1;
    ops_test_begin(&t, op, 20, 1);
    ops_test_in_as(&t, d, DIMS(2, 0, 3), NULL);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), &axis);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 1, 3));
    for (size_t i = 0; i < 6; i++) {
        const double got = ops_test_y(&t, 0, i);
        assert_true(got == want || (isnan(got) && isnan(want)));
    }
    ops_test_end(&t);
}

static void empty_sets_have_a_value(void **state) {
    check_empty("ReduceSum", BNR_FLOAT, 0);
    check_empty("ReduceProd", BNR_INT32, 1);
    check_empty("ReduceMax", BNR_FLOAT, -HUGE_VAL);
    check_empty("ReduceMax", BNR_INT32, -2147483648.0);
    check_empty("ReduceMax", BNR_INT8, -128);
    check_empty("ReduceMax", BNR_BOOL, 0);
    check_empty("ReduceMin", BNR_FLOAT16, HUGE_VAL);
    check_empty("ReduceMin", BNR_UINT8, 255);
    check_empty("ReduceMin", BNR_BOOL, 1);
    check_empty("ReduceLogSumExp", BNR_DOUBLE, -HUGE_VAL);
    check_empty("ReduceMean", BNR_FLOAT, NAN);
    check_empty("ReduceMean", BNR_INT32, 0);
}

static void special_values(void **state) {
    struct ops_test t;
    const double huge[] = {1e4, 1e4, -HUGE_VAL, -HUGE_VAL, 3, HUGE_VAL, 1, NAN};
    const double axis = 1, lse[] = {1e4 + log(2), -HUGE_VAL, HUGE_VAL, NAN};
    ops_test_begin(&t, "ReduceLogSumExp", 18, 1);
    ops_test_in(&t, DIMS(4, 2), huge);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), &axis);
    ops_test_ok(&t);
    for (size_t i = 0; i < 4; i++) {
        const double got = ops_test_y(&t, 0, i);
        assert_true(got == lse[i] || fabs(got - lse[i]) < 1e-2 || (isnan(got) && isnan(lse[i])));
    }
    ops_test_end(&t);
    ops_test_begin(&t, "ReduceMax", 18, 1);
    ops_test_in(&t, DIMS(4, 2), huge);
    ops_test_ok(&t);
    assert_true(isnan(ops_test_y(&t, 0, 0)));
    ops_test_end(&t);
}

// A sum that overflows and one that float cannot hold: exact in 64 bits, wrapped to the dtype at
// the end.
static void integers_stay_exact(void **state) {
    struct ops_test t;
    const double big[] = {2147483647, 1}, odd[] = {4503599627370497, 1, 1};
    ops_test_begin(&t, "ReduceSum", 13, 1);
    ops_test_in_as(&t, BNR_INT32, DIMS(2), big);
    ops_test_ok(&t);
    assert_true(ops_test_y(&t, 0, 0) == -2147483648.0);
    ops_test_end(&t);
    ops_test_begin(&t, "ReduceSum", 13, 1);
    ops_test_in_as(&t, BNR_INT64, DIMS(3), odd);
    ops_test_ok(&t);
    assert_true(t.out[0]->i64[0] == 4503599627370499);
    ops_test_end(&t);
}

static void no_axes_may_mean_none(void **state) {
    struct ops_test t;
    const double x[] = {1, -2, 3};
    static const struct {
        const char *op;
        double want[3];
    } cases[] = {
        {"ReduceSum", {1, -2, 3}}, {"ReduceSumSquare", {1, 4, 9}}, {"ReduceL2", {1, 2, 3}}};
    for (size_t c = 0; c < BNR_COUNT(cases); c++) {
        ops_test_begin(&t, cases[c].op, 18, 1);
        bnr__node_set_attr_int(t.node, "noop_with_empty_axes", 1);
        ops_test_in(&t, DIMS(3), x);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, DIMS(3));
        ops_test_near(&t, 0, cases[c].want, 3, 1e-6);
        ops_test_end(&t);
    }
}

static void refuses_bad_axes_and_dtypes(void **state) {
    struct ops_test t;
    const int64_t axis = 2;
    const double input = -3, real = 0;
    ops_test_begin(&t, "ReduceMean", 11, 1);
    ops_test_in(&t, DIMS(2, 2), NULL);
    bnr__node_set_attr_ints(t.node, "axes", &axis, 1);
    ops_test_refused(&t, "axis 2 is outside [-2, 2)");
    ops_test_begin(&t, "ReduceMax", 18, 1);
    ops_test_in(&t, DIMS(2, 2), NULL);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), &input);
    ops_test_refused(&t, "axis -3 is outside [-2, 2)");
    ops_test_begin(&t, "ReduceMax", 18, 1);
    ops_test_in(&t, DIMS(2, 2), NULL);
    ops_test_in_as(&t, BNR_FLOAT, DIMS(1), &real);
    ops_test_refused(&t, "expected a tensor of int64");
    ops_test_begin(&t, "ReduceSum", 13, 1);
    ops_test_in_as(&t, BNR_BOOL, DIMS(2), NULL);
    ops_test_refused(&t, "bool");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reduces_like_an_index_loop),
        cmocka_unit_test(empty_sets_have_a_value),
        cmocka_unit_test(special_values),
        cmocka_unit_test(integers_stay_exact),
        cmocka_unit_test(no_axes_may_mean_none),
        cmocka_unit_test(refuses_bad_axes_and_dtypes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
