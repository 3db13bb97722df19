// SPDX-License-Identifier: Apache-2.0
// matmul_f32 at every level of this CPU against sums in double: sizes around the tiles, the cache
// blocks and 1, transposed operands, constant and other B, several products, epilogues, special
// values, threads.
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
#include "runtime/kernels/matmul_f32.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

struct mm_case {
    const char *level;
    uint64_t seed;
    struct bnr_product_shape s;
    enum values values;
    struct bnr_eltwise e;
    float scale;
};

struct buffers {
    float *a, *b, *bias, *residual, *y;
    size_t na, nb, ny;
    size_t a_at[4], b_at[4];
};

static void make_buffers(struct mm_case *c, struct buffers *b) {
    struct bnr_product_shape *s = &c->s;
    struct rng r = {c->seed};
    b->na = s->count * s->m * s->k;
    b->nb = s->constant_b ? s->k * s->n : 2 * s->k * s->n;
    b->ny = s->count * s->m * s->n;
    for (size_t i = 0; i < s->count; i++) {
        b->a_at[i] = (s->count - 1 - i) * s->m * s->k;
        b->b_at[i] = s->constant_b ? 0 : i % 2 * s->k * s->n;
    }
    s->a_at = b->a_at;
    s->b_at = b->b_at;
    b->a = guard_floats(b->na);
    b->b = guard_floats(b->nb);
    b->bias = guard_floats(s->n);
    b->residual = guard_floats(b->ny);
    b->y = guard_floats(b->ny);
    fill_values(&r, c->values, b->a, b->na);
    fill_values(&r, VALUES_RANDOM, b->b, b->nb);
    fill_values(&r, VALUES_RANDOM, b->bias, s->n);
    fill_values(&r, VALUES_RANDOM, b->residual, b->ny);
}

static void free_buffers(const struct mm_case *c, struct buffers *b) {
    guard_free(b->a, b->na);
    guard_free(b->b, b->nb);
    guard_free(b->bias, c->s.n);
    guard_free(b->residual, b->ny);
    guard_free(b->y, b->ny);
}

static void run_product(const struct mm_case *c, struct buffers *b, struct bnr_pool *pool) {
    unsigned cpu;
    assert_true(bnr__cpu_level(c->level, bnr__cpu_detect(), &cpu));
    struct bnr_matmul_f32 mm;
    assert_true(bnr__matmul_f32_init(&mm, &c->s, cpu, bnr__pool_threads(pool)));
    const size_t packed = c->s.in_place ? b->nb + 1 : mm.packed_bytes / sizeof(float),
                 scratch = mm.scratch_bytes / sizeof(float);
    float *p = guard_floats(packed), *q = guard_floats(scratch);
    if (c->s.in_place) // at an address that fits no float, or at the very end
        mm.plain_b = memcpy((char *)p + (c->seed % 2 ? 3 : 4), b->b, b->nb * sizeof *p);
    else if (c->s.constant_b)
        bnr__matmul_f32_pack(&mm, p, b->b, c->scale);
    mm.packed_b = p;
    mm.e = c->e;
    const float *operands[] = {b->residual, b->bias};
    const struct bnr_matmul_f32_run run = {
        .c = &mm, .dst = b->y, .a = b->a, .b = b->b, .operands = operands, .scratch = q};
    bnr__matmul_f32_run(&run, pool);
    guard_free(p, packed);
    guard_free(q, scratch);
}

