// SPDX-License-Identifier: Apache-2.0
// nchwc_conv_f32 at every level of this CPU against a plain loop in double: random shapes, strides,
// paddings, dilations and groups in one to three axes, blocked and plain input, prologues,
// epilogues, special values, NaN in all lanes that do not exist, and any number of threads.
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
#include "runtime/kernels/nchwc_winograd_f32.h"
#include "tests/lib/kernel_test.h"

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

struct conv_case {
    const char *level;
    uint64_t seed;
    unsigned cpu;
    struct bnr_conv_shape s;
    enum values values;
    enum bnr_nchwc_algorithm algorithm;
    bool plain, prologue, clamp_in, parts;
    struct bnr_eltwise e;
};

// x, residual, y: plain; the others as the kernel wants them.
struct buffers {
    float *x, *w, *bias, *residual, *scale, *y, *s, *t; // scale: [batch, cout]
    size_t nx, nw, cin, cout, ny;
    float *blocked_x, *blocked_residual, *blocked_scale, *blocked_y;
    size_t blocked_nx, blocked_ny, blocked_residuals, scales, blocked_scales;
    // Where the convolution's input and output are a part of the channels of larger tensors: floats
    // in front of it in each image, and all that an image has more.
    size_t in_front, in_more, out_front, out_more;
};

static size_t volume(const size_t v[BNR_CONV_AXES]) {
    return v[0] * v[1] * v[2];
}

static size_t blocked_floats(size_t batch, size_t channels, size_t pixels, size_t lanes) {
    return batch * ((channels + lanes - 1) / lanes) * lanes * pixels;
}

static size_t blocked_place(size_t i, size_t channels, size_t pixels, size_t lanes) {
    const size_t pixel = i % pixels, channel = i / pixels % channels, image = i / pixels / channels;
    const size_t blocks = (channels + lanes - 1) / lanes;
    return ((image * blocks + channel / lanes) * pixels + pixel) * lanes + channel % lanes;
}

// Lanes that do not exist keep guard_floats' NaN.
static float *to_blocked(const float *x, size_t batch, size_t channels, size_t pixels,
                         size_t lanes) {
    float *y = guard_floats(blocked_floats(batch, channels, pixels, lanes));
    for (size_t i = 0; i < batch * channels * pixels; i++)
        y[blocked_place(i, channels, pixels, lanes)] = x[i];
    return y;
}

// As channels of a larger tensor: `front` floats in front in each image, of `more` more.
static float *to_part(float *x, size_t batch, size_t n, size_t front, size_t more) {
    float *y = guard_floats(n + batch * more);
    for (size_t i = 0; i < n; i++)
        y[i / (n / batch) * (n / batch + more) + front + i % (n / batch)] = x[i];
    guard_free(x, n);
    return y;
}

static void make_buffers(const struct conv_case *c, struct buffers *b) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t lanes = bnr__nchwc_lanes(c->cpu), in = volume(s->in), out = volume(s->out);
    struct rng r = {c->seed};
    *b = (struct buffers){.in_front = 0};
    b->cin = s->groups * s->cin;
    b->cout = s->groups * s->cout;
    b->nx = s->batch * b->cin * in;
    b->nw = b->cout * s->cin * volume(s->kernel);
    b->ny = s->batch * b->cout * out;
    b->x = guard_floats(b->nx);
    b->w = guard_floats(b->nw);
    b->bias = guard_floats(b->cout);
    b->s = guard_floats(b->cin);
    b->t = guard_floats(b->cin);
    b->residual = guard_floats(b->ny);
    b->scale = guard_floats(s->batch * b->cout);
    b->y = guard_floats(b->ny);
    fill_values(&r, c->values, b->x, b->nx);
    fill_values(&r, VALUES_RANDOM, b->w, b->nw);
    fill_values(&r, VALUES_RANDOM, b->bias, b->cout);
    fill_values(&r, VALUES_RANDOM, b->s, b->cin);
    fill_values(&r, VALUES_RANDOM, b->t, b->cin);
    fill_values(&r, VALUES_RANDOM, b->residual, b->ny);
    fill_values(&r, VALUES_RANDOM, b->scale, s->batch * b->cout);
    b->blocked_nx = blocked_floats(s->batch, b->cin, in, c->plain ? 1 : lanes);
    b->blocked_ny = blocked_floats(s->batch, b->cout, out, lanes);
    b->blocked_residuals = b->blocked_ny;
    b->scales = s->batch * b->cout;
    b->blocked_scales = blocked_floats(s->batch, b->cout, 1, lanes);
    b->blocked_x = to_blocked(b->x, s->batch, b->cin, in, c->plain ? 1 : lanes);
    b->blocked_residual = to_blocked(b->residual, s->batch, b->cout, out, lanes);
    b->blocked_scale = to_blocked(b->scale, s->batch, b->cout, 1, lanes);
    if (c->parts) {
        b->in_front = in * lanes;
        b->in_more = 3 * in * lanes;
        b->out_front = 2 * out * lanes;
        b->out_more = 2 * out * lanes;
    }
    b->blocked_x = to_part(b->blocked_x, s->batch, b->blocked_nx, b->in_front, b->in_more);
    b->blocked_nx += s->batch * b->in_more;
    b->blocked_ny += s->batch * b->out_more;
    b->blocked_y = guard_floats(b->blocked_ny);
}

