// SPDX-License-Identifier: Apache-2.0
// dwconv_f32 at every level of this CPU against a plain loop in double: the sizes with code of
// their own and any others, strides, dilations, padding, several outputs a channel, epilogues,
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
#include "runtime/kernels/dwconv_f32.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

struct dw_case {
    const char *level;
    uint64_t seed;
    struct bnr_plane_shape s;
    size_t batch, channels, multiplier;
    enum values values;
    struct bnr_eltwise e, before;
};

struct buffers {
    float *x, *w, *bias, *residual, *y;
    float *s, *t; // of what is in front, by input channel
    size_t nx, nw, nc, ny;
};

static void make_buffers(const struct dw_case *c, struct buffers *b) {
    const struct bnr_plane_shape *s = &c->s;
    struct rng r = {c->seed};
    b->nc = c->channels * c->multiplier;
    b->nx = c->batch * c->channels * s->in[0] * s->in[1];
    b->nw = b->nc * s->kernel[0] * s->kernel[1];
    b->ny = c->batch * b->nc * s->out[0] * s->out[1];
    b->x = guard_floats(b->nx);
    b->w = guard_floats(b->nw);
    b->bias = guard_floats(b->nc);
    b->residual = guard_floats(b->ny);
    b->y = guard_floats(b->ny);
    fill_values(&r, c->values, b->x, b->nx);
    fill_values(&r, VALUES_RANDOM, b->w, b->nw);
    fill_values(&r, VALUES_RANDOM, b->bias, b->nc);
    fill_values(&r, VALUES_RANDOM, b->residual, b->ny);
    b->s = guard_floats(c->channels);
    b->t = guard_floats(c->channels);
    fill_values(&r, VALUES_RANDOM, b->s, c->channels);
    fill_values(&r, VALUES_RANDOM, b->t, c->channels);
}

static void free_buffers(const struct dw_case *c, struct buffers *b) {
    guard_free(b->x, b->nx);
    guard_free(b->w, b->nw);
    guard_free(b->bias, b->nc);
    guard_free(b->residual, b->ny);
    guard_free(b->y, b->ny);
    guard_free(b->s, c->channels);
    guard_free(b->t, c->channels);
}

static void run_conv(const struct dw_case *c, struct buffers *b, struct bnr_pool *pool) {
    unsigned cpu;
    assert_true(bnr__cpu_level(c->level, bnr__cpu_detect(), &cpu));
    struct bnr_dwconv_f32 conv;
    assert_true(bnr__dwconv_f32_init(&conv, &c->s, cpu, bnr__pool_threads(pool)));
    conv.batch = c->batch;
    conv.channels = c->channels;
    conv.multiplier = c->multiplier;
    conv.weights = b->w;
    conv.e = c->e;
    conv.before = c->before;
    const size_t scratch = conv.scratch_bytes / sizeof(float);
    float *q = guard_floats(scratch);
    const float *operands[] = {b->residual};
    const struct bnr_dwconv_f32_run run = {
        .c = &conv, .dst = b->y, .src = b->x, .bias = b->bias, .operands = operands, .scratch = q};
    bnr__dwconv_f32_run(&run, pool);
    guard_free(q, scratch);
}

static double sum_at(const struct dw_case *c, const struct buffers *b, size_t at, double *size) {
    const struct bnr_plane_shape *s = &c->s;
    const size_t pixels = s->out[0] * s->out[1], co = at / pixels % b->nc,
                 image = at / pixels / b->nc;
    const size_t oy = at % pixels / s->out[1], ox = at % s->out[1];
    const float *x = b->x + (image * c->channels + co / c->multiplier) * s->in[0] * s->in[1];
    const float *w = b->w + co * s->kernel[0] * s->kernel[1];
    double sum = (double)b->bias[co];
    *size = fabs(sum);
    for (size_t ky = 0; ky < s->kernel[0]; ky++) {
        for (size_t kx = 0; kx < s->kernel[1]; kx++) {
            const size_t y = oy * s->stride[0] + ky * s->dilation[0] - s->pad[0];
            const size_t column = ox * s->stride[1] + kx * s->dilation[1] - s->pad[1];
            if (y >= s->in[0] || column >= s->in[1])
                continue;
            const double term =
                (double)x[y * s->in[1] + column] * (double)w[ky * s->kernel[1] + kx];
            sum += term;
            *size += fabs(term);
        }
    }
    return sum;
}

