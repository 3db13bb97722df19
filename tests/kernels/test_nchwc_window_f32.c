// SPDX-License-Identifier: Apache-2.0
// nchwc_window_f32 at every level of this CPU against a plain loop in double: depthwise
// convolution, maximum and average with random windows in one to three axes (also such that reach
// beyond the padding, as ceil_mode makes them), counted and uncounted padding, whole planes,
// epilogues, special values, NaN in all lanes that do not exist, and threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/nchwc_window_f32.h"
#include "tests/lib/nchwc_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};
static const char *const kind_name[] = {"conv", "max", "average"};

struct window_case {
    const char *level;
    uint64_t seed;
    unsigned cpu;
    enum bnr_window_kind kind;
    struct bnr_window_shape s;
    size_t batch, channels;
    bool no_bias;
    size_t count_pad[BNR_WINDOW_AXES], count_end[BNR_WINDOW_AXES];
    enum values values;
    unsigned steps; // a set of bits
};

// Of the epilogue, in this order.
enum { CLAMP = 1, ADD = 2, PRELU = 4, SCALE = 8, LAST_CLAMP = 16 };
#define LOW -0.25f
#define HIGH 0.75f

// Plain arrays, and the blocked copies of those that the kernels see.
enum arrays { X, WEIGHTS, BIAS, RESIDUAL, SLOPES, SCALES, ARRAYS };

struct buffers {
    struct bnr_nchwc shape[ARRAYS], out;
    float *plain[ARRAYS], *blocked[ARRAYS], *y;
};

static size_t volume(const size_t v[BNR_WINDOW_AXES]) {
    return v[0] * v[1] * v[2];
}

static void make_buffers(const struct window_case *c, size_t lanes, struct buffers *b) {
    struct rng r = {c->seed};
    b->out = nchwc_shape(c->batch, c->channels, volume(c->s.out), lanes);
    b->shape[X] = nchwc_shape(c->batch, c->channels, volume(c->s.in), lanes);
    b->shape[WEIGHTS] = nchwc_shape(1, c->channels, volume(c->s.kernel), lanes);
    b->shape[BIAS] = b->shape[SLOPES] = nchwc_shape(1, c->channels, 1, lanes);
    b->shape[SCALES] = nchwc_shape(c->batch, c->channels, 1, lanes);
    b->shape[RESIDUAL] = b->out;
    for (int i = 0; i < ARRAYS; i++) {
        const size_t n = plain_floats(&b->shape[i]);
        b->plain[i] = guard_floats(n);
        fill_values(&r, i == X ? c->values : VALUES_RANDOM, b->plain[i], n);
        b->blocked[i] = blocked_copy(&b->shape[i], b->plain[i]);
    }
    b->y = guard_floats(blocked_floats(&b->out));
}

static void free_buffers(struct buffers *b) {
    for (int i = 0; i < ARRAYS; i++) {
        guard_free(b->plain[i], plain_floats(&b->shape[i]));
        guard_free(b->blocked[i], blocked_floats(&b->shape[i]));
    }
    guard_free(b->y, blocked_floats(&b->out));
}

static void set_steps(const struct window_case *c, const struct buffers *b, struct bnr_eltwise *e) {
    const struct bnr_eltwise_step clamp = {.kind = BNR_ELTWISE_CLAMP, .p = LOW, .q = HIGH};
    *e = (struct bnr_eltwise){.channels = b->out.blocks};
    if (c->steps & CLAMP)
        e->step[e->n++] = clamp;
    if (c->steps & ADD)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
    if (c->steps & PRELU)
        e->step[e->n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_PRELU, .form = BNR_FORM_LANES_CHANNEL, .s = b->blocked[SLOPES]};
    if (c->steps & SCALE)
        e->step[e->n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_MUL, .form = BNR_FORM_LANES, .operand = 1};
    if (c->steps & LAST_CLAMP)
        e->step[e->n++] = clamp;
}

