// SPDX-License-Identifier: Apache-2.0
// dwconv_f32: a task is some bands of some planes.
#include "runtime/kernels/dwconv_f32.h"

#include "runtime/base/checked.h"
#include "runtime/kernels/scratch.h"

bool bnr__dwconv_f32_init(struct bnr_dwconv_f32 *c, const struct bnr_plane_shape *s, unsigned cpu,
                          int threads) {
    *c = (struct bnr_dwconv_f32){.eltwise = bnr__eltwise_f32_select(cpu)};
    if (!bnr__plane_band_init(&c->band, s, bnr__plane_f32_select(cpu)))
        return false;
    c->slots = bnr__slots_count(threads);
    return bnr__slots_bytes(c->slots, c->band.copy_floats, c->band.tap_floats, &c->slot_bytes,
                            &c->scratch_bytes);
}

struct job {
    const struct bnr_dwconv_f32_run *r;
    struct bnr_slots slots;
    struct bnr_eltwise rest; // the steps that are not done in registers
    bool clamp;
};

static void run_band(const struct job *j, float *copy, const size_t *tap, size_t plane,
                     size_t band) {
    const struct bnr_dwconv_f32 *c = j->r->c;
    const struct bnr_plane_shape *s = &c->band.s;
    const size_t first = band * c->band.rows, pixels = s->out[0] * s->out[1];
    const size_t channel = plane % (c->channels * c->multiplier);
    const size_t rows = s->out[0] - first < c->band.rows ? s->out[0] - first : c->band.rows;
    const float *src = j->r->src + plane / c->multiplier * s->in[0] * s->in[1];
    float *dst = j->r->dst + plane * pixels + first * s->out[1];
    bnr__plane_band_copy(&c->band, copy, src, first, rows, 0);
    const struct bnr_plane_before before = {
        .e = &c->before, .kernels = c->eltwise, .channel = plane / c->multiplier % c->channels};
    bnr__plane_band_before(&c->band, &before, copy, first, rows);
    const struct bnr_plane_conv conv = {
        .src = copy,
        .line = c->band.width * c->band.phases,
        .stride = s->stride[0],
        .dilation = s->dilation[0],
        .kernel = {s->kernel[0], s->kernel[1]},
        .tap = tap,
        .weights = c->weights + channel * s->kernel[0] * s->kernel[1],
        .dst = dst,
        .ld = s->out[1],
        .rows = rows,
        .cols = s->out[1],
        .bias = j->r->bias ? j->r->bias[channel] : 0,
        .clamp = j->clamp,
        .lo = c->e.step[0].p,
        .hi = c->e.step[0].q,
    };
    c->band.kernels->conv(&conv);
    if (j->rest.n == 0)
        return;
    const struct bnr_eltwise_tile t = {.dst = dst,
                                       .src = dst,
                                       .ld = pixels,
                                       .rows = 1,
                                       .cols = rows * s->out[1],
                                       .row = plane,
                                       .col = first * s->out[1],
                                       .place = (size_t)(dst - j->r->dst)};
    c->eltwise->tile(&j->rest, j->r->operands, &t);
}

static void run_bands(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    const struct bnr_plane_band *b = &j->r->c->band;
    size_t *tap = bnr__slots_take(&j->slots);
    float *copy = (float *)(void *)tap + b->tap_floats;
    bnr__plane_band_taps(b, tap);
    for (size_t i = begin; i < end; i++)
        run_band(j, copy, tap, i / b->bands, i % b->bands);
    bnr__slots_give(&j->slots, tap);
}

void bnr__dwconv_f32_run(const struct bnr_dwconv_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_dwconv_f32 *c = r->c;
    struct job j = {.r = r, .rest = c->e};
    j.clamp = c->e.n > 0 && c->e.step[0].kind == BNR_ELTWISE_CLAMP;
    if (j.clamp) {
        j.rest.n--;
        for (int i = 0; i < j.rest.n; i++)
            j.rest.step[i] = c->e.step[i + 1];
    }
    bnr__slots_init(&j.slots, r->scratch, c->slot_bytes, c->slots);
    const size_t planes = c->batch * c->channels * c->multiplier;
    bnr__parallel_for(pool, planes * c->band.bands, bnr__plane_band_grain(&c->band), run_bands, &j);
}
