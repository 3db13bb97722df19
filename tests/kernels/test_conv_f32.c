// SPDX-License-Identifier: Apache-2.0
// conv_f32 at every level of this CPU against a plain loop in double: random shapes, strides,
// paddings, dilations and groups in one to three axes, prologues, epilogues, special values, and any
// number of threads.
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
#include "runtime/kernels/conv_f32.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

struct conv_case {
    const char *level;
    uint64_t seed;
    struct bnr_conv_shape s;
    enum values values;
    struct bnr_eltwise e, before;
};

struct buffers {
    float *x, *w, *bias, *residual, *y;
    float *s, *t; // of what is in front, by input channel; slopes are t
    size_t nx, nw, nc, ny, ni;
    float *packed, *scratch;
};

static size_t volume(const size_t v[BNR_CONV_AXES]) {
    return v[0] * v[1] * v[2];
}

static void make_buffers(const struct conv_case *c, struct buffers *b) {
    const struct bnr_conv_shape *s = &c->s;
    struct rng r = {c->seed};
    b->nc = s->groups * s->cout;
    b->nx = s->batch * s->groups * s->cin * volume(s->in);
    b->nw = b->nc * s->cin * volume(s->kernel);
    b->ny = s->batch * b->nc * volume(s->out);
    b->x = guard_floats(b->nx);
    b->w = guard_floats(b->nw);
    b->bias = guard_floats(b->nc);
    b->residual = guard_floats(b->ny);
    b->y = guard_floats(b->ny);
    b->ni = s->groups * s->cin;
    b->s = guard_floats(b->ni);
    b->t = guard_floats(b->ni);
    fill_values(&r, c->values, b->x, b->nx);
    fill_values(&r, VALUES_RANDOM, b->s, b->ni);
    fill_values(&r, VALUES_RANDOM, b->t, b->ni);
    fill_values(&r, VALUES_RANDOM, b->w, b->nw);
    fill_values(&r, VALUES_RANDOM, b->bias, b->nc);
    fill_values(&r, VALUES_RANDOM, b->residual, b->ny);
}

static void free_buffers(struct buffers *b) {
    guard_free(b->x, b->nx);
    guard_free(b->w, b->nw);
    guard_free(b->bias, b->nc);
    guard_free(b->residual, b->ny);
    guard_free(b->y, b->ny);
    guard_free(b->s, b->ni);
    guard_free(b->t, b->ni);
}

static void run_conv(const struct conv_case *c, struct buffers *b, struct bnr_pool *pool) {
    unsigned cpu;
    assert_true(bnr__cpu_level(c->level, bnr__cpu_detect(), &cpu));
    struct bnr_conv_f32 conv;
    assert_true(bnr__conv_f32_init(&conv, &c->s, cpu, bnr__pool_threads(pool)));
    assert_true(conv.packed_bytes % sizeof(float) == 0 && conv.scratch_bytes % 64 == 0);
    const size_t packed = conv.packed_bytes / sizeof(float),
                 scratch = conv.scratch_bytes / sizeof(float);
    float *p = guard_floats(packed), *q = guard_floats(scratch);
    bnr__conv_f32_pack(&conv, p, b->w);
    conv.weights = p;
    conv.e = c->e;
    bnr__conv_f32_set_before(&conv, &c->before);
    const float *operands[] = {b->residual};
    const struct bnr_conv_f32_run run = {
        .c = &conv, .dst = b->y, .src = b->x, .bias = b->bias, .operands = operands, .scratch = q};
    bnr__conv_f32_run(&run, pool);
    guard_free(p, packed);
    guard_free(q, scratch);
}

