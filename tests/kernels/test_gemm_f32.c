// SPDX-License-Identifier: Apache-2.0
// gemm_f32's register tiles at every level of this CPU against sums in double: every number of
// rows, columns at vector edges, all that a tile does with its result, and values that must come
// through as the formula says.
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
#include "runtime/kernels/gemm_f32.h"
#include "tests/lib/kernel_test.h"

static const struct {
    unsigned needs;
    size_t mr, nr;
    const struct bnr_gemm_f32 *kernels;
} levels[] = {
#define BNR_KERNEL(isa, needs, mr, nr) {needs, mr, nr, &bnr__gemm_f32_##isa},
#include "runtime/kernels/gemm_f32.inc"
#undef BNR_KERNEL
};

static bool runs_here(size_t level) {
    return (levels[level].needs & bnr__cpu_detect()) == levels[level].needs;
}

struct tile_case {
    const struct bnr_gemm_f32 *g;
    size_t rows, cols, k;
    unsigned parts; // bits: add, row_bias, col_bias, residual, clamp
    enum values values;
    uint64_t seed;
};

enum { ADD = 1, ROW_BIAS = 2, COL_BIAS = 4, RESIDUAL = 8, CLAMP = 16, ALL_PARTS = 31 };

// The buffers of a case. c has a gap behind each row that must stay as it is.
struct buffers {
    float *a, *b, *c, *old, *row_bias, *col_bias, *residual;
    size_t lda, ldb, ldc, c_size;
};

static void make_buffers(const struct tile_case *t, struct buffers *u) {
    struct rng r = {t->seed};
    u->lda = t->rows + t->seed % 3;
    u->ldb = t->g->nr;
    u->ldc = t->cols + t->seed % 5;
    u->c_size = (t->rows - 1) * u->ldc + t->cols;
    u->a = guard_floats(t->k * u->lda);
    u->b = guard_floats(t->k * u->ldb);
    u->c = guard_floats(u->c_size);
    u->old = guard_floats(u->c_size);
    u->residual = guard_floats(u->c_size);
    u->row_bias = guard_floats(t->rows);
    u->col_bias = guard_floats(t->cols);
    fill_values(&r, t->values, u->a, t->k * u->lda);
    fill_values(&r, t->values == VALUES_HUGE ? VALUES_RANDOM : t->values, u->b, t->k * u->ldb);
    fill_values(&r, VALUES_RANDOM, u->c, u->c_size);
    fill_values(&r, VALUES_RANDOM, u->residual, u->c_size);
    fill_values(&r, VALUES_RANDOM, u->row_bias, t->rows);
    fill_values(&r, VALUES_RANDOM, u->col_bias, t->cols);
    memcpy(u->old, u->c, u->c_size * sizeof(float));
}

static void free_buffers(const struct tile_case *t, struct buffers *u) {
    guard_free(u->a, t->k * u->lda);
    guard_free(u->b, t->k * u->ldb);
    guard_free(u->c, u->c_size);
    guard_free(u->old, u->c_size);
    guard_free(u->residual, u->c_size);
    guard_free(u->row_bias, t->rows);
    guard_free(u->col_bias, t->cols);
}

static void check_element(const struct tile_case *t, const struct buffers *u, size_t i, size_t j) {
    const size_t at = i * u->ldc + j;
    double want = 0, size = 0;
    for (size_t k = 0; k < t->k; k++) {
        const double product = (double)u->a[k * u->lda + i] * (double)u->b[k * u->ldb + j];
        want += product;
        size += fabs(product);
    }
    const double more[] = {t->parts & ADD ? (double)u->old[at] : 0,
                           t->parts & ROW_BIAS ? (double)u->row_bias[i] : 0,
                           t->parts & COL_BIAS ? (double)u->col_bias[j] : 0,
                           t->parts & RESIDUAL ? (double)u->residual[at] : 0};
    for (size_t p = 0; p < BNR_COUNT(more); p++) {
        want += more[p];
        size += fabs(more[p]);
    }
    if (t->parts & CLAMP)
        want = want < -0.5 ? -0.5 : want > 0.5 ? 0.5 : want;
    char what[160];
    snprintf(what, sizeof what, "%s %zux%zux%zu parts %u %s seed %llu", t->g->isa, t->rows, t->cols,
             t->k, t->parts, values_name[t->values], (unsigned long long)t->seed);
    check_value(what, at, u->c[at], want, (double)(2 * t->k + 8) * (size * 0x1p-24 + 0x1p-149));
}