static void run_window(const struct window_case *c, struct buffers *b, struct bnr_pool *pool) {
    struct bnr_nchwc_window w;
    assert_true(bnr__nchwc_window_init(&w, c->kind, &c->s, c->cpu, bnr__pool_threads(pool)));
    const size_t packed = bnr__nchwc_window_packed(&w, c->channels) / sizeof(float);
    const size_t scratch = w.scratch_bytes / sizeof(float);
    float *p = guard_floats(packed), *q = guard_floats(scratch);
    w.batch = c->batch;
    w.blocks = b->out.blocks;
    set_steps(c, b, &w.e);
    if (c->kind == BNR_WINDOW_CONV) {
        bnr__nchwc_window_pack(&w, p, b->plain[WEIGHTS], c->channels);
        w.weights = p;
        w.bias = c->no_bias ? NULL : b->blocked[BIAS];
    }
    memcpy(w.count_pad, c->count_pad, sizeof w.count_pad);
    memcpy(w.count_end, c->count_end, sizeof w.count_end);
    const float *operands[] = {b->blocked[RESIDUAL], b->blocked[SCALES]};
    const struct bnr_nchwc_window_run run = {
        .w = &w, .dst = b->y, .src = b->blocked[X], .operands = operands, .scratch = q};
    bnr__nchwc_window_run(&run, pool);
    guard_free(p, packed);
    guard_free(q, scratch);
}

// ---- the oracle ---------------------------------------------------------------------------------

// A result and the sum of the sizes of the finite terms that made it.
struct result {
    double value, size;
};

static void add(struct result *r, double term) {
    r->value += term;
    r->size += isfinite(term) ? fabs(term) : 0;
}

// Where tap `tap` of output pixel `pixel` lies in the input; false when outside. *counts: it is in
// the input or in the padding that counts.
static bool find_tap(const struct window_case *c, size_t pixel, size_t tap, size_t *in,
                     bool *counts) {
    const struct bnr_window_shape *s = &c->s;
    size_t place = 0, step = 1;
    bool inside = true;
    *counts = true;
    for (int i = BNR_WINDOW_AXES - 1; i >= 0; i--) {
        const int64_t at =
            (int64_t)(pixel % s->out[i] * s->stride[i] + tap % s->kernel[i] * s->dilation[i]) -
            (int64_t)s->pad[i];
        const int64_t end = (int64_t)s->in[i];
        inside = inside && at >= 0 && at < end;
        *counts = *counts && at >= -(int64_t)c->count_pad[i] && at < end + (int64_t)c->count_end[i];
        place += inside ? (size_t)at * step : 0;
        step *= s->in[i];
        pixel /= s->out[i];
        tap /= s->kernel[i];
    }
    *in = place;
    return inside;
}

// Of plain output element `at`, before the epilogue.
static struct result window_at(const struct window_case *c, const struct buffers *b, size_t at) {
    const size_t pixel = at % b->out.pixels, plane = at / b->out.pixels;
    const size_t channel = plane % c->channels, taps = volume(c->s.kernel);
    const float *x = b->plain[X] + plane * volume(c->s.in);
    const float *weights = b->plain[WEIGHTS] + channel * taps;
    struct result r = {0, 0};
    double most = -(double)INFINITY, counted = 0;
    if (c->kind == BNR_WINDOW_CONV && !c->no_bias)
        add(&r, (double)b->plain[BIAS][channel]);
    for (size_t tap = 0; tap < taps; tap++) {
        size_t in;
        bool counts;
        const bool inside = find_tap(c, pixel, tap, &in, &counts);
        counted += counts;
        if (!inside)
            continue;
        most = (double)x[in] > most ? (double)x[in] : most;
        add(&r, (double)x[in] * (c->kind == BNR_WINDOW_CONV ? (double)weights[tap] : 1));
    }
    if (c->kind == BNR_WINDOW_MAX)
        return (struct result){most, 0};
    if (c->kind == BNR_WINDOW_AVERAGE) {
        r.value /= counted;
        r.size /= counted > 0 ? counted : 1;
    }
    return r;
}

static double clamped(double x) { // NaN stays
    return x < (double)LOW ? (double)LOW : x > (double)HIGH ? (double)HIGH : x;
}

