// SPDX-License-Identifier: Apache-2.0
// pool_f32 at every level of this CPU against plain loops in double: random windows (also such that
// reach beyond the padding, as ceil_mode makes them), counted and uncounted padding, whole planes,
// special values, threads.
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
#include "runtime/kernels/pool_f32.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

#define LOW -0.25f
#define HIGH 0.5f

struct pool_case {
    const char *level;
    uint64_t seed;
    struct bnr_plane_shape s;
    size_t planes;
    bool average, include_pad, relu, before;
    size_t pad_end[2];
    enum values values;
};

static void run_pool(const struct pool_case *c, float *y, const float *x, struct bnr_pool *pool) {
    unsigned cpu;
    assert_true(bnr__cpu_level(c->level, bnr__cpu_detect(), &cpu));
    struct bnr_pool_f32 p;
    assert_true(bnr__pool_f32_init(&p, &c->s, cpu, bnr__pool_threads(pool)));
    p.planes = c->planes;
    p.average = c->average;
    p.e = (struct bnr_eltwise){.n = c->relu, .channels = 1};
    p.e.step[0] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .p = 0, .q = INFINITY};
    p.before = (struct bnr_eltwise){.n = c->before, .channels = 1};
    p.before.step[0] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .p = LOW, .q = HIGH};
    for (int i = 0; i < 2 && c->include_pad; i++) {
        p.count_pad[i] = c->s.pad[i];
        p.count_end[i] = c->pad_end[i];
    }
    const size_t scratch = p.scratch_bytes / sizeof(float);
    float *q = guard_floats(scratch);
    const struct bnr_pool_f32_run run = {.p = &p, .dst = y, .src = x, .scratch = q};
    bnr__pool_f32_run(&run, pool);
    guard_free(q, scratch);
}

struct window {
    double sum, size, max, counted;
};

static struct window window_at(const struct pool_case *c, const float *x, size_t oy, size_t ox) {
    const struct bnr_plane_shape *s = &c->s;
    struct window w = {.max = -INFINITY};
    for (size_t k = 0; k < s->kernel[0] * s->kernel[1]; k++) {
        const size_t y =
            oy * s->stride[0] + k / s->kernel[1] * s->dilation[0]; // from the padding's start
        const size_t column = ox * s->stride[1] + k % s->kernel[1] * s->dilation[1];
        const bool padded = y < s->pad[0] + s->in[0] + c->pad_end[0] &&
                            column < s->pad[1] + s->in[1] + c->pad_end[1];
        const bool inside = y >= s->pad[0] && y < s->pad[0] + s->in[0] && column >= s->pad[1] &&
                            column < s->pad[1] + s->in[1];
        w.counted += c->include_pad ? padded : inside;
        if (!inside)
            continue;
        const double v = (double)x[(y - s->pad[0]) * s->in[1] + column - s->pad[1]];
        w.sum += v;
        w.size += fabs(v);
        w.max = v > w.max ? v : w.max;
    }
    return w;
}

static void check_pool(const struct pool_case *c, const float *y, const float *x) {
    const struct bnr_plane_shape *s = &c->s;
    const size_t pixels = s->out[0] * s->out[1], plane = s->in[0] * s->in[1];
    char what[300];
    snprintf(what, sizeof what,
             "%s seed %llu %s average %d include_pad %d: in %zux%zu kernel %zux%zu stride %zu,%zu "
             "dilation %zu,%zu pad %zu,%zu + %zu,%zu",
             c->level, (unsigned long long)c->seed, values_name[c->values], c->average,
             c->include_pad, s->in[0], s->in[1], s->kernel[0], s->kernel[1], s->stride[0],
             s->stride[1], s->dilation[0], s->dilation[1], s->pad[0], s->pad[1], c->pad_end[0],
             c->pad_end[1]);
    for (size_t at = 0; at < c->planes * pixels; at++) {
        const size_t o = at % pixels;
        const struct window w = window_at(c, x + at / pixels * plane, o / s->out[1], o % s->out[1]);
        double want = c->average ? w.sum / w.counted : w.max, bound = 0;
        if (c->average)
            bound =
                (double)(s->kernel[0] * s->kernel[1] + 2) * w.size / w.counted * 0x1p-23 + 0x1p-149;
        if (c->relu && want < 0)
            want = 0;
        check_value(what, at, y[at], want, bound);
    }
}

static bool random_shape(struct rng *r, struct pool_case *c) {
    struct bnr_plane_shape *s = &c->s;
    const bool flat = rng_next(r) % 4 == 0;
    c->planes = rng_size(r, 1, 6);
    c->average = rng_next(r) % 2;
    c->include_pad = rng_next(r) % 2;
    c->relu = rng_next(r) % 4 == 0;
    c->before = rng_next(r) % 4 == 0; // x is limited while it is read
    for (int i = 0; i < 2; i++) {
        s->in[i] = i == 0 && flat ? 1 : rng_size(r, 1, rng_next(r) % 4 ? 20 : 150);
        s->kernel[i] = i == 0 && flat ? 1 : rng_size(r, 1, 6);
        s->stride[i] = rng_size(r, 1, 4);
        s->dilation[i] = rng_next(r) % 3 ? 1 : rng_size(r, 1, 3);
        s->pad[i] = rng_size(r, 0, s->kernel[i] - 1);
        c->pad_end[i] = rng_size(r, 0, s->kernel[i] - 1);
        const size_t extent = (s->kernel[i] - 1) * s->dilation[i] + 1;
        const size_t padded = s->in[i] + s->pad[i] + c->pad_end[i];
        if (padded < extent)
            return false;
        s->out[i] = (padded - extent) / s->stride[i] + 1;
        const size_t next = s->out[i] * s->stride[i]; // where one more window would start
        if (rng_next(r) % 2 && next < s->in[i] + s->pad[i] && (padded - extent) % s->stride[i])
            s->out[i]++;
    }
    return true;
}