static void check_product(const struct mm_case *c, const struct buffers *b) {
    const struct bnr_product_shape *s = &c->s;
    char what[250];
    snprintf(what, sizeof what,
             "%s seed %llu %s: %zu x %zux%zux%zu trans %d %d constant_b %d %d steps %d", c->level,
             (unsigned long long)c->seed, values_name[c->values], s->count, s->m, s->n, s->k,
             s->trans_a, s->trans_b, s->constant_b, s->in_place, c->e.n);
    for (size_t at = 0; at < b->ny; at++) {
        const size_t col = at % s->n, row = at / s->n % s->m, product = at / s->n / s->m;
        const float *x = b->a + b->a_at[product], *w = b->b + b->b_at[product];
        double want = 0, size = 0;
        for (size_t k = 0; k < s->k; k++) {
            const double term = (double)x[s->trans_a ? k * s->m + row : row * s->k + k] *
                                (double)w[s->trans_b ? col * s->k + k : k * s->n + col] *
                                (double)c->scale;
            want += term;
            size += fabs(term);
        }
        for (int i = 0; i < c->e.n; i++) {
            if (c->e.step[i].form == BNR_FORM_COLUMN && c->e.step[i].kind == BNR_ELTWISE_ADD) {
                want += (double)b->bias[col];
                size += fabs((double)b->bias[col]);
            } else if (c->e.step[i].kind == BNR_ELTWISE_ADD) {
                want += (double)b->residual[at];
                size += fabs((double)b->residual[at]);
            } else if (c->e.step[i].kind == BNR_ELTWISE_CLAMP) {
                want = want < 0 ? 0 : want > 6 ? 6 : want;
            } else {
                want = want < 0 ? want * (double)b->bias[col] : want;
            }
        }
        check_value(what, at, b->y[at], want, (double)(2 * s->k + 8) * (size * 0x1p-24 + 0x1p-149));
    }
}

static size_t random_size(struct rng *r) {
    static const size_t edges[] = {1, 2, 5, 6, 7, 13, 14, 15, 16, 17, 31, 32, 33, 65};
    return rng_next(r) % 3 ? edges[rng_next(r) % BNR_COUNT(edges)] : rng_size(r, 1, 150);
}

static void random_case(struct rng *r, struct mm_case *c) {
    struct bnr_product_shape *s = &c->s;
    s->m = random_size(r);
    s->n = random_size(r);
    s->k = random_size(r);
    if (rng_next(r) % 8 == 0) // beyond a cache block in one direction
        *(rng_next(r) % 2 ? &s->k : &s->n) = rng_size(r, 380, 1300);
    s->trans_a = rng_next(r) % 4 == 0;
    s->trans_b = rng_next(r) % 2;
    s->constant_b = rng_next(r) % 2;
    s->count = rng_next(r) % 2 ? 1 : rng_size(r, 1, 3);
    c->scale = s->constant_b && rng_next(r) % 4 == 0 ? 0.5f : 1;
    c->values = rng_next(r) % 3 ? VALUES_RANDOM : (enum values)(rng_next(r) % VALUES_KINDS);
}

static void random_epilogue(struct rng *r, struct bnr_eltwise *e, const struct buffers *b) {
    const uint64_t which = rng_next(r) % 6;
    e->n = 1;
    e->channels = 1;
    e->step[0] =
        (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_COLUMN, .operand = 1};
    if (which & 1)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
    if (which & 2)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .q = 6};
    if (which & 4)
        e->step[e->n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_PRELU, .form = BNR_FORM_COLUMN, .s = b->bias};
}

// One row by the rows of a constant that stays as it is.
static void row_case(struct rng *r, struct mm_case *c) {
    c->s = (struct bnr_product_shape){.m = 1,
                                      .n = random_size(r),
                                      .k = random_size(r),
                                      .count = 1,
                                      .trans_a = rng_next(r) % 2,
                                      .trans_b = true,
                                      .constant_b = true,
                                      .in_place = true};
    if (rng_next(r) % 8 == 0) // several tasks
        c->s.n = rng_size(r, 1000, 3000);
    c->scale = 1;
    c->values = rng_next(r) % 3 ? VALUES_RANDOM : (enum values)(rng_next(r) % VALUES_KINDS);
    assert_true(bnr__matmul_f32_in_place(&c->s));
}