static struct result epilogue_at(const struct window_case *c, const struct buffers *b, size_t at,
                                 struct result r) {
    const size_t plane = at / b->out.pixels;
    if (c->steps & CLAMP)
        r.value = clamped(r.value);
    if (c->steps & (ADD | PRELU | SCALE))
        r.size += isfinite(r.value) ? fabs(r.value) : 0;
    if (c->steps & ADD)
        add(&r, (double)b->plain[RESIDUAL][at]);
    if (c->steps & PRELU)
        r.value *= r.value < 0 ? (double)b->plain[SLOPES][plane % c->channels] : 1;
    if (c->steps & SCALE)
        r.value *= (double)b->plain[SCALES][plane];
    if (c->steps & LAST_CLAMP)
        r.value = clamped(r.value);
    return r;
}

static void check_window(const struct window_case *c, const struct buffers *b) {
    const struct bnr_window_shape *s = &c->s;
    const double terms = (double)volume(s->kernel) + 8;
    char what[500];
    snprintf(what, sizeof what,
             "%s seed %llu %s %s: batch %zu channels %zu in %zux%zux%zu out %zux%zux%zu kernel "
             "%zux%zux%zu stride %zu,%zu,%zu dilation %zu,%zu,%zu pad %zu,%zu,%zu steps %u",
             c->level, (unsigned long long)c->seed, kind_name[c->kind], values_name[c->values],
             c->batch, c->channels, s->in[0], s->in[1], s->in[2], s->out[0], s->out[1], s->out[2],
             s->kernel[0], s->kernel[1], s->kernel[2], s->stride[0], s->stride[1], s->stride[2],
             s->dilation[0], s->dilation[1], s->dilation[2], s->pad[0], s->pad[1], s->pad[2],
             c->steps);
    for (size_t at = 0; at < plain_floats(&b->out); at++) {
        const struct result r = epilogue_at(c, b, at, window_at(c, b, at));
        // A maximum by itself is exact.
        const bool exact = c->kind == BNR_WINDOW_MAX && !(c->steps & (ADD | PRELU | SCALE));
        check_value(what, at, b->y[blocked_place(&b->out, at)], r.value,
                    exact ? 0 : 2 * terms * (r.size * 0x1p-24 + 0x1p-149));
    }
}

// ---- random windows -----------------------------------------------------------------------------

// Kernels of 3 and 5 with stride 1 and 2, which have code of their own, more often than others.
static void random_axis(struct rng *r, struct window_case *c, int i, size_t most, bool common) {
    struct bnr_window_shape *s = &c->s;
    s->in[i] = rng_size(r, 1, most);
    s->kernel[i] = common ? 3 + 2 * rng_size(r, 0, 1) : rng_size(r, 1, 6);
    s->stride[i] = rng_size(r, 1, common ? 2 : 4);
    s->dilation[i] = common ? 1 : rng_size(r, 1, 3);
    const size_t reach = (s->kernel[i] - 1) * s->dilation[i];
    const size_t end = rng_size(r, 0, reach);
    s->pad[i] = rng_size(r, 0, reach + 1);
    const size_t padded = s->in[i] + s->pad[i] + end;
    const bool beyond = c->kind != BNR_WINDOW_CONV && rng_next(r) % 4 == 0;
    s->out[i] = padded > reach ? (padded - reach - 1) / s->stride[i] + 1 + beyond : 0;
    if (c->kind == BNR_WINDOW_AVERAGE && c->seed % 2) {
        c->count_pad[i] = s->pad[i];
        c->count_end[i] = end;
    }
}

static bool random_window(struct window_case *c, struct rng *r) {
    const size_t axes = rng_size(r, 1, 3), most[] = {0, 400, 30, 8};
    const bool common = rng_next(r) % 2;
    c->kind = (enum bnr_window_kind)(rng_next(r) % 3);
    c->batch = rng_size(r, 1, 3);
    c->channels = rng_size(r, 1, 40);
    c->no_bias = rng_next(r) % 4 == 0;
    c->values = rng_next(r) % 2 ? VALUES_RANDOM : (enum values)(rng_next(r) % VALUES_KINDS);
    c->steps = rng_next(r) % 2 ? (unsigned)(rng_next(r) % 32) : 0;
    memset(c->count_pad, 0, sizeof c->count_pad);
    memset(c->count_end, 0, sizeof c->count_end);
    for (int i = 0; i < BNR_WINDOW_AXES; i++) {
        c->s.in[i] = c->s.out[i] = c->s.kernel[i] = c->s.stride[i] = c->s.dilation[i] = 1;
        c->s.pad[i] = 0;
        if ((size_t)i + axes >= BNR_WINDOW_AXES)
            random_axis(r, c, i, most[axes], common && i > 0);
    }
    const size_t out = volume(c->s.out);
    return out > 0 && c->batch * c->channels * out * volume(c->s.kernel) < 400000;
}