// x of input channel ci as the convolution sees it; *error: what a unit of rounding is to it.
static double in_front(const struct conv_case *c, const struct buffers *b, size_t ci, float x,
                       double *error) {
    double v = (double)x;
    *error = fabs(v);
    for (int i = 0; i < c->before.n; i++) {
        const struct bnr_eltwise_step *step = &c->before.step[i];
        if (step->kind == BNR_ELTWISE_AFFINE) {
            *error = (*error + fabs(v)) * fabs((double)b->s[ci]) + fabs((double)b->t[ci]);
            v = (double)b->s[ci] * v + (double)b->t[ci];
        } else if (step->kind == BNR_ELTWISE_CLAMP) {
            v = v < (double)step->p ? (double)step->p : v > (double)step->q ? (double)step->q : v;
        } else if (step->kind == BNR_ELTWISE_LEAKY_RELU) {
            v = v < 0 ? (double)step->p * v : v;
        } else if (step->kind == BNR_ELTWISE_PRELU) {
            v = v < 0 ? (double)b->t[ci] * v : v;
        } else if (step->kind == BNR_ELTWISE_SIGMOID) {
            v = 1 / (1 + exp(-v));
        }
        if (!isfinite(*error)) // limits end it
            *error = fabs(v);
    }
    return v;
}

// The output element at `at` before any epilogue, and the sum of its terms' sizes.
static double sum_at(const struct conv_case *c, const struct buffers *b, size_t at, double *size) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t pixels = volume(s->out), taps = volume(s->kernel), plane = volume(s->in);
    const size_t pixel = at % pixels, co = at / pixels % b->nc, image = at / pixels / b->nc;
    const size_t o[3] = {pixel / s->out[2] / s->out[1], pixel / s->out[2] % s->out[1],
                         pixel % s->out[2]};
    const size_t channel = co / s->cout * s->cin;
    const float *x = b->x + (image * b->ni + channel) * plane;
    double sum = (double)b->bias[co];
    *size = fabs(sum);
    for (size_t tap = 0; tap < taps; tap++) {
        const size_t k[3] = {tap / s->kernel[2] / s->kernel[1], tap / s->kernel[2] % s->kernel[1],
                             tap % s->kernel[2]};
        size_t in = 0;
        bool inside = true;
        for (int i = 0; i < 3; i++) {
            const size_t p =
                o[i] * s->stride[i] + k[i] * s->dilation[i] - s->pad[i]; // wraps below 0
            inside = inside && p < s->in[i];
            in = in * s->in[i] + p;
        }
        for (size_t ci = 0; ci < s->cin && inside; ci++) {
            const double w = (double)b->w[(co * s->cin + ci) * taps + tap];
            double error;
            sum += in_front(c, b, channel + ci, x[ci * plane + in], &error) * w;
            *size += error * fabs(w);
        }
    }
    return sum;
}

static void check_conv(const struct conv_case *c, const struct buffers *b) {
    const struct bnr_conv_shape *s = &c->s;
    char what[400];
    snprintf(
        what, sizeof what,
        "%s seed %llu %s: batch %zu groups %zu cin %zu cout %zu in %zux%zux%zu kernel %zux%zux%zu "
        "stride %zu,%zu,%zu dilation %zu,%zu,%zu pad %zu,%zu,%zu steps %d before %d",
        c->level, (unsigned long long)c->seed, values_name[c->values], s->batch, s->groups, s->cin,
        s->cout, s->in[0], s->in[1], s->in[2], s->kernel[0], s->kernel[1], s->kernel[2],
        s->stride[0], s->stride[1], s->stride[2], s->dilation[0], s->dilation[1], s->dilation[2],
        s->pad[0], s->pad[1], s->pad[2], c->e.n, c->before.n);
    const double terms = (double)(s->cin * volume(s->kernel));
    for (size_t at = 0; at < b->ny; at++) {
        double size, want = sum_at(c, b, at, &size);
        for (int i = 0; i < c->e.n; i++) {
            if (c->e.step[i].kind == BNR_ELTWISE_ADD) {
                want += (double)b->residual[at];
                size += fabs((double)b->residual[at]);
            } else if (c->e.step[i].kind == BNR_ELTWISE_CLAMP) {
                want = want < 0 ? 0 : want > 6 ? 6 : want;
            } else if (c->e.step[i].kind == BNR_ELTWISE_PRELU) {
                want = want < 0 ? want * (double)b->bias[at / volume(s->out) % b->nc] : want;
            }
        }
        check_value(what, at, b->y[at], want, (2 * terms + 8) * (size * 0x1p-24 + 0x1p-149));
    }
}