static void check_cases(void (*make)(struct rng *r, struct mm_case *c)) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        for (uint64_t seed = 0; seed < 200; seed++) {
            struct rng r = {seed * 1000};
            struct mm_case c = {.level = levels[level], .seed = seed};
            struct buffers b;
            make(&r, &c);
            make_buffers(&c, &b);
            random_epilogue(&r, &c.e, &b);
            run_product(&c, &b, NULL);
            check_product(&c, &b);
            float *y = guard_floats(b.ny);
            memcpy(y, b.y, b.ny * sizeof *y);
            run_product(&c, &b, pool);
            if (memcmp(y, b.y, b.ny * sizeof *y) != 0)
                fail_msg("%s seed %llu: two threads give other bits", c.level,
                         (unsigned long long)seed);
            guard_free(y, b.ny);
            free_buffers(&c, &b);
        }
    }
    bnr__pool_free(pool);
}

static void random_products(void **state) {
    check_cases(random_case);
}

static void rows_by_weights_in_place(void **state) {
    check_cases(row_case);
}

// What depends on more than one row, or is not as it lies, has to be packed.
static void products_that_need_packing(void **state) {
    const struct bnr_product_shape fits = {
        .m = 1, .n = 5, .k = 7, .count = 1, .trans_b = true, .constant_b = true};
    struct bnr_product_shape s[4] = {fits, fits, fits, fits};
    assert_true(bnr__matmul_f32_in_place(&fits));
    s[0].m = 2;
    s[1].count = 2;
    s[2].trans_b = false;
    s[3].constant_b = false;
    for (size_t i = 0; i < BNR_COUNT(s); i++)
        assert_false(bnr__matmul_f32_in_place(&s[i]));
}

// Rows at any address, by factors in double and rounded once, are packed like the product itself;
// a product that is not finite is found.
static void check_factors(const char *level, unsigned cpu, uint64_t seed) {
    struct rng r = {seed};
    struct bnr_product_shape s = {.m = 4, .count = 1, .constant_b = true, .trans_b = seed % 2 == 0};
    s.n = rng_size(&r, 1, 80);
    s.k = rng_size(&r, 1, 80);
    struct bnr_matmul_f32 c;
    assert_true(bnr__matmul_f32_init(&c, &s, cpu, 1));
    const size_t row = s.trans_b ? s.k : s.n, n = s.n * s.k, rows = n / row;
    float *w = guard_floats(n), *scaled = guard_floats(n), *moved = guard_floats(n + 1);
    float *want = guard_floats(c.packed_bytes / sizeof *want);
    float *got = guard_floats(c.packed_bytes / sizeof *got);
    double *factors = malloc(rows * sizeof *factors);
    assert_non_null(factors);
    for (size_t i = 0; i < rows; i++)
        factors[i] = 2 * (double)rng_float(&r);
    fill_values(&r, VALUES_RANDOM, w, n);
    const bool bad = seed % 5 == 0;
    if (bad) {
        const size_t at = rng_size(&r, 0, n - 1);
        w[at] = 3e38f;
        factors[at / row] = 2;
    }
    for (size_t i = 0; i < n; i++) {
        scaled[i] = (float)((double)w[i] * factors[i / row]);
        scaled[i] = fabsf(scaled[i]) < FLT_MIN ? 0 : scaled[i];
    }
    memcpy((char *)moved + 1, w, n * sizeof *w);
    bnr__matmul_f32_pack(&c, want, scaled, 1);
    const struct bnr_matmul_parts parts = bnr__matmul_f32_parts(&c);
    bool finite = true;
    for (size_t i = 0; i < parts.n; i++) {
        const size_t begin = i * parts.elems;
        const struct bnr_weights_rows src = {
            (const bnr_any_float *)(const void *)((char *)moved + 1) + begin, factors + begin / row};
        finite &= bnr__matmul_f32_pack_part(&c, got, &src, i, 1);
    }
    if (finite == bad || memcmp(got, want, c.packed_bytes) != 0)
        fail_msg("%s seed %llu: %zux%zu trans %d", level, (unsigned long long)seed, s.k, s.n,
                 s.trans_b);
    free(factors);
    guard_free(got, c.packed_bytes / sizeof *got);
    guard_free(want, c.packed_bytes / sizeof *want);
    guard_free(moved, n + 1);
    guard_free(scaled, n);
    guard_free(w, n);
}

