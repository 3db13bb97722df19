// SPDX-License-Identifier: Apache-2.0
// pool_f32: a task is some bands of some planes; whole planes go to threads one by one.
#include "runtime/kernels/pool_f32.h"

#include <math.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/scratch.h"

// A slot holds taps, the counts of columns and rows, the reduced rows and the copy.
static size_t count_floats(const struct bnr_plane_band *b) {
    return b->out_width + b->rows;
}

bool bnr__pool_f32_init(struct bnr_pool_f32 *p, const struct bnr_plane_shape *s, unsigned cpu,
                        int threads) {
    *p = (struct bnr_pool_f32){.eltwise = bnr__eltwise_f32_select(cpu)};
    struct bnr_plane_band *b = &p->band;
    size_t reduced;
    if (!bnr__plane_band_init(b, s, bnr__plane_f32_select(cpu)) ||
        !bnr__size_mul(b->in_rows, b->out_width, &reduced) ||
        !bnr__size_add(reduced, b->tap_floats + count_floats(b), &reduced))
        return false;
    p->slots = bnr__slots_count(threads);
    return bnr__slots_bytes(p->slots, b->copy_floats, reduced, &p->slot_bytes, &p->scratch_bytes);
}

// How many taps of the window of output o count, along one axis.
static float count_taps(const struct bnr_pool_f32 *p, int axis, size_t o) {
    const struct bnr_plane_shape *s = &p->band.s;
    // In coordinates that start with the padding.
    const size_t first = s->pad[axis] - p->count_pad[axis];
    const size_t last = s->pad[axis] + s->in[axis] + p->count_end[axis];
    size_t n = 0, at = o * s->stride[axis];
    for (size_t t = 0; t < s->kernel[axis]; t++, at += s->dilation[axis])
        n += at >= first && at < last;
    return (float)n;
}

struct job {
    const struct bnr_pool_f32_run *r;
    struct bnr_slots slots;
};

struct slot {
    size_t *tap;
    float *col_count, *row_count, *reduced, *copy;
};

static struct slot slot_parts(const struct bnr_pool_f32 *p, void *memory) {
    const struct bnr_plane_band *b = &p->band;
    struct slot s = {.tap = memory};
    s.col_count = (float *)memory + b->tap_floats;
    s.row_count = s.col_count + b->out_width;
    s.reduced = s.row_count + b->rows;
    s.copy = s.reduced + b->in_rows * b->out_width;
    bnr__plane_band_taps(b, s.tap);
    for (size_t i = 0; p->average && i < b->out_width; i++)
        s.col_count[i] = i < b->s.out[1] ? count_taps(p, 1, i) : 1;
    return s;
}

static void run_band(const struct job *j, const struct slot *slot, size_t plane, size_t band) {
    const struct bnr_pool_f32 *p = j->r->p;
    const struct bnr_plane_band *b = &p->band;
    const struct bnr_plane_shape *s = &b->s;
    const size_t first = band * b->rows, pixels = s->out[0] * s->out[1];
    const size_t rows = s->out[0] - first < b->rows ? s->out[0] - first : b->rows;
    float *dst = j->r->dst + plane * pixels + first * s->out[1];
    bnr__plane_band_copy(b, slot->copy, j->r->src + plane * s->in[0] * s->in[1], first, rows,
                         p->average ? 0 : -INFINITY);
    const struct bnr_plane_before before = {
        .e = &p->before, .kernels = p->eltwise, .channel = p->channels ? plane % p->channels : 0};
    bnr__plane_band_before(b, &before, slot->copy, first, rows);
    for (size_t i = 0; p->average && i < rows; i++)
        slot->row_count[i] = count_taps(p, 0, first + i);
    const struct bnr_plane_pool pool = {
        .src = slot->copy,
        .line = b->width * b->phases,
        .stride = s->stride[0],
        .dilation = s->dilation[0],
        .kernel = {s->kernel[0], s->kernel[1]},
        .tap = slot->tap,
        .average = p->average,
        .reduced = slot->reduced,
        .out_width = b->out_width,
        .row_count = slot->row_count,
        .col_count = slot->col_count,
        .dst = dst,
        .ld = s->out[1],
        .rows = rows,
        .cols = s->out[1],
    };
    b->kernels->pool(&pool);
    if (p->e.n == 0)
        return;
    const struct bnr_eltwise_tile t = {.dst = dst,
                                       .src = dst,
                                       .ld = pixels,
                                       .rows = 1,
                                       .cols = rows * s->out[1],
                                       .row = plane,
                                       .col = first * s->out[1],
                                       .place = (size_t)(dst - j->r->dst)};
    p->eltwise->tile(&p->e, j->r->operands, &t);
}

static void run_bands(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    const struct bnr_pool_f32 *p = j->r->p;
    void *memory = bnr__slots_take(&j->slots);
    const struct slot slot = slot_parts(p, memory);
    for (size_t i = begin; i < end; i++)
        run_band(j, &slot, i / p->band.bands, i % p->band.bands);
    bnr__slots_give(&j->slots, memory);
}

void bnr__pool_f32_run(const struct bnr_pool_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_pool_f32 *p = r->p;
    struct job j = {.r = r};
    bnr__slots_init(&j.slots, r->scratch, p->slot_bytes, p->slots);
    bnr__parallel_for(pool, p->planes * p->band.bands, bnr__plane_band_grain(&p->band), run_bands,
                      &j);
}

struct global_job {
    const struct bnr_plane_f32 *kernels;
    float *dst;
    const float *src;
    size_t n;
    bool average;
};

static void run_planes(void *cx, size_t begin, size_t end) {
    const struct global_job *j = cx;
    for (size_t i = begin; i < end; i++) {
        const float *x = j->src + i * j->n;
        j->dst[i] = j->average ? j->kernels->sum(x, j->n) / (float)j->n : j->kernels->max(x, j->n);
    }
}

void bnr__global_pool_f32(const struct bnr_plane_f32 *kernels, float *dst, const float *src,
                          size_t planes, size_t n, bool average, struct bnr_pool *pool) {
    struct global_job j = {.kernels = kernels, .dst = dst, .src = src, .n = n, .average = average};
    bnr__parallel_for(pool, planes, 1 + (1 << 15) / (n ? n : 1), run_planes, &j);
}