static void free_buffers(struct buffers *b) {
    guard_free(b->x, b->nx);
    guard_free(b->w, b->nw);
    guard_free(b->bias, b->cout);
    guard_free(b->s, b->cin);
    guard_free(b->t, b->cin);
    guard_free(b->residual, b->ny);
    guard_free(b->y, b->ny);
    guard_free(b->blocked_x, b->blocked_nx);
    guard_free(b->scale, b->scales);
    guard_free(b->blocked_scale, b->blocked_scales);
    guard_free(b->blocked_residual, b->blocked_residuals);
    guard_free(b->blocked_y, b->blocked_ny);
}

static bool init(struct bnr_nchwc_conv_f32 *conv, const struct conv_case *c, int threads) {
    const struct bnr_nchwc_options o = {
        .cpu = c->cpu,
        .threads = threads,
        .plain = c->plain,
        .prologue = c->prologue,
        .algorithm = c->algorithm,
    };
    return bnr__nchwc_conv_f32_init(conv, &c->s, &o);
}

static void pack(const struct bnr_nchwc_conv_f32 *conv, float *dst, const bnr_any_float *w,
                 const double *factors) {
    const struct bnr_conv_parts parts = bnr__nchwc_conv_f32_parts(conv);
    const size_t row = bnr__nchwc_conv_f32_row(conv);
    for (size_t i = parts.n; i-- > 0;) {
        const size_t begin = i * parts.elems;
        const struct bnr_weights_rows rows = {w + begin, factors ? factors + begin / row : NULL};
        bnr__nchwc_conv_f32_pack_part(conv, dst, &rows, i);
    }
}

// Rows at any address by a factor pack like weights that were scaled before.
static void check_factors(const struct bnr_nchwc_conv_f32 *conv, const struct buffers *b) {
    const size_t row = bnr__nchwc_conv_f32_row(conv), rows = b->nw / row;
    const size_t packed = conv->packed_bytes / sizeof(float);
    unsigned char *memory = malloc(b->nw * sizeof(float) + 1);
    float *scaled = guard_floats(b->nw), *want = guard_floats(packed), *got = guard_floats(packed);
    double *factors = malloc(rows * sizeof *factors);
    assert_true(memory && factors);
    memcpy(memory + 1, b->w, b->nw * sizeof(float));
    for (size_t i = 0; i < rows; i++)
        factors[i] = (i % 2 ? -1 : 1) / (1.0 + (double)i);
    for (size_t i = 0; i < b->nw; i++)
        scaled[i] = (float)((double)b->w[i] * factors[i / row]);
    pack(conv, want, scaled, NULL);
    pack(conv, got, (const bnr_any_float *)(const void *)(memory + 1), factors);
    assert_memory_equal(want, got, conv->packed_bytes);
    guard_free(scaled, b->nw);
    guard_free(want, packed);
    guard_free(got, packed);
    free(factors);
    free(memory);
}