static void check_conv(const struct dw_case *c, const struct buffers *b) {
    const struct bnr_plane_shape *s = &c->s;
    char what[300];
    snprintf(
        what, sizeof what,
        "%s seed %llu %s: batch %zu channels %zu x %zu in %zux%zu kernel %zux%zu stride %zu,%zu "
        "dilation %zu,%zu pad %zu,%zu steps %d before %d",
        c->level, (unsigned long long)c->seed, values_name[c->values], c->batch, c->channels,
        c->multiplier, s->in[0], s->in[1], s->kernel[0], s->kernel[1], s->stride[0], s->stride[1],
        s->dilation[0], s->dilation[1], s->pad[0], s->pad[1], c->e.n, c->before.n);
    const double terms = (double)(s->kernel[0] * s->kernel[1]);
    for (size_t at = 0; at < b->ny; at++) {
        double size, want = sum_at(c, b, at, &size);
        for (int i = 0; i < c->e.n; i++) {
            if (c->e.step[i].kind == BNR_ELTWISE_ADD) {
                want += (double)b->residual[at];
                size += fabs((double)b->residual[at]);
            } else if (c->e.step[i].kind == BNR_ELTWISE_CLAMP) {
                want = want < 0 ? 0 : want > 0.5 ? 0.5 : want;
            } else {
                const double slope = (double)b->bias[at / (s->out[0] * s->out[1]) % b->nc];
                want = want < 0 ? want * slope : want;
            }
        }
        check_value(what, at, b->y[at], want, (2 * terms + 8) * (size * 0x1p-24 + 0x1p-149));
    }
}

static void random_epilogue(struct rng *r, struct bnr_eltwise *e, const struct buffers *b) {
    const uint64_t which = rng_next(r) % 8;
    e->n = 0;
    e->channels = b->nc;
    if (which & 1)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .q = 0.5f};
    if (which & 2)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
    if (which & 4)
        e->step[e->n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_PRELU, .form = BNR_FORM_CHANNEL, .s = b->bias};
}

static void random_prologue(struct rng *r, struct bnr_eltwise *e, const struct buffers *b) {
    const struct bnr_eltwise_step steps[] = {
        {.kind = BNR_ELTWISE_AFFINE, .form = BNR_FORM_ROW, .s = b->s, .t = b->t},
        {.kind = BNR_ELTWISE_CLAMP, .p = -0.25f, .q = 0.5f},
        {.kind = BNR_ELTWISE_SIGMOID},
    };
    *e = (struct bnr_eltwise){.channels = 1};
    for (size_t i = 0; i < BNR_COUNT(steps) && rng_next(r) % 2; i++)
        e->step[e->n++] = steps[i];
}

// What is in front, done to x itself by the element-wise kernels, which have a test of their own.
static void do_in_front(const struct dw_case *c, struct buffers *b) {
    unsigned cpu;
    struct bnr_eltwise e = c->before;
    assert_true(bnr__cpu_level(c->level, bnr__cpu_detect(), &cpu));
    e.channels = c->channels;
    for (int i = 0; i < e.n; i++)
        e.step[i].form = BNR_FORM_CHANNEL;
    const struct bnr_eltwise_run run = {.e = &e,
                                        .kernels = bnr__eltwise_f32_select(cpu),
                                        .dst = b->x,
                                        .src = b->x,
                                        .rows = c->batch * c->channels,
                                        .cols = c->s.in[0] * c->s.in[1]};
    if (e.n > 0)
        bnr__eltwise_f32_run(&run, NULL);
}

static bool random_shape(struct rng *r, struct dw_case *c) {
    struct bnr_plane_shape *s = &c->s;
    const bool common = rng_next(r) % 4 != 0; // a size with code of its own
    const size_t size = rng_next(r) % 2 ? 3 : 5, stride = rng_size(r, 1, 2);
    c->batch = rng_size(r, 1, 2);
    c->channels = rng_size(r, 1, 5);
    c->multiplier = rng_next(r) % 3 ? 1 : rng_size(r, 2, 3);
    for (int i = 0; i < 2; i++) {
        s->in[i] = rng_size(r, 1, rng_next(r) % 4 ? 20 : 150);
        s->kernel[i] = common ? size : rng_size(r, 1, 7);
        s->stride[i] = common ? stride : rng_size(r, 1, 4);
        s->dilation[i] = common ? 1 : rng_size(r, 1, 3);
        const size_t reach = (s->kernel[i] - 1) * s->dilation[i];
        s->pad[i] = common && rng_next(r) % 2 ? size / 2 : rng_size(r, 0, reach);
        const size_t padded = s->in[i] + s->pad[i] + rng_size(r, 0, reach);
        if (padded <= reach)
            return false;
        s->out[i] = (padded - reach - 1) / s->stride[i] + 1;
    }
    return true;
}

