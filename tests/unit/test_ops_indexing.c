// SPDX-License-Identifier: Apache-2.0
// Operators that pick and place elements by index data, on random shapes against loops over all
// indices: the Gather and Scatter families with their reductions, OneHot, Compress,
// ReverseSequence, Trilu, TensorScatter, CenterCropPad.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

enum { ROUNDS = 60, RANK = 4, MOST = 4096 };

static uint32_t state;
static struct ops_test t;

static uint32_t rnd(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * n >> 28);
}

static int random_dims(int64_t *dims, int min_rank, int max_rank, int64_t largest) {
    const int rank = min_rank + (int)rnd((uint32_t)(max_rank - min_rank + 1));
    for (int i = 0; i < rank; i++)
        dims[i] = 1 + rnd((uint32_t)largest);
    return rank;
}

static size_t count(int rank, const int64_t *dims) {
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    assert_true(n <= MOST);
    return n;
}

static void index_of(size_t at, int rank, const int64_t *dims, int64_t *index) {
    for (int i = rank - 1; i >= 0; i--) {
        index[i] = (int64_t)(at % (size_t)dims[i]);
        at /= (size_t)dims[i];
    }
}

static size_t at_index(int rank, const int64_t *dims, const int64_t *index) {
    size_t at = 0;
    for (int i = 0; i < rank; i++)
        at = at * (size_t)dims[i] + (size_t)index[i];
    return at;
}

// An index input with entries in [-n, n), of int32 or int64.
static void indices(int rank, const int64_t *dims, int64_t n) {
    double v[MOST];
    for (size_t i = 0; i < count(rank, dims); i++)
        v[i] = (double)((int64_t)rnd((uint32_t)(2 * n)) - n);
    ops_test_in_as(&t, rnd(2) ? BNR_INT32 : BNR_INT64, rank, dims, v);
}

static int64_t wrapped(double v, int64_t n) {
    return v < 0 ? (int64_t)v + n : (int64_t)v;
}

// ---- Gather family ------------------------------------------------------------------------------

static void test_gather(void **unused) {
    state = 1;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t x[RANK], k[3], y[2 * RANK], at[2 * RANK];
        const int rx = random_dims(x, 1, RANK, 5), rk = random_dims(k, 0, 2, 4);
        const int axis = (int)rnd((uint32_t)rx);
        ops_test_begin(&t, "Gather", round % 2 ? 13 : 1, 1);
        bnr__node_set_attr_int(t.node, "axis", round % 3 ? axis : axis - rx);
        ops_test_in_as(&t, round % 5 ? BNR_FLOAT : BNR_INT16, rx, x, NULL);
        indices(rk, k, x[axis]);
        ops_test_ok(&t);
        for (int i = 0; i < rx - 1 + rk; i++)
            y[i] = i < axis ? x[i] : i < axis + rk ? k[i - axis] : x[i - rk + 1];
        ops_test_dims(&t, 0, rx - 1 + rk, y);
        for (size_t i = 0; i < count(rx - 1 + rk, y); i++) {
            int64_t from[RANK];
            index_of(i, rx - 1 + rk, y, at);
            for (int d = 0; d < rx; d++)
                from[d] = d < axis ? at[d]
                          : d > axis
                              ? at[d + rk - 1]
                              : wrapped(ops_test_x(&t, 1, at_index(rk, k, at + axis)), x[axis]);
            assert_true(ops_test_y(&t, 0, i) == ops_test_x(&t, 0, at_index(rx, x, from)));
        }
        ops_test_end(&t);
    }
}