// False where the algorithm does not apply.
static bool run_conv(const struct conv_case *c, struct buffers *b, struct bnr_pool *pool) {
    struct bnr_nchwc_conv_f32 conv;
    if (!init(&conv, c, bnr__pool_threads(pool)))
        return false;
    assert_true(conv.packed_bytes % sizeof(float) == 0 && conv.scratch_bytes % 64 == 0);
    const size_t packed = conv.packed_bytes / sizeof(float),
                 scratch = conv.scratch_bytes / sizeof(float);
    float *p = guard_floats(packed), *q = guard_floats(scratch);
    const struct bnr_conv_parts parts = bnr__nchwc_conv_f32_parts(&conv);
    assert_true(parts.n > 0 && (parts.n - 1) * parts.elems < b->nw &&
                parts.n * parts.elems >= b->nw);
    pack(&conv, p, b->w, NULL);
    if (bnr__nchwc_conv_f32_packs_rows(&conv))
        check_factors(&conv, b);
    conv.weights = p;
    conv.e = c->e;
    if (c->prologue)
        conv.prologue = (struct bnr_nchwc_prologue){
            .s = b->s, .t = b->t, .clamp = c->clamp_in, .lo = 0, .hi = 6};
    conv.src_image += b->in_more;
    conv.dst_image += b->out_more;
    const float *operands[] = {b->blocked_residual, b->blocked_scale};
    const struct bnr_nchwc_conv_f32_run run = {.c = &conv,
                                               .dst = b->blocked_y + b->out_front,
                                               .src = b->blocked_x + b->in_front,
                                               .bias = b->bias,
                                               .operands = operands,
                                               .scratch = q};
    bnr__nchwc_conv_f32_run(&run, pool);
    const size_t image = b->ny / c->s.batch;
    for (size_t i = 0; i < b->ny; i++)
        b->y[i] = b->blocked_y[blocked_place(i, b->cout, volume(c->s.out), conv.lanes) +
                               b->out_front + i / image * b->out_more];
    guard_free(p, packed);
    guard_free(q, scratch);
    return true;
}

// ---- the oracle ---------------------------------------------------------------------------------

static double input_at(const struct conv_case *c, const struct buffers *b, size_t channel,
                       double x) {
    if (!c->prologue)
        return x;
    x = x * (double)b->s[channel] + (double)b->t[channel];
    return !c->clamp_in ? x : x < 0 ? 0 : x > 6 ? 6 : x;
}

// The output element at `at` before any epilogue, and the sum of its terms' sizes.
static double sum_at(const struct conv_case *c, const struct buffers *b, size_t at, double *size) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t pixels = volume(s->out), taps = volume(s->kernel), plane = volume(s->in);
    const size_t pixel = at % pixels, co = at / pixels % b->cout, image = at / pixels / b->cout;
    const size_t o[3] = {pixel / s->out[2] / s->out[1], pixel / s->out[2] % s->out[1],
                         pixel % s->out[2]};
    const size_t first = co / s->cout * s->cin;
    const float *x = b->x + (image * b->cin + first) * plane;
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
            const double term = input_at(c, b, first + ci, (double)x[ci * plane + in]) *
                                (double)b->w[(co * s->cin + ci) * taps + tap];
            sum += term;
            *size += fabs(term);
            // The prologue rounds twice, before a clamp can hide how large its terms were.
            if (c->prologue)
                *size += 1 + fabs((double)x[ci * plane + in]);
        }
    }
    return sum;
}