static void one_and_two_threads(const struct window_case *c, struct bnr_pool *pool) {
    struct buffers b;
    make_buffers(c, bnr__nchwc_window_f32_select(c->cpu)->lanes, &b);
    run_window(c, &b, NULL);
    check_window(c, &b);
    const size_t n = blocked_floats(&b.out);
    float *one = b.y;
    b.y = guard_floats(n);
    run_window(c, &b, pool);
    if (first_difference(&b.out, one, b.y) < plain_floats(&b.out))
        fail_msg("%s seed %llu: two threads give other bits", c->level,
                 (unsigned long long)c->seed);
    guard_free(one, n);
    free_buffers(&b);
}

static void random_windows(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct window_case c = {.level = levels[level]};
        size_t runs = 0;
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (c.seed = 0; c.seed < 500; c.seed++) {
            struct rng r = {c.seed * 1000};
            if (!random_window(&c, &r))
                continue;
            one_and_two_threads(&c, pool);
            runs++;
        }
        assert_true(runs > 300);
    }
    bnr__pool_free(pool);
}

// So many bands that both threads are at work at once, each with scratch memory of its own.
static void many_bands(void **state) {
    struct bnr_pool *pool = test_pool(2);
    struct window_case c = {.level = "the best", .cpu = bnr__cpu_detect(), .batch = 4};
    c.channels = 64;
    c.s = (struct bnr_window_shape){.in = {1, 40, 60},
                                    .out = {1, 38, 58},
                                    .kernel = {1, 3, 3},
                                    .stride = {1, 1, 1},
                                    .dilation = {1, 1, 1}};
    struct buffers b;
    make_buffers(&c, bnr__nchwc_window_f32_select(c.cpu)->lanes, &b);
    run_window(&c, &b, NULL);
    const size_t n = blocked_floats(&b.out);
    float *one = b.y;
    b.y = guard_floats(n);
    for (int i = 0; i < 50; i++) {
        run_window(&c, &b, pool);
        assert_int_equal(first_difference(&b.out, one, b.y), plain_floats(&b.out));
    }
    guard_free(one, n);
    free_buffers(&b);
    bnr__pool_free(pool);
}

// ---- whole planes -------------------------------------------------------------------------------

struct whole_case {
    const char *level;
    uint64_t seed;
    const struct bnr_nchwc_window_kernels *kernels;
    struct bnr_nchwc s;
    bool average;
    enum values values;
};

static void check_plane(const struct whole_case *c, const float *x, float got, size_t plane) {
    const size_t pixels = c->s.pixels;
    struct result sum = {0, 0};
    double most = -(double)INFINITY;
    for (size_t i = 0; i < pixels; i++) {
        const double v = (double)x[plane * pixels + i];
        add(&sum, v);
        most = v > most ? v : most;
    }
    char what[200];
    snprintf(what, sizeof what, "%s seed %llu %s %s: batch %zu channels %zu pixels %zu", c->level,
             (unsigned long long)c->seed, c->average ? "average" : "max", values_name[c->values],
             c->s.batch, c->s.channels, pixels);
    const double bound =
        2 * (double)(pixels + 8) * (sum.size * 0x1p-24 / (double)pixels + 0x1p-149);
    check_value(what, plane, got, c->average ? sum.value / (double)pixels : most,
                c->average ? bound : 0);
}

