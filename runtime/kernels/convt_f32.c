// SPDX-License-Identifier: Apache-2.0
// convt_f32: a product per image, then a task per output plane.
#include "runtime/kernels/convt_f32.h"

#include <string.h>

#include "runtime/base/checked.h"

static size_t volume(const size_t v[BNR_CONV_AXES]) {
    return v[0] * v[1] * v[2];
}

bool bnr__convt_f32_init(struct bnr_convt_f32 *c, const struct bnr_conv_shape *s, unsigned cpu,
                         int threads) {
    *c = (struct bnr_convt_f32){.s = *s, .eltwise = bnr__eltwise_f32_select(cpu)};
    struct bnr_conv_shape p = {.batch = 1,
                               .groups = s->groups,
                               .cin = s->cin,
                               .in = {1, 1, volume(s->in)},
                               .out = {1, 1, volume(s->in)},
                               .kernel = {1, 1, 1},
                               .stride = {1, 1, 1},
                               .dilation = {1, 1, 1}};
    return bnr__size_mul(s->cout, volume(s->kernel), &p.cout) &&
           bnr__conv_f32_init(&c->product, &p, cpu, threads) &&
           bnr__size_mul(s->groups, p.cout, &c->column_floats) &&
           bnr__size_mul(c->column_floats, volume(s->in), &c->column_floats) &&
           bnr__size_mul(c->column_floats, sizeof(float), &c->scratch_bytes) &&
           bnr__size_add(c->scratch_bytes, c->product.scratch_bytes, &c->scratch_bytes);
}

void bnr__convt_f32_pack(const struct bnr_convt_f32 *c, float *dst, const float *weights) {
    bnr__conv_f32_pack_transposed(&c->product, dst, weights);
}

// ---- collecting ---------------------------------------------------------------------------------

struct job {
    const struct bnr_convt_f32_run *r;
    const float *columns;
    size_t image;
};

// The input positions first <= i < last along an axis that a tap sends to output i * stride +
// shift.
struct reach {
    ptrdiff_t shift;
    size_t first, last;
};

static struct reach find_reach(const struct bnr_conv_shape *s, int axis, size_t tap) {
    const size_t stride = s->stride[axis];
    struct reach r = {.shift = (ptrdiff_t)(tap * s->dilation[axis]) - (ptrdiff_t)s->pad[axis]};
    r.first = r.shift < 0 ? ((size_t)-r.shift + stride - 1) / stride : 0;
    const ptrdiff_t room = (ptrdiff_t)s->out[axis] - r.shift;
    r.last = room > 0 ? ((size_t)room + stride - 1) / stride : 0;
    r.last = r.last < s->in[axis] ? r.last : s->in[axis];
    return r;
}

static void add_row(float *dst, const float *src, size_t n, size_t stride) {
    if (stride == 1) {
        for (size_t i = 0; i < n; i++)
            dst[i] += src[i];
    } else {
        for (size_t i = 0; i < n; i++)
            dst[i * stride] += src[i];
    }
}

// Adds one tap's share, src [in...], to an output plane.
static void add_tap(const struct bnr_conv_shape *s, float *plane, const float *src, size_t tap) {
    const struct reach x = find_reach(s, 2, tap % s->kernel[2]);
    const struct reach y = find_reach(s, 1, tap / s->kernel[2] % s->kernel[1]);
    const struct reach z = find_reach(s, 0, tap / s->kernel[2] / s->kernel[1]);
    if (x.first >= x.last)
        return;
    for (size_t i = z.first; i < z.last; i++) {
        for (size_t j = y.first; j < y.last; j++) {
            const size_t oz = (size_t)((ptrdiff_t)(i * s->stride[0]) + z.shift);
            const size_t oy = (size_t)((ptrdiff_t)(j * s->stride[1]) + y.shift);
            const size_t ox = (size_t)((ptrdiff_t)(x.first * s->stride[2]) + x.shift);
            add_row(plane + (oz * s->out[1] + oy) * s->out[2] + ox,
                    src + (i * s->in[1] + j) * s->in[2] + x.first, x.last - x.first, s->stride[2]);
        }
    }
}

// Bias and steps, a part of the plane at a time so that it stays in L1.
static void finish_plane(const struct job *j, float *plane, size_t channel, size_t row) {
    enum { PART = 2048 };
    const struct bnr_convt_f32 *c = j->r->c;
    const size_t pixels = volume(c->s.out);
    const float bias = j->r->bias ? j->r->bias[channel] : 0;
    for (size_t at = 0; at < pixels; at += PART) {
        const size_t n = pixels - at < PART ? pixels - at : PART;
        for (size_t i = at; i < at + n; i++)
            plane[i] += bias;
        const struct bnr_eltwise_tile tile = {.dst = plane + at,
                                              .src = plane + at,
                                              .ld = pixels,
                                              .rows = 1,
                                              .cols = n,
                                              .row = row,
                                              .col = at,
                                              .place = row * pixels + at};
        c->eltwise->tile(&c->e, j->r->operands, &tile);
    }
}

static void collect(const struct job *j, size_t channel) {
    const struct bnr_convt_f32 *c = j->r->c;
    const size_t pixels = volume(c->s.out), taps = volume(c->s.kernel);
    const size_t row = j->image * c->s.groups * c->s.cout + channel;
    float *plane = j->r->dst + row * pixels;
    memset(plane, 0, pixels * sizeof *plane);
    for (size_t t = 0; t < taps; t++)
        add_tap(&c->s, plane, j->columns + (channel * taps + t) * volume(c->s.in), t);
    finish_plane(j, plane, channel, row);
}

static void collect_planes(void *cx, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        collect(cx, i);
}

void bnr__convt_f32_run(const struct bnr_convt_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_convt_f32 *c = r->c;
    struct bnr_conv_f32 product = c->product;
    product.weights = c->weights;
    float *columns = (float *)r->scratch + product.scratch_bytes / sizeof(float);
    const size_t image = c->s.groups * c->s.cin * volume(c->s.in);
    for (size_t i = 0; i < c->s.batch; i++) {
        const struct bnr_conv_f32_run run = {
            .c = &product, .dst = columns, .src = r->src + i * image, .scratch = r->scratch};
        bnr__conv_f32_run(&run, pool);
        struct job j = {.r = r, .columns = columns, .image = i};
        bnr__parallel_for(pool, c->s.groups * c->s.cout, 1, collect_planes, &j);
    }
}