static double epilogue_at(const struct conv_case *c, const struct buffers *b, size_t at,
                          double want, double *size) {
    for (int i = 0; i < c->e.n; i++) {
        if (c->e.step[i].kind == BNR_ELTWISE_ADD) {
            want += (double)b->residual[at];
            *size += fabs((double)b->residual[at]);
        } else if (c->e.step[i].kind == BNR_ELTWISE_CLAMP) {
            want = want < 0 ? 0 : want > 6 ? 6 : want;
        } else if (c->e.step[i].kind == BNR_ELTWISE_PRELU) {
            want = want < 0 ? want * (double)b->bias[at / volume(c->s.out) % b->cout] : want;
        } else if (c->e.step[i].kind == BNR_ELTWISE_MUL) {
            want *= (double)b->scale[at / volume(c->s.out)];
        } else if (c->e.step[i].kind == BNR_ELTWISE_LEAKY_RELU) {
            want = want < 0 ? want * (double)c->e.step[i].p : want;
        }
    }
    return want;
}

static void describe(const struct conv_case *c, char *what, size_t n) {
    const struct bnr_conv_shape *s = &c->s;
    snprintf(what, n,
             "%s seed %llu %s algorithm %d%s%s: batch %zu groups %zu cin %zu cout %zu in "
             "%zux%zux%zu out %zux%zux%zu kernel %zux%zux%zu stride %zu,%zu,%zu dilation "
             "%zu,%zu,%zu pad %zu,%zu,%zu steps %d",
             c->level, (unsigned long long)c->seed, values_name[c->values], (int)c->algorithm,
             c->plain ? " plain" : "", c->prologue ? " prologue" : "", s->batch, s->groups, s->cin,
             s->cout, s->in[0], s->in[1], s->in[2], s->out[0], s->out[1], s->out[2], s->kernel[0],
             s->kernel[1], s->kernel[2], s->stride[0], s->stride[1], s->stride[2], s->dilation[0],
             s->dilation[1], s->dilation[2], s->pad[0], s->pad[1], s->pad[2], c->e.n);
}

static void check_direct(const struct conv_case *c, const struct buffers *b) {
    char what[500];
    describe(c, what, sizeof what);
    const double terms = (double)(c->s.cin * volume(c->s.kernel));
    for (size_t at = 0; at < b->ny; at++) {
        double size, sum = sum_at(c, b, at, &size);
        const double want = epilogue_at(c, b, at, sum, &size);
        check_value(what, at, b->y[at], want, (2 * terms + 8) * (size * 0x1p-24 + 0x1p-149));
    }
}

// Winograd's error in one pixel depends on all of its patch: the bound is one for the whole output,
// a multiple of the largest sum of its terms' sizes.
static void check_winograd(const struct conv_case *c, const struct buffers *b) {
    static const double bound[] = {[BNR_NCHWC_WINOGRAD2] = 4e-7,
                                   [BNR_NCHWC_WINOGRAD4] = 1.5e-6,
                                   [BNR_NCHWC_WINOGRAD6] = 4e-6,
                                   [BNR_NCHWC_LINE2] = 1e-6,
                                   [BNR_NCHWC_LINE4] = 3e-6,
                                   [BNR_NCHWC_PHASES] = 1.5e-6};
    double largest = 0;
    double *want = calloc(b->ny, sizeof *want);
    char what[500];
    describe(c, what, sizeof what);
    for (size_t at = 0; at < b->ny; at++) {
        double size, sum = sum_at(c, b, at, &size);
        want[at] = epilogue_at(c, b, at, sum, &size);
        largest = size > largest ? size : largest;
    }
    for (size_t at = 0; at < b->ny; at++)
        check_value(what, at, b->y[at], want[at], bound[c->algorithm] * largest);
    free(want);
}

static void check_conv(const struct conv_case *c, const struct buffers *b) {
    if (c->algorithm == BNR_NCHWC_DIRECT)
        check_direct(c, b);
    else
        check_winograd(c, b);
}

// ---- random cases -------------------------------------------------------------------------------