static void run_case(const struct tile_case *t) {
    struct buffers u;
    make_buffers(t, &u);
    const struct bnr_gemm_tile tile = {
        .a = u.a,
        .b = u.b,
        .c = u.c,
        .k = t->k,
        .lda = u.lda,
        .ldb = u.ldb,
        .ldc = u.ldc,
        .add = (t->parts & ADD) != 0,
        .ahead = t->seed % 2 ? u.b : NULL,
        .ahead_step = t->seed % 2 ? t->seed % 40 : 0,
        .row_bias = t->parts & ROW_BIAS ? u.row_bias : NULL,
        .col_bias = t->parts & COL_BIAS ? u.col_bias : NULL,
        .residual = t->parts & RESIDUAL ? u.residual : NULL,
        .clamp = (t->parts & CLAMP) != 0,
        .lo = -0.5f,
        .hi = 0.5f,
    };
    t->g->tile(&tile, (int)t->rows, (int)t->cols);
    for (size_t at = 0; at < u.c_size; at++) {
        if (at % u.ldc < t->cols)
            check_element(t, &u, at / u.ldc, at % u.ldc);
        else if (memcmp(&u.c[at], &u.old[at], sizeof(float)) != 0)
            fail_msg("%s: a %zux%zu tile wrote behind its row", t->g->isa, t->rows, t->cols);
    }
    free_buffers(t, &u);
}

static void tiles(void **state) {
    static const size_t ks[] = {1, 2, 3, 37};
    struct tile_case t = {0};
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        t.g = levels[level].kernels;
        for (t.rows = 1; t.rows <= t.g->mr && runs_here(level); t.rows++) {
            for (t.cols = 1; t.cols <= t.g->nr; t.cols++) {
                for (size_t i = 0; i < BNR_COUNT(ks) * VALUES_KINDS; i++) {
                    t.k = ks[i % BNR_COUNT(ks)];
                    t.values = (enum values)(i / BNR_COUNT(ks));
                    t.parts = (unsigned)(t.seed++ * 7) & ALL_PARTS;
                    run_case(&t);
                }
            }
        }
    }
}

// One panel against a plain loop, from rows that end at the end of memory to a panel that does.
static void check_panel(const struct bnr_gemm_f32 *g, size_t width, size_t count, size_t k,
                        uint64_t seed) {
    struct rng r = {seed};
    const size_t step = k + seed % 3, n = (count - 1) * step + k;
    float *src = guard_floats(n), *dst = guard_floats(k * width);
    fill_values(&r, VALUES_RANDOM, src, n);
    fill_values(&r, VALUES_RANDOM, dst, k * width);
    const struct bnr_gemm_panel p = {dst, src, width, count, k, step};
    g->pack(&p);
    for (size_t at = 0; at < k * width; at++) {
        const size_t row = at % width;
        const float want = row < count ? src[row * step + at / width] : 0;
        if (memcmp(&dst[at], &want, sizeof want) != 0)
            fail_msg("%s: %zu of %zu rows, %zu elements: [%zu][%zu] is %g, not %g", g->isa, count,
                     width, k, at / width, row, (double)dst[at], (double)want);
    }
    guard_free(src, n);
    guard_free(dst, k * width);
}

static void panels(void **state) {
    static const size_t ks[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 70};
    uint64_t seed = 0;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        const struct bnr_gemm_f32 *g = levels[level].kernels;
        for (size_t width = 1; width <= g->nr && runs_here(level); width++)
            for (size_t count = 1; count <= width; count++)
                for (size_t i = 0; i < BNR_COUNT(ks); i++)
                    check_panel(g, width, count, ks[i], seed++);
    }
}

static void lists_agree_with_kernels(void **state) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        const struct bnr_gemm_f32 *g = levels[level].kernels;
        assert_int_equal(g->mr, levels[level].mr);
        assert_int_equal(g->nr, levels[level].nr);
        for (size_t m = 1; m < 200; m++) {
            const size_t rows = bnr__gemm_f32_panel_rows(g, m);
            assert_true(rows >= 1 && rows <= g->mr);
            assert_int_equal((m + rows - 1) / rows, (m + g->mr - 1) / g->mr);
        }
    }
    assert_ptr_equal(bnr__gemm_f32_select(0), &bnr__gemm_f32_generic);
}

// ---- bench --------------------------------------------------------------------------------------

struct bench_tile {
    const struct bnr_gemm_f32 *g;
    struct bnr_gemm_tile t;
    int rows;
};

static void bench_run(void *cx) {
    const struct bench_tile *b = cx;
    for (int i = 0; i < 100; i++)
        b->g->tile(&b->t, b->rows, (int)b->g->nr);
}

static void bench(void) {
    enum { K = 256 };
    static float a[K * 16], b[K * 64], c[16 * 64], bias[16];
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        const struct bnr_gemm_f32 *g = levels[level].kernels;
        for (size_t rows = 1; rows <= g->mr && runs_here(level); rows++) {
            struct bench_tile t = {.g = g, .rows = (int)rows};
            t.t = (struct bnr_gemm_tile){.a = a,
                                         .b = b,
                                         .c = c,
                                         .k = K,
                                         .lda = rows,
                                         .ldb = g->nr,
                                         .ldc = g->nr,
                                         .row_bias = bias,
                                         .clamp = true,
                                         .hi = 6};
            const double flops = 100 * 2.0 * K * (double)(rows * g->nr);
            printf("%-8s %2zux%zux%d: %6.1f GFLOP/s\n", g->isa, rows, g->nr, K,
                   flops / best_seconds(bench_run, &t) * 1e-9);
        }
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles),
        cmocka_unit_test(panels),
        cmocka_unit_test(lists_agree_with_kernels),
    };
    if (wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
