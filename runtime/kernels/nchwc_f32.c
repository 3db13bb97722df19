// SPDX-License-Identifier: Apache-2.0
// nchwc_f32: the choice of kernels, and tasks of some pixels of one block each.
#include "runtime/kernels/nchwc_f32.h"

#include <stdint.h>

const struct bnr_nchwc_f32 *bnr__nchwc_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_nchwc_f32 *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__nchwc_f32_##isa},
#include "runtime/kernels/nchwc_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_nchwc_f32 *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

enum { PIXELS = 1024, FLOATS_A_TASK = 1 << 15 };

struct job {
    const struct bnr_nchwc_reorder *r;
    float *dst;
    const float *src;
    size_t parts; // of a block
};

static void run_parts(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_nchwc *s = &j->r->shape;
    for (size_t i = begin; i < end; i++) {
        const size_t block = i / j->parts, pixel = i % j->parts * PIXELS;
        const size_t image = block / s->blocks, channel = block % s->blocks * s->lanes;
        const size_t plain = (image * s->channels + channel) * s->pixels + pixel;
        const size_t blocked = (block * s->pixels + pixel) * s->lanes;
        // The side that is only read is not written through this pointer.
        float *src = (float *)(uintptr_t)j->src;
        struct bnr_nchwc_move m = {.plane = s->pixels};
        m.plain = (j->r->to_plain ? j->dst : src) + plain;
        m.blocked = (j->r->to_plain ? src : j->dst) + blocked;
        m.channels = s->channels - channel < s->lanes ? s->channels - channel : s->lanes;
        m.pixels = s->pixels - pixel < PIXELS ? s->pixels - pixel : PIXELS;
        (j->r->to_plain ? j->r->kernels->to_plain : j->r->kernels->to_blocked)(&m);
    }
}

void bnr__nchwc_f32_reorder(const struct bnr_nchwc_reorder *r, float *dst, const float *src,
                            struct bnr_pool *pool) {
    struct job j = {.r = r, .dst = dst, .src = src};
    j.parts = (r->shape.pixels + PIXELS - 1) / PIXELS;
    const size_t part = (r->shape.pixels < PIXELS ? r->shape.pixels : PIXELS) * r->shape.lanes;
    const size_t grain = 1 + FLOATS_A_TASK / (part ? part : 1);
    bnr__parallel_for(pool, r->shape.batch * r->shape.blocks * j.parts, grain, run_parts, &j);
}