static void random_windows(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        for (uint64_t seed = 0; seed < 400; seed++) {
            struct rng r = {seed * 1000};
            struct pool_case c = {.level = levels[level], .seed = seed};
            if (!random_shape(&r, &c))
                continue;
            c.values = (enum values)(seed % VALUES_KINDS);
            const size_t nx = c.planes * c.s.in[0] * c.s.in[1],
                         ny = c.planes * c.s.out[0] * c.s.out[1];
            float *x = guard_floats(nx), *y = guard_floats(ny), *z = guard_floats(ny);
            fill_values(&r, c.values, x, nx);
            run_pool(&c, y, x, NULL);
            run_pool(&c, z, x, pool);
            for (size_t i = 0; c.before && i < nx; i++)
                x[i] = x[i] < LOW ? LOW : x[i] > HIGH ? HIGH : x[i];
            check_pool(&c, y, x);
            if (memcmp(y, z, ny * sizeof *y) != 0)
                fail_msg("%s seed %llu: two threads give other bits", c.level,
                         (unsigned long long)seed);
            guard_free(x, nx);
            guard_free(y, ny);
            guard_free(z, ny);
        }
    }
    bnr__pool_free(pool);
}

static void whole_planes(void **state) {
    static const size_t sizes[] = {1, 3, 4, 5, 15, 16, 17, 49, 63, 64, 65, 196, 1000};
    enum { PLANES = 3 };
    for (size_t level = 0; level < BNR_COUNT(levels) * BNR_COUNT(sizes) * VALUES_KINDS; level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level % BNR_COUNT(levels)], bnr__cpu_detect(), &cpu))
            continue;
        const size_t n = sizes[level / BNR_COUNT(levels) % BNR_COUNT(sizes)];
        const enum values values = (enum values)(level / BNR_COUNT(levels) / BNR_COUNT(sizes));
        struct rng r = {level};
        float *x = guard_floats(PLANES * n), mean[PLANES], max[PLANES];
        fill_values(&r, values, x, PLANES * n);
        const struct bnr_plane_f32 *k = bnr__plane_f32_select(cpu);
        bnr__global_pool_f32(k, mean, x, PLANES, n, true, NULL);
        bnr__global_pool_f32(k, max, x, PLANES, n, false, NULL);
        for (size_t p = 0; p < PLANES; p++) {
            double sum = 0, size = 0, most = -INFINITY;
            for (size_t i = 0; i < n; i++) {
                const double v = (double)x[p * n + i];
                sum += v;
                size += fabs(v);
                most = v > most ? v : most;
            }
            char what[100];
            snprintf(what, sizeof what, "%s %s n %zu", k->isa, values_name[values], n);
            check_value(what, p, mean[p], sum / (double)n, size * 0x1p-23 + 0x1p-149);
            check_value(what, p, max[p], most, 0);
        }
        guard_free(x, PLANES * n);
    }
}

// ---- bench --------------------------------------------------------------------------------------

// Average, planes, input size, kernel, stride, padding.
static const size_t bench_layers[][6] = {
    {0, 64, 112, 3, 2, 1}, {0, 64, 224, 2, 2, 0}, {0, 512, 13, 13, 1, 6},
    {1, 128, 56, 2, 2, 0}, {1, 192, 28, 3, 1, 1},
};

static void bench_run(void *cx) {
    bnr__pool_f32_run(cx, NULL);
}

static void bench_layer(const char *level, unsigned cpu, const size_t l[6]) {
    const size_t out = (l[2] + 2 * l[5] - l[3]) / l[4] + 1;
    const struct bnr_plane_shape s = {.in = {l[2], l[2]},
                                      .out = {out, out},
                                      .kernel = {l[3], l[3]},
                                      .stride = {l[4], l[4]},
                                      .dilation = {1, 1},
                                      .pad = {l[5], l[5]}};
    struct bnr_pool_f32 p;
    if (!bnr__pool_f32_init(&p, &s, cpu, 1))
        return;
    p.average = l[0] != 0;
    p.planes = l[1];
    float *x = calloc(l[1] * l[2] * l[2], sizeof *x), *y = calloc(l[1] * out * out, sizeof *y);
    float *scratch = aligned_alloc(64, p.scratch_bytes);
    if (x && y && scratch) {
        struct bnr_pool_f32_run run = {.p = &p, .dst = y, .src = x, .scratch = scratch};
        const double t = best_seconds(bench_run, &run);
        printf("%-8s %s %4zu planes %3zux%-3zu k%zu s%zu: %7.3f ms %6.2f outputs/ns\n", level,
               l[0] ? "average" : "max", l[1], l[2], l[2], l[3], l[4], t * 1e3,
               (double)(l[1] * out * out) / t * 1e-9);
    }
    free(x);
    free(y);
    free(scratch);
}

static void bench(void) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        for (size_t i = 0; i < BNR_COUNT(bench_layers); i++) {
            if (bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
                bench_layer(levels[level], cpu, bench_layers[i]);
        }
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_windows),
        cmocka_unit_test(whole_planes),
    };
    if (wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
