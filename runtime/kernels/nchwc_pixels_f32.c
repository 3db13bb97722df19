// SPDX-License-Identifier: Apache-2.0
// nchwc_pixels_f32: copies of a few floats each, which need no instruction set of their own.
#include "runtime/kernels/nchwc_pixels_f32.h"

#include <string.h>

enum { FLOATS_A_TASK = 1 << 15 };

struct job {
    const struct bnr_nchwc_pixels *p;
    float *dst;
    const float *src;
};

static void fill(float *dst, size_t n, float x) {
    for (size_t i = 0; i < n; i++)
        dst[i] = x;
}

// A row of outputs; `src`: the input row. lanes is a constant in every instance.
static inline void row_of(const struct bnr_nchwc_pixels *p, float *dst, const float *src,
                          const size_t lanes) {
    const int64_t *from = p->from[2];
    for (size_t i = 0; i < p->out[2]; i++) {
        if (from[i] >= 0)
            memcpy(dst + i * lanes, src + (size_t)from[i] * lanes, lanes * sizeof(float));
        else
            fill(dst + i * lanes, lanes, p->fill);
    }
}

static void run_row(const struct bnr_nchwc_pixels *p, float *dst, const float *src) {
    if (p->lanes == 16)
        row_of(p, dst, src, 16);
    else if (p->lanes == 8)
        row_of(p, dst, src, 8);
    else
        row_of(p, dst, src, p->lanes);
}

static void run_rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const struct bnr_nchwc_pixels *p = j->p;
    const size_t in_row = p->in[2] * p->lanes, out_row = p->out[2] * p->lanes;
    for (size_t i = begin; i < end; i++) {
        const int64_t y = p->from[1][i % p->out[1]], z = p->from[0][i / p->out[1] % p->out[0]];
        const size_t block = i / p->out[1] / p->out[0];
        float *dst = j->dst + i * out_row;
        if (y < 0 || z < 0)
            fill(dst, out_row, p->fill);
        else
            run_row(p, dst,
                    j->src + ((block * p->in[0] + (size_t)z) * p->in[1] + (size_t)y) * in_row);
    }
}

void bnr__nchwc_pixels_run(const struct bnr_nchwc_pixels *p, float *dst, const float *src,
                           struct bnr_pool *pool) {
    struct job j = {.p = p, .dst = dst, .src = src};
    bnr__parallel_for(pool, p->blocks * p->out[0] * p->out[1],
                      1 + FLOATS_A_TASK / (p->out[2] * p->lanes), run_rows, &j);
}