static void random_shapes(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        for (uint64_t seed = 0; seed < 300; seed++) {
            struct rng r = {seed * 1000};
            struct dw_case c = {.level = levels[level], .seed = seed};
            if (!random_shape(&r, &c))
                continue;
            c.values = seed % 3 ? VALUES_RANDOM : (enum values)(rng_next(&r) % VALUES_KINDS);
            struct buffers b;
            make_buffers(&c, &b);
            random_epilogue(&r, &c.e, &b);
            random_prologue(&r, &c.before, &b);
            run_conv(&c, &b, NULL);
            float *y = guard_floats(b.ny);
            memcpy(y, b.y, b.ny * sizeof *y);
            run_conv(&c, &b, pool);
            if (memcmp(y, b.y, b.ny * sizeof *y) != 0)
                fail_msg("%s seed %llu: two threads give other bits", c.level,
                         (unsigned long long)seed);
            do_in_front(&c, &b);
            check_conv(&c, &b);
            guard_free(y, b.ny);
            free_buffers(&c, &b);
        }
    }
    bnr__pool_free(pool);
}

static void sizes_that_overflow_are_refused(void **state) {
    struct bnr_dwconv_f32 c;
    const size_t big = (size_t)1 << 40;
    const struct bnr_plane_shape s = {.in = {1, 1},
                                      .out = {1, 1},
                                      .kernel = {big, big},
                                      .stride = {1, 1},
                                      .dilation = {1, 1},
                                      .pad = {big - 1, big - 1}};
    assert_false(bnr__dwconv_f32_init(&c, &s, 0, 1));
}

// ---- bench --------------------------------------------------------------------------------------

// Channels, input size, kernel, stride.
static const size_t bench_layers[][4] = {
    {32, 112, 3, 1}, {96, 112, 3, 2}, {144, 56, 3, 1}, {192, 28, 3, 1}, {384, 14, 3, 1},
    {960, 7, 3, 1},  {144, 56, 5, 2}, {240, 28, 5, 1}, {672, 14, 5, 1}, {96, 56, 7, 1},
};

static void bench_run(void *cx) {
    bnr__dwconv_f32_run(cx, NULL);
}

static void bench_layer(const char *level, unsigned cpu, const size_t l[4]) {
    const size_t pad = l[2] / 2, out = (l[1] + 2 * pad - l[2]) / l[3] + 1;
    struct dw_case c = {.level = level, .batch = 1, .channels = l[0], .multiplier = 1};
    c.s = (struct bnr_plane_shape){.in = {l[1], l[1]},
                                   .out = {out, out},
                                   .kernel = {l[2], l[2]},
                                   .stride = {l[3], l[3]},
                                   .dilation = {1, 1},
                                   .pad = {pad, pad}};
    struct buffers b;
    struct bnr_dwconv_f32 conv;
    make_buffers(&c, &b);
    if (!bnr__dwconv_f32_init(&conv, &c.s, cpu, 1))
        return;
    conv.batch = 1;
    conv.channels = l[0];
    conv.multiplier = 1;
    conv.weights = b.w;
    conv.e = (struct bnr_eltwise){.n = 1, .step[0] = {.kind = BNR_ELTWISE_CLAMP, .q = 6}};
    float *scratch = aligned_alloc(64, conv.scratch_bytes);
    if (scratch) {
        struct bnr_dwconv_f32_run run = {
            .c = &conv, .dst = b.y, .src = b.x, .bias = b.bias, .scratch = scratch};
        const double t = best_seconds(bench_run, &run),
                     flops = 2.0 * (double)(l[0] * l[2] * l[2] * out * out);
        printf("%-8s %4zu channels %3zux%-3zu k%zu s%zu: %7.3f ms %6.1f GFLOP/s\n", level, l[0],
               l[1], l[1], l[2], l[3], t * 1e3, flops / t * 1e-9);
    }
    free(scratch);
    free_buffers(&c, &b);
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
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    if (wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
