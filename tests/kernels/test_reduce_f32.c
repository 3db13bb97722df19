// SPDX-License-Identifier: Apache-2.0
// reduce_f32 at every level of this CPU against loops in double: every kind of result over axes in
// every place, lengths around those of vectors, strips and blocks, special values, numbers whose
// sums or squares have no float, and any number of threads.
#include <float.h>
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
#include "runtime/kernels/reduce_f32.h"
#include "tests/lib/kernel_test.h"

static const struct {
    unsigned needs;
    const struct bnr_reduce_f32_kernels *kernels;
} levels[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__reduce_f32_##isa},
#include "runtime/kernels/reduce_f32.inc"
#undef BNR_KERNEL
};

static const char *const kind_name[BNR_REDUCE_F32_KINDS] = {"sum", "abs", "squares",
                                                            "exp", "max", "min"};

enum { RANK = 4 };

struct reduce_case {
    size_t dims[RANK];
    unsigned axes; // bit d: dim d is reduced
    enum bnr_reduce_f32_kind kind;
    enum values values;
    bool shifted;
    float scale; // of the values
};

static float finish(double v, float shift, double p) {
    (void)shift;
    return (float)(v / p);
}

// The result that element i belongs to.
static size_t result_of(const struct reduce_case *c, size_t i) {
    size_t at[RANK], result = 0;
    for (int d = RANK - 1; d >= 0; d--) {
        at[d] = i % c->dims[d];
        i /= c->dims[d];
    }
    for (int d = 0; d < RANK; d++)
        if (!(c->axes >> d & 1))
            result = result * c->dims[d] + at[d];
    return result;
}

static double mapped(const struct reduce_case *c, float x, float shift) {
    const double d = (double)x - (double)shift;
    switch (c->kind) {
    case BNR_REDUCE_F32_ABS:
        return fabs((double)x);
    case BNR_REDUCE_F32_SQUARES:
        return d * d;
    case BNR_REDUCE_F32_EXP:
        return exp(d);
    default:
        return (double)x;
    }
}

static void want(const struct reduce_case *c, const float *x, const float *shift, size_t numel,
                 size_t results, double *sum, double *size) {
    const bool max = c->kind == BNR_REDUCE_F32_MAX, min = c->kind == BNR_REDUCE_F32_MIN;
    for (size_t r = 0; r < results; r++) {
        sum[r] = max ? -(double)INFINITY : min ? (double)INFINITY : 0;
        size[r] = 0;
    }
    for (size_t i = 0; i < numel; i++) {
        const size_t r = result_of(c, i);
        const double v = mapped(c, x[i], shift ? shift[r] : 0);
        size[r] += fabs(v);
        if (!max && !min)
            sum[r] += v;
        else if (v != v || (max ? v > sum[r] : v < sum[r]))
            sum[r] = sum[r] != sum[r] ? sum[r] : v;
    }
}

static void run_case(const struct reduce_case *c, const struct bnr_reduce_f32_kernels *kernels,
                     uint64_t seed) {
    struct rng rng = {seed};
    struct bnr_reduce_f32 r;
    bool reduced[RANK];
    size_t numel = 1, results = 1;
    char what[200];
    for (int d = 0; d < RANK; d++) {
        reduced[d] = c->axes >> d & 1;
        numel *= c->dims[d];
        results *= reduced[d] ? 1 : c->dims[d];
    }
    bnr__reduce_f32_plan(&r, kernels, RANK, c->dims, reduced);
    assert_int_equal(r.results, results);
    float *x = guard_floats(numel), *y = guard_floats(results), *shift = guard_floats(results);
    fill_values(&rng, c->values, x, numel);
    fill_values(&rng, VALUES_RANDOM, shift, results);
    for (size_t i = 0; i < numel; i++)
        x[i] *= c->scale;
    double *sum = malloc(results * sizeof *sum), *size = malloc(results * sizeof *size);
    double *scratch = malloc((bnr__reduce_f32_scratch(&r) + 1) * sizeof *scratch);
    want(c, x, c->shifted ? shift : NULL, numel, results, sum, size);
    const struct bnr_reduce_f32_run run = {.r = &r,
                                           .kind = c->kind,
                                           .dst = y,
                                           .src = x,
                                           .shift = c->shifted ? shift : NULL,
                                           .finish = finish,
                                           .p = 2,
                                           .scratch = scratch};
    bnr__reduce_f32_run(&run, NULL);
    snprintf(what, sizeof what, "%s %s %zux%zux%zux%zu over %u %s seed %llu", kernels->isa,
             kind_name[c->kind], c->dims[0], c->dims[1], c->dims[2], c->dims[3], c->axes,
             values_name[c->values], (unsigned long long)seed);
    const bool exact = c->kind >= BNR_REDUCE_F32_MAX;
    for (size_t i = 0; i < results; i++)
        check_value(what, i, y[i], sum[i] / 2,
                    exact ? 0
                          : size[i] * 0x1p-16 + (c->kind == BNR_REDUCE_F32_EXP ? 0x1p-100 : 0) +
                                0x1p-149);
    free(sum);
    free(size);
    free(scratch);
    guard_free(x, numel);
    guard_free(y, results);
    guard_free(shift, results);
}