// Steps as exporters make them: nothing, an activation, a residual add with one, and those that run
// on the tile (one number for all, one per channel with the bias as slopes).
static void random_epilogue(struct rng *r, struct bnr_eltwise *e, const struct buffers *b) {
    const uint64_t which = rng_next(r) % 12;
    e->n = 0;
    e->channels = b->cout;
    if (which & 1)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
    if (which & 2)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_CLAMP, .q = 6};
    if (which & 4)
        e->step[e->n++] = (struct bnr_eltwise_step){
            .kind = BNR_ELTWISE_PRELU, .form = BNR_FORM_CHANNEL, .s = b->bias};
    if (which & 8)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_LEAKY_RELU, .p = 0.5f};
    if (which == 8)
        e->step[e->n++] =
            (struct bnr_eltwise_step){.kind = BNR_ELTWISE_MUL, .form = BNR_FORM_ROW, .operand = 1};
    if (which == 9)
        e->step[e->n++] = (struct bnr_eltwise_step){.kind = BNR_ELTWISE_ADD, .form = BNR_FORM_SAME};
}

static void random_channels(struct rng *r, struct bnr_conv_shape *s) {
    static const size_t widths[] = {1, 2, 4, 8, 16, 24, 32};
    s->groups = rng_next(r) % 3 ? 1 : rng_size(r, 2, 5);
    s->cin = rng_size(r, 1, rng_next(r) % 4 ? 9 : 70);
    s->cout = rng_size(r, 1, rng_next(r) % 4 ? 20 : 70);
    if (s->groups > 1 && rng_next(r) % 2) {
        s->cin = widths[rng_next(r) % BNR_COUNT(widths)];
        s->groups = rng_size(r, 2, 11);
        s->cout = rng_next(r) % 2 ? s->cin : widths[rng_next(r) % BNR_COUNT(widths)];
    }
}

static bool random_shape(struct rng *r, struct bnr_conv_shape *s) {
    const size_t axes = rng_size(r, 1, 3), most[] = {0, 300, 25, 7};
    const bool pointwise = rng_next(r) % 4 == 0;
    *s = (struct bnr_conv_shape){.batch = rng_size(r, 1, 3)};
    random_channels(r, s);
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
    return s->batch * s->groups * s->cout * s->cin * volume(s->kernel) * volume(s->out) < 3000000;
}

static void one_and_two_threads(struct conv_case *c, struct bnr_pool *pool, struct rng *r) {
    struct buffers b;
    make_buffers(c, &b);
    random_epilogue(r, &c->e, &b);
    assert_true(run_conv(c, &b, NULL));
    check_conv(c, &b);
    float *y = guard_floats(b.ny);
    memcpy(y, b.y, b.ny * sizeof *y);
    assert_true(run_conv(c, &b, pool));
    // Which NaN of several comes out is the compiler's choice in each of the tiles' instances.
    for (size_t i = 0; i < b.ny; i++) {
        if (!(isnan(y[i]) && isnan(b.y[i])) && memcmp(&y[i], &b.y[i], sizeof *y) != 0)
            fail_msg("%s seed %llu: two threads give other bits", c->level,
                     (unsigned long long)c->seed);
    }
    guard_free(y, b.ny);
    free_buffers(&b);
}

static void random_shapes(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct conv_case c = {.level = levels[level], .algorithm = BNR_NCHWC_DIRECT};
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (c.seed = 0; c.seed < 400; c.seed++) {
            struct rng r = {c.seed * 1000};
            if (!random_shape(&r, &c.s))
                continue;
            c.values = c.seed % 3 ? VALUES_RANDOM : (enum values)(rng_next(&r) % VALUES_KINDS);
            c.plain = rng_next(&r) % 4 == 0;
            c.prologue = rng_next(&r) % 3 == 0;
            c.clamp_in = rng_next(&r) % 2 == 0;
            c.parts = rng_next(&r) % 3 == 0;
            one_and_two_threads(&c, pool, &r);
        }
    }
    bnr__pool_free(pool);
}

