// SPDX-License-Identifier: Apache-2.0
// rows_f32 at every level of this CPU against the formulas in double: row lengths around the
// vector's and the sum's blocks, special values, in place, and any number of threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/rows_f32.h"
#include "tests/lib/kernel_test.h"

static const struct {
    unsigned needs;
    const struct bnr_rows_f32_kernels *kernels;
} levels[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__rows_f32_##isa},
#include "runtime/kernels/rows_f32.inc"
#undef BNR_KERNEL
};

struct rows_case {
    struct bnr_rows_f32 r;
    enum values values;
    bool in_place, bias;
    uint64_t seed;
};

// ---- the formulas -------------------------------------------------------------------------------

static void want_softmax(const float *x, size_t n, size_t ld, double *y) {
    double max = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)x[i * ld]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i * ld] - max);
    for (size_t i = 0; i < n; i++)
        y[i * ld] = exp((double)x[i * ld] - max) / sum;
}

static void check_log_softmax(const struct rows_case *c, const char *what, const float *x,
                              const float *y) {
    const size_t n = c->r.n, inner = c->r.inner;
    for (size_t lane = 0; lane < c->r.rows * inner; lane++) {
        const size_t start = lane / inner * n * inner + lane % inner;
        double max = -HUGE_VAL, sum = 0;
        for (size_t i = 0; i < n; i++)
            max = fmax(max, (double)x[start + i * inner]);
        for (size_t i = 0; i < n; i++)
            sum += exp((double)x[start + i * inner] - max);
        for (size_t i = 0; i < n; i++) {
            const double v = (double)x[start + i * inner], size = fabs(v - max) + log(sum);
            check_value(what, start + i * inner, y[start + i * inner], v - max - log(sum),
                        size * 0x1p-22 + 0x1p-20);
        }
    }
}

static void check_softmax(const struct rows_case *c, const char *what, const float *x,
                          const float *y, size_t numel) {
    const size_t n = c->r.n, inner = c->r.inner;
    double *want = calloc(numel, sizeof *want);
    for (size_t row = 0; row < c->r.rows; row++)
        for (size_t col = 0; col < inner; col++)
            want_softmax(x + row * n * inner + col, n, inner, want + row * n * inner + col);
    for (size_t i = 0; i < numel; i++)
        check_value(what, i, y[i], want[i], want[i] * 0x1p-20 + 0x1p-126);
    free(want);
}

static void check_normalize(const struct rows_case *c, const char *what, const float *x,
                            const float *y, const float *scale, const float *bias) {
    const size_t n = c->r.n;
    for (size_t row = 0; row < c->r.rows; row++) {
        double mean = 0, variance = 0, largest = 0;
        for (size_t i = 0; i < n && !c->r.uncentered; i++)
            mean += (double)x[row * n + i] / (double)n;
        for (size_t i = 0; i < n; i++) {
            const double d = (double)x[row * n + i] - mean;
            variance += d * d / (double)n;
            largest = fmax(largest, fabs((double)x[row * n + i]));
        }
        const double inv = 1 / sqrt(variance + c->r.epsilon);
        for (size_t i = 0; i < n; i++) {
            const double hat = ((double)x[row * n + i] - mean) * inv;
            const size_t k = c->r.channels == 0
                                 ? i
                                 : row % c->r.groups * c->r.channels + i / (n / c->r.channels);
            const double s = (double)scale[k], want = hat * s + (bias ? (double)bias[k] : 0);
            // The mean is off by rounding of the row's largest element.
            const double off = (fabs(hat) * 0x1p-16 + largest * inv * 0x1p-18) * fabs(s);
            check_value(what, row * n + i, y[row * n + i], want, off + fabs(want) * 0x1p-22);
        }
    }
}

// ---- cases --------------------------------------------------------------------------------------