static void run_whole(const struct whole_case *c, struct bnr_pool *pool) {
    const struct bnr_nchwc out = nchwc_shape(c->s.batch, c->s.channels, 1, c->s.lanes);
    const size_t n = plain_floats(&c->s), ny = blocked_floats(&out);
    struct rng r = {c->seed};
    float *x = guard_floats(n), *one = guard_floats(ny), *two = guard_floats(ny);
    fill_values(&r, c->values, x, n);
    float *blocked = blocked_copy(&c->s, x);
    bnr__nchwc_whole_run(c->kernels, &c->s, one, blocked, c->average, NULL);
    for (size_t plane = 0; plane < plain_floats(&out); plane++)
        check_plane(c, x, one[blocked_place(&out, plane)], plane);
    bnr__nchwc_whole_run(c->kernels, &c->s, two, blocked, c->average, pool);
    assert_int_equal(first_difference(&out, one, two), plain_floats(&out));
    guard_free(x, n);
    guard_free(one, ny);
    guard_free(two, ny);
    guard_free(blocked, blocked_floats(&c->s));
}

static void whole_planes(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct whole_case c = {.level = levels[level]};
        unsigned cpu;
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &cpu))
            continue;
        c.kernels = bnr__nchwc_window_f32_select(cpu);
        for (c.seed = 0; c.seed < 300; c.seed++) {
            struct rng r = {c.seed * 1000};
            const size_t pixels = rng_size(&r, 1, c.seed % 8 ? 60 : 3000);
            c.s = nchwc_shape(rng_size(&r, 1, 3), rng_size(&r, 1, 70), pixels, c.kernels->lanes);
            c.values = (enum values)(rng_next(&r) % VALUES_KINDS);
            c.average = rng_next(&r) % 2;
            run_whole(&c, pool);
        }
    }
    bnr__pool_free(pool);
}

// A mean of many equal numbers: what one long sum loses is lost in every channel and pixel alike.
static void long_sums_are_cut(void **state) {
    enum { SIDE = 56, PIXELS = SIDE * SIDE };
    const float x = 0.1f, count = PIXELS;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        const struct bnr_nchwc_window_kernels *k = bnr__nchwc_window_f32_select(cpu);
        float *src = guard_floats(PIXELS * k->lanes), *dst = guard_floats(2 * k->lanes);
        size_t at[SIDE];
        for (size_t i = 0; i < PIXELS * k->lanes; i++)
            src[i] = x;
        for (size_t i = 0; i < SIDE; i++)
            at[i] = i * SIDE * k->lanes;
        const struct bnr_window_row r = {.dst = dst + k->lanes, .cols = 1, .src = src, .at = at,
                                         .rows = SIDE, .width = SIDE, .kernel = SIDE, .stride = SIDE,
                                         .dilation = 1, .count = &count};
        k->whole(dst, src, PIXELS, true);
        k->row[BNR_WINDOW_AVERAGE](&r);
        for (size_t i = 0; i < 2 * k->lanes; i++)
            assert_true(fabsf(dst[i] - x) <= 16 * 0x1p-27f); // units in the last place
        guard_free(src, PIXELS * k->lanes);
        guard_free(dst, 2 * k->lanes);
    }
}

static void sizes_that_overflow_or_are_0_are_refused(void **state) {
    const struct bnr_window_shape good = {.in = {1, 1, 9},
                                          .out = {1, 1, 7},
                                          .kernel = {1, 1, 3},
                                          .stride = {1, 1, 1},
                                          .dilation = {1, 1, 1}};
    struct bnr_nchwc_window w;
    struct bnr_window_shape s = good;
    assert_true(bnr__nchwc_window_init(&w, BNR_WINDOW_MAX, &s, 0, 1));
    s.kernel[0] = s.kernel[1] = (size_t)1 << 33;
    assert_false(bnr__nchwc_window_init(&w, BNR_WINDOW_MAX, &s, 0, 1));
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        s = good;
        s.out[2] = 0;
        assert_false(bnr__nchwc_window_init(&w, BNR_WINDOW_MAX, &s, cpu, 1));
        s.out[2] = SIZE_MAX / bnr__nchwc_window_f32_select(cpu)->lanes + 1; // a row is 0 floats
        assert_false(bnr__nchwc_window_init(&w, BNR_WINDOW_MAX, &s, cpu, 1));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_windows),
        cmocka_unit_test(many_bands),
        cmocka_unit_test(whole_planes),
        cmocka_unit_test(long_sums_are_cut),
        cmocka_unit_test(sizes_that_overflow_or_are_0_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