static void axes_and_values(void **state) {
    static const size_t shapes[][RANK] = {{1, 1, 1, 1},   {1, 1, 1, 63},    {3, 5, 2, 17},
                                          {2, 3, 129, 3}, {1, 130, 1, 257}, {5, 1, 4113, 1},
                                          {2, 67, 3, 15}, {1, 1, 300, 64}};
    uint64_t seed = 1;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        if ((levels[level].needs & bnr__cpu_detect()) != levels[level].needs)
            continue;
        for (size_t s = 0; s < BNR_COUNT(shapes); s++)
            for (unsigned axes = 0; axes < 1 << RANK; axes++)
                for (int kind = 0; kind < BNR_REDUCE_F32_KINDS; kind++) {
                    struct reduce_case c = {.axes = axes,
                                            .kind = (enum bnr_reduce_f32_kind)kind,
                                            .values = (enum values)(seed % VALUES_KINDS),
                                            .shifted = kind == BNR_REDUCE_F32_SQUARES ||
                                                       kind == BNR_REDUCE_F32_EXP,
                                            .scale = 1};
                    memcpy(c.dims, shapes[s], sizeof c.dims);
                    run_case(&c, levels[level].kernels, seed++);
                }
    }
}

// Sums in the range of float of terms whose sums on the way are not, and squares that are no
// floats.
static void beyond_float(void **state) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        const struct bnr_reduce_f32_kernels *k = levels[level].kernels;
        if ((levels[level].needs & bnr__cpu_detect()) != levels[level].needs)
            continue;
        float x[4 * 300], y;
        double scratch[1];
        for (size_t i = 0; i < BNR_COUNT(x); i++)
            x[i] = i < BNR_COUNT(x) / 2 ? 3e38f : -3e38f;
        for (int columns = 0; columns < 2; columns++) {
            struct bnr_reduce_f32 r;
            const size_t dims[] = {BNR_COUNT(x) / 4, 4};
            const bool reduced[] = {true, !columns};
            float out[4];
            bnr__reduce_f32_plan(&r, k, 2, dims, reduced);
            bnr__reduce_f32_run(&(struct bnr_reduce_f32_run){.r = &r,
                                                             .kind = BNR_REDUCE_F32_SUM,
                                                             .dst = columns ? out : &y,
                                                             .src = x,
                                                             .finish = finish,
                                                             .p = 1,
                                                             .scratch = scratch},
                                NULL);
            for (size_t i = 0; i < r.results; i++)
                check_value(k->isa, i, columns ? out[i] : y, 0, 0);
        }
        struct reduce_case c = {.dims = {1, 3, 40, 5}, .kind = BNR_REDUCE_F32_SQUARES};
        for (c.axes = 1; c.axes < 1 << RANK; c.axes++)
            for (int small = 0; small < 2; small++) {
                c.scale = small ? 1e-22f : 1e17f; // squares around 1e-44 and 1e34
                run_case(&c, k, c.axes);
            }
    }
}

