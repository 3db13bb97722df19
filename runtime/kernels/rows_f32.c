// SPDX-License-Identifier: Apache-2.0
// rows_f32: the choice of kernels, and the loop over a whole matrix.
#include "runtime/kernels/rows_f32.h"

#include <math.h>

#include "runtime/base/compiler.h"

const struct bnr_rows_f32_kernels *bnr__rows_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_rows_f32_kernels *kernels;
    } levels[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__rows_f32_##isa},
#include "runtime/kernels/rows_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_rows_f32_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(levels); i++) {
        if ((levels[i].needs & cpu) == levels[i].needs)
            best = levels[i].kernels;
    }
    return best;
}

// Elements that are worth waking a thread for, and columns that go together.
enum { TASK = 8 * 1024, STRIP = 64 };

static void normalize(const struct bnr_rows_f32_run *run, size_t row) {
    const struct bnr_rows_f32 *r = run->r;
    const float *src = run->src + row * r->n;
    float *dst = run->dst + row * r->n;
    struct bnr_rows_moments m = {0};
    if (!r->uncentered)
        m.mean = (float)(r->kernels->sum(src, r->n) / (double)r->n);
    const double variance = r->kernels->squares(src, r->n, m.mean) / (double)r->n;
    m.inv = (float)(1 / sqrt(variance + r->epsilon));
    if (r->channels == 0) {
        r->kernels->apply(dst, src, r->n, &m, run->scale, run->bias);
        return;
    }
    const size_t length = r->n / r->channels, first = row % r->groups * r->channels;
    for (size_t c = 0; c < r->channels; c++)
        r->kernels->apply_uniform(dst + c * length, src + c * length, length, &m,
                                  run->scale[first + c], run->bias ? run->bias[first + c] : 0);
}

static void run_rows(void *cx, size_t begin, size_t end) {
    const struct bnr_rows_f32_run *run = cx;
    const struct bnr_rows_f32 *r = run->r;
    for (size_t row = begin; row < end; row++) {
        const float *src = run->src + row * r->n;
        switch (r->kind) {
        case BNR_ROWS_SOFTMAX:
            r->kernels->softmax(run->dst + row * r->n, src, r->n);
            break;
        case BNR_ROWS_NORMALIZE:
            normalize(run, row);
            break;
        case BNR_ROWS_LOG_SOFTMAX:
            r->kernels->log_softmax(run->dst + row * r->n, src, r->n);
            break;
        }
    }
}

static void run_strips(void *cx, size_t begin, size_t end) {
    const struct bnr_rows_f32_run *run = cx;
    const struct bnr_rows_f32 *r = run->r;
    const size_t strips = (r->inner + STRIP - 1) / STRIP;
    for (size_t i = begin; i < end; i++) {
        const size_t col = i % strips * STRIP, at = i / strips * r->n * r->inner + col;
        const size_t cols = r->inner - col < STRIP ? r->inner - col : STRIP;
        (r->kind == BNR_ROWS_SOFTMAX
             ? r->kernels->softmax_columns
             : r->kernels->log_softmax_columns)(run->dst + at, run->src + at, r->n, r->inner, cols);
    }
}

void bnr__rows_f32_run(const struct bnr_rows_f32_run *run, struct bnr_pool *pool) {
    struct bnr_rows_f32_run cx = *run;
    const struct bnr_rows_f32 *r = run->r;
    if (r->inner > 1)
        bnr__parallel_for(pool, r->rows * ((r->inner + STRIP - 1) / STRIP), 1 + TASK / STRIP / r->n,
                          run_strips, &cx);
    else
        bnr__parallel_for(pool, r->rows, 1 + TASK / r->n, run_rows, &cx);
}