// So many input channels that they are added some at a time.
static void deep_shapes(void **state) {
    struct bnr_pool *pool = test_pool(2);
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct conv_case c = {.level = levels[level], .algorithm = BNR_NCHWC_DIRECT};
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (c.seed = 0; c.seed < 24; c.seed++) {
            struct rng r = {c.seed * 1000};
            const size_t size = rng_size(&r, 2, 4), stride = rng_size(&r, 1, 2);
            c.s = (struct bnr_conv_shape){.batch = rng_size(&r, 1, 2),
                                          .groups = c.seed % 5 == 0 ? 2 : 1,
                                          .cin = rng_size(&r, 700, 760),
                                          .cout = rng_size(&r, 1, 40),
                                          .in = {1, size, size},
                                          .kernel = {1, 5, 5},
                                          .stride = {1, stride, stride},
                                          .dilation = {1, 1, 1},
                                          .pad = {0, 2, 2}};
            for (int i = 0; i < BNR_CONV_AXES; i++)
                c.s.out[i] = (c.s.in[i] - 1) / c.s.stride[i] + 1;
            c.values = c.seed % 3 ? VALUES_RANDOM : (enum values)(rng_next(&r) % VALUES_KINDS);
            c.plain = c.seed % 7 == 0;
            c.prologue = rng_next(&r) % 3 == 0;
            c.parts = rng_next(&r) % 3 == 0;
            one_and_two_threads(&c, pool, &r);
        }
    }
    bnr__pool_free(pool);
}

// 3x3 to 5x5, or 1xk and kx1, with stride 1: the only other choices are sizes, padding and channels.
static bool random_winograd(struct rng *r, struct bnr_conv_shape *s,
                            enum bnr_nchwc_algorithm algorithm) {
    const bool line = algorithm >= BNR_NCHWC_LINE2;
    const size_t longest = algorithm == BNR_NCHWC_WINOGRAD4 ? 5 : 3;
    const size_t k = line ? 1 + 2 * rng_size(r, 1, 3) : rng_size(r, 3, longest);
    const int along = line ? (int)rng_size(r, 1, 2) : 0;
    *s = (struct bnr_conv_shape){.batch = rng_size(r, 1, 3)};
    random_channels(r, s);
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        s->stride[i] = s->dilation[i] = s->kernel[i] = 1;
        s->in[i] = s->out[i] = i == 0 && rng_next(r) % 8 == 0 ? 2 : 1;
        if (i == 0)
            continue;
        s->kernel[i] = !line || i == along ? k : 1;
        s->in[i] = rng_size(r, 1, rng_next(r) % 4 ? 15 : 40);
        s->pad[i] = rng_size(r, 0, 3);
        const size_t padded = s->in[i] + s->pad[i] + rng_size(r, 0, 3);
        if (padded < s->kernel[i])
            return false;
        s->out[i] = padded - s->kernel[i] + 1;
    }
    return s->batch * s->groups * s->cout * s->cin * volume(s->kernel) * volume(s->out) < 3000000;
}

// Few plain channels, strides of 2, kernels of 7 or 8.
static bool random_phases(struct rng *r, struct bnr_conv_shape *s) {
    *s = (struct bnr_conv_shape){.batch = rng_size(r, 1, 3), .groups = 1};
    s->cin = rng_size(r, 1, 4);
    s->cout = rng_size(r, 1, 70);
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        s->stride[i] = s->dilation[i] = s->kernel[i] = s->in[i] = s->out[i] = 1;
        if (i == 0)
            continue;
        s->stride[i] = 2;
        s->in[i] = rng_size(r, 1, 60);
        s->pad[i] = rng_size(r, 0, 9);
        s->kernel[i] = s->pad[i] % 2 ? 7 : rng_size(r, 7, 8);
        const size_t padded = s->in[i] + s->pad[i] + rng_size(r, 0, 9);
        if (padded < s->kernel[i])
            return false;
        s->out[i] = (padded - s->kernel[i]) / 2 + 1;
    }
    return true;
}

static void random_winograds(void **state) {
    struct bnr_pool *pool = test_pool(2);
    size_t runs = 0;
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        struct conv_case c = {.level = levels[level]};
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        for (c.seed = 0; c.seed < 300; c.seed++) {
            struct rng r = {c.seed * 1000};
            struct bnr_nchwc_conv_f32 conv;
            c.algorithm = (enum bnr_nchwc_algorithm)((int)BNR_NCHWC_WINOGRAD2 + (int)(c.seed % 6));
            c.plain = c.algorithm == BNR_NCHWC_PHASES;
            c.prologue = false;
            if (!(c.plain ? random_phases(&r, &c.s) : random_winograd(&r, &c.s, c.algorithm)) ||
                !init(&conv, &c, 1))
                continue;
            c.prologue = !c.plain && rng_next(&r) % 3 == 0;
            c.clamp_in = rng_next(&r) % 2 == 0;
            c.parts = rng_next(&r) % 3 == 0;
            one_and_two_threads(&c, pool, &r);
            runs++;
        }
    }
    assert_true(runs > 200);
    bnr__pool_free(pool);
}