// A million terms of one sign, put together from parts: sums stay accurate.
static void long_sums(void **state) {
    struct reduce_case c = {.kind = BNR_REDUCE_F32_ABS, .scale = 1};
    static const struct {
        size_t dims[RANK];
        unsigned axes;
    } shapes[] = {{{1, 1, 1, 1 << 20}, 8}, {{1, 1, 1 << 19, 3}, 4}, {{3, 4, 1 << 16, 2}, 5}};
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        if ((levels[level].needs & bnr__cpu_detect()) != levels[level].needs)
            continue;
        for (size_t i = 0; i < BNR_COUNT(shapes); i++) {
            memcpy(c.dims, shapes[i].dims, sizeof c.dims);
            c.axes = shapes[i].axes;
            run_case(&c, levels[level].kernels, i);
        }
    }
}

static void applied(void **state) {
    struct rng rng = {4};
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        if ((levels[level].needs & bnr__cpu_detect()) != levels[level].needs)
            continue;
        for (unsigned axes = 0; axes < 1 << RANK; axes++) {
            struct reduce_case c = {.dims = {2, 3, 5, 1 + rng_size(&rng, 0, 40)}, .axes = axes};
            const size_t numel = 2 * 3 * 5 * c.dims[3];
            bool reduced[RANK];
            for (int d = 0; d < RANK; d++)
                reduced[d] = axes >> d & 1;
            struct bnr_reduce_f32 r;
            bnr__reduce_f32_plan(&r, levels[level].kernels, RANK, c.dims, reduced);
            float *x = guard_floats(numel), *y = guard_floats(numel);
            float *mean = guard_floats(r.results), *scale = guard_floats(r.results);
            fill_values(&rng, VALUES_RANDOM, x, numel);
            fill_values(&rng, VALUES_RANDOM, mean, r.results);
            fill_values(&rng, VALUES_RANDOM, scale, r.results);
            memcpy(y, x, numel * sizeof *x);
            bnr__reduce_f32_apply(&r, y, y, mean, scale, NULL);
            for (size_t i = 0; i < numel; i++) {
                const size_t k = result_of(&c, i);
                check_value("applied", i, y[i], (double)((x[i] - mean[k]) / scale[k]), 0);
            }
            guard_free(x, numel);
            guard_free(y, numel);
            guard_free(mean, r.results);
            guard_free(scale, r.results);
        }
    }
}

static void threads_do_not_matter(void **state) {
    static const size_t dims[] = {30, 5, 70, 40};
    enum { NUMEL = 30 * 5 * 70 * 40 };
    float *x = malloc(NUMEL * sizeof *x), *one = malloc(NUMEL * sizeof *x),
          *two = malloc(NUMEL * sizeof *x);
    struct rng rng = {9};
    struct bnr_pool *pool = test_pool(2);
    fill_values(&rng, VALUES_RANDOM, x, NUMEL);
    for (unsigned axes = 0; axes < 16; axes++) {
        const bool reduced[] = {axes & 1, axes & 2, axes & 4, axes & 8};
        struct bnr_reduce_f32 r;
        bnr__reduce_f32_plan(&r, bnr__reduce_f32_select(bnr__cpu_detect()), 4, dims, reduced);
        double *scratch = malloc((bnr__reduce_f32_scratch(&r) + 1) * sizeof *scratch);
        struct bnr_reduce_f32_run run = {
            .r = &r, .dst = one, .src = x, .finish = finish, .p = 1, .scratch = scratch};
        bnr__reduce_f32_run(&run, NULL);
        run.dst = two;
        bnr__reduce_f32_run(&run, pool);
        assert_memory_equal(one, two, r.results * sizeof *one);
        bnr__reduce_f32_apply(&r, one, x, two, two, NULL);
        float *three = malloc(NUMEL * sizeof *x);
        bnr__reduce_f32_apply(&r, three, x, two, two, pool);
        assert_memory_equal(one, three, NUMEL * sizeof *one);
        free(three);
        free(scratch);
    }
    free(x);
    free(one);
    free(two);
    bnr__pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_and_values),
        cmocka_unit_test(beyond_float),
        cmocka_unit_test(long_sums),
        cmocka_unit_test(applied),
        cmocka_unit_test(threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
