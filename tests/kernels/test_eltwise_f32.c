// SPDX-License-Identifier: Apache-2.0
// eltwise_f32 at every level of this CPU against the formulas in double: all kinds and forms at
// tile edges and with special values, the functions in ulp over the whole range of float, and any
// number of threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/eltwise_f32.h"
#include "tests/lib/kernel_test.h"

static const struct {
    unsigned needs;
    const struct bnr_eltwise_f32 *kernels;
} levels[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__eltwise_f32_##isa},
#include "runtime/kernels/eltwise_f32.inc"
#undef BNR_KERNEL
};

static bool runs_here(size_t level) {
    return (levels[level].needs & bnr__cpu_detect()) == levels[level].needs;
}

// Operands of one element.
struct point {
    double x, s, t, b, p, q;
};

static double ramp(double x, double p, double q) {
    const double y = p * x + q;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static double formula(enum bnr_eltwise_kind kind, const struct point *v) {
    const double x = v->x, b = v->b, p = v->p, q = v->q;
    switch (kind) {
    case BNR_ELTWISE_AFFINE:
        return v->s * x + v->t;
    case BNR_ELTWISE_PRELU:
        return x < 0 ? v->s * x : x;
    case BNR_ELTWISE_ADD:
        return x + b;
    case BNR_ELTWISE_SUB:
        return x - b;
    case BNR_ELTWISE_RSUB:
        return b - x;
    case BNR_ELTWISE_MUL:
        return x * b;
    case BNR_ELTWISE_DIV:
        return x / b;
    case BNR_ELTWISE_RDIV:
        return b / x;
    case BNR_ELTWISE_CLAMP:
        return isnan(x) ? x : x < p ? p : x > q ? q : x;
    case BNR_ELTWISE_LEAKY_RELU:
        return x < 0 ? p * x : x;
    case BNR_ELTWISE_HARD_SIGMOID:
        return ramp(x, p, q);
    case BNR_ELTWISE_HARD_SWISH:
        return x * ramp(x, p, q);
    case BNR_ELTWISE_SIGMOID:
        return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    case BNR_ELTWISE_SILU:
        return x * (1 / (1 + exp(-p * x)));
    case BNR_ELTWISE_TANH:
        return tanh(x);
    case BNR_ELTWISE_EXP:
        return exp(x);
    case BNR_ELTWISE_ERF:
        return erf(x);
    case BNR_ELTWISE_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case BNR_ELTWISE_FLOOR:
        return floor(x);
    case BNR_ELTWISE_CEIL:
        return ceil(x);
    case BNR_ELTWISE_ROUND:
        return rint(x);
    case BNR_ELTWISE_ELU:
        return x < 0 ? p * expm1(x) : q * x;
    case BNR_ELTWISE_CELU:
        return x < 0 ? p * expm1(x / p) : x;
    case BNR_ELTWISE_SOFTPLUS:
        return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
    case BNR_ELTWISE_MISH:
        return x * tanh((x < 0 ? 0 : x) + log1p(exp(-fabs(x))));
    case BNR_ELTWISE_SIN:
        return sin(x);
    case BNR_ELTWISE_COS:
        return cos(x);
    case BNR_ELTWISE_ASIN:
        return asin(x);
    case BNR_ELTWISE_ACOS:
        return acos(x);
    case BNR_ELTWISE_ATAN:
        return atan(x);
    default:
        return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    }
}

static bool has_operand(enum bnr_eltwise_kind kind) {
    return kind >= BNR_ELTWISE_ADD && kind <= BNR_ELTWISE_RDIV;
}

// What a result may be off by: the header's figures.
static double bound(enum bnr_eltwise_kind kind, const struct point *v, double want) {
    if (!isfinite(want))
        return 0;
    const double ulp = fmax(fabs(want) * 0x1p-23, 0x1p-149);
    switch (kind) {
    case BNR_ELTWISE_AFFINE: // two roundings where there is no fused multiply-add
        return ulp + fabs(v->s * v->x) * 0x1p-24;
    case BNR_ELTWISE_HARD_SIGMOID:
    case BNR_ELTWISE_HARD_SWISH:
        return ulp + (fabs(v->p * v->x) + fabs(v->q)) * 0x1p-23 * fmax(1, fabs(v->x));
    case BNR_ELTWISE_GELU:
    case BNR_ELTWISE_GELU_TANH:
        return ulp + fabs(v->x) * 0x1p-22;
    case BNR_ELTWISE_FLOOR:
    case BNR_ELTWISE_CEIL:
    case BNR_ELTWISE_ROUND:
        return 0;
    case BNR_ELTWISE_MISH:
        return 4 * ulp + fabs(v->x) * 0x1p-149; // e^x is subnormal below -87
    case BNR_ELTWISE_SILU:
        return 3.5 * ulp + fabs(v->x) * 0x1p-149; // sigmoid(x) is subnormal below -87
    case BNR_ELTWISE_SIGMOID:
        return 2.5 * ulp;
    default:
        return has_operand(kind) ? 2 * ulp : 2.5 * ulp;
    }
}

static bool has_arrays(enum bnr_eltwise_kind kind) {
    return kind == BNR_ELTWISE_AFFINE || kind == BNR_ELTWISE_PRELU;
}

// A tensor of 2 * channels rows, or of any number of rows with channels = 1.
struct tensor_case {
    size_t level, rows, cols, channels;
    enum bnr_eltwise_kind kind;
    enum bnr_eltwise_form form;
    enum values values;
    uint64_t seed;
    bool in_place;
};

static size_t form_count(const struct tensor_case *c) {
    switch (c->form) {
    case BNR_FORM_SAME:
        return c->rows * c->cols;
    case BNR_FORM_ROW:
        return c->rows;
    case BNR_FORM_CHANNEL:
        return c->channels;
    case BNR_FORM_COLUMN:
        return c->cols;
    default:
        return 1;
    }
}

static size_t form_index(const struct tensor_case *c, size_t row, size_t col) {
    switch (c->form) {
    case BNR_FORM_SAME:
        return row * c->cols + col;
    case BNR_FORM_ROW:
        return row;
    case BNR_FORM_CHANNEL:
        return row % c->channels;
    case BNR_FORM_COLUMN:
        return col;
    default:
        return 0;
    }
}

static void compare(const struct tensor_case *c, const struct bnr_eltwise_step *step,
                    const float *x, const float *b, const float *y) {
    char what[200];
    snprintf(what, sizeof what, "%s kind %d form %d %zux%zu channels %zu %s in_place %d seed %llu",
             levels[c->level].kernels->isa, (int)c->kind, (int)c->form, c->rows, c->cols,
             c->channels, values_name[c->values], c->in_place, (unsigned long long)c->seed);
    for (size_t i = 0; i < c->rows * c->cols; i++) {
        const size_t k = form_index(c, i / c->cols, i % c->cols);
        const struct point v = {.x = (double)x[i],
                                .b = (double)b[k],
                                .s = (double)b[k],
                                .t = has_arrays(c->kind) ? (double)step->t[k] : 0,
                                .p = (double)step->p,
                                .q = (double)step->q};
        const double want = formula(c->kind, &v);
        check_value(what, i, y[i], want, bound(c->kind, &v, want));
    }
}

static void run_case(const struct tensor_case *c) {
    struct rng r = {c->seed};
    const size_t n = c->rows * c->cols, nb = form_count(c);
    float *x = guard_floats(n), *y = guard_floats(n), *s = guard_floats(nb), *t = guard_floats(nb);
    fill_values(&r, c->values, x, n);
    fill_values(&r, c->values == VALUES_HUGE ? VALUES_RANDOM : c->values, s, nb);
    fill_values(&r, VALUES_RANDOM, t, nb);
    if (c->in_place)
        memcpy(y, x, n * sizeof *x);
    struct bnr_eltwise e = {.n = 1, .channels = c->channels};
    e.step[0] = (struct bnr_eltwise_step){
        .kind = c->kind, .form = c->form, .operand = 1, .p = 0.25f, .q = 0.5f, .s = s, .t = t};
    const float *operands[] = {NULL, s};
    const struct bnr_eltwise_run run = {.e = &e,
                                        .kernels = levels[c->level].kernels,
                                        .dst = y,
                                        .src = c->in_place ? y : x,
                                        .operands = operands,
                                        .rows = c->rows,
                                        .cols = c->cols};
    bnr__eltwise_f32_run(&run, NULL);
    compare(c, &e.step[0], x, s, y);
    guard_free(x, n);
    guard_free(y, n);
    guard_free(s, nb);
    guard_free(t, nb);
}

static void kinds_and_forms(void **state) {
    static const size_t cols[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 2050};
    struct tensor_case c = {0};
    for (c.level = 0; c.level < BNR_COUNT(levels); c.level++) {
        for (size_t i = 0; i < BNR_COUNT(cols) * VALUES_KINDS && runs_here(c.level); i++) {
            c.values = (enum values)(i % VALUES_KINDS);
            c.cols = cols[i / VALUES_KINDS];
            c.channels = 1 + i % 3;
            c.rows = 2 * c.channels;
            for (int kind = 0; kind < BNR_ELTWISE_KINDS; kind++) {
                const bool arrays = has_arrays((enum bnr_eltwise_kind)kind);
                for (int form = 0; form <= BNR_FORM_COLUMN; form++) {
                    if (form > 0 && !arrays && !has_operand((enum bnr_eltwise_kind)kind))
                        continue;
                    if (form == BNR_FORM_SAME && arrays)
                        continue;
                    c.kind = (enum bnr_eltwise_kind)kind;
                    c.form = (enum bnr_eltwise_form)form;
                    c.in_place = c.seed++ % 2;
                    run_case(&c);
                }
            }
        }
    }
}

// Every 4099th float, of all exponents and both signs.
static void functions_in_ulp(void **state) {
    static const struct {
        enum bnr_eltwise_kind kind;
        double ulp;
    } functions[] = {{BNR_ELTWISE_EXP, 1},    {BNR_ELTWISE_SIGMOID, 2.5},  {BNR_ELTWISE_TANH, 1.5},
                     {BNR_ELTWISE_ERF, 1.5},  {BNR_ELTWISE_SILU, 3.5},     {BNR_ELTWISE_FLOOR, 0},
                     {BNR_ELTWISE_CEIL, 0},   {BNR_ELTWISE_ROUND, 0},      {BNR_ELTWISE_ELU, 2.5},
                     {BNR_ELTWISE_CELU, 2.5}, {BNR_ELTWISE_SOFTPLUS, 2.5}, {BNR_ELTWISE_MISH, 4},
                     {BNR_ELTWISE_SIN, 2.5},  {BNR_ELTWISE_COS, 2.5},      {BNR_ELTWISE_ASIN, 2.5},
                     {BNR_ELTWISE_ACOS, 2.5}, {BNR_ELTWISE_ATAN, 2.5}};
    enum { BLOCK = 1024 };
    float x[BLOCK], y[BLOCK];
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        for (size_t f = 0; f < BNR_COUNT(functions) && runs_here(level); f++) {
            struct bnr_eltwise e = {.n = 1, .channels = 1};
            e.step[0] = (struct bnr_eltwise_step){.kind = functions[f].kind, .p = 1, .q = 1};
            const struct bnr_eltwise_tile t = {
                .dst = y, .src = x, .ld = BLOCK, .rows = 1, .cols = BLOCK};
            double worst = 0;
            float worst_x = 0;
            for (uint64_t bits = 0; bits < (1ull << 32);) {
                for (size_t i = 0; i < BLOCK; i++, bits += 4099) {
                    const uint32_t b = (uint32_t)bits;
                    memcpy(&x[i], &b, sizeof b);
                }
                levels[level].kernels->tile(&e, NULL, &t);
                for (size_t i = 0; i < BLOCK; i++) {
                    const struct point v = {.x = (double)x[i], .p = 1, .q = 1};
                    const double want = formula(functions[f].kind, &v);
                    const double d = ulp_distance(y[i], want);
                    if ((functions[f].kind == BNR_ELTWISE_SILU ||
                         functions[f].kind == BNR_ELTWISE_MISH) &&
                        fabs(want) < 0x1p-120)
                        continue; // kinds_and_forms has the absolute bound
                    if (d > worst) {
                        worst = d;
                        worst_x = x[i];
                    }
                }
            }
            if (worst > functions[f].ulp)
                fail_msg("%s kind %d: %.2f ulp at %.9g", levels[level].kernels->isa,
                         (int)functions[f].kind, worst, (double)worst_x);
        }
    }
}