static void test_gather_elements(void **unused) {
    state = 2;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t x[RANK], k[RANK], at[RANK];
        const int rank = random_dims(x, 1, RANK, 5), axis = (int)rnd((uint32_t)rank);
        for (int i = 0; i < rank; i++)
            k[i] = 1 + rnd((uint32_t)(i == axis ? 7 : x[i]));
        ops_test_begin(&t, "GatherElements", 13, 1);
        bnr__node_set_attr_int(t.node, "axis", axis - rank);
        ops_test_in(&t, rank, x, NULL);
        indices(rank, k, x[axis]);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, rank, k);
        for (size_t i = 0; i < count(rank, k); i++) {
            index_of(i, rank, k, at);
            at[axis] = wrapped(ops_test_x(&t, 1, i), x[axis]);
            assert_true(ops_test_y(&t, 0, i) == ops_test_x(&t, 0, at_index(rank, x, at)));
        }
        ops_test_end(&t);
    }
}

// Tuples of indices for dims [first, first + n) of x, one for each of `many` places.
static void tuples(int rank, const int64_t *dims, const int64_t *x, int first) {
    double v[MOST];
    const int n = (int)dims[rank - 1];
    for (size_t i = 0; i < count(rank, dims); i++) {
        const int64_t size = x[first + (int)(i % (size_t)(n ? n : 1))];
        v[i] = (double)((int64_t)rnd((uint32_t)(2 * size)) - size);
    }
    ops_test_in_as(&t, BNR_INT64, rank, dims, v);
}

static void test_gather_nd(void **unused) {
    state = 3;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t x[RANK], k[RANK], y[2 * RANK], at[2 * RANK];
        const int rx = random_dims(x, 1, RANK, 4), b = (int)rnd((uint32_t)(rx < 3 ? rx : 3));
        const int rk = b + 1 + (int)rnd((uint32_t)(RANK - b)), n = 1 + (int)rnd((uint32_t)(rx - b));
        for (int i = 0; i < rk; i++)
            k[i] = i < b ? x[i] : i == rk - 1 ? n : 1 + (int64_t)rnd(4);
        ops_test_begin(&t, "GatherND", b ? 12 : 11, 1);
        if (b)
            bnr__node_set_attr_int(t.node, "batch_dims", b);
        ops_test_in(&t, rx, x, NULL);
        tuples(rk, k, x, b);
        ops_test_ok(&t);
        const int ry = rk - 1 + rx - b - n;
        for (int i = 0; i < ry; i++)
            y[i] = i < rk - 1 ? k[i] : x[i - (rk - 1) + b + n];
        ops_test_dims(&t, 0, ry, y);
        for (size_t i = 0; i < count(ry, y); i++) {
            int64_t from[RANK], tuple[RANK];
            index_of(i, ry, y, at);
            memcpy(tuple, at, sizeof tuple);
            for (int d = 0; d < rx; d++) {
                tuple[rk - 1] = d - b;
                from[d] = d < b       ? at[d]
                          : d < b + n ? wrapped(ops_test_x(&t, 1, at_index(rk, k, tuple)), x[d])
                                      : at[d - b - n + rk - 1];
            }
            assert_true(ops_test_y(&t, 0, i) == ops_test_x(&t, 0, at_index(rx, x, from)));
        }
        ops_test_end(&t);
    }
}

// ---- Scatter family -----------------------------------------------------------------------------

static const char *const reductions[] = {"none", "add", "mul", "max", "min"};

static double reduced(int r, double a, double b) {
    return r == 0 ? b : r == 1 ? a + b : r == 2 ? a * b : r == 3 ? fmax(a, b) : fmin(a, b);
}

// In double; the operator rounds each step, so float needs a tolerance, and small integers none.
static void expect(const double *want, size_t n, enum bnr_dtype dtype) {
    ops_test_near(&t, 0, want, n, dtype == BNR_FLOAT ? 1e-5 : 0);
}

static void small_numbers(enum bnr_dtype dtype, int rank, const int64_t *dims) {
    double v[MOST];
    for (size_t i = 0; i < count(rank, dims); i++)
        v[i] = dtype == BNR_FLOAT ? rnd(1000) / 500.0 - 1 : (double)rnd(3);
    ops_test_in_as(&t, dtype, rank, dims, v);
}