// Steps as exporters make them: nothing, an activation, a residual add with one, and one that runs
// on the tile (per-channel, with the bias as slopes).
static void random_epilogue(struct rng *r, struct bnr_eltwise *e, const struct buffers *b) {
    const uint64_t which = rng_next(r) % 6;
    e->n = 0;
    e->channels = b->nc;
    if (which & 1)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
    if (which & 2)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .q = 6};
    if (which & 4)
        e->step[e->n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_PRELU, .form = BNR_FORM_CHANNEL, .s = b->bias};
}

// Two times in three something in front: multiply-add, activation, both, and what is less usual.
static void random_prologue(struct rng *r, struct bnr_eltwise *e, const struct buffers *b) {
    const struct bnr_eltwise_step affine = {
        .kind = BNR_ELTWISE_AFFINE, .form = BNR_FORM_ROW, .s = b->s, .t = b->t};
    const struct bnr_eltwise_step activations[] = {
        {.kind = BNR_ELTWISE_CLAMP, .q = INFINITY},
        {.kind = BNR_ELTWISE_CLAMP, .p = -0.25f, .q = 0.5f},
        {.kind = BNR_ELTWISE_LEAKY_RELU, .p = 0.1f},
        {.kind = BNR_ELTWISE_PRELU, .form = BNR_FORM_ROW, .s = b->t},
        {.kind = BNR_ELTWISE_SIGMOID},
    };
    *e = (struct bnr_eltwise){.channels = 1};
    if (rng_next(r) % 3 == 0)
        return;
    if (rng_next(r) % 4)
        e->step[e->n++] = affine;
    if (e->n == 0 || rng_next(r) % 4)
        e->step[e->n++] = activations[rng_next(r) % BNR_COUNT(activations)];
    if (rng_next(r) % 8 == 0)
        e->step[e->n++] = affine;
}

static bool random_shape(struct rng *r, struct bnr_conv_shape *s) {
    const size_t axes = rng_size(r, 1, 3), most[] = {0, 300, 25, 7};
    const bool pointwise = rng_next(r) % 4 == 0;
    *s = (struct bnr_conv_shape){.batch = rng_size(r, 1, 2),
                                 .groups = rng_next(r) % 3 ? 1 : rng_size(r, 2, 3)};
    s->cin = rng_size(r, 1, rng_next(r) % 4 ? 9 : 70);
    s->cout = rng_size(r, 1, rng_next(r) % 4 ? 20 : 50);
    for (size_t i = 0; i < BNR_CONV_AXES; i++) {
        const bool used = i + axes >= BNR_CONV_AXES;
        s->in[i] = used ? rng_size(r, 1, most[axes]) : 1;
        s->kernel[i] = used && !pointwise ? rng_size(r, 1, axes == 1 ? 9 : 5) : 1;
        s->stride[i] = used && (!pointwise || rng_next(r) % 2) ? rng_size(r, 1, 3) : 1;
        s->dilation[i] = used ? rng_size(r, 1, 3) : 1;
        const size_t reach = (s->kernel[i] - 1) * s->dilation[i];
        s->pad[i] = used ? rng_size(r, 0, reach) : 0;
        const size_t padded = s->in[i] + s->pad[i] + (used ? rng_size(r, 0, reach) : 0);
        if (padded <= reach)
            return false;
        s->out[i] = (padded - reach - 1) / s->stride[i] + 1;
    }
    return s->groups * s->cout * s->cin * volume(s->kernel) * volume(s->out) < 3000000;
}

static void random_shapes(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        unsigned cpu;
        if (!bnr__cpu_level(levels[level], bnr__cpu_detect(), &cpu))
            continue;
        for (uint64_t seed = 0; seed < 250; seed++) {
            struct rng r = {seed * 1000};
            struct conv_case c = {.level = levels[level], .seed = seed};
            if (!random_shape(&r, &c.s))
                continue;
            c.values = seed % 3 ? VALUES_RANDOM : (enum values)(rng_next(&r) % VALUES_KINDS);
            struct buffers b;
            make_buffers(&c, &b);
            random_epilogue(&r, &c.e, &b);
            random_prologue(&r, &c.before, &b);
            run_conv(&c, &b, NULL);
            check_conv(&c, &b);
            float *y = guard_floats(b.ny);
            memcpy(y, b.y, b.ny * sizeof *y);
            run_conv(&c, &b, pool);
            if (memcmp(y, b.y, b.ny * sizeof *y) != 0)
                fail_msg("%s seed %llu: two threads give other bits", c.level,
                         (unsigned long long)seed);
            guard_free(y, b.ny);
            free_buffers(&b);
        }
    }
    bnr__pool_free(pool);
}