static void packing_takes_factors(void **state) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        for (uint64_t seed = 1; seed <= 200; seed++)
            check_factors(levels[level], cpu, seed);
    }
}

static void sizes_that_overflow_are_refused(void **state) {
    struct bnr_matmul_f32 c;
    const struct bnr_product_shape s = {
        .m = 1, .n = (size_t)1 << 40, .k = (size_t)1 << 40, .count = 1};
    assert_false(bnr__matmul_f32_init(&c, &s, 0, 1));
}

// ---- bench --------------------------------------------------------------------------------------

// m, n, k, is B constant (2: and in place).
static const size_t bench_products[][4] = {
    {512, 512, 512, 1},  {512, 512, 512, 0}, {197, 768, 768, 1}, {197, 3072, 768, 1}, {197, 768, 3072, 1}, {196, 1536, 384, 1}, {196, 384, 1536, 1}, {3136, 384, 96, 1}, {3136, 96, 384, 1}, {197, 197, 64, 0},
    {14, 1000, 2048, 1}, {1, 1000, 2048, 1}, {1, 4096, 9216, 1}, {1, 256, 256, 1},
    {1, 1000, 2048, 2}, {1, 4096, 9216, 2}, {1, 256, 256, 2},
};

static void bench_run(void *cx) {
    bnr__matmul_f32_run(cx, NULL);
}

static void bench_product(const char *level, unsigned cpu, const size_t p[4]) {
    struct mm_case c = {.level = level, .scale = 1};
    c.s = (struct bnr_product_shape){
        .m = p[0], .n = p[1], .k = p[2], .count = 1, .constant_b = p[3] != 0};
    c.s.in_place = c.s.trans_b = p[3] == 2;
    struct buffers b;
    struct bnr_matmul_f32 mm;
    make_buffers(&c, &b);
    if (!bnr__matmul_f32_init(&mm, &c.s, cpu, 1))
        return;
    float *packed = aligned_alloc(64, (mm.packed_bytes + 63) / 64 * 64),
          *scratch = aligned_alloc(64, mm.scratch_bytes);
    if (packed && scratch) {
        bnr__matmul_f32_pack(&mm, packed, b.b, 1);
        mm.packed_b = packed;
        mm.plain_b = (const bnr_any_float *)b.b;
        struct bnr_matmul_f32_run run = {
            .c = &mm, .dst = b.y, .a = b.a, .b = b.b, .scratch = scratch};
        const double t = best_seconds(bench_run, &run), flops = 2.0 * (double)(p[0] * p[1] * p[2]);
        printf("%-8s %4zux%4zux%4zu %-10s %8.3f ms %6.1f GFLOP/s %5.1f GB/s of B\n", level, p[0],
               p[1], p[2], p[3] == 2 ? "in place" : p[3] ? "constant B" : "", t * 1e3, flops / t * 1e-9,
               (double)(p[1] * p[2] * 4) / t * 1e-9);
    }
    free(packed);
    free(scratch);
    free_buffers(&c, &b);
}

static void bench(void) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        for (size_t i = 0; i < BNR_COUNT(bench_products); i++) {
            if (bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
                bench_product(levels[level], cpu, bench_products[i]);
        }
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_products),
        cmocka_unit_test(rows_by_weights_in_place),
        cmocka_unit_test(products_that_need_packing),
        cmocka_unit_test(packing_takes_factors),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    if (wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