static void test_scatter_elements(void **unused) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_INT32, BNR_UINT64};
    state = 4;
    for (int round = 0; round < 2 * ROUNDS; round++) {
        int64_t x[RANK], k[RANK], at[RANK];
        double want[MOST];
        const int rank = random_dims(x, 1, RANK, 4), axis = (int)rnd((uint32_t)rank);
        const int opset = round % 3 == 0 ? 9 : round % 3 == 1 ? 13 : 18;
        const int r = opset == 18 ? (int)rnd(5) : 0;
        const enum bnr_dtype dtype = dtypes[rnd(3)];
        for (int i = 0; i < rank; i++)
            k[i] = 1 + rnd((uint32_t)(i == axis ? 6 : x[i]));
        ops_test_begin(&t, opset == 9 ? "Scatter" : "ScatterElements", opset, 1);
        bnr__node_set_attr_int(t.node, "axis", axis - rank);
        if (opset == 18)
            bnr__node_set_attr_string(t.node, "reduction", reductions[r]);
        small_numbers(dtype, rank, x);
        indices(rank, k, x[axis]);
        small_numbers(dtype, rank, k);
        ops_test_ok(&t);
        for (size_t i = 0; i < count(rank, x); i++)
            want[i] = ops_test_x(&t, 0, i);
        for (size_t i = 0; i < count(rank, k); i++) {
            index_of(i, rank, k, at);
            at[axis] = wrapped(ops_test_x(&t, 1, i), x[axis]);
            double *to = &want[at_index(rank, x, at)];
            *to = reduced(r, *to, ops_test_x(&t, 2, i));
        }
        expect(want, count(rank, x), dtype);
        ops_test_end(&t);
    }
}

static void test_scatter_nd(void **unused) {
    state = 5;
    for (int round = 0; round < 2 * ROUNDS; round++) {
        int64_t x[RANK], k[3], u[2 * RANK], at[2 * RANK];
        double want[MOST];
        const int rx = random_dims(x, 1, RANK, 4), rk = random_dims(k, 1, 3, 3);
        const int n = 1 + (int)rnd((uint32_t)rx), ru = rk - 1 + rx - n, r = (int)rnd(5);
        const enum bnr_dtype dtype = rnd(2) ? BNR_FLOAT : BNR_INT64;
        k[rk - 1] = n;
        for (int i = 0; i < ru; i++)
            u[i] = i < rk - 1 ? k[i] : x[i - (rk - 1) + n];
        ops_test_begin(&t, "ScatterND", r ? 18 : 11, 1);
        if (r)
            bnr__node_set_attr_string(t.node, "reduction", reductions[r]);
        small_numbers(dtype, rx, x);
        tuples(rk, k, x, 0);
        small_numbers(dtype, ru, u);
        ops_test_ok(&t);
        for (size_t i = 0; i < count(rx, x); i++)
            want[i] = ops_test_x(&t, 0, i);
        for (size_t i = 0; i < count(ru, u); i++) {
            int64_t to[RANK], tuple[RANK];
            index_of(i, ru, u, at);
            memcpy(tuple, at, sizeof tuple);
            for (int d = 0; d < rx; d++) {
                tuple[rk - 1] = d;
                to[d] = d < n ? wrapped(ops_test_x(&t, 1, at_index(rk, k, tuple)), x[d])
                              : at[d - n + rk - 1];
            }
            double *e = &want[at_index(rx, x, to)];
            *e = reduced(r, *e, ops_test_x(&t, 2, i));
        }
        expect(want, count(rx, x), dtype);
        ops_test_end(&t);
    }
}

static void reduce_one(enum bnr_dtype dtype, const char *reduction, double x, double u,
                       double want) {
    ops_test_begin(&t, "ScatterElements", 18, 1);
    bnr__node_set_attr_string(t.node, "reduction", reduction);
    ops_test_in_as(&t, dtype, DIMS(1), &x);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), (const double[]){0});
    ops_test_in_as(&t, dtype, DIMS(1), &u);
    ops_test_ok(&t);
    ops_test_near(&t, 0, &want, 1, 0);
    ops_test_end(&t);
}