static void sizes_that_overflow_are_refused(void **state) {
    struct bnr_conv_f32 c;
    struct bnr_conv_shape s = {.batch = 1,
                               .groups = 1,
                               .cin = (size_t)1 << 40,
                               .cout = (size_t)1 << 30,
                               .in = {1, 1, 1},
                               .out = {1, 1, 1},
                               .kernel = {1, 1, 1},
                               .stride = {1, 1, 1},
                               .dilation = {1, 1, 1}};
    assert_false(bnr__conv_f32_init(&c, &s, 0, 1));
}

// ---- bench --------------------------------------------------------------------------------------

// A layer of a network at 224x224: input channels, output channels, input size, kernel, stride,
// padding.
static const size_t bench_layers[][6] = {
    {3, 64, 224, 7, 2, 3},   {64, 64, 56, 1, 1, 0},   {64, 64, 56, 3, 1, 1},
    {256, 64, 56, 1, 1, 0},  {64, 256, 56, 1, 1, 0},  {128, 128, 56, 3, 2, 1},
    {512, 128, 28, 1, 1, 0}, {128, 128, 28, 3, 1, 1}, {1024, 256, 14, 1, 1, 0},
    {256, 256, 14, 3, 1, 1}, {512, 512, 7, 3, 1, 1},  {2048, 512, 7, 1, 1, 0},
    {16, 96, 112, 1, 1, 0},  {96, 24, 56, 1, 1, 0},   {384, 64, 14, 1, 1, 0},
    {320, 1280, 7, 1, 1, 0},
};

static void bench_run(void *cx) {
    bnr__conv_f32_run(cx, NULL);
}

static void bench_layer(const char *level, unsigned cpu, const size_t l[6]) {
    const size_t out = (l[2] + 2 * l[5] - l[3]) / l[4] + 1;
    struct conv_case c = {.level = level};
    c.s = (struct bnr_conv_shape){.batch = 1,
                                  .groups = 1,
                                  .cin = l[0],
                                  .cout = l[1],
                                  .in = {1, l[2], l[2]},
                                  .out = {1, out, out},
                                  .kernel = {1, l[3], l[3]},
                                  .stride = {1, l[4], l[4]},
                                  .dilation = {1, 1, 1},
                                  .pad = {0, l[5], l[5]}};
    struct buffers b;
    struct bnr_conv_f32 conv;
    make_buffers(&c, &b);
    if (!bnr__conv_f32_init(&conv, &c.s, cpu, 1))
        return;
    float *packed = malloc(conv.packed_bytes), *scratch = aligned_alloc(64, conv.scratch_bytes);
    if (packed && scratch) {
        bnr__conv_f32_pack(&conv, packed, b.w);
        conv.weights = packed;
        conv.e = (struct bnr_eltwise){.n = 1, .step[0] = {.kind = BNR_ELTWISE_CLAMP, .q = 6}};
        struct bnr_conv_f32_run run = {
            .c = &conv, .dst = b.y, .src = b.x, .bias = b.bias, .scratch = scratch};
        const double t = best_seconds(bench_run, &run),
                     flops = 2.0 * (double)(l[0] * l[1] * l[3] * l[3] * out * out);
        printf("%-8s %4zu -> %4zu %3zux%-3zu k%zu s%zu: %7.3f ms %6.1f GFLOP/s\n", level, l[0],
               l[1], l[2], l[2], l[3], l[4], t * 1e3, flops / t * 1e-9);
    }
    free(packed);
    free(scratch);
    free_buffers(&b);
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