static void run_case(const struct rows_case *c) {
    struct rng rng = {c->seed};
    const struct bnr_rows_f32 *r = &c->r;
    const size_t numel = r->rows * r->n * r->inner;
    float *x = guard_floats(numel), *y = guard_floats(numel), *scale = guard_floats(r->n),
          *bias = guard_floats(r->n);
    char what[200];
    fill_values(&rng, c->values, x, numel);
    fill_values(&rng, VALUES_RANDOM, scale, r->n);
    fill_values(&rng, VALUES_RANDOM, bias, r->n);
    if (c->in_place)
        memcpy(y, x, numel * sizeof *x);
    const struct bnr_rows_f32_run run = {.r = r,
                                         .dst = y,
                                         .src = c->in_place ? y : x,
                                         .scale = scale,
                                         .bias = c->bias ? bias : NULL};
    bnr__rows_f32_run(&run, NULL);
    snprintf(what, sizeof what, "%s kind %d %zux%zux%zu %s seed %llu", r->kernels->isa,
             (int)r->kind, r->rows, r->n, r->inner, values_name[c->values],
             (unsigned long long)c->seed);
    if (r->kind == BNR_ROWS_SOFTMAX)
        check_softmax(c, what, x, y, numel);
    else if (r->kind == BNR_ROWS_LOG_SOFTMAX)
        check_log_softmax(c, what, x, y);
    else
        check_normalize(c, what, x, y, scale, run.bias);
    guard_free(x, numel);
    guard_free(y, numel);
    guard_free(scale, r->n);
    guard_free(bias, r->n);
}

static void lengths_and_values(void **state) {
    static const size_t lengths[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 63, 64, 65, 127, 4096, 4113};
    struct rows_case c = {.seed = 1};
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        if ((levels[level].needs & bnr__cpu_detect()) != levels[level].needs)
            continue;
        enum { COLUMNS = BNR_ROWS_LOG_SOFTMAX + 1, KINDS = COLUMNS + 2 };
        for (size_t i = 0; i < BNR_COUNT(lengths) * VALUES_KINDS * KINDS; i++) {
            c.values = (enum values)(i / KINDS % VALUES_KINDS);
            const bool columns = i % KINDS >= COLUMNS;
            c.r =
                (struct bnr_rows_f32){.kind = !columns ? (enum bnr_rows_kind)(i % KINDS)
                                              : i % KINDS == COLUMNS ? BNR_ROWS_SOFTMAX
                                                                     : BNR_ROWS_LOG_SOFTMAX,
                                      .kernels = levels[level].kernels,
                                      .rows = 3,
                                      .n = lengths[i / KINDS / VALUES_KINDS],
                                      .inner = columns ? 1 + rng_size(&(struct rng){i}, 1, 70) : 1,
                                      .epsilon = 1e-5,
                                      .uncentered = i % 7 == 0};
            if (i % 2 && c.r.n % 3 == 0) { // three channels, with parameters for two rows in turn
                c.r.channels = 3;
                c.r.groups = c.r.n >= 6 ? 2 : 1;
            } else if (i % 4 == 0) {
                c.r.channels = c.r.groups = 1;
            }
            // The square of a huge number has no float.
            if (c.values == VALUES_HUGE && c.r.kind == BNR_ROWS_NORMALIZE)
                continue;
            c.in_place = i % 3 == 0;
            c.bias = i % 2;
            c.seed++;
            run_case(&c);
        }
    }
}

static void threads_do_not_matter(void **state) {
    enum { ROWS = 50, N = 700 };
    static float x[ROWS * N], one[ROWS * N], two[ROWS * N], scale[N];
    struct rng rng = {9};
    struct bnr_pool *pool = test_pool(2);
    fill_values(&rng, VALUES_RANDOM, x, ROWS * N);
    fill_values(&rng, VALUES_RANDOM, scale, N);
    enum { COLUMNS = BNR_ROWS_LOG_SOFTMAX + 1, KINDS = COLUMNS + 2 };
    for (int kind = 0; kind < KINDS; kind++) {
        const bool columns = kind >= COLUMNS;
        const struct bnr_rows_f32 r = {.kind = !columns          ? (enum bnr_rows_kind)kind
                                               : kind == COLUMNS ? BNR_ROWS_SOFTMAX
                                                                 : BNR_ROWS_LOG_SOFTMAX,
                                       .kernels = bnr__rows_f32_select(bnr__cpu_detect()),
                                       .rows = columns ? 5 : ROWS,
                                       .n = columns ? 10 : N,
                                       .inner = columns ? N : 1,
                                       .epsilon = 1e-5};
        memset(one, 0, sizeof one);
        memset(two, 0, sizeof two);
        bnr__rows_f32_run(&(struct bnr_rows_f32_run){.r = &r, .dst = one, .src = x, .scale = scale},
                          NULL);
        bnr__rows_f32_run(&(struct bnr_rows_f32_run){.r = &r, .dst = two, .src = x, .scale = scale},
                          pool);
        assert_memory_equal(one, two, sizeof one);
    }
    bnr__pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_values),
        cmocka_unit_test(threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