static void test_reductions(void **unused) {
    reduce_one(BNR_INT8, "add", 127, 1, -128); // wraps
    reduce_one(BNR_UINT8, "mul", 16, 17, 16);
    reduce_one(BNR_UINT32, "max", 4294967295.0, 1, 4294967295.0);
    reduce_one(BNR_INT32, "max", -1, 1, 1);
    reduce_one(BNR_BOOL, "add", 1, 1, 1);
    reduce_one(BNR_BOOL, "mul", 1, 0, 0);
    reduce_one(BNR_FLOAT16, "add", 2048, 1, 2048); // rounds to even
    reduce_one(BNR_FLOAT, "max", NAN, 1, NAN);
    reduce_one(BNR_DOUBLE, "min", 1, NAN, NAN);
}

// ---- the others ---------------------------------------------------------------------------------

static void test_one_hot(void **unused) {
    static const double k[] = {0, 2, -1, 5, -4};
    for (int opset = 9; opset <= 11; opset += 2) {
        for (int axis = -1; axis <= 1; axis++) {
            ops_test_begin(&t, "OneHot", opset, 1);
            bnr__node_set_attr_int(t.node, "axis", axis);
            ops_test_in_as(&t, opset == 9 ? BNR_INT32 : BNR_FLOAT, DIMS(5), k);
            ops_test_in_as(&t, opset == 9 ? BNR_FLOAT : BNR_INT64, DIMS(1), (const double[]){3});
            ops_test_in_as(&t, BNR_INT8, DIMS(2), (const double[]){-1, 7});
            ops_test_ok(&t);
            ops_test_dims(&t, 0, 2, axis == 0 ? (const int64_t[]){3, 5} : (const int64_t[]){5, 3});
            for (int i = 0; i < 5; i++)
                for (int c = 0; c < 3; c++) {
                    const bool on = k[i] == c || (opset >= 11 && k[i] + 3 == c);
                    assert_true(ops_test_y(&t, 0, (size_t)(axis == 0 ? c * 5 + i : i * 3 + c)) ==
                                (on ? 7 : -1));
                }
            ops_test_end(&t);
        }
    }
}

static void test_compress(void **unused) {
    static const double flags[] = {0, 1, 1, 0, 1};
    ops_test_begin(&t, "Compress", 11, 1);
    bnr__node_set_attr_int(t.node, "axis", -1);
    ops_test_in(&t, DIMS(2, 6), NULL);
    ops_test_in_as(&t, BNR_BOOL, DIMS(5), flags); // shorter than the axis
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 3));
    for (size_t r = 0; r < 2; r++)
        for (size_t c = 0; c < 3; c++)
            assert_true(ops_test_y(&t, 0, r * 3 + c) ==
                        ops_test_x(&t, 0, r * 6 + (const size_t[]){1, 2, 4}[c]));
    ops_test_end(&t);
    ops_test_begin(&t, "Compress", 9, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in_as(&t, BNR_BOOL, DIMS(5), flags);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(3));
    for (size_t c = 0; c < 3; c++)
        assert_true(ops_test_y(&t, 0, c) == ops_test_x(&t, 0, (const size_t[]){1, 2, 4}[c]));
    ops_test_end(&t);
}

static void test_reverse_sequence(void **unused) {
    static const double lens[] = {3, 0, 4, 1};
    for (int time = 0; time < 2; time++) {
        const int64_t dims[] = {4, 4, 2};
        ops_test_begin(&t, "ReverseSequence", 10, 1);
        bnr__node_set_attr_int(t.node, "time_axis", time);
        bnr__node_set_attr_int(t.node, "batch_axis", 1 - time);
        ops_test_in(&t, 3, dims, NULL);
        ops_test_in_as(&t, BNR_INT64, DIMS(4), lens);
        ops_test_ok(&t);
        for (size_t i = 0; i < 32; i++) {
            int64_t at[3];
            index_of(i, 3, dims, at);
            const int64_t n = (int64_t)lens[at[1 - time]];
            at[time] = at[time] < n ? n - 1 - at[time] : at[time];
            assert_true(ops_test_y(&t, 0, i) == ops_test_x(&t, 0, at_index(3, dims, at)));
        }
        ops_test_end(&t);
    }
}