// ---- accuracy on the sizes of networks ----------------------------------------------------------

// The largest error of an algorithm by the output's largest magnitude, and the same for the plain
// sum of conv_f32's order.
static void measure(const struct conv_case *base, enum bnr_nchwc_algorithm algorithm,
                    double *error) {
    struct conv_case c = *base;
    struct buffers b;
    double largest = 0;
    c.algorithm = algorithm;
    make_buffers(&c, &b);
    for (size_t i = 0; i < b.blocked_nx; i++)
        b.blocked_x[i] = b.blocked_x[i] < 0 ? 0 : b.blocked_x[i]; // as behind a Relu
    for (size_t i = 0; i < b.nx; i++)
        b.x[i] = b.x[i] < 0 ? 0 : b.x[i];
    assert_true(run_conv(&c, &b, NULL));
    *error = 0;
    for (size_t at = 0; at < b.ny; at++) {
        double size;
        const double want = sum_at(&c, &b, at, &size), e = fabs((double)b.y[at] - want);
        *error = e > *error ? e : *error;
        largest = fabs(want) > largest ? fabs(want) : largest;
    }
    *error /= largest;
    free_buffers(&b);
}

static void check_accuracy(struct conv_case *c, int first, int last) {
    double direct, error;
    measure(c, BNR_NCHWC_DIRECT, &direct);
    for (int a = first; a <= last; a++) {
        measure(c, (enum bnr_nchwc_algorithm)a, &error);
        print_message("%s cin %zu %zux%zu algorithm %d: %.2e, direct %.2e\n", c->level, c->s.cin,
                      c->s.kernel[1], c->s.kernel[2], a, error, direct);
        if (a != BNR_NCHWC_WINOGRAD6 || c->s.cin <= BNR_WINOGRAD6_CHANNELS)
            assert_true(error <= 1e-5 || error <= 2 * direct);
    }
}

// What init may choose by itself stays within 1e-5 of the output's magnitude or twice the direct
// sum's error.
static void winograd_is_accurate_enough(void **state) {
    for (size_t level = 0; level < BNR_COUNT(levels); level++) {
        for (size_t cin = 16; cin <= 512; cin *= 4) {
            struct conv_case c = {.level = levels[level], .seed = cin};
            if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
                continue;
            c.s = (struct bnr_conv_shape){.batch = 1,
                                          .groups = 1,
                                          .cin = cin,
                                          .cout = 16,
                                          .in = {1, 24, 24},
                                          .out = {1, 24, 24},
                                          .kernel = {1, 3, 3},
                                          .stride = {1, 1, 1},
                                          .dilation = {1, 1, 1},
                                          .pad = {0, 1, 1}};
            check_accuracy(&c, BNR_NCHWC_WINOGRAD2, BNR_NCHWC_WINOGRAD6);
            for (size_t k = 4; k <= 5; k++) {
                c.s.kernel[1] = c.s.kernel[2] = k;
                c.s.pad[1] = c.s.pad[2] = 2;
                check_accuracy(&c, BNR_NCHWC_WINOGRAD4, BNR_NCHWC_WINOGRAD4);
            }
            for (size_t k = 3; k <= 7; k += 2) {
                c.s.kernel[1] = 1;
                c.s.kernel[2] = k;
                c.s.pad[1] = 0;
                c.s.pad[2] = k / 2;
                check_accuracy(&c, BNR_NCHWC_LINE2, BNR_NCHWC_LINE4);
            }
        }
        struct conv_case c = {.level = levels[level], .seed = 7, .plain = true};
        if (!bnr__cpu_level(c.level, bnr__cpu_detect(), &c.cpu))
            continue;
        c.s = (struct bnr_conv_shape){.batch = 1,
                                      .groups = 1,
                                      .cin = 3,
                                      .cout = 64,
                                      .in = {1, 64, 64},
                                      .out = {1, 32, 32},
                                      .kernel = {1, 7, 7},
                                      .stride = {1, 2, 2},
                                      .dilation = {1, 1, 1},
                                      .pad = {0, 3, 3}};
        check_accuracy(&c, BNR_NCHWC_PHASES, BNR_NCHWC_PHASES);
    }
}

