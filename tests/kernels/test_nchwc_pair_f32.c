// SPDX-License-Identifier: Apache-2.0
// nchwc_pair_f32 at every level of this CPU against the two convolutions one after the other, which
// have tests of their own: the same bits, for random channels, images, windows, strides, dilations,
// epilogues and special values, with one and two threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/compiler.h"
#include "runtime/kernels/nchwc_pair_f32.h"
#include "tests/lib/nchwc_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

struct pair_case {
    const char *level;
    uint64_t seed;
    unsigned cpu;
    size_t batch, cin, cout;
    struct bnr_window_shape window;
    enum values values;
};

struct both {
    struct bnr_nchwc_conv_f32 front;
    struct bnr_nchwc_window window;
    struct bnr_nchwc_pair pair;
    struct bnr_nchwc in, between, out;
    float *x, *weights, *bias, *window_weights, *window_bias;
    size_t weight_floats, window_floats;
};

static float *values_of(struct rng *r, enum values kind, size_t n) {
    float *p = guard_floats(n);
    fill_values(r, kind, p, n);
    return p;
}

static void random_steps(struct rng *r, struct bnr_eltwise *e) {
    e->n = 0;
    e->channels = 1;
    if (rng_next(r) % 3)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .p = -0.5f, .q = 6};
    if (rng_next(r) % 3 == 0)
        e->step[e->n++] =
            (struct bnr_eltwise_step){.kind = BNR_ELTWISE_HARD_SWISH, .p = 1.0f / 6, .q = 0.5f};
}

static void make(const struct pair_case *c, struct rng *r, int threads, struct both *b) {
    const struct bnr_window_shape *s = &c->window;
    const struct bnr_nchwc_options o = {.cpu = c->cpu, .threads = threads};
    const size_t pixels = s->in[1] * s->in[2], lanes = bnr__nchwc_lanes(c->cpu);
    const struct bnr_conv_shape shape = {.batch = c->batch,
                                         .groups = 1,
                                         .cin = c->cin,
                                         .cout = c->cout,
                                         .in = {1, s->in[1], s->in[2]},
                                         .out = {1, s->in[1], s->in[2]},
                                         .kernel = {1, 1, 1},
                                         .stride = {1, 1, 1},
                                         .dilation = {1, 1, 1}};
    assert_true(bnr__nchwc_conv_f32_init(&b->front, &shape, &o));
    assert_true(bnr__nchwc_window_init(&b->window, BNR_WINDOW_CONV, s, c->cpu, threads));
    b->in = nchwc_shape(c->batch, c->cin, pixels, lanes);
    b->between = nchwc_shape(c->batch, c->cout, pixels, lanes);
    b->out = nchwc_shape(c->batch, c->cout, s->out[1] * s->out[2], lanes);
    float *x = values_of(r, c->values, plain_floats(&b->in));
    float *w = values_of(r, VALUES_RANDOM, c->cout * c->cin);
    float *v = values_of(r, VALUES_RANDOM, c->cout * s->kernel[1] * s->kernel[2]);
    b->x = blocked_copy(&b->in, x);
    b->weight_floats = b->front.packed_bytes / sizeof(float);
    b->window_floats = bnr__nchwc_window_packed(&b->window, c->cout) / sizeof(float);
    b->weights = guard_floats(b->weight_floats);
    b->window_weights = guard_floats(b->window_floats);
    b->bias = values_of(r, VALUES_RANDOM, c->cout);
    b->window_bias = values_of(r, VALUES_RANDOM, b->out.blocks * lanes);
    bnr__nchwc_conv_f32_pack(&b->front, b->weights, w);
    bnr__nchwc_window_pack(&b->window, b->window_weights, v, c->cout);
    b->front.weights = b->weights;
    b->window.weights = b->window_weights;
    b->window.bias = b->window_bias;
    b->window.batch = c->batch;
    b->window.blocks = b->out.blocks;
    random_steps(r, &b->front.e);
    random_steps(r, &b->window.e);
    guard_free(x, plain_floats(&b->in));
    guard_free(w, c->cout * c->cin);
    guard_free(v, c->cout * s->kernel[1] * s->kernel[2]);
}

static void unmake(const struct pair_case *c, struct both *b) {
    guard_free(b->x, blocked_floats(&b->in));
    guard_free(b->weights, b->weight_floats);
    guard_free(b->window_weights, b->window_floats);
    guard_free(b->bias, c->cout);
    guard_free(b->window_bias, b->out.blocks * b->out.lanes);
}

static void run_apart(const struct both *b, float *dst) {
    const size_t conv = b->front.scratch_bytes / sizeof(float);
    const size_t window = b->window.scratch_bytes / sizeof(float);
    float *between = guard_floats(blocked_floats(&b->between));
    float *p = guard_floats(conv), *q = guard_floats(window);
    const struct bnr_nchwc_conv_f32_run front = {
        .c = &b->front, .dst = between, .src = b->x, .bias = b->bias, .scratch = p};
    const struct bnr_nchwc_window_run behind = {
        .w = &b->window, .dst = dst, .src = between, .scratch = q};
    bnr__nchwc_conv_f32_run(&front, NULL);
    bnr__nchwc_window_run(&behind, NULL);
    guard_free(between, blocked_floats(&b->between));
    guard_free(p, conv);
    guard_free(q, window);
}