static void test_trilu(void **unused) {
    static const double ks[] = {-9, -2, -1, 0, 1, 3, 9, -0x1p62, 0x1p62};
    for (size_t i = 0; i < 2 * BNR_COUNT(ks); i++) {
        const double k = ks[i / 2];
        ops_test_begin(&t, "Trilu", 14, 1);
        bnr__node_set_attr_int(t.node, "upper", (int64_t)(i % 2));
        ops_test_in(&t, DIMS(2, 3, 4), NULL);
        ops_test_in_as(&t, BNR_INT64, 0, NULL, &k);
        ops_test_ok(&t);
        for (size_t at = 0; at < 24; at++) {
            const double diagonal = (double)(at % 4) - (double)(at / 4 % 3);
            const bool kept = i % 2 ? diagonal >= k : diagonal <= k;
            assert_true(ops_test_y(&t, 0, at) == (kept ? ops_test_x(&t, 0, at) : 0));
        }
        ops_test_end(&t);
    }
}

static void test_tensor_scatter(void **unused) {
    for (int circular = 0; circular < 2; circular++) {
        const double starts[] = {1, circular ? 7 : 3};
        ops_test_begin(&t, "TensorScatter", 24, 1);
        bnr__node_set_attr_string(t.node, "mode", circular ? "circular" : "linear");
        ops_test_in(&t, DIMS(2, 2, 5, 3), NULL);
        ops_test_in(&t, DIMS(2, 2, 2, 3), NULL);
        ops_test_in_as(&t, BNR_INT64, DIMS(2), starts);
        ops_test_ok(&t);
        for (size_t i = 0; i < 60; i++) {
            const size_t c = i % 3, s = i / 3 % 5, outer = i / 15,
                         start = (size_t)starts[outer / 2] % 5;
            const size_t k = (s + 5 - start) % 5;
            const double want =
                k < 2 ? ops_test_x(&t, 1, (outer * 2 + k) * 3 + c) : ops_test_x(&t, 0, i);
            assert_true(ops_test_y(&t, 0, i) == want);
        }
        ops_test_end(&t);
    }
}

static void test_center_crop_pad(void **unused) {
    for (int64_t n = 1; n < 9; n++) {
        const double size = (double)n;
        ops_test_begin(&t, "CenterCropPad", 18, 1);
        bnr__node_set_attr_ints(t.node, "axes", INTS(-1));
        ops_test_in(&t, DIMS(2, 5), NULL);
        ops_test_in_as(&t, BNR_INT64, DIMS(1), &size);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, 2, (const int64_t[]){2, n});
        const int64_t shift = n < 5 ? (5 - n) / 2 : -((n - 5) / 2);
        for (int64_t i = 0; i < 2 * n; i++) {
            const int64_t from = i % n + shift;
            const double want =
                from >= 0 && from < 5 ? ops_test_x(&t, 0, (size_t)(i / n * 5 + from)) : 0;
            assert_true(ops_test_y(&t, 0, (size_t)i) == want);
        }
        ops_test_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather),           cmocka_unit_test(test_gather_elements),
        cmocka_unit_test(test_gather_nd),        cmocka_unit_test(test_scatter_elements),
        cmocka_unit_test(test_scatter_nd),       cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_one_hot),          cmocka_unit_test(test_compress),
        cmocka_unit_test(test_reverse_sequence), cmocka_unit_test(test_trilu),
        cmocka_unit_test(test_tensor_scatter),   cmocka_unit_test(test_center_crop_pad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