static void chains_run_in_order(void **state) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        if (!runs_here(level))
            continue;
        float x[5] = {-2, -1, 0, 1, NAN}, y[5];
        const float add = 1, scale = -3, shift = 0.5f;
        const float *operands[] = {&add};
        struct bnr_eltwise e = {.n = 3, .channels = 1};
        e.step[0] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD};
        e.step[1] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_AFFINE, .s = &scale, .t = &shift};
        e.step[2] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .p = 0, .q = 3};
        const struct bnr_eltwise_run run = {.e = &e,
                                            .kernels = levels[level].kernels,
                                            .dst = y,
                                            .src = x,
                                            .operands = operands,
                                            .rows = 5,
                                            .cols = 1};
        bnr__eltwise_f32_run(&run, NULL);
        const float want[4] = {3, 0.5f, 0, 0};
        assert_memory_equal(y, want, sizeof want);
        assert_true(isnan(y[4]));
    }
}

static void threads_do_not_matter(void **state) {
    static const size_t shapes[][2] = {
        {3, 100000}, {5000, 33}, {1, 70000}, {70000, 1}, {70, 40000}};
    struct bnr_pool *pool = test_pool(2);
    struct rng r = {7};
    for (size_t i = 0; i < BNR_COUNT(shapes); i++) {
        const size_t rows = shapes[i][0], cols = shapes[i][1], n = rows * cols;
        float *x = guard_floats(n), *y = guard_floats(n), *z = guard_floats(n),
              *b = guard_floats(rows);
        fill_values(&r, VALUES_RANDOM, x, n);
        fill_values(&r, VALUES_RANDOM, b, rows);
        const float *operands[] = {b};
        struct bnr_eltwise e = {.n = 2, .channels = 1};
        e.step[0] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_MUL, .form = BNR_FORM_ROW};
        e.step[1] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_TANH};
        struct bnr_eltwise_run run = {.e = &e,
                                      .kernels = bnr__eltwise_f32_select(bnr__cpu_detect()),
                                      .dst = y,
                                      .src = x,
                                      .operands = operands,
                                      .rows = rows,
                                      .cols = cols};
        bnr__eltwise_f32_run(&run, NULL);
        run.dst = z;
        bnr__eltwise_f32_run(&run, pool);
        assert_memory_equal(y, z, n * sizeof *y);
        guard_free(x, n);
        guard_free(y, n);
        guard_free(z, n);
        guard_free(b, rows);
    }
    bnr__pool_free(pool);
}