static void run_as_one(const struct both *b, float *dst, struct bnr_pool *pool) {
    const size_t scratch = b->pair.scratch_bytes / sizeof(float);
    float *p = guard_floats(scratch);
    const struct bnr_nchwc_pair_run run = {
        .p = &b->pair, .dst = dst, .src = b->x, .bias = b->bias, .scratch = p};
    bnr__nchwc_pair_run(&run, pool);
    guard_free(p, scratch);
}

static bool random_case(struct rng *r, struct pair_case *c) {
    struct bnr_window_shape *s = &c->window;
    c->batch = rng_size(r, 1, 2);
    c->cin = rng_size(r, 1, 40);
    c->cout = rng_size(r, 1, 70);
    *s = (struct bnr_window_shape){.in = {1, rng_size(r, 1, 40), rng_size(r, 1, 40)}};
    for (int i = 0; i < BNR_WINDOW_AXES; i++) {
        s->kernel[i] = i ? rng_size(r, 1, 5) : 1;
        s->stride[i] = i ? rng_size(r, 1, 3) : 1;
        s->dilation[i] = i ? rng_size(r, 1, 2) : 1;
        const size_t reach = (s->kernel[i] - 1) * s->dilation[i];
        s->pad[i] = i ? rng_size(r, 0, reach) : 0;
        const size_t padded = (i ? s->in[i] : 1) + s->pad[i] + (i ? rng_size(r, 0, reach) : 0);
        if (padded <= reach)
            return false;
        s->out[i] = (padded - reach - 1) / s->stride[i] + 1;
    }
    c->values = rng_next(r) % 2 ? VALUES_RANDOM : (enum values)(rng_next(r) % VALUES_KINDS);
    return true;
}

static void check_case(const struct pair_case *c, struct bnr_pool *pool) {
    for (int threads = 1; threads <= 2; threads++) {
        struct rng r = {c->seed};
        struct both b;
        make(c, &r, threads, &b);
        assert_true(bnr__nchwc_pair_init(&b.pair, &b.front, &b.window, threads));
        float *want = guard_floats(blocked_floats(&b.out));
        float *got = guard_floats(blocked_floats(&b.out));
        run_apart(&b, want);
        run_as_one(&b, got, threads > 1 ? pool : NULL);
        const size_t at = first_difference(&b.out, want, got);
        if (at < plain_floats(&b.out))
            fail_msg("%s seed %llu, %d threads: element %zu is %g, expected %g", c->level,
                     (unsigned long long)c->seed, threads, at,
                     (double)got[blocked_place(&b.out, at)],
                     (double)want[blocked_place(&b.out, at)]);
        guard_free(want, blocked_floats(&b.out));
        guard_free(got, blocked_floats(&b.out));
        unmake(c, &b);
    }
}

static void random_pairs(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct pair_case c = {.level = levels[level]};
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (c.seed = 0; c.seed < 120; c.seed++) {
            struct rng r = {c.seed * 1000};
            if (random_case(&r, &c))
                check_case(&c, pool);
        }
    }
    bnr__pool_free(pool);
}

// More rows than the ring holds, so that it goes round several times.
static void wide_images(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct pair_case c = {.level = levels[level], .batch = 1, .cin = 3, .cout = 20};
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (size_t stride = 1; stride <= 2; stride++) {
            c.seed = stride;
            c.window =
                (struct bnr_window_shape){.in = {1, 60, 300},
                                          .out = {1, (60 - 1) / stride + 1, (300 - 1) / stride + 1},
                                          .kernel = {1, 5, 3},
                                          .stride = {1, stride, stride},
                                          .dilation = {1, 1, 1},
                                          .pad = {0, 2, 1}};
            check_case(&c, pool);
        }
    }
    bnr__pool_free(pool);
}

// What the pair needs and does not get is refused.
static void others_are_refused(void **state) {
    struct pair_case c = {.level = "generic",
                          .batch = 1,
                          .cin = 8,
                          .cout = 8,
                          .window = {.in = {1, 6, 6},
                                     .out = {1, 6, 6},
                                     .kernel = {1, 3, 3},
                                     .stride = {1, 1, 1},
                                     .dilation = {1, 1, 1},
                                     .pad = {0, 1, 1}}};
    struct rng r = {1};
    struct both b;
    assert_true(bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu));
    make(&c, &r, 1, &b);
    assert_true(bnr__nchwc_pair_init(&b.pair, &b.front, &b.window, 1));
    assert_false(bnr__nchwc_pair_is_worth_it(&b.pair));
    b.front.e.n = 1;
    b.front.e.step[0] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
    assert_false(bnr__nchwc_pair_init(&b.pair, &b.front, &b.window, 1));
    b.front.e.n = 0;
    b.window.blocks++;
    assert_false(bnr__nchwc_pair_init(&b.pair, &b.front, &b.window, 1));
    b.window.blocks--;
    b.window.batch++;
    assert_false(bnr__nchwc_pair_init(&b.pair, &b.front, &b.window, 1));
    b.window.batch--;
    b.window.kind = BNR_WINDOW_MAX;
    assert_false(bnr__nchwc_pair_init(&b.pair, &b.front, &b.window, 1));
    unmake(&c, &b);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_pairs),
        cmocka_unit_test(wide_images),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