// What is chosen was, where it was measured (milliseconds in nchwc_form.c), at most an eighth slower
// than the fastest.
static void the_choice_was_measured(void **state) {
    static const struct {
        size_t channels, size;
        double near[4], far[4]; // direct, m = 2, 4, 6
    } layers[] = {
        {64, 56, {2.09, 1.09, 0.63, 0.60}, {1.77, 1.06, 0.66, 0.68}},
        {128, 28, {2.07, 1.01, 0.62, 0.65}, {1.75, 0.98, 0.67, 0.68}},
        {256, 14, {2.08, 1.09, 0.78, 1.13}, {1.73, 1.09, 1.05, 1.77}},
        {512, 7, {2.09, 1.42, 1.58, 2.93}, {1.87, 1.86, 3.40, 6.02}},
        {512, 28, {36.1, 17.0, 10.1, 9.1}, {27.8, 15.1, 11.2, 10.3}},
    };
    unsigned cpu;
    if (!bnr__cpu_level("avx512", bnr__cpu_detect(), &cpu)) {
        print_message("no AVX-512 here\n");
        return;
    }
    for (size_t i = 0; i < 2 * BNR_COUNT(layers); i++) {
        const size_t channels = layers[i / 2].channels, size = layers[i / 2].size;
        const double *ms = i % 2 ? layers[i / 2].far : layers[i / 2].near;
        const unsigned far = BNR_CPU_FAR_MEMORY;
        const struct bnr_nchwc_options o = {.cpu = i % 2 ? cpu | far : cpu & ~far, .threads = 1};
        const struct bnr_conv_shape s = {.batch = 1,
                                         .groups = 1,
                                         .cin = channels,
                                         .cout = channels,
                                         .in = {1, size, size},
                                         .out = {1, size, size},
                                         .kernel = {1, 3, 3},
                                         .stride = {1, 1, 1},
                                         .dilation = {1, 1, 1},
                                         .pad = {0, 1, 1}};
        struct bnr_nchwc_conv_f32 c;
        double best = ms[0];
        for (int k = 1; k < 4; k++)
            best = ms[k] < best ? ms[k] : best;
        assert_true(bnr__nchwc_conv_f32_init(&c, &s, &o));
        assert_true(c.algorithm >= BNR_NCHWC_DIRECT && c.algorithm <= BNR_NCHWC_WINOGRAD6);
        assert_true(ms[c.algorithm - BNR_NCHWC_DIRECT] <= 1.125 * best);
    }
}

static void sizes_that_overflow_or_are_0_are_refused(void **state) {
    struct bnr_nchwc_conv_f32 c;
    struct bnr_conv_shape s = {.batch = 1,
                               .groups = 1,
                               .cin = (size_t)1 << 40,
                               .cout = (size_t)1 << 30,
                               .in = {1, 1, 1},
                               .out = {1, 1, 1},
                               .kernel = {1, 1, 1},
                               .stride = {1, 1, 1},
                               .dilation = {1, 1, 1}};
    assert_false(bnr__nchwc_conv_f32_init(&c, &s, &(struct bnr_nchwc_options){.threads = 1}));
    s.cin = 0;
    assert_false(bnr__nchwc_conv_f32_init(&c, &s, &(struct bnr_nchwc_options){.threads = 1}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(deep_shapes),
        cmocka_unit_test(random_winograds),
        cmocka_unit_test(winograd_is_accurate_enough),
        cmocka_unit_test(the_choice_was_measured),
        cmocka_unit_test(sizes_that_overflow_or_are_0_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