// ---- bench --------------------------------------------------------------------------------------

static void bench_run(void *cx) {
    bnr__eltwise_f32_run(cx, NULL);
}

static void bench(void) {
    enum { N = 1 << 14 };
    static float x[N], y[N], s[N];
    const float *operands[] = {s};
    for (int i = 0; i < N; i++)
        s[i] = 1, x[i] = (float)i * 0x1p-12f - 2;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        for (int kind = 0; kind < BNR_ELTWISE_KINDS && runs_here(level); kind++) {
            struct bnr_eltwise e = {.n = 1, .channels = 1};
            e.step[0] = (struct bnr_eltwise_step){
                .kind = (enum bnr_eltwise_kind)kind,
                .form = has_operand((enum bnr_eltwise_kind)kind) ? BNR_FORM_SAME : BNR_FORM_SCALAR,
                .s = s,
                .t = s,
                .p = 1};
            struct bnr_eltwise_run run = {.e = &e,
                                          .kernels = levels[level].kernels,
                                          .dst = y,
                                          .src = x,
                                          .operands = operands,
                                          .rows = 1,
                                          .cols = N};
            const double t = best_seconds(bench_run, &run);
            printf("%-8s kind %2d: %6.2f elements/ns\n", levels[level].kernels->isa, kind,
                   N / t * 1e-9);
        }
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_forms),
        cmocka_unit_test(functions_in_ulp),
        cmocka_unit_test(chains_run_in_order),
        cmocka_unit_test(threads_do_not_matter),
    };
    if (wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
